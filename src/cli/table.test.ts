import { describe, expect, it } from 'vitest';
import { nearest } from './suggest.js';
import { plainText, renderPairs, renderTable } from './table.js';
import { ago, span } from './words.js';

describe('renderTable', () => {
  it('aligns columns and leaves no blanks at the end of lines', () => {
    expect(
      renderTable(
        ['A', 'LONG'],
        [
          ['abc', ''],
          ['x', 'y'],
        ],
      ),
    ).toEqual(['A    LONG', 'abc', 'x    y']);
  });

  it('cuts the widest column to keep to the terminal', () => {
    const lines = renderTable(['ID', 'MESSAGE'], [['run_1', 'm'.repeat(100)]], 40);
    expect(Math.max(...lines.map((line) => line.length))).toBe(40);
    expect(lines[1]).toMatch(/^run_1 {2}m+…$/);
  });

  it('keeps control characters from the terminal', () => {
    expect(plainText('a\u001b[31mb\nc\u009bd')).toBe('a [31mb c d');
    expect(renderPairs([['x', '\u0007']])).toEqual(['x']);
  });
});

describe('nearest', () => {
  it.each([
    ['serv', 'serve'],
    ['wroker', 'worker'],
    ['quues', 'queues'],
  ])('finds what %s was meant to be', (given, meant) => {
    expect(nearest(given, ['serve', 'worker', 'queues', 'run'])).toBe(meant);
  });

  it('does not guess where nothing is near', () => {
    expect(nearest('xyzzy', ['serve', 'worker', 'run'])).toBeNull();
  });
});

describe('span', () => {
  it.each([
    [0, '0ms'],
    [999, '999ms'],
    [1_500, '1.5s'],
    [12_900, '12s'],
    [3_600_000, '1h'],
    [86_400_000 * 12, '12d'],
  ])('says %d ms as %s', (ms, text) => {
    expect(span(ms)).toBe(text);
  });

  it('never says that something is in the future because clocks differ', () => {
    expect(ago('2026-01-01T00:00:10.000Z', Date.parse('2026-01-01T00:00:00.000Z'))).toBe('0ms');
  });
});
