import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { encodeValue } from '../core/codec.js';
import { limits } from '../core/limits.js';
import type { ServerMessage, WorkerMessage } from '../protocol/worker.js';
import { nodeTimers } from '../runtime/index.js';
import { capability } from '../workflow/capability.js';
import type { AppRegistry } from './app-registry.js';
import { createWorkerOf } from './create-worker.js';
import { createWebSocketTransport } from './web-socket-transport.js';
import type { Worker } from './worker.js';

/** A real server of the protocol, which a test drives by hand. */
class SocketServer {
  readonly received: WorkerMessage[] = [];
  readonly beats: { readonly n: number; readonly atMs: number }[] = [];
  readonly puts = new Map<string, Buffer>();
  readonly headers: (string | undefined)[] = [];
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  #data: WebSocket | null = null;
  #watchers: (() => void)[] = [];
  answers = true;
  beatMs = 50;

  constructor() {
    this.#http = createServer((request, response) => {
      const path = request.url ?? '';
      this.headers.push(request.headers.authorization);
      if (request.method === 'GET') {
        const bytes = this.puts.get(path);
        response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
        return;
      }
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        this.puts.set(path, Buffer.concat(parts));
        response.writeHead(204).end();
      });
    });
    this.#sockets = new WebSocketServer({ server: this.#http });
    this.#sockets.on('connection', (socket, request) => {
      this.headers.push(request.headers.authorization);
      const isBeat = (request.url ?? '').endsWith('?role=beat');
      if (!isBeat) this.#data = socket;
      socket.on('message', (data) => {
        const message = JSON.parse(String(data)) as WorkerMessage;
        if (isBeat && message.t === 'beat') this.beats.push({ n: message.n, atMs: performance.now() });
        else this.#receive(message);
        for (const watcher of this.#watchers) watcher();
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/base/`;
  }

  #receive(message: WorkerMessage): void {
    this.received.push(message);
    if (message.t === 'hello') {
      const session = message.resume?.session ?? 'ses_1';
      const resumed = message.resume !== undefined;
      this.send({ t: 'welcome', session, resumed, beatMs: this.beatMs, deadMs: 15_000, lost: [], blobs: '/v1/blobs' });
    }
    if (message.t === 'submit' && this.answers) {
      this.send({ t: 'results', items: message.items.map(({ i }) => ({ i, ok: true, head: 2 })) });
    }
    if (message.t === 'bye') this.send({ t: 'goodbye', reason: 'bye' });
  }

  send(message: ServerMessage): void {
    this.#data?.send(JSON.stringify(message));
  }

  call(assignment: number, input: unknown): void {
    const more = { run: 'run_1', task: `c:${assignment}`, attempt: 1, deadlineMs: 60_000, traceparent: null };
    const item = {
      kind: 'call',
      assignment,
      tenant: 'ten ant',
      capability: 'echo',
      idempotencyKey: 'k',
      ...more,
    } as const;
    this.send({ t: 'assign', items: [{ ...item, input: encodeValue(input) }] });
  }

  /** The network breaks: no closing handshake. */
  cut(): void {
    this.#data?.terminate();
  }

  /** The peer is there no more, though no packet says so: nothing is answered, pings neither. */
  deafen(): void {
    this.#data?.pause();
  }

  count(t: WorkerMessage['t']): number {
    return this.received.filter((message) => message.t === t).length;
  }

  /** Resolves when `done()` is true, which is asked after each message; rejects where `child` ends before. */
  async until(done: () => boolean, child?: Child): Promise<void> {
    let early: string | null = null;
    void child?.ended.then(({ stderr }) => {
      early = stderr;
      for (const watcher of this.#watchers) watcher();
    });
    while (!done()) {
      if (early !== null) throw new Error(`The worker process ended early: ${String(early)}`);
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
    this.#watchers = [];
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}

const registry: AppRegistry = {
  app: 'shop',
  manifest: { format: 1, app: 'shop', topics: [], workflows: [], capabilities: [] },
  versions: () => undefined,
  definition: () => undefined,
  handler: () => capability('echo').implement((input) => input),
};

const open: { server: SocketServer; worker?: Worker }[] = [];

async function setup() {
  const server = new SocketServer();
  const url = await server.listen();
  const started = { server };
  open.push(started);
  return { server, url };
}

function work(url: string | readonly string[]): Worker {
  const begin = (): never => {
    throw new Error('No body is expected here.');
  };
  const worker = createWorkerOf(registry, begin, { url, headers: { authorization: 'Bearer t' } });
  open.push({ server: new SocketServer(), worker });
  return worker;
}

const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const { server, worker } of open.splice(0)) {
    await worker?.stop();
    await server.close().catch(() => undefined);
  }
});

describe('a worker over real sockets', () => {
  it('resumes after a cut and repeats what was not answered', async () => {
    const { server, url } = await setup();
    const worker = work(url);
    await worker.start();
    server.answers = false;
    server.call(1, 'v');
    await server.until(() => server.count('submit') === 1);
    server.cut();
    server.answers = true;
    await server.until(() => server.count('submit') === 2);
    const hellos = server.received.filter((message) => message.t === 'hello');
    expect(hellos[1]?.resume).toEqual({ session: 'ses_1', received: 1, holding: [{ assignment: 1, seen: 0 }] });
    const [first, second] = server.received.filter((message) => message.t === 'submit');
    expect(second).toEqual(first);
    await worker.drain();
    expect(server.count('bye')).toBe(1);
    expect(new Set(server.headers)).toEqual(new Set(['Bearer t']));
  });

  it('goes to the next of several servers when its line is lost', async () => {
    const [one, two] = [await setup(), await setup()];
    const worker = work([one.url, two.url]);
    await worker.start();
    one.server.cut();
    await two.server.until(() => two.server.count('credit') > 0);
    expect(two.server.received.find((message) => message.t === 'hello')?.resume?.session).toBe('ses_1');
    await worker.drain();
    expect([one.server.count('bye'), two.server.count('bye')]).toEqual([0, 1]);
  });

  it('stores and reads blobs over HTTP beside the socket', async () => {
    const { server, url } = await setup();
    const worker = work(url);
    await worker.start();
    server.call(1, 'x'.repeat(limits.inlinePayloadBytesMax));
    await server.until(() => server.count('submit') === 1);
    const [path] = server.puts.keys();
    expect(path).toMatch(/^\/base\/v1\/blobs\/ten%20ant\/[0-9a-f]{64}$/);
    const transport = createWebSocketTransport({ url, timers: nodeTimers });
    const hash = path?.slice(-64) ?? '';
    const bytes = await transport.getBlob({ blobs: '/v1/blobs', tenant: 'ten ant', hash });
    expect(bytes).toHaveLength(limits.inlinePayloadBytesMax + 2);
    const absent = transport.getBlob({ blobs: '/v1/blobs', tenant: 'a', hash: '0'.repeat(64) });
    await expect(absent).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
  });

  it('reports a server that is not there as a closed connection', async () => {
    const transport = createWebSocketTransport({ url: 'http://127.0.0.1:9', timers: nodeTimers });
    const reason = await new Promise<string>((resolve) => {
      transport.open(() => undefined, resolve);
    });
    expect(reason).toContain('ECONNREFUSED');
  });

  it('gives up a connection over which nothing comes back', async () => {
    const { server, url } = await setup();
    const transport = createWebSocketTransport({ url, timers: nodeTimers, pingMs: 20 });
    const closed = new Promise<string>((resolve) => {
      const connection = transport.open(() => undefined, resolve);
      connection.send({ t: 'drain' });
    });
    await server.until(() => server.count('drain') === 1);
    server.deafen();
    expect(await closed).toContain('silent');
  });

  it('refuses a URL that is none', () => {
    expect(() => createWebSocketTransport({ url: 'ftp://x', timers: nodeTimers })).toThrow(/not an http/);
  });
});

// ------------------------------------------------------------------ whole processes

/** Source of a worker process, of the built package as users run it; `handle` is the body of its handler. */
function program(url: string | readonly string[], handle: string): string {
  const module = (name: string): string => JSON.stringify(new URL(`../../dist/${name}`, import.meta.url).href);
  return `
    import { createWorkerOf } from ${module('worker/create-worker.js')};
    import { runProcess, logToStderr } from ${module('worker/worker-process.js')};
    import { capability } from ${module('workflow/capability.js')};
    const registry = {
      app: 'shop', manifest: { format: 1, app: 'shop', topics: [], workflows: [], capabilities: [] },
      versions: () => undefined, definition: () => undefined,
      handler: () => capability('echo').implement((input, ctx) => { ${handle} }),
    };
    const worker = createWorkerOf(registry, () => { throw new Error('none'); }, { url: ${JSON.stringify(url)}, log: logToStderr });
    await runProcess(worker, logToStderr);
  `;
}

interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly stderr: string }>;
}

function run(source: string): Child {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const ended: Child['ended'] = new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stderr }));
  });
  children.push(child);
  return { process: child, ended };
}

describe('a worker process', () => {
  it('beats on while user code blocks its event loop', async () => {
    const { server, url } = await setup();
    const child = run(program(url, 'const end = Date.now() + 2000; while (Date.now() < end); return 1;'));
    await server.until(() => server.beats.length >= 2, child);
    server.call(1, null);
    const began = server.beats.length;
    await server.until(() => server.count('submit') === 1, child);
    const during = server.beats.slice(began);
    expect(during.length).toBeGreaterThan(10);
    const gaps = during.slice(1).map((beat, n) => beat.atMs - (during[n]?.atMs ?? beat.atMs));
    expect(Math.max(...gaps)).toBeLessThan(1_000);
    child.process.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: 0 });
    expect(server.count('bye')).toBe(1);
  }, 60_000);

  it('beats where its data line is, on whichever of several servers', async () => {
    const [one, two] = [await setup(), await setup()];
    const child = run(program([one.url, two.url], 'return 1;'));
    await one.server.until(() => one.server.beats.length >= 2, child);
    one.server.cut();
    await two.server.until(() => two.server.beats.length >= 2, child);
    child.process.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: 0 });
  }, 60_000);

  it('drains on SIGTERM: finishes the call in flight, says goodbye, exits with 0', async () => {
    const { server, url } = await setup();
    const child = run(
      program(url, "return new Promise((r) => process.once('SIGTERM', () => setTimeout(r, 50, 'late')));"),
    );
    await server.until(() => server.count('credit') === 1, child);
    server.call(1, null);
    await server.until(() => server.beats.length >= 3, child);
    child.process.kill('SIGTERM');
    const { code } = await child.ended;
    expect(code).toBe(0);
    const kinds = server.received.map((message) => message.t).filter((t) => t !== 'beat' && t !== 'credit');
    expect(kinds).toEqual(['hello', 'drain', 'submit', 'bye']);
  }, 60_000);

  it('ends with 1, a log line and no goodbye on an uncaught error', async () => {
    const { server, url } = await setup();
    const child = run(program(url, "setTimeout(() => { throw new Error('stray'); }); return new Promise(() => {});"));
    await server.until(() => server.count('credit') === 1, child);
    server.call(1, null);
    const { code, stderr } = await child.ended;
    expect(code).toBe(1);
    expect(stderr).toContain('stray');
    expect(server.count('bye')).toBe(0);
  }, 60_000);

  it('ends with 1 where the server refuses it', async () => {
    const { server, url } = await setup();
    const child = run(program(url, 'return 1;'));
    await server.until(() => server.count('hello') === 1, child);
    server.send({ t: 'goodbye', reason: 'DEFINITION_INVALID: no.' });
    expect(await child.ended).toMatchObject({ code: 1 });
  }, 60_000);
});
