/** Live sockets over real connections: the server over a fake engine for runs, and over the real one for topics. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer as createNodeServer, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { payloadOfJson } from '../../core/codec.js';
import type { Manifest } from '../../core/manifest.js';
import { limits } from '../../core/limits.js';
import type { Engine, RunStreamHandlers } from '../../engine/api.js';
import { createEngine } from '../../engine/engine.js';
import type { RunEventView, RunViewState } from '../../protocol/http.js';
import { liveSubprotocol, type LiveMessage, type LiveRequest } from '../../protocol/live.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import { MemoryData } from '../../store/memory-data.js';
import { cursorOf } from './cursor.js';
import { fakeEngine } from '../engine.test.fake.js';
import { createServer, type SpineServer } from '../index.js';
import type { Principal, ServerOptions } from '../options.js';

const run = 'run_01jd00000000000000000000aa';
const secret = new Uint8Array(32).fill(7);
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

function eventView(seq: number, size = 0): RunEventView {
  return { seq, id: `evt_${seq}`, type: 'progress.reported', at: '', actor: 'a', data: 'x'.repeat(size) };
}

/** Runs whose events the test appends; every id is a run, and all have the same events. */
function runs(first: number, size = 0) {
  let state: RunViewState = 'running';
  const events = Array.from({ length: first }, (_, i) => eventView(i + 1, size));
  const followers = new Set<{ handlers: RunStreamHandlers; seen: number }>();
  const hand = (follower: { handlers: RunStreamHandlers; seen: number }): void => {
    // As the engine does it: what is shared are pages of the log.
    const news = events.filter(({ seq }) => seq > follower.seen).slice(0, 100);
    follower.seen = news.at(-1)?.seq ?? follower.seen;
    if (news.length > 0 && !follower.handlers.onEvents(news, state)) followers.delete(follower);
    else if (news.length > 0) setImmediate(() => followers.has(follower) && hand(follower));
    else if (state === 'succeeded') follower.handlers.onEnd(state);
  };
  const methods: Partial<Engine> = {
    now: () => Date.now(),
    secret: () => Promise.resolve(secret),
    waitForEnd: () => Promise.resolve(state),
    readHistory: (_tenant, _run, { after }) => Promise.resolve(events.filter(({ seq }) => seq > after)),
    follow: async (_tenant, _run, after, handlers) => {
      await Promise.resolve();
      const follower = { handlers, seen: after };
      followers.add(follower);
      hand(follower);
      return () => followers.delete(follower);
    },
  };
  return {
    methods,
    followers,
    append: (...news: RunEventView[]) => {
      events.push(...news);
      for (const follower of [...followers]) hand(follower);
    },
    end: () => {
      state = 'succeeded';
      for (const follower of [...followers]) follower.handlers.onEnd(state);
    },
  };
}

/** A client that keeps what it is told. */
class Reader {
  readonly socket: WebSocket;
  readonly told: LiveMessage[] = [];
  readonly closed: Promise<[number, string]>;

  constructor(url: string, headers: Record<string, string> = {}, protocols: string[] = [liveSubprotocol]) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/v1/live`, protocols, { headers });
    this.socket.on('message', (data) => this.told.push(JSON.parse(String(data)) as LiveMessage));
    this.socket.on('error', () => undefined);
    // Not `once`: giving up on a refused socket is an error to the library.
    this.closed = new Promise((resolve) =>
      this.socket.once('close', (code, reason) => resolve([code, String(reason)])),
    );
  }

  say(message: LiveRequest | Record<string, unknown>): void {
    this.socket.send(JSON.stringify(message));
  }

  /** What was told of a stream, as soon as `enough` of it has come. */
  async of(sub: string | null, enough: number): Promise<LiveMessage[]> {
    const found = (): LiveMessage[] => this.told.filter((one) => 'sub' in one && one.sub === sub);
    await expect.poll(() => found().length, { timeout: 5_000 }).toBeGreaterThanOrEqual(enough);
    return found();
  }

  seqs(sub: string): number[] {
    return this.told.flatMap((one) =>
      one.t === 'message' && one.sub === sub && one.event === 'event' && 'seq' in one.data ? [one.data.seq] : [],
    );
  }
}

async function listening(engine: Partial<Engine>, options: Partial<ServerOptions> = {}) {
  const server = createServer({ engine: fakeEngine(engine), port: 0, log: () => undefined, ...options });
  closing.push(() => server.close());
  const { url } = await server.listen();
  const read = async (...given: [Record<string, string>?, string[]?]): Promise<Reader> => {
    const reader = new Reader(url, ...given);
    await once(reader.socket, 'open');
    return reader;
  };
  return { server, url, read };
}

/** Status with which an upgrade is refused. */
async function refused(url: string, headers: Record<string, string> = {}): Promise<number> {
  const { socket } = new Reader(url, headers);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  socket.terminate();
  return response.statusCode;
}

const bySession: ServerOptions['authorize'] = ({ headers }): Principal | null => {
  const cookie = /user=(\w+)/.exec(headers.get('cookie') ?? '')?.[1];
  const token = /^Bearer key-(\w+)$/.exec(headers.get('authorization') ?? '')?.[1];
  const user = token ?? cookie;
  return user === undefined ? null : { tenant: 'acme', user, roles: [] };
};

describe('a live socket', () => {
  it('carries streams of runs with the cursors of server-sent events, and goes on from them', async () => {
    const log = runs(2);
    const { read, server } = await listening(log.methods);
    const reader = await read();
    reader.say({ t: 'subscribe', sub: 'a', run });
    reader.say({ t: 'subscribe', sub: 'b', run, cursor: cursorOf('default', run, 1) });
    await reader.of('a', 4);
    log.append(eventView(3));
    log.end();
    const told = await reader.of('a', 7);
    expect(reader.told[0]).toEqual({ t: 'hello', protocol: 1, beatMs: 15_000, subscriptionsMax: 100 });
    expect(reader.socket.protocol).toBe(liveSubprotocol);
    expect(told[0]).toEqual({ t: 'subscribed', sub: 'a' });
    expect(told.at(-2)).toEqual({
      t: 'message',
      sub: 'a',
      cursor: cursorOf('default', run, 3),
      event: 'end',
      data: { state: 'succeeded' },
    });
    expect(told.at(-1)).toEqual({ t: 'closed', sub: 'a', done: true, reason: null });
    expect([reader.seqs('a'), reader.seqs('b')]).toEqual([
      [1, 2, 3],
      [2, 3],
    ]);
    // Word for word what the stream over HTTP says.
    const text = await (await server.fetch(new Request(`http://localhost/v1/runs/${run}/stream`))).text();
    const frames = [...text.matchAll(/(?:id: (.*)\n)?event: (.*)\ndata: (.*)\n\n/g)].map(([, id, event, data]) => ({
      t: 'message',
      sub: 'c',
      cursor: id ?? null,
      event,
      data: JSON.parse(data ?? '') as unknown,
    }));
    reader.say({ t: 'subscribe', sub: 'c', run });
    const same = await reader.of('c', 7);
    expect(same.slice(1, -1)).toEqual(frames);
    // The name is free again, and there is nothing after the last event.
    reader.say({ t: 'subscribe', sub: 'a', run, cursor: cursorOf('default', run, 3) });
    expect((await reader.of('a', 8)).at(-1)).toEqual({ t: 'closed', sub: 'a', done: true, reason: null });
    expect(log.followers.size).toBe(0);
  });

  it('lets go of a stream that is not wanted any more, also before it was given', async () => {
    const log = runs(1);
    const { read } = await listening(log.methods);
    const reader = await read();
    reader.say({ t: 'subscribe', sub: 'early', run });
    reader.say({ t: 'unsubscribe', sub: 'early' });
    expect(await reader.of('early', 1)).toEqual([{ t: 'closed', sub: 'early', done: true, reason: null }]);
    reader.say({ t: 'subscribe', sub: 'late', run });
    await reader.of('late', 3);
    reader.say({ t: 'unsubscribe', sub: 'late' });
    reader.say({ t: 'unsubscribe', sub: 'late' });
    expect((await reader.of('late', 4)).slice(3)).toEqual([{ t: 'closed', sub: 'late', done: true, reason: null }]);
    await expect.poll(() => log.followers.size).toBe(0);
    reader.say({ t: 'subscribe', sub: 'left', run });
    await reader.of('left', 3);
    reader.socket.terminate();
    await expect.poll(() => log.followers.size).toBe(0);
  });

  it('refuses a stream as its route does, and stays open', async () => {
    const log = runs(1);
    const { read } = await listening({ ...log.methods, waitForEnd: () => Promise.resolve(null) });
    const reader = await read();
    const codeOf = async (sub: string): Promise<string> => {
      const [message] = await reader.of(sub, 1);
      return message?.t === 'refused' ? message.problem.code : String(message?.t);
    };
    reader.say({ t: 'subscribe', sub: 'absent', run });
    reader.say({ t: 'subscribe', sub: 'cursor', run, cursor: cursorOf('default', 'run_other', 1) });
    reader.say({ t: 'subscribe', sub: 'both', run, topic: 't' });
    reader.say({ t: 'subscribe', sub: 'typo', run, partition: 1 });
    expect(await codeOf('absent')).toBe('RUN_NOT_FOUND');
    expect(await codeOf('cursor')).toBe('CURSOR_INVALID');
    expect(await codeOf('both')).toBe('REQUEST_INVALID');
    expect(await codeOf('typo')).toBe('REQUEST_INVALID');
    expect(reader.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('has a bound for its streams', async () => {
    const log = runs(0);
    const { read } = await listening(log.methods);
    const reader = await read();
    for (let i = 0; i <= limits.liveSubscriptionsMax; i++)
      reader.say({ t: 'subscribe', sub: `s${i}`, run: `run_${i}` });
    const [last] = await reader.of(`s${limits.liveSubscriptionsMax}`, 1);
    expect(last).toMatchObject({ t: 'refused', problem: { code: 'REQUEST_INVALID' } });
    reader.say({ t: 'unsubscribe', sub: 's0' });
    await reader.of('s0', 3);
    reader.say({ t: 'subscribe', sub: 'more', run });
    expect((await reader.of('more', 1))[0]?.t).toBe('subscribed');
  });

  it.each([
    ['{"t":"subscribe"', 1002],
    ['[]', 1002],
    ['{"t":"shout"}', 1002],
    ['{"t":"__proto__"}', 1002],
    ['{"t":"auth"}', 1002],
    ['{"t":"auth","token":"a b"}', 1002],
    ['{"t":"subscribe","run":"r"}', 1002],
    [`{"t":"subscribe","sub":"${'x'.repeat(65)}","run":"r"}`, 1002],
    [`{"t":"auth","token":"${'x'.repeat(20_000)}"}`, 1009],
    [Buffer.from('{}'), 1003],
    ['{"t":"subscribe","sub":"s","run":"r"}{"t":"subscribe"', 1002],
  ])('is closed on what cannot be answered: %s', async (text, code) => {
    const { read } = await listening(runs(0).methods);
    const reader = await read();
    reader.socket.send(text);
    expect((await reader.closed)[0]).toBe(code);
  });

  it('is closed on a name that is taken', async () => {
    const { read } = await listening(runs(0).methods);
    const reader = await read();
    reader.say({ t: 'subscribe', sub: 'a', run });
    reader.say({ t: 'subscribe', sub: 'a', run });
    expect((await reader.closed)[0]).toBe(1002);
  });

  it('answers a plain request with the advice to upgrade, also where it serves pages', async () => {
    for (const options of [{}, { authorize: bySession, page: { start: [] } }]) {
      const { url } = await listening(runs(0).methods, options);
      const response = await fetch(`${url}/v1/live`);
      expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket']);
    }
  });

  it('ends its streams and closes with the hint of a restart when the server stops', async () => {
    const log = runs(1);
    const { read, server } = await listening(log.methods);
    const reader = await read();
    reader.say({ t: 'subscribe', sub: 'a', run });
    await reader.of('a', 3);
    await server.close();
    expect((await reader.closed)[0]).toBe(1012);
    expect((await reader.of('a', 4)).at(-1)).toMatchObject({ t: 'closed', done: false });
    expect(log.followers.size).toBe(0);
  });

  it('is served in a node server of the host application, under a path', async () => {
    const log = runs(1);
    const spine = createServer({ engine: fakeEngine(log.methods), basePath: '/spine', log: () => undefined });
    const host = createNodeServer().listen(0, '127.0.0.1');
    host.on('upgrade', spine.upgrade);
    await once(host, 'listening');
    const reader = new Reader(`http://127.0.0.1:${(host.address() as AddressInfo).port}/spine`);
    await once(reader.socket, 'open');
    reader.say({ t: 'subscribe', sub: 'a', run });
    await reader.of('a', 3);
    expect(reader.seqs('a')).toEqual([1]);
    await spine.close();
    expect((await reader.closed)[0]).toBe(1012);
    host.close();
  });
});

describe('who may have a live socket', () => {
  it('is said by the upgrade, by the first message, or by each stream; nobody else keeps one', async () => {
    const log = runs(1);
    const { read, url } = await listening(log.methods, {
      authorize: bySession,
      limits: { headersTimeoutMs: 200 },
    });
    expect(await refused(url, { authorization: 'Bearer wrong' })).toBe(401);
    const byHeader = await read({ authorization: 'Bearer key-ada' });
    byHeader.say({ t: 'subscribe', sub: 'a', run });
    expect((await byHeader.of('a', 1))[0]?.t).toBe('subscribed');
    const byMessage = await read();
    byMessage.say({ t: 'auth', token: 'key-ada' });
    byMessage.say({ t: 'subscribe', sub: 'a', run });
    expect((await byMessage.of('a', 1))[0]?.t).toBe('subscribed');
    expect(byMessage.told.some(({ t }) => t === 'authenticated')).toBe(true);
    const silent = await read();
    expect(await silent.closed).toEqual([1008, expect.stringContaining('who is asking')]);
    expect(silent.told.at(-1)).toMatchObject({ t: 'refused', sub: null, problem: { code: 'UNAUTHENTICATED' } });
    const wrong = await read();
    wrong.say({ t: 'auth', token: 'wrong' });
    expect((await wrong.closed)[0]).toBe(1008);
    const guessing = await read();
    guessing.say({ t: 'subscribe', sub: 'a', run });
    expect((await guessing.of('a', 1))[0]).toMatchObject({ t: 'refused', problem: { code: 'UNAUTHENTICATED' } });
    expect((await guessing.closed)[0]).toBe(1008);
    expect([byHeader, byMessage].map(({ socket }) => socket.readyState)).toEqual([WebSocket.OPEN, WebSocket.OPEN]);
  });

  it('has by a read token the stream of its run, until it expires', async () => {
    const log = runs(1);
    const { read, server } = await listening(log.methods, { authorize: bySession });
    const answer = await server.fetch(
      new Request(`http://localhost/v1/runs/${run}/tokens`, {
        method: 'POST',
        headers: { authorization: 'Bearer key-ada', 'content-type': 'application/json' },
        body: JSON.stringify({ expiresMs: 2_000 }),
      }),
    );
    const { token } = (await answer.json()) as { token: string };
    const reader = await read();
    reader.say({ t: 'subscribe', sub: 'own', run, token });
    reader.say({ t: 'subscribe', sub: 'other', run: 'run_other', token });
    reader.say({ t: 'subscribe', sub: 'topic', topic: 'noted', token });
    await reader.of('own', 3);
    // What users are shown, not what the tenant is.
    expect(reader.told.find((one) => one.t === 'message' && one.event === 'event')).toMatchObject({
      data: { seq: 1, actor: '', data: {} },
    });
    for (const sub of ['other', 'topic'])
      expect((await reader.of(sub, 1))[0]).toMatchObject({ t: 'refused', problem: { code: 'OUT_OF_SCOPE' } });
    expect((await reader.of('own', 4)).at(-1)).toEqual({
      t: 'closed',
      sub: 'own',
      done: false,
      reason: 'the read token has expired',
    });
    reader.say({ t: 'subscribe', sub: 'again', run, token });
    expect((await reader.of('again', 1))[0]).toMatchObject({ t: 'refused', problem: { code: 'READ_TOKEN_EXPIRED' } });
  });

  it('is no page of a foreign origin, nor one that only has the cookies of its user', async () => {
    const log = runs(1);
    const origin = 'https://app.example.com';
    const cookie = 'user=ada';
    const none = await listening(log.methods, { authorize: bySession });
    expect(await refused(none.url, { origin, cookie })).toBe(403);
    for (const cors of [{ origins: '*' as const }, { origins: [origin] }]) {
      // Browsers send cookies with every WebSocket; only `credentials` says that they may speak.
      const { read } = await listening(log.methods, { authorize: bySession, cors });
      const reader = await read({ origin, cookie });
      reader.say({ t: 'subscribe', sub: 'a', run });
      expect((await reader.of('a', 1))[0]).toMatchObject({ t: 'refused', problem: { code: 'UNAUTHENTICATED' } });
      reader.say({ t: 'auth', token: 'key-ada' });
      reader.say({ t: 'subscribe', sub: 'b', run });
      expect((await reader.of('b', 1))[0]?.t).toBe('subscribed');
    }
    const declared = await listening(log.methods, {
      authorize: bySession,
      cors: { origins: [origin], credentials: true },
    });
    expect(await refused(declared.url, { origin: 'https://evil.example', cookie })).toBe(403);
    for (const headers of [
      { origin, cookie },
      { origin: declared.url, cookie },
    ]) {
      const reader = await declared.read(headers);
      reader.say({ t: 'subscribe', sub: 'a', run });
      expect((await reader.of('a', 1))[0]?.t).toBe('subscribed');
    }
  });
});

/** A reader, and what the server has waiting for it. */
async function hosted(engine: Partial<Engine>, options: Partial<ServerOptions>) {
  const server = createServer({ engine: fakeEngine(engine), log: () => undefined, ...options });
  const host = createNodeServer().listen(0, '127.0.0.1');
  const sockets: Duplex[] = [];
  host.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    sockets.push(socket);
    server.upgrade(request, socket, head);
  });
  await once(host, 'listening');
  const reader = new Reader(`http://127.0.0.1:${(host.address() as AddressInfo).port}`);
  await once(reader.socket, 'open');
  closing.push(async () => {
    reader.socket.terminate();
    await server.close();
    host.close();
  });
  return {
    reader,
    held: () => sockets.reduce((sum, { writableLength }) => sum + writableLength, 0),
    isCut: () => sockets.every(({ destroyed }) => destroyed),
  };
}

describe('a slow reader of a live socket', () => {
  it('is fed at its own pace, all streams of it, and misses nothing', async () => {
    const log = runs(300, 2_000);
    const { read } = await listening(log.methods, { limits: { streamBufferBytesMax: 64 * 1024 } });
    const reader = await read();
    reader.socket.pause();
    for (const sub of ['a', 'b', 'c']) reader.say({ t: 'subscribe', sub, run });
    await new Promise((resolve) => setTimeout(resolve, 50));
    reader.socket.resume();
    const all = Array.from({ length: 300 }, (_, i) => i + 1);
    for (const sub of ['a', 'b', 'c']) {
      await expect.poll(() => reader.seqs(sub).length, { timeout: 10_000 }).toBe(300);
      expect(reader.seqs(sub)).toEqual(all);
    }
  });

  it('is cut off when it takes nothing, without more being held for it', async () => {
    const log = runs(1_000, 10_000);
    const bound = 256 * 1024;
    const bounds = { streamBufferBytesMax: bound, heartbeatMs: 50, streamStallMs: 150 };
    const { reader, held, isCut } = await hosted(log.methods, { limits: bounds });
    reader.socket.pause();
    for (let i = 0; i < 20; i++) reader.say({ t: 'subscribe', sub: `s${i}`, run });
    let most = 0;
    while (!isCut()) {
      most = Math.max(most, held());
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(most).toBeGreaterThan(bound / 2);
    expect(most).toBeLessThan(bound + 11_000);
    reader.socket.resume();
    expect((await reader.closed)[0]).toBe(1006);
  });

  it('that pings without reading has no more than some answers waiting', async () => {
    const { reader, held } = await hosted(runs(0).methods, {});
    reader.socket.pause();
    for (let i = 0; i < 100; i++) {
      for (let j = 0; j < 1_000; j++) reader.socket.ping('x'.repeat(100));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => reader.socket.bufferedAmount).toBe(0);
    expect(held()).toBeLessThan(32 * 1024);
  });

  it('is cut off when it asks on and on without reading', async () => {
    const { read } = await listening(
      { ...runs(0).methods, waitForEnd: () => Promise.resolve(null) },
      { limits: { streamBufferBytesMax: 4_000 } },
    );
    const reader = await read();
    reader.socket.pause();
    const closed = reader.closed.then(() => true);
    let isOver = false;
    for (let i = 0; i < 200 && !isOver; i++) {
      for (let j = 0; j < 500 && reader.socket.readyState === WebSocket.OPEN; j++) {
        reader.socket.ping('x'.repeat(100));
        reader.say({ t: 'subscribe', sub: `${i}.${j}`, run: 'x'.repeat(200) });
      }
      isOver = await Promise.race([closed, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 10))]);
    }
    reader.socket.resume();
    expect((await reader.closed)[0]).toBe(1006);
  });
});

describe('live streams of topics', () => {
  const manifest: Manifest = {
    format: 1,
    app: 'test',
    topics: [{ name: 'noted', schema: null, key: null, partitions: 2 }],
    workflows: [],
    capabilities: [],
  };

  async function installation(): Promise<{
    engine: Engine;
    server: SpineServer;
    reader: Reader;
    publish: Publish;
    trim: Trim;
  }> {
    const store = createMemoryStore({ clock: nodePorts.clock, data: new MemoryData(), shared: true });
    const engine = createEngine({ store, ports: nodePorts });
    await engine.start();
    await engine.register(manifest);
    const server = createServer({ engine, port: 0, log: () => undefined });
    closing.push(async () => {
      await server.close();
      await engine.stop();
    });
    const { url } = await server.listen();
    const reader = new Reader(url);
    await once(reader.socket, 'open');
    let published = 0;
    const publish: Publish = async (count) => {
      const requests = Array.from({ length: count }, () => {
        published += 1;
        return { topic: 'noted', id: `e${published}`, source: 's', type: 'noted', data: null };
      });
      const origin = { tenant: 'default', actor: 'a', traceparent: null, correlation: 'c' };
      for (const outcome of await engine.publish(origin, requests)) if (outcome.tag === 'error') throw outcome.error;
    };
    const trim: Trim = async (low) => {
      for (const partition of [0, 1]) {
        const entry = { op: 'put', space: 'topic-low', key: `noted/${partition}`, ref: 'low', run: '', at: 0 } as const;
        const offsets = Array.from({ length: low }, (_, i) => i);
        const trims = [{ topic: 'noted', partition, offsets }];
        await store.apply([{ tenant: 'default', entries: [{ ...entry, value: JSON.stringify({ low }) }], trims }]);
      }
    };
    return { engine, server, reader, publish, trim };
  }

  type Publish = (count: number) => Promise<void>;
  type Trim = (low: number) => Promise<void>;

  const offsets = (reader: Reader, sub: string, partition: number): number[] =>
    reader.told.flatMap((one) =>
      one.t === 'message' && one.sub === sub && one.event === 'event' && 'offset' in one.data
        ? one.data.partition === partition
          ? [one.data.offset]
          : []
        : [],
    );

  it('go on from a cursor, and tell what is gone', async () => {
    const { engine, reader, publish, trim } = await installation();
    await publish(40);
    reader.say({ t: 'subscribe', sub: 'all', topic: 'noted', from: 'oldest' });
    reader.say({ t: 'subscribe', sub: 'one', topic: 'noted', partitions: [1], from: 'oldest' });
    reader.say({ t: 'subscribe', sub: 'new', topic: 'noted' });
    const all = await reader.of('all', 42);
    expect(all[1]).toMatchObject({ t: 'message', event: 'start' });
    const [topic] = await engine.listTopics('default');
    const heads = (topic?.partitions ?? []).map(({ head }) => head);
    for (const [partition, head] of heads.entries())
      expect(offsets(reader, 'all', partition)).toEqual(Array.from({ length: head }, (_, i) => i));
    expect([offsets(reader, 'one', 0), offsets(reader, 'one', 1).length]).toEqual([[], heads[1]]);
    expect((await reader.of('new', 2)).length).toBe(2);
    const cursor = all.flatMap((one) => (one.t === 'message' && one.cursor !== null ? [one.cursor] : []))[10];
    reader.say({ t: 'unsubscribe', sub: 'all' });
    const low = Math.min(...heads);
    await trim(low);
    reader.say({ t: 'subscribe', sub: 'again', topic: 'noted', cursor: cursor ?? '' });
    await reader.of('again', 3);
    expect(
      reader.told.filter((one) => one.t === 'message' && one.sub === 'again' && one.event === 'gap'),
    ).toMatchObject([{ data: { to: low - 1 } }, { data: { to: low - 1 } }]);
    await publish(1);
    await reader.of('new', 3);
  });
});

describe('what a live stream shows', () => {
  it('is what its reader may see: by permissions, and without what is tagged', async () => {
    const engine = createEngine({ store: createMemoryStore({ clock: nodePorts.clock }), ports: nodePorts });
    await engine.start();
    const mail = { type: 'string', 'x-eventspine-tags': ['pii'] };
    const schema = { type: 'object', properties: { mail, total: { type: 'number' } } };
    const topics = ['order.placed', 'order.secret'].map((name) => ({ name, schema, key: null, partitions: 1 }));
    await engine.register({ format: 1, app: 'shop', topics, workflows: [], capabilities: [] });
    const server = createServer({
      engine,
      port: 0,
      log: () => undefined,
      authorize: () => ({ tenant: 'acme', user: 'ada', roles: [], permissions: ['subscribe:topic/order.placed'] }),
    });
    closing.push(async () => {
      await server.close();
      await engine.stop();
    });
    const { url } = await server.listen();
    const reader = new Reader(url);
    await once(reader.socket, 'open');
    reader.say({ t: 'subscribe', sub: 'secret', topic: 'order.secret' });
    reader.say({ t: 'subscribe', sub: 'placed', topic: 'order.placed' });
    expect((await reader.of('secret', 1))[0]).toMatchObject({ t: 'refused', problem: { code: 'PERMISSION_MISSING' } });
    await reader.of('placed', 2);
    const origin = { tenant: 'acme', actor: 'a', traceparent: null, correlation: 'c' };
    const data = payloadOfJson({ mail: 'canary@example.com', total: 7 });
    await engine.publish(origin, [{ topic: 'order.placed', id: 'e1', source: 's', type: 'order.placed', data }]);
    const told = await reader.of('placed', 3);
    expect(told[2]).toMatchObject({
      event: 'event',
      data: { event: { data: { mail: { redacted: ['pii'] }, total: 7 } } },
    });
    expect(JSON.stringify(reader.told)).not.toContain('canary');
  });
});

describe('a live stream of another tenant', () => {
  it('is answered as one that is not there (P18)', async () => {
    const log = runs(1);
    const { read } = await listening(
      { ...log.methods, waitForEnd: (tenant) => Promise.resolve(tenant === 'acme' ? 'running' : null) },
      {
        authorize: ({ headers }) => {
          const tenant = /^Bearer (\w+)$/.exec(headers.get('authorization') ?? '')?.[1];
          return tenant === undefined ? null : { tenant, user: 'u', roles: ['admin'] };
        },
      },
    );
    const reader = await read({ authorization: 'Bearer rival' });
    reader.say({ t: 'subscribe', sub: 'foreign', run });
    reader.say({ t: 'subscribe', sub: 'cursor', run, cursor: cursorOf('acme', run, 1) });
    reader.say({ t: 'subscribe', sub: 'own', run, token: 'acme' });
    const [foreign] = await reader.of('foreign', 1);
    expect(foreign).toMatchObject({ t: 'refused', problem: { code: 'RUN_NOT_FOUND' } });
    expect((await reader.of('cursor', 1))[0]).toMatchObject({ t: 'refused', problem: { code: 'CURSOR_INVALID' } });
    // A stream is granted to its token, whosever the socket is.
    expect((await reader.of('own', 1))[0]?.t).toBe('subscribed');
  });
});

describe('a thousand live sockets', () => {
  it('hear of an event at once, and cost no more than they must', async () => {
    const log = runs(1);
    const { url } = await listening(log.methods);
    const readers: Reader[] = [];
    for (let i = 0; i < 1_000; i += 100) {
      const some = Array.from({ length: 100 }, () => new Reader(url));
      await Promise.all(some.map(({ socket }) => once(socket, 'open')));
      readers.push(...some);
    }
    for (const reader of readers) reader.say({ t: 'subscribe', sub: 'a', run });
    await expect.poll(() => log.followers.size, { timeout: 10_000 }).toBe(1_000);
    log.append(eventView(2));
    await expect.poll(() => readers.every((reader) => reader.seqs('a').length === 2), { timeout: 10_000 }).toBe(true);
    for (const { socket } of readers) socket.terminate();
    await expect.poll(() => log.followers.size, { timeout: 10_000 }).toBe(0);
  }, 30_000);
});
