/** Streams and sockets of those who may no longer have them. */
import { once } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { LiveMessage } from '../../protocol/live.js';
import { fakeEngine } from '../engine.test.fake.js';
import { createServer, type SpineServer } from '../index.js';
import type { Principal } from '../options.js';

const run = 'run_01jd00000000000000000000aa';

let server: SpineServer;
let url: string;
/** What `authorize` says of the key. */
let holder: () => Principal | null;
let refusals: string[];
let asked: number;
let sockets: WebSocket[];
let lost: number;

beforeEach(async () => {
  holder = () => ({ tenant: 'acme', user: 'ada', roles: ['worker'] });
  refusals = [];
  asked = 0;
  sockets = [];
  lost = 0;
  server = createServer({
    engine: fakeEngine({
      now: () => Date.now(),
      waitForEnd: () => Promise.resolve('running'),
      follow: () => Promise.resolve(() => undefined),
      workflowOf: () => Promise.resolve('letter'),
      recordAccess: (records) => {
        refusals.push(...records.map(({ record }) => JSON.stringify(record)));
        return Promise.resolve();
      },
      connect: () => ({ receive: () => undefined, closed: () => (lost += 1), leave: async () => undefined }),
    }),
    port: 0,
    log: () => undefined,
    limits: { recheckMs: 20 },
    authorize: ({ headers }) => {
      asked += 1;
      return headers.get('authorization') === 'Bearer key' ? holder() : null;
    },
  });
  ({ url } = await server.listen());
});

afterEach(async () => {
  for (const socket of sockets) socket.terminate();
  await server.close();
});

const headers = { authorization: 'Bearer key' };

async function stream(): Promise<() => Promise<string>> {
  const response = await fetch(`${url}/v1/runs/${run}/stream`, { headers });
  expect(response.status).toBe(200);
  return () => response.text();
}

async function socketAt(path: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers });
  sockets.push(socket);
  await once(socket, 'open');
  return socket;
}

it.each([
  ['is revoked', (): Principal | null => null],
  ['has got other permissions', (): Principal => ({ tenant: 'acme', user: 'ada', roles: ['worker'], permissions: [] })],
  ['has become another', (): Principal => ({ tenant: 'acme', user: 'eve', roles: ['worker'] })],
])('a stream ends when the key of its reader %s', async (_, next) => {
  const end = await stream();
  const live = await socketAt('/v1/live');
  const told: LiveMessage[] = [];
  live.on('message', (data) => told.push(JSON.parse(String(data)) as LiveMessage));
  live.send(JSON.stringify({ t: 'subscribe', sub: 'a', run }));
  await expect.poll(() => asked).toBeGreaterThan(6);
  expect(told.at(-1)).toMatchObject({ t: 'message', event: 'state' });
  holder = next;
  expect(await end()).toContain(': the credentials are good no longer');
  await expect.poll(() => told.at(-1)).toMatchObject({ t: 'closed', sub: 'a', done: false });
  const before = asked;
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(asked).toBe(before);
});

it('goes on where nobody can be asked just now', async () => {
  const end = await stream();
  const before = asked;
  holder = () => {
    throw new Error('the session store is away');
  };
  await expect.poll(() => asked).toBeGreaterThan(before + 3);
  holder = () => null;
  expect(await end()).toContain('event: state');
});

it('the socket of a worker is closed when its key is revoked, and that is recorded', async () => {
  const socket = await socketAt('/v1/worker');
  const closed = once(socket, 'close');
  await expect.poll(() => asked).toBeGreaterThan(3);
  holder = () => null;
  expect((await closed)[0]).toBe(1008);
  await expect.poll(() => lost).toBe(1);
  await expect.poll(() => refusals.join('\n'), { timeout: 5_000 }).toContain('UNAUTHENTICATED');
});
