/** The clock of the cases: time passes when a case says so. */
import type { Clock } from '../../core/ports.js';

/** A clock that stands still until it is told otherwise. */
export interface ManualClock extends Clock {
  advance(ms: number): void;
}

/** A manual clock, standing at an instant of the year 2025. */
export function manualClock(): ManualClock {
  let now = 1_750_000_000_000;
  let monotonic = 0;
  return {
    now: () => now,
    monotonicMs: () => monotonic,
    advance: (ms) => {
      now += ms;
      monotonic += ms;
    },
  };
}
