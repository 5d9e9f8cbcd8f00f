/** The first build of the example `deploying`, in which the editor is asked first, without a new version. */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';

export const article = workflow('article', { input: z.object({ topic: z.string() }) }, async (ctx, { topic }) => {
  await ctx.sleep('approval', '2d');
  const draft = await ctx.step('draft', () => `a draft on ${topic}`);
  const checked = await ctx.step('spellcheck', () => draft);
  return ctx.step('publish', () => `published: ${checked}`);
});

export const app = defineApp({ name: 'press', workflows: [article] });
