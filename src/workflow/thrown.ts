/**
 * Errors that user code throws on purpose: `Terminal` never helps to be tried again, `Transient` may. Everything else is
 * classified by its shape (core/failure-of.ts).
 */
import { durationMs, type Duration } from '../core/duration.js';
import { failureClasses, type FailureClass } from '../core/failure.js';

const terminalBrand = Symbol.for('eventspine.terminal');
const transientBrand = Symbol.for('eventspine.transient');

/**
 * Ends something for good. Thrown by a body it ends the run as refused, with `code` and `data` as its outcome. Thrown
 * inside a step or handler it ends the retries at once; the body then sees a `StepError` with this code.
 */
export class Terminal extends Error {
  readonly [terminalBrand] = true;
  readonly code: string;
  /** Storable value for the reader of the outcome. */
  readonly data: unknown;
  readonly retryable = false;

  constructor(code: string, data?: unknown, options?: { readonly message?: string; readonly cause?: unknown }) {
    super(options?.message ?? code, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Terminal';
    this.code = code;
    this.data = data;
  }
}

/** Options of `Transient`. */
export interface TransientOptions {
  /** Not before this long. Default: what the retry policy says. */
  readonly retryAfter?: Duration;
  /** Default `dependency`. */
  readonly class?: FailureClass;
  readonly code?: string;
  readonly cause?: unknown;
}

/**
 * Says that another attempt may help. Thrown inside a step or handler it is retried by the policy. Thrown by a body
 * it ends the activation, and the body is tried again by the workflow's `retry`.
 */
export class Transient extends Error {
  readonly [transientBrand] = true;
  readonly code: string;
  readonly class: FailureClass;
  readonly retryable = true;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: TransientOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Transient';
    this.code = options.code ?? 'TRANSIENT';
    this.class = options.class !== undefined && failureClasses.includes(options.class) ? options.class : 'dependency';
    // A faulty pause must not hide the error that carries it.
    this.retryAfterMs = durationMs(options.retryAfter) ?? undefined;
  }
}

/** True for a `Terminal` of any copy of this package. */
export function isTerminal(value: unknown): value is Terminal {
  return (
    typeof value === 'object' && value !== null && (value as { [terminalBrand]?: unknown })[terminalBrand] === true
  );
}

/** True for a `Transient` of any copy of this package. */
export function isTransient(value: unknown): value is Transient {
  return (
    typeof value === 'object' && value !== null && (value as { [transientBrand]?: unknown })[transientBrand] === true
  );
}
