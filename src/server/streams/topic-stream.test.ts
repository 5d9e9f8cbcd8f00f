/** Streams of topics over the real engine, the handlers of the server and the client, with connections that are cut. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTransport, httpGateway, systemPace, type Client, type TopicStreamItem } from '../../client/index.js';
import { createClientOver } from '../../client/client.js';
import type { Manifest } from '../../core/manifest.js';
import { createEngine } from '../../engine/engine.js';
import type { Engine } from '../../engine/index.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import { MemoryData } from '../../store/memory-data.js';
import type { Store } from '../../store/contract.js';
import { createServer, type SpineServer } from '../index.js';

const partitions = 3;
const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [{ name: 'noted', schema: null, key: null, partitions }],
  workflows: [],
  capabilities: [],
};

let store: Store;
let engine: Engine;
let server: SpineServer;
let client: Client;
/** Bytes after which a connection is cut; null = it is not. */
let cutAfter: number | null;
let connections: number;

beforeEach(async () => {
  store = createMemoryStore({ clock: nodePorts.clock, data: new MemoryData(), shared: true });
  engine = createEngine({ store, ports: nodePorts });
  await engine.start();
  await engine.register(manifest);
  server = createServer({ engine });
  cutAfter = null;
  connections = 0;
  const transport = createTransport({
    url: 'http://localhost',
    fetch: cutting,
    retry: { attempts: 1, minMs: 0, maxMs: 0 },
    timeoutMs: 10_000,
    // Nobody else is waiting for the server: it is asked again at once.
    pace: { ...systemPace, sleep: () => systemPace.sleep(1) },
  });
  const reconnect = { attempts: 10, minMs: 0, maxMs: 0 };
  client = createClientOver(httpGateway(transport), { reconnect, idleMs: 60_000 });
});

afterEach(() => engine.stop());

async function cutting(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await server.fetch(new Request(input, init));
  if (response.headers.get('content-type') !== 'text/event-stream' || response.body === null) return response;
  connections += 1;
  let left = cutAfter ?? Number.POSITIVE_INFINITY;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await reader.read();
      if (done || left <= 0) {
        await reader.cancel();
        controller.close();
        return;
      }
      controller.enqueue(value.subarray(0, left));
      left -= value.byteLength;
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, { status: response.status, headers: response.headers });
}

let published = 0;

async function publish(count: number): Promise<void> {
  const events = Array.from({ length: count }, () => {
    published += 1;
    return { specversion: '1.0' as const, id: `e${published}`, source: 's', type: 'noted', data: 'x'.repeat(300) };
  });
  for (const answer of await client.publishMany('noted', events)) if ('error' in answer) throw answer.error;
}

async function take(items: AsyncIterable<TopicStreamItem>, count: number): Promise<TopicStreamItem[]> {
  const taken: TopicStreamItem[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}

const offsetsOf = (items: readonly TopicStreamItem[], partition: number): number[] =>
  items.flatMap((item) => (item.event === 'event' && item.data.partition === partition ? [item.data.offset] : []));

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

it('hands over each partition without gap or repetition, however often the connection is cut (P19)', async () => {
  cutAfter = 4_000;
  await publish(60);
  const reading = take(client.topics.follow('noted', { from: 'oldest' }), 150);
  for (let i = 0; i < 9; i++) await publish(10);
  const items = await reading;
  expect(connections).toBeGreaterThan(5);
  const [topic] = await engine.listTopics('default');
  for (const { partition, head } of topic?.partitions ?? []) expect(offsetsOf(items, partition)).toEqual(upTo(head));
});

it('tells what was trimmed while the reader was away', async () => {
  await publish(90);
  const items = await take(client.topics.follow('noted', { from: 'oldest' }), 30);
  const cursor = items.at(-1)?.cursor ?? '';
  const before = upTo(partitions).map((partition) => offsetsOf(items, partition).length);
  for (const partition of upTo(partitions)) {
    const entry = { op: 'put', space: 'topic-low', key: `noted/${partition}`, ref: 'low', run: '', at: 0 } as const;
    const value = JSON.stringify({ low: 15 });
    await store.apply([
      { tenant: 'default', entries: [{ ...entry, value }], trims: [{ topic: 'noted', partition, offsets: upTo(15) }] },
    ]);
  }
  const [topic] = await engine.listTopics('default');
  const left = (topic?.partitions ?? []).reduce((sum, { head }, i) => sum + head - Math.max(15, before[i] ?? 0), 0);
  const gaps = before.flatMap((next, partition) => (next < 15 ? [{ partition, from: next, to: 14 }] : []));
  const rest = await take(client.topics.follow('noted', { cursor }), left + gaps.length);
  expect(rest.filter(({ event }) => event === 'gap').map(({ data }) => data)).toEqual(expect.arrayContaining(gaps));
  for (const { partition, head } of topic?.partitions ?? []) {
    const first = Math.max(15, before[partition] ?? 0);
    expect(offsetsOf(rest, partition)).toEqual(upTo(head).filter((offset) => offset >= first));
  }
  const page = await client.topics.events('noted', { after: 3 }).page();
  expect(page).toMatchObject({ gap: { from: 4, to: 14 } });
  expect(await client.topics.events('noted').page()).toMatchObject({ gap: null });
});

it('begins at the newest event, at an instant, or in one partition, as it is asked to', async () => {
  await publish(10);
  const from = new Date(nodePorts.clock.now() + 2);
  while (nodePorts.clock.now() < from.getTime()) await new Promise((resolve) => setTimeout(resolve, 1));
  const live = take(client.topics.follow('noted'), 5);
  await expect.poll(() => connections).toBe(1);
  await publish(5);
  const ids = (items: readonly TopicStreamItem[]): unknown[] =>
    items.map((item) => (item.event === 'event' ? item.data.event['id'] : null)).sort();
  const newest = ids(await live);
  expect(ids(await take(client.topics.follow('noted', { from }), 5))).toEqual(newest);
  const one = await take(client.topics.follow('noted', { from: 'oldest', partition: 1 }), 2);
  expect(offsetsOf(one, 1)).toEqual([0, 1]);
});

it('goes on from a cursor of before the topic had more partitions, and from no cursor of another topic', async () => {
  await publish(30);
  const items = await take(client.topics.follow('noted', { from: 'oldest' }), 30);
  const cursor = items.at(-1)?.cursor ?? '';
  await engine.register({ ...manifest, topics: [{ name: 'noted', schema: null, key: null, partitions: 4 }] });
  await publish(30);
  const rest = await take(client.topics.follow('noted', { cursor }), 30);
  for (const partition of upTo(4)) {
    const all = [...offsetsOf(items, partition), ...offsetsOf(rest, partition)];
    expect(all).toEqual(upTo(all.length));
  }
  await expect(take(client.topics.follow('other', { cursor }), 1)).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
});
