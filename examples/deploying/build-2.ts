/**
 * The second build: one step is gone, another is new, the others keep their names. That is compatible, so there is still
 * no version, and runs of the first build go on with this code.
 */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';
import * as press from './press.ts';

export const article = workflow('article', { input: z.object({ topic: z.string() }) }, async (ctx, { topic }) => {
  const draft = await ctx.step('draft', () => press.draft(topic));
  await ctx.sleep('approval', '2d');
  const illustrated = await ctx.step('illustrate', () => press.illustrate(draft));
  return ctx.step('publish', () => press.publish(illustrated));
});

export const app = defineApp({ name: 'press', workflows: [article] });
