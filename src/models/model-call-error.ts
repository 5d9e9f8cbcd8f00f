/**
 * What a call of a model fails with: everything that the endpoint has said, so that triage can tell a full account from
 * a full minute. The names are those of the AI SDK's `APICallError`, and that SDK takes this error for one of its own.
 */
import type { FailureClass } from '../core/failure.js';

/** What is known of a failed call. */
export interface ModelCallFacts {
  readonly message: string;
  readonly url: string;
  /** Provider's own `code` or `type`, or one of ours. */
  readonly code: string;
  readonly statusCode?: number;
  readonly responseHeaders?: Record<string, string>;
  readonly responseBody?: string;
  /** `error` of the answer, as the provider has written it. */
  readonly data?: unknown;
  /** Known only where no answer of the provider says better: cut streams, timeouts, answers that cannot be read. */
  readonly class?: FailureClass;
  readonly isRetryable: boolean;
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * A call of a model has failed. Codes of our own, where the provider gives none: MODEL_CALL_FAILED, MODEL_UNREACHABLE,
 * MODEL_TIMEOUT, MODEL_STREAM_CUT, MODEL_ANSWER_UNREADABLE.
 */
export class ModelCallError extends Error {
  override readonly name = 'ModelCallError';
  readonly code: string;
  readonly url: string;
  /** HTTP status; absent where there was no answer. */
  readonly statusCode?: number;
  /** Names in lower case. */
  readonly responseHeaders?: Record<string, string>;
  /** Cut to 64 KiB. */
  readonly responseBody?: string;
  readonly data?: unknown;
  readonly class?: FailureClass;
  readonly isRetryable: boolean;
  /** Pause that the provider asks for, in ms, however long. */
  readonly retryAfterMs?: number;
  /** Never recorded: prompts may hold anything. */
  readonly requestBodyValues: unknown = {};

  constructor(facts: ModelCallFacts) {
    super(facts.message, 'cause' in facts ? { cause: facts.cause } : undefined);
    this.code = facts.code;
    this.url = facts.url;
    this.isRetryable = facts.isRetryable;
    if (facts.statusCode !== undefined) this.statusCode = facts.statusCode;
    if (facts.responseHeaders !== undefined) this.responseHeaders = facts.responseHeaders;
    if (facts.responseBody !== undefined) this.responseBody = facts.responseBody;
    if (facts.data !== undefined) this.data = facts.data;
    if (facts.class !== undefined) this.class = facts.class;
    if (facts.retryAfterMs !== undefined) this.retryAfterMs = facts.retryAfterMs;
  }
}

// The marks by which the AI SDK knows errors of its providers, whichever copy of it is loaded.
for (const mark of ['vercel.ai.error', 'vercel.ai.error.AI_APICallError']) {
  Object.defineProperty(ModelCallError.prototype, Symbol.for(mark), { value: true });
}

/** Whether a thrown value is a `ModelCallError`, also of another copy of this package. */
export function isModelCallError(value: unknown): value is ModelCallError {
  return value instanceof Error && value.name === 'ModelCallError' && 'isRetryable' in value;
}
