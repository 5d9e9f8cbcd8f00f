import { defineApp, workflow } from 'eventspine';
import { fake, testSpine } from 'eventspine/testing';
import { describe, expect, it } from 'vitest';
import { end, graph, runGraph, start } from './graph.ts';
import { app, criticise, search } from './spine.ts';

describe.each([undefined, 'every-await'] as const)('research as a graph, with crash %s', (crash) => {
  const options = crash === undefined ? {} : { crash };

  it('goes along its edges, back once, and to a person', async () => {
    await using t = await testSpine(app, options);
    const run = await t.start('research', { question: 'domes' });
    expect(await t.approvals(run)).toMatchObject([{ title: 'domes', to: ['role:editor'] }]);
    await t.approve(run);
    expect(await t.result(run)).toEqual({
      question: 'domes',
      found: ['papers on "domes"', 'notes on "domes"'],
      draft: 'papers on "domes"; notes on "domes"; (say more)',
      remarks: ['say more'],
      isGood: true,
      answer: 'papers on "domes"; notes on "domes"; (say more)',
    });
    const paths = (await t.view(run)).steps.map(({ path }) => path);
    expect(paths).toContain('superstep:1:papers/search');
    expect(paths.filter((path) => path.endsWith('/write'))).toHaveLength(2);
  });

  it('runs the nodes of a superstep side by side, and puts their parts together in one order', async () => {
    const slow = fake(search, ({ source }) => [source], { takes: '30s' });
    await using t = await testSpine(app, { ...options, handlers: [slow] });
    const began = t.now().getTime();
    const run = await t.start('research', { question: 'q' });
    await t.advance('30s');
    await t.approve(run);
    expect((await t.result<{ found: string[] }>(run.id)).found).toEqual(['papers', 'notes']);
    expect(t.now().getTime() - began).toBe(30_000);
  });

  it('leaves a loop that its edges bound', async () => {
    const never = fake(criticise, { remark: 'again' });
    await using t = await testSpine(app, { ...options, handlers: [never] });
    const run = await t.start('research', { question: 'q' });
    await t.reject(run);
    expect(await t.result(run)).toMatchObject({ remarks: ['again', 'again', 'again'], answer: null });
    expect(never.calls).toHaveLength(3);
  });
});

it('ends a graph that has no end', async () => {
  const round = graph<{ readonly count: number }>()({
    channels: { count: { initial: 0, reduce: (old, added) => old + added } },
    nodes: { a: async (ctx) => ({ count: await ctx.step('one', () => 1) }) },
    edges: { [start]: 'a', a: ({ count }) => (count > 100 ? end : 'a') },
  });
  const loop = workflow('loop', {}, (ctx) => runGraph(ctx, round, {}, { superstepsMax: 5 }));
  await using t = await testSpine(defineApp({ workflows: [loop] }));
  const run = await t.start('loop', null);
  expect(await t.outcome(run)).toMatchObject({ state: 'refused', code: 'GRAPH_TOO_LONG' });
});
