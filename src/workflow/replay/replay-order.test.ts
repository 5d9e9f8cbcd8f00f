/**
 * The delivery rule as a property: whatever a body is made of and in whatever order its results are committed, a replay
 * from any part of its history takes the same way as the live body did.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { capability } from '../capability.js';
import type { Ctx } from '../ctx.js';
import { isCancelled } from '../cancelled.js';
import type { ModelEndpoint } from '../infer/model-endpoint.js';
import { model, type Model } from '../model.js';
import { isStepError } from '../step-error.js';
import { signal } from '../signal.js';
import { topic } from '../topic.js';
import { workflow } from '../workflow.js';
import { MiniEngine, settled } from '../../../test/replay/mini-engine.js';

const work = capability('work');
const go = signal('go');
const seen = topic('seen', { key: 'n' });
const told = topic('told');

type Node =
  | { readonly op: 'step'; readonly outcome: 'ok' | 'fail' | 'retry' | 'sync' }
  | { readonly op: 'infer'; readonly outcome: 'ok' | 'fail' | 'retry' }
  | { readonly op: 'call' }
  | { readonly op: 'sleep' }
  | { readonly op: 'signal' | 'event'; readonly hurried: boolean }
  | { readonly op: 'emit' }
  | { readonly op: 'micro'; readonly ticks: number }
  | { readonly op: 'seq' | 'all' | 'nativeRace' | 'nativeAny' | 'allSettled'; readonly nodes: readonly Node[] }
  | { readonly op: 'race' | 'any'; readonly nodes: readonly Node[] }
  | { readonly op: 'map'; readonly count: number; readonly concurrency: number; readonly node: Node }
  | { readonly op: 'scope' | 'shield' | 'try'; readonly node: Node };

const node = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, depthSize: 'max', withCrossShrink: true },
    fc.record({
      op: fc.constant('step' as const),
      outcome: fc.constantFrom('ok', 'ok', 'ok', 'ok', 'ok', 'sync', 'sync', 'fail', 'retry'),
    }),
    fc.record({ op: fc.constant('infer' as const), outcome: fc.constantFrom('ok', 'ok', 'ok', 'fail', 'retry') }),
    fc.record({ op: fc.constantFrom('call' as const, 'sleep' as const, 'emit' as const) }),
    fc.record({ op: fc.constantFrom('signal' as const, 'event' as const), hurried: fc.boolean() }),
    fc.record({ op: fc.constant('micro' as const), ticks: fc.nat(3) }),
    fc.record({
      op: fc.constantFrom('seq', 'all', 'nativeRace', 'nativeAny', 'allSettled', 'race', 'any'),
      nodes: fc.array(tie('node'), { minLength: 1, maxLength: 4 }),
    }) as fc.Arbitrary<Node>,
    fc.record({
      op: fc.constant('map' as const),
      count: fc.integer({ min: 1, max: 4 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
      node: tie('node'),
    }),
    fc.record({ op: fc.constantFrom('scope', 'shield', 'try'), node: tie('node') }) as fc.Arbitrary<Node>,
  ),
})).node;

/** Several things side by side or one after the other, so that their outcomes can come in many orders. */
const program = fc.record({
  op: fc.constantFrom('seq', 'all', 'allSettled', 'nativeRace', 'nativeAny', 'race', 'any'),
  nodes: fc.array(node, { minLength: 2, maxLength: 4 }),
}) as fc.Arbitrary<Node>;

/** Runs the program and writes down all that a body can notice, in the order in which it notices it. */
class Interpreter {
  readonly trace: string[] = [];
  /** Step functions under way, to be let go by the scheduler. */
  readonly gates: (() => void)[] = [];
  readonly ran: string[] = [];

  async run(program: Node, ctx: Ctx, at = 'n'): Promise<unknown> {
    this.trace.push(`${at} begins`);
    try {
      const value = await this.#eval(program, ctx, at);
      this.trace.push(`${at} = ${JSON.stringify(value)} at ${ctx.now()} ${ctx.random()}`);
      return value;
    } catch (error) {
      this.trace.push(`${at} ! ${this.#text(error)} at ${ctx.now()}`);
      throw error;
    }
  }

  #text(error: unknown): string {
    if (error instanceof AggregateError) return `all[${error.errors.map((inner) => this.#text(inner)).join()}]`;
    if (isCancelled(error)) return `cancelled:${error.by}`;
    return isStepError(error) ? `step:${error.path}:${error.code}` : String(error);
  }

  async #eval(program: Node, ctx: Ctx, at: string): Promise<unknown> {
    switch (program.op) {
      case 'step':
        return ctx.step(at, ({ attempt }) => this.#step(at, program.outcome, attempt));
      case 'infer': {
        const { text, finish } = await ctx.infer(at, { model: this.#model(at, program.outcome), prompt: at });
        return [text, finish];
      }
      case 'call':
        return ctx.call(work, at, { as: at });
      case 'sleep':
        return ctx.sleep(at, 1_000);
      case 'emit':
        return ctx.emit(told, at, { as: at });
      case 'signal':
        return (await ctx.waitFor(go, { as: at, timeout: program.hurried ? 5 : '1d' }))?.id ?? null;
      case 'event':
        return (await ctx.waitFor(seen, { as: at, match: { n: 1 }, timeout: program.hurried ? 5 : '1d' }))?.id ?? null;
      case 'micro':
        for (let i = 0; i < program.ticks; i++) await Promise.resolve();
        return program.ticks;
      case 'seq': {
        let last: unknown = null;
        for (const [i, inner] of program.nodes.entries()) last = await this.run(inner, ctx, `${at}.${i}`);
        return last;
      }
      case 'all':
        return Promise.all(this.#each(program.nodes, ctx, at));
      case 'allSettled':
        return (await Promise.allSettled(this.#each(program.nodes, ctx, at))).map((one) => one.status);
      case 'nativeRace':
        return Promise.race(this.#each(program.nodes, ctx, at));
      case 'nativeAny':
        return Promise.any(this.#each(program.nodes, ctx, at));
      case 'race':
      case 'any':
        return ctx[program.op](
          at,
          Object.fromEntries(
            program.nodes.map((inner, i) => [`b${i}`, (ctx: Ctx) => this.run(inner, ctx, `${at}.${i}`)]),
          ),
        );
      case 'map': {
        const items = Array.from({ length: program.count }, (_, i) => i);
        return ctx.map(at, items, { key: (i) => `k${i}`, concurrency: program.concurrency }, (i, ctx) =>
          this.run(program.node, ctx, `${at}.${i}`),
        );
      }
      case 'scope':
        return ctx.scope(at, 'k', (ctx) => this.run(program.node, ctx, `${at}.s`));
      case 'shield':
        return ctx.shield((ctx) => this.run(program.node, ctx, `${at}.s`));
      case 'try':
        try {
          return await this.run(program.node, ctx, `${at}.t`);
        } catch {
          return 'caught';
        }
    }
  }

  #each(nodes: readonly Node[], ctx: Ctx, at: string): Promise<unknown>[] {
    const promises = nodes.map((inner, i) => this.run(inner, ctx, `${at}.${i}`));
    for (const promise of promises) promise.catch(() => {});
    return promises;
  }

  /** A model whose answers are let go like steps; what it is asked counts as run. */
  #model(at: string, outcome: string): Model {
    let asked = 0;
    const use: ModelEndpoint = {
      specificationVersion: 'v3',
      provider: 'gated',
      modelId: 'm',
      doGenerate: async () => {
        asked += 1;
        const told = await this.#step(at, outcome, asked);
        return { content: [{ type: 'text', text: JSON.stringify(told) }], finishReason: 'stop', usage: {} };
      },
      doStream: () => Promise.reject(new Error('not asked for a stream')),
    };
    return model('m', { versions: { v1: { use } } });
  }

  #step(at: string, outcome: string, attempt: number): unknown {
    this.ran.push(`${at}#${attempt}`);
    if (outcome === 'sync') return { at, when: new Date(0) };
    return new Promise((resolve, reject) => {
      this.gates.push(() => {
        if (outcome === 'fail') reject(Object.assign(new Error('no'), { code: 'NO', retryable: false }));
        else if (outcome === 'retry' && attempt === 1) reject(new Error('not yet'));
        else resolve({ at, attempt });
      });
    });
  }
}

/** Runs from what is recorded to the end, letting chance say what happens next. Returns the interpreter of the last body. */
async function live(engine: MiniEngine, program: Node, chance: () => number, crashes: boolean): Promise<Interpreter> {
  const holder = bodies.get(engine);
  if (holder === undefined) throw new Error('no body');
  const start = async (): Promise<void> => {
    holder.current = new Interpreter();
    holder.program = program;
    engine.begin();
    await settled();
  };
  await start();
  for (let i = 0; i < 400 && !engine.ended; i++) {
    const body = holder.current;
    const choices: (() => void | Promise<void>)[] = [];
    if (engine.submissions.length > 0)
      choices.push(
        () => engine.commit(),
        () => engine.commit(),
      );
    for (const [at, gate] of body.gates.entries()) {
      choices.push(() => {
        body.gates.splice(at, 1);
        gate();
      });
    }
    for (const path of engine.eventWaits()) choices.push(() => engine.giveEvent(path, Math.floor(chance() * 6)));
    if (chance() < 0.2) choices.push(() => engine.signal(`s${i}`, 'go'));
    for (const timer of engine.timers()) choices.push(() => engine.fire(timer));
    for (const call of engine.calls()) choices.push(() => engine.completeCall(call, call));
    if (engine.state.cancel === null && chance() < 0.01) choices.push(() => engine.cancel('enough'));
    if (crashes && chance() < 0.05) {
      choices.push(async () => {
        engine.activation?.abort('lease_lost');
        await start();
      });
    }
    if (chance() < 0.5) choices.push(() => settled(2));
    if (choices.length === 0) {
      await settled();
      continue;
    }
    await choices[Math.floor(chance() * choices.length)]?.();
    if (chance() < 0.6) await settled(Math.floor(chance() * 4));
  }
  await settled();
  expect(engine.ended, `the run never ends: ${JSON.stringify(engine.last)}`).toBe(true);
  return holder.current;
}

interface Holder {
  current: Interpreter;
  program: Node;
}
const bodies = new WeakMap<MiniEngine, Holder>();

function engineFor(program: Node): MiniEngine {
  const holder: Holder = { current: new Interpreter(), program };
  const engine = new MiniEngine(workflow('w', {}, (ctx) => holder.current.run(holder.program, ctx)));
  bodies.set(engine, holder);
  return engine;
}

async function replay(engine: MiniEngine, prefix: number): Promise<Interpreter> {
  const holder = bodies.get(engine);
  if (holder === undefined) throw new Error('no body');
  holder.current = new Interpreter();
  const activation = engine.begin(prefix);
  // One turn for each outcome that may be handed over, and some to come to rest.
  await settled(prefix + 6);
  activation.abort('lease_lost');
  return holder.current;
}

function numbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
}

it('a replay from any part of the history takes the way of the live body', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(program, fc.integer(), async (program, seed) => {
      const engine = engineFor(program);
      const body = await live(engine, program, numbers(seed), false);
      const { trace } = body;
      let before = 0;
      for (let prefix = 1; prefix <= engine.events.length; prefix++) {
        const again = await replay(engine, prefix);
        expect(again.trace).toEqual(trace.slice(0, again.trace.length));
        expect(again.trace.length).toBeGreaterThanOrEqual(before);
        before = again.trace.length;
        const done = new Set(
          engine.events
            .slice(0, prefix)
            .flatMap((e) => (e.type === 'step.completed' || e.type === 'inference.completed' ? e.data.path : [])),
        );
        expect(again.ran.filter((run) => done.has(run.split('#')[0] ?? ''))).toEqual([]);
      }
      expect(before).toBe(trace.length);
    }),
    { numRuns: 600 },
  );
});

it('a body that dies again and again takes the way that its record says', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(program, fc.integer(), async (program, seed) => {
      const engine = engineFor(program);
      const { trace } = await live(engine, program, numbers(seed), true);
      const again = await replay(engine, engine.events.length);
      expect(again.trace).toEqual(trace);
      const completed = [...engine.paths('step.completed'), ...engine.paths('inference.completed')];
      expect(new Set(completed).size).toBe(completed.length);
    }),
    { numRuns: 600 },
  );
});
