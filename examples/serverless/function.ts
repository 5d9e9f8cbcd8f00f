/**
 * An app that is called instead of connecting: a capability and a workflow behind one function of the shape of `fetch`. On a
 * platform export `handler` as it wants it; on this machine `local.ts` gives it a port.
 */
import { capability, defineApp, workflow } from 'eventspine';
import { createHandler } from 'eventspine/serverless';
import { z } from 'zod';

const summarise = capability('summarise', {
  input: z.object({ text: z.string() }),
  output: z.string(),
  timeout: '30s',
});

const digest = workflow('digest', { input: z.array(z.string()) }, async (ctx, texts) => {
  const lines = await ctx.map('texts', texts, { key: (_, i) => i }, (text, inner) => inner.call(summarise, { text }));
  await ctx.sleep('1s');
  return ctx.step('join', () => lines.join('\n'));
});

export const app = defineApp({
  name: 'digests',
  workflows: [digest],
  handlers: [summarise.implement(({ text }) => `${text.split('. ')[0] ?? ''}.`)],
});

export const handler = (secret: string): ReturnType<typeof createHandler> => createHandler(app, { secret });
