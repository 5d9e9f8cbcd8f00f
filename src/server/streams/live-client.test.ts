/** Clients whose streams come over a live socket: the client, the server and the real engine, with sockets that are cut. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import {
  createClient,
  createLive,
  type Client,
  type Live,
  systemPace,
  type TopicStreamItem,
} from '../../client/index.js';
import type { Manifest } from '../../core/manifest.js';
import { createEngine } from '../../engine/engine.js';
import type { Engine } from '../../engine/index.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import { createServer, type SpineServer } from '../index.js';

const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [{ name: 'noted', schema: null, key: null, partitions: 3 }],
  workflows: [],
  capabilities: [],
};

let engine: Engine;
let server: SpineServer;
let url: string;
let live: Live;
let client: Client;
/** Requests for streams that came over HTTP. */
let plainStreams: number;
let sockets: CutSocket[];
/** Messages after which a socket is cut; null = it is not. */
let cutAfter: number | null;

class CutSocket extends WebSocket {
  #messages = 0;

  constructor(address: string, protocols: string[]) {
    super(address, protocols);
    sockets.push(this);
    this.on('message', () => {
      this.#messages += 1;
      if (this.#messages === cutAfter) this.terminate();
    });
  }
}

beforeEach(async () => {
  engine = createEngine({ store: createMemoryStore({ clock: nodePorts.clock }), ports: nodePorts });
  await engine.start();
  await engine.register(manifest);
  server = createServer({ engine, port: 0, limits: { heartbeatMs: 400, closeMs: 300 } });
  ({ url } = await server.listen());
  plainStreams = 0;
  sockets = [];
  cutAfter = null;
  begin(CutSocket);
});

afterEach(async () => {
  live.close();
  await server.close();
  await engine.stop();
});

/** `lingerMs`: how long five seconds are. */
function begin(webSocket: typeof CutSocket | undefined, after = systemPace.after): void {
  live = createLive({
    url,
    ...(webSocket === undefined ? {} : { webSocket }),
    pace: { ...systemPace, after },
    fetch: (input, init) => {
      if (new Headers(init?.headers).get('accept') === 'text/event-stream') plainStreams += 1;
      return fetch(input, init);
    },
  });
  const reconnect = { attempts: 20, minMs: 0, maxMs: 1 };
  client = createClient({ url, fetch: live.fetch, retry: { attempts: 1 }, reconnect });
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

async function expectWhole(items: readonly TopicStreamItem[]): Promise<void> {
  const [topic] = await engine.listTopics('default');
  for (const { partition, head } of topic?.partitions ?? []) {
    const offsets = items.flatMap((item) =>
      item.event === 'event' && item.data.partition === partition ? [item.data.offset] : [],
    );
    expect(offsets).toEqual(Array.from({ length: head }, (_, i) => i));
  }
}

it('hands over everything once, over one socket, however often that is cut (P19)', async () => {
  cutAfter = 40;
  await publish(60);
  const readings = Array.from({ length: 5 }, () => take(client.topics.follow('noted', { from: 'oldest' }), 150));
  for (let i = 0; i < 9; i++) await publish(10);
  for (const items of await Promise.all(readings)) await expectWhole(items);
  expect(sockets.length).toBeGreaterThan(5);
  expect(sockets.length).toBeLessThan(60);
  expect(plainStreams).toBe(0);
});

it('shares one socket, and lets go of it when nothing is read any more', async () => {
  // Five seconds of idling are a tenth of one here.
  begin(CutSocket, (ms, fn) => systemPace.after(ms === 5_000 ? 100 : ms, fn));
  await publish(3);
  const readings = Array.from({ length: 20 }, () => take(client.topics.follow('noted', { from: 'oldest' }), 4));
  await expect.poll(() => live.size).toBe(20);
  await publish(1);
  await Promise.all(readings);
  expect([sockets.length, live.size, plainStreams]).toEqual([1, 0, 0]);
  await expect.poll(() => sockets[0]?.readyState).toBe(WebSocket.CLOSED);
  await take(client.topics.follow('noted', { from: 'oldest' }), 4);
  expect(sockets.length).toBe(2);
});

it('says what is refused as a request would, and ends with the caller', async () => {
  await expect(take(client.topics.follow('noted', { cursor: 'x' }), 1)).rejects.toMatchObject({
    code: 'CURSOR_INVALID',
    status: 400,
  });
  const absent = client.run('run_01jd00000000000000000000aa').stream()[Symbol.asyncIterator]();
  await expect(absent.next()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  const leaving = new AbortController();
  const reading = take(client.topics.follow('noted', { signal: leaving.signal }), 1);
  await expect.poll(() => live.size).toBe(1);
  leaving.abort(new Error('enough'));
  await expect(reading).rejects.toThrow('enough');
  expect(live.size).toBe(0);
});

it('goes by the token of each stream', async () => {
  const { token } = await client.topics.readToken('noted', { key: 'mine' });
  const page = createClient({ url, token, fetch: live.fetch });
  const reading = take(page.topics.follow('noted'), 1);
  await expect.poll(() => live.size).toBe(1);
  await client.publish('noted', 'theirs', { key: 'theirs' });
  await client.publish('noted', 'mine', { key: 'mine' });
  expect((await reading)[0]).toMatchObject({ data: { key: 'mine', event: { data: 'mine' } } });
  const wrong = createClient({ url, token: `${token}x`, fetch: live.fetch });
  await expect(take(wrong.topics.follow('noted'), 1)).rejects.toMatchObject({ code: 'READ_TOKEN_INVALID' });
});

it('holds no more than a bound for whoever reads slowly, who misses nothing', async () => {
  // Server and client share a processor with others: silence is no sign of death here.
  begin(CutSocket, (ms, fn) => systemPace.after(20 * ms, fn));
  for (let i = 0; i < 30; i++) {
    const events = Array.from({ length: 50 }, () => {
      published += 1;
      return { specversion: '1.0' as const, id: `e${published}`, source: 's', type: 'noted', data: 'x'.repeat(3_000) };
    });
    for (const answer of await client.publishMany('noted', events)) if ('error' in answer) throw answer.error;
  }
  const items: TopicStreamItem[] = [];
  for await (const item of client.topics.follow('noted', { from: 'oldest' })) {
    items.push(item);
    // What has come beyond the bound is not kept: the stream is left, and asked for again.
    if (items.length === 1) await expect.poll(() => live.size, { timeout: 5_000 }).toBe(0);
    if (items.length === 1_500) break;
  }
  await expectWhole(items);
  expect(sockets.length).toBe(1);
});

it('does without where there is no socket to be had', async () => {
  await publish(4);
  begin(undefined);
  await take(client.topics.follow('noted', { from: 'oldest' }), 4);
  expect(plainStreams).toBe(1);
  class Refused extends CutSocket {
    constructor(address: string, protocols: string[]) {
      super(address.replace('/live', '/nowhere'), protocols);
    }
  }
  begin(Refused);
  await take(client.topics.follow('noted', { from: 'oldest' }), 4);
  await take(client.topics.follow('noted', { from: 'oldest' }), 4);
  // It is not tried again at once.
  expect([plainStreams, sockets.length]).toEqual([3, 1]);
});

it('takes a socket that says nothing for dead', async () => {
  await publish(4);
  const reading = take(client.topics.follow('noted', { from: 'oldest' }), 5);
  await expect.poll(() => live.size).toBe(1);
  sockets[0]?.pause();
  await expect.poll(() => sockets.length, { timeout: 10_000 }).toBe(2);
  sockets[0]?.terminate();
  await publish(1);
  await expectWhole(await reading);
});
