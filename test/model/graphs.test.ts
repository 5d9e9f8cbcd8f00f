/** Graphs on a real engine and worker: what is asked for, what is skipped, what fails, and what a run results in. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEngine, type Engine } from '../../src/engine/index.js';
import { decodeValue, encodeValue } from '../../src/core/codec.js';
import { isBlobPayload } from '../../src/core/payload.js';
import { nodePorts } from '../../src/runtime/index.js';
import { createMemoryStore, MemoryData, type Store } from '../../src/store/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { createInProcessTransport, createWorker, type Worker } from '../../src/worker/index.js';
import { capability, dag, defineApp, topic, workflow, type AnyApp } from '../../src/workflow/index.js';

const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const stores: Readonly<Record<string, () => Promise<Store>>> = {
  memory: async () => createMemoryStore({ clock: nodePorts.clock }),
  sqlite: () => createSqliteMemoryStore({ clock: nodePorts.clock }),
};
let open = stores['memory'] as () => Promise<Store>;
const running: { engine: Engine; worker: Worker }[] = [];

afterEach(async () => {
  for (const { engine, worker } of running.splice(0)) {
    await worker.stop();
    await engine.stop();
  }
});

async function serve(app: AnyApp): Promise<Engine> {
  const engine = createEngine({ store: await open(), ports: nodePorts });
  await engine.start();
  await engine.register(app.manifest);
  const worker = createWorker({ app, connect: createInProcessTransport(engine), parkAfterMs: 0 });
  await worker.start();
  running.push({ engine, worker });
  return engine;
}

async function start(engine: Engine, name: string, input: unknown = null): Promise<string> {
  const [outcome] = await engine.startRuns(origin, [{ workflow: name, input: encodeValue(input) }]);
  if (outcome?.tag !== 'started') throw new Error(`not started: ${JSON.stringify(outcome)}`);
  return outcome.run;
}

async function resultOf(engine: Engine, run: string): Promise<unknown> {
  expect(await engine.waitForEnd('default', run, 5_000)).not.toBe('running');
  const result = await engine.readResult('default', run);
  if (result?.state !== 'succeeded') return result;
  if (isBlobPayload(result.output)) throw new Error('a blob');
  return decodeValue(result.output);
}

async function typesOf(engine: Engine, run: string): Promise<string[]> {
  return ((await engine.readHistory('default', run, { after: 0, limit: 500 })) ?? []).map(({ type }) => type);
}

async function sound(engine: Engine): Promise<void> {
  expect((await engine.doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
}

const once = { attempts: 1 };

describe.each(Object.entries(stores))('on %s', (_, opened) => {
  beforeEach(() => {
    open = opened;
  });

  it('asks each node one time, after those that it needs, and results in what nobody comes after', async () => {
    const order: string[] = [];
    const fetchText = capability('fetch-text').implement((id) => {
      order.push('text');
      return { body: `text of ${String(id)}`, pages: [1, 2] };
    });
    const ingest = dag('ingest', {
      nodes: {
        index: {
          after: ['text', 'embed'],
          run: (all: { input: unknown; text: unknown; embed: unknown }) => {
            order.push('index');
            return all;
          },
        },
        text: { run: capability('fetch-text'), input: 'input.id' },
        embed: {
          input: { body: 'text.body' },
          run: ({ body }: { body: string }) => {
            order.push('embed');
            return body.length;
          },
        },
      },
    });
    const engine = await serve(defineApp({ name: 'a', workflows: [ingest], handlers: [fetchText] }));
    const run = await start(engine, 'ingest', { id: 'd1' });
    expect(await resultOf(engine, run)).toEqual({
      index: { input: { id: 'd1' }, text: { body: 'text of d1', pages: [1, 2] }, embed: 10 },
    });
    expect(order).toEqual(['text', 'embed', 'index']);
    expect(await typesOf(engine, run)).toEqual([
      'run.started',
      'graph.started',
      ...Array.from({ length: 3 }, () => ['call.scheduled', 'call.completed']).flat(),
      'run.succeeded',
    ]);
    await sound(engine);
  });

  it('skips a node whose condition does not hold and what needs it, and goes on with the rest', async () => {
    const choose = dag('choose', {
      nodes: {
        look: { run: (n: unknown) => n, input: 'input' },
        large: { run: () => 'large', when: { path: 'look', gt: 10 } },
        report: { run: () => 'report', after: ['large'] },
        small: { run: () => 'small', when: { not: { path: 'look', gt: 10 } } },
        either: {
          run: (all: unknown) => all,
          after: ['large', 'small'],
          join: 'any',
          input: { large: 'large', small: 'small' },
        },
      },
      output: 'either',
    });
    const engine = await serve(defineApp({ name: 'a', workflows: [choose] }));
    const run = await start(engine, 'choose', 3);
    expect(await resultOf(engine, run)).toEqual({ small: 'small' });
    expect(await resultOf(engine, await start(engine, 'choose', 30))).toEqual({ large: 'large' });
    const steps = (await engine.readRun('default', run))?.steps ?? [];
    expect(steps.filter(({ kind }) => kind === 'node').map(({ path, status }) => [path, status])).toEqual([
      ['large', 'skipped'],
      ['report', 'skipped'],
    ]);
    await sound(engine);
  });

  it('calls a node for each item of a list, and gives the results in order', async () => {
    let under = 0;
    let most = 0;
    const each = dag('each', {
      nodes: {
        words: {
          map: { over: 'input.words', key: 'id', concurrency: 3 },
          input: { word: 'item.text', at: 'itemIndex', of: 'input.name' },
          run: async ({ word, at, of }: { word: unknown; at: number; of: unknown }) => {
            most = Math.max(most, ++under);
            await new Promise((resolve) => setTimeout(resolve, 10 - at));
            under -= 1;
            return `${String(of)} ${String(word)} ${at}`;
          },
        },
        none: { map: 'input.none', run: () => 'never' },
        joined: { run: (lists: unknown) => lists, input: { words: 'words', none: 'none' } },
      },
      output: 'joined',
    });
    const engine = await serve(defineApp({ name: 'a', workflows: [each] }));
    const words = Array.from({ length: 9 }, (_, i) => ({ id: `w${i}`, text: `t${i}` }));
    const run = await start(engine, 'each', { name: 'n', words, none: [] });
    expect(await resultOf(engine, run)).toEqual({ words: words.map(({ text }, i) => `n ${text} ${i}`), none: [] });
    expect(most).toBe(3);
    expect((await engine.readRun('default', run))?.steps.map(({ path }) => path)).toContain('words:w3');
    await sound(engine);
  });

  it('fails with the node, and asks anew only what has no result when it is sent back to work', async () => {
    let broken = true;
    const calls: string[] = [];
    const fragile = dag('fragile', {
      nodes: {
        first: { run: () => calls.push('first') },
        second: {
          after: ['first'],
          retry: once,
          run: () => {
            calls.push('second');
            if (broken) throw new Error('broken');
            return 'whole';
          },
        },
      },
      output: 'second',
    });
    const engine = await serve(defineApp({ name: 'a', workflows: [fragile] }));
    const run = await start(engine, 'fragile');
    expect(await resultOf(engine, run)).toMatchObject({ state: 'failed', failure: { message: 'broken' } });
    const letters = await engine.listDeadLetters('default', {});
    expect(letters.items).toMatchObject([{ run, path: 'second', attempts: 1 }]);
    broken = false;
    expect(await engine.redrive(origin, run)).toEqual({ tag: 'done' });
    expect(await resultOf(engine, run)).toBe('whole');
    expect(calls).toEqual(['first', 'second', 'second']);
    await sound(engine);
  });

  it('goes on without what failed where the join can, and fails where it no longer can', async () => {
    const fails = (): never => {
      throw new Error('down');
    };
    const engine = await serve(
      defineApp({
        name: 'a',
        workflows: [
          dag('settled', {
            nodes: {
              a: { run: fails, retry: once },
              b: { run: () => 'b' },
              all: { run: (given: unknown) => given, after: ['a', 'b'], join: 'settled', input: { a: 'a', b: 'b' } },
            },
          }),
          dag('two', {
            nodes: {
              a: { run: fails, retry: once },
              b: { run: () => 'b' },
              c: { run: fails, retry: once },
              most: { run: () => 'never', after: ['a', 'b', 'c'], join: { atLeast: 2 } },
            },
          }),
        ],
      }),
    );
    expect(await resultOf(engine, await start(engine, 'settled'))).toEqual({ all: { b: 'b' } });
    expect(await resultOf(engine, await start(engine, 'two'))).toMatchObject({
      state: 'failed',
      failure: { code: 'GRAPH_JOIN_UNREACHABLE' },
    });
    await sound(engine);
  });

  it('calls the fallback with the same input, of a node and of an item', async () => {
    const odd = dag('odd', {
      nodes: {
        one: {
          run: (n: unknown): string => {
            throw new Error(`no ${String(n)}`);
          },
          retry: once,
          input: 'input.one',
          fallback: (n: unknown) => `instead of ${String(n)}`,
        },
        many: {
          map: { over: 'input.many', onError: 'settle' },
          retry: once,
          run: (n: unknown) => {
            if (Number(n) % 2 === 0) throw new Error('even');
            return Number(n);
          },
          fallback: (n: unknown) => {
            if (Number(n) === 4) throw Object.assign(new Error('four'), { retryable: false });
            return -Number(n);
          },
        },
      },
    });
    const engine = await serve(defineApp({ name: 'a', workflows: [odd] }));
    const run = await start(engine, 'odd', { one: 1, many: [1, 2, 3, 4] });
    expect(await resultOf(engine, run)).toMatchObject({
      one: 'instead of 1',
      many: [
        { status: 'fulfilled', value: 1 },
        { status: 'fulfilled', value: -2 },
        { status: 'fulfilled', value: 3 },
        { status: 'rejected', reason: { message: 'four' } },
      ],
    });
    await sound(engine);
  });

  it('is started by events of a topic, by bodies, and publishes its result', async () => {
    const asked = topic('asked');
    const answered = topic('answered');
    const answer = dag('answer', {
      on: asked,
      completes: answered,
      nodes: { answer: { run: (question: unknown) => `re: ${String(question)}`, input: 'input.q' } },
      output: 'answer',
    });
    const parent = workflow('parent', {}, async (ctx) => ctx.child(answer, { q: 'child' }));
    const engine = await serve(defineApp({ name: 'a', workflows: [answer, parent], topics: [answered] }));
    const [published] = await engine.publish(origin, [
      { topic: 'asked', id: 'e1', source: 's', type: 'asked', data: encodeValue({ q: 'why' }) },
    ]);
    if (published?.tag !== 'published') throw new Error('not published');
    expect(await resultOf(engine, published.runs[0] ?? '')).toBe('re: why');
    expect(await resultOf(engine, await start(engine, 'parent'))).toBe('re: child');
    const { items } = await engine.readTopic('default', 'answered', { partition: 0, after: -1, limit: 10 });
    expect(items.map(({ event }) => event['data'])).toEqual(['re: why', 're: child']);
    await sound(engine);
  });

  it('ends at once when it is cancelled, and does what was not done when it is sent back to work', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let begun = 0;
    const slow = dag('slow', {
      nodes: {
        quick: { run: () => 'quick' },
        held: {
          after: ['quick'],
          run: async () => {
            begun += 1;
            await held;
            return begun;
          },
        },
      },
    });
    const engine = await serve(defineApp({ name: 'a', workflows: [slow] }));
    const run = await start(engine, 'slow');
    await expect.poll(() => begun).toBe(1);
    await engine.cancel(origin, run);
    expect(await engine.waitForEnd('default', run, 500)).toBe('cancelled');
    await sound(engine);
    release();
    await engine.redrive(origin, run);
    expect(await resultOf(engine, run)).toEqual({ held: 2 });
    await sound(engine);
  });

  it('hands a large result on by reference, and reads into one where a path leads into it', async () => {
    const large = 'x'.repeat(200_000);
    const heavy = dag('heavy', {
      nodes: {
        make: { run: () => ({ large, small: 's' }) },
        whole: { run: (given: { large: string }) => given.large.length, input: 'make' },
        part: { run: (small: string) => small, input: 'make.small' },
      },
    });
    const engine = await serve(defineApp({ name: 'a', workflows: [heavy] }));
    expect(await resultOf(engine, await start(engine, 'heavy'))).toEqual({ whole: 200_000, part: 's' });
    await sound(engine);
  });

  it('fails where a list is none, with a code of its own', async () => {
    const lists = dag('lists', { nodes: { each: { map: 'input.list', run: () => 1 } } });
    const engine = await serve(defineApp({ name: 'a', workflows: [lists] }));
    expect(await resultOf(engine, await start(engine, 'lists', { list: 3 }))).toMatchObject({
      state: 'failed',
      failure: { code: 'GRAPH_LIST_INVALID' },
    });
    await sound(engine);
  });
});

describe('several servers', () => {
  it('run one graph together, whichever of them has the workers of a node', async () => {
    const data = new MemoryData();
    const work = capability('work');
    const other = capability('other');
    const both = dag('both', {
      nodes: {
        first: { run: work, input: 'input' },
        each: { run: other, map: 'first', input: 'item' },
        last: { run: work, input: 'each' },
      },
      output: 'last',
    });
    const handlers = [work.implement((n) => n), other.implement((n) => Number(n) * 2)];
    const app = defineApp({ workflows: [both], handlers });
    const engines: Engine[] = [];
    for (const only of ['work', 'other']) {
      const store = createMemoryStore({ clock: nodePorts.clock, data, shared: true });
      const engine = createEngine({ store, ports: nodePorts });
      await engine.start();
      const connect = createInProcessTransport(engine);
      const worker = createWorker({ app, connect, workflows: [], capabilities: [only] });
      await worker.start();
      running.push({ engine, worker });
      engines.push(engine);
    }
    const [one, two] = engines;
    if (one === undefined || two === undefined) throw new Error('no engines');
    const items = Array.from({ length: 40 }, (_, i) => i);
    const runs = await Promise.all([one, two, one, two].map((engine) => start(engine, 'both', items)));
    for (const run of runs) {
      expect(await resultOf(one, run)).toEqual(items.map((n) => n * 2));
      const types = await typesOf(two, run);
      expect(types.filter((type) => type === 'call.scheduled')).toHaveLength(42);
    }
    await sound(two);
  });
});
