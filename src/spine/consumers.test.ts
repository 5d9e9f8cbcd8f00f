/** Subscriptions that are pulled, as a program sees them: over the client, the server and an engine in one process. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, type ConsumedEvent, createClient, Nack, type PulledEvent } from '../client/index.js';
import type { Clock } from '../core/ports.js';
import { MemoryData } from '../store/memory-data.js';
import { createMemoryStore } from '../store/memory.js';
import { defineApp, subscription, topic, workflow } from '../workflow/index.js';
import { createSpine, type Spine } from './index.js';

const order = topic('order', { key: 'customer', partitions: 4 });
const few = topic('few');
const graveyard = topic('graveyard');
const ship = workflow('ship', {}, async () => null);
const app = defineApp({
  workflows: [ship],
  topics: [order, few, graveyard],
  subscriptions: [
    subscription('audit', { topic: order, from: 'oldest', deliveries: 3, dead: graveyard }),
    subscription('big', { topic: order, from: 'oldest', filter: { exact: { 'data.size': 'big' } } }),
    subscription('shipping', { topic: order, start: ship }),
    subscription('bounded', { topic: few, from: 'oldest', lagMax: { count: 3 } }),
  ],
});

let spine: Spine<typeof app>;
let client: Client;
let nowMs: number;

beforeEach(() => {
  nowMs = Date.parse('2025-06-01T00:00:00Z');
  const startedMs = performance.now();
  const clock: Clock = {
    now: () => nowMs + Math.floor(performance.now() - startedMs),
    monotonicMs: () => performance.now(),
  };
  const data = new MemoryData();
  spine = createSpine(app, {
    store: { name: 'memory', open: async () => createMemoryStore({ clock, data }) },
    engine: { lookEveryMs: 20 },
  });
  client = createClient({
    url: 'http://localhost',
    fetch: (input, init) => spine.fetch(new Request(input, init)),
    retry: { attempts: 1 },
  });
});

afterEach(() => spine.close());

async function publish(count: number, of: (i: number) => object = () => ({})): Promise<void> {
  for (let i = 0; i < count; i++)
    await client.publish('order', { customer: `c${i % 8}`, number: i, ...of(i) }, { id: `e${i}` });
}

const idsOf = (events: readonly PulledEvent[]): unknown[] => events.map(({ event }) => event['id']).sort();

async function pullAll(consumer: string, name = 'audit'): Promise<PulledEvent[]> {
  const all: PulledEvent[] = [];
  for (;;) {
    const { events } = await client.subscriptions.pull(name, consumer, { max: 500 });
    all.push(...events);
    if (events.length === 0) return all;
  }
}

describe('a subscription that is pulled', () => {
  it('hands every event to one consumer of the group, which has it alone until it settles it', async () => {
    await publish(20);
    const mine = await pullAll('a');
    expect(mine).toHaveLength(20);
    expect(mine[0]).toMatchObject({
      topic: 'order',
      delivery: 1,
      event: { source: 'eventspine/client', type: 'order' },
    });
    expect(await pullAll('b')).toEqual([]);
    expect(await client.subscriptions.ack('audit', 'a', mine)).toEqual({ settled: 20 });
    expect(await client.subscriptions.ack('audit', 'a', mine)).toEqual({ settled: 0 });
    expect(await client.subscriptions.get('audit')).toMatchObject({ lag: 0, ageMs: null });
  });

  it('filters by attributes and data, and what does not pass is behind it', async () => {
    await publish(10, (i) => ({ size: i % 5 === 0 ? 'big' : 'small' }));
    const events = await pullAll('a', 'big');
    expect(idsOf(events)).toEqual(['e0', 'e5']);
    await client.subscriptions.ack('big', 'a', events);
    expect(await client.subscriptions.get('big')).toMatchObject({ lag: 0 });
  });

  it('refuses the word of a consumer that has lost what it had, and takes that of who has it now', async () => {
    await publish(1);
    const first = await client.subscriptions.pull('audit', 'frozen', { lease: '1s' });
    nowMs += 5_000;
    const second = await client.subscriptions.pull('audit', 'alive');
    expect(second.events).toMatchObject([{ delivery: 2 }]);
    await expect(client.subscriptions.ack('audit', 'frozen', first.events)).rejects.toMatchObject({
      code: 'CONSUMER_FENCED',
      status: 409,
    });
    const held = await client.subscriptions.renew('audit', 'frozen', first.events);
    expect(held.lost).toEqual([first.events[0]?.token]);
    expect(await client.subscriptions.ack('audit', 'alive', second.events)).toEqual({ settled: 1 });
  });

  it('shares its partitions out, and moves one when nothing of it is in hand', async () => {
    await publish(16);
    const all = await client.subscriptions.pull('audit', 'ann', { max: 500 });
    expect(all.partitions).toEqual([0, 1, 2, 3]);
    // The second one waits for what the first has in hand.
    let joined = await client.subscriptions.pull('audit', 'bob', { max: 500 });
    expect(joined.events).toEqual([]);
    await client.subscriptions.ack('audit', 'ann', all.events);
    await publish(32);
    const again = await client.subscriptions.pull('audit', 'ann', { max: 500 });
    joined = await client.subscriptions.pull('audit', 'bob', { max: 500 });
    expect([...again.partitions, ...joined.partitions].sort()).toEqual([0, 1, 2, 3]);
    expect(joined.partitions.length).toBeGreaterThan(0);
    expect(again.events.length + joined.events.length).toBe(16);
    await client.subscriptions.leave('audit', 'bob');
    const left = await client.subscriptions.pull('audit', 'ann', { max: 500 });
    expect(idsOf(left.events)).toEqual(idsOf(joined.events));
    expect(left.events.every(({ delivery }) => delivery === 1)).toBe(true);
  });

  it('wakes who waits for an event', async () => {
    const waiting = client.subscriptions.pull('audit', 'a', { wait: '10s' });
    await publish(1);
    expect((await waiting).events).toHaveLength(1);
  });

  it('makes a dead event of what was delivered too often, and delivers it again when it is redriven', async () => {
    await publish(1);
    for (let delivery = 1; delivery <= 3; delivery++) {
      const { events } = await client.subscriptions.pull('audit', 'a');
      expect(events).toMatchObject([{ delivery }]);
      const said = await client.subscriptions.nack('audit', 'a', events, { delay: 0, reason: 'no table' });
      expect(said).toEqual(delivery < 3 ? { again: 1, dead: 0 } : { again: 0, dead: 1 });
    }
    const [dead] = (await client.deadEvents.list().page()).items;
    expect(dead).toMatchObject({
      source: 'subscription:audit',
      topic: 'order',
      attempts: 3,
      message: 'no table',
      event: { id: 'e0' },
    });
    const [told] = (await client.topics.events('graveyard').page()).items;
    expect(told?.event).toMatchObject({ deadid: 'e0', data: { customer: 'c0' } });
    await client.deadEvents.redrive(dead?.id ?? '', { reason: 'there is one now' });
    const { events } = await client.subscriptions.pull('audit', 'a');
    expect(events).toMatchObject([{ delivery: 1, event: { id: 'e0' } }]);
    await client.subscriptions.ack('audit', 'a', events);
    expect((await client.deadEvents.list().page()).items).toEqual([]);
    expect(await client.subscriptions.get('audit')).toMatchObject({ lag: 0 });
  });

  it('cannot be pulled where its events start runs', async () => {
    await expect(client.subscriptions.pull('shipping', 'a')).rejects.toMatchObject({ code: 'SUBSCRIPTION_HANDLED' });
    await expect(client.subscriptions.pull('nobody', 'a')).rejects.toMatchObject({ code: 'SUBSCRIPTION_NOT_FOUND' });
  });
});

describe('a consumer', () => {
  it('handles each event once, those of one key in order, until it is ended', async () => {
    await publish(40);
    const seen: number[] = [];
    const enough = new AbortController();
    const running = new Set<string>();
    await client.subscriptions.consume(
      'audit',
      async ({ key, event }: ConsumedEvent) => {
        expect(running.has(key)).toBe(false);
        running.add(key);
        await new Promise<void>((resolve) => setImmediate(resolve));
        running.delete(key);
        seen.push((event['data'] as { readonly number: number }).number);
        if (seen.length === 40) enough.abort();
      },
      { signal: enough.signal },
    );
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    for (let customer = 0; customer < 8; customer++) {
      const ofOne = seen.filter((number) => number % 8 === customer);
      expect(ofOne).toEqual([...ofOne].sort((a, b) => a - b));
    }
    expect(await client.subscriptions.get('audit')).toMatchObject({ lag: 0, consumers: [] });
  });

  it('gives back what its handler throws of, and gives up on what it says is poison', async () => {
    await publish(3);
    const ended = new AbortController();
    const tries = new Map<string, number>();
    await client.subscriptions.consume(
      'audit',
      ({ event, delivery }) => {
        const id = String(event['id']);
        tries.set(id, delivery);
        if (id === 'e1' && delivery < 2) throw new Nack('not now', { delay: 1 });
        if (id === 'e2') throw new Nack('never', { dead: true });
        if (id === 'e1') ended.abort();
      },
      { signal: ended.signal },
    );
    expect(Object.fromEntries(tries)).toEqual({ e0: 1, e1: 2, e2: 1 });
    expect((await client.deadEvents.list().page()).items).toMatchObject([
      { event: { id: 'e2' }, message: 'Nack: never' },
    ]);
  });
});

describe('a subscription over the API', () => {
  it('is made, changed and removed, and what an app declares is not', async () => {
    await publish(2);
    const made = await client.subscriptions.put('mine', { topic: 'order', from: 'oldest', deliveries: 2 });
    expect(made).toMatchObject({ topic: 'order', declared: false, deliveries: 2, lag: 2, workflow: null });
    expect(await pullAll('a', 'mine')).toHaveLength(2);
    expect(await client.subscriptions.put('mine', { topic: 'order', order: 'none' })).toMatchObject({ order: 'none' });
    expect((await client.subscriptions.list()).map(({ name }) => name)).toEqual([
      'audit',
      'big',
      'bounded',
      'mine',
      'shipping',
    ]);
    await client.subscriptions.delete('mine');
    await expect(client.subscriptions.get('mine')).rejects.toMatchObject({ code: 'SUBSCRIPTION_NOT_FOUND' });
    await expect(client.subscriptions.put('audit', { topic: 'order' })).rejects.toMatchObject({
      code: 'SUBSCRIPTION_OWNED',
    });
    await expect(client.subscriptions.delete('audit')).rejects.toMatchObject({ code: 'SUBSCRIPTION_OWNED' });
    await expect(client.subscriptions.put('x', { topic: 'order', deliveries: 0 })).rejects.toMatchObject({
      code: 'SUBSCRIPTION_INVALID',
    });
    await expect(client.subscriptions.put('x', { topic: 'nowhere' })).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
  });
});

describe('publishers', () => {
  const codeOf = async (id: string): Promise<string> =>
    client.publish('few', { customer: 'c' }, { id }).then(
      () => 'taken',
      (error: unknown) => (error as { readonly code: string }).code,
    );
  const until = async (code: string): Promise<void> => {
    for (let i = 0; i < 200; i++) {
      if ((await codeOf(`${code}-${i}`)) === code) return;
      await new Promise<void>((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`${code} did not come about`);
  };

  it('are refused while a subscription is further behind than it may be, and metrics tell', async () => {
    for (const id of ['1', '2', '3', '4']) expect(await codeOf(id)).toBe('taken');
    await until('TOPIC_BEHIND');
    const refused = await spine.fetch(
      new Request('http://localhost/v1/topics/few/events', {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' },
      }),
    );
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await client.subscriptions.get('bounded')).behind).toContain('may be 3');
    const metrics = await (await spine.fetch(new Request('http://localhost/metrics'))).text();
    expect(metrics).toMatch(/eventspine_subscription_lag\{subscription="bounded"\} [4-9]/);
    expect(metrics).toMatch(/eventspine_subscription_refused_total\{subscription="bounded"\} [1-9]/);
    await client.subscriptions.ack('bounded', 'a', await pullAll('a', 'bounded'));
    await until('taken');
  });
});
