/** What a partition that was trimmed is to consumers: a gap that they are told of, and dead events of what was still open. */
import { afterEach, expect, it } from 'vitest';
import { payloadOfJson } from '../../core/codec.js';
import type { Manifest } from '../../core/manifest.js';
import { topicLowOf } from '../../core/topics/retention.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import type { Engine, Origin } from '../api.js';
import { createEngine } from '../engine.js';
import { lowWrite, readLow } from './low-water.js';

const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [{ name: 'noted', schema: null, key: null, partitions: 1 }],
  workflows: [],
  capabilities: [],
};
const at = { tenant: 'default', topic: 'noted', partition: 0 };
const engines: Engine[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});

async function place() {
  const store = createMemoryStore({ clock: nodePorts.clock });
  const engine = createEngine({ store, ports: nodePorts });
  engines.push(engine);
  await engine.start();
  await engine.register(manifest);
  await engine.putSubscription(origin, 'group', { topic: 'noted', from: 'oldest', order: 'none' });
  const publish = async (...ids: string[]): Promise<void> => {
    const events = ids.map((id) => ({ topic: 'noted', id, source: 'test', type: 'noted', data: payloadOfJson(id) }));
    for (const outcome of await engine.publish(origin, events)) expect(outcome.tag).toBe('published');
  };
  /** As retention does: everything below an offset goes, with a word of it. */
  const trim = async (low: number): Promise<void> => {
    const before = await readLow(store, at);
    const offsets = Array.from({ length: low }, (_, i) => i);
    const state = { ...topicLowOf(before.value ?? undefined), low };
    const [outcome] = await store.apply([
      {
        tenant: 'default',
        trims: [{ topic: 'noted', partition: 0, offsets }],
        entries: [lowWrite(at, before, state, store.now())],
      },
    ]);
    expect(outcome?.tag).toBe('applied');
  };
  const pull = (max = 50) => engine.pullEvents(origin, 'group', { consumer: 'a', max });
  return { engine, publish, trim, pull };
}

it('tells a consumer once of what was trimmed before it came to it', async () => {
  const { publish, trim, pull, engine } = await place();
  await publish('a', 'b', 'c', 'd');
  await trim(2);
  const { events, gaps } = await pull();
  expect(events.map(({ offset }) => offset)).toEqual([2, 3]);
  expect(gaps).toEqual([{ partition: 0, from: 0, to: 1 }]);
  await engine.ackEvents(origin, 'group', { consumer: 'a', positions: events });
  await publish('e');
  expect((await pull()).gaps).toEqual([]);
});

it('goes past a partition of which nothing is left', async () => {
  const { publish, trim, pull, engine } = await place();
  await publish('a', 'b');
  await trim(2);
  expect(await pull()).toMatchObject({ events: [], gaps: [{ partition: 0, from: 0, to: 1 }] });
  expect(await engine.readSubscription('default', 'group')).toMatchObject({ lag: 0, partitions: [{ next: 2 }] });
});

it('makes a dead event of what was given back and is trimmed before it comes again', async () => {
  const { publish, trim, pull, engine } = await place();
  await publish('a', 'b');
  const { events } = await pull();
  await engine.nackEvents(origin, 'group', { consumer: 'a', positions: events.slice(0, 1), delayMs: 0 });
  await trim(1);
  expect((await pull()).events).toEqual([]);
  const { items } = await engine.listDeadEvents('default', {});
  expect(items).toMatchObject([{ offset: '0', code: 'EVENT_GONE' }]);
  await engine.ackEvents(origin, 'group', { consumer: 'a', positions: events.slice(1) });
  expect(await engine.readSubscription('default', 'group')).toMatchObject({ lag: 0 });
});
