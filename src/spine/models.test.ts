/** Models over a whole spine: versions that are promoted under live runs, breakers, and chains of fallbacks. */
import { afterEach, describe, expect, it } from 'vitest';
import { fakeModel, type FakeModel } from '../testing/kit/fake-model.js';
import {
  createSpine,
  defineApp,
  memory,
  model,
  person,
  rule,
  signal,
  workflow,
  type AnyApp,
  type Ctx,
  type Model,
  type Spine,
} from './index.js';
import type { ModelCallNow } from '../workflow/infer/model-endpoint.js';

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

/** An endpoint that is down until it is mended. */
function shaky(modelId: string): FakeModel & { broken: boolean } {
  const use = fakeModel(
    () => {
      if (use.broken) throw Object.assign(new Error('overloaded'), { statusCode: 529, class: 'overloaded' });
      return modelId;
    },
    { modelId },
  ) as FakeModel & { broken: boolean };
  use.broken = true;
  return use;
}

const once = { retry: { attempts: 1 } } as const;

describe('versions of a model', () => {
  it('are promoted and rolled back for new runs, and a run that has asked one stays with it', async () => {
    const go = signal('go');
    const writer = model('writer', {
      versions: { v1: { use: fakeModel('one') }, v2: { use: fakeModel('two', { modelId: 'm2' }) } },
    });
    const { start, models } = open([writer], async (ctx, waits) => {
      const first = await ctx.infer('a', { model: writer, prompt: '1' });
      if (waits === true) await ctx.waitFor(go);
      const second = await ctx.infer('b', { model: writer, prompt: '2' });
      return [first.text, second.text];
    });
    const live = await start('w', true);
    await expect.poll(async () => (await live.status()).waitingFor.length).toBe(1);
    expect((await models.change('writer', { change: 'promote', version: 'v2' })).versions).toMatchObject([
      { version: 'v1', weight: 0, declaredWeight: 1 },
      { version: 'v2', weight: 1, declaredWeight: 0 },
    ]);
    expect(await (await start('w', false)).result()).toEqual(['two', 'two']);
    await spine?.signal(live.id, go, null);
    expect(await live.result()).toEqual(['one', 'one']);
    await models.change('writer', { change: 'rollback' });
    expect(await (await start('w', false)).result()).toEqual(['one', 'one']);
    await expect(models.change('writer', { change: 'promote', version: 'v9' })).rejects.toThrow(/v9/);
    const told = await models.events().page();
    expect(told.items.map(({ event }) => event['data'])).toMatchObject([
      { change: 'promote', model: 'writer', from: null, to: { v2: 1 } },
      { change: 'rollback', model: 'writer', from: { v2: 1 }, to: null },
    ]);
  });

  it('are compared by what their runs came to, and by what users make of them', async () => {
    const writer = model('writer', {
      versions: {
        v1: { use: fakeModel('one'), weight: 1 },
        v2: { use: fakeModel('two', { modelId: 'm2' }), weight: 1 },
      },
    });
    const { start, models } = open(
      [writer],
      async (ctx) => (await ctx.infer('a', { model: writer, prompt: '1' })).text,
    );
    const runs = await Promise.all(Array.from({ length: 60 }, () => start('w', null)));
    for (const run of runs) {
      const score = (await run.result()) === 'two' ? 1 : 0;
      await models.outcome(run.id, { model: 'writer', score });
      // Said once more, it does not count once more.
      await models.outcome(run.id, { model: 'writer', score: 1 - score });
    }
    const report = await models.report('writer');
    expect(report).toMatchObject({
      against: 'v1',
      alpha: 0.05,
      arms: [
        { version: 'v1', score: 0 },
        { version: 'v2', score: 1 },
      ],
    });
    expect(report.arms.map(({ inferences }) => inferences).reduce((a, b) => a + b)).toBe(60);
    expect(report.arms.map(({ scores }) => scores).reduce((a, b) => a + b)).toBe(60);
    expect(report.arms[1]?.comparisons).toMatchObject([
      { of: 'failures', difference: 0, isShown: false },
      { of: 'score', difference: 1, isShown: true },
      { of: 'latencyMs', isShown: false },
      { of: 'costMicros', isShown: false },
    ]);
    await expect(models.outcome(runs[0]?.id ?? '', { model: 'reader', score: 1 })).rejects.toThrow(/reader/);
  });
});

describe('ctx.outcome', () => {
  it('counts for the version that has answered', async () => {
    const writer = model('writer', { versions: { v1: { use: fakeModel('one') } } });
    const { start, models } = open([writer], async (ctx) => {
      const answer = await ctx.infer('a', { model: writer, prompt: '1' });
      await ctx.outcome(answer, 0.25);
      await ctx.outcome(answer.model, 0.75, { as: 'later' });
    });
    await (await start('w', null)).result();
    expect((await models.report('writer')).arms).toMatchObject([{ version: 'v1', scores: 2, score: 0.5 }]);
  });

  it('refuses what is no score', async () => {
    const writer = model('writer', { versions: { v1: { use: fakeModel('one') } } });
    const { start } = open([writer], async (ctx) => {
      await ctx.outcome({ name: 'writer', version: 'v1', arm: 'v1' }, 5);
    });
    await expect((await start('w', null)).result()).rejects.toThrow(/from 0 to 1/);
  });
});

describe('a breaker', () => {
  it('opens when calls of an endpoint fail, and the next run goes to the fallback without calling it', async () => {
    const [bad, good] = [shaky('bad'), fakeModel('good', { modelId: 'good' })];
    const main = model('main', { versions: { v1: { use: bad } } });
    const spare = model('spare', { versions: { v1: { use: good } } });
    const { start, models } = open([main, spare], async (ctx) => {
      const { text, hops } = await ctx.infer('a', { model: main, prompt: '1', fallback: [spare], ...once });
      return { text, hops: hops.map(({ model: name, endpoint, code }) => [name, endpoint, code]) };
    });
    const results: unknown[] = [];
    for (let i = 0; i < 10; i++) results.push(await (await start('w', null)).result());
    expect(bad.calls).toHaveLength(10);
    await expect.poll(async () => (await models.get('main')).versions[0]?.breaker.state).toBe('open');
    expect(await (await start('w', null)).result()).toEqual({
      text: 'good',
      hops: [['main', 'fake/bad', 'BREAKER_OPEN']],
    });
    expect(bad.calls).toHaveLength(10);
    // An operator knows that it is mended.
    bad.broken = false;
    await models.change('main', { change: 'reset-breaker', version: 'v1' });
    expect(await (await start('w', null)).result()).toEqual({ text: 'bad', hops: [] });
    const told = (await models.events().page()).items.map(({ event }) => event['data']);
    expect(told).toMatchObject([
      { change: 'breaker', endpoint: 'fake/bad', from: 'closed', to: 'open', by: 'engine' },
      { change: 'breaker', endpoint: 'fake/bad', from: 'open', to: 'closed' },
    ]);
  });
});

/** A provider whose next answers come with headers, or are refusals with them. */
function telling(modelId: string) {
  const script: { readonly status: number | null; readonly headers: Readonly<Record<string, string>> }[] = [];
  const use = fakeModel('said', { modelId });
  const answer = async (call: ModelCallNow): Promise<object> => {
    const { status = null, headers = {} } = script.shift() ?? {};
    const given = (await use.doGenerate(call)) as object;
    if (status !== null) throw Object.assign(new Error('refused'), { statusCode: status, responseHeaders: headers });
    return { ...given, response: { headers } };
  };
  const { specificationVersion, provider } = use;
  const doStream = use.doStream.bind(use);
  return { use: { specificationVersion, provider, modelId, doGenerate: answer, doStream }, calls: use.calls, script };
}

describe('a pause that an endpoint asks for', () => {
  it('holds for all runs, says why they wait, and ends by itself', async () => {
    const { use, calls, script } = telling('slow');
    const main = model('main', { versions: { v1: { use } } });
    const { start, models } = open([main], async (ctx) => (await ctx.infer('a', { model: main, prompt: '1' })).text);
    script.push({ status: 429, headers: { 'retry-after-ms': '1200' } });
    const first = await start('w', null);
    await expect.poll(async () => (await models.get('main')).versions[0]?.pausedUntil).toBeTruthy();
    const second = await start('w', null);
    const waits = async () => (await second.status()).waitingFor[0];
    await expect.poll(async () => (await waits())?.text).toContain('Rate paused: endpoint fake/slow');
    expect((await waits())?.until).toBeDefined();
    expect(calls).toHaveLength(1);
    expect(await Promise.all([first.result(), second.result()])).toEqual(['said', 'said']);
    expect(calls).toHaveLength(3);
    expect((await models.get('main')).versions[0]?.pausedUntil).toBeNull();
    const told = (await models.events().page()).items.map(({ event }) => event['data']);
    expect(told).toMatchObject([{ change: 'pause', endpoint: 'fake/slow', by: 'engine' }]);
  });

  it('is asked for by an answer that says that nothing is left; who has somebody else to ask, asks him', async () => {
    const { use, calls, script } = telling('spent');
    const main = model('main', { versions: { v1: { use } } });
    const spare = model('spare', { versions: { v1: { use: fakeModel('spare', { modelId: 'spare' }) } } });
    const { start, models } = open([main, spare], async (ctx, input) => {
      const options = { model: main, prompt: '1', fallback: input === true ? [spare] : [] };
      const { text, hops } = await ctx.infer('a', options);
      return [text, hops.map(({ class: kind, code }) => `${kind} ${code}`)];
    });
    script.push({
      status: null,
      headers: { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '1h' },
    });
    expect(await (await start('w', false)).result()).toEqual(['said', []]);
    expect(await (await start('w', true)).result()).toEqual(['spare', ['rate_limited ENDPOINT_PAUSED']]);
    expect(calls).toHaveLength(1);
    // The provider has raised it, an operator knows.
    await models.change('main', { change: 'reset-breaker', version: 'v1' });
    expect(await (await start('w', true)).result()).toEqual(['said', []]);
  });
});

describe('a chain of fallbacks', () => {
  const down = (): Model => model('main', { versions: { v1: { use: shaky('bad') } } });

  it('goes on to a rule, whose answer fits the schema, and says who has answered', async () => {
    const main = down();
    const schema = { type: 'object', properties: { mood: { type: 'string' } }, required: ['mood'] };
    const silent = rule('silent', () => undefined);
    const wrong = rule('wrong', () => ({ mood: 1 }));
    const neutral = rule('neutral', ({ failure, messages }) => ({ mood: `${failure.code}/${messages.length}` }));
    const { start } = open([main], async (ctx) => {
      const options = { model: main, prompt: '1', schema, ...once };
      const answer = await ctx.infer('a', { ...options, fallback: [silent, wrong, neutral] });
      return [answer.object, answer.model, answer.hops.length];
    });
    expect(await (await start('w', null)).result()).toEqual([
      { mood: 'OUTPUT_INVALID/1' },
      { name: 'neutral', version: '', arm: 'rule' },
      1,
    ]);
  });

  it('ends with a person, who fills in what the schema asks for', async () => {
    const main = down();
    const { start, approvals } = open([main], async (ctx) => {
      const answer = await ctx.infer('a', {
        model: main,
        prompt: 'Is it urgent?',
        fallback: [person({ to: 'role:editor', title: 'Answer by hand' })],
        ...once,
      });
      return [answer.text, answer.model.arm];
    });
    const run = await start('w', null);
    const waiting = async () => (await approvals.list().page()).items[0];
    await expect.poll(waiting).toBeDefined();
    const found = await waiting();
    await approvals.approve(found?.id ?? '', { form: { answer: 'yes' }, as: { user: 'ann', roles: ['editor'] } });
    expect(await run.result()).toEqual(['yes', 'person']);
  });

  it('gives models up when their time is over, and what comes after has its turn', async () => {
    const hanging = fakeModel(() => new Promise<string>(() => {}), { modelId: 'slow' });
    const main = model('main', { versions: { v1: { use: hanging } } });
    const { start } = open([main], async (ctx) => {
      const quick = rule('quick', ({ failure }) => failure.code);
      const { text, model: by } = await ctx.infer('a', { model: main, prompt: '1', within: '50ms', fallback: [quick] });
      return [text, by.name];
    });
    expect(await (await start('w', null)).result()).toEqual(['INFERENCE_TIMEOUT', 'quick']);
  });

  it('fails with the failure of its last where nobody has an answer', async () => {
    const main = down();
    const { start } = open([main], async (ctx) => {
      await ctx.infer('a', { model: main, prompt: '1', fallback: [rule('none', () => null)], ...once });
    });
    await expect((await start('w', null)).result()).rejects.toThrow(/overloaded/);
  });
});
