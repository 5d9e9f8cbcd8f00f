/** Read tokens of topics, over the real engine, the handlers of the server and the client. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createClient, type Client, type TopicStreamItem } from '../../client/index.js';
import type { Manifest } from '../../core/manifest.js';
import { createEngine } from '../../engine/engine.js';
import type { Engine } from '../../engine/index.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import { createServer, type SpineServer } from '../index.js';

const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [
    { name: 'noted', schema: null, key: null, partitions: 3 },
    { name: 'other', schema: null, key: null, partitions: 1 },
  ],
  workflows: [],
  capabilities: [],
};

let engine: Engine;
let server: SpineServer;
let program: Client;

beforeEach(async () => {
  engine = createEngine({ store: createMemoryStore({ clock: nodePorts.clock }), ports: nodePorts });
  await engine.start();
  await engine.register(manifest);
  server = createServer({
    engine,
    limits: { heartbeatMs: 20 },
    authorize: ({ headers }) =>
      headers.get('authorization') === 'Bearer program' ? { tenant: 'acme', user: 'ada', roles: [] } : null,
  });
  program = clientWith('program');
});

afterEach(async () => {
  await server.close();
  await engine.stop();
});

function clientWith(token: string, onChunk: (text: string) => void = () => undefined): Client {
  return createClient({
    url: 'http://localhost',
    token,
    retry: { attempts: 1 },
    reconnect: { attempts: 1 },
    fetch: async (input, init) => {
      const response = await server.fetch(new Request(input, init));
      if (response.headers.get('content-type') !== 'text/event-stream' || response.body === null) return response;
      const decoder = new TextDecoder();
      const told = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          onChunk(decoder.decode(chunk));
          controller.enqueue(chunk);
        },
      });
      return new Response(response.body.pipeThrough(told), response);
    },
  });
}

async function take(items: AsyncIterable<TopicStreamItem>, count: number): Promise<TopicStreamItem[]> {
  const taken: TopicStreamItem[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}

const dataOf = (items: readonly TopicStreamItem[]): unknown[] =>
  items.map((item) => (item.event === 'event' ? item.data.event['data'] : item.event));

it('show the events of one key, as they come', async () => {
  const { token } = await program.topics.readToken('noted', { key: 'order-1' });
  const page = clientWith(token);
  const reading = take(page.topics.follow('noted'), 3);
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (let i = 1; i <= 9; i++) await program.publish('noted', i, { key: `order-${i % 3}` });
  const items = await reading;
  expect(dataOf(items)).toEqual([1, 4, 7]);
  expect(items[0]).toMatchObject({ data: { key: 'order-1' } });
  await expect(take(page.topics.follow('noted', { key: 'order-2' }), 1)).rejects.toMatchObject({
    code: 'OUT_OF_SCOPE',
  });
  // A key is a filter for others, too.
  expect(dataOf(await take(program.topics.follow('noted', { key: 'order-2', from: 'oldest' }), 3))).toEqual([2, 5, 8]);
});

it('show what was published before they were made only where that was asked for', async () => {
  await program.publish('other', 'before', { key: 'k' });
  const cursor = (await take(program.topics.follow('other', { from: 'oldest' }), 1))[0]?.cursor ?? '';
  await program.publish('other', 'missed', { key: 'k' });
  await new Promise((resolve) => setTimeout(resolve, 5));
  const { token } = await program.topics.readToken('other');
  await program.publish('other', 'after', { key: 'k' });
  const page = clientWith(token);
  expect(dataOf(await take(page.topics.follow('other', { from: 'oldest' }), 2))).toEqual(['gap', 'after']);
  const resumed = await take(page.topics.follow('other', { cursor }), 2);
  expect(resumed[0]).toMatchObject({ event: 'gap', data: { partition: 0, from: 1, to: 1 } });
  expect(dataOf(resumed)[1]).toBe('after');
  const whole = await program.topics.readToken('other', { past: true });
  expect(dataOf(await take(clientWith(whole.token).topics.follow('other', { from: 'oldest' }), 3))).toEqual([
    'before',
    'missed',
    'after',
  ]);
});

it('open nothing else', async () => {
  const { token } = await program.topics.readToken('noted');
  const page = clientWith(token);
  await expect(take(page.topics.follow('other'), 1)).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
  for (const asked of [
    page.topics.events('noted').page(),
    page.topics.readToken('noted'),
    page.topics.list(),
    page.publish('noted', 1),
    page.run('noted').status(),
    page.runs.list().page(),
  ])
    await expect(asked).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
  await expect(take(clientWith(`${token}x`).topics.follow('noted'), 1)).rejects.toMatchObject({
    code: 'READ_TOKEN_INVALID',
  });
  // Nor does a token of a run whose id is spelled as the topic.
  const run = await server.fetch(
    new Request('http://localhost/v1/topics/noted/tokens', {
      method: 'POST',
      headers: { authorization: 'Bearer program', 'content-type': 'application/json' },
      body: '{"sees":"everything"}',
    }),
  );
  expect(run.status).toBe(400);
});

it('end open streams when they expire', async () => {
  const { token } = await program.topics.readToken('noted', { expires: '1s' });
  const text: string[] = [];
  const page = clientWith(token, (chunk) => text.push(chunk));
  await expect(take(page.topics.follow('noted'), 1)).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  expect(text.join('')).toContain(': the read token has expired');
  await expect(take(page.topics.follow('noted'), 1)).rejects.toMatchObject({ code: 'READ_TOKEN_EXPIRED' });
});

it('of a key tell how far a reader has come, where nothing is for it', async () => {
  const { token } = await program.topics.readToken('other', { key: 'mine' });
  let text = '';
  const reading = new AbortController();
  const page = clientWith(token, (chunk) => (text += chunk));
  const items = take(page.topics.follow('other', { signal: reading.signal }), 1);
  await expect.poll(() => text).toContain('event: start');
  for (let i = 0; i < 5; i++) await program.publish('other', i, { key: 'yours' });
  await expect.poll(() => text).toMatch(/event: place\ndata: \{"partitions":\[\{"partition":0,"next":5\}\]\}/);
  expect(text).not.toContain('yours');
  await program.publish('other', 'hello', { key: 'mine' });
  expect(dataOf(await items)).toEqual(['hello']);
  reading.abort();
});
