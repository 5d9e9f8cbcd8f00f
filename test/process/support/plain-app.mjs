// Definitions without schemas: whatever HTTP lets through comes to the engine and the store.
import { capability, defineApp, topic, webhook, workflow } from '../../../dist/spine/index.js';

const noted = topic('noted', {});
const twice = capability('twice', {});

const echo = workflow('echo', {}, async (ctx, input) => await ctx.step('echo', () => input));
const idle = workflow('idle', {}, async (ctx) => await ctx.sleep('1h'));
const chatty = workflow('chatty', {}, async (ctx, { reports, bytes }) => {
  for (let i = 0; i < reports; i++) ctx.progress('x'.repeat(bytes));
});
const told = workflow('told', { on: noted }, async (ctx, input) => await ctx.step('told', () => input ?? null));

export const app = defineApp({
  name: 'plain',
  workflows: [echo, idle, chatty, told],
  topics: [noted],
  webhooks: [webhook('noted', { topic: noted, scheme: 'standard', map: { key: '{body.key}', data: '{body.data}' } })],
  handlers: [twice.implement((value) => [value, value])],
});
