import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonSchemaFaults } from './json-schema-faults.js';
import type { JsonSchema } from '../manifest.js';

const leaf = fc.oneof(
  fc.constantFrom<JsonSchema>(
    {},
    { type: 'string' },
    { type: 'integer', minimum: 0 },
    { type: ['number', 'null'], exclusiveMaximum: 3 },
    { enum: ['a', 1, null] },
    { const: { a: [1] } },
    { type: 'string', minLength: 1, maxLength: 2, pattern: '^a' },
    { type: 'boolean' },
    { not: { type: 'string' } },
    { $ref: '#/$defs/self' },
  ),
);
const schema = fc.letrec<{ schema: JsonSchema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.record({
      type: fc.constant('object'),
      properties: fc.record({ a: tie('schema'), b: tie('schema') }),
      required: fc.constantFrom(['a'], ['a', 'b'], []),
      additionalProperties: fc.constantFrom<unknown>(false, true, { type: 'number' }),
    }),
    fc.record({ type: fc.constant('array'), items: tie('schema'), maxItems: fc.nat(3), uniqueItems: fc.boolean() }),
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ oneOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }),
  ),
})).schema;
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<unknown>('a', 'ab', '', 'b', 1, 0, -1, 2.5, null, true),
    fc.record({ a: tie('value'), b: tie('value'), c: tie('value') }, { requiredKeys: [] }),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
})).value;

describe('the check of JSON by a schema', () => {
  it('finds a fault where a full validator does, and nowhere else', () => {
    const ajv = new Ajv2020({ strict: false });
    fc.assert(
      fc.property(schema, value, (inner, given) => {
        const whole = {
          ...inner,
          $defs: { self: { type: ['object', 'string'], properties: { a: { type: 'string' } } } },
        };
        expect(jsonSchemaFaults(whole, given).length === 0).toBe(ajv.validate(whole, given));
      }),
      { numRuns: 400 },
    );
  });

  it('says where and what', () => {
    const order = {
      type: 'object',
      properties: { lines: { type: 'array', items: { properties: { count: { type: 'integer', minimum: 1 } } } } },
      required: ['id'],
    };
    expect(jsonSchemaFaults(order, { lines: [{ count: 1 }, { count: 0 }] })).toEqual([
      'id is missing',
      'lines.1.count must be 1 or more',
    ]);
    expect(jsonSchemaFaults({ type: 'object' }, 'x')).toEqual(['the answer must be of type object']);
  });

  it('ends on a schema that refers to itself, and takes no notice of what it does not know', () => {
    expect(jsonSchemaFaults({ $ref: '#' }, 1)).toEqual([]);
    expect(jsonSchemaFaults({ $ref: 'https://example.com/x', format: 'email', pattern: '(' }, 'x')).toEqual([]);
  });
});
