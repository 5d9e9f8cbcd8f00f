/** Tests on a clock of their own: two days of waiting for an editor take milliseconds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Transient } from 'eventspine';
import { fake, inTurn, testSpine, type TestSpine, type TestSpineOptions } from 'eventspine/testing';
import { search } from './search.ts';
import { app, write, type App } from './spine.ts';

const question = { question: 'When do domes leak?' };

/** A spine that publishes nowhere, for one test. */
async function within(options: TestSpineOptions, run: (t: TestSpine<App>) => Promise<void>): Promise<void> {
  const t = await testSpine(app, { steps: { publish: () => 'published/1.md' }, ...options });
  try {
    await run(t);
  } finally {
    await t.close();
  }
}

void test('finds the passage that answers', async () => {
  const [best] = await search(question.question);
  assert.equal(best?.source, 'domes.md');
  assert.match(best?.text ?? '', /older than eight years/);
  assert.deepEqual(await search('zebra'), []);
});

void test('publishes what the editor has made of the draft', async () => {
  await within({}, async (t) => {
    const run = await t.start('answer', question);
    const [review] = await t.approvals(run);
    assert.equal(review?.title, question.question);
    await t.approve(run, { form: { text: 'When the seal is old.' }, as: 'eve', roles: ['editor'] });
    assert.deepEqual(await t.result(run), {
      published: true,
      page: 'published/1.md',
      sources: ['domes.md', 'nights.md'],
      by: 'user:eve',
    });
  });
});

void test('asks the chief after a day, and gives up after two', async () => {
  await within({}, async (t) => {
    const run = await t.start('answer', question);
    assert.deepEqual((await t.approvals(run))[0]?.to, ['role:editor']);
    await t.advance('1d');
    assert.deepEqual((await t.approvals(run))[0]?.to, ['role:editor', 'role:chief']);
    assert.deepEqual(await t.result(run), { published: false, why: 'expired' });
  });
});

void test('publishes nothing that was rejected, or that nobody could answer', async () => {
  await within({}, async (t) => {
    const rejected = await t.start('answer', question);
    await t.reject(rejected, { comment: 'not like this' });
    assert.deepEqual(await t.result(rejected), { published: false, why: 'rejected' });
    const unknown = await t.start('answer', { question: 'zebra' });
    assert.deepEqual(await t.result(unknown), { published: false, why: 'nothing was found' });
  });
});

void test('asks the model again when it is busy, and never again once it has answered', async () => {
  const model = fake(write, inTurn(new Transient('busy'), { text: 'An old seal.', sources: ['domes.md'] }));
  await within({ handlers: [model], crash: 'every-await' }, async (t) => {
    const run = await t.start('answer', question);
    await t.advance('1m');
    await t.approve(run, { form: { text: 'An old seal.' } });
    assert.equal((await t.result<{ published: boolean }>(run.id)).published, true);
    assert.equal(model.calls.length, 2);
  });
});
