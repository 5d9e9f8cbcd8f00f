/**
 * The smallest app: one workflow with two steps and a pause. Start it with `npx eventspine dev examples/hello/spine.ts`, then
 * `npx eventspine run hello '{"name":"Ada"}'`.
 */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';

export const hello = workflow('hello', { input: z.object({ name: z.string() }) }, async (ctx, { name }) => {
  const greeting = await ctx.step('greet', () => `Hello, ${name}!`);
  await ctx.sleep('10s');
  const length = await ctx.step('measure', () => greeting.length);
  return { greeting, length };
});

export const app = defineApp({ name: 'hello', workflows: [hello] });
