/**
 * Questions that many ask: an answer serves for a day, an older one when the model is down, and the wording of the question has
 * two versions. Start it with `npx eventspine dev examples/answers-kept/spine.ts`, ask two times
 * `npx eventspine run ask '"When do you open?"' --wait`, and look with `npx eventspine why <run>` and `npx eventspine cache stats`.
 */
import { cached, defineApp, model, person, prompt, workflow } from 'eventspine';
import { localModel } from 'eventspine/models';
import { z } from 'zod';

// In earnest: openai('gpt-5'), or any other model of the AI SDK.
export const clerk = model('clerk', {
  versions: { v1: { use: localModel(), price: { input: 2.5, output: 10 } } },
  cache: { ttl: '1d' },
});

export const question = prompt('question', {
  versions: {
    plain: ({ asked }: { asked: string }) => `Answer the customer: ${asked}`,
    warm: ({ asked }: { asked: string }) => [
      { role: 'system', content: 'You are the clerk of a small museum, and glad of each visitor.' },
      { role: 'user', content: asked },
    ],
  },
  use: { plain: 1, warm: 1 },
});

export const ask = workflow('ask', { input: z.string() }, async (ctx, asked) => {
  const answer = await ctx.infer('answer', {
    model: clerk,
    prompt: question.with({ asked }),
    fallback: [cached({ maxAge: '30d' }), person({ to: 'role:desk', title: asked.slice(0, 80) })],
  });
  return { answer: answer.text, by: answer.model.arm, isOld: answer.cached !== undefined };
});

export const app = defineApp({ name: 'museum', models: [clerk], prompts: [question], workflows: [ask] });
