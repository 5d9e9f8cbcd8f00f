/** What is open ends when its caller may not ask any more: streams, live sockets, sockets of workers. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { newId } from '../../core/ids.js';
import { revokedKey, rotatedKey, type ApiKey } from '../../core/keys/api-key.js';
import { keyText, readKeyText } from '../../core/keys/key-text.js';
import { limits } from '../../core/limits.js';
import { nodePorts } from '../../runtime/index.js';
import { fakeEngine } from '../engine.test.fake.js';
import { createServer } from '../index.js';
import type { Principal } from '../options.js';
import { Standing } from './standing.js';

const run = 'run_01jd00000000000000000000aa';
const id = newId('apiKey', nodePorts);
const [text, next] = [1, 2].map((byte) => keyText(id, new Uint8Array(32).fill(byte))) as [string, string];
const hashOf = (key: string): string => nodePorts.hash.sha256(readKeyText(key)?.secret ?? '');
const closing: (() => Promise<void>)[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  for (const close of closing.splice(0)) await close();
});

/** A server with one key, and a session that ends. */
function installation() {
  const place: { key: ApiKey; looks: number; follows: number } = {
    key: {
      id,
      tenant: 'acme',
      name: 'web',
      roles: ['worker'],
      permissions: null,
      clearances: null,
      createdAt: 0,
      createdBy: 'test',
      expiresAt: null,
      revoked: null,
      secrets: [{ hash: hashOf(text), until: null }],
    },
    looks: 0,
    follows: 0,
  };
  const until = Date.now() + 60_000;
  const engine = fakeEngine({
    now: () => Date.now(),
    keyOf: () => {
      place.looks += 1;
      return Promise.resolve(place.key);
    },
    keyUsed: () => Promise.resolve(),
    waitForEnd: () => Promise.resolve('running'),
    follow: () => {
      place.follows += 1;
      return Promise.resolve(() => {
        place.follows -= 1;
      });
    },
    connect: () => ({ receive: () => undefined, closed: () => undefined, leave: () => Promise.resolve() }) as never,
  });
  const server = createServer({
    engine,
    port: 0,
    audit: false,
    webhooks: { deliver: false },
    log: () => undefined,
    authorize: ({ headers }): Principal | null =>
      headers.get('authorization') === 'Bearer session' ? { tenant: 'acme', user: 'ada', roles: [], until } : null,
  });
  closing.push(() => server.close());
  const stream = async (token: string): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
    const request = new Request(`http://localhost/v1/runs/${run}/stream`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const response = await server.fetch(request);
    expect(response.status).toBe(200);
    if (response.body === null) throw new Error('A stream has a body');
    return response.body.getReader();
  };
  return { place, server, stream, until };
}

/** Everything that still comes of a stream that has ended. */
async function rest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let told = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return told;
    told += new TextDecoder().decode(value);
  }
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

describe('a stream', () => {
  it('ends within two seconds of when its key was revoked, and says why', async () => {
    const { place, stream } = installation();
    const streams = [await stream(text), await stream(text)];
    await pass(10 * limits.apiKeyBelievedMs);
    expect(place.follows).toBe(2);
    place.key = revokedKey(place.key, 'root', Date.now());
    // What is remembered of the key is by the clock of the store, which is not in the hands of the test.
    const now = Date.now();
    vi.spyOn(Date, 'now').mockReturnValue(now + limits.apiKeyBelievedMs);
    await pass(limits.apiKeyBelievedMs);
    for (const one of streams) expect(await rest(one)).toContain('good no longer');
    expect(place.follows).toBe(0);
  });

  it('ends when the text that it was asked with is none of the key any more', async () => {
    const { place, stream } = installation();
    const former = await stream(text);
    const now = Date.now();
    place.key = rotatedKey(place.key, hashOf(next), 5_000, now);
    const clock = vi.spyOn(Date, 'now').mockReturnValue(now + 2_001);
    const newer = await stream(next);
    await pass(2_000);
    expect(place.follows).toBe(2);
    clock.mockReturnValue(now + 5_000);
    await pass(2_000);
    expect(place.follows).toBe(1);
    expect(await rest(former)).toContain('good no longer');
    void newer.cancel();
  });

  it('ends when the session is over that it was asked in', async () => {
    const { place, stream, until } = installation();
    const reader = await stream('session');
    await pass(10_000);
    expect(place.follows).toBe(1);
    vi.spyOn(Date, 'now').mockReturnValue(until);
    await pass(2_000);
    expect(await rest(reader)).toContain('good no longer');
  });

  it('costs one look at its key in two seconds, and nothing when it is closed', async () => {
    const { place, stream } = installation();
    const streams = await Promise.all([1, 2, 3].map(() => stream(text)));
    const now = Date.now();
    const clock = vi.spyOn(Date, 'now');
    place.looks = 0;
    for (let i = 1; i <= 5; i++) {
      clock.mockReturnValue(now + i * 2_001);
      await pass(2_000);
    }
    expect(place.looks).toBe(5);
    for (const one of streams) await one.cancel();
    clock.mockReturnValue(now + 60_000);
    await pass(10_000);
    expect(place.looks).toBe(5);
  });
});

describe('a socket', () => {
  it.each(['worker', 'live'])('of %s loses what it has when its key is revoked', async (path) => {
    const { place, server } = installation();
    const { url } = await server.listen();
    const protocols = path === 'live' ? ['eventspine.live.1'] : [];
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/${path}`, protocols, {
      headers: { authorization: `Bearer ${text}` },
    });
    await once(socket, 'open');
    const told: string[] = [];
    socket.on('message', (data) => told.push(String(data)));
    if (path === 'live') {
      socket.send(JSON.stringify({ t: 'subscribe', sub: 'a', run }));
      await expect.poll(() => place.follows).toBe(1);
    }
    place.key = revokedKey(place.key, 'root', Date.now());
    const now = Date.now();
    vi.spyOn(Date, 'now').mockReturnValue(now + 2_001);
    const closed = path === 'worker' ? once(socket, 'close') : null;
    await pass(2_000);
    if (closed !== null) expect(await closed).toEqual([1008, expect.anything()]);
    else await expect.poll(() => told.join()).toContain('good no longer');
    socket.terminate();
  });
});

describe('Standing', () => {
  it('ends nothing because the store does not answer, and goes on looking', async () => {
    const principal: Principal = { tenant: 'acme', user: 'key:web', roles: [] };
    const logged: string[] = [];
    let answer: () => Promise<boolean> = () => Promise.reject(new Error('the store is away'));
    const standing = new Standing({
      ports: nodePorts,
      holds: () => answer(),
      mayEnd: () => true,
      log: ({ message }) => logged.push(message),
    });
    let ended = 0;
    standing.watch(principal, () => {
      ended += 1;
    });
    await pass(4_000);
    expect([ended, logged.length]).toEqual([0, 2]);
    answer = () => Promise.resolve(false);
    await pass(4_000);
    expect(ended).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
