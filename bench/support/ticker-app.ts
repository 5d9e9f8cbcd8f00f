/** The app of the stream benchmark: a run that reports progress, slowly, to all who listen. */
import { defineApp, workflow } from 'eventspine';

export const ticks = 5;

export const ticker = workflow('ticker', {}, async (ctx) => {
  await ctx.sleep('before', '20s');
  for (let i = 0; i < ticks; i++) {
    await ctx.step(['tick', i], () => ({ at: Date.now(), text: 'x'.repeat(100) }));
    await ctx.sleep(['pause', i], '2s');
  }
  return null;
});

export const app = defineApp({ name: 'ticker', workflows: [ticker] });
