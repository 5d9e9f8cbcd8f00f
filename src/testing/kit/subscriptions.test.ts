/** Subscriptions under test: what is published is delivered before anything else happens. */
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { defineApp, subscription, topic, workflow } from '../../workflow/index.js';
import { testSpine, type TestSpine } from './test-spine.js';

const placed = topic('order.placed', { schema: z.object({ id: z.string(), total: z.number() }), key: 'id' });
const audit = workflow('audit', { input: z.object({ id: z.string() }) }, (_, { id }) => id);
const review = workflow('review', { input: z.object({ id: z.string(), total: z.number() }) }, async (ctx, order) => {
  await ctx.sleep('1h');
  return order.total;
});
const app = defineApp({
  workflows: [audit, review],
  topics: [placed],
  subscriptions: [
    subscription('all', { topic: placed, start: audit, order: 'none' }),
    subscription('large', { topic: placed, start: review, filter: { prefix: { 'data.total': '9' } } }),
  ],
});

let t: TestSpine<typeof app>;
afterEach(() => t.close());

const started = async (workflow: string): Promise<unknown[]> =>
  Promise.all((await t.runs({ workflow })).map(async ({ id }) => (await t.history(id))[0]?.data)).then((list) =>
    list.reverse(),
  );

it('starts a run for each event that a filter lets pass, which knows where it came from', async () => {
  t = await testSpine(app);
  await t.publish('order.placed', { id: 'o1', total: 10 }, { id: 'e1' });
  const { runs } = await t.publish('order.placed', { id: 'o2', total: 90 }, { id: 'e2' });
  expect(runs).toHaveLength(2);
  expect((await t.publish('order.placed', { id: 'o2', total: 90 }, { id: 'e2' })).runs).toEqual([]);
  await t.idle();
  expect(await started('audit')).toMatchObject([
    { trigger: { topic: 'order.placed', eventId: 'e1', subscription: { name: 'all', partition: 0, offset: 0 } } },
    { trigger: { topic: 'order.placed', eventId: 'e2', subscription: { name: 'all', partition: 0, offset: 1 } } },
  ]);
  expect(await started('review')).toMatchObject([{ trigger: { eventId: 'e2', subscription: { name: 'large' } } }]);
  const [run] = await t.runs({ workflow: 'review' });
  expect(await t.result(run?.id ?? '')).toBe(90);
});

it('begins the next event of a key when the run of the one before has ended', async () => {
  t = await testSpine(app);
  for (const total of [91, 92]) await t.publish('order.placed', { id: 'o1', total });
  await t.publish('order.placed', { id: 'o2', total: 93 });
  await t.idle();
  expect(await started('review')).toHaveLength(2);
  await t.advance('59m');
  expect(await started('review')).toHaveLength(2);
  await t.advance('2m');
  expect(await started('review')).toHaveLength(3);
  await t.advance('1h');
  expect((await t.runs({ workflow: 'review' })).map(({ state }) => state)).toEqual(Array(3).fill('succeeded'));
});
