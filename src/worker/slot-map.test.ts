import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlotMap } from './slot-map.js';

type Op = { readonly op: 'set' | 'delete' | 'clear'; readonly key: number };

const ops = fc.array(
  fc.record({
    op: fc.oneof(
      { weight: 6, arbitrary: fc.constant('set' as const) },
      { weight: 4, arbitrary: fc.constant('delete' as const) },
      { weight: 1, arbitrary: fc.constant('clear' as const) },
    ),
    key: fc.nat({ max: 8 }),
  }),
  { maxLength: 60 },
);

describe('SlotMap', () => {
  it('holds what a Map holds, in the same order, whatever is done to both', () => {
    fc.assert(
      fc.property(ops, (given: readonly Op[]) => {
        const map = new Map<number, object>();
        const slots = new SlotMap<number, object>();
        for (const { op, key } of given) {
          if (op === 'clear') {
            map.clear();
            slots.clear();
          } else if (op === 'delete') expect(slots.delete(key)).toBe(map.delete(key));
          else {
            const value = {};
            map.set(key, value);
            slots.set(key, value);
          }
          expect(slots.size).toBe(map.size);
          expect([...slots]).toEqual([...map]);
          expect([...slots.keys()]).toEqual([...map.keys()]);
          const values = [...slots.values()];
          expect(values.every((value, i) => value === [...map.values()][i])).toBe(true);
          for (let k = 0; k <= 8; k++) {
            expect(slots.get(k)).toBe(map.get(k));
            expect(slots.has(k)).toBe(map.has(k));
          }
        }
      }),
    );
  });

  it('goes on over entries that are deleted and put in again while it is read', () => {
    const slots = new SlotMap<string, number>();
    for (const [i, key] of ['a', 'b', 'c'].entries()) slots.set(key, i);
    const seen: string[] = [];
    for (const [key, value] of slots) {
      seen.push(key);
      if (seen.length <= 2) {
        slots.delete(key);
        slots.set(key, value);
      }
    }
    expect(seen).toEqual(['a', 'b', 'c', 'a', 'b']);
    expect([...slots.values()]).toEqual([2, 0, 1]);
  });

  it('uses the slots of deleted entries again', () => {
    const slots = new SlotMap<number, number>();
    for (let i = 0; i < 1_000; i++) {
      slots.set(i, i);
      slots.delete(i - 3);
    }
    expect([...slots]).toEqual([
      [997, 997],
      [998, 998],
      [999, 999],
    ]);
  });
});
