/** The gate in front of tools, over a whole spine. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fakeModel } from '../testing/kit/fake-model.js';
import { createSpine, defineApp, memory, model, tool, workflow } from './index.js';

const paid: number[] = [];
const pay = tool({
  input: z.object({ cents: z.number() }),
  effect: 'external',
  run: ({ cents }) => paid.push(cents),
});
const use = fakeModel(({ prompt }) => {
  const told = prompt.find(({ role }) => role === 'tool');
  return told === undefined ? { toolCalls: [{ name: 'pay', input: { cents: 7 } }] } : JSON.stringify(told);
});
const writer = model('writer', { versions: { v1: { use } } });
const chat = workflow('chat', {}, async (ctx) =>
  ctx.infer('talk', { model: writer, prompt: 'pay', tools: { pay } }).then(({ text }) => text),
);

describe('orders over tools', () => {
  it('shut a tool off at once, also of an app that says nothing of tools, and say so in what was decided', async () => {
    await using spine = createSpine(defineApp({ models: [writer], workflows: [chat] }), { store: memory() });
    const said = async (): Promise<[string, unknown]> => {
      const run = await spine.start('chat', null);
      const text = await run.result();
      const [decision] = (await spine.runs.decisions(run.id).page()).items;
      return [text, decision?.tools];
    };
    expect((await said())[1]).toMatchObject([{ tool: 'pay', verdict: 'allowed', rule: '', taint: [] }]);
    expect(paid).toEqual([7]);
    await spine.tools.order('stop', { tools: 'p*', verdict: 'refuse', reason: 'the bank is down' });
    const [text, verdicts] = await said();
    expect(text).toContain('refused by the policy: the bank is down');
    expect(verdicts).toMatchObject([{ verdict: 'refused', rule: 'order:stop', why: 'the bank is down' }]);
    expect(paid).toEqual([7]);
    await spine.tools.order('stop', { tools: 'p*', verdict: 'limit', limits: { cents: { max: 6 } } });
    expect((await said())[0]).toContain('cents is above 6');
    await spine.tools.drop('stop');
    await said();
    expect(paid).toEqual([7, 7]);
    await expect(spine.tools.drop('stop')).rejects.toMatchObject({ code: 'TOOL_ORDER_UNKNOWN' });
    await expect(spine.tools.order('x', { tools: '', verdict: 'limit' })).rejects.toMatchObject({
      code: 'TOOL_ORDER_INVALID',
    });
  });

  it('hold for what a redrive does anew', async () => {
    let isDown = true;
    const flaky = tool({
      input: z.object({ cents: z.number() }),
      effect: 'external',
      run: ({ cents }) => {
        if (isDown) throw new Error('the bank is down');
        return paid.push(cents);
      },
    });
    const strict = workflow('strict', {}, async (ctx) => {
      const { text } = await ctx.infer('talk', { model: writer, prompt: 'pay', tools: { pay: flaky } });
      if (isDown) throw new Error('it was not paid');
      return text;
    });
    await using spine = createSpine(defineApp({ models: [writer], workflows: [strict] }), { store: memory() });
    const run = await spine.start('strict', null);
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    await spine.tools.order('stop', { tools: 'pay', verdict: 'refuse' });
    isDown = false;
    paid.length = 0;
    await spine.runs.retry(run.id);
    await run.result();
    expect(paid).toEqual([]);
    const events = (await spine.runs.history(run.id).page()).items;
    const verdicts = events.flatMap(({ type, data }) =>
      type === 'tool.judged' ? [(data as { readonly verdict: string }).verdict] : [],
    );
    expect(verdicts).toEqual(['allowed', 'refused']);
  });
});
