/** Tests with node:test: `node --import tsx --test examples/testing/newsletter.node.ts`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fake, testSpine } from 'eventspine/testing';
import { app, draft } from './spine.ts';

void test('a newsletter is published after two days', async () => {
  const t = await testSpine(app, {
    handlers: [fake(draft, { title: 'tea', body: '...' })],
    steps: { publish: () => 'https://press.example/1' },
  });
  try {
    const run = await t.start('newsletter', { subjects: ['tea'] });
    assert.equal((await t.view(run)).waitingFor[0]?.kind, 'timer');
    assert.deepEqual(await t.result(run), { url: 'https://press.example/1' });
    assert.equal(t.now().toISOString(), '2026-01-03T00:00:00.000Z');
  } finally {
    await t.close();
  }
});
