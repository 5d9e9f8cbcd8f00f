import { isDeepStrictEqual } from 'node:util';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeValue, encodeValue, jsonOf, payloadOfJson } from './codec.js';
import { hasCode } from './errors.js';
import { limits } from './limits.js';

function roundTrip(value: unknown): unknown {
  return decodeValue(encodeValue(value));
}

function refusal(value: unknown): { path: string; reason: string } {
  try {
    encodeValue(value);
  } catch (error) {
    if (hasCode(error, 'VALUE_UNSTORABLE')) return error.detail;
    throw error;
  }
  throw new Error('the value was accepted');
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { in: value };
  return value;
}

const forbidden = ['__proto__', 'constructor', 'prototype'];
const text = fc.string({ unit: 'binary' }).filter((s) => s.isWellFormed() && !s.includes('\0'));
const key = fc
  .oneof(text, fc.constantFrom('$date', '$escape', '$undefined', '$', '$$', '$bytes'))
  .filter((k) => !forbidden.includes(k));

const storable = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    text,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom(null, undefined, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    fc.bigInt(),
    // Not the invalid date: Node 20 says of two of them that they differ.
    fc.date({ noInvalidDate: true }),
    fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 3 }).map((elements) => new Set(elements)),
  ),
})).value;

describe('encodeValue and decodeValue', () => {
  it('give back every storable value as it was', () => {
    fc.assert(
      fc.property(storable, (value) => {
        const payload = encodeValue(value);
        const back = decodeValue(payload);
        expect(isDeepStrictEqual(back, value)).toBe(true);
        expect(encodeValue(back).text).toBe(payload.text);
      }),
      { numRuns: 1_000 },
    );
  });

  it('give back a date that is none', () => {
    const back = roundTrip({ at: new Date(Number.NaN) }) as { readonly at: Date };
    expect(back.at).toBeInstanceOf(Date);
    expect(back.at.getTime()).toBeNaN();
  });

  it('write plain JSON as JSON.stringify does', () => {
    const value = { a: [1, 'two', { three: null }], 'b c': false, e: '€ 😀 \\u0000', list: ['constructor'] };
    expect(encodeValue(value)).toEqual({ codec: 'json/1', text: JSON.stringify(value) });
  });

  it.each([
    [undefined, '{"$undefined":true}'],
    [-0, '{"$number":"-0"}'],
    [Number.NaN, '{"$number":"NaN"}'],
    [-12n, '{"$bigint":"-12"}'],
    [new Date(0), '{"$date":"1970-01-01T00:00:00.000Z"}'],
    [new Uint8Array([1, 2, 3, 255]), '{"$bytes":"AQID/w=="}'],
    [new Map([['a', 1]]), '{"$map":[["a",1]]}'],
    [new Set([1]), '{"$set":[1]}'],
    [{ a: undefined }, '{"a":{"$undefined":true}}'],
    [[1, undefined], '[1,{"$undefined":true}]'],
    [{ $date: 'x' }, '{"$escape":{"$date":"x"}}'],
    [{ $date: 'x', other: 1 }, '{"$date":"x","other":1}'],
    [
      { $escape: { $date: new Date(0) } },
      '{"$escape":{"$escape":{"$escape":{"$date":{"$date":"1970-01-01T00:00:00.000Z"}}}}}',
    ],
  ])('write %o by the tags of the format', (value, expected) => {
    expect(encodeValue(value).text).toBe(expected);
    expect(roundTrip(value)).toStrictEqual(value);
  });

  it('keep what matters of an error, whatever class it had', () => {
    class QuotaError extends TypeError {
      override readonly name = 'QuotaError';
      readonly code = 'E_QUOTA';
      readonly secret = 'not stored';
    }
    const back = roundTrip({ error: new QuotaError('no\0 more', { cause: new Error('root', { cause: [1n] }) }) });
    const { error } = back as { error: Error & { code?: string; secret?: string; cause: Error } };
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.message, error.code, error.secret]).toEqual([
      'QuotaError',
      'no\ufffd more',
      'E_QUOTA',
      undefined,
    ]);
    expect([error.cause.message, error.cause.cause]).toEqual(['root', [1n]]);
    const all = roundTrip(new AggregateError([new Error('one'), 2], 'both')) as AggregateError;
    expect([(all.errors[0] as Error).message, all.errors[1]]).toEqual(['one', 2]);
  });

  it('read every kind of bytes back as Uint8Array', () => {
    const bytes = new Uint8Array([0, 1, 250]);
    for (const value of [Buffer.from(bytes), bytes.buffer, new Uint8Array([9, 0, 1, 250]).subarray(1)]) {
      expect(roundTrip(value)).toStrictEqual(bytes);
    }
  });

  it('take values of other realms and without prototype', () => {
    const foreign: unknown = runInNewContext("({ a: [new Date(0), new Map([[1, { b: 2 }]]), new TypeError('x')] })");
    const back = roundTrip(foreign) as { a: [Date, Map<unknown, unknown>, Error] };
    expect(back.a[0]).toStrictEqual(new Date(0));
    expect(back.a[1]).toStrictEqual(new Map([[1, { b: 2 }]]));
    expect(back.a[2].name).toBe('TypeError');
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  });

  it('never call toJSON and fill holes with undefined', () => {
    const array = Object.assign([1], { toJSON: () => 'no' });
    expect(roundTrip(array)).toStrictEqual([1]);
    const sparse: unknown[] = [];
    sparse.length = 2;
    expect(roundTrip(sparse)).toStrictEqual([undefined, undefined]);
  });

  it.each<[string, unknown, string, RegExp]>([
    ['a function', { a: [() => 1] }, '$.a[0]', /functions/],
    ['a symbol', { a: Symbol('s') }, '$.a', /symbols/],
    ['an instance of a class', { 'a b': new URL('http://x.test') }, '$["a b"]', /instances of URL/],
    ['a typed array of numbers', [new Float32Array(2)], '$[0]', /Array\.from/],
    ['a promise', { a: Promise.resolve(1) }, '$.a', /await it/],
    ['NUL in text', { a: 'x\0' }, '$.a', /NUL/],
    ['half a surrogate pair', ['\ud800'], '$[0]', /surrogate/],
    ['NUL in a key', { 'a\0': 1 }, '$', /key .* NUL/],
    ['half a surrogate pair in a key', { '\udc00': 1 }, '$', /key .* surrogate/],
    ['the key __proto__', JSON.parse('{"a":{"__proto__":1}}'), '$.a', /prototypes/],
    ['the key constructor', { constructor: 1 }, '$', /prototypes/],
    ['the key prototype', { prototype: 1 }, '$', /prototypes/],
    ['a fake Map', { [Symbol.toStringTag]: 'Map', __proto__: { a: 1 } }, '$', /instances/],
  ])('refuse %s, with its path and the reason', (_, value, path, reason) => {
    const detail = refusal(value);
    expect(detail.path).toBe(path);
    expect(detail.reason).toMatch(reason);
  });

  it('refuse cycles, but not the same object twice', () => {
    const cyclic: { a: unknown[] } = { a: [] };
    cyclic.a.push(cyclic);
    expect(refusal(cyclic)).toEqual({ path: '$.a[0]', reason: 'it refers to itself' });
    const shared = { n: 1 };
    expect(roundTrip([shared, shared])).toStrictEqual([shared, shared]);
  });

  it('hold the bounds on depth, nodes and size', () => {
    expect(roundTrip(nested(limits.valueDepthMax))).toStrictEqual(nested(limits.valueDepthMax));
    expect(refusal(nested(limits.valueDepthMax + 1)).reason).toMatch(/deeper than 64/);
    const full: unknown[] = new Array(limits.valueNodesMax).fill(0);
    expect(encodeValue(full).text).toHaveLength(2 * limits.valueNodesMax + 1);
    full.push(0);
    expect(refusal(full).reason).toMatch(/5000000 keys/);
    full[0] = 0n;
    expect(refusal(full).reason).toMatch(/5000000 keys/);
  });

  it('hold the bound on size that they are given, counted in bytes', () => {
    expect(encodeValue('é'.repeat(499), 1_000).text).toHaveLength(501);
    expect(() => encodeValue('é'.repeat(500), 1_000)).toThrow(/more than 1000 bytes/);
    expect(() => encodeValue(new Uint8Array(750), 1_000)).toThrow(/more than 1000 bytes/);
  });

  it('accept at every depth what they give back', () => {
    for (const inner of [
      undefined,
      -0,
      1n,
      new Date(0),
      new Map([[1, undefined]]),
      new Error('x', { cause: undefined }),
    ]) {
      for (let depth = limits.valueDepthMax - 4; depth <= limits.valueDepthMax; depth++) {
        let value: unknown = inner;
        for (let i = 0; i < depth; i++) value = [value];
        let text: string;
        try {
          text = encodeValue(value).text;
        } catch (error) {
          expect(hasCode(error, 'VALUE_UNSTORABLE')).toBe(true);
          continue;
        }
        expect(() => decodeValue(text)).not.toThrow();
      }
    }
  });
});

describe('decodeValue', () => {
  it.each([
    '',
    '{',
    '{"$date":1}',
    '{"$date":"yesterday"}',
    '{"$later":1}',
    '{"$bytes":"AQI"}',
    '{"$bytes":"AR=="}',
    '{"$bigint":"01"}',
    '{"$number":"1"}',
    '{"$map":[[1]]}',
    '{"$escape":[]}',
    '{"a":{"__proto__":{}}}',
    '['.repeat(65) + ']'.repeat(65),
    `[${'0,'.repeat(limits.valueNodesMax)}0]`,
  ])('refuses what the codec did not write: %.40s', (text) => {
    let thrown: unknown;
    try {
      decodeValue(text);
    } catch (error) {
      thrown = error;
    }
    expect(hasCode(thrown, 'PAYLOAD_UNREADABLE')).toBe(true);
  });

  it('reads any JSON text or refuses it by its code, and writes what it read', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), (json) => {
        let value: unknown;
        try {
          value = decodeValue(json);
        } catch (error) {
          expect(hasCode(error, 'PAYLOAD_UNREADABLE')).toBe(true);
          return;
        }
        expect(isDeepStrictEqual(value, JSON.parse(json))).toBe(true);
      }),
    );
  });

  it('gives each caller a value of its own', () => {
    const payload = encodeValue({ list: [1] });
    (decodeValue(payload) as { list: number[] }).list.push(2);
    expect(decodeValue(payload)).toStrictEqual({ list: [1] });
  });
});

describe('payloadOfJson', () => {
  it('takes look-alikes of tags as data', () => {
    const value: unknown = JSON.parse('{"when":{"$date":"2026-01-01T00:00:00.000Z"}}');
    expect(decodeValue(payloadOfJson(value))).toStrictEqual(value);
  });
});

describe('jsonOf', () => {
  it('shows values to people as plain JSON', () => {
    const value = {
      at: new Date(0),
      never: new Date(Number.NaN),
      bytes: new Uint8Array([1]),
      big: 1n,
      odd: [Number.NaN, -0, undefined],
      left: undefined,
      map: new Map([['a', new Set([1n])]]),
      pairs: new Map([[1, 2]]),
      error: Object.assign(new Error('x'), { code: 'E' }),
      $ref: { $ref: '#/a' },
    };
    expect(JSON.parse(JSON.stringify(jsonOf(encodeValue(value))))).toStrictEqual({
      at: '1970-01-01T00:00:00.000Z',
      never: null,
      bytes: 'AQ==',
      big: '1',
      odd: ['NaN', 0, null],
      map: { a: ['1'] },
      pairs: [[1, 2]],
      error: { name: 'Error', message: 'x', code: 'E' },
      $ref: { $ref: '#/a' },
    });
  });
});
