import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundedLines, type Line } from './bounded-lines.js';

async function linesOf(pieces: readonly string[], lengthMax = 100): Promise<Line[]> {
  const found: Line[] = [];
  for await (const lines of boundedLines(inTurn(pieces), lengthMax)) found.push(...lines);
  return found;
}

async function* inTurn(pieces: readonly string[]): AsyncGenerator<string> {
  yield* await Promise.resolve(pieces);
}

const texts = (lines: readonly Line[]): (string | null)[] => lines.map(({ text }) => text);

describe('lines of pieces', () => {
  it('are counted from 1, end with LF or CR LF, and the last needs no end', async () => {
    expect(await linesOf(['a\nb\r', '\n\nc'])).toEqual([
      { number: 1, text: 'a' },
      { number: 2, text: 'b' },
      { number: 3, text: '' },
      { number: 4, text: 'c' },
    ]);
    expect(await linesOf([])).toEqual([]);
    expect(texts(await linesOf(['a\n']))).toEqual(['a']);
  });

  it('are the same however the text is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r') })), async (pieces) => {
        expect(texts(await linesOf(pieces))).toEqual(texts(await linesOf([pieces.join('')])));
      }),
    );
  });

  it('that are too long are told of, and do not hide what follows', async () => {
    const pieces = ['x'.repeat(60), 'x'.repeat(60), 'x'.repeat(60), 'x\nshort\n', 'y'.repeat(101)];
    expect(texts(await linesOf(pieces))).toEqual([null, 'short', null]);
    expect(texts(await linesOf(['z'.repeat(100)]))).toEqual(['z'.repeat(100)]);
  });
});
