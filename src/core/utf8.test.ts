import fc from 'fast-check';
import { expect, it } from 'vitest';
import { exceedsUtf8, utf8Length } from './utf8.js';

it('counts bytes as the runtime writes them, lone surrogates included', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀', '\ud800', '\udc00'), maxLength: 20 }),
      fc.nat(60),
      (text, max) => {
        const bytes = Buffer.byteLength(text);
        expect(utf8Length(text)).toBe(bytes);
        expect(exceedsUtf8(text, max)).toBe(bytes > max);
      },
    ),
    { numRuns: 1_000 },
  );
});
