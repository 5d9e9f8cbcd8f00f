import { describe, expect, it } from 'vitest';
import type { ExportedHistory } from '../core/run/exported-history.js';
import { fake, testSpine } from '../testing/kit/index.js';
import { defineApp, type AnyApp } from '../workflow/app.js';
import { capability } from '../workflow/capability.js';
import type { Ctx } from '../workflow/ctx.js';
import { Terminal } from '../workflow/thrown.js';
import { workflow } from '../workflow/workflow.js';
import { shadowHistory } from './replay-history.js';

type Body = (ctx: Ctx, input: unknown) => unknown;

const search = capability('search');

function appOf(version: string, body: Body): AnyApp {
  const w = workflow('w', { version }, async (ctx, input) => body(ctx, input));
  return defineApp({ workflows: [w], capabilities: [search] });
}

async function historyOf(body: Body, ends = true): Promise<ExportedHistory> {
  await using t = await testSpine(appOf('1', body), { handlers: [fake(search, 'found')] });
  const run = await t.start('w', 10);
  if (ends) await t.outcome(run);
  return await t.exportHistory(run);
}

const old: Body = async (ctx, input) => {
  const score = await ctx.step('score', () => Number(input) * 2, { effect: 'pure' });
  const paid = await ctx.step('pay', () => ({ paid: score }), { effect: 'external' });
  return { score, paid, found: await ctx.call(search, { score }) };
};

describe('shadowHistory', () => {
  it('comes to the same with the same code, under another version', async () => {
    const report = await shadowHistory(appOf('2', old), await historyOf(old));
    expect(report).toMatchObject({ verdict: 'same', from: '1', to: '2', now: 'succeeded', redone: 1, values: null });
  });

  it('does pure steps anew, and what has effects by nobody', async () => {
    let effects = 0;
    const history = await historyOf(old);
    const report = await shadowHistory(
      appOf('2', async (ctx, input) => {
        const score = await ctx.step('score', () => Number(input) * 3, { effect: 'pure' });
        const bonus = await ctx.step('bonus', () => score + 1, { effect: 'pure' });
        const paid = await ctx.step('pay', () => ++effects, { effect: 'external' });
        return { score: bonus, paid, found: await ctx.call(search, { score }) };
      }),
      history,
    );
    expect(effects).toBe(0);
    expect(report).toMatchObject({ verdict: 'different', redone: 2, otherInput: ['search'], wouldDo: [], leftOut: [] });
    expect(report.values).toEqual({
      recorded: { score: 20, paid: { paid: 20 }, found: 'found' },
      now: { score: 31, paid: { paid: 20 }, found: 'found' },
    });
  });

  it('stops where it asks for what nobody has done', async () => {
    let effects = 0;
    const report = await shadowHistory(
      appOf('2', async (ctx, input) => {
        await ctx.step('score', () => Number(input), { effect: 'pure' });
        return await ctx.step('mail', () => ++effects);
      }),
      await historyOf(old),
    );
    expect(effects).toBe(0);
    expect(report).toMatchObject({ verdict: 'beyond', now: 'open', wouldDo: [{ path: 'mail', kind: 'step' }] });
    expect([...report.leftOut].sort()).toEqual(['pay', 'search']);
  });

  it('hands a failure of a pure step to the body', async () => {
    const failing: Body = async (ctx) => {
      await ctx.step(
        'score',
        () => {
          throw new Terminal('too much', { code: 'TOO_MUCH' });
        },
        { effect: 'pure' },
      );
    };
    const report = await shadowHistory(appOf('2', failing), await historyOf(old));
    expect(report).toMatchObject({ verdict: 'different', recorded: 'succeeded' });
    expect(report.now).not.toBe('succeeded');
  });

  it('comes to where an unfinished run is', async () => {
    const waits: Body = async (ctx) => {
      await ctx.step('score', () => 1, { effect: 'pure' });
      await ctx.sleep('wait', '1d');
    };
    expect(await shadowHistory(appOf('2', waits), await historyOf(waits, false))).toMatchObject({
      verdict: 'unfinished',
      now: 'open',
    });
  });

  it('does not know a workflow that the app does not have', async () => {
    const other = defineApp({ workflows: [workflow('other', {}, async () => 1)] });
    await expect(shadowHistory(other as AnyApp, await historyOf(old))).rejects.toMatchObject({
      code: 'WORKFLOW_UNKNOWN',
    });
  });
});
