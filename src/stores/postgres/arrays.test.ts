import { describe, expect, it } from 'vitest';
import { bools, byteas, float8s, int2s, int4s, int8s, texts, utf8Byteas } from './arrays.js';

/** What stands after the header: the items, as length and bytes. */
function itemsOf(array: Buffer): (Buffer | null)[] {
  const items: (Buffer | null)[] = [];
  for (let at = 20; at < array.length; ) {
    const length = array.readInt32BE(at);
    at += 4;
    items.push(length === -1 ? null : array.subarray(at, at + Math.max(0, length)));
    at += Math.max(0, length);
  }
  return items;
}

describe('arrays in the binary format', () => {
  it('say how many items there are, of which type, and whether one is null', () => {
    const header = (array: Buffer): number[] => [0, 4, 8, 12, 16].map((at) => array.readInt32BE(at));
    expect(header(texts(['a', 'b']))).toEqual([1, 0, 25, 2, 1]);
    expect(header(int8s([1, null, 3]))).toEqual([1, 1, 20, 3, 1]);
  });

  it('have no dimension where they are empty', () => {
    expect([...texts([])]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25]);
  });

  it('hold texts as UTF-8, however long, and tell an empty one from none', () => {
    const long = 'ä\u{1f600}'.repeat(5_000);
    expect(itemsOf(texts(['', null, long])).map((item) => item?.toString('utf8') ?? null)).toEqual(['', null, long]);
    expect(itemsOf(utf8Byteas(['a\0b'])).map((item) => item?.toString('utf8'))).toEqual(['a\0b']);
  });

  it('hold integers up to the safe ones, negative too', () => {
    const values = [
      0,
      1,
      -1,
      2 ** 31,
      -(2 ** 31),
      2 ** 32,
      -(2 ** 32) - 1,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    ];
    expect(itemsOf(int8s(values)).map((item) => Number(item?.readBigInt64BE()))).toEqual(values);
    expect(itemsOf(int4s([-5, 7])).map((item) => item?.readInt32BE())).toEqual([-5, 7]);
    expect(itemsOf(int2s([-5, 7])).map((item) => item?.readInt16BE())).toEqual([-5, 7]);
  });

  it('hold bytes, fractions and truth values', () => {
    expect(itemsOf(byteas([new Uint8Array([0, 255]), null]))).toEqual([Buffer.from([0, 255]), null]);
    expect(itemsOf(float8s([1.5, -1e300])).map((item) => item?.readDoubleBE())).toEqual([1.5, -1e300]);
    expect(itemsOf(bools([true, false]))).toEqual([Buffer.from([1]), Buffer.from([0])]);
  });
});
