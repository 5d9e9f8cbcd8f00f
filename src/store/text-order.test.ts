import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareText } from './text-order.js';

it('orders as the bytes of UTF-8 do', () => {
  const text = fc.string({ unit: 'binary', maxLength: 6 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 2_000 },
  );
});

it('puts what JavaScript would put last before the higher planes', () => {
  expect(compareText('\uffee', '\u{1f600}')).toBeLessThan(0);
  expect(['\uffee', '\u{1f600}'].toSorted()[0]).toBe('\u{1f600}');
});
