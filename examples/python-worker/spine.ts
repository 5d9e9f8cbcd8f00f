/**
 * A workflow in TypeScript that calls a capability in Python. Start it with `npx eventspine dev examples/python-worker/spine.ts`
 * and `python3 examples/python-worker/worker.py`, then `npx eventspine run report '{"text":"to be or not to be"}'`.
 */
import { capability, defineApp, workflow } from 'eventspine';
import { z } from 'zod';

export const wordStats = capability('word-stats', {
  input: z.object({ text: z.string(), seconds: z.number().optional() }),
  output: z.object({ words: z.number(), top: z.array(z.tuple([z.string(), z.number()])), attempt: z.number() }),
});

export const report = workflow(
  'report',
  { input: z.object({ text: z.string(), seconds: z.number().optional() }) },
  async (ctx, text) => {
    const stats = await ctx.call(wordStats, text);
    return ctx.step('write', () => `${stats.words} words, most often "${stats.top[0]?.[0] ?? ''}"`);
  },
);

export const app = defineApp({ name: 'reports', workflows: [report], capabilities: [wordStats] });
