/** The app that the benchmarks run: a body that does nothing, and one of five steps that do nothing. */
import { defineApp, workflow } from 'eventspine';

export const noop = workflow('noop', {}, async () => null);

export const five = workflow('five', {}, async (ctx) => {
  for (let i = 1; i <= 5; i++) await ctx.step(['s', i], () => i);
  return null;
});

export const app = defineApp({ name: 'bench', workflows: [noop, five] });
