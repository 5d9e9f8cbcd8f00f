import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonSchema } from '../manifest.js';
import { inclusionFaults } from './inclusion.js';
import { fitsSchema } from './json-schema-faults.js';
import { anyPair, anyValue, conditional, withDefs } from './schemas.test.arbitrary.js';

const runs = process.env['EVENTSPINE_NIGHTLY'] === '1' ? 100_000 : 2_000;
const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });

const faultsOf = (written: JsonSchema, read: JsonSchema, closed = false): string[] =>
  inclusionFaults(written, read, { closed }).map(({ path, text }) => `${path} ${text}`);
const fits = (written: JsonSchema, read: JsonSchema, closed = false): boolean =>
  faultsOf(written, read, closed).length === 0;
const object = (properties: JsonSchema, required: readonly string[] = [], more: JsonSchema = {}): JsonSchema => ({
  type: 'object',
  properties,
  ...(required.length === 0 ? {} : { required }),
  ...more,
});
const text: JsonSchema = { type: 'string' };
const number: JsonSchema = { type: 'number' };

describe('the proof that one schema is within another', () => {
  it.each([
    // A validator is compiled for nearly each pair, which takes a hundredth of a second; our own needs no such thing.
    ['a full validator', runs / 40],
    ['ours', runs],
  ])('never holds where there is a value that only the written schema takes, by %s', (judge, numRuns) => {
    const validator = (schema: JsonSchema): ((value: unknown) => boolean) => {
      if (judge === 'ours') return (value) => fitsSchema(schema, schema, value);
      const valid = ajv.compile(schema);
      return (value) => valid(value);
    };
    const seen = { proven: 0, taken: 0 };
    fc.assert(
      fc.property(anyPair, fc.array(anyValue, { minLength: 20, maxLength: 60 }), ([written, read], values) => {
        const [old, fresh] = [withDefs(written), withDefs(read)];
        if ((judge === 'ours' && JSON.stringify([old, fresh]).includes('unevaluated')) || !fits(old, fresh)) return;
        seen.proven += 1;
        const [wasValid, isValid] = [validator(old), validator(fresh)];
        for (const value of values) {
          if (!wasValid(value)) continue;
          seen.taken += 1;
          expect(isValid(value), JSON.stringify({ value, old, fresh })).toBe(true);
        }
      }),
      { numRuns },
    );
    // Otherwise the property holds of nothing.
    expect(seen.proven).toBeGreaterThan(numRuns / 5);
    expect(seen.taken).toBeGreaterThan(numRuns);
  });

  it('holds of every schema and itself', () => {
    fc.assert(
      fc.property(anyPair, ([schema]) => {
        expect(faultsOf(withDefs(schema), withDefs({ ...schema }))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('lets readers take more than is written', () => {
    expect(fits(object({ a: text }, ['a']), object({ a: text }))).toBe(true);
    expect(fits(object({ a: { type: 'integer' } }), object({ a: number }))).toBe(true);
    expect(fits(object({ a: { enum: ['x'] } }), object({ a: { enum: ['x', 'y'] } }))).toBe(true);
    expect(fits(object({ a: { const: 'x' } }), object({ a: text }))).toBe(true);
    expect(fits({ ...text, minLength: 2 }, { ...text, minLength: 1 })).toBe(true);
    expect(fits({ type: 'array', items: { type: 'integer' }, maxItems: 2 }, { type: 'array', items: number })).toBe(
      true,
    );
    expect(fits({ anyOf: [text, { type: 'null' }] }, { type: ['string', 'null', 'number'] })).toBe(true);
    expect(fits({ type: 'integer', minimum: 1 }, { type: 'integer', exclusiveMinimum: 0 })).toBe(true);
    expect(fits({ ...number, multipleOf: 6 }, { ...number, multipleOf: 3 })).toBe(true);
  });

  it('names what readers would not take, with its place', () => {
    expect(faultsOf(object({ a: text }), object({ a: text }, ['a']))).toEqual([
      'a is required in the new schema, and may be missing in the old schema',
    ]);
    expect(faultsOf(object({ a: object({ b: text }) }), object({ a: object({ b: number }) }))).toEqual([
      'a.b may be string in the old schema, and the new schema takes number',
    ]);
    expect(faultsOf(object({ s: { enum: ['x', 'y'] } }), object({ s: { enum: ['x'] } }))).toEqual([
      's may be "y" in the old schema, and the new schema does not take that',
    ]);
    const lines = (least: number): JsonSchema =>
      object({ lines: { type: 'array', items: object({ count: { type: 'integer', minimum: least } }) } });
    expect(faultsOf(lines(0), lines(1))).toEqual([
      'lines[].count may be less in the old schema than the new schema takes (1)',
    ]);
    expect(fits(text, { ...text, pattern: '^a' })).toBe(false);
    expect(fits(text, { ...text, format: 'email' })).toBe(false);
    expect(fits({ type: 'array' }, { type: 'array', uniqueItems: true })).toBe(false);
  });

  it('knows that a field which nobody names may be anything, unless unknown fields are not written', () => {
    const [old, fresh] = [object({ a: text }, ['a']), object({ a: text, b: number }, ['a'])];
    expect(faultsOf(old, fresh)).toEqual([
      'b has a schema in the new schema, and the old schema takes anything there: it does not name the field and takes unknown ones',
    ]);
    expect(fits(old, fresh, true)).toBe(true);
    expect(fits({ ...old, additionalProperties: false }, fresh)).toBe(true);
    expect(fits(old, { ...old, additionalProperties: false })).toBe(false);
    expect(fits(old, { ...old, additionalProperties: false }, true)).toBe(true);
    // A map names no field: there is nothing unknown in it.
    expect(fits({ type: 'object' }, object({ b: number }), true)).toBe(false);
  });

  it('follows references, also those of schemas that refer to themselves', () => {
    const tree = (leaf: JsonSchema): JsonSchema => ({
      $ref: '#/$defs/node',
      $defs: { node: object({ value: leaf, children: { type: 'array', items: { $ref: '#/$defs/node' } } }, ['value']) },
    });
    expect(fits(tree({ type: 'integer' }), tree(number))).toBe(true);
    expect(faultsOf(tree(number), tree({ type: 'integer' }))).toEqual([
      'value may be a fraction in the old schema, and the new schema takes whole numbers',
      'children[].value may be a fraction in the old schema, and the new schema takes whole numbers',
    ]);
    expect(fits({}, { $ref: 'https://example.com/other' })).toBe(false);
  });

  it('tells alternatives apart by what names them', () => {
    const card = object({ kind: { const: 'card' }, number: text }, ['kind', 'number']);
    const cash = object({ kind: { const: 'cash' } }, ['kind']);
    const token = object({ kind: { const: 'token' }, token: text }, ['kind', 'token']);
    for (const keyword of ['anyOf', 'oneOf']) {
      expect(fits({ [keyword]: [card, cash] }, { [keyword]: [token, cash, card] })).toBe(true);
      expect(fits({ [keyword]: [card, cash, token] }, { [keyword]: [card, cash] })).toBe(false);
    }
    expect(faultsOf({ oneOf: [text, number] }, { oneOf: [text, { ...text, minLength: 1 }, number] })).toHaveLength(1);
  });

  it('is sure of what "not" and conditions exclude only where it can be', () => {
    expect(fits({ type: 'integer', minimum: 1 }, { not: { const: 0 } })).toBe(true);
    expect(fits({ type: 'integer' }, { not: { const: 0 } })).toBe(false);
    const when = conditional(object({ a: { const: 1 } }, ['a']), { required: ['b'] });
    expect(fits(object({ a: { const: 2 } }, ['a']), when)).toBe(true);
    expect(fits(object({ a: { const: 1 } }, ['a']), when)).toBe(false);
    expect(fits(object({ a: { const: 1 }, b: text }, ['a', 'b']), when)).toBe(true);
  });

  it('ends on large and on tangled schemas', () => {
    const wide = object(Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`f${i}`, { $ref: '#/$defs/any' }])));
    const defs = {
      any: { anyOf: Array.from({ length: 8 }, (_, i) => object({ [`k${i}`]: { $ref: '#/$defs/any' } })) },
    };
    expect(fits({ ...wide, $defs: defs }, { ...wide, $defs: { any: { ...defs.any, title: 'other' } } })).toBeTypeOf(
      'boolean',
    );
    expect(fits({ $ref: '#' }, { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } })).toBe(false);
  });
});
