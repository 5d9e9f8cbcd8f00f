import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { desiredWorkers, type ScaleBounds } from '../core/scale.js';
import { planned, remember, type Wanted, type WantedLately } from './scale-plan.js';

/** Measurements over time, with pauses between them. */
const series = (workers: fc.Arbitrary<number>): fc.Arbitrary<Wanted[]> =>
  fc
    .array(fc.record({ pauseMs: fc.integer({ min: 0, max: 40 }), workers }), { minLength: 1, maxLength: 80 })
    .map((steps) => {
      let atMs = 0;
      return steps.map(({ pauseMs, workers: wanted }) => ({ atMs: (atMs += pauseMs), workers: wanted }));
    });
const window = fc.integer({ min: 0, max: 200 });

/** The plan after each measurement. */
function plans(wanted: readonly Wanted[], windowMs: number): number[] {
  let lately: WantedLately = [];
  return wanted.map((one) => planned((lately = remember(lately, one, windowMs))));
}

describe('the plan', () => {
  it('is never outside of the bounds, whatever the backlog does', () => {
    const bounds = fc
      .record({
        targetPerWorker: fc.integer({ min: 1, max: 20 }),
        min: fc.integer({ min: 0, max: 9 }),
        more: fc.nat(20),
        activation: fc.nat(30),
      })
      .map(({ more, ...rest }): ScaleBounds => ({ ...rest, max: rest.min + more }));
    fc.assert(
      fc.property(series(fc.nat(1_000)), bounds, window, (backlogs, within, windowMs) => {
        const wanted = backlogs.map(({ atMs, workers }) => ({ atMs, workers: desiredWorkers(workers, within) }));
        for (const workers of plans(wanted, windowMs)) {
          expect(workers).toBeGreaterThanOrEqual(within.min);
          expect(workers).toBeLessThanOrEqual(within.max);
        }
      }),
    );
  });

  it('is the most that was wanted within the window', () => {
    fc.assert(
      fc.property(series(fc.nat(30)), window, (wanted, windowMs) => {
        plans(wanted, windowMs).forEach((workers, i) => {
          const nowMs = wanted[i]?.atMs ?? 0;
          const lately = wanted.slice(0, i + 1).filter(({ atMs }, j) => j === i || nowMs - atMs < windowMs);
          expect(workers).toBe(Math.max(...lately.map((one) => one.workers)));
        });
      }),
    );
  });

  it('goes up at once', () => {
    fc.assert(
      fc.property(series(fc.nat(30)), window, (wanted, windowMs) => {
        plans(wanted, windowMs).forEach((workers, i) =>
          expect(workers).toBeGreaterThanOrEqual(wanted[i]?.workers ?? 0),
        );
      }),
    );
  });

  it('does not flap: while every worker count comes back within the window, it never goes down', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 9 }), fc.nat(20), (rounds, high, low) => {
        const windowMs = 100;
        // The highest number shows up every 90 ms, anything below it in between.
        const wanted = Array.from({ length: rounds * 9 }, (_, i) => ({
          atMs: i * 10,
          workers: i % 9 === 0 ? high + low : (i * 7) % (high + low),
        }));
        const seen = plans(wanted, windowMs);
        expect(new Set(seen).size).toBe(1);
      }),
    );
  });

  it('turns at most once in each window', () => {
    fc.assert(
      fc.property(series(fc.nat(30)), fc.integer({ min: 20, max: 200 }), (wanted, windowMs) => {
        // Between a rise and the next fall below what was risen to lies a whole window.
        const seen = plans(wanted, windowMs);
        let roseAtMs = Number.NEGATIVE_INFINITY;
        for (let i = 1; i < seen.length; i++) {
          const [before = 0, now = 0] = [seen[i - 1], seen[i]];
          const atMs = wanted[i]?.atMs ?? 0;
          if (now > before) roseAtMs = atMs;
          if (now < before) expect(atMs - roseAtMs).toBeGreaterThanOrEqual(windowMs);
        }
      }),
    );
  });

  it('reaches what is wanted when that has stayed for a window', () => {
    fc.assert(
      fc.property(series(fc.nat(30)), window, fc.nat(30), (wanted, windowMs, steady) => {
        const from = wanted.at(-1)?.atMs ?? 0;
        const calm = [0, 1 / 2, 1].map((part) => ({ atMs: from + Math.ceil(part * windowMs) + 1, workers: steady }));
        expect(plans([...wanted, ...calm], windowMs).at(-1)).toBe(steady);
      }),
    );
  });

  it('remembers no more than there are different numbers, however long it runs', () => {
    let lately: WantedLately = [];
    for (let i = 0; i < 10_000; i++) {
      lately = remember(lately, { atMs: i, workers: (i * 31) % 8 }, 1_000_000);
      expect(lately.length).toBeLessThanOrEqual(8);
    }
  });
});
