/**
 * How long does a start take to reach a worker, of the same server and of another on the same PostgreSQL? Starts come
 * evenly; the time is from the call of `start` to the first line of the body. Each server is a spine of its own with
 * connections of its own; all run in this process, so that one clock measures.
 *
 *   npm run bench -- reach [rate=100] [secs=5] [rounds=3]      PG_URL=... for a server that is there
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createSpine, defineApp, workflow, type Spine } from 'eventspine';
import { postgres } from 'eventspine/postgres';
import type { StoreFactory } from '../src/store/index.js';
import { startPostgres } from '../scripts/postgres.mjs';
import { quantile, report, spreadOf } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const rate = Number(options.get('rate') ?? 100);
const secs = Number(options.get('secs') ?? 5);
const rounds = Number(options.get('rounds') ?? 3);

let times: number[] = [];
const timed = workflow('timed', {}, async (_ctx, input) => {
  const { at } = input as { at: number };
  if (at > 0) times.push(performance.now() - at);
  return null;
});
const app = defineApp({ name: 'bench', workflows: [timed] });

/** Starts runs at one server, and measures when their bodies begin. Sorted, ms. */
async function measure(at: Spine<typeof app>): Promise<number[]> {
  for (let i = 0; i < 50; i++) await at.start('timed', { at: 0 });
  await sleep(1_000);
  times = [];
  const begun = performance.now();
  const starts: Promise<unknown>[] = [];
  for (let i = 0; i < rate * secs; i++) {
    const waitMs = begun + (i * 1_000) / rate - performance.now();
    if (waitMs > 0.5) await sleep(waitMs);
    starts.push(at.start('timed', { at: performance.now() }));
  }
  await Promise.all(starts);
  for (let i = 0; i < 100 && times.length < rate * secs; i++) await sleep(50);
  if (times.length < rate * secs) throw new Error(`only ${times.length} of ${rate * secs} began`);
  return times.sort((a, b) => a - b);
}

const given = process.env['PG_URL'];
const server = given === undefined ? await startPostgres({ fsync: true }) : null;
const url = given ?? server?.url ?? null;
if (url === null) throw new Error('There is no PostgreSQL.');
const stop = server !== null && server.url !== null ? server.stop : null;
const store = postgres({ url, schema: `bench_reach_${process.pid}` });
// Without a location: two spines on one location would be two views of one server.
const alone = (): StoreFactory => ({ name: store.name, open: () => store.open() });
const worker = createSpine(app, { store: alone() });
const other = createSpine(app, { store: alone(), worker: false });
try {
  const same: number[][] = [];
  const across: number[][] = [];
  await worker.start('timed', { at: 0 });
  for (let round = 0; round < rounds; round++) {
    same.push(await measure(worker));
    across.push(await measure(other));
  }
  const spread = (runs: readonly number[][], q: number): unknown =>
    spreadOf(
      runs.map((run) => quantile(run, q)),
      2,
    );
  report('reach', {
    rate,
    secs,
    sameServerMs: { p50: spread(same, 0.5), p99: spread(same, 0.99) },
    otherServerMs: { p50: spread(across, 0.5), p99: spread(across, 0.99) },
  });
} finally {
  await other.close();
  await worker.close();
  await stop?.();
}
