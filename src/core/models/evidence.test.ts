import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareArms,
  emptyTally,
  mergedTally,
  withAnswer,
  withFailure,
  withScore,
  type ArmTally,
} from './arm-tally.js';
import { boundedInterval, differenceInterval, isShown, meanInterval, noSamples, withSample } from './evidence.js';

/** xorshift32: the same numbers in every run of the tests. */
function numbers(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

const alpha = 0.05;
const trials = 150;
const samples = 250;

/** Share of trials in which somebody who looks after every sample is shown a difference. */
function alarms(look: (random: () => number) => boolean): number {
  const random = numbers(0x2545f491);
  let shown = 0;
  for (let trial = 0; trial < trials; trial++) if (look(random)) shown += 1;
  return shown / trials;
}

function looksAtRates([p, q]: readonly [number, number]): number {
  return alarms((random) => {
    let [a, b] = [0, 0];
    for (let n = 1; n <= samples; n++) {
      a += random() < p ? 1 : 0;
      b += random() < q ? 1 : 0;
      if (isShown(differenceInterval(boundedInterval(n, a, alpha / 2), boundedInterval(n, b, alpha / 2)))) return true;
    }
    return false;
  });
}

function looksAtMeans(factor: number): number {
  return alarms((random) => {
    let [a, b] = [noSamples, noSamples];
    for (let n = 1; n <= samples; n++) {
      // Exponential: as skewed as latencies are.
      a = withSample(a, -Math.log(1 - random()));
      b = withSample(b, -Math.log(1 - random()) * factor);
      const [x, y] = [meanInterval(a, alpha / 2), meanInterval(b, alpha / 2)];
      if (x !== null && y !== null && isShown(differenceInterval(x, y))) return true;
    }
    return false;
  });
}

describe('evidence of a difference between arms', () => {
  it('is false at most as often as it says, although somebody looks after every sample', () => {
    expect(looksAtRates([0.1, 0.1])).toBeLessThanOrEqual(alpha);
    expect(looksAtRates([0.5, 0.5])).toBeLessThanOrEqual(alpha);
    expect(looksAtMeans(1)).toBeLessThanOrEqual(alpha);
  });

  it('is found where there is a difference', () => {
    expect(looksAtRates([0.1, 0.35])).toBeGreaterThan(0.9);
    expect(looksAtMeans(2)).toBeGreaterThan(0.9);
  });

  it('would be false far more often, were the interval of one look used at every look', () => {
    const naive = alarms((random) => {
      let [a, b] = [0, 0];
      for (let n = 1; n <= samples; n++) {
        a += random() < 0.5 ? 1 : 0;
        b += random() < 0.5 ? 1 : 0;
        if (n > 20 && Math.abs(a - b) / n > 1.96 * Math.sqrt(0.5 / n)) return true;
      }
      return false;
    });
    expect(naive).toBeGreaterThan(3 * alpha);
  });

  it('has the mean between its bounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, mean) => {
        const { low, high } = boundedInterval(n, n * mean, alpha);
        expect(low).toBeGreaterThanOrEqual(0);
        expect(low).toBeLessThanOrEqual(mean + 1e-9);
        expect(high).toBeGreaterThanOrEqual(mean - 1e-9);
        expect(high).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('tallies of arms', () => {
  const made = fc.array(
    fc.oneof(
      fc.nat(10_000).map((ms) => (tally: ArmTally) => withAnswer(tally, ms, ms * 3)),
      fc.constant((tally: ArmTally) => withFailure(tally)),
      fc.double({ min: 0, max: 1, noNaN: true }).map((score) => (tally: ArmTally) => withScore(tally, score)),
    ),
  );
  const tallyOf = (steps: readonly ((tally: ArmTally) => ArmTally)[]): ArmTally =>
    steps.reduce((tally, step) => step(tally), emptyTally);

  it('add up to the tally of all samples, however they were parted', () => {
    fc.assert(
      fc.property(made, made, (a, b) => {
        const whole = tallyOf([...a, ...b]);
        const merged = mergedTally(tallyOf(a), tallyOf(b));
        expect(merged.inferences).toBe(whole.inferences);
        expect(merged.latency.mean).toBeCloseTo(whole.latency.mean, 6);
        expect(Math.abs(merged.latency.m2 - whole.latency.m2)).toBeLessThanOrEqual(1e-6 * (1 + whole.latency.m2));
        expect(merged.scores.sum).toBeCloseTo(whole.scores.sum, 9);
      }),
    );
  });

  it('are compared in what both arms have', () => {
    let [a, b] = [emptyTally, emptyTally];
    for (let i = 0; i < 400; i++) {
      a = withAnswer(a, 100 + (i % 7), 5);
      b = i % 2 === 0 ? withFailure(b) : withAnswer(b, 300 + (i % 7), 5);
    }
    expect(compareArms(a, emptyTally, alpha)).toEqual([]);
    expect(compareArms(a, b, alpha).map(({ of, isShown: shown }) => [of, shown])).toEqual([
      ['failures', true],
      ['latencyMs', true],
      ['costMicros', false],
    ]);
  });
});
