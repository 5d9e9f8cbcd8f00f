// The adapter of Eventspine for the peers' runner: the same workload, the same process layout (producer in the parent,
// handlers in one forked worker process). EVENTSPINE_ROOT names the checkout, whose build is measured.
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = process.env.EVENTSPINE_ROOT;
const load = (path) => import(pathToFileURL(join(root, 'dist', path)).href);
const { workflow, defineApp, createSpine } = await load('spine/index.js');
const { sqlite } = await load('stores/sqlite/index.js');
const { createWorker } = await load('worker/index.js');

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

export async function setup() {
  await end();
  for (const suffix of ['', '-wal', '-shm', '-lock', '.lock', '.owner']) rmSync(file + suffix, { force: true });
}

export async function producer() {
  spine = createSpine(app, { store: sqlite({ file }), worker: false, server: { port } });
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
  return null;
}

export async function end() {
  const closing = spine;
  spine = null;
  await closing?.close();
}
