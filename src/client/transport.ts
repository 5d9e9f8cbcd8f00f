/**
 * One HTTP exchange with a server: address, credentials, time limit, retries, and problems turned into errors.
 * Invariant: a request is sent a second time only where a first one that did its work unseen does no harm, or where
 * the server said that it did nothing.
 */
import { isSpineError } from '../core/catalogue-error.js';
import { clientError } from '../core/client-errors.js';
import type { Problem } from '../protocol/http.js';
import { asError, type Backoff, type Pace, pauseMs } from './pace.js';
import { problemOfStatus, RemoteError } from './remote-error.js';

/** What a transport needs to know; see `ClientOptions` for the meaning of each. */
export interface TransportOptions {
  readonly url: string;
  readonly token?: string | (() => string | Promise<string>);
  readonly tenant?: string;
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
  readonly retry: Backoff;
  readonly pace: Pace;
}

/** A request to the API, before address and credentials. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path under the server's URL, beginning with a slash, its parts already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, QueryValue>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Encoded body; `contentType` goes with it. */
  readonly body?: string;
  readonly contentType?: string;
  /** True where doing it twice is the same as doing it once. */
  readonly repeatable: boolean;
  /** Statuses of 300 and more that are an answer here, not an error. */
  readonly accepts?: readonly number[];
  /** Longest wait for the whole answer; default `timeoutMs` of the transport. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A query parameter; a list is given several times, `undefined` is left out. */
export type QueryValue = string | number | boolean | readonly string[] | undefined;

/** The way to the server that all calls of a client share. */
export interface Transport {
  readonly url: string;
  readonly pace: Pace;
  /** Sends a request; hands an answer with a status below 300 to `read`. Rejects with `RemoteError` or SERVER_UNREACHABLE. */
  exchange<T>(request: ApiRequest, read: (response: Response) => T | Promise<T>): Promise<T>;
  /** The same for the usual case: the answer is JSON. */
  json<T>(request: ApiRequest): Promise<T>;
}

/** Makes a transport. Opens nothing. */
export function createTransport(options: TransportOptions): Transport {
  const base = options.url.replace(/\/+$/, '');
  const { pace } = options;

  async function exchange<T>(request: ApiRequest, read: (response: Response) => T | Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attemptOnce(request, read);
      } catch (error) {
        request.signal?.throwIfAborted();
        if (attempt >= options.retry.attempts || !mayRepeat(request, error)) throw error;
        const askedMs = error instanceof RemoteError ? error.retryAfterMs : null;
        await pace.sleep(pauseMs(options.retry, attempt, askedMs, pace), request.signal);
      }
    }
  }

  async function attemptOnce<T>(request: ApiRequest, read: (response: Response) => T | Promise<T>): Promise<T> {
    const timeoutMs = request.timeoutMs ?? options.timeoutMs;
    const limit = limitTime(timeoutMs, request.signal, pace);
    try {
      const response = await options.fetch(base + request.path + queryText(request.query), {
        method: request.method,
        headers: await headersOf(request),
        signal: limit.signal,
        ...(request.body === undefined ? {} : { body: request.body }),
      });
      if (response.status >= 300 && request.accepts?.includes(response.status) !== true)
        throw await remoteError(response);
      return await read(response);
    } catch (error) {
      if (isSpineError(error) || request.signal?.aborted === true) throw error;
      const reason = limit.expired() ? `no answer within ${timeoutMs} ms` : reasonOf(error);
      throw clientError('SERVER_UNREACHABLE', { url: base, reason }, { cause: error });
    } finally {
      limit.end();
    }
  }

  async function headersOf(request: ApiRequest): Promise<Record<string, string>> {
    const token = typeof options.token === 'function' ? await options.token() : options.token;
    return {
      accept: 'application/json',
      ...(request.contentType === undefined ? {} : { 'content-type': request.contentType }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(options.tenant === undefined ? {} : { 'eventspine-tenant': options.tenant }),
      ...request.headers,
    };
  }

  return { url: base, pace, exchange, json: <T>(request: ApiRequest) => exchange(request, readJson<T>) };
}

async function readJson<T>(response: Response): Promise<T> {
  return (await response.json()) as T;
}

/** Statuses after which the same request can succeed without anybody doing anything. */
const passing: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
/** Those with which a server of ours refuses before it does anything. */
const refusing: ReadonlySet<number> = new Set([429, 503]);

function mayRepeat(request: ApiRequest, error: unknown): boolean {
  if (error instanceof RemoteError) return (request.repeatable ? passing : refusing).has(error.status);
  return request.repeatable;
}

/** Joins the caller's signal and a time limit into one signal that can be let go of without leaving a listener behind. */
function limitTime(
  ms: number,
  outer: AbortSignal | undefined,
  pace: Pace,
): { readonly signal: AbortSignal; expired(): boolean; end(): void } {
  const controller = new AbortController();
  let expired = false;
  const cancelTimer = pace.after(ms, () => {
    expired = true;
    controller.abort(new DOMException('Timed out', 'TimeoutError'));
  });
  const onAbort = (): void => controller.abort(asError(outer?.reason));
  if (outer?.aborted === true) onAbort();
  else outer?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    expired: () => expired,
    end() {
      cancelTimer();
      outer?.removeEventListener('abort', onAbort);
    },
  };
}

/** Reads what went wrong out of an answer with a status of 300 or more. */
async function remoteError(response: Response): Promise<RemoteError> {
  const text = await response.text();
  const retryAfterMs = retryAfterOf(response.headers.get('retry-after'));
  return new RemoteError(problemIn(text) ?? problemOfStatus(response.status, text.trim()), retryAfterMs);
}

function problemIn(text: string): Problem | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const { code, status, detail } = value as Partial<Problem>;
    const fits = typeof code === 'string' && typeof status === 'number' && typeof detail === 'string';
    return fits ? { ...(value as Problem), mend: (value as Partial<Problem>).mend ?? '' } : null;
  } catch {
    return null;
  }
}

/** `Retry-After` in ms. Only the form in seconds is used by our servers; a date would need the server's clock. */
export function retryAfterOf(header: string | null): number | null {
  return header !== null && /^\d+$/.test(header) ? Number(header) * 1_000 : null;
}

function queryText(query: ApiRequest['query']): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined) continue;
    for (const one of typeof value === 'object' ? value : [value]) parameters.append(name, String(one));
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

/** Says in words why `fetch` failed; Node hides the reason in `cause`, sometimes under an AggregateError. */
function reasonOf(error: unknown): string {
  const cause = (error as { cause?: unknown } | null)?.cause;
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  if (code === 'ECONNREFUSED') return 'the connection was refused';
  if (code === 'ENOTFOUND') return 'the host name is not known';
  if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') return 'the connection was cut';
  if (typeof code === 'string') return code;
  return error instanceof Error ? error.message : String(error);
}
