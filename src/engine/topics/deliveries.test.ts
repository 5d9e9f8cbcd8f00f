import { afterEach, expect, it } from 'vitest';
import { payloadOfJson } from '../../core/codec.js';
import { subscriptionsTopic, type Manifest, type WorkflowManifest } from '../../core/manifest.js';
import type { RunEventData } from '../../core/run/events.js';
import type { Subscription } from '../../core/topics/subscription.js';
import { untouched } from '../../core/topics/retention.js';
import { nodePorts } from '../../runtime/index.js';
import type { Store } from '../../store/contract.js';
import { createMemoryStore } from '../../store/memory.js';
import { MemoryData } from '../../store/memory-data.js';
import type { Engine, Origin } from '../api.js';
import { createEngine } from '../engine.js';
import { parseEnvelope } from '../events/envelope-writer.js';
import { lowWrite } from './low-water.js';

const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const at = { tenant: 'default', topic: 'noted', partition: 0 };

const handle: WorkflowManifest = {
  name: 'handle',
  version: null,
  previous: [],
  input: null,
  on: null,
  completes: null,
  priority: 5,
  timeoutMs: null,
  retainMs: null,
  deadlineMs: 30_000,
  retry: { attempts: 1, minMs: 1, maxMs: 1, factor: 1 },
};

function manifestOf(...subscriptions: readonly Partial<Subscription>[]): Manifest {
  return {
    format: 1,
    app: 'test',
    topics: [
      { name: 'noted', schema: null, key: 'key', partitions: 1 },
      { name: 'spread', schema: null, key: 'key', partitions: 8 },
    ],
    workflows: [handle],
    capabilities: [],
    subscriptions: subscriptions.map((given) => ({
      name: 'all',
      topic: 'noted',
      filter: null,
      from: 'oldest',
      order: 'none',
      windowMax: 512,
      lagMax: null,
      dead: null,
      workflow: 'handle',
      ...given,
    })),
  };
}

const engines: Engine[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});

async function engineOver(store: Store): Promise<Engine> {
  const engine = createEngine({ store, ports: nodePorts, settings: { lookEveryMs: 50 } });
  engines.push(engine);
  await engine.start();
  return engine;
}

async function publish(engine: Engine, topic: string, from: number, count: number, by = origin): Promise<void> {
  const events = Array.from({ length: count }, (_, i) => {
    const value = { key: `key-${i}` };
    return { topic, id: `e${from + i}`, source: 'test', type: topic, data: payloadOfJson(value), value };
  });
  for (const outcome of await engine.publish(by, events)) if (outcome.tag === 'error') throw outcome.error;
}

/** The events that have a run, in the order of their ids. */
async function begun(store: Store): Promise<string[]> {
  const { items } = await store.listRuns({ tenant: 'default', workflow: 'handle', limit: 1_000 });
  const ids = await Promise.all(
    items.map(async ({ run }) => {
      const [first] = await store.readEvents({ tenant: 'default', stream: run, after: 0, limit: 1 });
      const data = first === undefined ? null : (parseEnvelope(first.envelope).data as RunEventData['run.started']);
      return data?.trigger?.eventId ?? 'none';
    }),
  );
  return ids.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
}

const idsOf = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => `e${from + i}`);

it('begins one run for each event, where two servers both believe to have the duty', async () => {
  const data = new MemoryData();
  const stores = [1, 2].map(() => createMemoryStore({ clock: nodePorts.clock, data, shared: true }));
  // Both are told that they have it.
  for (const store of stores) store.holdDuty = async () => true;
  const [one, two] = await Promise.all(stores.map(engineOver));
  const [store] = stores;
  if (one === undefined || two === undefined || store === undefined) throw new Error('unreachable');
  await one.register(manifestOf({ topic: 'spread' }));
  await two.currentDefinitions();
  for (let round = 0; round < 5; round++)
    await Promise.all([publish(one, 'spread', round * 40, 20), publish(two, 'spread', round * 40 + 20, 20)]);
  await expect.poll(async () => (await begun(store)).length, { timeout: 10_000 }).toBe(200);
  expect(await begun(store)).toEqual(idsOf(0, 200));
});

it('begins with what is published after it was declared, or with what was there', async () => {
  const store = createMemoryStore({ clock: nodePorts.clock });
  const engine = await engineOver(store);
  await engine.register(manifestOf({}));
  await engine.pauseSubscription(origin, 'all', null);
  await publish(engine, 'noted', 0, 4);
  await engine.register(manifestOf({ name: 'late', from: 'newest' }, { name: 'later', from: { offset: 3 } }));
  await publish(engine, 'noted', 4, 2);
  await expect.poll(() => begun(store)).toEqual(['e3', 'e4', 'e4', 'e5', 'e5']);
});

it('tells of events that were gone before it came to them', async () => {
  const store = createMemoryStore({ clock: nodePorts.clock });
  const engine = await engineOver(store);
  await engine.register(manifestOf({}));
  await publish(engine, 'noted', 0, 1);
  await expect.poll(() => begun(store)).toEqual(['e0']);
  await engine.pauseSubscription(origin, 'all', null);
  await publish(engine, 'noted', 1, 5);
  const low = lowWrite(at, { low: untouched, value: null }, { ...untouched, low: 4 }, store.now());
  await store.apply([
    { tenant: 'default', trims: [{ topic: 'noted', partition: 0, offsets: [0, 1, 2, 3] }], entries: [low] },
  ]);
  await engine.resumeSubscription(origin, 'all');
  await expect.poll(() => begun(store)).toEqual(['e0', 'e4', 'e5']);
  const { items } = await engine.readTopic('default', subscriptionsTopic.name, { partition: 0, after: -1, limit: 9 });
  expect(items.map(({ event }) => event['data'])).toMatchObject([
    { change: 'paused' },
    { change: 'resumed' },
    { change: 'gap', subscription: 'all', topic: 'noted', partition: 0, from: 1, to: 3 },
  ]);
});

it('makes a dead event of what no run can be made of, and goes on', async () => {
  const store = createMemoryStore({ clock: nodePorts.clock });
  const engine = await engineOver(store);
  await engine.register(manifestOf({}));
  // Fits the envelope of the event once, and not that of the start of a run twice.
  await publish(engine, 'noted', 0, 1, { ...origin, correlation: 'x'.repeat(5_000) });
  await publish(engine, 'noted', 1, 1);
  await expect.poll(() => begun(store)).toEqual(['e1']);
  const { items } = await engine.listDeadEvents('default', { source: 'subscription:all' });
  expect(items).toMatchObject([{ code: 'EVENT_TOO_LARGE', class: 'poison' }]);
  expect(await engine.redriveDeadEvent(origin, items[0]?.id ?? '', null)).toEqual({ tag: 'done' });
  expect(await begun(store)).toEqual(['e0', 'e1']);
});

it('goes on with a replay that was made on another server, or before a restart', async () => {
  const data = new MemoryData();
  const open = (): Store => createMemoryStore({ clock: nodePorts.clock, data, shared: true });
  const store = open();
  const one = await engineOver(store);
  const two = await engineOver(open());
  await one.register(manifestOf({ workflow: null }));
  await two.currentDefinitions();
  await publish(one, 'noted', 0, 3);
  await two.replaySubscription(origin, 'all', { from: 'oldest', workflow: 'handle', into: 'again' });
  await expect.poll(() => begun(store), { timeout: 5_000 }).toEqual(['e0', 'e1', 'e2']);
  await publish(one, 'noted', 3, 1);
  await engines.splice(0, 1)[0]?.stop();
  expect(await begun(open())).toEqual(['e0', 'e1', 'e2']);
});
