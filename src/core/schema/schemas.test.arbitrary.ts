/** Pairs of schemas, of which one is often a small change of the other, and values that have to do with them. */
import fc from 'fast-check';
import type { JsonSchema } from '../manifest.js';

const leaf = fc.constantFrom<JsonSchema>(
  {},
  { type: 'string' },
  { type: 'string', minLength: 1 },
  { type: 'string', minLength: 1, maxLength: 2 },
  { type: 'string', pattern: '^a' },
  { type: 'number' },
  { type: 'integer' },
  { type: 'integer', minimum: 0 },
  { type: 'number', exclusiveMinimum: 0, maximum: 3 },
  { type: 'integer', maximum: 1 },
  { type: 'number', exclusiveMaximum: 4 },
  { type: 'number', multipleOf: 2 },
  { type: 'boolean' },
  { type: 'null' },
  { type: ['string', 'null'] },
  { type: 'string', nullable: true },
  { enum: ['a', 'ab', 1, null] },
  { enum: ['a', 1] },
  { enum: [{ a: 'a' }, [1]] },
  { const: 'a' },
  { not: { type: 'string' } },
  { not: { const: 1 } },
  { $ref: '#/$defs/self' },
  { $ref: '#/$defs/word' },
);

const name = fc.constantFrom('a', 'b', 'c');

/** A schema with up to two of some further keywords: with more, hardly a value fits. */
const withSome = (
  base: fc.Arbitrary<JsonSchema>,
  more: Readonly<Record<string, fc.Arbitrary<unknown>>>,
): fc.Arbitrary<JsonSchema> => {
  const keyword = fc.oneof(...Object.entries(more).map(([key, value]) => value.map((one) => ({ [key]: one }))));
  return fc
    .tuple(base, fc.array(keyword, { maxLength: 2 }))
    .map(([one, added]): JsonSchema => Object.assign({}, one, ...added) as JsonSchema);
};

const { schema: anySchema } = fc.letrec<{ schema: JsonSchema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { arbitrary: leaf, weight: 6 },
    {
      arbitrary: withSome(
        fc.record(
          {
            type: fc.constantFrom<unknown>('object', 'object', ['object', 'null']),
            properties: fc.dictionary(name, tie('schema'), { maxKeys: 2, noNullPrototype: true }),
          },
          { noNullPrototype: true },
        ),
        {
          required: fc.uniqueArray(name, { minLength: 1, maxLength: 2 }),
          additionalProperties: fc.oneof(fc.constant<unknown>(false), tie('schema')),
          patternProperties: tie('schema').map((one) => ({ '^[ab]$': one })),
          propertyNames: fc.constantFrom<unknown>({ enum: ['a', 'b'] }, { maxLength: 1 }, { pattern: '^[ab]' }),
          minProperties: fc.nat(2),
          maxProperties: fc.nat(2),
          dependentRequired: fc.constantFrom({ a: ['b'] }, { b: ['c'] }),
          dependentSchemas: tie('schema').map((one) => ({ a: one })),
          unevaluatedProperties: fc.constantFrom<unknown>(false, { type: 'number' }),
          allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 1 }),
        },
      ),
      weight: 6,
    },
    // Not both with `prefixItems` and with `contains`: the validator takes no notice of the latter then.
    {
      arbitrary: withSome(fc.constant({ type: 'array' }), {
        items: fc.oneof(tie('schema'), fc.constant(false as never)),
        prefixItems: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
        minItems: fc.nat(2),
        maxItems: fc.nat(3),
        uniqueItems: fc.boolean(),
      }),
      weight: 2,
    },
    withSome(
      tie('schema').map((contains) => ({ type: 'array', contains })),
      { items: tie('schema'), maxItems: fc.nat(3), minContains: fc.nat(2), maxContains: fc.nat(2) },
    ),
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }, { noNullPrototype: true }),
    fc.record({ oneOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }, { noNullPrototype: true }),
    fc.record({ allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }, { noNullPrototype: true }),
    fc.record({ not: tie('schema') }, { noNullPrototype: true }),
    fc.tuple(tie('schema'), tie('schema'), tie('schema')).map((parts) => conditional(...parts)),
  ),
}));

/** `if`, `then` and `else`; written so that no object literal looks like a promise. */
export function conditional(...parts: readonly JsonSchema[]): JsonSchema {
  return Object.fromEntries(parts.map((part, i) => [['if', 'then', 'else'][i] ?? '', part]));
}

/** A keyword gone, another value of a keyword, or an inner schema put in its place. */
function changed(schema: unknown, path: readonly number[], other: JsonSchema): unknown {
  if (typeof schema !== 'object' || schema === null) return other;
  const [step, ...rest] = path;
  const keys = Object.keys(schema);
  if (step === undefined || keys.length === 0) return other;
  const key = keys[step % keys.length] ?? '';
  const inner = (schema as Readonly<Record<string, unknown>>)[key];
  const next = (value: unknown): unknown =>
    Array.isArray(schema)
      ? (schema as readonly unknown[]).map((one, i) => (String(i) === key ? value : one))
      : { ...schema, [key]: value };
  if (rest.length === 0 && step % 2 === 0 && !Array.isArray(schema)) {
    // `nullable` says something of a type only.
    const gone = key === 'type' ? ['type', 'nullable'] : [key];
    return Object.fromEntries(Object.entries(schema).filter(([one]) => !gone.includes(one)));
  }
  const isSchema = !['required', 'enum', 'type', 'const', 'dependentRequired'].includes(key);
  if (!isSchema || typeof inner !== 'object' || inner === null) return schema;
  const isMap = key === 'properties' || key === 'patternProperties' || key === 'dependentSchemas';
  if (!isMap && !Array.isArray(inner)) return next(changed(inner, rest, other));
  const entries = Object.entries(inner);
  if (entries.length === 0) return schema;
  const chosen = (rest[0] ?? 0) % entries.length;
  const mapped = entries.map(
    ([k, v], i) => [k, i === chosen ? changed(v, rest.slice(1), other) : (v as unknown)] as const,
  );
  return next(Array.isArray(inner) ? mapped.map(([, v]) => v) : Object.fromEntries(mapped));
}

/** Two schemas; the second is the first, changed at up to two places, or has nothing to do with it. */
export const anyPair: fc.Arbitrary<readonly [JsonSchema, JsonSchema]> = fc
  .tuple(
    anySchema,
    anySchema,
    fc.array(fc.tuple(fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }), anySchema), { minLength: 1, maxLength: 2 }),
    fc.constantFrom('changed', 'back', 'wider', 'other'),
  )
  .map(([one, other, changes, how]) => {
    if (how === 'other') return [one, other];
    if (how === 'wider') return [one, { anyOf: [other, one] }];
    let fresh: unknown = one;
    for (const [path, inner] of changes) fresh = changed(fresh, path, inner);
    const pair = [one, fresh as JsonSchema] as const;
    return how === 'changed' ? pair : [pair[1], pair[0]];
  });

/** The schema with the definitions that its references need. */
export function withDefs(schema: JsonSchema): JsonSchema {
  const word = { type: 'string', maxLength: 2 };
  const self = {
    type: ['object', 'string'],
    properties: { a: { $ref: '#/$defs/self' }, b: { $ref: '#/$defs/word' } },
    required: ['a'],
  };
  return { ...schema, $defs: { word, self } };
}

/** Small values of the names, texts and numbers that the schemas are about. */
export const anyValue: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    { arbitrary: fc.constantFrom<unknown>('a', 'ab', '', 'b', 'abc', 1, 0, -1, 2, 2.5, 4, null, true), weight: 3 },
    {
      arbitrary: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value'), {
        maxKeys: 3,
        noNullPrototype: true,
      }),
      weight: 3,
    },
    fc.array(tie('value'), { maxLength: 3 }),
  ),
})).value;
