import { afterEach, describe, expect, it } from 'vitest';
import { fakeModel } from '../testing/kit/fake-model.js';
import {
  createSpine,
  defineApp,
  memory,
  model,
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

function open(body: (ctx: Ctx) => Promise<unknown>, models: readonly Model[]) {
  const app = defineApp({ models, workflows: [workflow('w', {}, body)] });
  const opened = createSpine(app as AnyApp, { store: memory(), worker: { parkAfterMs: 0 } });
  spine = opened;
  return opened;
}

describe('ctx.infer', () => {
  it('asks the model of the app, and its run shows the inference, what it has spent and the decision', async () => {
    const use = fakeModel({ text: 'It is blue.', usage: { inputTokens: 2_000, outputTokens: 1_000 } });
    const writer = model('writer', { versions: { v1: { use, price: { input: 1, output: 3 } } } });
    const { start, run: handle } = open(
      async (ctx) => (await ctx.infer('draft', { model: 'writer', prompt: 'Why?' })).text,
      [writer],
    );
    const run = await start('w', null);
    expect(await run.result()).toBe('It is blue.');
    const view = await handle(run.id).status();
    expect(view.steps).toMatchObject([{ path: 'draft', kind: 'inference', status: 'completed', model: 'writer' }]);
    expect(view.spend).toEqual({ calls: 1, inputTokens: 2_000, outputTokens: 1_000, costMicros: 5_000, ambiguous: 0 });
    expect(use.calls).toHaveLength(1);
  });

  it('keeps a run with the version that its arm says, by weight', async () => {
    const first = fakeModel('first', { modelId: 'one' });
    const second = fakeModel('second', { modelId: 'two' });
    const writer = model('writer', { versions: { v1: { use: first, weight: 1 }, v2: { use: second, weight: 1 } } });
    const { start } = open(
      async (ctx) => {
        const a = await ctx.infer('a', { model: writer, prompt: '1' });
        const b = await ctx.infer('b', { model: writer, prompt: '2' });
        return [a.text, b.text, a.model.version];
      },
      [writer],
    );
    const runs = await Promise.all(Array.from({ length: 24 }, () => start('w', null)));
    const results = (await Promise.all(runs.map((run) => run.result()))) as string[][];
    for (const [a, b] of results) expect(b).toBe(a);
    expect(new Set(results.map(([a]) => a))).toEqual(new Set(['first', 'second']));
  });

  it('fails with MODEL_UNKNOWN where the app has no such model', async () => {
    const { start } = open(async (ctx) => ctx.infer('draft', { model: 'nobody', prompt: 'Why?' }), []);
    const run = await start('w', null);
    await expect(run.result()).rejects.toThrow(/MODEL_UNKNOWN|model/i);
  });

  it('fails with MODEL_UNKNOWN where the model was not put into the app', async () => {
    const stray = model('stray', { versions: { v1: { use: fakeModel('x') } } });
    const { start } = open(async (ctx) => ctx.infer('draft', { model: stray, prompt: 'Why?' }), []);
    const run = await start('w', null);
    await expect(run.result()).rejects.toThrow(/MODEL_UNKNOWN|model/i);
  });
});
