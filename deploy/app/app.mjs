// The app of the examples in this folder; put yours in its place.
import { capability, defineApp, workflow } from 'eventspine';

export const measure = capability('measure');

const greet = workflow('greet', {}, async (ctx, name) => {
  const length = await ctx.call(measure, String(name));
  return await ctx.step('say', () => `Hello, ${String(name)}! Your name has ${String(length)} letters.`);
});

export const app = defineApp({
  name: 'greeter',
  workflows: [greet],
  handlers: [measure.implement((text) => text.length)],
});
