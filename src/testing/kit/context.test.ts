/** Shared context under test: what was fetched is asked for again by a replay, whatever would be fresh by then. */
import { describe, expect, it } from 'vitest';
import { defineApp, workflow } from '../../workflow/index.js';
import { testSpine } from './test-spine.js';

const child = workflow('child', {}, (ctx, user: unknown) =>
  ctx.context('profile', { key: String(user) }, () => 'fetched by the child'),
);
const parent = workflow('parent', {}, async (ctx, user: unknown) => {
  const profile = await ctx.context('profile', { key: String(user), maxAge: '30m' }, () => 'fetched by the parent');
  await ctx.sleep('pause', '1h');
  const again = await ctx.context('profile', { key: String(user), maxAge: '30m', as: 'again' }, () => 'fetched anew');
  return [profile, again, await ctx.child(child, user)];
});
const app = defineApp({ workflows: [parent, child] });

describe.each([undefined, 'every-await'] as const)('context under test, with crash %s', (crash) => {
  it('is fetched once while it is fresh, and replays to the same', async () => {
    await using t = await testSpine(app, crash === undefined ? {} : { crash });
    const run = await t.start('parent', 'ann');
    expect(await t.result(run)).toEqual(['fetched by the parent', 'fetched anew', 'fetched anew']);
  });

  it('replays to the same in a run that is cancelled after it', async () => {
    await using t = await testSpine(app, crash === undefined ? {} : { crash });
    const run = await t.start('parent', 'ann');
    await t.cancel(run);
    expect(await t.outcome(run)).toMatchObject({ state: 'cancelled' });
  });
});
