/** The first build: a draft waits two days for an editor, then it is published. The workflow declares no version. */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';
import * as press from './press.ts';

export const article = workflow('article', { input: z.object({ topic: z.string() }) }, async (ctx, { topic }) => {
  const draft = await ctx.step('draft', () => press.draft(topic));
  const checked = await ctx.step('spellcheck', () => press.spellcheck(draft));
  // Stands for an approval that somebody gives after two days.
  await ctx.sleep('approval', '2d');
  return ctx.step('publish', () => press.publish(checked));
});

export const app = defineApp({ name: 'press', workflows: [article] });
