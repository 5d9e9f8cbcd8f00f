import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { payloadOfJson } from '../../core/codec.js';
import type { Engine, WorkerChannel } from '../../engine/api.js';
import type { WorkerMessage } from '../../protocol/worker.js';
import { fakeEngine } from '../engine.test.fake.js';
import { createServer, type SpineServer } from '../index.js';
import type { ServerOptions } from '../options.js';
import { readWorkerMessage } from './worker-message.js';

const open: SpineServer[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

/** A server whose engine keeps what workers say. */
async function listening(options: Partial<ServerOptions> = {}) {
  const received: WorkerMessage[] = [];
  const channels: WorkerChannel[] = [];
  let lost = 0;
  const engine: Partial<Engine> = {
    connect: (channel) => {
      channels.push(channel);
      return { receive: (message) => received.push(message), closed: () => (lost += 1), leave: async () => undefined };
    },
  };
  const server = createServer({ engine: fakeEngine(engine), port: 0, log: () => undefined, ...options });
  open.push(server);
  const { url } = await server.listen();
  const join = (query = '', headers: Record<string, string> = {}) =>
    new WebSocket(`${url.replace('http', 'ws')}/v1/worker${query}`, { headers });
  return { server, received, channels, lost: () => lost, join, url };
}

async function closing(socket: WebSocket): Promise<[number, string]> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return [code, reason.toString()];
}

/** Status with which an upgrade is refused. */
async function refused(socket: WebSocket): Promise<number> {
  // Giving up on a refused socket is an error to the library.
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  socket.terminate();
  return response.statusCode;
}

describe('the socket of a worker', () => {
  it('hears what is due and where it stands before a server that stops closes it', async () => {
    const said: string[] = [];
    const engine: Partial<Engine> = {
      connect: (channel) => ({
        receive: () => undefined,
        closed: () => undefined,
        leave: async () => {
          // Answers of commits that are under way take their time.
          await new Promise((resolve) => setImmediate(resolve));
          channel.send({ t: 'results', items: [{ i: 1, ok: true, head: 2 }] });
          channel.send({ t: 'goodbye', reason: 'SHUTTING_DOWN' });
        },
      }),
    };
    const server = createServer({ engine: fakeEngine(engine), port: 0, log: () => undefined });
    const { url } = await server.listen();
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/worker`);
    socket.on('message', (data) => said.push((JSON.parse(String(data)) as { t: string }).t));
    await once(socket, 'open');
    const [closed] = await Promise.all([closing(socket), server.close()]);
    expect(said).toEqual(['results', 'goodbye']);
    expect(closed[0]).toBe(1012);
  });

  it('carries messages both ways and tells when it is gone', async () => {
    const { received, channels, lost, join } = await listening({ basePath: '' });
    const socket = join();
    await once(socket, 'open');
    socket.send('{"t":"credit","upTo":5}');
    await expect.poll(() => received).toEqual([{ t: 'credit', upTo: 5 }]);
    const heard = once(socket, 'message');
    channels[0]?.send({ t: 'goodbye', reason: 'grün' });
    expect(String((await heard)[0])).toBe('{"t":"goodbye","reason":"grün"}');
    expect(channels[0]?.bufferedBytes()).toBe(0);
    socket.terminate();
    await expect.poll(lost).toBe(1);
    // Nobody is there any more; that must not be an exception.
    channels[0]?.send({ t: 'goodbye', reason: 'late' });
  });

  it('is closed by the engine with its reason, cut to what fits', async () => {
    const { channels, join } = await listening();
    const socket = join();
    await once(socket, 'open');
    channels[0]?.close('ü'.repeat(200));
    const [code, reason] = await closing(socket);
    expect(code).toBe(1000);
    expect(reason).toMatch(/^ü+$/);
  });

  it.each([
    ['{"t":"credit"', 1002, 'JSON'],
    ['[]', 1002, '"t"'],
    ['{"t":"shout"}', 1002, 'no message'],
    ['{"t":"credit","upTo":-1}', 1002, 'upTo'],
    ['{"t":"__proto__"}', 1002, 'no message'],
  ])('is closed on the message %s', async (text, code, reason) => {
    const { join, received } = await listening();
    const socket = join();
    await once(socket, 'open');
    socket.send(text);
    const closed = await closing(socket);
    expect(closed[0]).toBe(code);
    expect(closed[1]).toContain(reason);
    expect(received).toEqual([]);
  });

  it('is closed on binary frames and on frames that are too large', async () => {
    const { join } = await listening();
    const binary = join();
    await once(binary, 'open');
    binary.send(Buffer.from('{"t":"drain"}'));
    expect((await closing(binary))[0]).toBe(1003);
    const large = join();
    await once(large, 'open');
    large.send('x'.repeat(17 * 1024 * 1024));
    expect((await closing(large))[0]).toBe(1009);
  });

  it('carries nothing but beats in the role of a beat socket', async () => {
    const { join, received } = await listening();
    const socket = join('?role=beat');
    await once(socket, 'open');
    socket.send('{"t":"beat","session":"ses_1","n":1,"received":0}');
    await expect.poll(() => received.length).toBe(1);
    socket.send('{"t":"drain"}');
    expect((await closing(socket))[0]).toBe(1002);
    expect(received).toHaveLength(1);
  });

  it('is refused to strangers, other roles, foreign pages and other paths', async () => {
    const { join } = await listening({
      authorize: ({ headers }) => {
        const role = headers.get('x-role');
        return role === null ? null : { tenant: 't', user: 'u', roles: [role] };
      },
    });
    expect(await refused(join())).toBe(401);
    expect(await refused(join('', { 'x-role': 'operator' }))).toBe(403);
    expect(await refused(join('', { 'x-role': 'worker', origin: 'https://evil.example' }))).toBe(403);
    expect(await refused(join('?role=other', { 'x-role': 'worker' }))).toBe(400);
    expect(await refused(join('s', { 'x-role': 'worker' }))).toBe(404);
    const admitted = join('', { 'x-role': 'worker' });
    await once(admitted, 'open');
    admitted.terminate();
  });

  it('answers a plain request with the advice to upgrade', async () => {
    const { url } = await listening();
    const response = await fetch(`${url}/v1/worker`);
    expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket']);
  });

  it('is closed with the hint of a restart when the server stops', async () => {
    const { join, server, lost } = await listening();
    const socket = join();
    await once(socket, 'open');
    const closed = closing(socket);
    await server.close();
    expect((await closed)[0]).toBe(1012);
    expect(lost()).toBe(1);
  });
});

describe('readWorkerMessage', () => {
  const read = (value: unknown) => readWorkerMessage(new TextEncoder().encode(JSON.stringify(value)));
  const failure = { class: 'unknown', code: 'C', message: 'm', retryable: true };
  const payload = payloadOfJson(1);
  const submit = (command: object) => ({ t: 'submit', items: [{ i: 1, assignment: 1, commands: [command] }] });
  const retry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };

  it.each([
    { op: 'beginStep', path: 'a', attempt: 1, effect: 'external' },
    { op: 'completeStep', path: 'a', attempt: 1, durationMs: 1.5, withInput: false, result: payload },
    { op: 'failStep', path: 'a', attempt: 1, failure, retry },
    { op: 'call', path: 'a', capability: 'c', input: { codec: 'json/1', blob: 'a'.repeat(64), size: 1 }, options: {} },
    { op: 'sleep', path: 'a', ms: 1 },
    { op: 'emit', path: 'a', topic: 't', event: { data: payload, key: 'k' } },
    { op: 'progress', index: 0, value: payload },
    { op: 'park', seen: 3 },
    { op: 'fail', failure, path: null },
    { op: 'refuse', code: 'NO', data: null },
    { op: 'endCancelled' },
    { op: 'completeTask', result: payload, durationMs: 1 },
    { op: 'failTask', failure: { ...failure, retryAfterMs: 5, stack: 's' } },
  ])('takes the command $op', (command) => {
    expect(read(submit(command))).toEqual({ ok: true, message: submit(command), refused: [] });
  });

  it.each([
    { op: 'other' },
    { op: 'constructor' },
    { op: 'sleep', path: 'a', ms: '1' },
    { op: 'sleep', path: 'x'.repeat(513), ms: 1 },
    { op: 'park', seen: -1 },
    { op: 'succeed', output: { codec: 'json/2', text: '1' } },
    { op: 'succeed', output: { codec: 'json/1', blob: '../x', size: 1 } },
    { op: 'failTask', failure: { ...failure, retryable: 'yes' } },
    { op: 'failTask', failure: { ...failure, message: 'x'.repeat(1_001) } },
    { op: 'failStep', path: 'a', attempt: 1, failure, retry: { ...retry, attempts: null } },
    { op: 'sleep', path: 'a', ms: 1e300 },
    { op: 'sleep', path: 'a', ms: 0.5 },
    { op: 'sleepUntil', path: 'a', at: 8.7e15 },
    { op: 'call', path: 'a', capability: 'c', input: payload, options: { priority: 10 } },
    { op: 'call', path: 'a', capability: 'c', input: payload, options: { deadlineMs: 1e16 } },
    { op: 'failTask', failure: { ...failure, retryAfterMs: 1e300 } },
  ])('refuses the command %j, and nothing else of its message', (command) => {
    const good = { i: 2, assignment: 1, commands: [{ op: 'endCancelled' }] };
    const [bad] = submit(command).items;
    expect(read({ t: 'submit', items: [bad, good] })).toEqual({
      ok: true,
      message: { t: 'submit', items: [good] },
      refused: [{ i: 1, ok: false, code: 'REQUEST_INVALID', message: expect.stringContaining(command.op) as string }],
    });
  });

  it.each([{ items: [{ i: 1, assignment: 1, commands: ['x'] }] }, { items: [{ i: 1, commands: [] }] }, { items: 1 }])(
    'refuses a message whose submissions cannot be answered: %j',
    (message) => {
      expect(read({ t: 'submit', ...message }).ok).toBe(false);
    },
  );

  it('takes a hello with all it may have', () => {
    const hello = {
      t: 'hello',
      protocol: 1,
      worker: 'wrk_1',
      app: 'a',
      manifest: {},
      slots: 10,
      only: { workflows: ['w'], capabilities: [] },
      resume: { session: 's', received: 1, holding: [{ assignment: 1, seen: 2 }] },
      host: 'h',
      pid: 1,
    };
    expect(read(hello).ok).toBe(true);
    expect(read({ ...hello, slots: 1e9 }).ok).toBe(false);
    expect(read({ ...hello, resume: { session: 's' } }).ok).toBe(false);
  });
});
