import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Engine, RunStreamHandlers } from '../../engine/api.js';
import { fakeEngine } from '../engine.test.fake.js';
import { createServer, type SpineServer } from '../index.js';
import type { ServerOptions } from '../options.js';

const run = 'run_01jd00000000000000000000aa';
const open: SpineServer[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function listening(methods: Partial<Engine> = {}, options: Partial<ServerOptions> = {}) {
  const server = createServer({ engine: fakeEngine(methods), port: 0, log: () => undefined, ...options });
  open.push(server);
  return { server, ...(await server.listen()) };
}

const startRuns: Engine['startRuns'] = (_, requests) =>
  Promise.resolve(requests.map(() => ({ tag: 'started', run }) as const));

/** Everything that a connection says until it is closed. */
async function heard(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return text;
}

describe('the server on a port', () => {
  it('answers over one connection again and again, with a length and in one piece', async () => {
    const { port } = await listening({ startRuns });
    const socket = connect(port, '127.0.0.1');
    const message = `POST /v1/workflows/a/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`;
    socket.write(message + message);
    let text = '';
    let pieces = 0;
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      pieces += 1;
    });
    await expect.poll(() => text.split(`"id":"${run}"`).length).toBe(3);
    expect(text.match(/HTTP\/1.1 202 Accepted\r\n/g)).toHaveLength(2);
    expect(text.toLowerCase()).toContain('content-length: ');
    expect(text.toLowerCase()).not.toContain('chunked');
    expect(pieces).toBeLessThanOrEqual(2);
    socket.destroy();
  });

  it('says the same as over fetch', async () => {
    const methods: Partial<Engine> = { startRuns };
    const { url, server } = await listening(methods);
    const init = () => ({
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json', 'x-request-id': 'same' },
    });
    const shown = async (response: Response) => {
      const headers = Object.fromEntries(response.headers);
      for (const name of ['date', 'connection', 'keep-alive', 'content-length']) delete headers[name];
      return { status: response.status, headers, text: await response.text() };
    };
    for (const path of ['/v1/workflows/a/runs', '/v1/nope', '/v1/workflows/a/runs?x=1']) {
      const onPort = await shown(await fetch(url + path, init()));
      expect(onPort).toEqual(await shown(await server.fetch(new Request(url + path, init()))));
    }
  });

  it('refuses a body that is too large before it is sent, and does not read it', async () => {
    const { port } = await listening({}, { limits: { bodyBytesMax: 100 } });
    const socket = connect(port, '127.0.0.1');
    socket.write(
      'POST /v1/workflows/a/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n',
    );
    const text = await heard(socket);
    expect(text).toMatch(/^HTTP\/1.1 413 /);
    expect(text).not.toContain('100 Continue');
    expect(text.toLowerCase()).toContain('connection: close');
    expect(text).toContain('BODY_TOO_LARGE');
  });

  it('counts a body that does not say its size', async () => {
    const { port } = await listening({}, { limits: { bodyBytesMax: 100 } });
    const socket = connect(port, '127.0.0.1');
    socket.write(
      'POST /v1/workflows/a/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    socket.write(`3c\r\n${'1'.repeat(60)}\r\n3c\r\n${'1'.repeat(60)}\r\n`);
    expect(await heard(socket)).toMatch(/^HTTP\/1.1 413 /);
  });

  it('tells a client that asks first to go on', async () => {
    const { url } = await listening({ startRuns });
    const request = httpRequest(`${url}/v1/workflows/a/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', expect: '100-continue', 'content-length': 2 },
    });
    request.on('continue', () => request.end('{}'));
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(202);
  });

  it('cuts off clients that send their headers or body too slowly', async () => {
    const strict = { headersTimeoutMs: 200, requestTimeoutMs: 60_000 };
    const headers = connect((await listening({}, { limits: strict })).port, '127.0.0.1');
    headers.write('POST /v1/workflows/a/runs HTTP/1.1\r\nHost: localh');
    const { port, url } = await listening({ startRuns }, { limits: { headersTimeoutMs: 200, requestTimeoutMs: 400 } });
    const body = connect(port, '127.0.0.1');
    body.write(
      'POST /v1/workflows/a/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    );
    const [slowHeaders, slowBody] = await Promise.all([heard(headers), heard(body)]);
    expect(slowHeaders).toMatch(/^HTTP\/1.1 408 .*REQUEST_TIMEOUT/s);
    expect(slowBody).toMatch(/^HTTP\/1.1 408 .*REQUEST_TIMEOUT/s);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });

  it('cuts off clients that take nothing of an answer, and not those that take it slowly', async () => {
    const bytes = Buffer.alloc(24 * 1024 * 1024, 'x');
    const { port } = await listening({ readBlob: () => Promise.resolve(bytes) }, { limits: { streamStallMs: 400 } });
    const asks = (): Socket => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(`GET /v1/blobs/default/${'a'.repeat(64)} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      return socket;
    };
    const idle = asks();
    idle.pause();
    const slow = asks();
    let taken = 0;
    let since = 0;
    // Pauses that are longer in all than what is given, and none of them for itself.
    slow.on('data', (chunk: Buffer) => {
      taken += chunk.byteLength;
      since += chunk.byteLength;
      if (since < 3 * 1024 * 1024) return;
      since = 0;
      slow.pause();
      setTimeout(() => slow.resume(), 120);
    });
    await expect.poll(() => taken, { timeout: 10_000 }).toBeGreaterThan(bytes.byteLength);
    slow.destroy();
    // It learns of it when it reads what was on its way.
    await expect
      .poll(
        () => {
          idle.write('\r\n');
          return idle.destroyed || idle.errored !== null;
        },
        { timeout: 3_000 },
      )
      .toBe(true);
  });

  it('answers what is not HTTP with a problem', async () => {
    const { port } = await listening();
    const noise = connect(port, '127.0.0.1');
    noise.write('hello\r\n\r\n');
    expect(await heard(noise)).toMatch(/^HTTP\/1.1 400 .*application\/problem\+json/s);
    const large = connect(port, '127.0.0.1');
    large.write(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(await heard(large)).toMatch(/^HTTP\/1.1 431 /);
  });

  it('is not harmed by a client that leaves in the middle', async () => {
    const { port, url } = await listening({ startRuns });
    const socket = connect(port, '127.0.0.1');
    socket.write(
      'POST /v1/workflows/a/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    );
    await once(socket, 'connect');
    socket.resetAndDestroy();
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });

  it('answers HEAD without a body and with the length of the one it would have', async () => {
    const { url } = await listening();
    const get = await fetch(`${url}/health/live`);
    const head = await fetch(`${url}/health/live`, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'));
    expect(await head.text()).toBe('');
  });
});

describe('closing', () => {
  it('lets answers under way out, then refuses connections', async () => {
    let release: (() => void) | null = null;
    const { server, url } = await listening({
      startRuns: (origin, requests) =>
        new Promise((resolve) => {
          release = () => resolve(startRuns(origin, requests));
        }),
    });
    const answer = fetch(`${url}/v1/workflows/a/runs`, { method: 'POST' });
    await expect.poll(() => release !== null).toBe(true);
    const closed = server.close();
    (release as (() => void) | null)?.();
    expect((await answer).status).toBe(202);
    expect((await answer).headers.get('connection')).toBe('close');
    await closed;
    await expect(fetch(`${url}/health/live`)).rejects.toThrow();
    await expect(server.listen()).rejects.toThrow(/stopping/);
  });

  it('ends streams with a hint to come back', async () => {
    let handlers: RunStreamHandlers | null = null;
    const { server, url } = await listening({
      waitForEnd: () => Promise.resolve('running'),
      follow: (_tenant, _run, _after, given) => {
        handlers = given;
        return Promise.resolve(() => undefined);
      },
    });
    const response = await fetch(`${url}/v1/runs/${run}/stream`);
    await expect.poll(() => handlers !== null).toBe(true);
    await server.close();
    expect(await response.text()).toMatch(/stopping.*\nretry: 1000\n\n$/);
  });

  it('does not wait for ever', async () => {
    const { server, url } = await listening(
      { startRuns: () => new Promise(() => undefined) },
      { limits: { closeMs: 50 } },
    );
    const answer = fetch(`${url}/v1/workflows/a/runs`, { method: 'POST' }).catch(() => 'cut off');
    await new Promise((resolve) => setImmediate(resolve));
    await server.close();
    expect(await answer).toBe('cut off');
  });

  it('rejects where the port is taken', async () => {
    const { port } = await listening();
    const second = createServer({ engine: fakeEngine(), port });
    await expect(second.listen()).rejects.toThrow(/EADDRINUSE/);
    await second.close();
  });
});

describe('a reader of a stream that takes nothing', () => {
  it('costs no more than its bound and goes on from the log when it reads again', async () => {
    const bound = 64 * 1024;
    const total = 3_000;
    const data = 'x'.repeat(1_000);
    let handedOut = 0;
    let follows = 0;
    const { port } = await listening(
      {
        waitForEnd: () => Promise.resolve('running'),
        follow: (_tenant, _run, after, handlers) => {
          follows += 1;
          const events = Array.from({ length: total - after }, (_, i) => ({
            seq: after + i + 1,
            id: 'e',
            type: 't',
            at: '',
            actor: 'a',
            data,
          }));
          handedOut = after;
          if (handlers.onEvents(events, 'running')) handlers.onEnd('succeeded');
          return Promise.resolve(() => undefined);
        },
      },
      { limits: { streamBufferBytesMax: bound } },
    );
    const socket = connect(port, '127.0.0.1');
    socket.pause();
    socket.write(`GET /v1/runs/${run}/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    await expect.poll(() => follows).toBeGreaterThan(0);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.resume();
    await once(socket, 'close');
    const seqs = [...text.matchAll(/"seq":(\d+)/g)].map(([, seq]) => Number(seq));
    expect(seqs).toEqual(Array.from({ length: total }, (_, i) => i + 1));
    expect(text).toContain('event: end');
    expect(follows).toBeGreaterThan(1);
    expect(handedOut).toBeGreaterThan(0);
  });
});
