/** The first build of the example `deploying`, in which a step has another name without a new version. */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';

export const article = workflow('article', { input: z.object({ topic: z.string() }) }, async (ctx, { topic }) => {
  const draft = await ctx.step('write', () => `a draft on ${topic}`);
  const checked = await ctx.step('spellcheck', () => draft);
  await ctx.sleep('approval', '2d');
  return ctx.step('publish', () => `published: ${checked}`);
});

export const app = defineApp({ name: 'press', workflows: [article] });
