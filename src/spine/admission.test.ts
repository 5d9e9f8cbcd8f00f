/** Limits over a whole spine: calls wait for room, and what waits goes on when there is some. */
import { afterEach, describe, expect, it } from 'vitest';
import { fakeModel } from '../testing/kit/fake-model.js';
import {
  capability,
  createSpine,
  defineApp,
  limit,
  memory,
  model,
  Transient,
  workflow,
  type AnyApp,
  type Limit,
  type LimitOptions,
  type Spine,
} from './index.js';
import type { ModelCallNow } from '../workflow/infer/model-endpoint.js';

let opened: Spine<AnyApp> | null = null;

afterEach(async () => {
  await opened?.close();
  opened = null;
});

/** A capability whose calls end when they are told to, and a workflow that makes some at once. */
function limited(options: LimitOptions, ...others: readonly Limit[]) {
  let underWay = 0;
  let most = 0;
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const work = capability('work', {
    limits: [limit('room', options), ...others],
    retry: { attempts: 3, min: 1, max: 1 },
  });
  const faults = new Map<number, Error>();
  const handler = work.implement(async (input) => {
    const i = input as number;
    begun.push(i);
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise<void>((resolve) => ends.push(resolve));
    underWay -= 1;
    const fault = faults.get(i);
    faults.delete(i);
    if (fault !== undefined) throw fault;
    return i;
  });
  const calls = workflow('calls', {}, async (ctx, input) => {
    const { items } = input as { readonly items: readonly number[] };
    const made = await Promise.all(items.map((i) => ctx.call(work, i, { as: `call-${i}` })));
    return made.length;
  });
  const app = defineApp({ workflows: [calls], handlers: [handler] });
  const spine = createSpine(app as AnyApp, { store: memory() });
  opened = spine;
  const until = async (holds: () => boolean): Promise<void> => {
    await expect.poll(holds, { timeout: 5_000, interval: 5 }).toBe(true);
  };
  const endOne = async (): Promise<void> => {
    await until(() => ends.length > 0);
    ends.shift()?.();
  };
  return { spine, begun, faults, until, endOne, ends, underWay: () => underWay, most: () => most };
}

describe('a limit', () => {
  it('lets as many calls be under way at one time as it says, and all in the end', async () => {
    const { spine, endOne, until, underWay, most } = limited({ concurrency: 2 });
    const run = await spine.start('calls', { items: [1, 2, 3, 4, 5] });
    await until(() => underWay() === 2);
    for (let i = 0; i < 5; i++) await endOne();
    expect(await run.result()).toBe(5);
    expect(most()).toBe(2);
  });

  it('gives the slot of a call that has failed to the next, and lets it in again for its next attempt', async () => {
    const { spine, begun, faults, endOne, most } = limited({ concurrency: 1 });
    faults.set(1, new Transient('not now'));
    const run = await spine.start('calls', { items: [1, 2] });
    for (let i = 0; i < 3; i++) await endOne();
    expect(await run.result()).toBe(2);
    expect(most()).toBe(1);
    expect([...begun].sort()).toEqual([1, 1, 2]);
  });

  it('gives back what a cancelled run held, and forgets what it waited for', async () => {
    const { spine, begun, until, endOne, ends } = limited({ concurrency: 1 });
    const first = await spine.start('calls', { items: [1, 2] });
    await until(() => begun.length === 1);
    const second = await spine.start('calls', { items: [3] });
    await first.cancel();
    await until(() => begun.length === 2);
    expect(begun[1]).toBe(3);
    while (ends.length > 0) await endOne();
    expect(await second.result()).toBe(1);
  });

  it('counts apart what it is told to count apart', async () => {
    const { spine, until, endOne, underWay } = limited({ concurrency: 1, by: ['run'] });
    const runs = [await spine.start('calls', { items: [1, 2] }), await spine.start('calls', { items: [3, 4] })];
    await until(() => underWay() === 2);
    for (let i = 0; i < 4; i++) await endOne();
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([2, 2]);
  });

  it('lets no more begin in a time than its rate says, and the rest when there is room', async () => {
    const { spine, begun, until, endOne } = limited({ rate: { requests: 2, per: '300ms' } });
    const at: number[] = [];
    const run = await spine.start('calls', { items: [1, 2, 3, 4] });
    for (let i = 0; i < 4; i++) {
      await until(() => begun.length > i);
      at.push(Date.now());
      await endOne();
    }
    expect(await run.result()).toBe(4);
    expect((at[3] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(250);
  });

  it('takes all that a call needs, or nothing of it', async () => {
    const both = limit('both', { concurrency: 1 });
    const { spine, endOne, most } = limited({ concurrency: 3 }, both);
    const run = await spine.start('calls', { items: [1, 2, 3] });
    for (let i = 0; i < 3; i++) await endOne();
    expect(await run.result()).toBe(3);
    expect(most()).toBe(1);
  });
});

/** A model whose answers end when they are told to, and a workflow that asks it some times at once. */
function limitedModel(limits: readonly Limit[], usage = { inputTokens: 10, outputTokens: 10 }) {
  const use = fakeModel({ text: 'yes', usage });
  const writer = model('writer', { versions: { v1: { use, price: { input: 1_000, output: 1_000 } } } });
  const ask = workflow('ask', {}, async (ctx, input) => {
    const { count } = input as { readonly count: number };
    const asked = Array.from({ length: count }, (_, i) =>
      ctx.infer(['ask', i], { model: writer, prompt: 'Well?', maxOutputTokens: 20 }),
    );
    return (await Promise.all(asked)).length;
  });
  const app = defineApp({ workflows: [ask], models: [writer], limits });
  const spine = createSpine(app as AnyApp, { store: memory(), worker: { parkAfterMs: 0 } });
  opened = spine;
  return { spine, use };
}

describe('a limit of inferences', () => {
  it('lets them go on one after the other, and the run waits in between', async () => {
    const { spine, use } = limitedModel([limit('one', { concurrency: 1, scope: 'inferences' })]);
    const run = await spine.start('ask', { count: 4 });
    expect(await run.result()).toBe(4);
    expect(use.calls).toHaveLength(4);
  });

  it('counts the tokens that were used, and not those that were set aside', async () => {
    // Each sets aside 20 tokens of the answer and those of the prompt, and uses 20 in all.
    const rate = { tokens: 100, per: '1d' } as const;
    const { spine, use } = limitedModel([limit('tokens', { rate, scope: 'inferences' })]);
    const run = await spine.start('ask', { count: 6 });
    await expect.poll(() => use.calls.length, { timeout: 5_000 }).toBe(4);
    await expect.poll(async () => (await spine.run(run.id).status())?.state, { timeout: 5_000 }).toBe('waiting');
    expect(use.calls).toHaveLength(4);
  });

  it('spends no more money than there is, and the run waits for more', async () => {
    // 20 tokens cost 0.02; what is set aside is more.
    const budget = { amount: 0.1, per: 'day' } as const;
    const { spine, use } = limitedModel([limit('money', { budget, by: ['tenant'], scope: 'inferences' })]);
    const run = await spine.start('ask', { count: 6 });
    await expect.poll(async () => (await spine.run(run.id).status())?.state, { timeout: 5_000 }).toBe('waiting');
    expect(use.calls.length).toBeGreaterThan(2);
    expect(use.calls.length).toBeLessThan(6);

    const [wait] = (await spine.run(run.id).status())?.waitingFor ?? [];
    expect(wait).toMatchObject({ kind: 'limit', limit: { limit: 'money', key: 'money[tenant=default]' } });
    expect(wait?.limit?.expectedAt).toMatch(/T00:00:00/);
    expect(await spine.limits.list()).toMatchObject([{ name: 'money', kind: 'budget', declared: true, set: null }]);

    // Somebody raises the budget, and what waits goes on.
    await spine.limits.set('money', { budget: { amount: 1, per: 'day' }, by: ['tenant'], scope: 'inferences' });
    expect(await run.result()).toBe(6);
    expect(await spine.limits.get('money')).toMatchObject({
      set: { by: 'client:embedded' },
      counters: [{ used: 120_000 }],
    });
    await spine.limits.reset('money');
    expect(await spine.limits.get('money')).toMatchObject({ set: null, options: { budget: { amount: 0.1 } } });
    const events = await spine.topics.events('eventspine.limits', { partition: 0 }).page();
    expect(events.items.map(({ event }) => event.data)).toMatchObject([{ change: 'set' }, { change: 'reset' }]);
  });

  it('is refused where it makes no sense', async () => {
    const { spine } = limitedModel([]);
    const wrong = { rate: { tokens: 1 }, concurrency: 2 } as unknown as LimitOptions;
    await expect(spine.limits.set('x', wrong)).rejects.toThrow(/exactly one/);
    await expect(spine.limits.reset('x')).rejects.toThrow(/no limit/);
  });
});

describe('what others say of their limits', () => {
  it('pauses the limited calls of a capability whose handler reports it, and says so', async () => {
    const search = capability('search', { limits: [limit('searches', { concurrency: 5, by: ['capability'] })] });
    let made = 0;
    const handler = search.implement((_, { feedback }) => {
      made += 1;
      if (made === 1)
        feedback(new Headers({ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '1s' }));
      return made;
    });
    const calls = workflow('calls', {}, async (ctx) => await ctx.call(search, null));
    const app = defineApp({ workflows: [calls], handlers: [handler] });
    opened = createSpine(app as AnyApp, { store: memory() });
    expect(await (await opened.start('calls', null)).result()).toBe(1);
    const second = await opened.start('calls', null);
    const wait = async () => (await second.status()).waitingFor[0];
    await expect.poll(async () => (await wait())?.text).toContain('is rate paused: capability:search has asked');
    expect((await wait())?.limit).toMatchObject({ paused: 'capability:search' });
    expect(made).toBe(1);
    expect(await second.result()).toBe(2);
  });

  it('keeps an inference that waits for a limit from an endpoint of whose pause another run was told', async () => {
    const use = fakeModel('said');
    let refuses = true;
    const { specificationVersion, provider, modelId } = use;
    const doGenerate = async (call: ModelCallNow): Promise<unknown> => {
      const answer = await use.doGenerate(call);
      if (!refuses) return answer;
      refuses = false;
      throw Object.assign(new Error('busy'), { statusCode: 429, responseHeaders: { 'retry-after': '1' } });
    };
    const endpoint = { specificationVersion, provider, modelId, doGenerate, doStream: use.doStream.bind(use) };
    const free = model('free', { versions: { v1: { use: endpoint } } });
    const bound = model('bound', {
      versions: { v1: { use: endpoint } },
      limits: [limit('one', { concurrency: 1, by: ['model'] })],
    });
    const asks = workflow('asks', {}, async (ctx, input) => {
      const name = String(input);
      return (await ctx.infer('a', { model: name, prompt: name })).text;
    });
    const app = defineApp({ models: [free, bound], workflows: [asks] });
    opened = createSpine(app as AnyApp, { store: memory() });
    const first = await opened.start('asks', 'free');
    await expect.poll(() => use.calls.length).toBe(1);
    const second = await opened.start('asks', 'bound');
    await expect.poll(async () => (await second.status()).waitingFor[0]?.text).toContain('ate paused');
    expect(use.calls).toHaveLength(1);
    expect(await Promise.all([first.result(), second.result()])).toEqual(['said', 'said']);
  });
});
