/** Tests with vitest. `newsletter.node.ts` has the same for node:test. */
import { Transient } from 'eventspine';
import { fake, inTurn, testSpine } from 'eventspine/testing';
import { describe, expect, it } from 'vitest';
import { app, draft } from './spine.ts';

const steps = { publish: () => 'https://press.example/1' };

describe('newsletter', () => {
  it('waits two days before it publishes', async () => {
    await using t = await testSpine(app, {
      handlers: [fake(draft, ({ subject }) => ({ title: subject, body: '...' }))],
      steps,
    });
    const run = await t.start('newsletter', { subjects: ['tea', 'rain'] });
    await t.advance('47h');
    expect((await t.view(run)).state).toBe('waiting');
    await t.advance('1h');
    expect(await t.result(run)).toEqual({ url: 'https://press.example/1' });
    expect(await t.events('newsletter.published')).toHaveLength(1);
  });

  it('asks for a draft again when the pool is busy', async () => {
    const drafts = fake(draft, inTurn(new Transient('busy'), { title: 'tea', body: '...' }));
    await using t = await testSpine(app, { handlers: [drafts], steps });
    await t.result(await t.start('newsletter', { subjects: ['tea'] }));
    expect(drafts.calls.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  it('comes to the same when its process dies after everything that it records', async () => {
    const posted: unknown[] = [];
    await using t = await testSpine(app, {
      handlers: [fake(draft, ({ subject }) => ({ title: subject, body: '...' }), { takes: '30s' })],
      steps: { publish: (letter) => `https://press.example/${posted.push(letter)}` },
      crash: 'every-await',
    });
    const run = await t.start('newsletter', { subjects: ['tea', 'rain'] });
    expect(await t.result(run)).toEqual({ url: 'https://press.example/1' });
    expect(posted).toHaveLength(1);
    expect(t.crashes).toBeGreaterThan(3);
  });

  it('says that there is nothing to say', async () => {
    await using t = await testSpine(app);
    const run = await t.start('newsletter', { subjects: [] });
    expect(await t.outcome(run)).toMatchObject({ state: 'refused', code: 'NOTHING_TO_SAY' });
  });
});
