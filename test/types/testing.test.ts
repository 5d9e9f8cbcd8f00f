/** The types of the test kit: what an app says of its workflows and capabilities reaches the test. */
import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { capability, defineApp, topic, Transient, workflow } from '../../src/workflow/index.js';
import { fake, inTurn, replayHistory, testSpine, type TestOutcome, type TestRun } from '../../src/testing/index.js';

const search = capability('search', { input: z.object({ query: z.string() }), output: z.array(z.string()) });
const asked = topic('asked', { schema: z.object({ query: z.string() }) });
const answer = workflow('answer', { input: z.object({ query: z.string() }) }, async (ctx, { query }) => ({
  docs: await ctx.call(search, { query }),
  at: new Date(ctx.now()),
}));
const app = defineApp({ workflows: [answer], topics: [asked], capabilities: [search] });

describe('the types of the test kit', () => {
  it('follow from the app', async () => {
    await using t = await testSpine(app, { handlers: [fake(search, ['a'])] });
    const run = await t.start('answer', { query: 'x' });
    expectTypeOf(run).toEqualTypeOf<TestRun<{ docs: string[]; at: Date }>>();
    expectTypeOf(await t.result(run)).toEqualTypeOf<{ docs: string[]; at: Date }>();
    expectTypeOf(await t.outcome(run)).toEqualTypeOf<TestOutcome<{ docs: string[]; at: Date }>>();
    await t.publish('asked', { query: 'x' });
    expectTypeOf((await replayHistory(app, await t.exportHistory(run))).verdict).toEqualTypeOf<
      'same' | 'compatible' | 'breaking'
    >();
  });

  it('refuse what does not fit', () => {
    // Only compiled: nothing of it is meant to run.
    const never = async (): Promise<void> => {
      const t = await testSpine(app);
      // @ts-expect-error there is no such workflow
      await t.start('other', { query: 'x' });
      // @ts-expect-error the query is a text
      await t.start('answer', { query: 1 });
      // @ts-expect-error there is no such topic
      await t.publish('other', {});
      // @ts-expect-error documents are texts
      fake(search, [1]);
      // @ts-expect-error and so is each of the answers that come in turn
      fake(search, inTurn(new Transient('busy'), [1]));
    };
    expectTypeOf(never).toBeFunction();
  });

  it('give fakes the types of what they stand for', () => {
    const faked = fake(search, ({ query }, { attempt }) => {
      expectTypeOf(query).toBeString();
      expectTypeOf(attempt).toBeNumber();
      return [query];
    });
    expectTypeOf(faked.calls[0]?.input).toEqualTypeOf<{ query: string } | undefined>();
    fake(search, inTurn(new Transient('busy'), ['a']), { takes: '3s' });
  });
});
