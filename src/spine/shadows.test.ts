/** Shadows of models over a whole spine: they are asked beside those that answer, and nobody notices. */
import { afterEach, describe, expect, it } from 'vitest';
import type { ModelShadowView } from '../protocol/http.js';
import { fakeModel, type FakeModel } from '../testing/kit/fake-model.js';
import {
  createSpine,
  defineApp,
  memory,
  model,
  tool,
  workflow,
  type AnyApp,
  type Ctx,
  type Model,
  type ModelOptions,
  type Spine,
} from './index.js';

let spine: Spine<AnyApp> | null = null;

afterEach(async () => {
  await spine?.close();
  spine = null;
});

function open(models: readonly Model[], body: (ctx: Ctx, input: unknown) => Promise<unknown>): Spine<AnyApp> {
  const app = defineApp({ models, workflows: [workflow('w', {}, body)] });
  spine = createSpine(app as AnyApp, { store: memory(), worker: { parkAfterMs: 0 } });
  return spine;
}

const price = { input: 1_000_000, output: 0 };

function writerOf(primary: FakeModel, shadow: FakeModel, options: ModelOptions['shadow']): Model {
  const versions = { v1: { use: primary, price }, v2: { use: shadow, price } };
  return model('writer', { versions, ...(options === undefined ? {} : { shadow: options }) });
}

async function shadowOf(until: (view: ModelShadowView) => boolean): Promise<ModelShadowView> {
  let view: ModelShadowView | null = null;
  await expect
    .poll(async () => {
      view = (await spine?.models.get('writer'))?.shadow ?? null;
      return view !== null && until(view);
    })
    .toBe(true);
  if (view === null) throw new Error('there is no shadow');
  return view;
}

const answers = (view: ModelShadowView): number => view.evidence.reduce((sum, one) => sum + one.answers, 0);
const failed = (view: ModelShadowView): number =>
  view.evidence.reduce((sum, { failures }) => sum + Object.values(failures).reduce((all, n) => all + n, 0), 0);

describe('a shadow', () => {
  it('is asked what the model was asked, and its answers are compared and not given to anybody', async () => {
    const schema = { type: 'object', properties: { spam: { type: 'boolean' }, score: { type: 'number' } } };
    const primary = fakeModel({ text: '{"spam":true,"score":1}' });
    const shadow = fakeModel({ text: '{"score": 1, "spam": true}' }, { modelId: 'm2' });
    const writer = writerOf(primary, shadow, { version: 'v2', share: 1 });
    const { start, models } = open([writer], async (ctx) => {
      const whole = await ctx.infer('a', { model: writer, prompt: 'Is it spam?', schema });
      const parts = await ctx.infer('b', { model: writer, prompt: 'Is it spam?', stream: true });
      return [whole.object, parts.text, parts.model.version];
    });
    const run = await start('w', null);
    expect(await run.result()).toEqual([{ spam: true, score: 1 }, '{"spam":true,"score":1}', 'v1']);
    const view = await shadowOf((seen) => answers(seen) === 2);
    expect(view).toMatchObject({ rule: { version: 'v2', share: 1 }, isSet: false, underWay: 0 });
    expect(view.spentTodayMicros).toBe(20 * 1_000_000);
    const [evidence] = view.evidence;
    expect(evidence).toMatchObject({ version: 'v2', against: 'v1', answers: 2, failures: {} });
    expect(evidence?.exact).toMatchObject({ n: 2, mean: 0 });
    expect(evidence?.json).toMatchObject({ n: 1, mean: 1 });
    expect(evidence?.similarity?.mean).toBeGreaterThan(0.5);
    expect(evidence?.tools).toBeNull();
    expect([primary.calls.length, shadow.calls.length]).toEqual([2, 2]);
    expect(shadow.calls[0]?.prompt).toEqual(primary.calls[0]?.prompt);
    const types = (await run.history().page()).items.map(({ type }) => type);
    expect(types.filter((type) => type === 'inference.completed')).toHaveLength(2);
    expect((await run.status()).spend.calls).toBe(2);
    const told = await models.events().page();
    expect(told.items.map(({ event }) => event['data'])).toMatchObject([
      { change: 'shadow-answer', model: 'writer', version: 'v2', against: 'v1', run: run.id, failure: null },
      { change: 'shadow-answer', run: run.id, comparison: { exact: false, json: null } },
    ]);
    const report = await models.report('writer', { alpha: 0.2 });
    expect(report.shadow?.evidence[0]?.json?.interval.low).toBeGreaterThan(evidence?.json?.interval.low ?? 1);
  });

  it('is told of tools and calls none of them', async () => {
    let refunds = 0;
    const refund = tool({
      description: 'Pays back.',
      input: { type: 'object', properties: { cents: { type: 'number' } } },
      effect: 'external',
      run: () => {
        refunds += 1;
        return 'done';
      },
    });
    const asks = (cents: number): FakeModel =>
      fakeModel((call) =>
        call.prompt.some(({ role }) => role === 'tool')
          ? 'It is paid back.'
          : { toolCalls: [{ name: 'refund', input: { cents } }] },
      );
    const shadow = asks(900);
    const writer = writerOf(asks(5), shadow, { version: 'v2', share: 1 });
    const { start } = open(
      [writer],
      async (ctx) => (await ctx.infer('a', { model: writer, prompt: 'Pay it back.', tools: { refund } })).text,
    );
    expect(await (await start('w', null)).result()).toBe('It is paid back.');
    const [evidence] = (await shadowOf((seen) => answers(seen) === 2)).evidence;
    expect(refunds).toBe(1);
    expect(shadow.calls[0]?.tools).toMatchObject([{ name: 'refund' }]);
    expect(evidence?.tools).toMatchObject({ n: 1, mean: 0 });
    expect(evidence?.exact).toMatchObject({ n: 2, mean: 0.5 });
  });

  it('neither delays nor fails anything, whatever it does', async () => {
    const shadow = fakeModel(() => new Promise<string>(() => undefined), { modelId: 'm2' });
    const broken = fakeModel(
      () => {
        throw Object.assign(new Error('overloaded'), { statusCode: 529, class: 'overloaded' });
      },
      { modelId: 'm3' },
    );
    const versions = { v1: { use: fakeModel('one') }, v2: { use: shadow }, v3: { use: broken } };
    const writer = model('writer', { versions, shadow: { version: 'v2', share: 1, concurrency: 2 } });
    const { start, models } = open([writer], async (ctx) => {
      const texts: string[] = [];
      for (let i = 0; i < 4; i++) texts.push((await ctx.infer(`a${i}`, { model: writer, prompt: '1' })).text);
      return texts;
    });
    expect(await (await start('w', null)).result()).toEqual(['one', 'one', 'one', 'one']);
    // No more than two of them have found a place.
    await expect.poll(() => shadow.calls.length).toBe(2);
    expect((await models.get('writer')).shadow).toMatchObject({ underWay: 2 });
    await models.change('writer', { change: 'shadow', shadow: null });
    expect(await (await start('w', null)).result()).toHaveLength(4);
    await models.change('writer', {
      change: 'shadow',
      shadow: { version: 'v3', share: 1, concurrency: 64, perDayMicros: null },
    });
    expect(await (await start('w', null)).result()).toHaveLength(4);
    const view = await shadowOf((seen) => failed(seen) === 4);
    expect(view.evidence[0]).toMatchObject({ version: 'v3', failures: { overloaded: 4 } });
    expect((await models.get('writer')).versions.map(({ breaker }) => breaker.state)).toEqual([
      'closed',
      'closed',
      'closed',
    ]);
    expect(shadow.calls).toHaveLength(2);
  });

  it('is not asked beyond what it may cost a day', async () => {
    const shadow = fakeModel({ text: 'two', usage: { inputTokens: 10, outputTokens: 0 } });
    const writer = writerOf(fakeModel('one'), shadow, { version: 'v2', share: 1, concurrency: 1, perDay: 20 });
    const { start } = open(
      [writer],
      async (ctx, prompt) => (await ctx.infer('a', { model: writer, prompt: String(prompt) })).text,
    );
    for (let i = 1; i <= 5; i++) {
      await (await start('w', 'x')).result();
      await shadowOf((seen) => seen.underWay === 0 && answers(seen) >= Math.min(i, 2));
    }
    const view = await shadowOf(() => true);
    expect(view.spentTodayMicros).toBe(20 * 1_000_000);
    expect(shadow.calls).toHaveLength(2);
  });

  it('is refused in code with all that is wrong with it', () => {
    const use = fakeModel('one');
    const wrong = { version: 'v9', share: 2, concurrency: 0, perDay: -1, shares: 1 };
    expect(() => writerOf(use, use, wrong)).toThrow(/"shares" is not an option.*v9.*share.*concurrency.*money/s);
    const free = { versions: { v1: { use }, v2: { use } }, shadow: { version: 'v2', perDay: 5 } };
    expect(() => model('writer', free)).toThrow(/v2" has no price/);
  });

  it('is set by operators over what the app declares, each change an event', async () => {
    const writer = writerOf(fakeModel('one'), fakeModel('two'), { version: 'v2', share: 0.5 });
    const { models } = open([writer], () => Promise.resolve(null));
    expect((await models.get('writer')).shadow?.rule).toMatchObject({ share: 0.5, concurrency: 2, perDayMicros: null });
    const rule = { version: 'v1', share: 0.1, concurrency: 3, perDayMicros: 5_000_000 };
    expect((await models.change('writer', { change: 'shadow', shadow: rule })).shadow).toMatchObject({
      rule,
      isSet: true,
    });
    expect((await models.change('writer', { change: 'promote', version: 'v2' })).shadow?.rule).toEqual(rule);
    expect((await models.change('writer', { change: 'reset' })).shadow?.rule?.version).toBe('v2');
    const wrong = { version: 'v9', share: 2, concurrency: 0, perDayMicros: -1 };
    await expect(models.change('writer', { change: 'shadow', shadow: wrong })).rejects.toThrow(
      /v9.*share.*concurrency/,
    );
    const told = await models.events().page();
    expect(told.items[0]?.event['data']).toMatchObject({ change: 'shadow', from: null, to: rule });
  });
});
