/** Subscriptions as a caller sees them: the client's surface, the handlers of HTTP and the engine behind, in one process. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createClient } from '../client/index.js';
import type { RunEventData } from '../core/run/events.js';
import { memory } from './index.js';
import { defineApp, subscription, topic, workflow } from '../workflow/index.js';
import { createSpine, type Spine } from './create-spine.js';

const placed = topic('order.placed', { schema: z.object({ id: z.string(), n: z.number() }), key: 'id', partitions: 2 });
const dead = topic('order.dead', { schema: z.object({ id: z.string(), n: z.number() }) });
const order = z.object({ id: z.string(), n: z.number() });

let failing = new Set<number>();
const review = workflow('review', { input: order, retry: { attempts: 1 } }, (_, { n }) => {
  if (failing.has(n)) throw new Error(`order ${n} is broken`);
  return n;
});
const again = workflow('again', { input: order }, (_, { n }) => n);
const app = defineApp({
  workflows: [review, again],
  topics: [placed],
  subscriptions: [subscription('reviews', { topic: placed, start: review, dead, from: 'oldest' })],
});

let spine: Spine<typeof app>;

beforeEach(() => {
  failing = new Set();
  spine = createSpine(app, { store: memory() });
});

afterEach(() => spine.close());

/** A client over HTTP, without a network: what it sends is what would go over one. */
function remote(): ReturnType<typeof createClient<typeof app>> {
  return createClient<typeof app>({
    url: 'http://localhost',
    fetch: (input, init) => spine.fetch(new Request(input, init)),
    retry: { attempts: 1 },
  });
}

const publish = (...numbers: readonly number[]): Promise<unknown> =>
  Promise.all(numbers.map((n) => spine.publish('order.placed', { id: `o${n}`, n }, { id: `e${n}` })));

type Started = RunEventData['run.started'];

/** The runs of a workflow that have ended, by the event that each is for, in the order of their starts. */
async function handled(name: 'review' | 'again'): Promise<string[]> {
  const client = remote();
  const runs = await client.runs.list({ workflow: name, limit: 500 }).page();
  const ended = runs.items.filter(({ state }) => state === 'succeeded' || state === 'failed');
  const events = await Promise.all(
    ended.map(async ({ id }) => {
      const [first] = (await client.runs.history(id).page()).items;
      return (first?.data as Started | undefined)?.trigger?.eventId ?? 'none';
    }),
  );
  return events.sort();
}

describe('subscriptions', () => {
  it('begin nothing while they are paused, and go on from where they were', async () => {
    const { subscriptions } = remote();
    await publish(1);
    await expect.poll(() => handled('review')).toEqual(['e1']);
    expect(await subscriptions.pause('reviews', { reason: 'why' })).toEqual({ id: 'reviews', outcome: 'done' });
    expect(await subscriptions.pause('reviews')).toEqual({ id: 'reviews', outcome: 'already' });
    await publish(2, 3);
    await spine.start('again', { id: 'x', n: 0 }).then((run) => run.result());
    expect(await handled('review')).toEqual(['e1']);
    expect(await subscriptions.resume('reviews')).toMatchObject({ outcome: 'done' });
    await expect.poll(() => handled('review')).toEqual(['e1', 'e2', 'e3']);
    const { items: told } = await remote().topics.events('eventspine.subscriptions').page();
    expect(told.map(({ event }) => event.data)).toMatchObject([
      { subscription: 'reviews', change: 'paused', reason: 'why' },
      { subscription: 'reviews', change: 'resumed' },
    ]);
  });

  it('begin anew what lies behind the place that they are set to', async () => {
    const { subscriptions } = remote();
    await publish(1, 2, 3);
    await expect.poll(() => handled('review')).toHaveLength(3);
    const { partitions } = await subscriptions.seek('reviews', 'oldest');
    expect(partitions.map(({ next }) => next)).toEqual([0, 0]);
    await expect.poll(() => handled('review')).toEqual(['e1', 'e1', 'e2', 'e2', 'e3', 'e3']);
    await subscriptions.pause('reviews');
    await publish(4);
    await subscriptions.seek('reviews', 'newest');
    await subscriptions.resume('reviews');
    await publish(5);
    await expect.poll(() => handled('review')).toContain('e5');
    expect(await handled('review')).not.toContain('e4');
  });

  it('replay what was through a group of its own, which ends where the topic ended', async () => {
    const { subscriptions } = remote();
    await publish(1, 2, 3);
    await expect.poll(() => handled('review')).toHaveLength(3);
    expect(await subscriptions.replay('reviews', 'oldest', { dryRun: true })).toMatchObject({
      into: null,
      dryRun: true,
      events: 3,
      wanted: 3,
      isWhole: true,
    });
    expect(await handled('again')).toEqual([]);
    const { into } = await subscriptions.replay('reviews', 'oldest', { workflow: 'again', into: 'second-look' });
    expect(into).toBe('second-look');
    await publish(4);
    await expect.poll(() => handled('again')).toEqual(['e1', 'e2', 'e3']);
    await expect.poll(() => handled('review')).toEqual(['e1', 'e2', 'e3', 'e4']);
    expect(await handled('again')).toEqual(['e1', 'e2', 'e3']);
    await expect(subscriptions.replay('reviews', 'oldest', { into: 'second-look' })).rejects.toMatchObject({
      code: 'SUBSCRIPTION_INVALID',
    });
    await expect(subscriptions.replay('reviews', 'oldest', { workflow: 'nothing' })).rejects.toMatchObject({
      code: 'WORKFLOW_UNKNOWN',
    });
  });

  it('tell their mirror topic of each run that becomes a dead letter, with the event that it was for', async () => {
    failing = new Set([2]);
    await publish(1, 2, 3);
    await expect.poll(() => handled('review')).toHaveLength(3);
    const [letter] = (await remote().deadLetters.list().page()).items;
    const { items: told } = await remote().topics.events('order.dead').page();
    expect(told).toHaveLength(1);
    expect(told[0]?.event).toMatchObject({
      id: letter?.id,
      source: 'subscription:reviews',
      type: 'order.placed',
      data: { id: 'o2', n: 2 },
      deadid: 'e2',
      deadrun: letter?.run,
      deadmessage: 'order 2 is broken',
    });
    // The run is the truth: it is what is redriven.
    failing = new Set();
    await remote().deadLetters.redrive(letter?.id ?? '');
    await expect.poll(async () => (await remote().deadLetters.list().page()).items).toEqual([]);
  });

  it('say what they do not know', async () => {
    const { subscriptions } = remote();
    for (const ask of [
      () => subscriptions.pause('nothing'),
      () => subscriptions.resume('nothing'),
      () => subscriptions.seek('nothing', 'oldest'),
      () => subscriptions.replay('nothing', 'oldest'),
      () => subscriptions.replay('nothing', 'oldest', { dryRun: true }),
    ])
      await expect(ask()).rejects.toMatchObject({ code: 'SUBSCRIPTION_NOT_FOUND' });
    await expect(subscriptions.seek('reviews', { at: 'yesterday' })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });
});
