/** Workers that speak by plain requests, against real engines over a memory store. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { payloadOfJson } from '../core/codec.js';
import { limits } from '../core/limits.js';
import type { Engine, Origin } from '../engine/api.js';
import { createEngine } from '../engine/index.js';
import type {
  ClaimAnswer,
  ClaimRequest,
  CompleteAnswer,
  ExtendAnswer,
  PlainOutcome,
} from '../protocol/plain-worker.js';
import type { Problem } from '../protocol/http.js';
import { nodePorts } from '../runtime/index.js';
import { createMemoryStore } from '../store/memory.js';
import { MemoryData } from '../store/memory-data.js';
import { createInProcessTransport, createWorker } from '../worker/index.js';
import { capability, defineApp, workflow } from '../workflow/index.js';
import { createServer } from './index.js';

const origin: Origin = { tenant: 'acme', actor: 'test', traceparent: null, correlation: null };
const count = capability('count', { retry: { attempts: 3, min: 1, max: 1 } });
const app = defineApp({
  name: 'caller',
  capabilities: [count],
  workflows: [workflow('counting', {}, async (ctx, input) => ({ counted: await ctx.call(count, input) }))],
});
const me: ClaimRequest = { worker: 'py-1', app: 'python', capabilities: [{ name: 'count' }], waitMs: 0 };

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of cleanUps.splice(0).reverse()) await end();
});

/** Servers over one store, and a worker that runs bodies at the first. */
async function installation(servers = 1) {
  const data = new MemoryData();
  const engines: Engine[] = [];
  for (let i = 0; i < servers; i++) {
    const store = createMemoryStore({ clock: nodePorts.clock, ...(servers === 1 ? {} : { data, shared: true }) });
    const engine = createEngine({ store, ports: nodePorts });
    await engine.start();
    cleanUps.push(() => engine.stop());
    engines.push(engine);
  }
  const [engine] = engines as [Engine];
  const bodies = createWorker({ app, connect: createInProcessTransport(engine) });
  await bodies.start();
  cleanUps.push(() => bodies.stop());
  const asks = engines.map((each) => {
    const server = createServer({ engine: each, log: () => undefined });
    cleanUps.push(() => server.close());
    const send = (path: string, body: unknown): Promise<Response> =>
      server.fetch(
        new Request(`http://localhost/v1/worker/${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        }),
      );
    const ask = async <T>(path: string, body: unknown): Promise<T> => {
      const response = await send(path, body);
      return (response.status === 204 ? null : await response.json()) as T;
    };
    return Object.assign(ask, { send });
  });
  const [ask] = asks as [(typeof asks)[number]];
  const claim = (rest: Partial<ClaimRequest> = {}, at = ask): Promise<ClaimAnswer> =>
    at<ClaimAnswer>('claim', { ...me, waitMs: 5_000, ...rest });
  const complete = async (session: string, outcome: PlainOutcome, at = ask) =>
    (await at<CompleteAnswer>('complete', { session, outcomes: [outcome] })).results[0];
  const start = async (input: unknown = { text: 'a b' }): Promise<string> => {
    const [started] = await engine.startRuns(origin, [{ workflow: 'counting', input: payloadOfJson(input) }]);
    if (started?.tag !== 'started') throw new Error(JSON.stringify(started));
    return started.run;
  };
  const outcome = async (run: string): Promise<unknown> => {
    await engine.waitForEnd('acme', run, 10_000);
    const result = await engine.readResult('acme', run);
    return result?.state === 'succeeded' && 'text' in result.output ? JSON.parse(result.output.text) : result;
  };
  return { engine, engines, asks, ask, claim, complete, start, outcome };
}

describe('a value that is larger than a body of a plain worker', () => {
  const large = 'y'.repeat(limits.payloadBytesMax);
  const bytes = new TextEncoder().encode(JSON.stringify(large));
  const hash = createHash('sha256').update(bytes).digest('hex');

  it('is named by its hash, in the task and in its outcome', async () => {
    const { engine, claim, complete, start } = await installation();
    const run = await start(large);
    const { session, tasks } = await claim();
    expect(tasks[0]).toMatchObject({ input: null, inputBlob: { hash, size: bytes.byteLength } });
    expect(Buffer.compare((await engine.readBlob('acme', hash)) ?? Buffer.alloc(0), bytes)).toBe(0);
    const assignment = tasks[0]?.assignment ?? 0;
    expect(await complete(session, { assignment, resultBlob: { hash, size: bytes.byteLength } })).toMatchObject({
      ok: true,
    });
    await engine.waitForEnd('acme', run, 10_000);
    // The body has put it into an object: that is another value, and a blob too.
    const result = await engine.readResult('acme', run);
    expect(result).toMatchObject({ state: 'succeeded', output: { size: bytes.byteLength + '{"counted":}'.length } });
  });

  it('is refused under a hash that nothing lies under, and under what is none', async () => {
    const { claim, complete, asks, start } = await installation();
    await start();
    const { session, tasks } = await claim();
    const assignment = tasks[0]?.assignment ?? 0;
    const resultBlob = { hash: 'f'.repeat(64), size: 3 };
    expect(await complete(session, { assignment, resultBlob })).toMatchObject({ ok: false, code: 'VALUE_UNSTORABLE' });
    const outcomes = [{ assignment, resultBlob: { hash: 'x', size: 3 } }];
    expect((await asks[0]?.send('complete', { session, outcomes }))?.status).toBe(400);
  });
});

describe('a worker that speaks by plain requests', () => {
  it('claims a call, hands in its result, and the run goes on', async () => {
    const { engine, claim, complete, start, outcome } = await installation();
    const first = await claim({ waitMs: 0 });
    const [seen] = (await engine.workers()).filter(({ app: name }) => name === 'python');
    expect(seen).toMatchObject({ worker: 'py-1', connected: true, slots: 1, queues: ['capability:count'] });
    expect(first).toMatchObject({ tasks: [], lost: [], deadMs: 15_000 });
    const run = await start();
    const { session, tasks } = await claim({ session: first.session });
    expect(session).toBe(first.session);
    expect(tasks).toMatchObject([
      {
        run,
        tenant: 'acme',
        capability: 'count',
        attempt: 1,
        input: { text: 'a b' },
        idempotencyKey: expect.any(String) as string,
      },
    ]);
    expect(await complete(session, { assignment: tasks[0]?.assignment ?? 0, result: { words: 2 } })).toMatchObject({
      ok: true,
    });
    expect(await outcome(run)).toEqual({ counted: { words: 2 } });
  });

  it('is answered as soon as a task comes, and with nothing when its time is over', async () => {
    const { claim, start } = await installation();
    const { session } = await claim({ waitMs: 1 });
    const waiting = claim({ session, waitMs: 30_000 });
    await start();
    expect((await waiting).tasks).toHaveLength(1);
  });

  it('may repeat a completion, and what it hands in twice counts once', async () => {
    const { claim, complete, start, outcome } = await installation();
    const run = await start();
    const { session, tasks } = await claim();
    const assignment = tasks[0]?.assignment ?? 0;
    const [first, second] = await Promise.all([
      complete(session, { assignment, result: 1 }),
      complete(session, { assignment, result: 1 }),
    ]);
    expect([first?.ok, second?.ok]).toEqual([true, true]);
    expect((await complete(session, { assignment, result: 1 }))?.ok).toBe(true);
    expect(await outcome(run)).toEqual({ counted: 1 });
  });

  it('gets a task that failed again, with its next attempt and the same key', async () => {
    const { claim, complete, start, outcome } = await installation();
    const run = await start();
    const first = await claim();
    const failure = { class: 'overloaded', code: 'BUSY', message: 'not now', retryable: true } as const;
    await complete(first.session, { assignment: first.tasks[0]?.assignment ?? 0, failure });
    const again = await claim({ session: first.session });
    expect(again.tasks[0]).toMatchObject({ attempt: 2, idempotencyKey: first.tasks[0]?.idempotencyKey });
    await complete(again.session, { assignment: again.tasks[0]?.assignment ?? 0, result: 'late but well' });
    expect(await outcome(run)).toEqual({ counted: 'late but well' });
  });

  it('gives back, uncounted, what it does not name when it claims again', async () => {
    const { claim, complete, start } = await installation();
    await start();
    const lostAnswer = await claim();
    expect(lostAnswer.tasks).toHaveLength(1);
    const again = await claim({ session: lostAnswer.session, holding: [] });
    expect(again.tasks).toMatchObject([{ attempt: 1, task: lostAnswer.tasks[0]?.task }]);
    const late = await complete(lostAnswer.session, {
      assignment: lostAnswer.tasks[0]?.assignment ?? 0,
      result: 'old',
    });
    expect(late).toMatchObject({ ok: false, code: 'LEASE_LOST' });
  });

  it('keeps what it names, and hears what it has lost', async () => {
    const { claim, ask, engine, start } = await installation();
    const run = await start();
    const { session, tasks } = await claim();
    const holding = [tasks[0]?.assignment ?? 0];
    expect((await claim({ session, holding, waitMs: 0 })).lost).toEqual([]);
    expect(await ask<ExtendAnswer>('extend', { session, holding })).toEqual({ lost: [] });
    await engine.cancel(origin, run, { graceMs: 0 });
    await engine.waitForEnd('acme', run, 5_000);
    expect(await ask<ExtendAnswer>('extend', { session, holding })).toEqual({ lost: holding });
    expect((await claim({ session, holding, waitMs: 0 })).lost).toEqual(holding);
  });

  it('takes large values, both ways', async () => {
    const { claim, complete, start, outcome } = await installation();
    const text = 'x'.repeat(100_000);
    const run = await start({ text });
    const { session, tasks } = await claim();
    expect(tasks[0]?.input).toEqual({ text });
    await complete(session, { assignment: tasks[0]?.assignment ?? 0, result: { text } });
    expect(await outcome(run)).toMatchObject({ state: 'succeeded' });
  });

  it('leaves its work to others when it says that it ends', async () => {
    const { claim, ask, start } = await installation();
    await start();
    const first = await claim();
    await ask('end', { session: first.session });
    const next = await claim({ worker: 'py-2' });
    expect(next.session).not.toBe(first.session);
    expect(next.tasks).toMatchObject([{ attempt: 1 }]);
    expect(await ask<Problem>('claim', { ...me, session: first.session })).toMatchObject({ code: 'SESSION_GONE' });
    expect(await ask<Problem>('extend', { session: first.session, holding: [] })).toMatchObject({
      code: 'SESSION_GONE',
    });
  });

  it('is told all that is wrong with what it asks', async () => {
    const { ask } = await installation();
    expect(await ask<Problem>('claim', { worker: '', app: 'a', capabilities: [] })).toMatchObject({
      code: 'REQUEST_INVALID',
      faults: [expect.stringContaining('/worker'), expect.stringContaining('/capabilities')],
    });
    const both = { session: 's', outcomes: [{ assignment: 1, result: 1, failure: null }] };
    expect(await ask<Problem>('complete', both)).toMatchObject({ code: 'REQUEST_INVALID' });
    const twice = { ...me, capabilities: [{ name: 'x' }, { name: 'x' }] };
    expect(await ask<Problem>('claim', twice)).toMatchObject({ code: 'DEFINITION_INVALID' });
  });

  it('may go from server to server with each request', async () => {
    const { claim, complete, asks, start, outcome } = await installation(2);
    const [here, there] = asks as [(typeof asks)[number], (typeof asks)[number]];
    const first = await claim({ waitMs: 0 }, here);
    const run = await start();
    const { tasks } = await claim({ session: first.session }, there);
    expect(tasks).toHaveLength(1);
    const holding = [tasks[0]?.assignment ?? 0];
    expect(await here<ExtendAnswer>('extend', { session: first.session, holding })).toEqual({ lost: [] });
    expect(await complete(first.session, { assignment: holding[0] ?? 0, result: 7 }, here)).toMatchObject({ ok: true });
    expect(await outcome(run)).toEqual({ counted: 7 });
    expect((await claim({ session: first.session, waitMs: 0 }, here)).tasks).toEqual([]);
  });

  it('hands in its result after a restart of the server, and goes on with its session', async () => {
    const data = new MemoryData();
    const begin = async () => {
      const engine = createEngine({ store: createMemoryStore({ clock: nodePorts.clock, data }), ports: nodePorts });
      await engine.start();
      const server = createServer({ engine, log: () => undefined });
      const ask = async <T>(path: string, body: unknown): Promise<T> => {
        const init = { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
        return (await (await server.fetch(new Request(`http://localhost/v1/worker/${path}`, init))).json()) as T;
      };
      return { engine, ask };
    };
    const before = await begin();
    const bodies = createWorker({ app, connect: createInProcessTransport(before.engine) });
    await bodies.start();
    const [started] = await before.engine.startRuns(origin, [{ workflow: 'counting', input: payloadOfJson(1) }]);
    const run = started?.tag === 'started' ? started.run : '';
    const { session, tasks } = await before.ask<ClaimAnswer>('claim', { ...me, waitMs: 5_000 });
    await bodies.stop();
    await before.engine.stop();
    const after = await begin();
    cleanUps.push(() => after.engine.stop());
    const holding = [tasks[0]?.assignment ?? 0];
    expect(await after.ask('extend', { session, holding })).toEqual({ lost: [] });
    const { results } = await after.ask<CompleteAnswer>('complete', {
      session,
      outcomes: [{ assignment: holding[0], result: 2 }],
    });
    expect(results).toMatchObject([{ ok: true }]);
    expect(await after.ask('claim', { ...me, session, waitMs: 0 })).toMatchObject({ session, tasks: [] });
    const history = await after.engine.readHistory('acme', run, { after: 0, limit: 100 });
    expect(history?.map(({ type }) => type)).toContain('call.completed');
  });

  it('has its task go back uncounted when it hangs up while it waits', async () => {
    const { engine, claim, ask, start } = await installation();
    const { session } = await claim({ waitMs: 0 });
    const waiting = await ask.send('claim', { ...me, session, waitMs: 30_000 });
    await waiting.body?.cancel();
    await start();
    // Asked only when there is something that nobody else has taken.
    const ready = async (): Promise<boolean> =>
      (await engine.queues()).some(
        ({ queue, ready: count, leased }) => queue === 'capability:count' && count + leased > 0,
      );
    for (let tries = 0; tries < 500 && !(await ready()); tries++) await new Promise((wake) => setTimeout(wake, 5));
    const other = await claim({ worker: 'py-2' });
    expect(other.tasks).toMatchObject([{ attempt: 1 }]);
  });
});
