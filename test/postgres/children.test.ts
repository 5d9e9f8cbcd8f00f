/**
 * Children over PostgreSQL: parents are at work at one server and children at another, and servers die between them. A
 * killed server is one from which nothing comes any more: its calls to the store hang, and nobody says goodbye for it.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { decodeValue, encodeValue } from '../../src/core/codec.js';
import { isBlobPayload } from '../../src/core/payload.js';
import { createEngine, type Engine } from '../../src/engine/index.js';
import { nodePorts } from '../../src/runtime/index.js';
import type { Store } from '../../src/store/index.js';
import { openPostgresStore } from '../../src/stores/postgres/index.js';
import { createInProcessTransport, createWorker, type Worker } from '../../src/worker/index.js';
import { defineApp, workflow } from '../../src/workflow/index.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };

/** How often each child has paid, by its input. */
const paid = new Map<number, number>();
const passed = new Set<string>();
let broken = false;

/** Resolves when somebody has said so with the name. */
const gates = new Map<string, () => void>();
function gate(name: string): Promise<void> {
  if (passed.has(name)) return Promise.resolve();
  return new Promise((resolve) => gates.set(name, resolve));
}
function open(name: string): void {
  passed.add(name);
  gates.get(name)?.();
}

const child = workflow('child', {}, async (ctx, input) => {
  const n = input as number;
  await ctx.step('pay', () => {
    paid.set(n, (paid.get(n) ?? 0) + 1);
    open(`paid ${n}`);
  });
  await ctx.sleep('300ms');
  if (n < 0) await ctx.step('fragile', () => mayBreak(), { retry: { attempts: 1 } });
  return n * 2;
});
const rounds = workflow('rounds', {}, async (ctx, input): Promise<unknown> => {
  const n = input as number;
  await ctx.step('round', () => n);
  return n < 4 ? ctx.continueAsNew(n + 1) : n;
});
const parent = workflow('parent', {}, async (ctx, input) => {
  const ns = input as readonly number[];
  const doubled = await ctx.map('children', ns, (n, ctx) => ctx.child(child, n));
  return [...doubled, await ctx.child(rounds, 1)];
});
const leaves = workflow('leaves', {}, async (ctx) => {
  const long = await ctx.start(sleeper, null);
  return long.run;
});
const sleeper = workflow('sleeper', {}, (ctx) => ctx.sleep('1h'));
const app = defineApp({ name: 'family', workflows: [child, rounds, parent, leaves, sleeper] });

function mayBreak(): void {
  if (broken) throw new Error('broken');
}

interface Node {
  readonly engine: Engine;
  readonly worker: Worker;
  readonly store: Store;
  readonly kill: () => void;
}

describeUnless(noPostgres, 'children over PostgreSQL', () => {
  let schema = '';
  const alive = new Set<Node>();
  const stores: Store[] = [];

  beforeEach(() => {
    schema = newSchema();
    for (const known of [paid, passed, gates]) known.clear();
    broken = false;
  });

  afterEach(async () => {
    for (const { worker, engine } of alive) {
      await worker.stop();
      await engine.stop();
    }
    alive.clear();
    for (const store of stores.splice(0)) await store.close();
    if (noPostgres === null) await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  /** A server with a worker of its own, which has the bodies of `workflows` only. */
  async function node(workflows: readonly string[]): Promise<Node> {
    const inner = await openPostgresStore({ url: serverUrl(), schema });
    stores.push(inner);
    let dead = false;
    const store = new Proxy(inner, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]): unknown =>
          dead && property !== 'now' ? new Promise(() => undefined) : Reflect.apply(value, target, given);
      },
    });
    const settings = { sessionDeadMs: 1_500, sessionBeatMs: 300 };
    const engine = createEngine({ store, ports: nodePorts, settings });
    await engine.start();
    await engine.register(app.manifest);
    const worker = createWorker({ app, connect: createInProcessTransport(engine), parkAfterMs: 0, workflows });
    await worker.start();
    const made = { engine, worker, store: inner, kill: () => void ((dead = true), alive.delete(made)) };
    alive.add(made);
    return made;
  }

  async function start({ engine }: Node, name: string, input: unknown): Promise<string> {
    const [outcome] = await engine.startRuns(origin, [{ workflow: name, input: encodeValue(input) }]);
    if (outcome?.tag !== 'started') throw new Error(`not started: ${JSON.stringify(outcome)}`);
    return outcome.run;
  }

  async function resultOf({ engine }: Node, run: string): Promise<unknown> {
    const stateOf = async (): Promise<unknown> => (await engine.readResult('default', run))?.state;
    await expect.poll(stateOf, { timeout: 20_000 }).not.toBe('pending');
    const result = await engine.readResult('default', run);
    if (result?.state !== 'succeeded') return result;
    return isBlobPayload(result.output) ? result.output : decodeValue(result.output);
  }

  async function expectWhole({ engine }: Node): Promise<void> {
    await expect.poll(async () => (await sql(`SELECT run, name FROM ${schema}.timer`)).length).toBe(0);
    expect(await sql(`SELECT run, space FROM ${schema}.entry`)).toEqual([]);
    expect((await engine.doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
  }

  const ofParents = ['parent', 'leaves'];
  const ofChildren = ['child', 'rounds', 'sleeper'];

  it('outlive the server at which they are at work', { timeout: 40_000 }, async () => {
    const one = await node(ofParents);
    const two = await node(ofChildren);
    const run = await start(one, 'parent', [1, 2, 3, 4]);
    await gate('paid 2');
    two.kill();
    const three = await node(ofChildren);
    expect(await resultOf(one, run)).toEqual([2, 4, 6, 8, 4]);
    // What was paid and not recorded when the server died is paid again; what was recorded is not.
    for (const times of paid.values()) expect(times).toBeLessThanOrEqual(2);
    await expectWhole(three);
  });

  it('give their results to a parent whose server has died', { timeout: 40_000 }, async () => {
    const one = await node(ofParents);
    const two = await node(ofChildren);
    const run = await start(one, 'parent', [5, 6]);
    await gate('paid 6');
    one.kill();
    const three = await node(ofParents);
    expect(await resultOf(three, run)).toEqual([10, 12, 4]);
    expect([...paid.values()]).toEqual([1, 1]);
    await expectWhole(two);
  });

  it('end with their parent, and go on with it when it is sent back to work elsewhere', {
    timeout: 40_000,
  }, async () => {
    const one = await node(ofParents);
    const two = await node(ofChildren);
    const long = String(await resultOf(one, await start(one, 'leaves', null)));
    await expect.poll(async () => (await two.engine.readResult('default', long))?.state).toBe('cancelled');
    broken = true;
    const run = await start(one, 'parent', [-7]);
    expect(await resultOf(two, run)).toMatchObject({ state: 'failed' });
    await expectWhole(one);
    broken = false;
    expect(await two.engine.redrive(origin, run)).toEqual({ tag: 'done' });
    expect(await resultOf(one, run)).toEqual([-14, 4]);
    expect([...paid.values()]).toEqual([1]);
    await expectWhole(two);
  });
});
