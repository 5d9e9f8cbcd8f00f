import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fromBase64, toBase64 } from './base64.js';

it('writes and reads what the runtime does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = Buffer.from(bytes).toString('base64');
      expect(toBase64(bytes)).toBe(text);
      expect(fromBase64(text)).toStrictEqual(bytes);
    }),
  );
});

it('writes what is longer than a piece', () => {
  // The last of them with the encoder of the runtime, from the midst of a buffer.
  for (const length of [6143, 6144, 6145, 60_000, 100_001]) {
    const bytes = Uint8Array.from({ length: length + 5 }, (_, i) => (i * 7) % 256).subarray(5);
    const text = Buffer.from(bytes).toString('base64');
    expect(toBase64(bytes)).toBe(text);
    expect(fromBase64(text)).toStrictEqual(Uint8Array.from(bytes));
  }
});

it('refuses a text of any length that nobody would write', () => {
  for (const length of [300, 200_000, 2_000_000]) {
    const text = 'AAAA'.repeat(length / 4);
    expect(fromBase64(text)).toHaveLength((length / 4) * 3);
    for (const at of [0, length / 2, length - 4, length - 1])
      for (const wrong of ['-', '=', ' ', '\n', 'é', 'Ā']) {
        const broken = text.slice(0, at) + wrong + text.slice(at + 1);
        if (wrong !== '=' || at !== length - 1) expect(fromBase64(broken)).toBe(null);
      }
    expect(fromBase64(`${text.slice(0, -2)}B=`)).toBe(null);
    expect(fromBase64(`${text.slice(0, -3)}B==`)).toBe(null);
    expect(fromBase64(`${text.slice(0, -4)}====`)).toBe(null);
  }
});

it('refuses padding in the midst of a long text, wherever it is', () => {
  const text = 'AAAA'.repeat(2 ** 19);
  for (const at of [2 ** 20, 2 ** 19, 4]) {
    expect(fromBase64(`${text.slice(0, at - 1)}=${text.slice(at)}`)).toBe(null);
    expect(fromBase64(`${text.slice(0, at - 2)}==${text.slice(at)}`)).toBe(null);
  }
});

it('reads one text only for each row of bytes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('A', 'B', '/', '+', 'z', '=', '-', ' ', 'é', 'Ā'), maxLength: 9 }),
      (text) => {
        const bytes = fromBase64(text);
        if (bytes !== null) expect(toBase64(bytes)).toBe(text);
      },
    ),
    { numRuns: 2_000 },
  );
});
