/** The app of the page under test: a workflow that reports how far it is, slowly enough to be watched. */
import { z } from 'zod';
import { defineApp, Terminal, workflow } from 'eventspine';

export const letter = workflow(
  'letter',
  { input: z.object({ to: z.string(), parts: z.number(), pauseMs: z.number() }) },
  async (ctx, { to, parts, pauseMs }) => {
    await ctx.step('begin', () => console.log('run started'));
    if (to === 'nobody') throw new Terminal('no-address', { to });
    const lines: string[] = [];
    for (let part = 1; part <= parts; part++) {
      const line = await ctx.step(['write', part], async () => {
        await new Promise((wake) => setTimeout(wake, pauseMs));
        return `secret draft ${part}`;
      });
      lines.push(line);
      ctx.progress({ done: part, total: parts });
    }
    return { text: `Dear ${to}`, parts: lines.length };
  },
);

/** Asks an editor before it is sent, and writes meanwhile: to its stream, for whoever looks. */
export const review = workflow('review', { input: z.object({ text: z.string() }) }, async (ctx, { text }) => {
  await ctx.step('draft', async (step) => {
    for (const word of text.split(' ')) await step.stream().write(word);
  });
  const word = await ctx.approve('send', {
    to: ['role:editor', 'user:ada'],
    title: 'Send this?',
    show: { text },
    form: z.object({ text: z.string().min(1) }),
  });
  return word.outcome === 'approved' ? { by: word.by, text: word.form.text } : { by: null, text: word.outcome };
});

/** Nobody may start this one from a page. */
export const internal = workflow('internal', {}, async () => 'not for pages');

export const app = defineApp({ workflows: [letter, review, internal] });
export type App = typeof app;
