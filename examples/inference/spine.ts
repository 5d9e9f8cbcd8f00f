/**
 * A letter to a shop is sorted by a model and answered by another that looks the order up. Start it with
 * `npx eventspine dev examples/inference/spine.ts`, then
 * `npx eventspine run letter '"Where is my order A123?"'`, and ask `npx eventspine why <run>`.
 */
import { defineApp, model, tool, workflow } from 'eventspine';
import { z } from 'zod';
import { deskModel } from './desk-model.ts';

const sorter = model('sorter', { versions: { '2026-01': { use: deskModel, price: { input: 0.2, output: 0.8 } } } });
const writer = model('writer', {
  versions: {
    calm: { use: deskModel, weight: 9, price: { input: 2.5, output: 10 } },
    brisk: { use: deskModel, weight: 1, price: { input: 2.5, output: 10 } },
  },
});

const Sorted = z.object({ topic: z.enum(['refund', 'delivery', 'other']), order: z.string().nullable() });

export const lookUpOrder = tool({
  description: 'Says how far an order is.',
  input: z.object({ order: z.string() }),
  run: ({ order }) => ({ order, status: order.endsWith('3') ? 'shipped' : 'waiting' }),
});

export const letter = workflow('letter', { input: z.string() }, async (ctx, text) => {
  const { object: sorted } = await ctx.infer('sort', { model: sorter, prompt: text, schema: Sorted });
  const reply = await ctx.infer('reply', {
    model: writer,
    system: `Answer letters about ${sorted.topic}.`,
    prompt: text,
    tools: { lookUpOrder },
    stream: true,
  });
  return { ...sorted, reply: reply.text };
});

export const app = defineApp({ name: 'letters', models: [sorter, writer], workflows: [letter] });
