import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { exportedHistoryFormat, readExportedHistory, type ExportedHistory } from '../core/run/exported-history.js';
import { capability } from '../workflow/capability.js';
import type { Ctx } from '../workflow/ctx.js';
import { defineApp } from '../workflow/app.js';
import { Terminal } from '../workflow/thrown.js';
import { workflow } from '../workflow/workflow.js';
import type { ReplayReport } from '../workflow/replay/replay-report.js';
import { fake, testSpine } from '../testing/kit/index.js';
import { replayHistory } from './replay-history.js';

type Body = (ctx: Ctx, input: unknown) => unknown;

const search = capability('search');
const find = capability('find');
const capabilities = [search, find];

/** The history of a run of `body`; calls are answered with "found". With `ends` false, only as far as no time passes. */
async function historyOf(body: Body, ends = true): Promise<ExportedHistory> {
  const app = defineApp({ workflows: [workflow('w', {}, async (ctx, input) => body(ctx, input))], capabilities });
  await using t = await testSpine(app, { handlers: [fake(search, 'found'), fake(find, 'found')] });
  const run = await t.start('w', 'in');
  if (ends) await t.outcome(run);
  return await t.exportHistory(run);
}

function replay(history: ExportedHistory, body: Body): Promise<ReplayReport> {
  return replayHistory(defineApp({ workflows: [workflow('w', {}, async (ctx, input) => body(ctx, input))] }), history);
}

function brief({ changes }: ReplayReport): string[] {
  return changes.map((change) =>
    [change.level, change.kind, change.path, 'to' in change ? change.to : null]
      .filter((part) => part !== null)
      .join(' '),
  );
}

const three: Body = async (ctx) => {
  const plan = await ctx.step('plan', () => 'p');
  const found = await ctx.call(search, { plan });
  await ctx.sleep('wait', '1d');
  return await ctx.step('write', { found }, () => `${plan} ${String(found)}`);
};

describe('replayHistory', () => {
  it('finds the same code the same, and does nothing', async () => {
    const history = await historyOf(three);
    let ran = 0;
    const report = await replay(history, async (ctx, input) => {
      const result = await three(ctx, input);
      ran++;
      return result;
    });
    expect(report).toMatchObject({ verdict: 'same', recorded: 'succeeded', now: 'succeeded', matched: 4, changes: [] });
    expect(ran).toBe(1);
  });

  it('begins no step, call or event that is not recorded', async () => {
    const history = await historyOf(async (ctx) => ctx.step('a', () => 1));
    let effects = 0;
    await replay(history, async (ctx) => {
      void ctx.step('b', () => effects++);
      void ctx.step('c', () => effects++, { effect: 'external' });
      await ctx.step('a', () => effects++);
      return await ctx.step('d', () => effects++);
    });
    expect(effects).toBe(0);
  });

  it('takes what an unfinished run has not done yet for what comes next', async () => {
    const history = await historyOf(three, false);
    const report = await replay(history, three);
    expect(report).toMatchObject({ verdict: 'same', recorded: 'active', now: 'waiting' });
    const before = { ...history, events: history.events.slice(0, 1) };
    expect(await replay(before, three)).toMatchObject({ verdict: 'same', matched: 0, now: 'waiting' });
  });

  it('reports a step that was renamed, and goes on behind it', async () => {
    const report = await replay(await historyOf(three), async (ctx) => {
      const plan = await ctx.step('outline', () => 'p');
      const found = await ctx.call(search, { plan });
      await ctx.sleep('pause', '1d');
      return await ctx.step('write', { found }, () => `${plan} ${String(found)}`);
    });
    expect(brief(report)).toEqual(['warning renamed plan outline', 'warning renamed wait pause']);
    expect(report).toMatchObject({ verdict: 'compatible', now: 'succeeded' });
  });

  it('calls the rename of an external effect a break', async () => {
    const pay = async (ctx: Ctx, name: string): Promise<unknown> =>
      await ctx.step(name, () => 'paid', { effect: 'external' });
    const report = await replay(await historyOf((ctx) => pay(ctx, 'pay')), (ctx) => pay(ctx, 'pay-now'));
    expect(brief(report)).toEqual(['break renamed pay pay-now']);
  });

  it('follows a renamed map to each of its items', async () => {
    const checks = async (ctx: Ctx, name: string): Promise<unknown> =>
      await ctx.map(name, ['x', 'y'], { key: (one) => one }, (one, inner) => inner.step('check', () => one));
    const report = await replay(await historyOf((ctx) => checks(ctx, 'checks')), (ctx) => checks(ctx, 'claims'));
    expect(brief(report)).toEqual([
      'warning renamed checks:x/check claims:x/check',
      'warning renamed checks:y/check claims:y/check',
    ]);
  });

  it('takes a renamed loop as one change of many, and what the code no longer does as left aside', async () => {
    const loop = async (ctx: Ctx, name: string, count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await ctx.step([name, i], () => i);
    };
    const report = await replay(await historyOf((ctx) => loop(ctx, 'call', 300)), (ctx) => loop(ctx, 'ask', 298));
    expect(report.changes.filter(({ kind }) => kind === 'renamed')).toHaveLength(298);
    expect(brief(report).slice(298)).toEqual(['note removed call:298', 'note removed call:299']);
  });

  it('tells a step that was added from one that was renamed', async () => {
    const report = await replay(await historyOf(three), async (ctx) => {
      await ctx.step('audit', () => undefined);
      return await three(ctx, null);
    });
    expect(brief(report)).toEqual(['note added audit']);
    expect(report.now).toBe('succeeded');
  });

  it('says where it cannot look any further', async () => {
    const report = await replay(await historyOf(three), async (ctx) => {
      const extra = await ctx.call(find, 'x');
      const { id } = extra as { id: string };
      return await ctx.step('plan', () => id);
    });
    expect(report.now).toBe('unknown');
    expect(brief(report)).toEqual([
      'note added find',
      'note unreached plan',
      'note unreached search',
      'note unreached wait',
      'note unreached write',
    ]);
  });

  it('reports what is no longer asked for, and takes no offence', async () => {
    const report = await replay(await historyOf(three), async (ctx) => {
      const plan = await ctx.step('plan', () => 'p');
      const found = await ctx.call(search, { plan });
      return await ctx.step('write', { found }, () => `${plan} ${String(found)}`);
    });
    expect(brief(report)).toEqual(['note removed wait']);
    expect(report.verdict).toBe('compatible');
  });

  it('calls another kind of thing under a recorded path a break', async () => {
    const report = await replay(await historyOf(three), async (ctx) => await ctx.call(search, 1, { as: 'plan' }));
    expect(brief(report)).toEqual([
      'break changed plan',
      'note removed search',
      'note removed wait',
      'note removed write',
      'break end',
    ]);
    expect(report.verdict).toBe('breaking');
  });

  it('notices another capability and another input', async () => {
    const report = await replay(await historyOf(three), async (ctx) => {
      const plan = await ctx.step('plan', () => 'p');
      const found = await ctx.call(find, { plan }, { as: 'search' });
      await ctx.sleep('wait', '1d');
      return await ctx.step('write', { other: found }, () => `${plan} ${String(found)}`);
    });
    expect(brief(report)).toEqual(['warning changed search', 'note changed write']);
  });

  it('notices another end, another result, and a body that fails', async () => {
    const history = await historyOf(async (ctx) => ctx.step('a', () => 1));
    const once = async (ctx: Ctx): Promise<unknown> => await ctx.step('a', () => 1);
    expect(brief(await replay(history, async (ctx) => `${String(await once(ctx))}!`))).toEqual(['warning end']);
    const refusing = await replay(history, async (ctx) => {
      await once(ctx);
      throw new Terminal('NO');
    });
    expect(brief(refusing)).toEqual(['break end']);
    const failing = await replay(history, async (ctx) => {
      await once(ctx);
      throw new Error('oh');
    });
    expect(failing.changes[0]?.text).toContain('oh');
    expect(failing.verdict).toBe('breaking');
  });

  it('notices an input that no longer fits, a workflow that is gone and a version that is gone', async () => {
    const history = await historyOf(three);
    const strict = workflow('w', { input: z.object({ q: z.string() }) }, async () => null);
    expect(await replayHistory(defineApp({ workflows: [strict] }), history)).toMatchObject({ verdict: 'breaking' });
    const none = await replayHistory(defineApp({}), history);
    expect(brief(none)).toEqual(['break missing']);
    const [started, ...rest] = history.events;
    if (started?.type !== 'run.started') throw new Error('no start');
    const pinned = { ...history, events: [{ ...started, data: { ...started.data, version: '1' } }, ...rest] };
    const two = workflow('w', { version: '2' }, async () => null);
    expect((await replayHistory(defineApp({ workflows: [two] }), pinned)).changes[0]?.text).toContain('version "1"');
  });

  it('finds a body that awaits something of its own', async () => {
    const report = await replay(await historyOf(three), async (ctx) => {
      await ctx.step('plan', () => 'p');
      await new Promise(() => undefined);
    });
    expect(brief(report)).toContain('break stuck');
  });

  it('reads values that are kept as blobs', async () => {
    const large = 'x'.repeat(20_000);
    const body: Body = async (ctx) => (await ctx.step('large', () => large)).length;
    const history = await historyOf(body);
    expect(await replay(history, body)).toMatchObject({ verdict: 'same' });
    await expect(replay({ ...history, blobs: {} }, body)).resolves.toMatchObject({ verdict: 'breaking' });
  });
});

describe('readExportedHistory', () => {
  it('takes what was exported, over JSON', async () => {
    const history = await historyOf(three);
    expect(readExportedHistory(JSON.parse(JSON.stringify(history)))).toEqual(history);
  });

  it.each([
    ['text', 'text'],
    ['another format', { format: 'other/1' }],
    ['no events', { format: exportedHistoryFormat, tenant: 't', run: 'r', events: [], blobs: {} }],
    ['a gap', { format: exportedHistoryFormat, tenant: 't', run: 'r', events: [{ seq: 2 }], blobs: {} }],
    ['blobs that are no texts', { format: exportedHistoryFormat, tenant: 't', run: 'r', events: [], blobs: { a: 1 } }],
  ])('refuses %s with HISTORY_INVALID', (_, value) => {
    expect(() => readExportedHistory(value)).toThrow(expect.objectContaining({ code: 'HISTORY_INVALID' }));
  });
});
