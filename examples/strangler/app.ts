/** The same work as a workflow: each part is a step, so that none of them is paid for twice. */
import { defineApp, workflow } from 'eventspine';
import { strangleTopics } from 'eventspine/strangle';
import { z } from 'zod';
import { answerOf, type Ask, shares } from './answer.ts';

/** The app, over a model. */
export function appOf(ask: Ask) {
  const answer = workflow(
    'answer',
    { input: z.object({ text: z.string(), ms: z.number() }) },
    async (ctx, { text, ms }) => {
      const plan = await ctx.step('plan', () => ask(`a plan for "${text}"`, ms * shares.plan));
      const draft = await ctx.step('draft', () => ask(`a draft of ${plan}`, ms * shares.draft));
      const checked = await ctx.step('check', () => ask(draft, ms * shares.check));
      return answerOf(plan, checked);
    },
  );
  return defineApp({ name: 'answers', workflows: [answer], topics: [...strangleTopics] });
}
