import { fake, inTurn, testSpine } from 'eventspine/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { app, news, profiles } from './spine.ts';

describe.each([undefined, 'every-await'] as const)('a watch for news, with crash %s', (crash) => {
  const options = crash === undefined ? {} : { crash };
  beforeEach(() => {
    profiles.loaded = 0;
  });

  it('tells what is new, loads the profile one time, and hands it on', async () => {
    const first = [
      { id: 'n1', text: 'Domes leak when it rains' },
      { id: 'n2', text: 'Mirrors age faster than domes' },
    ];
    const agency = fake(news, inTurn(first, [{ id: 'n3', text: 'Rain has stopped' }], []));
    await using t = await testSpine(app, { ...options, handlers: [agency] });
    const run = await t.start('watch', { reader: 'ann', subject: 'domes' });
    await t.advance('1h');
    await t.advance('1h');
    expect(agency.calls.map(({ input }) => input.after)).toEqual([null, 'n2', 'n3']);
    const texts = (await t.events('news.told')).map(({ data }) => (data as { readonly text: string }).text);
    expect(texts.toSorted()).toEqual(['Domes leak when', 'Mirrors age faster', 'Rain has stopped']);
    const told = await t.runs({ workflow: 'tell' });
    const streams = await Promise.all(told.map(({ id }) => t.chunks(id, 'write')));
    expect(streams).toContainEqual(['Domes', 'leak', 'when']);
    expect(profiles.loaded).toBe(1);
    expect((await t.view(told[0]?.id ?? '')).context).toMatchObject({ fetched: 0, saved: 1 });
    await t.cancel(run);
  });

  it('goes on as a new run after a day, from the article that it was at', async () => {
    const agency = fake(news, ({ after }) => (after === null ? [{ id: 'n1', text: 'Domes leak' }] : []));
    await using t = await testSpine(app, { ...options, handlers: [agency] });
    const run = await t.start('watch', { reader: 'ann', subject: 'domes' });
    await t.advance('25h');
    const runs = await t.runs({ workflow: 'watch' });
    expect(runs.map(({ state }) => state)).toEqual([expect.not.stringContaining('continued'), 'continued']);
    expect(agency.calls.at(-1)?.input.after).toBe('n1');
    // The profile is older than half a day then, so the new run has loaded it again.
    expect(profiles.loaded).toBe(2);
    await t.cancel(run);
  });
});
