/**
 * Writes envelopes as JSON text. Every event has one, and nearly all of it is the same from event to event: fixed
 * names, the tenant, the actor, ids that need no escaping. Putting the text together by hand takes half the time of
 * serialising an object.
 *
 * Invariant: the text is, byte for byte, what `JSON.stringify` gives for the same envelope.
 */
import type { Envelope, PayloadSeal } from '../../core/envelope.js';

/** Fields of an envelope that its author decides; the writer adds the rest. */
export type EnvelopeDraft = Omit<Envelope, 'v' | 'hlc' | 'region' | 'epoch' | 'payload'>;

/** Writes the envelopes of one writer, whose region and epoch are the same in all of them. */
export class EnvelopeText {
  readonly #tenant = new LastText('{"v":1,"tenant":', ',"stream":');
  readonly #stream = new LastText('', '');
  readonly #type = new LastText(',"type":', ',"at":');
  readonly #actor = new LastText(',"actor":', ',"cause":');
  readonly #writer: string;
  /** The end of an envelope without payload, and what comes before the seal of one that has one. */
  readonly #bare: string;
  readonly #sealed: string;

  constructor(region: string, epoch: number) {
    this.#writer = `","region":${JSON.stringify(region)},"epoch":${JSON.stringify(epoch)},"payload":`;
    this.#bare = `${this.#writer}null}`;
    this.#sealed = `${this.#writer}{"codec":"`;
  }

  /** `hlc` is made of hex digits. */
  of(draft: EnvelopeDraft, hlc: string, seal: PayloadSeal | null): string {
    const { seq, at, cause, correlation, traceparent, schema } = draft;
    const stream = this.#stream.of(draft.stream);
    const shared = correlation === draft.stream ? stream : textOrNull(correlation);
    const origin =
      traceparent === null && schema === null
        ? ',"traceparent":null,"schema":null'
        : `,"traceparent":${textOrNull(traceparent)},"schema":${textOrNull(schema)}`;
    const head = `${this.#tenant.of(draft.tenant)}${stream},"seq":${seq},"id":${textOf(draft.id)}${this.#type.of(draft.type)}${at}${this.#actor.of(draft.actor)}${textOrNull(cause)},"correlation":${shared}${origin}`;
    return head + bodyText(draft) + hlc + (seal === null ? this.#bare : this.#sealed + sealText(seal));
  }
}

/** From the data to the opening quote of the clock's stamp. */
function bodyText({ data, attributes }: EnvelopeDraft): string {
  const text = JSON.stringify(data) as string | undefined;
  const own = text === undefined ? '' : `,"data":${text}`;
  return attributes === undefined ? `${own},"hlc":"` : `${own},"attributes":${JSON.stringify(attributes)},"hlc":"`;
}

/** A value in its place, as it was asked for last: neighbouring events share most of theirs. */
class LastText {
  readonly #before: string;
  readonly #after: string;
  #value: string | null = null;
  #text = '';

  constructor(before: string, after: string) {
    this.#before = before;
    this.#after = after;
  }

  of(value: string): string {
    if (value !== this.#value) {
      this.#text = this.#before + textOf(value) + this.#after;
      this.#value = value;
    }
    return this.#text;
  }
}

/** The seal from the value of its codec on, and the end of the envelope. */
function sealText({ codec, size, commitment, keyId }: PayloadSeal): string {
  const key = keyId === null ? '","keyId":null}}' : `","keyId":${textOf(keyId)}}}`;
  return `${codec}","size":${size},"commitment":"${commitment}${key}`;
}

/** What JSON may have to escape, and all that is beyond ASCII, to be on the safe side. */
const special = /["\\]|[^ -~]/;

function textOf(value: string): string {
  return special.test(value) ? JSON.stringify(value) : `"${value}"`;
}

function textOrNull(value: string | null): string {
  return value === null ? 'null' : textOf(value);
}
