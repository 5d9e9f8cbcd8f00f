/** The first build of the example `deploying`, in which a step has become a timer without a new version. */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';

export const article = workflow('article', { input: z.object({ topic: z.string() }) }, async (ctx, { topic }) => {
  const draft = await ctx.step('draft', () => `a draft on ${topic}`);
  await ctx.sleep('spellcheck', '1h');
  await ctx.sleep('approval', '2d');
  return ctx.step('publish', () => `published: ${draft}`);
});

export const app = defineApp({ name: 'press', workflows: [article] });
