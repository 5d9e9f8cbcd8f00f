/** Topics whose schemas are of several libraries: each is known to servers as JSON Schema, and held to the same rules. */
import { expect, it } from 'vitest';
import { z } from 'zod';
import { schemaLibraries } from '../../scripts/schema-libraries.mjs';
import { evolutionFaults } from '../../src/core/schema/compatibility.js';
import type { StandardSchema } from '../../src/core/standard-schema.js';
import { defineApp, fromJsonSchema, topic } from '../../src/workflow/index.js';
import { describeUnless } from '../skip.js';

const found = schemaLibraries();
/** Schemas of an order: with an id, with a total that may be missing, and with one that may not. */
type Orders = readonly [StandardSchema, StandardSchema, StandardSchema];
type Call = (...given: readonly unknown[]) => never;
type Calls = Readonly<Record<string, Call>>;

const load = async (url: string): Promise<Calls> => (await import(url)) as Calls;

const libraries: Readonly<Record<string, () => Promise<Orders>>> = {
  zod: async () => {
    const id = z.string();
    const orders = [
      z.object({ id }),
      z.object({ id, total: z.number().optional() }),
      z.object({ id, total: z.number() }),
    ];
    return Promise.resolve(orders as unknown as Orders);
  },
  valibot: async () => {
    if (found.valibot === null) throw new Error(found.reason);
    const [{ object, string, number, optional }, { toStandardJsonSchema }] = (await Promise.all([
      load(found.valibot),
      load(found.valibotJson),
    ])) as [Record<'object' | 'string' | 'number' | 'optional', Call>, Record<'toStandardJsonSchema', Call>];
    const orders = [{ id: string() }, { id: string(), total: optional(number()) }, { id: string(), total: number() }];
    return orders.map((fields): unknown => toStandardJsonSchema(object(fields))) as unknown as Orders;
  },
  arktype: async () => {
    if (found.valibot === null) throw new Error(found.reason);
    const { type } = (await load(found.arktype)) as Record<'type', Call>;
    const orders = [{ id: 'string' }, { id: 'string', 'total?': 'number' }, { id: 'string', total: 'number' }];
    return orders.map((fields): unknown => type(fields)) as unknown as Orders;
  },
  typebox: async () => {
    if (found.valibot === null) throw new Error(found.reason);
    const box = (await import(found.typebox)) as {
      readonly default: Record<'Object' | 'String' | 'Number' | 'Optional', Call>;
    };
    const { Object: object, String: string, Number: number, Optional: optional } = box.default;
    const orders = [{ id: string() }, { id: string(), total: optional(number()) }, { id: string(), total: number() }];
    return orders.map((fields): unknown => fromJsonSchema(object(fields))) as unknown as Orders;
  },
};

describeUnless(found.valibot === null ? found.reason : null, 'schemas of several libraries', () => {
  it.each(Object.keys(libraries))('of %s are known as JSON Schema and proven compatible, or not', async (library) => {
    const [first, wider, narrower] = (await libraries[library]?.()) ?? [];
    if (first === undefined || wider === undefined || narrower === undefined) throw new Error('not three');
    const faultsOf = (second: StandardSchema): string[] => {
      const orders = topic('orders', { versions: { 1: first, 2: second } });
      const [manifest] = defineApp({ topics: [orders] }).manifest.topics;
      expect(manifest?.schema).toMatchObject({ type: 'object', properties: { id: { type: 'string' } } });
      return manifest === undefined ? [] : evolutionFaults(manifest, null);
    };
    expect(faultsOf(wider)).toEqual([]);
    expect(faultsOf(narrower)).toEqual([expect.stringContaining('total is required in version 2')]);
    expect(await narrower['~standard'].validate({ id: 'a', total: 1 })).toMatchObject({ value: { id: 'a', total: 1 } });
    expect((await narrower['~standard'].validate({ id: 'a' })).issues).toHaveLength(1);
  });
});
