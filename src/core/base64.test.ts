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
  for (const length of [6143, 6144, 6145, 100_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 7) % 256);
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
  }
});

it('reads one text only for each row of bytes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('A', 'B', '/', '+', 'z', '=', '-', ' ', 'é'), maxLength: 9 }),
      (text) => {
        const bytes = fromBase64(text);
        if (bytes !== null) expect(toBase64(bytes)).toBe(text);
      },
    ),
    { numRuns: 2_000 },
  );
});
