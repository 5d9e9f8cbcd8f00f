// Many runs through a server, an engine and a worker in one process: `leak.mjs <file> <runs>...`. For each number of
// runs, counted from the begin, a line `{"runs", "heapMb"}`: the heap after collection, the lowest of some seconds. Needs
// --expose-gc.
import { createEngine } from '../../../dist/engine/index.js';
import { nodePorts } from '../../../dist/runtime/index.js';
import { createServer } from '../../../dist/server/index.js';
import { createClient } from '../../../dist/client/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';
import { createWorker } from '../../../dist/worker/index.js';
import { capability, defineApp, topic, workflow } from '../../../dist/spine/index.js';

const [, , file, ...marks] = process.argv;
const twice = capability('twice', {});
const seen = topic('seen', {});
const work = workflow('work', {}, async (ctx, n) => {
  const once = await ctx.step('once', () => n);
  ctx.progress(once);
  // A few of each way to wait, to fail and to publish; all of them for each run would take the night.
  if (n % 10 === 0) await ctx.call(twice, n);
  if (n % 10 === 1) await ctx.emit(seen, n);
  if (n % 100 === 2) await ctx.sleep('1ms');
  if (n % 100 === 3) throw new Error('as it should');
  return once;
});
const told = workflow('told', { on: seen }, async () => 'told');
const app = defineApp({
  name: 'leak',
  workflows: [work, told],
  topics: [seen],
  handlers: [twice.implement((n) => n * 2)],
});

const store = await sqlite({ file }).open();
const engine = createEngine({ store, ports: nodePorts });
await engine.start();
const server = createServer({ engine, port: 0 });
const { url } = await server.listen();
await createWorker({ app, url }).start();
const client = createClient({ url });

const batch = 500;
const openMax = 2_000;
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

async function open() {
  const rows = await engine.tally();
  return rows
    .filter(({ kind, state }) => kind === 'run' && (state === 'active' || state === 'waiting'))
    .reduce((sum, { count }) => sum + count, 0);
}

let lowestMb = Number.POSITIVE_INFINITY;

/**
 * What is kept for a moment only (timers of replies, warm connections, events that the views of the fleet have yet to count)
 * goes in its time, which a busy machine makes longer; what has leaked stays. So it waits for a heap like that of before,
 * but not for ever.
 */
async function settledHeapMb() {
  let heapMb = Number.POSITIVE_INFINITY;
  for (let second = 0; second < 3 || (heapMb > lowestMb + 0.5 && second < 20); second++) {
    await pause(1_000);
    for (let i = 0; i < 4; i++) {
      globalThis.gc();
      await pause(50);
    }
    heapMb = Math.min(heapMb, process.memoryUsage().heapUsed / 2 ** 20);
  }
  return heapMb;
}

let started = 0;
for (const mark of marks.map(Number)) {
  while (started < mark) {
    const items = Array.from({ length: batch }, (_, i) => ({ input: started + i }));
    const outcomes = await client.startMany('work', items);
    for (const outcome of outcomes) if (outcome.tag === 'error') throw outcome.error;
    started += batch;
    // Somebody who follows one to its end, and somebody who turns away.
    await outcomes[0].run.result().catch(() => undefined);
    for await (const item of outcomes[1].run.stream()) if (item !== null) break;
    while ((await open()) > openMax) await pause(5);
  }
  while ((await open()) > 0) await pause(20);
  const heapMb = await settledHeapMb();
  lowestMb = Math.min(lowestMb, heapMb);
  console.log(JSON.stringify({ runs: started, heapMb }));
}
process.exit(0);
