import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Transient, defineApp, model, tool, workflow } from '../../workflow/index.js';
import { fakeModel } from './fake-model.js';
import { inTurn } from './fakes.js';
import { testSpine } from './test-spine.js';

const never = fakeModel(() => {
  throw new Error('no test may reach it');
});
const writer = model('writer', { versions: { v1: { use: never } } });
const Verdict = z.object({ ok: z.boolean() });

let booked = 0;
const book = tool({
  input: z.object({ day: z.string() }),
  effect: 'external',
  run: ({ day }) => `${day} #${++booked}`,
});

const travel = workflow('travel', {}, async (ctx) => {
  const [plan, check] = await Promise.all([
    ctx.infer('plan', { model: writer, prompt: 'plan', tools: { book }, stream: true }),
    ctx.infer('check', { model: 'writer', prompt: 'check', schema: Verdict }),
  ]);
  await ctx.sleep('1h');
  const { text } = await ctx.infer('tell', { model: writer, prompt: plan.text, retry: { attempts: 3 } });
  return [plan.text, check.object.ok, text];
});
const app = defineApp({ name: 'travel', models: [writer], workflows: [travel] });

/** Answers by what is asked, and not by the order in which it is asked. */
function agency() {
  const tell = inTurn(new Transient('busy'), 'have a nice trip');
  return fakeModel(({ prompt }) => {
    const said = JSON.stringify(prompt);
    if (said.includes('"check"')) return said.includes('does not fit') ? { object: { ok: true } } : 'hm';
    if (said.includes('tool-result')) return `booked ${/\w+ #\d+/.exec(said)?.[0] ?? ''}`;
    if (said.includes('"plan"')) return { toolCalls: [{ id: 'c1', name: 'book', input: { day: 'May' } }] };
    return tell();
  });
}

describe.each(['calm', 'every-await', 7] as const)('inferences under test, %s', (mode) => {
  it('are asked one time each, whatever dies', async () => {
    booked = 0;
    const use = agency();
    await using t = await testSpine(app, { models: { writer: use }, ...(mode === 'calm' ? {} : { crash: mode }) });
    const run = await t.start('travel', null);
    expect(await t.result(run)).toEqual(['booked May #1', true, 'have a nice trip']);
    // Two rounds, an answer and its repair, a failure and its retry.
    expect(use.calls).toHaveLength(6);
    expect(booked).toBe(1);
    expect((await t.view(run)).spend).toMatchObject({ calls: 6, ambiguous: 0 });
    if (mode === 'every-await') expect(t.crashes).toBeGreaterThan(5);
  });
});

describe('fakes of models', () => {
  it('must stand for models that the app has', async () => {
    await expect(testSpine(app, { models: { nobody: fakeModel('x') } })).rejects.toMatchObject({
      code: 'OPTIONS_INVALID',
    });
  });

  it('leave the others in their place', async () => {
    await using t = await testSpine(
      defineApp({
        models: [model('m', { versions: { v: { use: fakeModel('own') } } })],
        workflows: [workflow('w', {}, async (ctx) => (await ctx.infer('a', { model: 'm', prompt: 'x' })).text)],
      }),
    );
    expect(await t.result(await t.start('w', null))).toBe('own');
  });
});
