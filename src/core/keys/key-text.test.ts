import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newId } from '../ids.js';
import { keySecretBytes, keyText, readKeyText } from './key-text.js';

const id = newId('apiKey', {
  clock: { now: () => 1_800_000_000_000, monotonicMs: () => 0 },
  random: { next: () => 0.5, bytes: (length) => new Uint8Array(length).fill(99) },
});
const bytes = fc.uint8Array({ minLength: keySecretBytes, maxLength: keySecretBytes });
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

describe('the text of an API key', () => {
  it('is read as what it was made of, and has one length whatever the secret', () => {
    fc.assert(
      fc.property(bytes, (random) => {
        const text = keyText(id, random);
        expect(text).toHaveLength(80);
        const parts = readKeyText(text);
        expect(parts?.id).toBe(id);
        const value = (parts?.secret ?? '')
          .split('')
          .reduce((sum, one) => sum * 62n + BigInt(alphabet.indexOf(one)), 0n);
        expect(value).toBe(BigInt(`0x${Buffer.from(random).toString('hex')}`));
      }),
    );
  });

  it('ends with the CRC-32 of what comes before it', () => {
    const text = keyText(id, new Uint8Array(keySecretBytes).fill(200));
    const sum = text
      .slice(-6)
      .split('')
      .reduce((value, one) => value * 62 + alphabet.indexOf(one), 0);
    expect(sum).toBe(crc32(text.slice(0, -6)));
  });

  it('is none once any character of it is another', () => {
    const text = keyText(id, new Uint8Array(keySecretBytes).fill(7));
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...alphabet.split(''), '_', '-', 'é'), (at, other) => {
        fc.pre(text[at] !== other);
        expect(readKeyText(text.slice(0, at) + other + text.slice(at + 1))).toBeNull();
      }),
    );
  });

  it.each([
    '',
    'esk_',
    'esk__',
    `esk_${'0'.repeat(26)}_`,
    `esk_${'0'.repeat(26)}_${'0'.repeat(49)}`,
    'x'.repeat(100_000),
  ])('is not %.40j', (text) => {
    expect(readKeyText(text)).toBeNull();
  });
});
