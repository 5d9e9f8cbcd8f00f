/** Answers that are kept, prompts with versions, and decisions of rules and people, over a whole spine in memory. */
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fakeModel } from '../testing/kit/fake-model.js';
import type { DecisionView } from '../protocol/http.js';
import {
  cached,
  createSpine,
  defineApp,
  memory,
  model,
  person,
  prompt,
  rule,
  signal,
  tool,
  workflow,
  type AnyApp,
  type Ctx,
  type Model,
  type Spine,
} from './index.js';

let spine: Spine<AnyApp> | null = null;

afterEach(async () => {
  await spine?.close();
  spine = null;
});

function open(body: (ctx: Ctx, input: unknown) => Promise<unknown>, models: readonly Model[]) {
  const app = defineApp({ models, workflows: [workflow('w', {}, body)] });
  const opened = createSpine(app as AnyApp, { store: memory(), worker: { parkAfterMs: 0 } });
  spine = opened;
  return opened;
}

async function decisionsOf(opened: Spine<AnyApp>, run: string): Promise<DecisionView[]> {
  const found: DecisionView[] = [];
  for await (const decision of opened.runs.decisions(run)) found.push(decision);
  return found;
}

const usage = { inputTokens: 100, outputTokens: 10 };
const price = { input: 10, output: 100 };

describe('answers that are kept', () => {
  it('take the place of the call where the same is asked again, and cost nothing', async () => {
    const use = fakeModel({ text: 'Blue.', usage });
    const writer = model('writer', { versions: { v1: { use, price } }, cache: { ttl: '1h' } });
    const opened = open(
      async (ctx) => {
        const {
          text,
          usage: used,
          costMicros,
          model: of,
          cached: from,
        } = await ctx.infer('a', {
          model: writer,
          prompt: 'Why?',
        });
        return { text, used: used.inputTokens, costMicros, of, saved: from?.savedMicros };
      },
      [writer],
    );
    const first = await opened.start('w', null);
    const of = { name: 'writer', version: 'v1', arm: 'v1' };
    expect(await first.result()).toEqual({ text: 'Blue.', used: 100, costMicros: 2_000, of, saved: undefined });
    const second = await opened.start('w', null);
    expect(await second.result()).toEqual({ text: 'Blue.', used: 0, costMicros: 0, of, saved: 2_000 });
    expect(use.calls).toHaveLength(1);
    expect((await second.status()).spend).toEqual({
      calls: 0,
      inputTokens: 0,
      outputTokens: 0,
      costMicros: 0,
      ambiguous: 0,
      cached: 1,
      savedMicros: 2_000,
    });
    const [asked, again] = [await decisionsOf(opened, first.id), await decisionsOf(opened, second.id)];
    expect(again).toMatchObject([
      {
        path: 'a',
        status: 'completed',
        version: 'v1',
        arm: 'v1',
        finish: 'stop',
        costMicros: 0,
        cached: { model: 'writer', version: 'v1', event: asked[0]?.output?.event, savedMicros: 2_000 },
      },
    ]);
    expect(await opened.cache.stats()).toMatchObject({
      answers: 1,
      models: [{ model: 'writer', version: 'v1', answers: 1 }],
    });
    expect(await opened.cache.clear({ model: 'other' })).toBe(0);
    expect(await opened.cache.clear()).toBe(1);
    expect(await opened.cache.stats()).toMatchObject({ answers: 0, bytes: 0, oldestAt: null, models: [] });
    await (await opened.start('w', null)).result();
    expect(use.calls).toHaveLength(2);
  });

  it('are shown to the readers of a stream, and given in parts to none', async () => {
    const long = 'word '.repeat(2_000);
    const use = fakeModel({ text: long, usage });
    const writer = model('writer', { versions: { v1: { use } } });
    const opened = open(
      async (ctx) => {
        const cache = { ttl: '1h' } as const;
        return (await ctx.infer('a', { model: writer, prompt: 'Count.', stream: true, cache })).text;
      },
      [writer],
    );
    for (let i = 0; i < 3; i++) {
      const run = await opened.start('w', null);
      expect(await run.result()).toBe(long);
      let text = '';
      for await (const item of run.chunks('a')) if (item.event === 'chunk') text += String(item.value);
      expect(text).toBe(long);
    }
    expect(use.calls).toHaveLength(1);
  });

  it('serve however large they are, up to their bound', async () => {
    const use = fakeModel(({ prompt: asked }) => ({
      text: 'x'.repeat(JSON.stringify(asked).includes('huge') ? 300_000 : 100_000),
    }));
    const writer = model('writer', { versions: { v1: { use } }, cache: { ttl: '1h' } });
    const opened = open(
      async (ctx, input) => (await ctx.infer('a', { model: writer, prompt: String(input) })).text.length,
      [writer],
    );
    for (const [input, length, calls] of [
      ['large', 100_000, 1],
      ['large', 100_000, 1],
      ['huge', 300_000, 2],
      ['huge', 300_000, 3],
    ] as const) {
      expect(await (await opened.start('w', input)).result()).toBe(length);
      expect(use.calls).toHaveLength(calls);
    }
  });

  it('are off unless asked for, refused where a tool has an external effect, and left aside where the model says so', async () => {
    const use = fakeModel('ok');
    const writer = model('writer', { versions: { v1: { use } } });
    const keeper = model('keeper', { versions: { v1: { use } }, cache: { ttl: '1h' } });
    const pay = tool({ input: z.object({}), effect: 'external', run: () => 'paid' });
    const opened = open(
      async (ctx, input) => {
        const options = { prompt: 'Why?', tools: { pay } };
        if (input === 'own') return await ctx.infer('a', { ...options, model: writer, cache: { ttl: '1h' } });
        if (input === 'chain')
          return await ctx.infer('a', { ...options, model: writer, fallback: [cached({ maxAge: '1h' })] });
        if (input === 'model') return (await ctx.infer('a', { ...options, model: keeper })).text;
        return (await ctx.infer('a', { model: writer, prompt: 'Why?' })).text;
      },
      [writer, keeper],
    );
    const failing = async (input: string) => (await opened.start('w', input)).result();
    await expect(failing('own')).rejects.toThrow(/cache: tool "pay" has an external effect/);
    await expect(failing('chain')).rejects.toThrow(/cached\(\.\.\.\): tool "pay" has an external effect/);
    for (const input of ['model', 'model', 'off', 'off']) await (await opened.start('w', input)).result();
    expect(use.calls).toHaveLength(4);
    expect(await opened.cache.stats()).toMatchObject({ answers: 0 });
  });

  it('are asked about anew when they no longer fit what is asked for', async () => {
    let min = 1;
    const use = fakeModel(({ prompt: asked }) => ({ object: { n: JSON.stringify(asked).length > 1_000 ? 0 : min } }));
    const writer = model('writer', { versions: { v1: { use } }, cache: { ttl: '1h' } });
    const opened = open(
      async (ctx) => {
        const least = min;
        // What it says to the model is the same, what it checks is not.
        const schema = z.object({ n: z.number().refine((n) => n >= least) });
        return (await ctx.infer('a', { model: writer, prompt: 'n?', schema, repairs: 0 })).object.n;
      },
      [writer],
    );
    expect(await (await opened.start('w', null)).result()).toBe(1);
    min = 2;
    expect(await (await opened.start('w', null)).result()).toBe(2);
    expect(use.calls).toHaveLength(2);
    // The newer answer has taken the place of the older.
    expect(await (await opened.start('w', null)).result()).toBe(2);
    expect(use.calls).toHaveLength(2);
  });

  it('serve as a hop of a chain when models fail, and whoever answers in the end is on record', async () => {
    let isUp = true;
    const use = fakeModel(() => {
      if (!isUp) throw Object.assign(new Error('down'), { statusCode: 401 });
      return { text: 'from the model', usage };
    });
    const writer = model('writer', { versions: { v1: { use, price } } });
    const spare = model('spare', {
      versions: {
        v1: {
          use: fakeModel(() => {
            throw new Error('no');
          }),
        },
      },
    });
    const opened = open(
      async (ctx, input) => {
        const answer = await ctx.infer('a', {
          model: writer,
          prompt: String(input),
          retry: { attempts: 1 },
          fallback: [
            spare,
            cached({ maxAge: '7d' }),
            rule('refuse', ({ messages }) => (JSON.stringify(messages).includes('never') ? 'by rule' : undefined)),
            person({ to: 'role:editor' }),
          ],
        });
        return [answer.text, answer.model.arm, answer.hops.map(({ code }) => code)];
      },
      [writer, spare],
    );
    const run = async (input: string) => {
      const started = await opened.start('w', input);
      return { id: started.id, result: await started.result() };
    };
    expect((await run('asked before')).result).toEqual(['from the model', 'v1', []]);
    // It is kept for the chain, and does not take the place of a call that succeeds.
    expect((await run('asked before')).result).toEqual(['from the model', 'v1', []]);
    expect(use.calls).toHaveLength(2);
    isUp = false;
    const old = await run('asked before');
    expect(old.result).toMatchObject(['from the model', 'cached', { length: 2 }]);
    expect((await decisionsOf(opened, old.id)).at(-1)).toMatchObject({
      path: 'a/cached:1',
      model: 'writer',
      version: 'v1',
      arm: 'cached',
      cached: { model: 'writer', savedMicros: 2_000 },
      hops: [{ model: 'writer' }, { model: 'spare' }],
    });
    const ruled = await run('never asked');
    expect(ruled.result).toMatchObject(['by rule', 'rule', { length: 3 }]);
    expect((await decisionsOf(opened, ruled.id)).at(-1)).toMatchObject({
      path: 'a/rule:2',
      status: 'completed',
      arm: 'rule',
      by: 'refuse',
      rules: ['refuse'],
      hops: [{ model: 'writer' }, { model: 'spare' }, { model: 'writer', code: 'PREDICTION_MISSING' }],
      failure: null,
    });
    const waiting = await opened.start('w', 'who knows');
    let asked: string | null = null;
    for (; asked === null; await new Promise((resolve) => setTimeout(resolve, 5)))
      for await (const { id } of opened.approvals.list()) asked = id;
    await opened.approvals.approve(asked, { form: { answer: 'a person says' }, comment: 'looked it up' });
    expect(await waiting.result()).toMatchObject(['a person says', 'person', { length: 3 }]);
    const decisions = await decisionsOf(opened, waiting.id);
    expect(decisions.at(-1)).toMatchObject({
      path: 'a/person:3',
      arm: 'person',
      comment: 'looked it up',
      rules: [],
      hops: [{ model: 'writer' }, { model: 'spare' }, { code: 'PREDICTION_MISSING' }],
    });
    expect(decisions.at(-1)?.input.seq).toBe(decisions.at(-2)?.input.seq);
  });
});

describe('prompts with versions', () => {
  const greeting = prompt('greeting', {
    versions: {
      v1: ({ name }: { name: string }) => `Hello ${name}`,
      v2: ({ name, tone }: { name: string; tone: string }) => [
        { role: 'system', content: tone },
        { role: 'user', content: `Dear ${name}` },
      ],
    },
    use: { v1: 1, v2: 1 },
  });

  it('share runs by weight; each stays with its version, which its decisions name', async () => {
    const use = fakeModel(({ prompt: asked }) => JSON.stringify(asked));
    const writer = model('writer', { versions: { v1: { use } } });
    const opened = open(
      async (ctx) => {
        const vars = { name: 'Ann', tone: 'Be kind.' };
        const [a, b] = [
          await ctx.infer('a', { model: writer, prompt: greeting.with(vars) }),
          await ctx.infer('b', { model: writer, prompt: greeting.with({ ...vars, name: 'Bob' }) }),
        ];
        return [a.text, b.text];
      },
      [writer],
    );
    const versions = new Set<string>();
    for (const started of await Promise.all(Array.from({ length: 16 }, () => opened.start('w', null)))) {
      const [a = '', b = ''] = (await started.result()) as string[];
      const isFirst = a.includes('Hello Ann');
      expect(b).toContain(isFirst ? 'Hello Bob' : 'Dear Bob');
      if (!isFirst) expect(JSON.parse(a)).toMatchObject([{ role: 'system', content: 'Be kind.' }, { role: 'user' }]);
      const decisions = await decisionsOf(opened, started.id);
      const version = isFirst ? 'v1' : 'v2';
      expect(decisions.map((one) => one.prompt)).toEqual([
        { name: 'greeting', version },
        { name: 'greeting', version },
      ]);
      versions.add(version);
    }
    expect(versions).toEqual(new Set(['v1', 'v2']));
  });

  it('end a run whose version has gone, until it is there again', async () => {
    const [first, second] = [() => 'first', () => 'second'];
    const both = prompt('greeting', { versions: { v1: first, v2: second }, use: 'v1' });
    let current = both;
    const use = fakeModel(({ prompt: asked }) => JSON.stringify(asked));
    const writer = model('writer', { versions: { v1: { use } } });
    const go = signal('go');
    const opened = open(
      async (ctx) => {
        await ctx.infer('a', { model: writer, prompt: current.with() });
        await ctx.waitFor(go);
        return (await ctx.infer('b', { model: writer, prompt: current.with() })).text;
      },
      [writer],
    );
    const run = await opened.start('w', null);
    while ((await run.status()).state !== 'waiting') await new Promise((resolve) => setTimeout(resolve, 5));
    current = prompt('greeting', { versions: { v2: second } }) as unknown as typeof both;
    await run.signal('go', null);
    await expect(run.result()).rejects.toThrow(/version "v1" of prompt "greeting".*it has v2/);
    // The last version would be that of new runs.
    current = prompt('greeting', { versions: { v1: first, v2: second } });
    for await (const letter of opened.deadLetters.list()) await opened.deadLetters.redrive(letter.id);
    expect(await run.result()).toContain('first');
    expect(use.calls).toHaveLength(2);
  });

  it('are in the manifest by their names and versions, without their text', () => {
    expect(defineApp({ prompts: [greeting] }).manifest.prompts).toEqual([
      {
        name: 'greeting',
        versions: [
          { version: 'v1', weight: 1 },
          { version: 'v2', weight: 1 },
        ],
      },
    ]);
    expect(defineApp({}).manifest).not.toHaveProperty('prompts');
  });

  it('say what is wrong with them, all at once', () => {
    expect(() => prompt('p', { versions: { one: () => 'x' }, use: { two: -1 } as never })).toThrow(
      /no version "two".*must be an integer/,
    );
  });
});
