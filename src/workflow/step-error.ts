/**
 * `StepError`: what the body gets when a step or call has failed for good. It is made from what was recorded, so that
 * live code and replay see the same error.
 */
import type { Failure, FailureClass } from '../core/failure.js';

const brand = Symbol.for('eventspine.stepError');

/** A step or call that ran out of attempts. Catchable; uncaught it ends the run in a dead letter. */
export class StepError extends Error {
  readonly [brand] = true;
  /** Code of what went wrong: one of ours, or the `code` or name of the error that was thrown. */
  readonly code: string;
  /** Class of the failure; decides the remedy. */
  readonly class: FailureClass;
  /** Identity of the step inside the run. */
  readonly path: string;
  /** Attempts that were made. */
  readonly attempt: number;
  /** As it was recorded. */
  readonly failure: Failure;

  constructor(path: string, attempt: number, failure: Failure) {
    super(`Step "${path}" failed: ${failure.message}`, { cause: causeOf(failure) });
    this.name = 'StepError';
    this.code = failure.code;
    this.class = failure.class;
    this.path = path;
    this.attempt = attempt;
    this.failure = failure;
  }
}

/** True for a `StepError` of any copy of this package. */
export function isStepError(value: unknown): value is StepError {
  return typeof value === 'object' && value !== null && (value as { [brand]?: unknown })[brand] === true;
}

/** The thrown error as far as it was recorded. */
function causeOf(failure: Failure): Error {
  const cause = new Error(failure.message);
  cause.name = failure.code;
  cause.stack = failure.stack ?? `${failure.code}: ${failure.message}`;
  return cause;
}
