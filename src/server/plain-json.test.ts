import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeValue, jsonOf } from '../core/codec.js';
import { plainJsonOf } from './plain-json.js';

const told = (text: string): unknown => {
  const found = plainJsonOf(new TextEncoder().encode(text));
  return found === null ? null : [JSON.parse(new TextDecoder().decode(found))];
};

it('tells what decoding would show, or that it takes decoding to know', () => {
  const values = fc.anything({ withDate: true, withMap: true, withSet: true, withBigInt: true, withTypedArray: true });
  fc.assert(
    fc.property(fc.oneof(values, fc.uint8Array(), fc.constantFrom('$', { $: 1 }, { $bytes: 'x' })), (value) => {
      let text: string;
      try {
        text = encodeValue(value).text;
      } catch {
        return;
      }
      const found = told(text);
      if (found !== null) expect(found).toEqual([jsonOf(text) ?? null]);
    }),
  );
});

it('knows plain JSON and bytes at a glance, and nothing that has tags inside', () => {
  expect(told('{"a":[1,"x"]}')).toEqual([{ a: [1, 'x'] }]);
  expect(told(encodeValue(new Uint8Array([1, 2, 3])).text)).toEqual(['AQID']);
  expect(told(encodeValue({ at: new Date(0) }).text)).toBeNull();
  expect(told(encodeValue({ $bytes: 'AQID', x: '"' }).text)).toBeNull();
});
