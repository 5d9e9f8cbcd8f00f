/**
 * What batches bring where each request of a provider takes its time and only so many are allowed at once: small calls, one
 * request each and put together, on the embedded store with server and worker in one process.
 *
 *   npm run bench -- batches [calls=10000] [request=5] [atOnce=8] [max=64] [rounds=3]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capability, createSpine, defineApp, workflow } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { report, spreadOf } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const size = (name: string, standard: number): number => Number(options.get(name) ?? standard);
const [calls, requestMs, atOnce] = [size('calls', 10_000), size('request', 5), size('atOnce', 8)];
const [max, rounds] = [size('max', 64), size('rounds', 3)];

let requests = 0;
let underWay = 0;
const queue: (() => void)[] = [];

/** A request of the provider, which takes `atOnce` side by side. */
async function request(): Promise<void> {
  if (underWay === atOnce) await new Promise<void>((resolve) => queue.push(resolve));
  else underWay += 1;
  requests += 1;
  await new Promise((resolve) => setTimeout(resolve, requestMs));
  const next = queue.shift();
  if (next === undefined) underWay -= 1;
  else next();
}

const alone = capability('alone');
const together = capability('together');
const kinds = { alone, together } as const;
type Kind = keyof typeof kinds;

const work = workflow('work', {}, async (ctx, given: unknown) => {
  const { kind, count } = given as { readonly kind: Kind; readonly count: number };
  await ctx.map(
    'each',
    Array.from({ length: count }, (_, i) => i),
    { concurrency: 512 },
    (n, inner) => inner.call(kinds[kind], n),
  );
  return count;
});
const app = defineApp({
  workflows: [work],
  handlers: [
    alone.implement(async (n) => {
      await request();
      return n;
    }),
    together.implementBatch({ max, wait: 5 }, async (numbers) => {
      await request();
      return numbers;
    }),
  ],
});

const folder = mkdtempSync(join(tmpdir(), 'eventspine-batches-'));
const spine = createSpine(app, { store: sqlite({ file: join(folder, 'batches.db') }), worker: { slots: 512 } });

async function timed(kind: Kind, count: number): Promise<number> {
  requests = 0;
  const from = performance.now();
  await (await spine.start('work', { kind, count })).result();
  return (performance.now() - from) / 1_000;
}

try {
  await timed('alone', 500);
  await timed('together', 500);
  const seconds: Record<Kind, number[]> = { alone: [], together: [] };
  const asked: Record<Kind, number[]> = { alone: [], together: [] };
  for (let round = 0; round < rounds; round++) {
    for (const kind of ['alone', 'together'] as const) {
      seconds[kind].push(await timed(kind, calls));
      asked[kind].push(requests);
    }
  }
  const ratios = seconds.alone.map((one, i) => one / (seconds.together[i] ?? Number.NaN));
  for (const kind of ['alone', 'together'] as const)
    report('batches', { kind, calls, requests: spreadOf(asked[kind]), seconds: spreadOf(seconds[kind], 2) });
  report('batches', { togetherIsQuickerBy: spreadOf(ratios, 2) });
} finally {
  await spine.close();
  rmSync(folder, { recursive: true, force: true });
}
