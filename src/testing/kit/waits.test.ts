import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineApp, signal, topic, workflow } from '../../workflow/index.js';
import { testSpine } from './test-spine.js';

const paid = signal('paid', { schema: z.object({ amount: z.number() }) });
const shipped = topic('shipped', { schema: z.object({ order: z.string() }), key: 'order' });

const order = workflow('order', { signals: [paid] }, async (ctx, id: unknown) => {
  const payment = await ctx.waitFor(paid, { timeout: '7d' });
  if (payment === null) return 'never paid';
  const review = await ctx.approve('review', {
    to: 'role:editor',
    form: z.object({ note: z.string() }),
    expires: '2d',
  });
  if (review.outcome !== 'approved') return review.outcome;
  const parcel = await ctx.waitFor(shipped, { match: { order: String(id) } });
  return `${payment.data.amount}, ${review.form.note}, ${parcel.data.order}`;
});
const app = defineApp({ name: 'orders', topics: [shipped], workflows: [order] });

describe.each(['calm', 'every-await'] as const)('waits under test, %s', (mode) => {
  const options = mode === 'calm' ? {} : ({ crash: mode } as const);

  it('get their signal, the word of a person and their event', async () => {
    await using t = await testSpine(app, options);
    const run = await t.start('order', 'o1');
    await t.publish('shipped', { order: 'o1' });
    await t.signal(run, paid, { amount: 3 });
    await t.advance('1d');
    expect(await t.approvals(run)).toMatchObject([{ to: ['role:editor'], state: 'open' }]);
    await expect(t.approve(run, { as: 'ann', roles: ['intern'], form: { note: 'x' } })).rejects.toMatchObject({
      code: 'APPROVAL_NOT_ADDRESSED',
    });
    await t.approve(run, { as: 'ann', roles: ['editor'], form: { note: 'fine' } });
    expect(await t.result(run)).toBe('3, fine, o1');
  });

  it('expire when their time is up, and say that nobody is asked any more', async () => {
    await using t = await testSpine(app, options);
    const unpaid = await t.start('order', 'o1');
    expect(await t.result(unpaid)).toBe('never paid');
    const ignored = await t.start('order', 'o2');
    await t.signal(ignored, 'paid', { amount: 1 });
    expect(await t.result(ignored)).toBe('expired');
    await expect(t.approve(ignored)).rejects.toThrow(/asks nobody for a word now: its state is succeeded\.$/);
    await expect(t.approve('run_none')).rejects.toMatchObject({ code: 'APPROVAL_NOT_FOUND' });
  });

  it('are rejected with a word', async () => {
    await using t = await testSpine(app, options);
    const run = await t.start('order', 'o1');
    await t.signal(run, paid, { amount: 3 });
    await t.reject(run, { comment: 'not like this' });
    expect(await t.result(run)).toBe('rejected');
    expect((await t.history(run)).map(({ type }) => type)).toContain('wait.satisfied');
  });
});
