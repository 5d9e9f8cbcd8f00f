/** Breakers and chains of fallbacks on a clock that the test moves; over crashes at every await. */
import { describe, expect, it } from 'vitest';
import { defineApp, model, rule, tool, workflow, type AnyApp, type Model } from '../../workflow/index.js';
import { fakeModel, type FakeModel } from './fake-model.js';
import { testSpine } from './test-spine.js';

/** An endpoint that is down while `isDown` says so. */
function shaky(modelId: string, isDown: () => boolean): FakeModel {
  return fakeModel(
    () => {
      if (isDown()) throw Object.assign(new Error('overloaded'), { statusCode: 529, class: 'overloaded' });
      return modelId;
    },
    { modelId },
  );
}

const one = (use: FakeModel, name: string): Model => model(name, { versions: { v1: { use } } });
const once = { retry: { attempts: 1 } } as const;

describe('an open breaker', () => {
  it('makes inferences wait, lets one of them probe, and all go on when it was good', async () => {
    let isDown = true;
    const bad = shaky('bad', () => isDown);
    const main = one(bad, 'main');
    const body = workflow('w', {}, async (ctx) => {
      try {
        return (await ctx.infer('a', { model: main, prompt: '1', ...once })).text;
      } catch {
        return 'failed';
      }
    });
    const app = defineApp({ models: [main], workflows: [body] });
    await using spine = await testSpine(app as AnyApp, { traps: false });
    for (let i = 0; i < 10; i++) await spine.start('w', null);
    await spine.idle();
    expect(bad.calls).toHaveLength(10);
    const waiting = [await spine.start('w', null), await spine.start('w', null), await spine.start('w', null)];
    await spine.advance('4s');
    expect(bad.calls).toHaveLength(10);
    // The first probe finds it down as before: the next pause is twice as long.
    await spine.advance('5s');
    expect(bad.calls).toHaveLength(11);
    isDown = false;
    await spine.advance('5s');
    expect(bad.calls).toHaveLength(11);
    await spine.advance('30s');
    const outcomes = await Promise.all(waiting.map((run) => spine.result(run).catch(() => 'failed')));
    expect([...outcomes].sort()).toEqual(['bad', 'bad', 'failed']);
    expect(bad.calls).toHaveLength(13);
  });
});

describe('a chain of fallbacks', () => {
  it('pays each model one time, and runs no tool again that has run for the one before', async () => {
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
    const first = fakeModel(
      (_call, number) => {
        if (number > 1) throw Object.assign(new Error('refused'), { class: 'content_filtered', retryable: false });
        return { toolCalls: [{ name: 'look', input: {}, id: 'c1' }] };
      },
      { modelId: 'first' },
    );
    const second = fakeModel((call) => `said after ${call.prompt.length} messages`, { modelId: 'second' });
    const [main, spare] = [one(first, 'main'), one(second, 'spare')];
    const body = workflow('w', {}, async (ctx) => {
      const answer = await ctx.infer('a', {
        model: main,
        prompt: 'What colour?',
        tools: { look },
        fallback: [spare, rule('never', () => 'never')],
        within: '10m',
        ...once,
      });
      return [answer.text, answer.model.name, answer.hops.map(({ model: name }) => name)];
    });
    const app = defineApp({ models: [main, spare], workflows: [body] });
    await using spine = await testSpine(app as AnyApp, { crash: 'every-await' });
    const run = await spine.start('w', null);
    expect(await spine.result(run)).toEqual(['said after 3 messages', 'spare', ['main']]);
    expect([first.calls.length, second.calls.length, looked]).toEqual([2, 1, 1]);
  });

  it('comes to the same rule again, when its time was up', async () => {
    const main = one(
      shaky('bad', () => true),
      'main',
    );
    const slowly = { attempts: 5, min: '10m', max: '10m' } as const;
    const body = workflow('w', {}, async (ctx) => {
      const quick = rule('quick', ({ failure }) => failure.code);
      const { text } = await ctx.infer('a', {
        model: main,
        prompt: '1',
        within: '1m',
        retry: slowly,
        fallback: [quick],
      });
      await ctx.sleep('1h');
      return text;
    });
    const app = defineApp({ models: [main], workflows: [body] });
    await using spine = await testSpine(app as AnyApp, { crash: 'every-await' });
    const run = await spine.start('w', null);
    expect(await spine.result(run)).toBe('INFERENCE_TIMEOUT');
  });
});
