/**
 * From whatever user code throws to a recorded `Failure`: its class, its code, and whether another attempt may help.
 * Steps and capability calls share these rules. They look at shapes (name, `retryable`, `status`, `code`, `cause`),
 * never at prototypes, because errors come from many libraries and from other copies of this package. What the error says
 * in words is read by triage (`core/triage`), which knows that a status often means something else.
 *
 * Invariant: total. No thrown value, however odd, makes `failureOf` throw.
 */
import { pauseOf, readFeedback, type HeaderSource } from './admission/feedback.js';
import { isSpineError, type ErrorCode, type SpineError } from './errors.js';
import {
  failure,
  failureClasses,
  type Failure,
  type FailureClass,
  type FailureShadow,
  type FailureTriage,
} from './failure.js';
import { limits } from './limits.js';
import type { Triage } from './triage/classify.js';
import { classifyByForce } from './triage/in-force.js';

/** What the rules found; the texts come from the thrown value. */
interface Verdict {
  readonly class: FailureClass;
  readonly retryable: boolean;
}

type Shape = Readonly<Record<string, unknown>>;

/**
 * Classifies a thrown value. In order of weight: what the error says of itself (`retryable: boolean`, `class` out of
 * `failureClasses`), errors of our catalogue, provider codes (`context_length_exceeded` ...), HTTP status (`status`,
 * `statusCode`, `response.status`), names of aborts and timeouts, network codes (`ECONNRESET`, `UND_ERR_*` ...), each
 * also in the chain of `cause`.
 *
 * Triage reads the message and the body of the answer. Where there is a provider code or a status and the words are
 * clear, they decide: a 429 whose body says that credit is used up is `quota_exhausted` and not retryable. Words alone
 * name the class where they mean the same in any program, and never end the attempts: an error that nothing else is known
 * about stays retryable, and is `unknown` where its words are not clear.
 *
 * `retryAfterMs` is read from `retryAfterMs` (ms), `retryAfter` (seconds), the headers by which providers speak of their
 * limits (`readFeedback`), or the words of a provider that has no capacity for now. It is kept however long it is, up to
 * `limits.retryPauseMsMax`. `now`: epoch ms on the clock of whoever has caught it, for headers that name an instant; without
 * one these say nothing.
 */
export function failureOf(thrown: unknown, now: number | null = null): Failure {
  const chain = causesOf(thrown);
  const { verdict: triage, shadow } = triageOf(thrown, chain);
  const verdict = verdictOf(chain, triage);
  const retryAfterMs = firstOf(chain, (shape) => retryAfterOf(shape, verdict, now)) ?? statedPause(verdict, triage);
  const stack = textOf(chain[0], 'stack');
  return failure({
    class: verdict.class,
    code: codeOf(thrown, chain),
    message: messageOf(thrown, chain),
    retryable: verdict.retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(stack === undefined ? {} : { stack }),
    ...(triage === null || triage.label !== verdict.class ? {} : { triage: recorded(triage) }),
    ...(triage === null || shadow === null ? {} : { shadow: besideOf(chain, triage, shadow) }),
  });
}

function besideOf(chain: readonly Shape[], { label: against }: Triage, shadow: Triage): FailureShadow {
  const { label, version } = shadow;
  return { label, against, class: verdictOf(chain, shadow).class, version };
}

function recorded({ remedy, confidence, reason, version, extract }: Triage): FailureTriage {
  const { limit, used } = extract ?? {};
  return { remedy, confidence, reason, version, ...sizeOf('limit', limit), ...sizeOf('used', used) };
}

function sizeOf<Name extends string>(name: Name, size: number | undefined): { readonly [N in Name]?: number } {
  return size !== undefined && Number.isSafeInteger(size) ? ({ [name]: size } as { [N in Name]: number }) : {};
}

/** Causes looked at; longer chains are of no use and cyclic ones must end. */
const causesMax = 5;

function causesOf(thrown: unknown): Shape[] {
  const chain: Shape[] = [];
  let at: unknown = thrown;
  while (isShape(at) && chain.length < causesMax && !chain.includes(at)) {
    chain.push(at);
    at = read(at, 'cause');
  }
  return chain;
}

function verdictOf(chain: readonly Shape[], triage: Triage | null): Verdict {
  const said = firstOf(chain, (shape) => {
    const retryable = read(shape, 'retryable');
    return typeof retryable === 'boolean' ? retryable : undefined;
  });
  const named = firstOf(chain, (shape) => {
    const value = read(shape, 'class');
    return isFailureClass(value) ? value : undefined;
  });
  const found = refined(chain, triage);
  return {
    class: named ?? found.class,
    retryable: said ?? (named === undefined ? found.retryable : !final.has(named)),
  };
}

function refined(chain: readonly Shape[], triage: Triage | null): Verdict {
  const shaped = firstOf(chain, ruled);
  if (shaped === undefined) return byWordsAlone(triage);
  const sure = triage !== null && triage.explicit && triage.confidence >= sureOverShape && triage.label !== 'unknown';
  return shaped.open && sure ? { class: triage.label, retryable: triage.retryable } : shaped.verdict;
}

/** A verdict from the shape of an error. Provider codes and statuses leave it open to what the words say. */
interface Shaped {
  readonly verdict: Verdict;
  readonly open: boolean;
}

function ruled(shape: Shape): Shaped | undefined {
  const ours = byCatalogue(shape);
  if (ours !== undefined) return { verdict: ours, open: false };
  const answered = byProviderCode(shape) ?? byStatus(shape);
  if (answered !== undefined) return { verdict: answered, open: true };
  const thrown = byName(shape) ?? byNetworkCode(shape);
  return thrown === undefined ? undefined : { verdict: thrown, open: false };
}

/** How sure triage must be to overrule a provider code or a status, and to name the class where there is neither. */
const sureOverShape = 0.6;
const sureAlone = 0.8;

/** Classes whose words mean the same in any program: not each "no funds" is a quota, nor each "model not found" a model. */
const plainClasses: ReadonlySet<FailureClass> = new Set([
  'context_length_exceeded',
  'rate_limited',
  'overloaded',
  'timeout',
  'network',
  'dependency',
  'content_filtered',
]);

/** A retry too many costs an attempt; an attempt that is not made for the sake of a word costs the run. */
function byWordsAlone(triage: Triage | null): Verdict {
  const sure = triage !== null && triage.explicit && triage.confidence >= sureAlone && plainClasses.has(triage.label);
  return { class: sure ? triage.label : 'unknown', retryable: true };
}

interface Said {
  readonly verdict: Triage | null;
  readonly shadow: Triage | null;
}

/** Triage of what the error says; null for what says nothing and for errors of ours, which say what they are. */
function triageOf(thrown: unknown, chain: readonly Shape[]): Said {
  const nothing = { verdict: null, shadow: null };
  if (chain.some((shape) => catalogued(shape) !== undefined)) return nothing;
  const texts = chain.length === 0 && typeof thrown === 'string' ? [thrown] : chain.flatMap(textsOf);
  if (texts.length === 0) return nothing;
  return classifyByForce({
    text: texts.join('\n'),
    httpStatus: firstOf(chain, statusOf) ?? null,
    codes: chain.flatMap((shape) => ['code', 'type', 'name'].flatMap((name) => textOf(shape, name) ?? [])),
  });
}

/** Fields under which libraries keep the answer of a provider: a text, or an object that says it in fields like these. */
const answerFields = ['responseBody', 'body', 'error', 'data', 'response'] as const;
const answerDepthMax = 3;

function textsOf(shape: Shape): string[] {
  return saidBy(shape, answerDepthMax);
}

function saidBy(shape: Shape, depth: number): string[] {
  const own = ['message', 'type', 'code', 'reason', 'detail'].flatMap((name) => textOf(shape, name) ?? []);
  if (depth === 0) return own;
  return answerFields.reduce((said, name) => {
    const value = read(shape, name);
    if (typeof value === 'string') said.push(value);
    else if (isShape(value)) said.push(...saidBy(value, depth - 1));
    return said;
  }, own);
}

/** A pause that the words state, where waiting is the remedy. */
function statedPause(verdict: Verdict, triage: Triage | null): number | undefined {
  return isWaitedFor(verdict) ? pause(triage?.extract?.retry_after_s, 1_000) : undefined;
}

function isWaitedFor({ class: kind }: Verdict): boolean {
  return kind === 'rate_limited' || kind === 'overloaded';
}

/** Classes that the same request meets again, whenever it is sent. */
const final: ReadonlySet<FailureClass> = new Set([
  'context_length_exceeded',
  'quota_exhausted',
  'auth',
  'permission',
  'content_filtered',
  'invalid_request',
  'model_not_found',
  'payload_too_large',
  'poison',
  'cancelled',
]);

const verdict = (failureClass: FailureClass): Verdict => ({
  class: failureClass,
  retryable: !final.has(failureClass),
});

const catalogueClasses: Partial<Record<ErrorCode, FailureClass>> = {
  INPUT_INVALID: 'poison',
  EVENT_UNREADABLE: 'poison',
  PAYLOAD_UNREADABLE: 'poison',
  OUTPUT_INVALID: 'invalid_output',
  VALUE_UNSTORABLE: 'invalid_output',
  RUN_CANCELLED: 'cancelled',
  TASK_TIMEOUT: 'timeout',
  BLOB_NOT_FOUND: 'dependency',
  SERVER_UNREACHABLE: 'network',
};

function byCatalogue(shape: Shape): Verdict | undefined {
  const error = catalogued(shape);
  if (error === undefined) return undefined;
  // What returned a wrong output, a model above all, may return a right one next time.
  const retryable = error.kind === 'transient' || error.code === 'OUTPUT_INVALID';
  return { class: catalogueClasses[error.code] ?? 'internal', retryable };
}

/** Asking a hostile proxy for the brand may throw, and then it is not one of ours. */
function catalogued(shape: Shape): SpineError | undefined {
  try {
    return isSpineError(shape) ? shape : undefined;
  } catch {
    return undefined;
  }
}

/** Codes and types by which the providers of models name what went wrong, whatever the HTTP status. */
const providerCodes: Readonly<Record<string, FailureClass>> = {
  context_length_exceeded: 'context_length_exceeded',
  rate_limit_exceeded: 'rate_limited',
  rate_limit_error: 'rate_limited',
  insufficient_quota: 'quota_exhausted',
  billing_error: 'quota_exhausted',
  overloaded_error: 'overloaded',
  server_overloaded: 'overloaded',
  invalid_api_key: 'auth',
  authentication_error: 'auth',
  permission_error: 'permission',
  content_filter: 'content_filtered',
  content_policy_violation: 'content_filtered',
  model_not_found: 'model_not_found',
  invalid_request_error: 'invalid_request',
  request_too_large: 'payload_too_large',
  timeout_error: 'timeout',
};

function byProviderCode(shape: Shape): Verdict | undefined {
  for (const text of [textOf(shape, 'code'), textOf(shape, 'type')]) {
    const found = text === undefined || !Object.hasOwn(providerCodes, text) ? undefined : providerCodes[text];
    if (found !== undefined) return verdict(found);
  }
  return undefined;
}

function byStatus(shape: Shape): Verdict | undefined {
  const status = statusOf(shape);
  return status === undefined ? undefined : ofStatus(status);
}

function statusOf(shape: Shape): number | undefined {
  const response = read(shape, 'response');
  const candidates = [read(shape, 'status'), read(shape, 'statusCode'), isShape(response) && read(response, 'status')];
  const status = candidates.find((value) => typeof value === 'number' && value >= 400 && value <= 599);
  return typeof status === 'number' ? status : undefined;
}

function ofStatus(status: number): Verdict {
  switch (status) {
    case 401:
      return verdict('auth');
    case 402:
      return verdict('quota_exhausted');
    case 403:
      return verdict('permission');
    case 408:
    case 504:
      return verdict('timeout');
    case 409:
    case 423:
    case 425:
      return verdict('dependency');
    case 413:
      return verdict('payload_too_large');
    case 429:
      return verdict('rate_limited');
    case 503:
    case 529:
      return verdict('overloaded');
    case 451:
      return verdict('content_filtered');
    case 501:
    case 505:
      return verdict('invalid_request');
    default:
      return verdict(status >= 500 ? 'dependency' : 'invalid_request');
  }
}

function byName(shape: Shape): Verdict | undefined {
  switch (textOf(shape, 'name')) {
    case 'AbortError':
    case 'TimeoutError':
    case 'APIConnectionTimeoutError':
      return verdict('timeout');
    case 'Cancelled':
      return verdict('cancelled');
    case 'APIConnectionError':
      return verdict('network');
    default:
      return undefined;
  }
}

const timeoutCodes: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);

const networkCodes: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'UND_ERR_SOCKET',
  'UND_ERR_CLOSED',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

function byNetworkCode(shape: Shape): Verdict | undefined {
  const code = textOf(shape, 'code');
  if (code === undefined) return undefined;
  if (timeoutCodes.has(code)) return verdict('timeout');
  return networkCodes.has(code) ? verdict('network') : undefined;
}

function retryAfterOf(shape: Shape, verdict: Verdict, now: number | null): number | undefined {
  return (
    pause(read(shape, 'retryAfterMs'), 1) ??
    pause(read(shape, 'retryAfter'), 1_000) ??
    pause(pauseOfHeaders(shape, verdict, now), 1)
  );
}

function pauseOfHeaders(shape: Shape, verdict: Verdict, now: number | null): number | undefined {
  const response = read(shape, 'response');
  const own = read(shape, 'headers') ?? read(shape, 'responseHeaders');
  const headers = own ?? (isShape(response) ? read(response, 'headers') : undefined);
  if (!isShape(headers)) return undefined;
  const feedback = readFeedback(textsOnly(headers), now);
  if (feedback === null) return undefined;
  // When a limit is full again says something where it is a limit that was met.
  return (isWaitedFor(verdict) ? pauseOf(feedback) : feedback.retryAfterMs) ?? undefined;
}

/** Headers out of a `Headers`-like object or a plain record, with whatever throws or is no text left out. */
function textsOnly(headers: Shape): HeaderSource {
  const get = read(headers, 'get');
  const names = typeof get === 'function' ? null : namesOf(headers);
  return {
    get(name) {
      try {
        const key = names?.find((one) => one.toLowerCase() === name) ?? name;
        const value: unknown = typeof get === 'function' ? get.call(headers, name) : headers[key];
        return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
      } catch {
        return null;
      }
    },
  };
}

function namesOf(headers: Shape): string[] {
  try {
    return Object.keys(headers);
  } catch {
    return [];
  }
}

function pause(value: unknown, unitMs: number): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number) || number < 0) return undefined;
  return Math.min(Math.ceil(number * unitMs), limits.retryPauseMsMax);
}

/** The error's own code, the code of what caused it, else its name. */
function codeOf(thrown: unknown, chain: readonly Shape[]): string {
  const code = firstOf(chain, (shape) => textOf(shape, 'code') || undefined);
  return code ?? (textOf(chain[0], 'name') || (isShape(thrown) ? 'Error' : 'THROWN_VALUE'));
}

function messageOf(thrown: unknown, chain: readonly Shape[]): string {
  const first = chain[0];
  if (first === undefined) return describe(thrown);
  const message = textOf(first, 'message') ?? describe(thrown);
  // `fetch failed` and its like say nothing without what is behind them.
  const cause = chain.length > 1 ? textOf(chain[1], 'message') : undefined;
  return cause === undefined || cause === '' || message.includes(cause) ? message : `${message}: ${cause}`;
}

function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  if (typeof thrown === 'object' && thrown !== null) return 'An object that is not an error was thrown.';
  if (typeof thrown === 'function') return 'A function was thrown.';
  return `${String(thrown)} was thrown.`;
}

function isFailureClass(value: unknown): value is FailureClass {
  return typeof value === 'string' && (failureClasses as readonly string[]).includes(value);
}

function isShape(value: unknown): value is Shape {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** Reads a property; a getter or proxy that throws counts as absent. */
function read(shape: Shape, name: string): unknown {
  try {
    return shape[name];
  } catch {
    return undefined;
  }
}

function textOf(shape: Shape | undefined, name: string): string | undefined {
  const value = shape === undefined ? undefined : read(shape, name);
  return typeof value === 'string' ? value : undefined;
}

function firstOf<T>(chain: readonly Shape[], of: (shape: Shape) => T | undefined): T | undefined {
  for (const shape of chain) {
    const found = of(shape);
    if (found !== undefined) return found;
  }
  return undefined;
}
