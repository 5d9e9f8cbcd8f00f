/**
 * `Cancelled`: what pending awaits of a body reject with when their scope is given up, because the run was cancelled,
 * a race was decided, or a sibling item of a map failed. Let it pass, so that `finally` blocks run.
 */

const brand = Symbol.for('eventspine.cancelled');

/** Why a scope was given up. */
export type CancelCause = 'run_cancelled' | 'race_lost' | 'sibling_failed';

/** A scope was given up. */
export class Cancelled extends Error {
  readonly [brand] = true;
  readonly code = 'RUN_CANCELLED';
  readonly retryable = false;
  /** What gave the scope up. */
  readonly by: CancelCause;
  /** The reason given with the cancellation, if any. */
  readonly reason: string | null;

  constructor(by: CancelCause, reason: string | null = null) {
    super(texts[by] + (reason === null ? '.' : `: ${reason}`));
    this.name = 'Cancelled';
    this.by = by;
    this.reason = reason;
  }
}

const texts: Readonly<Record<CancelCause, string>> = {
  run_cancelled: 'The run was cancelled',
  race_lost: 'Another branch of the race has won',
  sibling_failed: 'Another item of the map has failed',
};

/**
 * True for a `Cancelled` of any copy of this package. Code that watches for unhandled rejections may let these pass: a
 * promise of a given-up scope that nobody awaits is no fault.
 */
export function isCancelled(value: unknown): value is Cancelled {
  return typeof value === 'object' && value !== null && (value as { [brand]?: unknown })[brand] === true;
}
