/**
 * A webhook as it was received, and what comes of looking at its signature. Headers are taken in every shape in which
 * servers of the runtime have them; the body is the bytes that came, never a value that was made of them.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** Headers of `fetch`, of `node:http`, or any record of them. */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | IncomingHttpHeaders
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** A webhook as it was received. */
export interface ReceivedWebhook {
  readonly headers: WebhookHeaders;
  /** What was received, byte for byte. A text counts as its UTF-8. */
  readonly body: Uint8Array | string;
  /** For HTTP message signatures. Default `POST`. */
  readonly method?: string;
  /** The whole address as the sender wrote it. Needed by HTTP message signatures. */
  readonly url?: string;
}

/**
 * Why a request is not believed. `missing`: a header that the scheme needs. `malformed`: it cannot be read. `too old` and `too
 * new`: outside of the window. `uncovered`: something that has to be signed is not. `wrong`: none of the secrets made it.
 */
export type SignatureFault = 'missing' | 'malformed' | 'too old' | 'too new' | 'uncovered' | 'wrong';

/** A request that was made with one of the secrets. */
export interface GenuineWebhook {
  /** The sender's id of the delivery, which is the same when it is sent again; null = it sends none in a header. */
  readonly id: string | null;
  /** When it was signed, epoch ms; null = the scheme does not say. */
  readonly atMs: number | null;
}

/** What is known of a request once its signature was looked at. */
export type Verdict =
  | ({ readonly tag: 'genuine' } & GenuineWebhook)
  | { readonly tag: 'refused'; readonly fault: SignatureFault };

export function refused(fault: SignatureFault): Verdict {
  return { tag: 'refused', fault };
}

/** The value of a header, by its lower-case name; several lines are joined as HTTP says. Null = it is not there. */
export function headerOf(headers: WebhookHeaders, name: string): string | null {
  if (isGetter(headers)) return headers.get(name);
  const own = Object.hasOwn(headers, name) ? headers[name] : otherCase(headers, name);
  if (own === undefined) return null;
  return typeof own === 'string' ? own : own.join(', ');
}

/** Records are looked through only where the name is not there as it is: those of `node:http` are in lower case. */
function otherCase(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  name: string,
): string | readonly string[] | undefined {
  const key = Object.keys(headers).find((other) => other.toLowerCase() === name);
  return key === undefined ? undefined : headers[key];
}

function isGetter(headers: WebhookHeaders): headers is { get(name: string): string | null } {
  return typeof headers.get === 'function';
}

/** Whether the time of a request is within the window; `seconds` is the text of its header. */
export function timeOf(
  seconds: string,
  nowMs: number,
  windowMs: number,
): { readonly atMs: number } | { readonly fault: SignatureFault } {
  if (!/^\d{1,12}$/.test(seconds)) return { fault: 'malformed' };
  const atMs = Number(seconds) * 1000;
  if (nowMs - atMs > windowMs) return { fault: 'too old' };
  if (atMs - nowMs > windowMs) return { fault: 'too new' };
  return { atMs };
}
