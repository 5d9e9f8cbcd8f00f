import { expect, it } from 'vitest';
import { shown } from './shown.js';

it.each<[unknown, string]>([
  ['a"b', String.raw`"a\"b"`],
  ['x'.repeat(100), `"${'x'.repeat(64)}"`],
  [null, 'null'],
  [undefined, 'undefined'],
  [1n, '1'],
  [-0.5, '-0.5'],
  [Symbol('s'), 'Symbol(s)'],
  [[1], 'a list'],
  [{ toString: true }, 'an object'],
  [Object.create(null), 'an object'],
  [() => 1, 'a function'],
])('shows %o without asking it', (value, text) => {
  expect(shown(value)).toBe(text);
});
