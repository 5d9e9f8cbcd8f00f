import { afterEach, expect, it } from 'vitest';
import { payloadOfJson } from '../../core/codec.js';
import type { Manifest } from '../../core/manifest.js';
import { indexSpace } from '../../core/run/waits.js';
import { nodePorts } from '../../runtime/index.js';
import { topicStream, type EventRow, type Store } from '../../store/contract.js';
import { createMemoryStore } from '../../store/memory.js';
import type { Engine, Origin } from '../api.js';
import { createEngine } from '../engine.js';

const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [{ name: 'noted', schema: null, key: 'key', partitions: 4 }],
  workflows: [],
  capabilities: [],
};

const engines: Engine[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});

/** An engine whose reads of a partition go by way of `read`, and how many events each partition has. */
async function routed(read: (partition: number, rows: () => Promise<EventRow[]>) => Promise<EventRow[]>) {
  const memory = createMemoryStore({ clock: nodePorts.clock });
  const readEvents = memory.readEvents.bind(memory);
  const store: Store = Object.assign(memory, {
    readEvents: (query: Parameters<Store['readEvents']>[0]) => {
      const rows = (): Promise<EventRow[]> => readEvents(query);
      const partition = [0, 1, 2, 3].find((n) => query.stream === topicStream('noted', n));
      return partition === undefined ? rows() : read(partition, rows);
    },
  });
  const engine = createEngine({ store, ports: nodePorts });
  engines.push(engine);
  await engine.start();
  await engine.register(manifest);
  const publish = async (count: number): Promise<void> => {
    const events = Array.from({ length: count }, (_, i) => {
      const value = { key: `key-${i}` };
      return { topic: 'noted', id: `e${i}`, source: 'test', type: 'noted', data: payloadOfJson(value), value };
    });
    for (const outcome of await engine.publish(origin, events)) if (outcome.tag === 'error') throw outcome.error;
  };
  /** Partitions of the events that are in the index. */
  const indexed = async (): Promise<number[]> => {
    const entries = await store.readEntries({ tenant: 'default', space: indexSpace('noted'), limit: 10_000 });
    return entries.map(({ value }) => (JSON.parse(value) as { readonly partition: number }).partition);
  };
  return { publish, indexed };
}

it('routes the other partitions while one is slow, and that one once only at a time', async () => {
  let isSlow = true;
  let under = 0;
  let most = 0;
  const letGo: (() => void)[] = [];
  const { publish, indexed } = await routed(async (partition, rows) => {
    if (partition !== 2) return rows();
    most = Math.max(most, ++under);
    if (isSlow) await new Promise<void>((resolve) => letGo.push(resolve));
    under--;
    return rows();
  });
  await publish(40);
  await expect.poll(async () => new Set(await indexed())).toEqual(new Set([0, 1, 3]));
  // What is published meanwhile to the others does not wait either.
  const before = (await indexed()).length;
  await publish(80);
  await expect.poll(async () => (await indexed()).length).toBeGreaterThan(before);
  isSlow = false;
  for (const go of letGo) go();
  await expect.poll(async () => (await indexed()).length).toBe(80);
  expect(most).toBe(1);
});

it('routes the other partitions where one fails, and that one when it can', async () => {
  let isBroken = true;
  const { publish, indexed } = await routed((partition, rows) =>
    isBroken && partition === 0 ? Promise.reject(new Error('cannot be read')) : rows(),
  );
  await publish(40);
  await expect.poll(async () => new Set(await indexed())).toEqual(new Set([1, 2, 3]));
  isBroken = false;
  await expect.poll(async () => (await indexed()).length, { timeout: 5_000 }).toBe(40);
});

it('routes more than a batch of one partition', async () => {
  const { publish, indexed } = await routed((_partition, rows) => rows());
  for (let i = 0; i < 2; i++) await publish(900);
  await expect.poll(async () => (await indexed()).length, { timeout: 5_000 }).toBe(900);
});
