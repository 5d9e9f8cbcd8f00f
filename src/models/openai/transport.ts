/**
 * Requests to an endpoint: headers, the three time limits, and errors that keep what the endpoint has said.
 *
 * Invariant: a request ends. It is answered, or it fails within its limits, or the caller's signal ends it; and no request
 * follows a redirect, because that would carry the key to somewhere else.
 */
import { readFeedback } from '../../core/admission/feedback.js';
import { limits } from '../../core/limits.js';
import type { Ports } from '../../core/ports.js';
import { isModelCallError, ModelCallError, type ModelCallFacts } from '../model-call-error.js';

/** The runtime's `fetch`, or one with a proxy, a test's, another runtime's. */
export type FetchPort = (url: string, request: RequestInit) => Promise<Response>;

/** Longest waits of one request, in ms. */
export interface TimeLimits {
  /** Until the answer begins: the first token of a stream, all of an answer in one piece. */
  readonly responseMs: number;
  /** Between two pieces of an answer. */
  readonly idleMs: number;
  /** For all of it. */
  readonly totalMs: number;
}

/** Where requests go. */
export interface Endpoint {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: FetchPort;
  readonly ports: Pick<Ports, 'clock' | 'timers' | 'random'>;
  readonly times: TimeLimits;
}

/** One request. */
export interface EndpointRequest {
  readonly path: string;
  /** Absent: a GET. */
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose status is of success. */
export interface EndpointAnswer {
  readonly url: string;
  readonly headers: Record<string, string>;
  /** The body in pieces. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the request, if it has not ended. Leaving a loop over the body does so, too. */
  readonly close: () => void;
}

/** Largest answer, and the part of a failed answer that is kept. */
export const answerBytesMax = 64 * 1024 * 1024;
const failureBytesMax = 64 * 1024;

/** Sends a request. Rejects with `ModelCallError`, or with the reason of the caller's signal. */
export async function send(endpoint: Endpoint, request: EndpointRequest): Promise<EndpointAnswer> {
  const url = `${endpoint.baseUrl}/${request.path}`;
  const watch = new Watch(endpoint, url, request.signal);
  try {
    const response = await endpoint.fetch(url, {
      ...(request.body === undefined ? { method: 'GET' } : { method: 'POST', body: JSON.stringify(request.body) }),
      headers: headersOf(endpoint, request),
      redirect: 'error',
      signal: watch.signal,
    });
    watch.moved();
    const headers = Object.fromEntries(response.headers);
    const body = piecesOf(response, watch);
    if (response.ok) return { url, headers, body, close: () => watch.end() };
    throw await refusal(url, response.status, headers, body, endpoint);
  } catch (error) {
    watch.end();
    throw watch.explain(error);
  }
}

/** All of an answer as text. */
export async function textOf(answer: EndpointAnswer): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of answer.body) text += decoder.decode(bytes, { stream: true });
  return text + decoder.decode();
}

/** An answer of success that cannot be used. Another attempt may give a better one. */
export function unreadable(url: string, why: string, body?: string): ModelCallError {
  return new ModelCallError({
    message: `The answer of the endpoint cannot be used: ${why}.`,
    code: 'MODEL_ANSWER_UNREADABLE',
    class: 'invalid_output',
    url,
    isRetryable: true,
    ...(body === undefined ? {} : { responseBody: body.slice(0, failureBytesMax) }),
  });
}

function headersOf(endpoint: Endpoint, request: EndpointRequest): Record<string, string> {
  const headers: Record<string, string> = request.body === undefined ? {} : { 'content-type': 'application/json' };
  for (const [name, value] of [...Object.entries(endpoint.headers), ...Object.entries(request.headers ?? {})]) {
    if (value === undefined) delete headers[name.toLowerCase()];
    else headers[name.toLowerCase()] = value;
  }
  return headers;
}

async function* piecesOf(response: Response, watch: Watch): AsyncGenerator<Uint8Array, void> {
  try {
    if (response.body === null) return;
    let size = 0;
    for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
      watch.moved();
      size += bytes.length;
      if (size > answerBytesMax) throw unreadable(watch.url, `it is larger than ${answerBytesMax} bytes`);
      yield bytes;
    }
  } catch (error) {
    throw watch.explain(error, 'MODEL_STREAM_CUT');
  } finally {
    watch.end();
  }
}

/** The two statuses below 500 that say "not now", and all that an endpoint says about itself. */
function mayRetry(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

async function refusal(
  url: string,
  statusCode: number,
  responseHeaders: Record<string, string>,
  body: AsyncIterable<Uint8Array>,
  endpoint: Endpoint,
): Promise<ModelCallError> {
  const responseBody = await beginningOf(body);
  const data = errorOf(responseBody);
  const said = data?.message ?? (responseBody.trim().slice(0, 300) || 'nothing');
  const retryAfterMs = readFeedback(responseHeaders, endpoint.ports.clock.now())?.retryAfterMs ?? null;
  return new ModelCallError({
    message: `The endpoint answered ${statusCode}: ${said}`,
    code: data?.code ?? 'MODEL_CALL_FAILED',
    url,
    statusCode,
    responseHeaders,
    responseBody,
    isRetryable: mayRetry(statusCode),
    ...(data === null ? {} : { data: data.whole }),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  });
}

/** Of a failed answer as much as is kept. What breaks off is as good as what was sent: the status says enough. */
async function beginningOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const bytes of body) {
      text += decoder.decode(bytes, { stream: true });
      if (text.length >= failureBytesMax) break;
    }
  } catch (error) {
    if (!isModelCallError(error)) throw error;
  }
  return text.slice(0, failureBytesMax);
}

/** What an error says of itself. */
export interface SaidError {
  readonly message: string;
  readonly code?: string;
  readonly whole: unknown;
}

/** Reads `{ error: { message, code, type } }` and the forms that endpoints have made of it; null = none of them. */
export function errorOf(body: unknown): SaidError | null {
  const value = typeof body === 'string' ? parsed(body) : body;
  if (!isRecord(value)) return null;
  const inner = value['error'] ?? value;
  if (typeof inner === 'string') return { message: inner, whole: inner };
  if (!isRecord(inner)) return null;
  const message = inner['message'] ?? inner['detail'];
  if (typeof message !== 'string') return null;
  const code = [inner['code'], inner['type']].find((one) => typeof one === 'string' && one !== '');
  return { message, whole: inner, ...(typeof code === 'string' ? { code: code.slice(0, limits.nameLengthMax) } : {}) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Whether a value is an object with names. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Joins the caller's signal with the limits of time, and knows afterwards which of them it was. */
class Watch {
  readonly url: string;
  readonly #endpoint: Endpoint;
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#controller.abort(this.#caller?.reason);
  #cancelTotal: () => void;
  #cancelStep: () => void;
  #late: ModelCallError | null = null;
  #ended = false;

  constructor(endpoint: Endpoint, url: string, caller: AbortSignal | undefined) {
    const { timers } = endpoint.ports;
    const { totalMs, responseMs } = endpoint.times;
    this.#endpoint = endpoint;
    this.url = url;
    this.#caller = caller;
    this.#cancelTotal = timers.after(totalMs, () => this.#expire(`has not ended within ${totalMs} ms`));
    this.#cancelStep = timers.after(responseMs, () => this.#expire(`has not begun within ${responseMs} ms`));
    if (caller?.aborted === true) this.#onAbort();
    else caller?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something has come. */
  moved(): void {
    this.#cancelStep();
    if (this.#ended) return;
    const { idleMs } = this.#endpoint.times;
    this.#cancelStep = this.#endpoint.ports.timers.after(idleMs, () => this.#expire(`was silent for ${idleMs} ms`));
  }

  /** Nothing more is expected; a request that is still open ends. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTotal();
    this.#cancelStep();
    this.#caller?.removeEventListener('abort', this.#onAbort);
    this.#controller.abort();
  }

  /** What a request that ended with `error` has failed with. */
  explain(error: unknown, code: 'MODEL_UNREACHABLE' | 'MODEL_STREAM_CUT' = 'MODEL_UNREACHABLE'): unknown {
    if (this.#late !== null) return this.#late;
    if (this.#caller?.aborted === true) return this.#caller.reason;
    if (isModelCallError(error)) return error;
    const what = code === 'MODEL_UNREACHABLE' ? 'The endpoint cannot be reached' : "The endpoint's answer broke off";
    return this.#error({ message: `${what}: ${reasonOf(error)}`, code, class: 'network', cause: error });
  }

  #expire(what: string): void {
    this.#late = this.#error({ message: `The answer ${what}.`, code: 'MODEL_TIMEOUT', class: 'timeout' });
    this.#controller.abort(this.#late);
  }

  #error(facts: Omit<ModelCallFacts, 'url' | 'isRetryable'>): ModelCallError {
    return new ModelCallError({ ...facts, url: this.url, isRetryable: true });
  }
}

/** `fetch failed` says nothing without what is behind it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}
