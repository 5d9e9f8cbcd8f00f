/** Endpoints over real HTTP, with a real engine: what they are sent, and what becomes of it when they misbehave. */
import { createServer as createNodeServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { payloadOfJson } from '../../core/codec.js';
import type { Engine, Origin } from '../../engine/api.js';
import { createEngine } from '../../engine/index.js';
import type { EndpointView } from '../../protocol/http.js';
import { workerProtocolSchema } from '../../protocol/worker-schemas.js';
import { nodePorts } from '../../runtime/index.js';
import { endpointSecret, sign } from '../../webhooks/index.js';
import { createMemoryStore } from '../../store/memory.js';
import { MemoryData } from '../../store/memory-data.js';
import { createInProcessTransport, createWorker } from '../../worker/index.js';
import { createHandler } from '../../worker/serverless/index.js';
import { fakeModel } from '../../testing/kit/fake-model.js';
import { inTurn } from '../../testing/kit/fakes.js';
import { capability, defineApp, model, tool, topic, workflow, type AnyApp } from '../../workflow/index.js';
import { createServer } from '../index.js';
import { PushHost } from './push-host.js';

const installation = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const origin: Origin = { tenant: 'acme', actor: 'test', traceparent: null, correlation: null };

// What is really sent is what is published of it.
const ajv = new Ajv2020({ strict: false });
ajv.addSchema(workerProtocolSchema);
const isPushRequest = ajv.compile({ $ref: `${workerProtocolSchema.$id}#/$defs/PushRequest` });

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of cleanUps.splice(0).reverse()) await end();
});

/** An endpoint that serves `app`; `before` may answer in its place, and sees every request. */
async function endpoint(
  app: AnyApp,
  before: (request: IncomingMessage, response: ServerResponse, body: string) => boolean | Promise<boolean> = () =>
    false,
) {
  const secret = endpointSecret(installation, app.name);
  const handler = createHandler(app, { secret });
  const bodies: string[] = [];
  const heads: Record<string, string>[] = [];
  const listener = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    bodies.push(body);
    if (!isPushRequest(JSON.parse(body)))
      throw new Error(`not as the schemas say: ${ajv.errorsText(isPushRequest.errors)}`);
    heads.push(request.headers as Record<string, string>);
    if (await before(request, response, body)) return;
    const answer = await handler(
      new Request('http://endpoint/', { method: 'POST', body, headers: request.headers as Record<string, string> }),
    );
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  };
  const server = createNodeServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  cleanUps.push(close);
  return { url: `http://127.0.0.1:${port}/eventspine`, bodies, heads, close, secret, handler, port };
}

/** Servers over one store that push. */
async function servers(count = 1) {
  const data = new MemoryData();
  const made: { engine: Engine; host: PushHost }[] = [];
  const faults: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const store = createMemoryStore({ clock: nodePorts.clock, ...(count === 1 ? {} : { data, shared: true }) });
    const engine = createEngine({ store, ports: nodePorts, settings: { sessionDeadMs: 1_500, sessionBeatMs: 300 } });
    await engine.start();
    cleanUps.push(() => engine.stop());
    const host = new PushHost({
      engine,
      secrets: [installation],
      rules: { allowLoopback: true },
      log: (entry) => faults.push(entry),
    });
    host.start();
    cleanUps.push(() => host.close());
    made.push({ engine, host });
  }
  const [{ engine, host }] = made as [(typeof made)[number]];
  const start = async (name: string, input: unknown = null): Promise<string> => {
    const [started] = await engine.startRuns(origin, [{ workflow: name, input: payloadOfJson(input) }]);
    if (started?.tag !== 'started') throw new Error(JSON.stringify(started));
    return started.run;
  };
  const outcome = async (run: string, ms = 10_000): Promise<unknown> => {
    await engine.waitForEnd('acme', run, ms);
    const result = await engine.readResult('acme', run);
    return result?.state === 'succeeded' && 'text' in result.output ? JSON.parse(result.output.text) : result;
  };
  const history = async (run: string): Promise<string[]> =>
    ((await engine.readHistory('acme', run, { after: 0, limit: 500 })) ?? []).map(({ type }) => type);
  return { engine, host, made, start, outcome, history, faults };
}

const upper = capability('upper', { retry: { attempts: 3, min: 1, max: 5 }, timeout: '5s' });
const caller = defineApp({
  name: 'caller',
  capabilities: [upper],
  workflows: [workflow('shout', {}, async (ctx, text) => ctx.call(upper, text))],
});
const shouting = (handle: (text: unknown, attempt: number) => unknown) =>
  defineApp({ name: 'shouting', handlers: [upper.implement((text, { attempt }) => handle(text, attempt))] });
const settings = { concurrency: 4, timeoutMs: 5_000 };

/** Somebody who runs the bodies of `caller`. */
async function withBodies(engine: Engine): Promise<void> {
  const bodies = createWorker({ app: caller, connect: createInProcessTransport(engine) });
  await bodies.start();
  cleanUps.push(() => bodies.stop());
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await isSo()) return;
    await new Promise((wake) => setTimeout(wake, 10));
  }
  throw new Error('it did not come about');
}

describe('calls at an endpoint', () => {
  it('are sent, signed, and their results recorded', async () => {
    const { engine, host, start, outcome } = await servers();
    await withBodies(engine);
    const { url, heads } = await endpoint(shouting((text) => String(text).toUpperCase()));
    expect(await host.add('shouting', { url, ...settings })).toMatchObject({ app: 'shouting', concurrency: 4 });
    expect(await outcome(await start('shout', 'hello'))).toBe('HELLO');
    expect(heads.at(-1)?.['webhook-signature']).toMatch(/^v1,/);
    expect(await host.list()).toMatchObject([{ state: 'serving', slots: 4, reason: null }]);
    const [worker] = (await engine.workers()).filter(({ app }) => app === 'shouting');
    expect(worker).toMatchObject({ worker: 'push:shouting', slots: 4, connected: true, queues: ['capability:upper'] });
  });

  it('fail as the handler fails, and are tried again', async () => {
    const { engine, host, start, outcome } = await servers();
    await withBodies(engine);
    const { url } = await endpoint(
      shouting((text, attempt) => {
        if (attempt < 2) throw Object.assign(new Error('come again'), { code: 'AGAIN' });
        return `${String(text)} ${attempt}`;
      }),
    );
    await host.add('shouting', { url, ...settings });
    expect(await outcome(await start('shout', 'try'))).toBe('try 2');
  });

  it('carry large values both ways', async () => {
    const { engine, host, start, outcome, history } = await servers();
    await withBodies(engine);
    const { url } = await endpoint(shouting((text) => String(text).toUpperCase()));
    await host.add('shouting', { url, ...settings });
    const run = await start('shout', 'x'.repeat(100_000));
    expect(await outcome(run)).toMatchObject({ state: 'succeeded', output: { size: 100_002 } });
    expect(await history(run)).toContain('call.completed');
  });

  it('wait, uncounted, while the endpoint says that it is busy', async () => {
    const { engine, host, start, outcome, history } = await servers();
    await withBodies(engine);
    let refusals = 2;
    const { url } = await endpoint(
      shouting((text, attempt) => `${String(text)} ${attempt}`),
      (_, response, body) => {
        if (!body.includes('"kind":"call"') || refusals-- <= 0) return false;
        response.writeHead(503, { 'retry-after': '0' }).end();
        return true;
      },
    );
    await host.add('shouting', { url, ...settings });
    const run = await start('shout', 'busy');
    expect(await outcome(run)).toBe('busy 1');
    expect(await history(run)).not.toContain('call.retrying');
  });

  it('wait, uncounted, while the endpoint is down, and it is shown', async () => {
    const { engine, host, start, outcome, history } = await servers();
    await withBodies(engine);
    const app = shouting((text, attempt) => `${String(text)} ${attempt}`);
    const first = await endpoint(app);
    await host.add('shouting', { url: first.url, ...settings });
    await until(async () => (await host.list())[0]?.state === 'serving');
    await first.close();
    const run = await start('shout', 'down');
    await until(async () => (await host.list())[0]?.state === 'paused');
    expect((await host.list())[0]).toMatchObject({ reason: 'ECONNREFUSED', slots: 0 });
    await until(async () => (await engine.queues()).find(({ queue }) => queue === 'capability:upper')?.ready === 1);
    const second = await endpoint(app);
    await host.add('shouting', { url: second.url, ...settings });
    expect(await outcome(run)).toBe('down 1');
    expect(await history(run)).not.toContain('call.retrying');
  });

  it('count an attempt when the endpoint dies over them', async () => {
    const { engine, host, start, outcome } = await servers();
    await withBodies(engine);
    let kills = 1;
    const { url } = await endpoint(
      shouting((text, attempt) => `${String(text)} ${attempt}`),
      (request, response, body) => {
        if (!body.includes('"kind":"call"') || kills-- <= 0) return false;
        request.socket.destroy();
        response.destroy();
        return true;
      },
    );
    await host.add('shouting', { url, ...settings });
    expect(await outcome(await start('shout', 'kill'))).toBe('kill 2');
  });

  it('count an attempt when the endpoint is too slow, and its late answer is nobody’s', async () => {
    const { engine, host, start, outcome, history } = await servers();
    await withBodies(engine);
    const { url } = await endpoint(
      shouting((text, attempt) => `${String(text)} ${attempt}`),
      async (_, __, body) => {
        if (body.includes('"kind":"call"') && body.includes('"attempt":1'))
          await new Promise((wake) => setTimeout(wake, 700));
        return false;
      },
    );
    await host.add('shouting', { url, concurrency: 4, timeoutMs: 300 });
    const run = await start('shout', 'slow');
    expect(await outcome(run)).toBe('slow 2');
    expect((await history(run)).filter((type) => type === 'call.completed')).toHaveLength(1);
  });

  it('fail for what is no answer, and no redirect is followed', async () => {
    const { engine, host, start, outcome } = await servers();
    await withBodies(engine);
    const answers: ((response: ServerResponse) => unknown)[] = [
      (response) => response.writeHead(200).end('{"outcome":"completed","result":7}'),
      (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    ];
    const { url } = await endpoint(
      shouting((text) => text),
      (_, response, body) => {
        const next = body.includes('"kind":"call"') ? answers.shift() : undefined;
        next?.(response);
        return next !== undefined;
      },
    );
    await host.add('shouting', { url, ...settings });
    const run = await start('shout', 'odd');
    expect(await outcome(run)).toBe('odd');
    const events = await engine.readHistory('acme', run, { after: 0, limit: 100 });
    const codes = events?.flatMap(({ type, data }) =>
      type === 'call.retrying' ? [(data as { failure: { code: string } }).failure.code] : [],
    );
    expect(codes).toEqual(['ENDPOINT_ANSWER', 'HTTP_302']);
  });

  it('go to one server of several, and to the other when it leaves', async () => {
    const { engine, host, made, start, outcome } = await servers(2);
    await withBodies(engine);
    const { url } = await endpoint(shouting((text) => String(text).toUpperCase()));
    await host.add('shouting', { url, ...settings });
    expect(await outcome(await start('shout', 'one'))).toBe('ONE');
    const serving = async (): Promise<boolean[]> =>
      Promise.all(made.map(async (each) => (await each.host.list())[0]?.state === 'serving'));
    await until(async () => (await serving()).includes(true));
    expect((await serving()).filter(Boolean)).toHaveLength(1);
    const [owner] = made.filter((_, i) => i === 0);
    await owner?.host.close();
    expect(await outcome(await start('shout', 'two'), 15_000)).toBe('TWO');
  });

  it('end with the endpoint', async () => {
    const { engine, host } = await servers();
    const { url } = await endpoint(shouting((text) => text));
    await host.add('shouting', { url, ...settings });
    await until(async () => (await engine.workers()).length === 1);
    await host.remove('shouting');
    await until(async () => (await engine.workers()).length === 0);
    expect(await host.list()).toEqual([]);
    await expect(host.remove('shouting')).rejects.toMatchObject({ code: 'ENDPOINT_NOT_FOUND' });
  });
});

describe('bodies at an endpoint', () => {
  it('run in turns, and do each step once', async () => {
    const ran: string[] = [];
    const said = topic('said');
    const app = defineApp({
      name: 'bodies',
      topics: [said],
      handlers: [upper.implement((text) => String(text).toUpperCase())],
      workflows: [
        workflow('all', {}, async (ctx, input) => {
          const a = await ctx.step('a', () => (ran.push('a'), `${String(input)}!`));
          ctx.progress({ at: 'a' });
          const [b, c] = await Promise.all([
            ctx.step('b', a, (s) => (ran.push('b'), `${s}b`), { effect: 'external' }),
            ctx.call(upper, a),
          ]);
          await ctx.emit(said, { b });
          await ctx.sleep('20ms');
          const big = await ctx.step('big', () => (ran.push('big'), 'y'.repeat(50_000)));
          return { a, b, c, length: big.length };
        }),
        workflow('fails', {}, async (ctx) => {
          await ctx.step('bad', () => Promise.reject(new Error('no')), { retry: { attempts: 2, min: 1, max: 1 } });
        }),
      ],
    });
    const { host, start, outcome, history, engine } = await servers();
    const { url, bodies } = await endpoint(app);
    await host.add('bodies', { url, ...settings });
    const run = await start('all', 'hi');
    expect(await outcome(run)).toEqual({ a: 'hi!', b: 'hi!b', c: 'HI!', length: 50_000 });
    expect(ran).toEqual(['a', 'b', 'big']);
    const types = await history(run);
    expect(types.filter((type) => type === 'step.completed')).toHaveLength(3);
    expect(types).not.toContain('activation.retrying');
    expect((await engine.readRun('acme', run))?.progress).toEqual({ at: 'a' });
    expect(bodies.filter((body) => body.includes('"kind":"activation"')).length).toBeLessThan(12);
    expect(await outcome(await start('fails'))).toMatchObject({ state: 'failed', failure: { message: 'no' } });
  });

  it('write to streams, in steps and in calls, and wait for none of it', async () => {
    const spoken = capability('spoken', { retry: { attempts: 1 }, timeout: '5s' });
    const app = defineApp({
      name: 'speaking',
      handlers: [
        spoken.implement(async (_, call) => {
          await call.stream().write('c0');
          await call.stream('aside').write('c1');
          return 'called';
        }),
      ],
      workflows: [
        workflow('speak', {}, async (ctx) => {
          const once = await ctx.step(
            'once',
            async (step) => {
              for (const part of ['a', 'b']) await step.stream().write(part);
              return 'once';
            },
            { effect: 'external' },
          );
          const again = await ctx.step('again', async (step) => {
            await step.stream().write('d');
            return 'again';
          });
          return [once, again, await ctx.call(spoken, null)];
        }),
      ],
    });
    const { host, start, outcome, history, engine } = await servers();
    const { url } = await endpoint(app);
    await host.add('speaking', { url, ...settings });
    const run = await start('speak');
    expect(await outcome(run)).toEqual(['once', 'again', 'called']);
    expect(await history(run)).not.toContain('activation.retrying');
    const events = (await engine.readHistory('acme', run, { after: 0, limit: 500 })) ?? [];
    const chunks = events.flatMap(({ type, data }) => (type === 'stream.appended' ? [data] : []));
    const paths = new Set(chunks.map((data) => (data as { readonly path: string }).path));
    expect([...paths]).toEqual(['once', 'again', 'spoken', 'spoken/aside']);
  });

  it('ask models, each call after its intent is recorded, with tools in between', async () => {
    const use = fakeModel(inTurn({ toolCalls: [{ id: 'c', name: 'add', input: {} }] }, 'three words long'));
    const writer = model('writer', { versions: { v1: { use } } });
    const add = tool({ input: { type: 'object' }, run: () => 3 });
    const app = defineApp({
      name: 'bodies',
      models: [writer],
      workflows: [
        workflow('asks', {}, async (ctx) => {
          const { text } = await ctx.infer('draft', { model: 'writer', prompt: 'x', tools: { add }, stream: true });
          return text;
        }),
      ],
    });
    const { host, start, outcome, history } = await servers();
    const { url } = await endpoint(app);
    await host.add('bodies', { url, ...settings });
    const run = await start('asks');
    expect(await outcome(run)).toBe('three words long');
    expect(use.calls).toHaveLength(2);
    const types = await history(run);
    expect(types.filter((type) => type === 'inference.completed')).toHaveLength(2);
    expect(types).toContain('stream.appended');
    expect(types).not.toContain('inference.ambiguous');
  });

  it('settle an inference whose turn was lost by its policy', async () => {
    const use = fakeModel('hello', { idempotent: true });
    const writer = model('writer', { versions: { v1: { use } } });
    const app = defineApp({
      name: 'bodies',
      models: [writer],
      workflows: [workflow('asks', {}, async (ctx) => (await ctx.infer('draft', { model: writer, prompt: 'x' })).text)],
    });
    let isLost = true;
    const { host, start, outcome, history } = await servers();
    const { url, handler } = await endpoint(app, async (request, response, body) => {
      if (!body.includes('"begun":[{') || !isLost) return false;
      isLost = false;
      const headers = request.headers as Record<string, string>;
      await handler(new Request('http://e/', { method: 'POST', body, headers }));
      response.destroy();
      return true;
    });
    await host.add('bodies', { url, ...settings });
    const run = await start('asks');
    expect(await outcome(run, 15_000)).toBe('hello');
    expect(await history(run)).toContain('inference.ambiguous');
    expect(use.calls).toHaveLength(2);
    expect(use.paid).toBe(1);
  });

  it('do not try an external effect again whose turn was lost', async () => {
    let tried = 0;
    let isLost = true;
    const app = defineApp({
      name: 'bodies',
      workflows: [workflow('pays', {}, (ctx) => ctx.step('pay', () => (tried += 1), { effect: 'external' }))],
    });
    const { host, start, outcome } = await servers();
    const { url, handler } = await endpoint(app, async (request, response, body) => {
      if (!body.includes('"begun":[{') || !isLost) return false;
      isLost = false;
      await handler(
        new Request('http://e/', { method: 'POST', body, headers: request.headers as Record<string, string> }),
      );
      response.destroy();
      return true;
    });
    await host.add('bodies', { url, ...settings });
    expect(await outcome(await start('pays'), 15_000)).toMatchObject({
      state: 'failed',
      failure: { code: 'EFFECT_AMBIGUOUS' },
    });
    expect(tried).toBe(1);
  });

  it('try an external effect once, though the endpoint was busy when its turn came', async () => {
    let tried = 0;
    let refusals = 2;
    const app = defineApp({
      name: 'bodies',
      workflows: [workflow('pays', {}, (ctx) => ctx.step('pay', () => (tried += 1), { effect: 'external' }))],
    });
    const { host, start, outcome } = await servers();
    const { url } = await endpoint(app, (_, response, body) => {
      if (!body.includes('"begun":[{') || refusals-- <= 0) return false;
      response.writeHead(429, { 'retry-after': '0' }).end();
      return true;
    });
    await host.add('bodies', { url, ...settings });
    expect(await outcome(await start('pays'))).toBe(1);
    expect(tried).toBe(1);
  });

  it('end their runs when they are cancelled while they wait', async () => {
    const app = defineApp({
      name: 'bodies',
      workflows: [
        workflow('waits', {}, async (ctx) => {
          await ctx.sleep('1h');
        }),
      ],
    });
    const { host, engine, start, history } = await servers();
    const { url } = await endpoint(app);
    await host.add('bodies', { url, ...settings });
    const run = await start('waits');
    await until(async () => (await history(run)).includes('run.parked'));
    await engine.cancel(origin, run);
    expect(await engine.waitForEnd('acme', run, 5_000)).toBe('cancelled');
  });
});

describe('an endpoint', () => {
  it('believes nobody without the signature, an old one, or one that was seen', async () => {
    const calls: unknown[] = [];
    const { handler, secret } = await endpoint(shouting((text) => calls.push(text)));
    const body = Buffer.from(
      JSON.stringify({
        protocol: 1,
        kind: 'call',
        tenant: 'a',
        run: 'r',
        task: 't',
        attempt: 1,
        deadlineMs: 1000,
        timeoutMs: 1000,
        traceparent: null,
        capability: 'upper',
        idempotencyKey: 'k',
        input: payloadOfJson('x'),
      }),
    );
    const ask = async (headers: Record<string, string>, sent: Buffer<ArrayBuffer> = body): Promise<number> =>
      (await handler(new Request('http://e/', { method: 'POST', body: sent, headers }))).status;
    const now = Date.now();
    const good = sign.standard({ id: 'msg_1', atMs: now, body }, [secret]);
    expect(await ask({})).toBe(401);
    expect(await ask({ ...good, 'webhook-signature': 'v1,AAAA' })).toBe(401);
    expect(await ask(sign.standard({ id: 'msg_1', atMs: now, body }, [installation]))).toBe(401);
    expect(await ask({ ...good, 'webhook-id': 'msg_2' })).toBe(401);
    expect(await ask(good, Buffer.from(`${body.toString()} `))).toBe(401);
    expect(await ask(sign.standard({ id: 'msg_3', atMs: now - 6 * 60_000, body }, [secret]))).toBe(401);
    expect(await ask(sign.standard({ id: 'msg_4', atMs: now + 6 * 60_000, body }, [secret]))).toBe(401);
    expect(calls).toEqual([]);
    expect(await ask(good)).toBe(200);
    expect(await ask(good)).toBe(409);
    expect(calls).toEqual(['x']);
    expect(await ask(sign.standard({ id: 'msg_5', atMs: now, body }, [installation, secret]))).toBe(200);
    expect((await handler(new Request('http://e/'))).status).toBe(405);
  });

  it('is registered only where it is one, and where a server may send to', async () => {
    const { engine, host } = await servers();
    const { url, port } = await endpoint(shouting((text) => text));
    await expect(host.add('other', { url, ...settings })).rejects.toMatchObject({ code: 'ENDPOINT_FAILED' });
    const strict = new PushHost({ engine, secrets: [installation], rules: { allowLoopback: false }, log: () => {} });
    for (const bad of [
      url,
      `https://127.1:${port}/`,
      'https://[::1]/',
      'ftp://example.com/',
      'https://u:p@example.com/',
    ])
      await expect(strict.add('shouting', { url: bad, ...settings })).rejects.toMatchObject({
        code: 'ENDPOINT_REFUSED',
      });
    const bent = new PushHost({
      engine,
      secrets: [installation],
      rules: { allowLoopback: false },
      log: () => {},
      resolve: (_, __, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    });
    await expect(bent.add('shouting', { url: `https://example.com:${port}/`, ...settings })).rejects.toMatchObject({
      code: 'ENDPOINT_FAILED',
      message: expect.stringContaining('not a public address') as string,
    });
    const none = new PushHost({ engine, secrets: [], rules: { allowLoopback: true }, log: () => {} });
    await expect(none.add('shouting', { url, ...settings })).rejects.toMatchObject({ code: 'PUSH_DISABLED' });
    await expect(none.secretOf('shouting')).rejects.toMatchObject({ code: 'PUSH_DISABLED' });
  });

  it('is listed, added, removed and given its secret over HTTP', async () => {
    const { engine } = await servers();
    const server = createServer({
      engine,
      port: 0,
      push: { secret: installation, allowLoopback: true },
      log: () => undefined,
    });
    const { url: base } = await server.listen();
    cleanUps.push(() => server.close());
    const { url, secret } = await endpoint(shouting((text) => text));
    const ask = (method: string, path: string, body?: unknown): Promise<Response> =>
      fetch(`${base}/v1/endpoints${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
    expect(await (await ask('GET', '/shouting/secret')).json()).toEqual({ secret });
    expect((await ask('PUT', '/shouting', { url: 7 })).status).toBe(400);
    const added = (await (await ask('PUT', '/shouting', { url: `${url}?key=hidden` })).json()) as EndpointView;
    expect(added).toMatchObject({ app: 'shouting', url, concurrency: 10 });
    expect(await (await ask('GET', '')).json()).toMatchObject({ items: [{ app: 'shouting' }] });
    expect(await (await fetch(`${base}/v1/definitions`)).text()).not.toContain('hidden');
    expect((await ask('DELETE', '/shouting')).status).toBe(204);
    expect((await ask('DELETE', '/shouting')).status).toBe(404);
  });
});
