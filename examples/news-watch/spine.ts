/**
 * A watch without end: every hour it looks for what is new on a subject, has each article told in a child run that is given
 * the reader's profile along (nobody loads it again) and streams its words as they come, and goes on as a new run before its
 * history grows long. Start it with `npx eventspine dev examples/news-watch/spine.ts`, then
 * `npx eventspine runs start watch '{"reader":"ann","subject":"domes"}'`.
 */
import { capability, defineApp, topic, workflow } from 'eventspine';
import { z } from 'zod';

const Article = z.object({ id: z.string(), text: z.string() });

/** What an agency has on a subject since the article `after`. */
export const news = capability('news', {
  input: z.object({ subject: z.string(), after: z.string().nullable() }),
  output: z.array(Article),
});

export const toldTopic = topic('news.told', {
  schema: z.object({ reader: z.string(), article: z.string(), text: z.string() }),
});

/** Tells one article at the length that its reader likes. */
export const tell = workflow(
  'tell',
  { input: z.object({ reader: z.string(), article: Article }) },
  async (ctx, input) => {
    const { reader, article } = input;
    const likes = await ctx.context('profile', { key: reader }, () => loadProfile(reader));
    const text = await ctx.step('write', article, async ({ text }, step) => {
      const words = text.split(' ').slice(0, likes.words);
      for (const word of words) await step.stream().write(word);
      return words.join(' ');
    });
    await ctx.emit(toldTopic, { reader, article: article.id, text });
    return text;
  },
);

const Watch = z.object({ reader: z.string(), subject: z.string(), after: z.string().nullable().default(null) });

export const watch = workflow('watch', { input: Watch }, async (ctx, { reader, subject, after }) => {
  await ctx.context('profile', { key: reader, maxAge: '12h' }, () => loadProfile(reader));
  let last = after;
  for (let round = 0; round < 24; round++) {
    const found = await ctx.call(news, { subject, after: last }, { as: ['news', round] });
    await ctx.map(['tell', round], found, { key: ({ id }) => id, concurrency: 4 }, (article, ctx) =>
      ctx.child(tell, { reader, article }),
    );
    last = found.at(-1)?.id ?? last;
    await ctx.sleep(['pause', round], '1h');
  }
  return ctx.continueAsNew({ reader, subject, after: last });
});

/** Stands for a database; counted, so that a test sees how often it was asked. */
export const profiles = { loaded: 0 };
function loadProfile(reader: string): { readonly reader: string; readonly words: number } {
  profiles.loaded += 1;
  return { reader, words: 3 };
}

export const app = defineApp({
  name: 'news-watch',
  topics: [toldTopic],
  workflows: [watch, tell],
  handlers: [news.implement(({ after }) => (after === null ? [{ id: 'n1', text: 'Domes leak when it rains' }] : []))],
});
