// The app under test. Every execution of a step or call is written to a file outside of the system (EXECUTIONS names it)
// with the time at which it began and a mark of its own, and the mark is part of the result: whoever reads the history
// knows which execution was recorded.
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';

const build = process.env.EVENTSPINE_BUILD ?? new URL('../../../dist/', import.meta.url).href;
const { capability, defineApp, limit, workflow } = await import(`${build}spine/index.js`);

const file = process.env.EXECUTIONS;

function executed(run, path) {
  const mark = randomUUID();
  if (file !== undefined)
    appendFileSync(file, `${JSON.stringify({ run, path, mark, at: Date.now(), pid: process.pid })}\n`);
  return mark;
}

const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

// Builds from before there were limits know nothing of them.
const limits =
  limit === undefined
    ? {}
    : {
        limits: [
          limit('double-slots', { concurrency: 10 }),
          limit('double-pace', { rate: { requests: 200, per: '1s', burst: 40 } }),
        ],
      };
export const double = capability('double', { retry: { attempts: 50 }, ...limits });

const chain = workflow('chain', {}, async (ctx, input) => {
  let value = input.value;
  for (let i = 0; i < 4; i++) {
    const added = await ctx.step(['add', i], async () => {
      const mark = executed(ctx.run.id, `add:${i}`);
      await pause(Math.random() * 20);
      return { value: value + 1, mark };
    });
    value = added.value;
  }
  if (input.value % 3 === 0) await ctx.sleep('30ms');
  const doubled = await ctx.call(double, { value, run: ctx.run.id });
  const parts = await ctx.map('parts', [1, 2, 3], { key: (n) => String(n), concurrency: 3 }, (n, inner) =>
    inner.step('scale', () => ({ value: doubled.value * n, mark: executed(ctx.run.id, `parts:${n}`) })),
  );
  return { total: parts.reduce((sum, part) => sum + part.value, 0) };
});

export const app = defineApp({
  name: 'campaign',
  workflows: [chain],
  handlers: [
    double.implement(async ({ value, run }) => {
      const mark = executed(run, 'double');
      await pause(Math.random() * 20);
      return { value: value * 2, mark };
    }),
  ],
});
