/** Runs with a shadow and without, over crashes at every await: they are the same, and so is what they pay. */
import { describe, expect, it } from 'vitest';
import { defineApp, model, tool, workflow, type AnyApp } from '../../workflow/index.js';
import { fakeModel } from './fake-model.js';
import { testSpine, type TestSpineOptions } from './test-spine.js';

/** What a run came to, and what was asked of both versions. */
async function played(shadowed: boolean, crash: TestSpineOptions['crash']): Promise<Record<string, unknown>> {
  let looked = 0;
  const look = tool({
    description: 'Looks it up.',
    input: { type: 'object', properties: {} },
    effect: 'external',
    run: () => {
      looked += 1;
      return 'blue';
    },
  });
  const primary = fakeModel((call) =>
    call.tools !== undefined && !call.prompt.some(({ role }) => role === 'tool')
      ? { toolCalls: [{ name: 'look', input: {}, id: 'c1' }] }
      : 'It is blue.',
  );
  const beside = fakeModel('It is green.', { modelId: 'm2' });
  const painter = model('painter', {
    versions: { v1: { use: primary }, v2: { use: beside } },
    ...(shadowed ? { shadow: { version: 'v2', share: 1, concurrency: 64 } } : {}),
  });
  const body = workflow('w', {}, async (ctx) => {
    const first = await ctx.infer('a', { model: painter, prompt: 'What colour?', tools: { look } });
    await ctx.sleep('1m');
    const second = await ctx.infer('b', { model: painter, prompt: 'Are you sure?', stream: true });
    const both = await ctx.ai('c', async (ai) => {
      const said = (await ai.model(painter).doGenerate({ prompt: [] } as never)) as { content: { text: string }[] };
      return said.content[0]?.text;
    });
    return [first.text, second.text, both];
  });
  const app = defineApp({ models: [painter], workflows: [body] });
  await using spine = await testSpine(app as AnyApp, crash === undefined ? {} : { crash });
  const run = await spine.start('w', null);
  const output = await spine.result(run);
  await spine.idle();
  const history = (await spine.history(run)).map(({ type, data }) => {
    const { grant, ...rest } = data as { readonly grant?: { readonly shadow?: string } };
    if (grant !== undefined && grant !== null) expect(grant.shadow).toBe(shadowed ? 'v2' : undefined);
    return [type, rest];
  });
  return { output, history, looked, paid: primary.calls.length, mirrored: beside.calls.length };
}

describe('a run with a shadow', () => {
  for (const crash of [undefined, 'every-await'] as const)
    it(`is the same as without${crash === undefined ? '' : ', over crashes at every await'}`, async () => {
      const { mirrored: none, ...without } = await played(false, crash);
      const { mirrored, ...withShadow } = await played(true, crash);
      expect(withShadow).toEqual(without);
      expect(without).toMatchObject({ looked: 1, paid: 4, output: ['It is blue.', 'It is blue.', 'It is blue.'] });
      // One for each answer at most, however often the body is begun anew.
      expect([none, mirrored]).toEqual([0, 4]);
    });
});
