/** A pool that takes two pictures at a time, and a shop of which no tenant may order more than ten pictures in a minute. */
import { capability, defineApp, limit, workflow } from 'eventspine';
import { z } from 'zod';

const slots = limit('gpu-slots', { concurrency: 2 });
const pace = limit('gpu-pace', { rate: { requests: 10, per: '1m' }, by: ['tenant'] });

export const render = capability('render', {
  input: z.object({ prompt: z.string() }),
  output: z.string(),
  limits: [slots, pace],
});

export const album = workflow('album', { input: z.array(z.string()) }, (ctx, prompts) =>
  ctx.map('pictures', prompts, { key: (prompt) => prompt }, (prompt, ctx) => ctx.call(render, { prompt })),
);

export const app = defineApp({
  name: 'limits',
  workflows: [album],
  handlers: [render.implement(({ prompt }) => `a picture of ${prompt}`)],
});
