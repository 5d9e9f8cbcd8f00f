/** The fourth build: version 3 has no approval at all. It keeps version 2, and with it what version 2 has kept. */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';
import { article as version2 } from './build-3.ts';
import * as press from './press.ts';

export const article = workflow(
  'article',
  { version: '3', previous: [version2], input: z.object({ topic: z.string() }) },
  async (ctx, { topic }) => {
    const outline = await ctx.step('outline', () => press.outline(topic));
    const draft = await ctx.step('draft', () => press.draft(outline));
    return ctx.step('publish', () => press.publish(draft));
  },
);

export const app = defineApp({ name: 'press', workflows: [article] });
