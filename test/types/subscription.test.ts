/** Types of subscriptions: the workflow must take what the topic holds. `tsc` is the judge. */
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { defineApp, subscription, topic, workflow, type Subscription } from '../../src/workflow/index.js';

const placed = topic('order.placed', { schema: z.object({ id: z.string(), total: z.number() }), key: 'id' });
const dead = topic('order.dead');
const review = workflow('review', { input: z.object({ id: z.string(), total: z.number() }) }, (_, { id }) => id);
const glance = workflow('glance', { input: z.object({ id: z.string() }) }, (_, { id }) => id);
const anything = workflow('anything', {}, () => 'done');
const other = workflow('other', { input: z.object({ amount: z.number() }) }, (_, { amount }) => amount);

/** Never called: what is in here is compiled. */
export function program(): void {
  expectTypeOf(subscription('a', { topic: placed, start: review })).toEqualTypeOf<Subscription<'a'>>();
  subscription('b', { topic: placed, start: glance });
  subscription('c', { topic: placed, start: anything, dead, from: { at: new Date(0) }, lagMax: { age: '5m' } });
  subscription('d', { topic: placed });
  // @ts-expect-error the workflow takes something else
  subscription('e', { topic: placed, start: other });
  // @ts-expect-error there is no such dialect
  subscription('f', { topic: placed, filter: { regex: { type: 'x' } } });
  // @ts-expect-error nor such an order
  subscription('g', { topic: placed, order: 'strict' });
  // @ts-expect-error a subscription is of a topic
  subscription('h', { start: review });
}

describe('subscriptions as values', () => {
  it('are in the manifest, with what they were not given', () => {
    const reviews = subscription('reviews', { topic: placed, start: review, dead, filter: { prefix: { type: 'o' } } });
    const pulled = subscription('audit', { topic: placed, from: { at: '2026-01-31T09:00:00Z' }, lagMax: { count: 9 } });
    const app = defineApp({ workflows: [review], subscriptions: [reviews, pulled] });
    expect(app.manifest.topics.map(({ name }) => name)).toEqual(['order.dead', 'order.placed']);
    expect(app.manifest.subscriptions).toEqual([
      {
        name: 'audit',
        topic: 'order.placed',
        workflow: null,
        dead: null,
        filter: null,
        from: { at: Date.UTC(2026, 0, 31, 9) },
        order: 'key',
        windowMax: 64,
        lagMax: { count: 9, ageMs: null },
      },
      {
        name: 'reviews',
        topic: 'order.placed',
        workflow: 'review',
        dead: 'order.dead',
        filter: { prefix: { type: 'o' } },
        from: 'newest',
        order: 'key',
        windowMax: 64,
        lagMax: null,
      },
    ]);
  });

  it('are not there in the manifest of an app without any, whose hash stays as it was', () => {
    expect(Object.keys(defineApp({ workflows: [review] }).manifest)).not.toContain('subscriptions');
  });

  it('name all their faults at once', () => {
    const given: object = { topic: 'x', start: placed, window: 0, order: 'no', from: 'then', lagMax: {}, filters: {} };
    const make = (): unknown => subscription('bad name', given as never);
    expect(make).toThrow(/"filters" is not an option; did you mean "filter"/);
    for (const fault of [
      'the name may',
      'topic must',
      'start must',
      'window must',
      'order must',
      'from must',
      'lagMax',
    ])
      expect(make).toThrow(fault);
  });

  it('start only workflows of their app', () => {
    const reviews = subscription('reviews', { topic: placed, start: review });
    expect(() => defineApp({ subscriptions: [reviews] })).toThrow(/starts "review", which is not in workflows/);
    expect(() => defineApp({ workflows: [review], subscriptions: [reviews, reviews] })).toThrow(/is there twice/);
  });
});
