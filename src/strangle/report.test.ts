import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Durations } from './durations.js';
import { Tally } from './report.js';

describe('durations', () => {
  it('have quantiles that are right to a tenth', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 1, max: 1e7, noNaN: true }), { minLength: 1 }), (values) => {
        const durations = new Durations();
        for (const value of values) durations.add(value);
        const sorted = [...values].sort((a, b) => a - b);
        for (const share of [0.5, 0.95, 1]) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
          const told = durations.quantileMs(share);
          expect(told).toBeGreaterThanOrEqual(Math.floor(exact));
          expect(told).toBeLessThanOrEqual(Math.ceil(exact * 1.1) + 1);
        }
      }),
    );
  });
});

describe('a report', () => {
  it('is the same from its parts, in any order, as from all of it', () => {
    const event = fc.record({
      name: fc.constantFrom('requests', 'old', 'event', 'same', 'different'),
      ms: fc.integer({ min: 0, max: 60_000 }),
      path: fc.constantFrom('body.a', 'body.items.3.b', 'body.items.17.b'),
      part: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const whole = new Tally('route');
        const parts = [0, 1, 2, 3].map(() => new Tally('route'));
        for (const { name, ms, path, part } of events)
          for (const tally of [whole, parts[part]]) {
            tally?.count(name as 'requests');
            tally?.time('mirror', ms);
            if (name === 'different') tally?.differ({ path, kind: 'value' }, 'run_1');
          }
        const sum = new Tally('route');
        for (const tally of parts.reverse()) sum.merge(structuredClone(tally.part()));
        const byPath = (tally: Tally) => {
          const { differences, ...report } = tally.report();
          return { ...report, differences: new Map(differences.map((one) => [one.path, one.count])) };
        };
        expect(byPath(sum)).toEqual(byPath(whole));
      }),
    );
  });

  it('keeps apart no more kinds of differences than it may', () => {
    const tally = new Tally('route');
    for (let i = 0; i < 1_000; i++) tally.differ({ path: `body.x${i}`, kind: 'added' }, 'run_1');
    expect(tally.report().differences.length).toBe(100);
    expect(tally.part().differences.length).toBe(20);
  });
});
