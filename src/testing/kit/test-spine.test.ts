import { setTimeout as realPause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { capability, defineApp, Terminal, topic, Transient, workflow, type Ctx } from '../../workflow/index.js';
import { replayHistory } from '../../worker/index.js';
import { fake, inTurn } from './fakes.js';
import { testSpine } from './test-spine.js';

const search = capability('search', { input: z.object({ query: z.string() }), output: z.array(z.string()) });
const asked = topic('asked', { schema: z.object({ query: z.string() }) });
const answered = topic('answered');

const answer = workflow('answer', { input: z.object({ query: z.string() }) }, async (ctx, { query }) => {
  const docs = await ctx.call(search, { query });
  await ctx.sleep('cool-down', '2d');
  const text = await ctx.step('write', docs, (found) => found.join(' and '));
  await ctx.emit(answered, { text });
  return { text, at: new Date(ctx.now()) };
});
const follow = workflow('follow', { on: asked }, async (ctx, { query }) => await ctx.step('note', () => query.length));
const app = defineApp({ workflows: [answer, follow], capabilities: [search], topics: [asked, answered] });

function bodyApp(body: (ctx: Ctx) => unknown) {
  return defineApp({
    workflows: [workflow('w', {}, async (ctx) => body(ctx))],
    topics: [answered],
    capabilities: [search],
  });
}

describe('testSpine', () => {
  it('runs a workflow over two days in no time, with fakes for its handlers', async () => {
    await using t = await testSpine(app, { handlers: [fake(search, ({ query }) => [query, 'more'])] });
    const run = await t.start('answer', { query: 'tea' });
    expect((await t.view(run)).waitingFor[0]?.text).toContain('2026-01-03');
    await t.advance('1d');
    expect((await t.view(run)).state).toBe('waiting');
    await t.advance('1d');
    expect((await t.view(run)).state).toBe('succeeded');
    expect(await t.result(run)).toEqual({ text: 'tea and more', at: new Date('2026-01-03T00:00:00Z') });
    expect(await t.events('answered')).toMatchObject([{ data: { text: 'tea and more' } }]);
  });

  it('skips the time that a result takes', async () => {
    await using t = await testSpine(app, { handlers: [fake(search, ['a'])] });
    const run = await t.start('answer', { query: 'tea' });
    await t.result(run);
    expect(t.now()).toEqual(new Date('2026-01-03T00:00:00Z'));
  });

  it('ends a year of a thousand sleeps well under a second', async () => {
    const year = bodyApp(async (ctx) => {
      for (let i = 0; i < 1_000; i++) await ctx.sleep(['nap', i], '8h');
      return ctx.now();
    });
    const before = process.cpuUsage();
    await using t = await testSpine(year);
    const run = await t.start('w', null);
    expect(await t.result(run)).toBe(Date.parse('2026-01-01T00:00:00Z') + 8_000 * 3_600_000);
    // Of the processor, as other tests run beside this one.
    expect(process.cpuUsage(before).user / 1_000).toBeLessThan(2_000);
  });

  it('starts what an event triggers', async () => {
    await using t = await testSpine(app);
    const { runs } = await t.publish('asked', { query: 'four' });
    expect(await t.result(runs[0]?.id ?? '')).toBe(4);
    expect(await t.publish('asked', { query: 'four' }, { id: 'test-1' })).toMatchObject({ runs: [] });
  });

  it('keeps handlers to their schemas, retries and timeouts', async () => {
    const handler = fake(search, inTurn(new Transient('busy'), ['a']), { takes: '3s' });
    await using t = await testSpine(app, { handlers: [handler] });
    await t.result(await t.start('answer', { query: 'tea' }));
    expect(handler.calls.map(({ input, attempt }) => [input, attempt])).toEqual([
      [{ query: 'tea' }, 1],
      [{ query: 'tea' }, 2],
    ]);
    await using slow = await testSpine(app, { handlers: [fake(search, ['late'], { takes: '1d' })] });
    const run = await slow.start('answer', { query: 'tea' });
    expect(await slow.outcome(run)).toMatchObject({ state: 'failed', failure: { class: 'timeout' } });
  });

  it('puts fakes in the place of steps, by path or without keys', async () => {
    const pages = bodyApp(async (ctx) => [
      await ctx.step('publish', 'text', () => 'real'),
      ...(await ctx.map('pages', ['a', 'b'], { key: (id) => id }, (id, inner) => inner.step('load', id, () => 'real'))),
    ]);
    await using t = await testSpine(pages, {
      steps: { publish: (input) => `fake ${String(input)}`, 'pages/load': (input) => `page ${String(input)}` },
    });
    expect(await t.result(await t.start('w', null))).toEqual(['fake text', 'page a', 'page b']);
  });

  it('tells how a run ended otherwise', async () => {
    const ends = bodyApp(async (ctx) => {
      await ctx.sleep('1h');
      throw new Terminal('NO', { why: 1 });
    });
    await using t = await testSpine(ends);
    const refused = await t.start('w', null);
    expect(await t.outcome(refused)).toEqual({ state: 'refused', code: 'NO', data: { why: 1 } });
    await expect(t.result(refused)).rejects.toMatchObject({ code: 'RUN_REFUSED' });
    const cancelled = await t.start('w', null);
    await t.cancel(cancelled, { reason: 'enough' });
    expect(await t.outcome(cancelled)).toEqual({ state: 'cancelled', reason: 'enough' });
  });

  it('says what a run waits for that will never come', async () => {
    await using t = await testSpine(app);
    const run = await t.start('answer', { query: 'tea' });
    await expect(t.result(run)).rejects.toThrow(/waits for nothing that is due.*search/);
    expect(t.now().toISOString()).toMatch(/^2026-01-01/);
  });

  it('waits for steps that await something real, for a while', async () => {
    const real = bodyApp(async (ctx) => ctx.step('real', () => realPause(30, 'done')));
    await using t = await testSpine(real);
    const run = await t.start('w', null);
    expect((await t.view(run)).state).toBe('succeeded');
    await using impatient = await testSpine(
      bodyApp(async (ctx) => ctx.step('hangs', () => new Promise(() => undefined))),
      { patience: 20 },
    );
    await expect(impatient.start('w', null)).rejects.toThrow(/step "hangs".*20 ms of real time/);
  });

  it('sends a failed run back to work', async () => {
    const handler = fake(search, inTurn(new Terminal('BAD'), ['a']));
    await using t = await testSpine(app, { handlers: [handler] });
    const run = await t.start('answer', { query: 'tea' });
    expect(await t.outcome(run)).toMatchObject({ state: 'failed' });
    await t.retry(run);
    expect(await t.result(run)).toMatchObject({ text: 'a' });
  });

  it('gives the same ids for the same seed', async () => {
    const ids = async (seed: number): Promise<string> => {
      await using t = await testSpine(app, { seed });
      return (await t.publish('asked', { query: 'x' })).runs[0]?.id ?? '';
    };
    expect(await ids(1)).toBe(await ids(1));
    expect(await ids(1)).not.toBe(await ids(2));
  });

  it('refuses handlers that the app does not know', async () => {
    const other = capability('other');
    await expect(testSpine(app, { handlers: [fake(other, 1)] })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });

  it('exports what replays the same, over JSON', async () => {
    await using t = await testSpine(app, { handlers: [fake(search, ['a'])] });
    const run = await t.start('answer', { query: 'tea' });
    await t.result(run);
    const history: unknown = JSON.parse(JSON.stringify(await t.exportHistory(run)));
    expect(await replayHistory(app, history as never)).toMatchObject({ verdict: 'same' });
  });
});

describe('crashes', () => {
  const work = bodyApp(async (ctx) => {
    const parts = await ctx.map('parts', [1, 2, 3], { key: (n) => n }, (n, inner) => inner.step('double', () => n * 2));
    const { winner } = await ctx.race('first', {
      quick: (inner) => inner.sleep('1h'),
      slow: (inner) => inner.sleep('2h'),
    });
    ctx.progress({ parts });
    const [found, time] = await Promise.all([ctx.call(search, { query: 'x' }), ctx.step('now', () => 5)]);
    await ctx.step('pay', () => 'paid', { effect: 'external' });
    await ctx.emit(answered, { found });
    return { parts, winner, found, time, id: ctx.uuid() };
  });

  it.each([['every-await' as const], [1], [2], [3]])('with %s come to what comes without', async (crash) => {
    const handlers = [fake(search, ['a'])];
    await using calm = await testSpine(work, { handlers, seed: 7 });
    const expected = await calm.result(await calm.start('w', null));
    await using t = await testSpine(work, { handlers, crash, seed: 7 });
    const run = await t.start('w', null);
    expect(await t.result(run)).toEqual(expected);
    expect(t.crashes).toBeGreaterThan(crash === 'every-await' ? 6 : 0);
    const types = (await t.history(run)).map(({ type }) => type);
    expect(types.filter((type) => type === 'step.completed')).toHaveLength(5);
    expect(types.filter((type) => type === 'progress.reported')).toHaveLength(1);
    expect(await t.events('answered')).toHaveLength(1);
  });

  it('leave cancellation and clean-up as they are', async () => {
    const cleaning = bodyApp(async (ctx) => {
      try {
        await ctx.step('begin', () => 1);
        await ctx.sleep('1d');
      } finally {
        await ctx.shield((inner) => inner.step('clean', () => 'cleaned'));
      }
    });
    await using t = await testSpine(cleaning, { crash: 'every-await' });
    const run = await t.start('w', null);
    await t.advance('1h');
    await t.cancel(run);
    expect(await t.outcome(run)).toMatchObject({ state: 'cancelled' });
    expect((await t.view(run)).steps.map(({ path, status }) => [path, status])).toContainEqual(['clean', 'completed']);
  });

  it('repeat what was under way beside, with the same key, and nothing that is recorded', async () => {
    const keys: string[] = [];
    let begunAgain: () => void = () => undefined;
    const again = new Promise<void>((resolve) => {
      begunAgain = resolve;
    });
    const beside = bodyApp(async (ctx) => {
      const slow = ctx.step('slow', async ({ idempotencyKey }) => {
        // The first life of it is under way until the second begins.
        if (keys.push(idempotencyKey) > 1) begunAgain();
        await again;
        return 'slow';
      });
      const quick = await ctx.step('quick', () => 'quick');
      return [await slow, quick];
    });
    await using t = await testSpine(beside, { crash: 'every-await' });
    const run = await t.start('w', null);
    expect(await t.result(run)).toEqual(['slow', 'quick']);
    expect(keys.length).toBeGreaterThan(1);
    expect(new Set(keys).size).toBe(1);
    expect([...(await t.executions(run))]).toEqual([
      ['slow', keys.length],
      ['quick', 1],
    ]);
    const types = (await t.history(run)).map(({ type }) => type);
    expect(types.filter((type) => type === 'step.completed')).toHaveLength(2);
  });

  it('find what a body keeps outside of its results', async () => {
    const careless = bodyApp(async (ctx) => {
      const names: string[] = [];
      await ctx.step('a', () => void names.push('a'));
      await ctx.step('b', () => void names.push('b'));
      return names;
    });
    await using t = await testSpine(careless, { crash: 'every-await', traps: false });
    expect(await t.result(await t.start('w', null))).not.toEqual(['a', 'b']);
  });
});

describe('traps', () => {
  const spring = async (body: (ctx: Ctx) => unknown): Promise<string> => {
    const t = await testSpine(bodyApp(body));
    try {
      await t.result(await t.start('w', null));
      return 'nothing';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      await t.close().catch(() => undefined);
    }
  };

  it.each<[string, RegExp, (ctx: Ctx) => unknown]>([
    ['Date.now()', /calls Date\.now\(\).*ctx\.now\(\)/, () => Date.now()],
    ['new Date()', /calls new Date\(\).*ctx\.now\(\)/, () => new Date().getTime()],
    ['Math.random()', /calls Math\.random\(\).*ctx\.random\(\)/, () => Math.random()],
    ['crypto.randomUUID()', /crypto\.randomUUID\(\).*ctx\.uuid\(\)/, () => crypto.randomUUID()],
    ['fetch()', /calls fetch\(\).*ctx\.step/, () => fetch('http://localhost:1')],
    ['setTimeout()', /calls setTimeout\(\).*ctx\.sleep/, () => new Promise((resolve) => setTimeout(resolve, 1))],
    [
      'the clock after an await',
      /calls Date\.now\(\)/,
      async (ctx) => {
        await ctx.step('a', () => 1);
        return Date.now();
      },
    ],
    [
      'a promise of its own that comes to an end',
      /came to "b" after awaiting a promise that is not of ctx/,
      async (ctx) => {
        await ctx.step('a', () => 1);
        await realPause(1);
        await ctx.step('b', () => 1);
      },
    ],
    [
      'a promise of its own that does not',
      /awaits a promise that is not of ctx/,
      async () => await new Promise(() => undefined),
    ],
    [
      'ctx inside of a step',
      /uses ctx inside of step "a" \(for "b"\)/,
      async (ctx) => ctx.step('a', () => ctx.step('b', () => 1)),
    ],
    [
      'a step that changes its input',
      /has a step "a" that changes its input/,
      async (ctx) => {
        const list = [1];
        await ctx.step('a', list, (given) => given.push(2));
        return list;
      },
    ],
    [
      'a step that changes a variable of the body',
      /does not repeat itself.*another result.*a step that changes variables/,
      async (ctx) => {
        let total = 0;
        await ctx.step('a', () => void (total += 1));
        return total;
      },
    ],
  ])('catch %s', async (_, message, body) => {
    expect(await spring(body)).toMatch(message);
  });

  it('leave steps, handlers and dates from values alone', async () => {
    const fine = async (ctx: Ctx): Promise<unknown> => {
      const now = await ctx.step('now', async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return Date.now() + Math.random();
      });
      await Promise.all([ctx.step('x', () => crypto.randomUUID()), Promise.resolve(1)]);
      return new Date(now).getTime() > 0;
    };
    expect(await spring(fine)).toBe('nothing');
  });

  it('are gone when the spine is closed', async () => {
    const { now } = Date;
    const before = globalThis.Date;
    await using t = await testSpine(app);
    expect(globalThis.Date).not.toBe(before);
    await t.close();
    expect(globalThis.Date).toBe(before);
    expect(Date.now).toBe(now);
  });

  it('find a body that read something that has changed', async () => {
    let count = 0;
    expect(await spring(async (ctx) => ctx.step(`step-${++count}`, () => 1))).toMatch(/does not repeat itself.*step-1/);
  });
});
