/**
 * Remedies in whole runs: what fails is asked otherwise, once, in live code, after a crash at every await, in a replay and
 * after a redrive; and what cannot be helped is left to a person.
 */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  capability,
  dag,
  defineApp,
  isStepError,
  model,
  person,
  rule,
  tool,
  workflow,
  type AnyApp,
  type Ctx,
  type InferOptions,
  type Model,
} from '../../workflow/index.js';
import type { RunEvent } from '../../core/run/events.js';
import { fakeModel, type FakeModel } from './fake-model.js';
import { inTurn } from './fakes.js';
import { replayHistory } from '../../worker/replay-history.js';
import { testSpine, type TestSpineOptions } from './test-spine.js';

/** A model whose window is so small that it takes prompts of up to `charactersMax` characters. */
function small(charactersMax: number, modelId: string): FakeModel {
  return fakeModel(
    (call) => {
      const { length } = JSON.stringify(call.prompt);
      if (length > charactersMax)
        throw Object.assign(
          new Error(
            `This model's maximum context length is ${charactersMax} tokens, however you requested ${length} tokens.`,
          ),
          { statusCode: 400, code: 'context_length_exceeded' },
        );
      return `${modelId} says so`;
    },
    { modelId },
  );
}

function failing(facts: object, message = 'no', modelId = 'failing'): FakeModel {
  return fakeModel(
    () => {
      throw Object.assign(new Error(message), facts);
    },
    { modelId },
  );
}

const one = (name: string, use: FakeModel, options: Partial<Parameters<typeof model>[1]> = {}): Model =>
  model(name, { versions: { v1: { use } }, ...options });
const long = 'word '.repeat(100);

interface Ran {
  readonly value: unknown;
  readonly failed: { readonly class: string; readonly code: string } | null;
  readonly events: readonly RunEvent[];
  readonly crashes: number;
}

/** Runs the body to its end, and replays its history, which comes to the same and calls nobody. */
async function ran(
  models: readonly Model[],
  body: (ctx: Ctx) => unknown,
  options: TestSpineOptions = {},
  app: Partial<Parameters<typeof defineApp>[0]> = {},
): Promise<Ran> {
  const w = workflow('w', {}, async (ctx) => body(ctx));
  const defined = defineApp({ ...app, models, workflows: [w] }) as AnyApp;
  await using spine = await testSpine(defined, { traps: false, ...options });
  const run = await spine.start('w', null);
  const outcome = await spine.outcome(run);
  const value = outcome.state === 'succeeded' ? outcome.output : null;
  const failed = outcome.state === 'failed' ? outcome.failure : null;
  const history = await spine.exportHistory(run.id);
  if (failed === null) expect(await replayHistory(defined, history)).toMatchObject({ verdict: 'same', changes: [] });
  return { value, failed, events: history.events, crashes: spine.crashes };
}

const twoWindows = (tiny: FakeModel, large: FakeModel) =>
  model('writer', { versions: { tiny: { use: tiny, window: 300 }, large: { use: large, window: 10_000 } } });

function taken(events: readonly RunEvent[]): unknown[] {
  return events.flatMap(({ type, data }) =>
    'remedy' in data && data.remedy !== undefined && type !== 'decision.recorded'
      ? [[(data as { readonly path: string }).path, data.remedy]]
      : [],
  );
}

describe.each([
  ['live', {}],
  ['with a crash at every await', { crash: 'every-await' }],
] as const)('a remedy, %s', (_, options: TestSpineOptions) => {
  const isLive = !('crash' in options);

  it('reroutes what is too long to the version with the larger window, which is paid one time', async () => {
    const [tiny, large] = [small(300, 'tiny'), small(10_000, 'large')];
    const { value, events, crashes } = await ran(
      [twoWindows(tiny, large)],
      async (ctx) => {
        const { text, model: by, hops } = await ctx.infer('a', { model: 'writer', prompt: long });
        await ctx.sleep('1h');
        return [text, by.version, hops.map(({ class: kind, remedy }) => [kind, remedy?.version])];
      },
      options,
    );
    expect(value).toEqual(['large says so', 'large', [['context_length_exceeded', 'large']]]);
    expect(large.paid).toBe(1);
    expect(taken(events)).toEqual([['a', { name: 'reroute', version: 'large' }]]);
    const decision = events.find(({ type }) => type === 'decision.recorded')?.data;
    expect(decision).toMatchObject({ version: 'large', rules: ['context_length_exceeded: reroute to large'] });
    if (isLive) expect(tiny.calls).toHaveLength(1);
    else expect(crashes).toBeGreaterThan(2);
  });

  it('makes a request smaller that is too long, and asks one time with that', async () => {
    const tiny = small(300, 'tiny');
    const seen: unknown[] = [];
    const writer = one('writer', tiny, {
      versions: { v1: { use: tiny, window: 300 } },
      compact: ({ messages }, { limit, used }) => {
        seen.push([limit, used]);
        const [first] = messages;
        const text = JSON.stringify(first?.content).slice(0, 140);
        return { messages: [{ role: 'user', content: text }] };
      },
    });
    const { value, events } = await ran(
      [writer],
      async (ctx) => (await ctx.infer('a', { model: writer, prompt: long })).text,
      options,
    );
    expect(value).toBe('tiny says so');
    // What was refused is not paid for.
    expect(tiny.calls.filter(({ prompt }) => JSON.stringify(prompt).length <= 300)).toHaveLength(1);
    expect(seen[0]).toEqual([300, JSON.stringify([{ role: 'user', content: [{ type: 'text', text: long }] }]).length]);
    const asked = events.flatMap((event) => (event.type === 'inference.requested' ? [event.data] : []));
    expect([...new Set(asked.map(({ path }) => path))]).toEqual(['a', 'a/again:1']);
    expect(new Set(asked.map(({ fingerprint }) => fingerprint)).size).toBe(2);
    expect(taken(events)).toEqual([['a', { name: 'compact' }]]);
  });

  it('waits for exactly as long as it is told, and no worker sleeps meanwhile', async () => {
    const later = Object.assign(new Error('slow down'), {
      statusCode: 429,
      responseHeaders: { 'retry-after': '172800' },
    });
    const use = fakeModel(inTurn(later, 'at last'));
    const { value, events } = await ran(
      [one('writer', use)],
      async (ctx) => {
        const before = ctx.now();
        await ctx.infer('a', { model: 'writer', prompt: 'x' });
        return ctx.now() - before;
      },
      options,
    );
    expect(Number(value)).toBeGreaterThanOrEqual(172_800_000);
    expect(Number(value)).toBeLessThan(172_800_000 + 60_000);
    if (isLive) expect(use.calls).toHaveLength(2);
    expect(taken(events)).toEqual([['a', { name: 'wait' }]]);
  });

  it('asks the next of the chain at once where that is declared, whatever attempts are left', async () => {
    const busy = failing({ statusCode: 529 }, 'overloaded');
    const spare = fakeModel('spare', { modelId: 'spare' });
    const main = one('main', busy, { remedies: { overloaded: 'fallback' } });
    const { value, events } = await ran(
      [main, one('spare', spare)],
      async (ctx) => (await ctx.infer('a', { model: main, prompt: 'x', fallback: ['spare'] })).text,
      options,
    );
    expect(value).toBe('spare');
    expect(spare.paid).toBe(1);
    if (isLive) expect(busy.calls).toHaveLength(1);
    expect(taken(events)).toEqual([['a', { name: 'fallback' }]]);
  });

  it('reroutes to the model of the chain that has a larger window, past those that have not', async () => {
    const uses = [small(300, 'a'), small(300, 'b'), small(9_000, 'c')] as const;
    const [first, second, third] = uses.map((use, i) =>
      model(`m${i}`, { versions: { v1: { use, window: i === 2 ? 9_000 : 300 } } }),
    ) as [Model, Model, Model];
    const { value, events } = await ran(
      [first, second, third],
      async (ctx) => (await ctx.infer('a', { model: first, prompt: long, fallback: [second, third] })).model.name,
      options,
    );
    expect(value).toBe('m2');
    expect(uses[1].calls).toHaveLength(0);
    expect(uses[2].paid).toBe(1);
    expect(taken(events)).toEqual([['a', { name: 'reroute', model: 'm2' }]]);
  });

  it('repairs an answer that does not fit, and says so', async () => {
    const use = fakeModel(inTurn('eggs', '{"n":1}'));
    const schema = z.object({ n: z.number() });
    const { value, events } = await ran(
      [one('writer', use)],
      async (ctx) => (await ctx.infer('a', { model: 'writer', prompt: 'x', schema })).object,
      options,
    );
    expect(value).toEqual({ n: 1 });
    expect(use.paid).toBe(2);
    const decisions = events.flatMap((event) => (event.type === 'decision.recorded' ? [event.data] : []));
    expect(decisions.map(({ remedy }) => remedy?.name)).toEqual(['repair', undefined]);
    expect(decisions[0]?.rules).toContain('invalid_output: repair');
  });

  it('stays with the version that had room for as long as the conversation lasts', async () => {
    const tiny = small(300, 'tiny');
    const large = fakeModel(
      (call) => (call.prompt.length === 1 ? { toolCalls: [{ name: 'look', input: {}, id: 'c1' }] } : 'done'),
      { modelId: 'large' },
    );
    const look = tool({ input: { type: 'object' }, run: () => 'blue' });
    const { value, events } = await ran(
      [twoWindows(tiny, large)],
      async (ctx) => {
        const { text, usage } = await ctx.infer('a', { model: 'writer', prompt: long, tools: { look } });
        // What comes after it is asked of the version of the run again.
        const other = await ctx.infer('b', { model: 'writer', prompt: 'short' });
        return [text, usage.inputTokens, other.model.version];
      },
      options,
    );
    expect(value).toEqual(['done', 20, 'tiny']);
    expect(large.paid).toBe(2);
    const asked = events.flatMap((event) =>
      event.type === 'inference.requested' ? [[event.data.path, event.data.reroute ?? null]] : [],
    );
    expect(new Set(asked.map(String))).toEqual(new Set(['a,', 'a/again:1,large', 'a/ask:2,large', 'b,']));
  });

  it('quarantines: nobody else is asked, and the run is a dead letter', async () => {
    const bad = failing({ statusCode: 500 });
    const spare = fakeModel('spare', { modelId: 'spare' });
    const { failed, events } = await ran(
      [one('main', bad), one('spare', spare)],
      (ctx) =>
        ctx.infer('a', {
          model: 'main',
          prompt: 'x',
          fallback: ['spare', rule('never', () => 'never'), person({ to: 'role:operator' })],
          remedies: { dependency: 'quarantine' },
        }),
      options,
    );
    expect(failed).toMatchObject({ class: 'dependency' });
    if (isLive) expect(bad.calls).toHaveLength(1);
    expect(spare.calls).toHaveLength(0);
    expect(taken(events)).toEqual([['a', { name: 'quarantine' }]]);
  });
});

describe('a person', () => {
  const tooLong: InferOptions = { model: 'writer', prompt: long, remedies: { context_length_exceeded: 'person' } };

  it.each([
    [true, 'large says so'],
    [false, 'context_length_exceeded'],
  ])('is asked for what is proposed; agreed: %s', async (agrees, expected) => {
    const [tiny, large] = [small(300, 'tiny'), small(10_000, 'large')];
    const w = workflow('w', {}, async (ctx) => {
      try {
        return (await ctx.infer('a', { ...tooLong, fallback: [rule('never', () => 'never')] })).text;
      } catch (error) {
        return isStepError(error) ? error.failure.class : 'other';
      }
    });
    const app = defineApp({ models: [twoWindows(tiny, large)], workflows: [w] });
    await using spine = await testSpine(app, { traps: false, crash: 'every-await' });
    const run = await spine.start('w', null);
    await spine.idle();
    expect(large.calls).toHaveLength(0);
    const [asked] = await spine.approvals(run);
    expect(asked).toMatchObject({ path: 'a/remedy:1', title: 'context_length_exceeded: reroute to large?' });
    if (agrees) await spine.approve(run);
    else await spine.reject(run);
    expect(await spine.result(run)).toBe(expected);
    expect(large.paid).toBe(agrees ? 1 : 0);
  });
});

describe('what is told to wait for longer than there is time', () => {
  const later = { statusCode: 429, responseHeaders: { 'retry-after': '7200' } };

  it('fails at once, and says why', async () => {
    const use = failing(later, 'slow down');
    const w = workflow('w', { timeout: '1h' }, async (ctx) => ctx.infer('a', { model: 'writer', prompt: 'x' }));
    await using spine = await testSpine(defineApp({ models: [one('writer', use)], workflows: [w] }), { traps: false });
    const run = await spine.start('w', null);
    const outcome = await spine.outcome(run);
    expect(outcome).toMatchObject({ failure: { class: 'rate_limited', code: 'PAUSE_TOO_LONG' } });
    expect(use.calls).toHaveLength(1);
  });

  it('lets the next of the chain answer, where that is all that there is time for', async () => {
    const use = failing(later, 'slow down');
    const { value } = await ran([one('writer', use)], async (ctx) => {
      const before = ctx.now();
      const options = { model: 'writer', prompt: 'x', within: '30m', fallback: [rule('no', () => 'by rule')] } as const;
      const { text } = await ctx.infer('a', options);
      return [text, ctx.now() - before < 60_000];
    });
    expect(value).toEqual(['by rule', true]);
    expect(use.calls).toHaveLength(1);
  });
});

describe('a redrive', () => {
  it('keeps what was answered in the place of what had failed', async () => {
    const [tiny, large] = [small(300, 'tiny'), small(10_000, 'large')];
    let isBroken = true;
    const w = workflow('w', {}, async (ctx) => {
      const { text } = await ctx.infer('a', { model: 'writer', prompt: long });
      await ctx.step('after', () => {
        if (isBroken) throw Object.assign(new Error('no'), { retryable: false });
      });
      return text;
    });
    await using spine = await testSpine(defineApp({ models: [twoWindows(tiny, large)], workflows: [w] }), {
      traps: false,
    });
    const run = await spine.start('w', null);
    expect(await spine.outcome(run)).toMatchObject({ state: 'failed' });
    isBroken = false;
    await spine.retry(run);
    expect(await spine.result(run)).toBe('large says so');
    expect([tiny.calls.length, large.calls.length]).toEqual([1, 1]);
  });
});

describe('policies of other places', () => {
  const flaky = (): never => {
    throw Object.assign(new Error('no'), { class: 'timeout', retryable: true });
  };

  it('hold for steps: those of the step before those of the app', async () => {
    const w = workflow('w', {}, async (ctx) => {
      const tries: number[] = [0, 0];
      const attempt = (i: number) => () => {
        tries[i] = (tries[i] ?? 0) + 1;
        return flaky();
      };
      await ctx.step('one', attempt(0)).catch(() => undefined);
      await ctx.step('two', attempt(1), { remedies: { timeout: 'auto' } }).catch(() => undefined);
      return tries;
    });
    const app = defineApp({ workflows: [w], remedies: { timeout: 'quarantine' } });
    await using spine = await testSpine(app, { traps: false });
    expect(await spine.result(await spine.start('w', null))).toEqual([1, 4]);
  });

  it('hold for calls: those of the call, of the capability, and of the app', async () => {
    const tries: Record<string, number> = {};
    const caps = (['plain', 'own'] as const).map((name) =>
      capability(name, { ...(name === 'own' ? { remedies: { timeout: 'auto' } as const } : {}) }).implement((as) => {
        tries[String(as)] = (tries[String(as)] ?? 0) + 1;
        return flaky();
      }),
    );
    const [plain, own] = caps.map((handler) => handler.capability);
    const w = workflow('w', {}, async (ctx) => {
      if (plain === undefined || own === undefined) return;
      await ctx.call(plain, 'app', { as: 'a' }).catch(() => undefined);
      await ctx.call(own, 'capability', { as: 'b' }).catch(() => undefined);
      await ctx.call(own, 'call', { as: 'c', remedies: { timeout: 'person' } }).catch(() => undefined);
    });
    const app = defineApp({ workflows: [w], handlers: caps, remedies: { timeout: 'quarantine' } });
    await using spine = await testSpine(app, { traps: false });
    await spine.result(await spine.start('w', null));
    expect(tries).toEqual({ app: 1, capability: 4, call: 1 });
  });

  it('hold for nodes of graphs, whose fallback is asked at once where that is declared', async () => {
    let tries = 0;
    const graph = dag('g', {
      nodes: {
        shaky: {
          run: () => {
            tries += 1;
            return flaky();
          },
          fallback: () => 'instead',
          remedies: { timeout: 'fallback' },
        },
      },
    });
    await using spine = await testSpine(defineApp({ workflows: [graph] }), { traps: false });
    const run = await spine.start('g', null as never);
    expect(await spine.result(run)).toMatchObject({ shaky: 'instead' });
    expect(tries).toBe(1);
    const { events } = await spine.exportHistory(run.id);
    expect(taken(events)).toEqual([['shaky', { name: 'fallback' }]]);
  });

  it('are looked through where they are declared', () => {
    expect(() => defineApp({ remedies: { timeouts: 'auto' } as never })).toThrow(/did you mean "timeout"/);
    expect(() =>
      model('m', { versions: { v1: { use: fakeModel('x') } }, remedies: { auth: 'pray' as never } }),
    ).toThrow(/remedies\.auth must be one of/);
  });
});
