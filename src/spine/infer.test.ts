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

  it('says why: what was asked of which model, what came of it by which way, and what it cost', async () => {
    let isFirst = true;
    const use = fakeModel(() => {
      if (!isFirst) return { text: 'yes', logprobs };
      isFirst = false;
      throw Object.assign(new Error('busy'), { statusCode: 529 });
    });
    const logprobs = [
      { token: 'yes', logprob: Math.log(0.75), top_logprobs: [{ token: 'no', logprob: Math.log(0.25) }] },
    ];
    const writer = model('writer', { versions: { v1: { use, endpoint: 'here', price: { input: 100, output: 100 } } } });
    const { start, runs } = open(
      async (ctx) =>
        (await ctx.infer('draft', { model: writer, prompt: 'Why?', retry: { min: 0, max: 1 } })).confidence,
      [writer],
    );
    const run = await start('w', null);
    expect(await run.result()).toBe(0.75);
    const decisions: unknown[] = [];
    for await (const decision of runs.decisions(run.id)) decisions.push(decision);
    expect(decisions).toMatchObject([
      {
        path: 'draft',
        status: 'completed',
        attempt: 2,
        model: 'writer',
        version: 'v1',
        arm: 'v1',
        endpoint: 'here',
        input: { seq: 5, event: `${run.id}/5`, blob: null },
        output: { seq: 6 },
        finish: 'stop',
        costMicros: 1_500,
        hops: [{ attempt: 1, version: 'v1', endpoint: 'here', class: 'overloaded' }],
        ambiguous: [],
        confidence: 0.75,
        alternatives: [{ text: 'no', probability: 0.25 }],
        failure: null,
      },
    ]);
    await expect(async () => {
      for await (const one of runs.decisions('run_01h455vb4pex5vsknk084sn02q')) decisions.push(one);
    }).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  it('shows the text of a streamed answer while it comes, and to late readers as well', async () => {
    const writer = model('writer', { versions: { v1: { use: fakeModel('one two three') } } });
    const { start } = open(
      async (ctx) => (await ctx.infer('draft', { model: writer, prompt: 'Count.', stream: true })).text,
      [writer],
    );
    const run = await start('w', null);
    for (let reader = 0; reader < 2; reader++) {
      let text = '';
      for await (const item of run.chunks('draft')) if (item.event === 'chunk') text += String(item.value);
      expect(text).toBe('one two three');
      expect(await run.result()).toBe('one two three');
    }
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
