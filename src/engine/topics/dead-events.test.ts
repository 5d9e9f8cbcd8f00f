/** Dead events over several servers on one store: recorded with what moves past them, taken off the list once. */
import { describe, expect, it } from 'vitest';
import { RacingServers } from '../../../test/support/racing-servers.js';
import { encodeValue, payloadOfJson } from '../../core/codec.js';
import { deadEventsTopic, type Manifest } from '../../core/manifest.js';
import type { DeadEventRecord } from '../../core/topics/dead-event.js';
import { topicStream, type Transition } from '../../store/contract.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import { Catalog } from '../intake/catalog.js';
import type { Bearing } from '../runs/lanes.js';
import { deadEventWrites, DeadEvents, withAdded } from './dead-events.js';

const origin: Origin = { tenant: 't', actor: 'client:ann', traceparent: null, correlation: null };
const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [
    { name: 'graveyard', schema: null, key: null, partitions: 1 },
    { name: 'strict', schema: { type: 'object', required: ['id'] }, key: null, partitions: 1 },
  ],
  workflows: [],
  capabilities: [],
};
const record: DeadEventRecord = {
  source: 'subscription:audit',
  position: { topic: 'orders', partition: 3, offset: '17' },
  class: 'poison',
  code: 'TypeError',
  message: 'cannot read',
  attempts: 5,
  event: { id: 'e1', type: 'order.placed', source: 'shop', key: 'k1', attributes: { region: 'eu' } },
  data: payloadOfJson({ amount: 7 }),
};

class World extends RacingServers {
  readonly catalog = new Catalog();

  constructor() {
    super(7);
    this.catalog.set(manifest, 'hash');
  }

  office(context: EngineContext): DeadEvents {
    return new DeadEvents({ context, catalog: this.catalog }, { bear: (bearing) => void this.#bear(context, bearing) });
  }

  async #bear({ store }: EngineContext, { transition, settle }: Bearing): Promise<void> {
    const [outcome] = await store.apply([transition]);
    if (outcome === undefined) throw new Error('no outcome');
    settle(outcome);
  }

  async bury(context: EngineContext, given: DeadEventRecord, mirror: string | null = null): Promise<void> {
    const dead = deadEventWrites({ context, catalog: this.catalog }, given, { tenant: 't', actor: 'engine', mirror });
    const [outcome] = await context.store.apply([withAdded({ tenant: 't' }, [dead])]);
    expect(outcome?.tag).toBe('applied');
  }

  async told(topic: string, context: EngineContext): Promise<{ readonly type: string; readonly attributes: object }[]> {
    const stream = topicStream(topic, 0);
    const rows = await context.store.readEvents({ tenant: 't', stream, after: -1, limit: 100 });
    return rows.map(({ type, envelope }) => ({ type, ...(JSON.parse(envelope) as { readonly attributes: object }) }));
  }
}

describe('a dead event', () => {
  it('is listed with whose it was, where it was and why, and its data can be read', async () => {
    const world = new World();
    const context = world.context();
    await world.bury(context, record);
    await world.bury(context, { ...record, source: 'bridge:kafka', position: null });
    const office = world.office(context);
    const { items, next } = await office.list('t', { source: 'subscription:audit' });
    expect(next).toBeNull();
    expect(items).toMatchObject([
      { topic: 'orders', partition: 3, offset: '17', class: 'poison', attempts: 5, event: { id: 'e1', key: 'k1' } },
    ]);
    expect(await office.read('t', items[0]?.id ?? '')).toMatchObject({
      data: { amount: 7 },
      attributes: { region: 'eu' },
    });
    expect(await office.read('other', items[0]?.id ?? '')).toBeNull();
    expect(await world.told(deadEventsTopic.name, context)).toMatchObject([
      { attributes: { source: 'subscription:audit', deadid: 'e1', deadoffset: '17', region: 'eu' } },
      { attributes: { source: 'bridge:kafka' } },
    ]);
  });

  it('is listed page by page', async () => {
    const world = new World();
    const context = world.context();
    for (let i = 0; i < 5; i++) await world.bury(context, record);
    const office = world.office(context);
    const first = await office.list('t', { limit: 3 });
    const second = await office.list('t', { limit: 3, cursor: first.next ?? '' });
    expect([first.items.length, second.items.length, second.next]).toEqual([3, 2, null]);
    expect(new Set([...first.items, ...second.items].map(({ id }) => id)).size).toBe(5);
  });

  it('keeps bytes that nobody could read, large ones beside its row, and headers within bounds', async () => {
    const world = new World();
    const context = world.context();
    const attributes = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`h${i}`, 'x'.repeat(1_000)]));
    const data = encodeValue(new Uint8Array(100_000).fill(255));
    await world.bury(context, { ...record, event: { ...record.event, key: 'k'.repeat(5_000), attributes }, data });
    const office = world.office(context);
    const { items } = await office.list('t', {});
    const dead = await office.read('t', items[0]?.id ?? '');
    expect(dead?.dataref).toMatch(/^\/v1\/blobs\/t\/[0-9a-f]{64}$/);
    const bytes = await context.store.readBlob('t', dead?.dataref?.split('/').at(-1) ?? '');
    expect(new TextDecoder().decode(bytes ?? undefined)).toBe(data.text);
    expect(Object.keys(dead?.attributes ?? {}).length).toBeLessThan(10);
  });

  it('is told to its mirror topic, and one that cannot take it holds nothing up', async () => {
    const world = new World();
    const context = world.context();
    await world.bury(context, record, 'graveyard');
    await world.bury(context, record, 'strict');
    await world.bury(context, record, 'nowhere');
    expect(await world.told('graveyard', context)).toMatchObject([
      { type: 'order.placed', attributes: { deadclass: 'poison', source: 'subscription:audit' } },
    ]);
    expect(await world.told('strict', context)).toEqual([]);
    expect((await world.office(context).list('t', {})).items).toHaveLength(3);
  });

  it('is sent back once, whoever tries to', async () => {
    const world = new World();
    const contexts = [world.context(), world.context()] as const;
    await world.bury(contexts[0], record);
    const offices = contexts.map((context) => world.office(context));
    for (const office of offices)
      office.onRedrive((_, { event }) =>
        Promise.resolve({
          publishes: [],
          dedupe: [],
          entries: [
            { op: 'put', space: 'again', key: event.id ?? '', ref: String(world.random()), value: '', run: '', at: 0 },
          ],
          blobs: [],
          births: [],
        }),
      );
    const [dead] = (await world.office(contexts[0]).list('t', {})).items;
    const outcomes = await Promise.all(offices.map((office) => office.redrive(origin, dead?.id ?? '', 'mended')));
    expect(outcomes.map(({ tag }) => tag).sort()).toEqual(['already', 'done']);
    const { store } = contexts[0];
    expect(await store.readEntries({ tenant: 't', space: 'again', limit: 10 })).toHaveLength(1);
    expect((await world.told(deadEventsTopic.name, contexts[0])).map(({ type }) => type)).toEqual([
      deadEventsTopic.name,
      `${deadEventsTopic.name}.redriven`,
    ]);
  });

  it('that nobody takes back stays where it is', async () => {
    const world = new World();
    const context = world.context();
    await world.bury(context, record);
    const office = world.office(context);
    office.onRedrive(() => Promise.resolve(null));
    const [dead] = (await office.list('t', {})).items;
    expect(await office.redrive(origin, dead?.id ?? '', null)).toMatchObject({
      error: { code: 'DEAD_EVENT_NOT_REDRIVABLE' },
    });
    expect((await office.list('t', {})).items).toHaveLength(1);
  });

  it('that is where it was to go already only leaves the list', async () => {
    const world = new World();
    const context = world.context();
    await world.bury(context, record);
    const key = { scope: 'topic:orders', key: 'shop e1', hash: '', reference: 'e1', expiresAt: world.now + 60_000 };
    const taken: Transition = { tenant: 't', dedupe: [key] };
    await context.store.apply([taken]);
    const office = world.office(context);
    office.onRedrive(() => Promise.resolve({ publishes: [], dedupe: [key], entries: [], blobs: [], births: [] }));
    const [dead] = (await office.list('t', {})).items;
    expect(await office.redrive(origin, dead?.id ?? '', null)).toEqual({ tag: 'done' });
    expect((await office.list('t', {})).items).toEqual([]);
  });

  it('that is discarded is gone, and is told of', async () => {
    const world = new World();
    const context = world.context();
    await world.bury(context, record);
    const office = world.office(context);
    const [dead] = (await office.list('t', {})).items;
    expect(await office.discard(origin, dead?.id ?? '', 'a test')).toEqual({ tag: 'done' });
    expect(await office.discard(origin, dead?.id ?? '', null)).toMatchObject({
      error: { code: 'DEAD_EVENT_NOT_FOUND' },
    });
    expect((await world.told(deadEventsTopic.name, context)).at(-1)?.type).toBe(`${deadEventsTopic.name}.discarded`);
  });
});
