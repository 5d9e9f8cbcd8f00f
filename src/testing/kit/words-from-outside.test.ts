import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineApp, signal, workflow } from '../../workflow/index.js';
import { testSpine } from './test-spine.js';

const paid = signal('paid', { schema: z.object({ cents: z.number() }) });
const order = workflow('order', { signals: [paid] }, async (ctx) => {
  const payment = await ctx.waitFor(paid, { timeout: '1d' });
  return payment?.data.cents ?? null;
});
const publish = workflow('publish', {}, async (ctx) => {
  const review = await ctx.approve('review', {
    to: 'role:editor',
    form: z.object({ text: z.string() }),
    expires: '2d',
  });
  return review.outcome === 'approved' ? `${review.form.text} (${review.by})` : review.outcome;
});
const app = defineApp({ workflows: [order, publish] });

describe.each([undefined, 'every-await'] as const)('words from outside, with crash %s', (crash) => {
  const options = crash === undefined ? {} : { crash };

  it('come as signals, before the wait or after it', async () => {
    await using t = await testSpine(app, options);
    const run = await t.start('order', null);
    await t.signal(run, paid, { cents: 300 }, { id: 'a' });
    expect(await t.result(run)).toBe(300);
    const late = await t.start('order', null);
    await t.advance('1d');
    expect(await t.result(late)).toBe(null);
    await expect(t.signal(late, 'paid', { cents: 1 })).rejects.toThrow(/ended/);
  });

  it('approve and reject what is open', async () => {
    await using t = await testSpine(app, options);
    const run = await t.start('publish', null);
    expect(await t.approvals(run)).toMatchObject([{ path: 'review', to: ['role:editor'] }]);
    await expect(t.approve(run, { form: { text: 'hello' }, as: 'ann' })).rejects.toMatchObject({
      code: 'APPROVAL_NOT_ADDRESSED',
    });
    await expect(t.approve(run, { form: {} })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await t.approve(run, { form: { text: 'hello' }, as: 'eve', roles: ['editor'] });
    expect(await t.result(run)).toBe('hello (user:eve)');
    await expect(t.reject(run)).rejects.toMatchObject({ code: 'APPROVAL_NOT_FOUND' });

    const rejected = await t.start('publish', null);
    await t.reject(rejected, { comment: 'no' });
    expect(await t.result(rejected)).toBe('rejected');
    expect(await t.result(await t.start('publish', null))).toBe('expired');
  });
});
