/** Types of inferences: what a schema gives back is what the body gets. `tsc` is the judge. */
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { capability, defineApp, model, tool, workflow, type Ctx, type Model } from '../../src/workflow/index.js';
import { fakeModel } from '../../src/testing/index.js';

const writer = model('writer', { versions: { v1: { use: fakeModel('x') } } });
const search = capability('search', { input: z.object({ query: z.string() }) });
const add = tool({
  input: z.object({ a: z.number(), b: z.number().default(0) }),
  run: (input, { toolCallId }) => {
    expectTypeOf(input).toEqualTypeOf<{ a: number; b: number }>();
    expectTypeOf(toolCallId).toEqualTypeOf<string>();
    return input.a + input.b;
  },
});
const anything = tool({ input: { type: 'object' }, run: (input) => expectTypeOf(input).toEqualTypeOf<unknown>() });

/** Never called: what is in here is compiled. */
export async function body(ctx: Ctx): Promise<void> {
  const { text, object } = await ctx.infer('a', { model: writer, prompt: 'x' });
  expectTypeOf(text).toEqualTypeOf<string>();
  expectTypeOf(object).toEqualTypeOf<unknown>();
  const judged = await ctx.infer('b', { model: 'writer', prompt: 'x', schema: z.object({ n: z.number() }) });
  expectTypeOf(judged.object).toEqualTypeOf<{ n: number }>();
  const plain = await ctx.infer('c', { model: writer, prompt: 'x', schema: { type: 'string' } });
  expectTypeOf(plain.object).toEqualTypeOf<unknown>();
  await ctx.infer(['d', 1], {
    model: writer,
    messages: [{ role: 'user', content: 'x' }],
    tools: { add, anything, search },
  });
  await ctx.infer('e', { model: writer, prompt: 'x', policy: ['fetch-by-id', 'retry'], timeout: '30s' });
  await ctx.infer('r', {
    model: writer,
    prompt: 'x',
    remedies: { overloaded: 'fallback', context_length_exceeded: 'person', timeout: 'auto' },
    compact: ({ messages }, { limit, failure }) => {
      expectTypeOf(limit).toEqualTypeOf<number | null>();
      expectTypeOf(failure.message).toEqualTypeOf<string>();
      return { messages: messages.slice(-2) };
    },
  });
  await ctx.step('s', () => 1, { remedies: { timeout: 'quarantine' } });
  await ctx.call(search, { query: 'x' }, { remedies: { dependency: 'person' } });
  // @ts-expect-error there is no such class
  await ctx.step('t', () => 1, { remedies: { timeouts: 'auto' } });
  // @ts-expect-error there is no such remedy
  await ctx.infer('u', { model: writer, prompt: 'x', remedies: { timeout: 'pray' } });
  // @ts-expect-error there is no such policy
  await ctx.infer('f', { model: writer, prompt: 'x', policy: 'hope' });
  // @ts-expect-error a function is no tool
  await ctx.infer('g', { model: writer, prompt: 'x', tools: { add: () => 1 } });
  // @ts-expect-error there is no such option
  await ctx.infer('h', { model: writer, prompt: 'x', temprature: 1 });
  // @ts-expect-error a model is needed
  await ctx.infer('i', { prompt: 'x' });
}

// @ts-expect-error what calls the provider is needed
export const nobody = (): unknown => model('nobody', { versions: { v1: { price: { input: 1, output: 1 } } } });

describe('types of inferences', () => {
  it('are checked by the compiler', () => {
    expectTypeOf(writer).toExtend<Model<'writer'>>();
    defineApp({ models: [writer], capabilities: [search], workflows: [workflow('w', {}, () => 'done')] });
    defineApp({ remedies: { overloaded: 'fallback' } });
    // @ts-expect-error there is no such remedy
    expect(() => defineApp({ remedies: { overloaded: 'never' } })).toThrow();
  });
});
