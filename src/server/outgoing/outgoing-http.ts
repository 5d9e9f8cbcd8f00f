/**
 * Requests of the server to hosts that somebody else has named: endpoints of functions, receivers of webhooks, key sets of
 * issuers. To an address that was looked at, within its time, with an answer of bounded size, and never along a redirect.
 *
 * Invariant: `refused` and `unreached` are said only where not a byte of the request has left this machine.
 */
import { request as requestHttp, type Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Timers } from '../../core/ports.js';
import { refusedCode, urlFault, type AddressRules, type Resolve } from './address-guard.js';
import { guardedAgent } from './guarded-agent.js';

export interface OutgoingHttpOptions {
  readonly rules: AddressRules;
  readonly timers: Timers;
  /** How names are resolved; for tests. */
  readonly resolve?: Resolve;
}

export interface OutgoingRequest {
  readonly url: URL;
  /** Default GET. */
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** For everything, from the lookup of the name to the last byte of the answer. */
  readonly timeoutMs: number;
  /** Of the answer's body; what is more is not read. */
  readonly answerBytesMax: number;
  /** Nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
}

/** What came of a request. */
export type OutgoingReply =
  | {
      readonly tag: 'answer';
      /** Any, redirects too. */
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
      /** The answer was longer than `answerBytesMax`. */
      readonly isCut: boolean;
    }
  /** The address is none that this server connects to. */
  | { readonly tag: 'refused'; readonly reason: string }
  /** No connection came about. */
  | { readonly tag: 'unreached'; readonly reason: string }
  /** There was a connection: what was sent may have arrived. */
  | { readonly tag: 'lost'; readonly isTimeout: boolean; readonly reason: string }
  /** By `signal`. */
  | { readonly tag: 'aborted' };

export class OutgoingHttp {
  readonly #options: OutgoingHttpOptions;
  readonly #plain: Agent;
  readonly #secure: Agent;

  constructor(options: OutgoingHttpOptions) {
    const { rules, resolve } = options;
    this.#options = options;
    this.#plain = guardedAgent(false, rules, resolve);
    this.#secure = guardedAgent(true, rules, resolve);
  }

  /** Never rejects. */
  send(outgoing: OutgoingRequest): Promise<OutgoingReply> {
    const fault = urlFault(outgoing.url, this.#options.rules);
    if (fault !== null) return Promise.resolve({ tag: 'refused', reason: fault });
    if (outgoing.signal?.aborted === true) return Promise.resolve({ tag: 'aborted' });
    return new Promise((resolve) => this.#send(outgoing, resolve));
  }

  /** Breaks what is under way. Idempotent. */
  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #send(outgoing: OutgoingRequest, resolve: (reply: OutgoingReply) => void): void {
    const { url, method = 'GET', headers = {}, body, timeoutMs, answerBytesMax, signal } = outgoing;
    const isSecure = url.protocol === 'https:';
    let isConnected = false;
    let isOver = false;
    const finish = (reply: OutgoingReply): void => {
      if (isOver) return;
      isOver = true;
      cancel();
      signal?.removeEventListener('abort', hangUp);
      resolve(reply);
    };
    const request = (isSecure ? requestHttps : requestHttp)(url, {
      method,
      agent: isSecure ? this.#secure : this.#plain,
      headers: {
        'user-agent': 'eventspine',
        ...headers,
        ...(body === undefined ? {} : { 'content-length': String(body.byteLength) }),
      },
    });
    const hangUp = (): void => {
      finish({ tag: 'aborted' });
      request.destroy();
    };
    const cancel = this.#options.timers.after(timeoutMs, () => {
      finish(
        isConnected
          ? { tag: 'lost', isTimeout: true, reason: `no answer within ${timeoutMs} ms` }
          : { tag: 'unreached', reason: `no connection within ${timeoutMs} ms` },
      );
      request.destroy();
    });
    signal?.addEventListener('abort', hangUp, { once: true });
    request.on('socket', (socket) => {
      // A connection that was kept is one that stands.
      if (request.reusedSocket) isConnected = true;
      else socket.once(isSecure ? 'secureConnect' : 'connect', () => (isConnected = true));
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? error.message;
      if (error.code === refusedCode) finish({ tag: 'refused', reason: error.message });
      else finish(isConnected ? { tag: 'lost', isTimeout: false, reason } : { tag: 'unreached', reason });
    });
    request.on('response', (response) => {
      readUpTo(response, answerBytesMax).then(
        ({ bytes, isCut }) => {
          finish({
            tag: 'answer',
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: bytes,
            isCut,
          });
          if (isCut) request.destroy();
        },
        (error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          finish({ tag: 'lost', isTimeout: false, reason });
          request.destroy();
        },
      );
    });
    request.end(body);
  }
}

async function readUpTo(
  response: IncomingMessage,
  bytesMax: number,
): Promise<{ readonly bytes: Buffer; readonly isCut: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    chunks.push(chunk);
    if (size > bytesMax) return { bytes: Buffer.concat(chunks, size).subarray(0, bytesMax), isCut: true };
  }
  return { bytes: Buffer.concat(chunks, size), isCut: false };
}

/**
 * How long `retry-after` asks to wait, ms; null = it does not say. A date counts from `nowMs`.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null;
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1000;
  const atMs = header.length <= 40 && header.endsWith('GMT') ? Date.parse(header) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
