/** The server over the real engine and the memory store: what the fakes of the other tests only claim. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { payloadOfJson } from '../core/codec.js';
import { failure } from '../core/failure.js';
import type { Manifest } from '../core/manifest.js';
import type { BodyCommand } from '../core/run/commands.js';
import { createEngine, type Engine } from '../engine/index.js';
import type { DeadLetterView, PageView, Problem, RunView, StartAnswer } from '../protocol/http.js';
import type { ServerMessage, WorkerMessage } from '../protocol/worker.js';
import { nodePorts } from '../runtime/index.js';
import { createMemoryStore } from '../store/memory.js';
import { createServer, type SpineServer } from './index.js';

const retry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };
const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [{ name: 'asked', schema: null, key: null, partitions: 1 }],
  workflows: ['echo', 'answer'].map((name) => ({
    name,
    version: null,
    previous: [],
    input: name === 'echo' ? { type: 'object' } : null,
    on: name === 'answer' ? 'asked' : null,
    completes: null,
    priority: 5,
    timeoutMs: null,
    retainMs: null,
    deadlineMs: 30_000,
    retry,
  })),
  capabilities: [],
};

let engine: Engine;
let server: SpineServer;
let url: string;
let sockets: WebSocket[];

beforeEach(async () => {
  sockets = [];
  engine = createEngine({ store: createMemoryStore({ clock: nodePorts.clock }), ports: nodePorts });
  await engine.start();
  await engine.register(manifest);
  server = createServer({
    engine,
    port: 0,
    authorize: ({ headers }) => ({
      tenant: headers.get('x-tenant') ?? 'default',
      user: 'u',
      roles: ['worker', 'operator'],
    }),
  });
  ({ url } = await server.listen());
});

afterEach(async () => {
  for (const socket of sockets) socket.terminate();
  await server.close();
  await engine.stop();
});

/** A worker that ends every activation with the command that `decide` gives for its input. */
async function worker(decide: (input: string) => BodyCommand): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/worker`);
  sockets.push(socket);
  await once(socket, 'open');
  const say = (message: WorkerMessage): void => socket.send(JSON.stringify(message));
  let submissions = 0;
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as ServerMessage;
    if (message.t === 'welcome') say({ t: 'credit', upTo: 100 });
    if (message.t !== 'assign') return;
    for (const { assignment, input } of message.items) {
      const command = decide('text' in input ? input.text : '');
      say({ t: 'submit', items: [{ i: ++submissions, assignment, commands: [command] }] });
    }
  });
  say({ t: 'hello', protocol: 1, worker: 'wrk_1', app: 'test', manifest, slots: 100 });
}

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url + path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
const read = async <T>(path: string, headers: Record<string, string> = {}): Promise<T> =>
  (await (await fetch(url + path, { headers })).json()) as T;

const succeed = (text: string): BodyCommand => ({ op: 'succeed', output: { codec: 'json/1', text } });
const fail = (): BodyCommand => ({
  op: 'fail',
  path: null,
  failure: failure({ class: 'invalid_request', code: 'BAD', message: 'no good', retryable: false }),
});

describe('the server over an engine', () => {
  it('takes a run from the request to its result, and shows it live', async () => {
    const started = (await (await post('/v1/workflows/echo/runs', { a: 1 })).json()) as StartAnswer;
    expect((await fetch(url + started.links.result)).status).toBe(409);
    const stream = await fetch(url + started.links.stream);
    await worker(succeed);
    const text = await stream.text();
    expect(text).toContain('"type":"run.started"');
    expect(text).toContain('event: end\ndata: {"state":"succeeded"}');
    expect(await read(started.links.result)).toEqual({ a: 1 });
    expect((await read<RunView>(started.links.self)).state).toBe('succeeded');
    const id = [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? '';
    expect((await fetch(url + started.links.stream, { headers: { 'last-event-id': id } })).status).toBe(204);
    const history = await read<PageView<{ seq: number }>>(started.links.history);
    expect(history.items.map(({ seq }) => seq)).toEqual(history.items.map((_, i) => i + 1));
  });

  it('resumes a stream after any event with exactly the rest', async () => {
    await worker(succeed);
    const started = (await (await post('/v1/workflows/echo/runs', {})).json()) as StartAnswer;
    const whole = await (await fetch(url + started.links.stream)).text();
    const seqs = (text: string) => [...text.matchAll(/^data: \{"seq":(\d+)/gm)].map(([, seq]) => Number(seq));
    const ids = [...whole.matchAll(/^id: (.*)\nevent: event$/gm)].map(([, id = '']) => id);
    expect(ids.length).toBeGreaterThan(1);
    for (const [i, id] of ids.entries()) {
      const response = await fetch(url + started.links.stream, { headers: { 'last-event-id': id } });
      const rest = response.status === 204 ? [] : seqs(await response.text());
      expect(rest).toEqual(seqs(whole).slice(i + 1));
    }
  });

  it('answers with the result of quick work at once', async () => {
    await worker(succeed);
    const response = await post('/v1/workflows/echo/runs', { q: 2 }, { prefer: 'wait=10' });
    expect([response.status, await response.json()]).toEqual([200, { q: 2 }]);
  });

  it('starts one run for one key, and refuses the key for another body', async () => {
    const key = { 'idempotency-key': '"k"' };
    const [first, second] = await Promise.all([1, 2].map(() => post('/v1/workflows/echo/runs', { a: 1 }, key)));
    const ids = [(await first?.json()) as StartAnswer, (await second?.json()) as StartAnswer];
    expect(ids[0]?.id).toBe(ids[1]?.id);
    expect(ids.filter(({ repeated }) => repeated)).toHaveLength(1);
    const clash = await post('/v1/workflows/echo/runs', { a: 2 }, key);
    expect([clash.status, ((await clash.json()) as Problem).code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
  });

  it('refuses unknown workflows and inputs that do not fit', async () => {
    expect((await post('/v1/workflows/nope/runs', {})).status).toBe(404);
    expect(((await (await post('/v1/workflows/echo/runs', 1)).json()) as Problem).code).toBe('INPUT_INVALID');
  });

  it('starts the runs that an event triggers, once', async () => {
    const event = { specversion: '1.0', id: 'e1', source: '/s', type: 'asked', data: { q: 1 } };
    const publish = async () =>
      (await (
        await post('/v1/topics/asked/events', event, { 'content-type': 'application/cloudevents+json' })
      ).json()) as {
        items: { duplicate: boolean; runs: string[] }[];
      };
    const [first] = (await publish()).items;
    expect([first?.duplicate, first?.runs.length]).toEqual([false, 1]);
    expect((await publish()).items[0]?.duplicate).toBe(true);
    const topic = await read<PageView<{ offset: number }>>('/v1/topics/asked/events?limit=1');
    expect(topic).toMatchObject({ items: [{ offset: 0 }], next: '0' });
    expect((await read<PageView<unknown>>('/v1/topics/asked/events?cursor=0')).items).toEqual([]);
  });

  it('shows a failure, its dead letter and the way back', async () => {
    let bad = true;
    await worker((text) => (bad ? fail() : succeed(text)));
    const response = await post('/v1/workflows/echo/runs', { a: 1 }, { prefer: 'wait=10' });
    const problem = (await response.json()) as Problem;
    expect(problem).toMatchObject({
      code: 'RUN_FAILED',
      status: 422,
      failure: { class: 'invalid_request', code: 'BAD' },
    });
    const letters = await read<PageView<DeadLetterView>>('/v1/dead-letters?class=invalid_request');
    expect(letters.items).toMatchObject([{ run: problem.run, workflow: 'echo' }]);
    bad = false;
    expect((await post(`/v1/dead-letters/${letters.items[0]?.id}/redrive`, null)).status).toBe(202);
    await expect.poll(() => read(`/v1/runs/${problem.run}/result`)).toEqual({ a: 1 });
  });

  it('shows one tenant nothing of another, and gives foreign ids the answer of absent ones', async () => {
    const mine = { 'x-tenant': 'mine' };
    const started = (await (await post('/v1/workflows/echo/runs', { canary: 1 }, mine)).json()) as StartAnswer;
    expect((await read<PageView<unknown>>('/v1/runs')).items).toEqual([]);
    for (const path of ['', '/history', '/result', '/stream']) {
      const answers = await Promise.all(
        [started.id, 'run_01jd0000000000000000000000'].map(async (id) => {
          const response = await fetch(`${url}/v1/runs/${id}${path}`);
          return [response.status, (await response.text()).replaceAll(id, 'ID').replace(/"reference.*/, '')];
        }),
      );
      expect(answers[0]?.[0]).toBe(404);
      expect(answers[0]).toEqual(answers[1]);
    }
    expect((await post(`/v1/runs/${started.id}/cancel`, {})).status).toBe(404);
    expect((await post(`/v1/runs/${started.id}/cancel`, {}, mine)).status).toBe(202);
  });

  it('keeps a bad item of a batch from harming its neighbours', async () => {
    const response = await post('/v1/workflows/echo/runs:batch', [{ input: {} }, { input: 1 }, { input: {} }]);
    const { items } = (await response.json()) as { items: { id?: string; error?: Problem }[] };
    expect(items.map(({ error }) => error?.code)).toEqual([undefined, 'INPUT_INVALID', undefined]);
    expect(new Set(items.map(({ id }) => id)).size).toBe(3);
  });

  it('publishes data of every kind and reads it back', async () => {
    const binary = { 'ce-specversion': '1.0', 'ce-source': '/s', 'ce-type': 't' };
    const send = (id: string, type: string, body: BodyInit) =>
      fetch(`${url}/v1/topics/asked/events`, {
        method: 'POST',
        body,
        headers: { ...binary, 'ce-id': id, 'content-type': type },
      });
    expect((await send('1', 'application/json', '{"a":1}')).status).toBe(202);
    expect((await send('2', 'text/plain', 'grün')).status).toBe(202);
    expect((await send('3', 'application/octet-stream', new Uint8Array([0, 255]))).status).toBe(202);
    expect((await send('4', 'text/plain', '')).status).toBe(202);
    const page =
      await read<PageView<{ event: { id: string; data?: unknown; data_base64?: string } }>>('/v1/topics/asked/events');
    expect(page.items.map(({ event }) => [event.id, event.data ?? event.data_base64])).toEqual([
      ['1', { a: 1 }],
      ['2', 'grün'],
      ['3', 'AP8='],
      ['4', undefined],
    ]);
    expect(page.items[2]?.event).toMatchObject({ data_base64: 'AP8=' });
  });

  it('describes queues, workers, definitions, health and checks', async () => {
    await worker(() => succeed(payloadOfJson(1).text));
    await expect.poll(async () => (await read<PageView<unknown>>('/v1/workers')).items.length).toBe(1);
    expect((await read<PageView<Manifest>>('/v1/definitions')).items.map(({ app }) => app)).toEqual(['test']);
    expect(await read('/health/ready')).toMatchObject({ status: 'ok' });
    expect((await read<{ checks: { ok: boolean }[] }>('/v1/doctor')).checks.every(({ ok }) => ok)).toBe(true);
    expect((await read<{ openapi: string }>('/openapi.json')).openapi).toBe('3.1.0');
    expect(Array.isArray((await read<PageView<unknown>>('/v1/queues')).items)).toBe(true);
  });
});
