import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonSchema } from '../manifest.js';
import { inclusionFaults } from './inclusion.js';
import { anyPair, anyValue, withDefs } from './schemas.test.arbitrary.js';
import { unknownFields, wayText, withoutFields } from './unknown-fields.js';

const waysOf = (schema: JsonSchema, value: unknown): string[] => unknownFields(schema, value).map(wayText);
const runs = process.env['EVENTSPINE_NIGHTLY'] === '1' ? 10_000 : 60;

describe('fields that a schema does not name', () => {
  it('are found at every depth, and nowhere where anything may be', () => {
    const order: JsonSchema = {
      type: 'object',
      properties: {
        id: { type: 'string' },
        lines: { type: 'array', items: { properties: { count: { type: 'integer' } } } },
        labels: { type: 'object' },
        more: { type: 'object', properties: {}, additionalProperties: { type: 'string' } },
      },
    };
    const value = {
      id: 'a',
      lines: [{ count: 1 }, { count: 1, colour: 'red' }],
      labels: { x: 1 },
      more: { y: '' },
      z: { q: 1 },
    };
    expect(waysOf(order, value)).toEqual(['lines.1.colour', 'z']);
    expect(withoutFields(value, unknownFields(order, value))).toEqual({
      id: 'a',
      lines: [{ count: 1 }, { count: 1 }],
      labels: { x: 1 },
      more: { y: '' },
    });
  });

  it('are those that no alternative names which the value fits', () => {
    const card = { properties: { kind: { const: 'card' }, number: { type: 'string' } }, required: ['kind'] };
    const cash = { properties: { kind: { const: 'cash' }, drawer: { type: 'string' } }, required: ['kind'] };
    const either = { $ref: '#/$defs/either', $defs: { either: { anyOf: [card, cash] } } };
    expect(waysOf(either, { kind: 'card', number: '1' })).toEqual([]);
    expect(waysOf(either, { kind: 'card', drawer: '1' })).toEqual(['drawer']);
  });

  it('are no part of what a proof is about that takes them for gone', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });
    let taken = 0;
    fc.assert(
      fc.property(anyPair, fc.array(anyValue, { minLength: 10, maxLength: 30 }), ([written, read], values) => {
        const [old, fresh] = [withDefs(written), withDefs(read)];
        if (inclusionFaults(old, fresh, { closed: true }).length > 0) return;
        const [wasValid, isValid] = [ajv.compile(old), ajv.compile(fresh)];
        for (const value of values) {
          if (!wasValid(value) || unknownFields(old, value).length > 0) continue;
          taken += 1;
          expect(isValid(value), JSON.stringify({ value, old, fresh })).toBe(true);
        }
      }),
      { numRuns: runs },
    );
    expect(taken).toBeGreaterThan(runs);
  });
});
