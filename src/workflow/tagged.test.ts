import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { tagsKeyword, tagsWithin } from '../core/redaction/tags.js';
import { defineApp } from './app.js';
import { capability } from './capability.js';
import { fromJsonSchema } from './from-json-schema.js';
import { jsonSchemaOf } from './json-schema-of.js';
import { tagged } from './tagged.js';
import { workflow } from './workflow.js';

const pii = tagged(z.string(), 'pii');

describe('tagged', () => {
  it('marks a schema of zod wherever it is used, whatever is made of it afterwards', () => {
    const schema = z.object({
      plain: z.string(),
      a: pii,
      b: pii.optional(),
      c: z.array(tagged(pii, 'health').min(1)),
      d: z.union([z.number(), pii]).nullable(),
    });
    const found = jsonSchemaOf(schema, 'input') as { readonly properties: Readonly<Record<string, unknown>> };
    expect(found.properties).toMatchObject({
      a: { [tagsKeyword]: ['pii'] },
      b: { [tagsKeyword]: ['pii'] },
      c: { items: { [tagsKeyword]: ['pii', 'health'] } },
    });
    expect([...tagsWithin(found.properties['d'])]).toEqual(['pii']);
    expect([...tagsWithin(found.properties['plain'])]).toEqual([]);
    expect(schema.shape.a.parse('x')).toBe('x');
  });

  it('marks fields of any schema by their paths, and all of it where there is no such field', () => {
    const plain = fromJsonSchema<{ readonly customer: { readonly email: string } }>({
      type: 'object',
      properties: {
        customer: { properties: { email: { type: 'string' } } },
        lines: { items: { properties: { note: { type: 'string' } } } },
      },
    });
    const schema = tagged(plain, { 'customer.email': 'pii', 'lines.*.note': ['health'] });
    expect(jsonSchemaOf(schema, 'input')).toMatchObject({
      properties: {
        customer: { properties: { email: { [tagsKeyword]: ['pii'] } } },
        lines: { items: { properties: { note: { [tagsKeyword]: ['health'] } } } },
      },
    });
    expect(tagsWithin(jsonSchemaOf(plain, 'input')).size).toBe(0);
    expect(jsonSchemaOf(tagged(plain, { 'customer.mail': 'pii' }), 'input')).toMatchObject({ [tagsKeyword]: ['pii'] });
    expect(schema['~standard'].validate({ customer: 7 })).toEqual(plain['~standard'].validate({ customer: 7 }));
  });

  it('is never lost where a library cannot describe a place, or one side of what transforms', () => {
    const dated = z.object({ born: tagged(z.date(), 'pii'), name: z.string() });
    expect([...tagsWithin(jsonSchemaOf(dated, 'input'))]).toEqual(['pii']);
    expect(jsonSchemaOf(z.object({ born: z.date() }), 'input')).toBeNull();
    const length = z.object({ email: tagged(z.string(), 'pii').transform((text) => text.length) });
    expect(jsonSchemaOf(length, 'output')).toMatchObject({ [tagsKeyword]: ['pii'] });
    const silent = tagged(
      { '~standard': { version: 1, vendor: 'own', validate: (value: unknown) => ({ value }) } },
      'pii',
    );
    expect(jsonSchemaOf(silent, 'input')).toEqual({ [tagsKeyword]: ['pii'] });
  });

  it('refuses what is no tag', () => {
    expect(() => tagged(z.string(), 'Not a tag')).toThrow(/not 1 to 64 lower-case letters/);
    expect(() => tagged(z.string(), { email: [] })).toThrow(/a tag of email/);
  });
});

describe('a manifest', () => {
  it('has tags, and what may be shown, where there are any', () => {
    const open = workflow(
      'open',
      { input: z.object({ a: pii }), shows: { output: true, steps: ['x'] } },
      async () => 1,
    );
    const plain = workflow('plain', {}, async () => 1);
    const look = capability('look', { input: z.object({}), output: z.object({ a: pii }) });
    const { manifest } = defineApp({ workflows: [open, plain], capabilities: [look] });
    expect(manifest.workflows.map(({ shows }) => shows)).toEqual([{ output: true, steps: ['x'] }, undefined]);
    expect(manifest.workflows[1]).not.toHaveProperty('shows');
    expect([...tagsWithin(manifest.capabilities)]).toEqual(['pii']);
  });

  it('is refused with a word on what is shown that is none', () => {
    const shows = { outputs: true, progress: false } as never;
    expect(() => workflow('w', { shows }, async () => 1)).toThrow(
      /shows\.outputs is none of .*shows\.progress is not true/,
    );
  });
});
