/** Tests on a clock of their own: a week takes milliseconds, and nothing is fetched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSpine } from 'eventspine/testing';
import { app } from './spine.ts';

const steps = { title: () => 'Domes leak' };

void test('reminds when it is time, and not before', async () => {
  const t = await testSpine(app, { steps });
  try {
    const run = await t.start('read-later', { url: 'https://example.org/', remindAfterDays: 7 });
    await t.advance('6d');
    assert.equal((await t.view(run)).state, 'waiting');
    await t.advance('1d');
    assert.deepEqual(await t.result(run), {
      title: 'Domes leak',
      text: 'Read "Domes leak": https://example.org/',
    });
  } finally {
    await t.close();
  }
});

void test('comes to the same when the process dies at every await', async () => {
  const t = await testSpine(app, { steps, crash: 'every-await' });
  try {
    const run = await t.start('read-later', { url: 'https://example.org/' });
    assert.equal((await t.result(run)).title, 'Domes leak');
    assert.ok(t.crashes > 0);
  } finally {
    await t.close();
  }
});

void test('refuses what is no URL', async () => {
  const t = await testSpine(app, { steps });
  try {
    await assert.rejects(t.start('read-later', { url: 'nonsense' }), { code: 'INPUT_INVALID' });
  } finally {
    await t.close();
  }
});
