/** The work that was in the route, as a workflow. The call is the same; what it says goes to a stream of the step. */
import { defineApp, workflow } from 'eventspine';
import { z } from 'zod';
import { streamText } from './model.ts';

export const Chat = z.object({ prompt: z.string().min(1) });

export const chat = workflow('chat', { input: Chat }, (ctx, { prompt }) =>
  ctx.step(
    'reply',
    async (step) => {
      const { textStream } = streamText({ prompt, signal: step.signal });
      let reply = '';
      for await (const text of textStream) {
        reply += text;
        await step.stream().write(text);
      }
      return reply;
    },
    { timeout: '5m' },
  ),
);

export const app = defineApp({ name: 'chat', workflows: [chat] });
export type App = typeof app;
