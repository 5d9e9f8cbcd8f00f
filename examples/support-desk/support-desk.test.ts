import { testSpine } from 'eventspine/testing';
import { describe, expect, it } from 'vitest';
import { app } from './spine.ts';

describe.each([undefined, 'every-await'] as const)('a support desk, with crash %s', (crash) => {
  const options = crash === undefined ? {} : { crash };

  it('answers from what its experts have learned, and counts the turns of each customer', async () => {
    await using t = await testSpine(app, options);
    await t.publish('note.published', { product: 'kettle', about: 'lime', text: 'Boil it with vinegar.' });
    const question = { product: 'kettle', text: 'How do I remove lime?' };
    expect(await t.agent('desk', 'ann').ask('said', question)).toEqual({ text: 'Boil it with vinegar.', turn: 1 });
    expect(await t.agent('desk', 'ann').ask('said', { ...question, product: 'toaster' })).toEqual({
      text: 'I shall ask a colleague.',
      turn: 2,
    });
    expect(await t.agent('desk', 'bob').ask('said', question)).toMatchObject({ turn: 1 });
    expect(await t.agent('desk', 'ann').status()).toMatchObject({ status: 'idle', handled: 2, state: { turns: 2 } });
  });

  it('takes a message of one id one time', async () => {
    await using t = await testSpine(app, options);
    const ann = t.agent('desk', 'ann');
    const question = { product: 'kettle', text: 'lime?' };
    expect(await ann.tell('said', question, { id: 'm1' })).toEqual({ repeated: false });
    expect(await ann.tell('said', question, { id: 'm1' })).toEqual({ repeated: true });
    expect(await ann.status()).toMatchObject({ handled: 1, state: { turns: 1 } });
  });

  it('puts before the head what an expert has given up on, and goes on', async () => {
    await using t = await testSpine(app, options);
    await t.publish('note.published', { product: 'kettle', about: 'steam', text: '' });
    await t.publish('note.published', { product: 'kettle', about: 'lime', text: 'Vinegar.' });
    await t.advance('1m');
    expect(await t.agent('head', 'products').status()).toMatchObject({
      state: { cases: [{ agent: 'expert', key: 'kettle', reason: 'The note about "steam" is empty.' }] },
    });
    expect(await t.agent('expert', 'kettle').status()).toMatchObject({ state: { notes: { lime: 'Vinegar.' } } });
  });
});

it('says that a key has had no message, and that a message is unknown', async () => {
  await using t = await testSpine(app);
  await expect(t.agent('desk', 'nobody').status()).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  await expect(t.agent('desk', 'ann').tell('wanted' as 'said', { product: 'p', text: '' })).rejects.toMatchObject({
    code: 'MESSAGE_UNKNOWN',
  });
});
