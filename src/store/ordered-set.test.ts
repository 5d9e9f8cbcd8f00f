import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OrderedSet } from './ordered-set.js';

const numbers = fc.array(fc.record({ add: fc.boolean(), value: fc.integer({ min: 0, max: 60 }) }), { maxLength: 300 });

it('holds what a sorted list without doubles would hold', () => {
  fc.assert(
    fc.property(numbers, fc.integer({ min: -1, max: 61 }), (steps, from) => {
      const set = new OrderedSet<number>((a, b) => a - b);
      const model = new Set<number>();
      for (const { add, value } of steps) {
        if (add) {
          set.add(value);
          model.add(value);
        } else expect(set.delete(value)).toBe(model.delete(value));
      }
      const sorted = [...model].sort((a, b) => a - b);
      expect([...set]).toEqual(sorted);
      expect(set.size).toBe(sorted.length);
      expect(set.first()).toBe(sorted[0]);
      expect([...set.walk(from, 'up')]).toEqual(sorted.filter((value) => value > from));
      expect([...set.walk(from, 'down')]).toEqual(sorted.filter((value) => value < from).toReversed());
    }),
  );
});

it('stays in order over many chunks', () => {
  const set = new OrderedSet<number>((a, b) => a - b);
  for (let i = 0; i < 20_000; i++) set.add((i * 7_919) % 20_011);
  for (let i = 0; i < 20_011; i += 3) set.delete(i);
  const items = [...set];
  expect(items).toEqual(items.toSorted((a, b) => a - b));
  expect(items.every((item) => item % 3 !== 0)).toBe(true);
  expect([...set.walk(10_000, 'down')].length + [...set.walk(10_000, 'up')].length).toBe(
    items.filter((item) => item !== 10_000).length,
  );
});

it('replaces an item that compares equal', () => {
  const set = new OrderedSet<{ readonly key: number; readonly text: string }>((a, b) => a.key - b.key);
  set.add({ key: 1, text: 'old' });
  set.add({ key: 1, text: 'new' });
  expect([...set]).toEqual([{ key: 1, text: 'new' }]);
});
