import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineApp, model, tool, workflow } from '../../workflow/index.js';
import { fakeModel, type FakeReply } from './fake-model.js';
import { testSpine, type RunRef, type TestSpine } from './test-spine.js';

const writer = model('writer', { versions: { v1: { use: fakeModel('x') } } });

let paid: unknown[] = [];
const refund = tool({
  input: z.object({ to: z.string(), cents: z.number() }),
  effect: 'external',
  run: (input) => {
    paid.push(input);
    return 'paid';
  },
});
const search = tool({ input: z.object({ q: z.string() }), run: ({ q }) => `found ${q}` });

/** Asks for these calls, one round each, then says what it was told of them. */
function asking(...rounds: (FakeReply['toolCalls'] & object)[]) {
  return fakeModel(({ prompt }) => {
    const told = prompt.filter(({ role }) => role === 'tool');
    const next = rounds[told.length];
    return next === undefined ? { text: JSON.stringify(told) } : { toolCalls: next };
  });
}

const pay = (cents: unknown, more: object = {}, id = 'c1') => ({
  id,
  name: 'refund',
  input: { to: 'ann', cents, ...more },
});

const chat = workflow('chat', {}, async (ctx, prompt: unknown) => {
  const { text } = await ctx.infer('talk', { model: writer, prompt: String(prompt), tools: { refund, search } });
  return text;
});

const app = appOf({});

function appOf(tools: NonNullable<Parameters<typeof defineApp>[0]['tools']>) {
  return defineApp({ models: [writer], workflows: [chat], tools });
}

const small = { tools: 'refund', limits: { cents: { min: 1, max: 500 } } } as const;

type Verdict = Readonly<Record<'tool' | 'verdict' | 'rule', string>>;

async function verdicts(t: Pick<TestSpine<typeof app>, 'history'>, run: RunRef): Promise<Verdict[]> {
  const events = await t.history(run);
  return events.flatMap(({ type, data }) => (type === 'tool.judged' ? [data as unknown as Verdict] : []));
}

describe.each(['calm', 'every-await'] as const)('the gate in front of tools, %s', (mode) => {
  const crash = mode === 'calm' ? {} : { crash: mode };

  it('lets through what a rule allows, and tells the model of the rest', async () => {
    paid = [];
    const use = asking([pay(400)], [pay(501, {}, 'c2')], [{ id: 'c3', name: 'search', input: { q: 'x' } }]);
    await using t = await testSpine(appOf({ rules: [{ ...small, tainted: 'allow' }] }), {
      models: { writer: use },
      ...crash,
    });
    const run = await t.start('chat', 'hello');
    const text = await t.result(run);
    expect(paid).toEqual([{ to: 'ann', cents: 400 }]);
    expect(text).toContain('refused by the policy: cents is above 500');
    expect(text).toContain('found x');
    expect((await verdicts(t, run)).map(({ tool, verdict, rule }) => [tool, verdict, rule])).toEqual([
      ['refund', 'allowed', 'refund'],
      ['refund', 'refused', 'refund'],
      ['search', 'allowed', ''],
    ]);
  });

  it('refuses an effect outside that no rule names', async () => {
    paid = [];
    await using t = await testSpine(appOf({ rules: [] }), { models: { writer: asking([pay(1)]) }, ...crash });
    expect(await t.result(await t.start('chat', 'hello'))).toContain('no rule allows it');
    expect(paid).toEqual([]);
  });

  it('asks a person about what may follow from untrusted text, for these arguments', async () => {
    paid = [];
    const use = asking([{ id: 's', name: 'search', input: { q: 'x' } }], [pay(100)], [pay(101, {}, 'c2')]);
    await using t = await testSpine(appOf({ rules: [small] }), { models: { writer: use }, ...crash });
    const run = await t.start('chat', 'hello');
    const asked = (await t.history(run)).find(({ type }) => type === 'wait.opened')?.payload;
    expect(asked).toMatchObject({
      show: { tool: 'refund', arguments: { to: 'ann', cents: 100 }, untrusted: ['tool:search'] },
    });
    expect(paid).toEqual([]);
    await t.approve(run);
    expect(paid).toEqual([{ to: 'ann', cents: 100 }]);
    await t.reject(run, { comment: 'no more' });
    expect(await t.result(run)).toContain('no more');
    expect(paid).toHaveLength(1);
  });
});
