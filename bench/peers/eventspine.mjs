// The adapter of Eventspine for the peers' runner: the same workload, the same process layout (producer in the parent,
// handlers in one forked worker process). EVENTSPINE_ROOT names the checkout, whose build is measured; with
// EVENTSPINE_STORE_URL (postgres://...) the store is PostgreSQL, in a schema that is dropped before each measurement.
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = process.env.EVENTSPINE_ROOT;
const load = (path) => import(pathToFileURL(join(root, 'dist', path)).href);
const { workflow, defineApp, createSpine } = await load('spine/index.js');
const { sqlite } = await load('stores/sqlite/index.js');
const { createWorker } = await load('worker/index.js');
const storeUrl = process.env.EVENTSPINE_STORE_URL;
const schema = 'eventspine_bench';

const port = Number(process.env.EVENTSPINE_PORT ?? 18790);
const file = join(process.env.BENCH_TMP ?? tmpdir(), 'eventspine-bench.db');
let callbacks = { onJob() {}, onWf() {} };

const noop = workflow('noop', {}, async (_ctx, job) => {
  callbacks.onJob(job.t);
  return null;
});
const five = workflow('five', {}, async (ctx, job) => {
  for (let i = 1; i <= 5; i++) await ctx.step(['s', i], () => i);
  callbacks.onWf(job.id);
  return null;
});
const app = defineApp({ name: 'bench', workflows: [noop, five] });

let spine = null;

async function openStore() {
  if (storeUrl === undefined) return sqlite({ file });
  const { postgres } = await load('stores/postgres/index.js');
  return postgres({ url: storeUrl, schema });
}

/** Runs one statement on the database. */
async function query(text) {
  const { default: pg } = await import(pathToFileURL(join(root, 'node_modules/pg/lib/index.js')).href);
  const client = new pg.Client({ connectionString: storeUrl });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

export async function setup() {
  await end();
  if (storeUrl !== undefined) return query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  for (const suffix of ['', '-wal', '-shm', '-lock', '.lock', '.owner']) rmSync(file + suffix, { force: true });
}

export async function producer() {
  spine = createSpine(app, { store: await openStore(), worker: false, server: { port } });
  await spine.listen();
  return {
    enqueue: (job) => spine.start('noop', job),
    bulk: (jobs) =>
      spine.startMany(
        'noop',
        jobs.map((input) => ({ input })),
      ),
    startWf: (id) => spine.start('five', { id }),
    close: end,
  };
}

export async function worker(given, options) {
  callbacks = given;
  const running = createWorker({ app, url: `http://127.0.0.1:${port}`, slots: Number(options.c ?? 256) });
  await running.start();
  return { close: () => running.stop() };
}

export async function size() {
  if (storeUrl === undefined) return null;
  const [row] = await query('SELECT pg_size_pretty(pg_database_size(current_database())) AS size');
  return row.size;
}

export async function end() {
  const closing = spine;
  spine = null;
  await closing?.close();
}
