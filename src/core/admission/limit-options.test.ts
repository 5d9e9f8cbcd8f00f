import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limitDimensions } from './limit.js';
import { optionsOf, readLimit, specFaults, type LimitOptions } from './limit-options.js';

const read = (
  options: unknown,
): { readonly spec: ReturnType<typeof readLimit>; readonly faults: readonly string[] } => {
  const faults: string[] = [];
  return { spec: readLimit('l', options, (fault) => faults.push(fault)), faults };
};

describe('options of a limit', () => {
  const dimensions = fc.uniqueArray(fc.constantFrom(...limitDimensions));
  const scope = fc.constantFrom('named', 'inferences');
  const slots = fc.oneof(fc.nat(1_000), fc.record({ max: fc.constant(50), min: fc.integer({ min: 1, max: 50 }) }));
  const rate = fc.record({ tokens: fc.integer({ min: 1, max: 1_000_000 }), per: fc.constantFrom('1s', '1m', 1_500) });
  const budget = fc.record({
    amount: fc.nat(1_000_000_000).map((n) => n / 1_000),
    per: fc.constantFrom('day', 'month'),
    timeZone: fc.constantFrom('UTC', 'Europe/Berlin'),
  });
  const options = fc.oneof(
    fc.record({ concurrency: slots, by: dimensions, scope }),
    fc.record({ rate, by: dimensions, scope }),
    fc.record({ budget, by: dimensions, scope }),
  ) as fc.Arbitrary<LimitOptions>;

  it('are read, written and read again as the same limit, which a manifest may have', () => {
    fc.assert(
      fc.property(options, (given) => {
        const { spec, faults } = read(given);
        expect(faults).toEqual([]);
        expect(read(optionsOf(spec))).toEqual({ spec, faults: [] });
        expect(specFaults(JSON.parse(JSON.stringify(spec)))).toEqual([]);
      }),
    );
  });

  it('are refused with what is wrong, whatever they are', () => {
    expect(read({}).faults).toEqual([expect.stringContaining('exactly one')]);
    expect(read({ concurrency: 1, rate: { tokens: 1, per: '1s' } }).faults).toHaveLength(1);
    expect(read({ rate: { per: '1s' } }).faults).toEqual(['"rate" has either "requests" or "tokens"']);
    expect(read({ rate: { tokens: 5, per: '2d' } }).faults).toEqual([expect.stringContaining('1 day')]);
    expect(read({ budget: { amount: -1, per: 'week' } }).faults).toHaveLength(2);
    expect(read({ budget: { amount: 1, per: 'run' } }).faults).toEqual([expect.stringContaining('by" run')]);
    expect(read({ concurrency: 2, by: ['nobody'] }).faults).toEqual([expect.stringContaining('nobody')]);
    fc.assert(fc.property(fc.anything(), (given) => void read(given)));
    fc.assert(fc.property(fc.anything(), (given) => Array.isArray(specFaults(given))));
  });
});
