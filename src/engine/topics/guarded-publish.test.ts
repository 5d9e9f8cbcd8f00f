/** Topics that do not take every event, over the real engine: one server and two. */
import { afterEach, describe, expect, it } from 'vitest';
import { payloadOfJson } from '../../core/codec.js';
import type { Manifest, TopicManifest } from '../../core/manifest.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import { MemoryData } from '../../store/memory-data.js';
import type { Engine, Origin, PublishRequest } from '../api.js';
import { createEngine } from '../engine.js';

const origin: Origin = { tenant: 'default', actor: 'client:one', traceparent: null, correlation: null };
const engines: Engine[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});

async function opened(declared: Partial<TopicManifest>, data = new MemoryData()): Promise<Engine> {
  const store = createMemoryStore({ clock: nodePorts.clock, data, shared: true });
  const engine = createEngine({ store, ports: nodePorts });
  engines.push(engine);
  const topic: TopicManifest = { name: 'noted', schema: null, key: null, partitions: 1, ...declared };
  const manifest: Manifest = { format: 1, app: 'test', topics: [topic], workflows: [], capabilities: [] };
  await engine.start();
  await engine.register(manifest);
  return engine;
}

const event = (id: string, given: Partial<PublishRequest> = {}): PublishRequest => ({
  topic: 'noted',
  id,
  source: 'meter',
  type: 'noted',
  data: payloadOfJson({ id }),
  ...given,
});

const numbered = (sequence: number, given: Partial<PublishRequest> = {}): PublishRequest =>
  event(`n${sequence}`, { ...given, attributes: { sequence: String(sequence) } });

async function publish(engine: Engine, ...events: readonly PublishRequest[]): Promise<readonly unknown[]> {
  return (await engine.publish(origin, events)).map((outcome) =>
    outcome.tag === 'error' ? (outcome.error as { code?: string }).code : outcome,
  );
}

async function ids(engine: Engine): Promise<unknown[]> {
  const { items } = await engine.readTopic('default', 'noted', { partition: 0, after: -1, limit: 500 });
  return items.map(({ event: one }) => one['id']);
}

describe('a topic with a single writer', () => {
  it('takes events of the newest epoch, and of no other', async () => {
    const engine = await opened({ writer: 'single' });
    expect(await publish(engine, event('a'), event('b', { writerEpoch: 1 }))).toEqual([
      'WRITER_REQUIRED',
      'WRITER_FENCED',
    ]);
    const first = await engine.takeOverTopic(origin, 'noted');
    expect(first).toMatchObject({ epoch: 1, by: 'client:one' });
    expect(await publish(engine, event('a', { writerEpoch: 1 }))).toMatchObject([{ tag: 'published' }]);
    const second = await engine.takeOverTopic({ ...origin, actor: 'client:two' }, 'noted');
    expect(second.epoch).toBe(2);
    expect(await publish(engine, event('b', { writerEpoch: 1 }), event('c', { writerEpoch: 2 }))).toMatchObject([
      'WRITER_FENCED',
      { tag: 'published' },
    ]);
    expect(await ids(engine)).toEqual(['a', 'c']);
    expect(await engine.readTopicWriter('default', 'noted')).toEqual(second);
    expect(engine.topicFacts().fenced).toBe(2);
  });

  it('is fenced by a takeover at another server, whatever this one remembers', async () => {
    const data = new MemoryData();
    const [one, two] = [await opened({ writer: 'single' }, data), await opened({ writer: 'single' }, data)];
    await one.takeOverTopic(origin, 'noted');
    await publish(one, event('a', { writerEpoch: 1 }));
    await two.takeOverTopic(origin, 'noted');
    expect(await publish(one, event('b', { writerEpoch: 1 }))).toEqual(['WRITER_FENCED']);
    expect(await publish(one, event('c', { writerEpoch: 2 }))).toMatchObject([{ tag: 'published' }]);
    expect(await ids(two)).toEqual(['a', 'c']);
  });

  it('gives each of many who take over at once an epoch of their own', async () => {
    const engine = await opened({ writer: 'single' });
    const taken = await Promise.all(Array.from({ length: 6 }, () => engine.takeOverTopic(origin, 'noted')));
    expect(taken.map(({ epoch }) => epoch).sort()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('cannot be taken over where it is not declared so', async () => {
    const engine = await opened({});
    await expect(engine.takeOverTopic(origin, 'noted')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(engine.takeOverTopic(origin, 'other')).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
  });
});

describe('a topic that follows its sources', () => {
  it('tells of gaps, and of what has filled them', async () => {
    const engine = await opened({ sources: { late: 'accept', afterMs: null } });
    expect(await publish(engine, numbered(4), numbered(5), numbered(9), event('plain'))).toMatchObject([
      { tag: 'published' },
      { tag: 'published' },
      { tag: 'published', gap: { from: 6, to: 8 } },
      { tag: 'published' },
    ]);
    expect(await publish(engine, numbered(7))).toMatchObject([{ tag: 'published', late: true }]);
    expect((await engine.listSources('default', 'noted', {})).items).toEqual([
      {
        id: 'meter',
        source: 'meter',
        sequence: 9,
        missing: [
          { from: 6, to: 6 },
          { from: 8, to: 8 },
        ],
        lost: 0,
        late: 1,
        newestAt: null,
      },
    ]);
    expect(engine.topicFacts()).toMatchObject({ gaps: 1, late: { accepted: 1, dropped: 0, dead: 0 } });
  });

  it('keeps many events in order that are published at once, and loses none of them', async () => {
    const data = new MemoryData();
    const rule = { sources: { late: 'drop', afterMs: null } } as const;
    const [one, two] = [await opened(rule, data), await opened(rule, data)];
    const events = Array.from({ length: 200 }, (_, i) => numbered(i));
    await publish(one, ...events.slice(0, 100));
    await publish(two, ...events.slice(100));
    expect(await ids(one)).toEqual(events.map(({ id }) => id));
    // What has come before is a repetition, not late.
    expect(new Set((await publish(one, ...events)).map((outcome) => (outcome as { tag: string }).tag))).toEqual(
      new Set(['duplicate']),
    );
    expect((await engine1(one)).late).toBe(0);
  });

  it('drops what is late, and says so', async () => {
    const engine = await opened({ sources: { late: 'drop', afterMs: 60_000 } });
    const at = (minute: number): string => `2026-01-01T00:0${minute}:00Z`;
    await publish(engine, numbered(5), event('t5', { time: at(5) }));
    expect(await publish(engine, numbered(3), event('t3', { time: at(3) }), event('t4', { time: at(4) }))).toEqual([
      { tag: 'late', id: 'n3', became: 'dropped' },
      { tag: 'late', id: 't3', became: 'dropped' },
      { tag: 'published', id: 't4', runs: [] },
    ]);
    expect(await ids(engine)).toEqual(['n5', 't5', 't4']);
  });

  it('keeps what is late as a dead event, once, and takes it in when it is sent back', async () => {
    const engine = await opened({ sources: { late: 'dead', afterMs: null } });
    await publish(engine, numbered(5));
    expect(await publish(engine, numbered(2), numbered(2))).toEqual([
      { tag: 'late', id: 'n2', became: 'dead' },
      { tag: 'duplicate', id: 'n2' },
    ]);
    const { items } = await engine.listDeadEvents('default', {});
    expect(items).toMatchObject([{ source: 'topic:noted', code: 'EVENT_LATE', event: { id: 'n2', source: 'meter' } }]);
    expect(await engine.redriveDeadEvent(origin, items[0]?.id ?? '', null)).toEqual({ tag: 'done' });
    expect(await ids(engine)).toEqual(['n5', 'n2']);
    expect((await engine.listDeadEvents('default', {})).items).toEqual([]);
  });

  it('refuses a number that is none', async () => {
    const engine = await opened({ sources: { late: 'accept', afterMs: null } });
    expect(await publish(engine, event('a', { attributes: { sequence: 'x' } }))).toEqual(['INPUT_INVALID']);
  });
});

async function engine1(engine: Engine): Promise<{ readonly late: number }> {
  const [first] = (await engine.listSources('default', 'noted', {})).items;
  if (first === undefined) throw new Error('no source');
  return first;
}

it('goes past the stamps of publishers, unless they are far ahead', async () => {
  const engine = await opened({});
  const stampAt = (ms: number): string => `${ms.toString(16).padStart(12, '0')}0005`;
  const ahead = stampAt(nodePorts.clock.now() + 30_000);
  const wrong = stampAt(nodePorts.clock.now() + 3_600_000);
  await publish(engine, event('a', { attributes: { hlc: ahead } }), event('b', { attributes: { hlc: wrong } }));
  const { items } = await engine.readTopic('default', 'noted', { partition: 0, after: -1, limit: 9 });
  const [a, b] = items.map(({ hlc }) => hlc);
  expect(a !== undefined && b !== undefined && ahead < a && a < b && b < wrong).toBe(true);
});
