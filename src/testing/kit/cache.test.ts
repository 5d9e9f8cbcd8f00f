/** Kept answers and prompts under test: whatever dies, what was paid for is paid one time, and versions stay. */
import { describe, expect, it } from 'vitest';
import { generateText, streamText } from 'ai';
import { cached, defineApp, model, prompt, rule, tool, workflow } from '../../workflow/index.js';
import { z } from 'zod';
import { fakeModel } from './fake-model.js';
import { testSpine } from './test-spine.js';

const never = fakeModel(() => {
  throw new Error('no test may reach it');
});
const writer = model('writer', {
  versions: { v1: { use: never, price: { input: 1, output: 1 } } },
  cache: { ttl: '1h' },
});
const other = model('other', { versions: { v1: { use: never } } });
const look = tool({ input: z.object({ at: z.string() }), run: ({ at }) => `looked at ${at}` });

/** Both runs take the same way, one by calls and one by memory. */
const report = workflow('report', {}, async (ctx) => {
  const [facts, title] = await Promise.all([
    ctx.infer('facts', { model: writer, prompt: 'facts', tools: { look }, stream: true }),
    ctx.infer('title', { model: writer, prompt: 'title' }),
  ]);
  const { text } = await ctx.ai('body', async (ai) => {
    const known = await generateText({ model: ai.model('writer'), prompt: `known: ${facts.text}` });
    return streamText({ model: ai.model('writer'), prompt: `body: ${known.text}` });
  });
  const end = await ctx.infer('end', {
    model: other,
    prompt: 'end',
    retry: { attempts: 1 },
    fallback: [cached({ maxAge: '1h' }), rule('stop', () => 'The end.')],
  });
  return [title.text, facts.text, text, end.text, end.model.arm];
});
const app = defineApp({ models: [writer, other], workflows: [report] });

function answers() {
  return fakeModel(({ prompt: asked }) => {
    const said = JSON.stringify(asked);
    if (said.includes('tool-result')) return 'the facts';
    if (said.includes('"facts"')) return { toolCalls: [{ id: 'c1', name: 'look', input: { at: 'it' } }] };
    return said.includes('"title"') ? 'A title' : said.includes('known: ') ? 'more facts' : 'A body';
  });
}

describe.each(['calm', 'every-await', 7] as const)('kept answers under test, %s', (mode) => {
  it('are paid for in the first run alone', async () => {
    const [use, down] = [
      answers(),
      fakeModel(() => {
        throw Object.assign(new Error('no'), { statusCode: 401 });
      }),
    ];
    const options = { models: { writer: use, other: down }, ...(mode === 'calm' ? {} : { crash: mode }) };
    await using t = await testSpine(app, options);
    const expected = ['A title', 'the facts', 'A body', 'The end.', 'rule'];
    expect(await t.result(await t.start('report', null))).toEqual(expected);
    expect(use.calls).toHaveLength(5);
    const again = await t.start('report', null);
    expect(await t.result(again)).toEqual(expected);
    expect(use.calls).toHaveLength(5);
    expect(down.calls).toHaveLength(2);
    expect((await t.view(again)).spend).toMatchObject({ calls: 1, costMicros: 0, cached: 5 });
    const types = (await t.history(again)).map(({ type }) => type);
    // Each answer and each ground one time, whatever died: of the rule as of the models.
    expect(types.filter((type) => type === 'inference.completed')).toHaveLength(5);
    expect(types.filter((type) => type === 'decision.recorded')).toHaveLength(6);
    if (mode === 'every-await') expect(t.crashes).toBeGreaterThan(5);
  });
});

describe.each(['calm', 'every-await'] as const)('prompts under test, %s', (mode) => {
  const [first, second] = [() => 'first', () => 'second'];
  const before = prompt('greeting', { versions: { v1: first, v2: second }, use: 'v1' });
  const after = prompt('greeting', { versions: { v1: first, v2: second } });
  let current = before;
  const greet = workflow('greet', {}, async (ctx) => {
    const a = await ctx.infer('a', { model: other, prompt: current.with() });
    await ctx.sleep('1h');
    return [a.text, (await ctx.infer('b', { model: other, prompt: current.with() })).text];
  });
  const greeter = defineApp({ models: [other], prompts: [before], workflows: [greet] });

  it('stay with the version that a run has begun with, and new runs have the new one', async () => {
    current = before;
    // Another build is deployed while the model is at work.
    const use = fakeModel(({ prompt: asked }) => {
      current = after;
      return /first|second/.exec(JSON.stringify(asked))?.[0] ?? 'neither';
    });
    const options = { models: { other: use }, ...(mode === 'calm' ? {} : { crash: mode }) };
    await using t = await testSpine(greeter, options);
    expect(await t.result(await t.start('greet', null))).toEqual(['first', 'first']);
    expect(await t.result(await t.start('greet', null))).toEqual(['second', 'second']);
  });
});
