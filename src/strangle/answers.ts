/** What callers of a strangled route are answered, as a `Response`. */
import { isRemoteError, type ReadTokenView, type RemoteError, type RunView } from '../client/index.js';
import { isSpineError } from '../core/errors.js';
import type { FailureClass } from '../core/failure.js';
import type { StartAnswer } from '../protocol/http.js';
import { problemOf, problemType, problemUri, titleOf, isErrorCode } from '../protocol/problem.js';

/** True for a `Response`, by its form. */
export function isResponse(value: unknown): value is Response {
  const { arrayBuffer, status, headers } = (value ?? {}) as Partial<Response>;
  return typeof arrayBuffer === 'function' && typeof status === 'number' && typeof headers?.get === 'function';
}

/** A `Response` as it is; anything else as JSON with 200. */
export function responseOf(value: unknown): Response {
  if (isResponse(value)) return value;
  return jsonResponse(200, value ?? null);
}

export function jsonResponse(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } });
}

/** What is told with 202: where to ask, and when. */
export interface Accepted {
  readonly run: string;
  readonly state: RunView['state'];
  readonly repeated: boolean;
  /** Where this route says more; null = the run in the API. */
  readonly status: string | null;
  readonly api: string;
  readonly retryAfterSeconds: number;
  readonly readToken: ReadTokenView | null;
}

/** The answer that a start through the API has, so that whatever follows runs can follow this one. */
export function acceptedResponse(accepted: Accepted): Response {
  const { run, state, repeated, status, api, retryAfterSeconds, readToken } = accepted;
  const self = `${api}/v1/runs/${encodeURIComponent(run)}`;
  const location = status?.replace(':run', encodeURIComponent(run)) ?? self;
  const answer: StartAnswer = {
    id: run,
    state,
    repeated,
    links: { self: location, history: `${self}/history`, result: `${self}/result`, stream: `${self}/stream` },
    ...(readToken === null ? {} : { readToken }),
  };
  return jsonResponse(202, answer, {
    location,
    'retry-after': String(retryAfterSeconds),
    // A read token is for whoever has asked.
    'cache-control': 'no-store',
  });
}

/** A problem. What has no code of ours is answered without a word of it. */
export function problemResponse(error: unknown, retryAfterSeconds: number | null): Response {
  const problem = isRemoteError(error) ? error.problem : problemOf(error, 'strangle');
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: {
      'content-type': problemType,
      'cache-control': 'no-store',
      ...(retryAfterSeconds === null ? {} : { 'retry-after': String(retryAfterSeconds) }),
    },
  });
}

const statusByClass: Readonly<Partial<Record<string, number>>> = {
  rate_limited: 503,
  quota_exhausted: 503,
  overloaded: 503,
  timeout: 504,
  network: 502,
  dependency: 502,
  context_length_exceeded: 422,
  content_filtered: 422,
  invalid_request: 422,
  payload_too_large: 422,
} satisfies Partial<Record<FailureClass, number>>;
const retryAfterSeconds = 5;

/** The answer to a failed run, unless the options have one: its class decides the status, and its words stay inside. */
export function failedResponse(error: RemoteError, run: string): Response {
  const { failure } = error.problem;
  const isFailure = error.code === 'RUN_FAILED';
  const status = isFailure ? (statusByClass[failure?.class ?? 'unknown'] ?? 500) : error.status;
  const problem = {
    type: problemUri(error.code),
    title: isErrorCode(error.code) ? titleOf(error.code) : error.code,
    status,
    code: error.code,
    detail: isFailure
      ? 'There is no answer: the work for it has failed.'
      : 'The work for this request has ended without an answer.',
    retryable: status === 503,
    run,
  };
  const later = status === 503 ? { 'retry-after': String(retryAfterSeconds) } : {};
  return new Response(JSON.stringify(problem), {
    status,
    headers: { 'content-type': problemType, 'cache-control': 'no-store', ...later },
  });
}

/** True for an error of which it is certain that nothing was begun: a server said so, or none could be reached. */
export function isCertain(error: unknown): boolean {
  if (isRemoteError(error)) return error.kind !== 'internal' && (error.status < 500 || error.status === 503);
  if (!isSpineError(error)) return false;
  if (error.code !== 'SERVER_UNREACHABLE') return true;
  const { cause } = error as { readonly cause?: { readonly cause?: { readonly code?: unknown } } };
  return unreached.has(String(cause?.cause?.code));
}

/** Of a connection that never was. */
const unreached: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** True for an error that says something of the way and nothing of the request. */
export function isOfTheWay(error: unknown): boolean {
  return !isSpineError(error) || error.kind === 'transient' || error.kind === 'internal';
}
