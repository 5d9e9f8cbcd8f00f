/** Workflows of sizes that the forms bench asks about. */
import { defineApp, workflow } from 'eventspine';

const steps = workflow('steps', {}, async (ctx, count: unknown) => {
  for (let i = 0; i < Number(count); i++) await ctx.step(['step', i], () => i);
  return count;
});

const mapped = workflow('mapped', {}, async (ctx, count: unknown) => {
  const items = Array.from({ length: Number(count) }, (_, i) => i);
  const results = await ctx.map('items', items, { concurrency: 64 }, (item, ctx) => ctx.step('double', () => 2 * item));
  return results.length;
});

/** Sleeps until an instant, as thousands of others do. */
const sleeper = workflow('sleeper', {}, async (ctx, until: unknown) => {
  await ctx.sleepUntil('dawn', Number(until));
});

const large = workflow('large', {}, async (ctx, bytes: unknown) => {
  const made = await ctx.step('make', () => new Uint8Array(Number(bytes)).fill(7));
  return made.byteLength;
});

const parent = workflow('parent', {}, async (ctx, count: unknown) => {
  const items = Array.from({ length: Number(count) }, (_, i) => i);
  return (await ctx.map('children', items, { concurrency: 64 }, (item, ctx) => ctx.child(child, item))).length;
});

const child = workflow('child', {}, async (ctx, n: unknown) => ctx.step('double', () => 2 * Number(n)));

export const app = defineApp({ name: 'forms', workflows: [steps, mapped, sleeper, large, parent, child] });
export type App = typeof app;
