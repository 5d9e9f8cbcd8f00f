/** Types of topics whose schema has versions: publishers and readers have the newest, upcasters the one before. */
import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { topic, workflow, type Topic } from '../../src/workflow/index.js';

const v1 = z.object({ name: z.string(), since: z.coerce.date() });
const v2 = z.object({ first: z.string(), last: z.string().default('') });
const v3 = z.object({ first: z.string(), last: z.string(), age: z.number().optional() });

const person = topic('person', {
  versions: {
    1: v1,
    2: {
      schema: v2,
      up: (old) => {
        expectTypeOf(old).toEqualTypeOf<{ name: string; since: Date }>();
        return { first: old.name };
      },
    },
    3: v3,
  },
  compatibility: { mode: 'full', transitive: true },
  unknown: 'strip',
  key: 'first',
});
const single = topic('single', { versions: { 1: v2 } });

const split = { schema: v2, up: (old: { name: string }) => ({ first: old.name }) };

/** Never called: what is in here is compiled. */
export function compiled(): void {
  // @ts-expect-error what an upcaster returns has to be of its version
  topic('person', { versions: { 1: v1, 2: { schema: v2, up: (old: { name: string }) => ({ last: old.name }) } } });
  // @ts-expect-error an upcaster gets what the version before gives
  topic('person', { versions: { 1: v1, 2: { schema: v2, up: (old: { nome: string }) => ({ first: old.nome }) } } });
  // @ts-expect-error the key is a field of the newest version
  topic('person', { versions: { 1: v1, 2: split }, key: 'name' });
  // @ts-expect-error one or the other
  topic('person', { schema: v1, versions: { 1: v1 } });
  // @ts-expect-error there is no such word
  topic('person', { schema: v1, unknown: 'forbid' });
}

describe('types of versioned topics', () => {
  it('are those of the newest version', () => {
    type Newest = { first: string; last: string; age?: number | undefined };
    expectTypeOf(person).toEqualTypeOf<Topic<'person', Newest, Newest>>();
    expectTypeOf(single).toEqualTypeOf<
      Topic<'single', { first: string; last?: string | undefined }, { first: string; last: string }>
    >();
    workflow('greet', { on: person }, async (_ctx, data) => {
      expectTypeOf(data).toEqualTypeOf<Newest>();
      return Promise.resolve(data.age);
    });
  });
});
