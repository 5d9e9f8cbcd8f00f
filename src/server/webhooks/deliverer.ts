/**
 * One attempt to deliver a message: signed anew, sent to an address that was looked at, and what came of it.
 *
 * Invariant: only an answer of 200 to 299 is a delivery; a redirect is a failure, whatever it leads to.
 */
import type { Ports } from '../../core/ports.js';
import type { FailureClass } from '../../core/failure.js';
import type { WebhookEntry } from '../../engine/api.js';
import { checkedUrl, type AddressRules, type Resolve } from '../outgoing/address-guard.js';
import { OutgoingHttp, retryAfterMs, type OutgoingReply } from '../outgoing/outgoing-http.js';
import { keysOf, notifyKeys, signedHeaders, type WebhookKeys } from './signing.js';

export interface DelivererOptions {
  readonly rules: AddressRules;
  readonly ports: Ports;
  /** The secret of the store that all others are derived from. */
  readonly root: () => Promise<Uint8Array>;
  readonly resolve?: Resolve;
}

/** A message and where it goes. */
export interface Sending {
  readonly url: string;
  readonly keys: WebhookKeys;
  readonly id: string;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly attempt: number;
  readonly signal?: AbortSignal;
}

/** What came of an attempt. */
export type Attempted =
  | { readonly tag: 'delivered'; readonly status: number }
  /** The receiver is gone for good (410). */
  | { readonly tag: 'gone'; readonly status: number }
  /** Nothing is to be sent there, now or later. */
  | { readonly tag: 'refused'; readonly reason: string }
  | {
      readonly tag: 'failed';
      readonly class: FailureClass;
      readonly code: string;
      readonly message: string;
      /** As the receiver asks for it. */
      readonly retryAfterMs: number | null;
      /** It says that it cannot take this message. */
      readonly isRefusal: boolean;
    }
  | { readonly tag: 'aborted' };

/** What a receiver says that is kept, characters and bytes. */
const saidLengthMax = 200;
const answerBytesMax = 2_048;

export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #http: OutgoingHttp;

  constructor(options: DelivererOptions) {
    const { rules, ports, resolve } = options;
    this.#options = options;
    this.#http = new OutgoingHttp({ rules, timers: ports.timers, ...(resolve === undefined ? {} : { resolve }) });
  }

  /** What an endpoint's messages are signed with now. */
  async keys(tenant: string, entry: WebhookEntry): Promise<WebhookKeys> {
    return keysOf(await this.#options.root(), tenant, entry, this.#options.ports.clock.now());
  }

  async notifyKeys(tenant: string): Promise<WebhookKeys> {
    return notifyKeys(await this.#options.root(), tenant);
  }

  /** @throws ENDPOINT_REFUSED */
  check(url: string): void {
    checkedUrl(url, this.#options.rules);
  }

  /** Never rejects for what the receiver does. */
  async send({ url, keys, id, body, timeoutMs, attempt, signal }: Sending): Promise<Attempted> {
    if (!URL.canParse(url)) return { tag: 'refused', reason: 'it is not a URL' };
    const nowMs = this.#options.ports.clock.now();
    const signed = signedHeaders(keys, id, nowMs, body);
    const reply = await this.#http.send({
      url: new URL(url),
      method: 'POST',
      headers: {
        ...signed,
        'content-type': 'application/json',
        'eventspine-attempt': String(attempt),
      },
      body,
      timeoutMs,
      answerBytesMax,
      ...(signal === undefined ? {} : { signal }),
    });
    return attemptedOf(reply, this.#options.ports.clock.now());
  }

  close(): void {
    this.#http.close();
  }
}

function attemptedOf(reply: OutgoingReply, nowMs: number): Attempted {
  switch (reply.tag) {
    case 'aborted':
      return { tag: 'aborted' };
    case 'refused':
      return { tag: 'refused', reason: reply.reason };
    case 'unreached':
      return failed('network', 'WEBHOOK_UNREACHED', `No connection came about: ${reply.reason}.`);
    case 'lost':
      return reply.isTimeout
        ? failed('timeout', 'WEBHOOK_TIMEOUT', `The receiver did not answer in time: ${reply.reason}.`)
        : failed('network', 'WEBHOOK_LOST', `The connection broke: ${reply.reason}.`);
    case 'answer': {
      const { status, headers, body } = reply;
      if (status >= 200 && status < 300) return { tag: 'delivered', status };
      if (status === 410) return { tag: 'gone', status };
      const said = body.toString('utf8').slice(0, saidLengthMax);
      const message = `The receiver answered ${status}${said === '' ? '' : `: ${said}`}`;
      return {
        ...failed(classOf(status), `HTTP_${status}`, message),
        retryAfterMs: retryAfterMs(headers['retry-after'], nowMs),
        isRefusal: refusals.has(status),
      };
    }
  }
}

/** The message is at fault, not the receiver: to repeat it for days helps nobody. */
const refusals: ReadonlySet<number> = new Set([400, 413, 415, 422]);

function classOf(status: number): FailureClass {
  if (status === 429) return 'rate_limited';
  if (status === 503) return 'overloaded';
  if (status === 401 || status === 403) return 'permission';
  return refusals.has(status) ? 'invalid_request' : 'dependency';
}

function failed(kind: FailureClass, code: string, message: string): Extract<Attempted, { tag: 'failed' }> {
  return { tag: 'failed', class: kind, code, message, retryAfterMs: null, isRefusal: false };
}
