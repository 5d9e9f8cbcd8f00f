/** Bridges between engines and a bus in memory: once in, at least once and in order out, whatever dies in between. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BusMessage } from '../../bus/port.js';
import { payloadOfJson } from '../../core/codec.js';
import type { Manifest } from '../../core/manifest.js';
import type { Bridge, InboundBridge, OutboundBridge } from '../../core/topics/bridge.js';
import { topicLowSpace } from '../../core/topics/retention.js';
import { encodeEventMessage } from '../../protocol/cloudevents-messages.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore, MemoryData } from '../../store/index.js';
import type { Store, Transition } from '../../store/contract.js';
import { MemoryBroker, type MemoryBus } from '../../testing/bus/index.js';
import type { Engine, Origin } from '../api.js';
import { createEngine } from '../engine.js';

const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [
    { name: 'orders', schema: { type: 'object', required: ['n'] }, key: null, partitions: 2 },
    { name: 'shipped', schema: null, key: null, partitions: 2 },
  ],
  workflows: [
    {
      name: 'fulfil',
      version: null,
      previous: [],
      input: null,
      on: 'orders',
      completes: null,
      priority: 5,
      timeoutMs: null,
      retainMs: null,
      deadlineMs: 30_000,
      retry: { attempts: 1, minMs: 1, maxMs: 1, factor: 1 },
    },
  ],
  capabilities: [],
};
const inbound: InboundBridge = {
  direction: 'in',
  name: 'orders-in',
  bus: 'main',
  tenant: 'default',
  topic: 'orders',
  outside: 'shop.orders',
  batchMax: 5,
  group: 'g',
  from: 'oldest',
  accepts: 'cloudevents',
};
const outbound: OutboundBridge = {
  direction: 'out',
  name: 'shipped-out',
  bus: 'main',
  tenant: 'default',
  topic: 'shipped',
  outside: 'shipments',
  batchMax: 5,
  from: 'oldest',
  mode: 'binary',
  partitions: 3,
};

function message(id: string, key: string, data: unknown = { n: 1 }): BusMessage {
  const event = { id, source: '/shop', type: 'order', extensions: { partitionkey: key } };
  return {
    id,
    topic: 'shop.orders',
    ...encodeEventMessage({ ...event, data: { kind: 'json', value: data } }, 'binary'),
  };
}

class World {
  readonly broker = new MemoryBroker(nodePorts);
  readonly data = new MemoryData();
  readonly sender = this.broker.connect();
  readonly buses: MemoryBus[] = [];
  readonly engines: Engine[] = [];
  /** Put between engines and the store. */
  change: (store: Store) => Store = (store) => store;

  constructor() {
    this.broker.ensure([{ name: 'shop.orders', partitions: 3 }]);
  }

  async server(bridges: readonly Bridge[]): Promise<Engine> {
    const store = this.change(createMemoryStore({ clock: nodePorts.clock, data: this.data, shared: true }));
    const engine = createEngine({
      store,
      ports: nodePorts,
      bridges: bridges.map((bridge) => ({ bridge, open: async () => this.#connect() })),
    });
    this.engines.push(engine);
    await engine.start();
    await engine.register(manifest);
    return engine;
  }

  #connect(): MemoryBus {
    const bus = this.broker.connect();
    this.buses.push(bus);
    return bus;
  }

  async close(): Promise<void> {
    await Promise.all(this.engines.map((engine) => engine.stop()));
  }

  /** Ids of the events of a topic of ours, by partition. */
  async ids(engine: Engine, topic: string): Promise<string[][]> {
    return Promise.all(
      [0, 1].map(async (partition) =>
        (await engine.readTopic('default', topic, { partition, after: -1, limit: 1_000 })).items.map(({ event }) =>
          String(event['id']),
        ),
      ),
    );
  }

  async came(engine: Engine, count: number): Promise<string[]> {
    return vi.waitFor(
      async () => {
        const all = (await this.ids(engine, 'orders')).flat();
        expect(all.length).toBeGreaterThanOrEqual(count);
        return all;
      },
      { timeout: 8_000, interval: 10 },
    );
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

const idsOf = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('a bridge in', () => {
  it('brings each message in once, with the runs that it starts, however often it was sent', async () => {
    const engine = await world.server([inbound]);
    const ids = idsOf('e', 20);
    await world.sender.publish([...ids, ...ids.slice(5, 15)].map((id, i) => message(id, `k${i % 4}`)));
    await world.sender.publish([message('last', 'k0')]);
    expect((await world.came(engine, 21)).sort()).toEqual([...ids, 'last'].sort());
    const runs = await engine.listRuns('default', { limit: 100 });
    expect(runs.items).toHaveLength(21);
    await vi.waitFor(() => {
      const [facts] = engine.bridgeFacts();
      expect(facts).toMatchObject({ state: 'running', moved: 21, duplicates: 10, dead: 0 });
    });
  });

  it('goes on where the store says, not where the bus does', async () => {
    const first = await world.server([inbound]);
    await world.sender.publish(idsOf('e', 9).map((id) => message(id, 'k')));
    await world.came(first, 9);
    await first.stop();
    // Another group has no word of ours: it would begin with the oldest.
    const second = await world.server([{ ...inbound, group: 'another' }]);
    await world.sender.publish([message('late', 'k')]);
    await world.came(second, 10);
    expect(second.bridgeFacts()[0]).toMatchObject({ moved: 1, duplicates: 0 });
  });

  it('has each effect once when two servers believe to have the same partitions', async () => {
    const servers = [await world.server([inbound]), await world.server([{ ...inbound, group: 'zombies' }])];
    const ids = idsOf('e', 60);
    for (let i = 0; i < 60; i += 10)
      await world.sender.publish(ids.slice(i, i + 10).map((id, k) => message(id, `k${k}`)));
    const [first] = servers;
    if (first === undefined) throw new Error('no server');
    expect((await world.came(first, 60)).sort()).toEqual([...ids].sort());
    expect((await first.listRuns('default', { limit: 200 })).items).toHaveLength(60);
    await vi.waitFor(() => {
      const moved = servers.map((server) => server.bridgeFacts()[0]?.moved ?? 0);
      expect(moved.reduce((sum, count) => sum + count, 0)).toBe(60);
    });
  });

  it('loses nothing and doubles nothing when its client is killed again and again', async () => {
    const engine = await world.server([inbound]);
    const ids = idsOf('e', 200);
    for (let i = 0; i < ids.length; i += 10) {
      await world.sender.publish(ids.slice(i, i + 10).map((id, k) => message(id, `k${k % 3}`)));
      // Its handler may have stored a batch of which the bus never hears.
      const bus = world.buses.at(-1);
      if (i % 30 === 0) bus?.freeze();
      if (i % 30 === 20) bus?.thaw();
    }
    world.buses.at(-1)?.thaw();
    expect((await world.came(engine, 200)).sort()).toEqual([...ids].sort());
    expect((await engine.listRuns('default', { limit: 500 })).items).toHaveLength(200);
  });

  it('records what nobody can read as a dead event, goes on, and takes it in again when it is sent back', async () => {
    const engine = await world.server([inbound]);
    const broken = message('broken', 'k', { m: 1 });
    const noEvent = { id: 'x', topic: 'shop.orders', key: 'k', headers: {}, body: new TextEncoder().encode('{') };
    await world.sender.publish([message('e0', 'k'), broken, noEvent, message('e1', 'k')]);
    expect(await world.came(engine, 2)).toEqual(['e0', 'e1']);
    const items = [...(await engine.listDeadEvents('default', {})).items].sort(
      (a, b) => Number(a.offset) - Number(b.offset),
    );
    expect(items.map(({ code, source, offset }) => [code, source, offset])).toEqual([
      ['INPUT_INVALID', 'bridge:orders-in', '1'],
      ['BUS_MESSAGE_UNREADABLE', 'bridge:orders-in', '2'],
    ]);
    await engine.register({
      ...manifest,
      topics: manifest.topics.map((topic) => (topic.name === 'orders' ? { ...topic, schema: null } : topic)),
    });
    const [first, second] = items;
    expect((await engine.redriveDeadEvent(origin, first?.id ?? '', null)).tag).toBe('done');
    expect((await world.came(engine, 3)).sort()).toEqual(['broken', 'e0', 'e1']);
    const refused = await engine.redriveDeadEvent(origin, second?.id ?? '', null);
    expect(refused.tag === 'error' ? String(refused.error) : '').toContain('no CloudEvent');
  });

  it('tells a mirror topic of what is dead', async () => {
    const engine = await world.server([{ ...inbound, dead: 'orders.dead' }]);
    await engine.register({
      ...manifest,
      topics: [...manifest.topics, { name: 'orders.dead', schema: null, key: null, partitions: 1 }],
    });
    await world.sender.publish([message('broken', 'k', { m: 1 }), message('e0', 'k')]);
    await world.came(engine, 1);
    const { items } = await engine.readTopic('default', 'orders.dead', { partition: 0, after: -1, limit: 9 });
    expect(items.map(({ event }) => [event['deadid'], event['deadcode'], event['data_base64']])).toEqual([
      ['broken', 'INPUT_INVALID', btoa('{"m":1}')],
    ]);
  });

  it('takes JSON of other senders where it is told to, each message once by its place', async () => {
    const engine = await world.server([{ ...inbound, accepts: 'json' }]);
    const body = new TextEncoder().encode('{"n":5}');
    for (let i = 0; i < 3; i++)
      await world.sender.publish([{ id: `m${i}`, topic: 'shop.orders', key: 'k', headers: {}, body }]);
    await world.came(engine, 3);
    expect((await engine.listRuns('default', { limit: 10 })).items).toHaveLength(3);
  });

  it('waits for a topic that no app has declared yet', async () => {
    const engine = await world.server([{ ...inbound, topic: 'later' }]);
    await world.sender.publish([message('e0', 'k')]);
    await vi.waitFor(() => expect(engine.listBridges()[0]?.state).toBe('waiting'));
    await engine.register({
      ...manifest,
      app: 'more',
      topics: [{ name: 'later', schema: null, key: null, partitions: 1 }],
    });
    await vi.waitFor(
      async () => {
        expect((await engine.readTopic('default', 'later', { partition: 0, after: -1, limit: 9 })).items).toHaveLength(
          1,
        );
      },
      { timeout: 8_000 },
    );
    await vi.waitFor(() => expect(engine.listBridges()[0]?.state).toBe('running'));
  });

  it('brings nothing into a topic that judges its events one by one, and says so', async () => {
    const engine = await world.server([inbound]);
    await engine.register({
      ...manifest,
      topics: manifest.topics.map((topic) => (topic.name === 'orders' ? { ...topic, writer: 'single' } : topic)),
    });
    await world.sender.publish([message('e0', 'k')]);
    await vi.waitFor(() => expect(engine.listBridges()[0]).toMatchObject({ state: 'failed', positions: [] }));
    expect(engine.listBridges()[0]?.error).toContain('no bridge brings any into it');
    const more = { name: 'more', schema: null, key: null, partitions: 1 };
    await engine.register({ ...manifest, topics: [...manifest.topics, more] });
    expect(await world.came(engine, 1)).toEqual(['e0']);
  });

  it('says that the bus has lost what it was to read, and goes on where an operator says', async () => {
    world.broker.ensure([{ name: 'one', partitions: 1 }]);
    const bridge = { ...inbound, outside: 'one' };
    const first = await world.server([bridge]);
    await world.sender.publish(idsOf('e', 4).map((id) => ({ ...message(id, 'k'), topic: 'one' })));
    await world.came(first, 4);
    await first.stop();
    await world.sender.publish(idsOf('f', 4).map((id) => ({ ...message(id, 'k'), topic: 'one' })));
    world.broker.trim('one', 0, 6n);
    const engine = await world.server([bridge]);
    await vi.waitFor(() => expect(engine.listBridges()[0]).toMatchObject({ state: 'failed' }));
    expect(engine.listBridges()[0]?.error).toContain('is gone');
    await engine.seekBridge(origin, 'orders-in', 0, 6n);
    expect(await world.came(engine, 6)).toHaveLength(6);
    await expect(engine.seekBridge(origin, 'none', 0, 0n)).rejects.toMatchObject({ code: 'BRIDGE_UNKNOWN' });
  });

  it('stores nothing of a batch that the store refuses for now, and all of it later', async () => {
    let refusals = 3;
    world.change = (store) => ({
      ...bound(store),
      apply: async (transitions) => {
        if (refusals > 0 && transitions.some(isOfBridge)) {
          refusals -= 1;
          throw new Error('The disk is busy.');
        }
        return store.apply(transitions);
      },
    });
    const engine = await world.server([inbound]);
    await world.sender.publish(idsOf('e', 5).map((id) => message(id, 'k')));
    expect(await world.came(engine, 5)).toEqual(idsOf('e', 5));
    expect(refusals).toBe(0);
  });

  it('gives up on the one message that the store cannot keep, and on no other', async () => {
    world.change = (store) => ({
      ...bound(store),
      apply: async (transitions) => {
        const outcomes = await store.apply(
          transitions.filter((one) => !JSON.stringify(one.publishes ?? []).includes(':13')),
        );
        return transitions.length === outcomes.length ? outcomes : [{ tag: 'unstorable', reason: 'the number 13' }];
      },
    });
    const engine = await world.server([inbound]);
    await world.sender.publish(idsOf('e', 5).map((id, i) => message(id, 'k', { n: i === 2 ? 13 : i })));
    expect(await world.came(engine, 4)).toEqual(['e0', 'e1', 'e3', 'e4']);
  });
});

describe('a bridge out', () => {
  const publish = (engine: Engine, id: string, key: string): Promise<unknown> =>
    engine.publish(origin, [
      { topic: 'shipped', id, source: '/warehouse', type: 'shipped', key, data: payloadOfJson({ id }) },
    ]);
  const sent = (): string[] => world.broker.log('shipments').flatMap((log) => log.map(({ id }) => id ?? ''));
  const sentAll = (count: number): Promise<void> =>
    vi.waitFor(() => expect(new Set(sent()).size).toBe(count), { timeout: 8_000 });

  it('brings every event out as a CloudEvent, in the order of its key', async () => {
    const engine = await world.server([outbound]);
    const ids = idsOf('s', 40);
    for (const [i, id] of ids.entries()) await publish(engine, id, `k${i % 5}`);
    await sentAll(40);
    for (const log of world.broker.log('shipments'))
      for (const key of new Set(log.map((delivery) => delivery.key))) {
        const of = log.filter((delivery) => delivery.key === key).map(({ id }) => Number(id?.slice(1)));
        expect(of).toEqual([...of].sort((a, b) => a - b));
      }
    const [first] = world.broker.log('shipments').flat();
    expect(first?.headers).toMatchObject({
      ce_source: '/warehouse',
      ce_type: 'shipped',
      'content-type': 'application/json',
    });
    await vi.waitFor(() => expect(engine.bridgeFacts()[0]).toMatchObject({ state: 'running', moved: 40, lag: 0 }));
  });

  it('sends again, with the same ids and in order, what the bus has not said that it has', async () => {
    const engine = await world.server([outbound]);
    await publish(engine, 's0', 'k');
    await sentAll(1);
    const bus = world.buses.at(-1);
    bus?.loseAnswer();
    for (const id of ['s1', 's2', 's3']) await publish(engine, id, 'k');
    await sentAll(4);
    world.buses.at(-1)?.refuse(['s5']);
    for (const id of ['s4', 's5', 's6']) await publish(engine, id, 'k');
    await sentAll(7);
    const order = [...new Set(sent())];
    expect(order).toEqual(idsOf('s', 7));
  });

  it('goes on with another server when one dies, and loses nothing', async () => {
    const first = await world.server([outbound]);
    for (const id of idsOf('s', 10)) await publish(first, id, id);
    await sentAll(10);
    await first.stop();
    const second = await world.server([outbound]);
    for (const id of idsOf('t', 10)) await publish(second, id, id);
    await sentAll(20);
    expect(sent()).toHaveLength(20);
  });

  it('tells of events that retention has taken before they went out', async () => {
    const first = await world.server([]);
    for (const id of ['s0', 's1', 's2']) await publish(first, id, 'k');
    const [{ partition } = { partition: 0 }] = (await first.listTopics('default'))
      .flatMap(({ topic, partitions }) => (topic === 'shipped' ? partitions : []))
      .filter(({ head }) => head > 0);
    const store = createMemoryStore({ clock: nodePorts.clock, data: world.data, shared: true });
    const low = { low: 2, measured: 0, bytes: 0, clean: 0 };
    const entry = { space: topicLowSpace, key: `shipped/${partition}`, ref: 'low', value: JSON.stringify(low) };
    await store.apply([
      {
        tenant: 'default',
        trims: [{ topic: 'shipped', partition, offsets: [0, 1] }],
        entries: [{ op: 'put', ...entry, run: '', at: 0 }],
      },
    ]);
    const second = await world.server([outbound]);
    await sentAll(1);
    expect(sent()).toEqual(['s2']);
    await vi.waitFor(() => expect(second.bridgeFacts()[0]).toMatchObject({ moved: 1, missed: 2 }));
    await store.close();
  });

  it('begins with what is new where it is told to, and does so once', async () => {
    const first = await world.server([]);
    await publish(first, 'old', 'k');
    const second = await world.server([{ ...outbound, from: 'newest' }]);
    await vi.waitFor(() => expect(second.listBridges()[0]?.positions).toHaveLength(2));
    await second.stop();
    await publish(first, 'new', 'k');
    await world.server([{ ...outbound, from: 'newest' }]);
    await sentAll(1);
    expect(sent()).toEqual(['new']);
  });

  it('records what the bus will never take as a dead event, and goes on', async () => {
    const engine = await world.server([outbound]);
    await publish(engine, 's0', 'k');
    await engine.publish(origin, [
      {
        topic: 'shipped',
        id: 'large',
        source: '/w',
        type: 'x'.repeat(5),
        key: 'k',
        data: payloadOfJson('x'.repeat(2 ** 21)),
      },
      { topic: 'shipped', id: 's1', source: 'no uri <>', type: 't', key: 'k', data: null },
      { topic: 'shipped', id: 's2', source: '/w', type: 't', key: 'k', data: null },
    ]);
    await sentAll(3);
    // What is too large is referred to.
    expect(sent()).toEqual(['s0', 'large', 's2']);
    expect(world.broker.log('shipments').flat()[1]?.headers['ce_dataref']).toMatch(/^\/v1\/blobs\/default\//);
    const { items } = await engine.listDeadEvents('default', {});
    expect(items.map(({ event, source }) => [event.id, source])).toEqual([['s1', 'bridge:shipped-out']]);
  });
});

function isOfBridge({ entries = [] }: Transition): boolean {
  return entries.some(({ space }) => space === 'bridge-offset');
}

/** The methods of a store as members of a plain object. */
function bound(store: Store): Store {
  return new Proxy(store, {
    ownKeys: (target) => [...Reflect.ownKeys(Object.getPrototypeOf(target) as object), ...Reflect.ownKeys(target)],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
