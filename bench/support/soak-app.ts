/** The app of the benchmarks over PostgreSQL: five steps that do nothing, and a run that is soon forgotten. */
import { defineApp, workflow } from 'eventspine';

export const five = workflow('five', { retain: '1m' }, async (ctx) => {
  for (let i = 1; i <= 5; i++) await ctx.step(['s', i], () => i);
  return null;
});

export const app = defineApp({ name: 'bench', workflows: [five] });
