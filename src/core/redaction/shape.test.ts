import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonSchema } from '../manifest.js';
import { Shape } from './shape.js';
import { tagFaults, tagsKeyword, tagsWithin } from './tags.js';

const nobody: ReadonlySet<string> = new Set();
const pii: ReadonlySet<string> = new Set(['pii']);
const tag = (schema: JsonSchema, ...tags: string[]): JsonSchema => ({ ...schema, [tagsKeyword]: tags });
const text: JsonSchema = { type: 'string' };
const hidden = { redacted: ['pii'] };

const shown = (schema: JsonSchema | null, value: unknown, cleared: ReadonlySet<string> = nobody): unknown =>
  new Shape([schema], ['pii']).shown(value, cleared);

describe('what is shown of a value', () => {
  it('is the value itself to whoever has all its tags, and where nothing in it is tagged', () => {
    const value = { email: 'a', lines: [{ n: 1 }] };
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        email: tag(text, 'pii'),
        lines: { type: 'array', items: { properties: { n: { type: 'number' } } } },
      },
    };
    expect(shown(schema, value, pii)).toBe(value);
    expect(new Shape([schema]).shown(value, 'everything')).toBe(value);
    expect((shown(schema, value) as typeof value).lines).toBe(value.lines);
  });

  it('names the tags that the reader lacks, and only these', () => {
    const schema: JsonSchema = { properties: { a: tag(text, 'pii', 'health'), b: tag(text, 'health') } };
    expect(new Shape([schema]).shown({ a: 'x', b: 'y' }, pii)).toEqual({
      a: { redacted: ['health'] },
      b: { redacted: ['health'] },
    });
  });

  it('is nothing where nobody has said what it is', () => {
    expect(shown(null, 'x')).toEqual(hidden);
    expect(shown(null, { a: 1 })).toEqual(hidden);
    expect(new Shape([null]).shown('x', nobody)).toBe('x');
  });

  it('leaves out fields that the schema does not name, and what is of another kind than it says', () => {
    const schema: JsonSchema = { type: 'object', properties: { a: text, deep: { properties: { b: text } } } };
    expect(shown(schema, { a: 'x', mail: 'jane' })).toEqual({ a: 'x', mail: hidden });
    expect(shown({ ...schema, additionalProperties: true }, { mail: 'jane' })).toEqual({ mail: hidden });
    expect(shown({ ...schema, additionalProperties: text }, { mail: 'shown' })).toEqual({ mail: 'shown' });
    expect(shown(schema, { a: { mail: 'jane' } })).toEqual({ a: hidden });
    expect(shown(schema, { deep: 'jane' })).toEqual({ deep: hidden });
    expect(shown(schema, ['jane'])).toEqual(hidden);
  });

  it('is what a schema that allows anything says of it', () => {
    expect(shown({}, { any: 'thing' })).toEqual({ any: 'thing' });
    expect(shown({ type: 'object', additionalProperties: text }, { any: 'thing' })).toEqual({ any: 'thing' });
    expect(shown({ type: 'array' }, ['thing'])).toEqual(['thing']);
  });

  it('follows references, alternatives and items, and hides what it cannot follow', () => {
    const root: JsonSchema = {
      $defs: {
        mail: tag(text, 'pii'),
        tree: { properties: { mail: { $ref: '#/$defs/mail' }, next: { $ref: '#/$defs/tree' } } },
      },
      $ref: '#/$defs/tree',
    };
    expect(shown(root, { next: { next: { mail: 'jane' } } })).toEqual({ next: { next: { mail: hidden } } });
    expect(shown({ anyOf: [text, { properties: { mail: tag(text, 'pii') } }] }, { mail: 'jane' })).toEqual({
      mail: hidden,
    });
    expect(shown({ prefixItems: [text, tag(text, 'pii')], items: text }, ['a', 'jane', 'b'])).toEqual([
      'a',
      hidden,
      'b',
    ]);
    expect(shown({ properties: { a: { $ref: 'https://else.where/x' } } }, { a: 'jane' })).toEqual({ a: hidden });
    expect(shown({ properties: { a: { $dynamicRef: '#x' } } }, { a: 'jane' })).toEqual({ a: hidden });
    expect(shown({ propertyNames: tag(text, 'pii'), additionalProperties: text }, { jane: 'x' })).toEqual(hidden);
    expect(
      shown({ additionalProperties: false, patternProperties: { '^x': tag(text, 'pii') } }, { xa: 'jane' }),
    ).toEqual({
      xa: hidden,
    });
  });

  it('takes a field that one of several versions has tagged as tagged', () => {
    const shape = new Shape([{ properties: { a: text, b: tag(text, 'pii') } }, { properties: { a: text, b: text } }]);
    expect(shape.shown({ a: 'x', b: 'jane' }, nobody)).toEqual({ a: 'x', b: hidden });
    expect([...shape.tagsAt('b')]).toEqual(['pii']);
    expect([...shape.tagsAt('a')]).toEqual([]);
    expect([...shape.tagsAt('gone')]).toEqual(['pii']);
  });

  it('holds against schemas and values of any form: no canary of a tagged place, and all of what is not tagged', () => {
    fc.assert(
      fc.property(places, (place) => {
        const schema: JsonSchema = { ...place.schema, $defs: place.defs };
        const shape = new Shape([schema], ['pii']);
        const seen = JSON.stringify(shape.shown(place.value, nobody));
        expect(seen).not.toContain('canary');
        for (const plain of place.plain) expect(seen).toContain(plain);
        expect(shape.shown(place.value, pii)).toBe(place.value);
      }),
      { numRuns: 600 },
    );
  });
});

it('finds tags wherever they are, and says which are none', () => {
  expect([...tagsWithin({ items: [{ $defs: { x: tag({}, 'a', 'b') } }] })]).toEqual(['a', 'b']);
  expect([...tagsWithin({ [tagsKeyword]: 'pii' })]).toEqual(['pii']);
  expect([...tagsWithin({ [tagsKeyword]: [] })]).toEqual(['malformed']);
  expect(tagFaults(tag({}, 'pii'))).toEqual([]);
  expect(tagFaults({ properties: { a: { [tagsKeyword]: 'pii' } } })).toHaveLength(1);
  expect(tagFaults(tag({}, 'Not a tag'))).toHaveLength(1);
});

/** A schema with a value of it: what is in tagged or unnamed places says `canary`, everything else `plain`. */
interface Drawn {
  readonly schema: JsonSchema;
  readonly value: unknown;
  readonly plain: readonly string[];
  readonly defs: Readonly<Record<string, JsonSchema>>;
}

let drawn = 0;

const plainLeaf: fc.Arbitrary<Drawn> = fc
  .constantFrom<JsonSchema>(text, { type: ['string', 'null'] }, {})
  .map((schema) => {
    drawn += 1;
    return { schema, value: `plain-${drawn}.`, plain: [`plain-${drawn}.`], defs: {} };
  });

const taggedPlace: fc.Arbitrary<Drawn> = fc
  .constantFrom<readonly [JsonSchema, unknown]>(
    [text, 'canary'],
    [{ type: 'object', properties: { in: text } }, { in: 'canary' }],
    [{ type: 'array', items: text }, ['canary']],
    [{}, { canary: 'canary' }],
  )
  .map(([schema, value]) => ({ schema: tag(schema, 'pii'), value, plain: [], defs: {} }));

/** The same said in another way. */
const wrapped = (inner: fc.Arbitrary<Drawn>): fc.Arbitrary<Drawn> =>
  fc.tuple(inner, fc.constantFrom('as it is', 'ref', 'allOf', 'anyOf', 'oneOf', 'then')).map(([one, way]) => {
    drawn += 1;
    const name = `d${drawn}`;
    switch (way) {
      case 'ref':
        return { ...one, schema: { $ref: `#/$defs/${name}` }, defs: { ...one.defs, [name]: one.schema } };
      case 'allOf':
        return { ...one, schema: { allOf: [{}, one.schema] } };
      case 'anyOf':
        return { ...one, schema: { anyOf: [{ type: 'null' }, one.schema] } };
      case 'oneOf':
        return { ...one, schema: { oneOf: [one.schema, { type: 'null' }] } };
      case 'then':
        return { ...one, schema: Object.fromEntries(Object.entries({ if: {}, [way]: one.schema })) };
      default:
        return one;
    }
  });

const merged = (all: readonly Drawn[]): Pick<Drawn, 'plain' | 'defs'> => ({
  plain: all.flatMap(({ plain }) => plain),
  defs: Object.assign({}, ...all.map(({ defs }) => defs)) as Drawn['defs'],
});

const { places } = fc.letrec<{ places: Drawn; inner: Drawn; fields: Drawn; list: Drawn; map: Drawn }>((tie) => ({
  inner: wrapped(fc.oneof({ depthSize: 'small' }, plainLeaf, taggedPlace, tie('fields'), tie('list'), tie('map'))),
  fields: fc.tuple(fc.array(tie('inner'), { minLength: 1, maxLength: 4 }), fc.boolean()).map(([all, hasMore]) => ({
    schema: { type: 'object', properties: Object.fromEntries(all.map(({ schema }, i) => [`f${i}`, schema])) },
    value: {
      ...Object.fromEntries(all.map(({ value }, i) => [`f${i}`, value])),
      // A field that the schema does not name.
      ...(hasMore ? { more: { of: ['canary'] } } : {}),
    },
    ...merged(all),
  })),
  list: fc.tuple(tie('inner'), fc.nat({ max: 2 })).map(([one, others]) => ({
    ...one,
    schema: { type: 'array', items: one.schema },
    value: Array.from({ length: others + 1 }, () => one.value),
  })),
  map: tie('inner').map((one) => ({
    ...one,
    // `{}` for the others says nothing of them.
    schema: { type: 'object', additionalProperties: { title: 'One', allOf: [one.schema] } },
    value: { some: one.value },
  })),
  places: tie('fields'),
}));
