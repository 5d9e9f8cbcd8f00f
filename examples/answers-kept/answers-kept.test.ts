import { fakeModel, testSpine } from 'eventspine/testing';
import { expect, it } from 'vitest';
import { app } from './spine.ts';

it('asks the model one time for each wording of a question, and serves old answers while it is down', async () => {
  let isUp = true;
  const use = fakeModel(() => {
    if (!isUp) throw Object.assign(new Error('no such key'), { statusCode: 401 });
    return { text: 'At nine.' };
  });
  await using t = await testSpine(app, { models: { clerk: use }, crash: 'every-await' });
  for (let visitor = 1; visitor <= 12; visitor++)
    expect(await t.result(await t.start('ask', 'When do you open?'))).toMatchObject({ answer: 'At nine.' });
  expect(use.calls).toHaveLength(2);
  await t.advance('2d');
  isUp = false;
  const late = await t.start('ask', 'When do you open?');
  expect(await t.result(late)).toEqual({ answer: 'At nine.', by: 'cached', isOld: true });
});
