/**
 * Turns decided events into what the store keeps: the envelope, serialised once, and the payload with its salt. The
 * commitment in the envelope binds the two; see docs/reference/events.md.
 */
import { SpineError } from '../../core/errors.js';
import type { Envelope, PayloadSeal } from '../../core/envelope.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { Ports } from '../../core/ports.js';
import { exceedsUtf8, utf8Length } from '../../core/utf8.js';
import type { BlobWrite, StoredPayload } from '../../store/contract.js';
import { EnvelopeText, type EnvelopeDraft } from './envelope-text.js';
import { HybridLogicalClock } from './hlc.js';

const saltBytes = 16;

export interface Written {
  readonly envelope: string;
  readonly payload: StoredPayload | null;
  /** The blob that has to be stored along, where the payload came inline and is too large to stay so. */
  readonly blob: BlobWrite | null;
}

export class EnvelopeWriter {
  readonly #ports: Pick<Ports, 'random' | 'hash'>;
  readonly #valueBytesMax: number;
  readonly #text: EnvelopeText;
  readonly #hlc = new HybridLogicalClock();

  constructor(
    ports: Pick<Ports, 'random' | 'hash'>,
    { region, valueBytesMax }: { readonly region: string; readonly valueBytesMax: number },
    epoch: number,
  ) {
    this.#ports = ports;
    this.#valueBytesMax = valueBytesMax;
    this.#text = new EnvelopeText(region, epoch);
  }

  /** Has seen the stamp of an event, perhaps of another server: what is written from now on sorts after it. */
  observe(hlc: string): void {
    this.#hlc.observe(hlc);
  }

  /** `shared` = several events will refer to the payload, so that even a middling one is better kept once, as a blob. */
  write(draft: EnvelopeDraft, payload: Payload | null, shared = false): Written {
    const stored = payload === null ? null : this.#store(payload, shared);
    const text = this.#text.of(draft, this.#hlc.next(draft.at), stored === null ? null : stored.seal);
    if (exceedsUtf8(text, limits.envelopeBytesMax)) {
      throw new SpineError('EVENT_TOO_LARGE', { type: draft.type, bytesMax: limits.envelopeBytesMax });
    }
    if (stored === null) return { envelope: text, payload: null, blob: null };
    return { envelope: text, payload: stored.payload, blob: stored.blob };
  }

  #store(payload: Payload, shared: boolean): { seal: PayloadSeal; payload: StoredPayload; blob: BlobWrite | null } {
    const { hash, random } = this.#ports;
    const salt = random.bytes(saltBytes);
    if (isBlobPayload(payload)) {
      const commitment = hash.sha256(salt, payload.blob);
      return {
        seal: { codec: payload.codec, size: payload.size, commitment, keyId: null },
        payload: { salt, blob: payload.blob },
        blob: null,
      };
    }
    const { codec, text } = payload;
    const bytesMax = this.#valueBytesMax;
    if (text.length > limits.inlinePayloadBytesMax || (shared && text.length > sharedBlobBytesMin)) {
      if (exceedsUtf8(text, bytesMax)) throw new SpineError('VALUE_TOO_LARGE', { bytesMax });
      const bytes = new TextEncoder().encode(text);
      const blob = hash.sha256(bytes);
      const seal = { codec, size: bytes.byteLength, commitment: hash.sha256(salt, blob), keyId: null };
      return { seal, payload: { salt, blob }, blob: { hash: blob, bytes } };
    }
    const seal = { codec, size: utf8Length(text), commitment: hash.sha256(salt, text), keyId: null };
    return { seal, payload: { salt, text }, blob: null };
  }
}

/** Below this a second copy costs less than a row in the blob table. */
const sharedBlobBytesMin = 1024;

/** What an envelope read from the store says. */
export function parseEnvelope(text: string): Envelope {
  return JSON.parse(text) as Envelope;
}

/** The payload of a stored event as it travels. */
export function payloadOf(envelope: Envelope, stored: StoredPayload | null): Payload | null {
  if (stored === null || envelope.payload === null) return null;
  const { codec, size } = envelope.payload;
  return 'blob' in stored ? { codec, blob: stored.blob, size } : { codec, text: stored.text };
}
