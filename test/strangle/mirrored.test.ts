/** Runs that only mirror what was done elsewhere have no effect that others see, by whatever way it would come about. */
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { mirrorLabel } from '../../src/core/labels.js';
import {
  agent,
  capability,
  createSpine,
  dag,
  defineApp,
  memory,
  message,
  topic,
  workflow,
  type Ctx,
} from '../../src/spine/index.js';
import { until } from '../process/support/until.js';
import { ends } from './routes.js';

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const effects: string[] = [];
const told = message('told', {});
const desk = agent('desk', {
  messages: [told],
  state: z.object({}),
  initial: {},
  on: { told: () => void effects.push('an agent was told') },
});
const happened = topic('happened', {});
const reacts = workflow('reacts', { on: happened }, () => void effects.push('a workflow was triggered'));
const pay = capability('pay', { effect: 'external' });
const look = capability('look', { effect: 'idempotent' });

const ways: Readonly<Record<string, (ctx: Ctx) => Promise<unknown>>> = {
  step: (ctx) => ctx.step('pay', () => effects.push('a step was done'), { effect: 'external' }),
  call: (ctx) => ctx.call(pay, 1),
  emit: (ctx) => ctx.emit(happened, {}),
  tell: (ctx) => ctx.tell(desk, 'k', told, {}),
  ask: (ctx) => ctx.ask(desk, 'k', told, {}),
  approve: (ctx) => ctx.approve('fine', { to: 'user:ada' }),
  child: (ctx) => ctx.child(inner, 'step', { labels: { own: '1' } }),
};

const inner = workflow('inner', {}, (ctx, way) => ways[String(way)]?.(ctx));
const outer = workflow('outer', {}, async (ctx, way) => {
  expect(await ctx.step('read', () => 1)).toBe(1);
  expect(await ctx.call(look, 1)).toBe('seen');
  return way === 'labels' ? ctx.run.labels : ways[String(way)]?.(ctx);
});
const drawn = dag('drawn', { nodes: { seen: { run: look }, paid: { run: pay, input: 'seen' } } });
const app = defineApp({
  workflows: [inner, outer, reacts, drawn],
  agents: [desk],
  topics: [happened],
  handlers: [pay.implement(() => effects.push('a call was made')), look.implement(() => 'seen')],
});

describe('a run that only mirrors', () => {
  it.each(Object.keys(ways))('ends before the effect of %s, and nothing has failed', async (way) => {
    effects.length = 0;
    const spine = createSpine(app, { store: memory() });
    ends.push(() => spine.close());
    const mirrored = await spine.start('outer', way, { labels: { [mirrorLabel]: 'route', own: '2' } });
    const error: unknown = await mirrored.result().catch((given: unknown) => given);

    expect(error).toMatchObject({
      code: 'RUN_REFUSED',
      problem: { data: { withheld: expect.any(String) as string } },
    });
    expect((await spine.deadLetters.list().page()).items.length).toBe(0);
    expect((await spine.approvals.list().page()).items).toEqual([]);
    expect(effects).toEqual([]);
    const run = await spine.start('outer', way);
    if (way === 'approve') return;
    await run.result().catch(() => undefined);
    await until('it has its effect', () => Promise.resolve(effects.length > 0 ? true : null));
  });

  it('fails before an external call where it is a graph, and fails of nothing else', async () => {
    effects.length = 0;
    const spine = createSpine(app, { store: memory() });
    ends.push(() => spine.close());
    const run = await spine.start('drawn', 1, { labels: { [mirrorLabel]: 'route' } });
    await expect(run.result()).rejects.toMatchObject({ problem: { failure: { code: 'EFFECT_WITHHELD' } } });
    expect(effects).toEqual([]);
    const { items } = await run.history().page();
    expect(items.map(({ type }) => type)).toContain('call.completed');
    await (await spine.start('drawn', 1)).result();
    expect(effects).toEqual(['a call was made']);
  });

  it('is known by its label to the body, and to what it starts', async () => {
    const spine = createSpine(app, { store: memory() });
    ends.push(() => spine.close());
    const labels = { [mirrorLabel]: 'route', own: '2' };
    expect(await (await spine.start('outer', 'labels', { labels })).result()).toEqual(labels);
    expect(await (await spine.start('outer', 'labels')).result()).toEqual({});
    const { id } = await spine.start('outer', 'child', { labels });
    await spine
      .run(id)
      .result()
      .catch(() => undefined);
    const found = (await spine.runs.list({ label: `${mirrorLabel}:route` }).page()).items;
    expect(found.map(({ workflow: name }) => name)).toContain('inner');
  });
});
