// Topics under test: one whose events start a run each, in the order of their keys, and one that two writers fight for. What a
// run does is written to a file outside of the system (EXECUTIONS names it).
import { appendFileSync } from 'node:fs';

const { defineApp, subscription, topic, workflow } = await import(
  new URL('../../../dist/workflow/index.js', import.meta.url).href
);
const file = process.env.EXECUTIONS;

const ordered = topic('ordered', { key: 'key', partitions: 4 });
const led = topic('led', { writer: 'single' });

const handle = workflow('handle', { retry: { attempts: 100 } }, async (ctx, { key, n }) => {
  for (const step of ['first', 'second'])
    await ctx.step(step, async () => {
      appendFileSync(file, `${JSON.stringify({ run: ctx.run.id, key, n, step, at: Date.now() })}\n`);
      await new Promise((wake) => setTimeout(wake, Math.random() * 15));
    });
  return n;
});

export const app = defineApp({
  name: 'topics',
  topics: [ordered, led],
  workflows: [handle],
  subscriptions: [subscription('by-key', { topic: ordered, start: handle, from: 'oldest', order: 'key' })],
});
