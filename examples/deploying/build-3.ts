/**
 * The third build: the editor is asked before anything is written, and "draft" is another thing than it was. That is not
 * compatible, so this one is version 2, and the code of before stays for the runs that have no version.
 */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';
import { article as unversioned } from './build-2.ts';
import * as press from './press.ts';

export const article = workflow(
  'article',
  { version: '2', previous: [unversioned], input: z.object({ topic: z.string() }) },
  async (ctx, { topic }) => {
    const outline = await ctx.step('outline', () => press.outline(topic));
    await ctx.sleep('approval', '2d');
    const draft = await ctx.step('draft', () => press.draft(outline));
    return ctx.step('publish', () => press.publish(draft));
  },
);

export const app = defineApp({ name: 'press', workflows: [article] });
