/**
 * What a map of a graph costs: time and memory for lists of growing length, so that one sees whether twice the items take twice
 * the time. The work of an item is nothing; all that is measured is ours.
 *
 *   npm run bench -- graph [items=10000] [concurrency=16]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSpine, dag, defineApp } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { costOf } from './support/cost.js';
import { report } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const items = Number(options.get('items') ?? 10_000);
const concurrency = Number(options.get('concurrency') ?? 16);

const squares = dag('squares', {
  nodes: {
    square: { map: { over: 'input', concurrency }, run: (n: unknown) => Number(n) ** 2 },
    sum: { run: (all: readonly number[]) => all.reduce((a, b) => a + b, 0), input: 'square' },
  },
  output: 'sum',
});

const folder = mkdtempSync(join(tmpdir(), 'eventspine-graph-'));
const spine = createSpine(defineApp({ workflows: [squares] }), { store: sqlite({ file: join(folder, 'graph.db') }) });
try {
  await measured(100);
  const figures: Record<string, unknown> = { concurrency };
  for (const n of [items / 4, items / 2, items].map(Math.floor)) figures[`of ${n}`] = await measured(n);
  report('graph', figures);
} finally {
  await spine.close();
  rmSync(folder, { recursive: true, force: true });
}

async function measured(n: number): Promise<Record<string, unknown>> {
  const { value: sum, ...cost } = await costOf(async () => {
    const run = await spine.start(
      'squares',
      Array.from({ length: n }, (_, i) => i),
    );
    return await run.result();
  });
  if (sum !== ((n - 1) * n * (2 * n - 1)) / 6) throw new Error(`the sum is ${String(sum)}`);
  return { ...cost, itemsPerSecond: Math.round((n / cost.ms) * 1_000) };
}
