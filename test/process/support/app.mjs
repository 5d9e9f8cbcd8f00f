// The app under test: every execution of a step or call is written to a file outside of the system, with the time at
// which it began. EXECUTIONS names the file.
import { appendFileSync } from 'node:fs';
import { capability, defineApp, workflow } from '../../../dist/spine/index.js';

const file = process.env.EXECUTIONS;

function executed(run, path) {
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ run, path, at: Date.now(), pid: process.pid })}\n`);
}

const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

export const double = capability('double', {});

const chain = workflow('chain', {}, async (ctx, input) => {
  let value = input.value;
  for (let i = 0; i < 4; i++) {
    value = await ctx.step(['add', i], async () => {
      executed(ctx.run.id, `add:${i}`);
      await pause(Math.random() * 20);
      return value + 1;
    });
  }
  const doubled = await ctx.call(double, { value, run: ctx.run.id });
  const parts = await ctx.map('parts', [1, 2, 3], { key: (n) => String(n), concurrency: 3 }, (n, inner) =>
    inner.step('scale', () => {
      executed(ctx.run.id, `parts:${n}`);
      return doubled * n;
    }),
  );
  return { total: parts.reduce((sum, part) => sum + part, 0) };
});

export const app = defineApp({
  name: 'process-tests',
  workflows: [chain],
  handlers: [
    double.implement(async ({ value, run }) => {
      executed(run, 'double');
      await pause(Math.random() * 20);
      return value * 2;
    }),
  ],
});
