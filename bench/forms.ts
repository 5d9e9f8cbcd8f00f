/**
 * What the large cases of the workflow model cost, on the embedded store with server and worker in one process: ten thousand
 * steps in one run, and their replay; a map of ten thousand items; a thousand children; a hundred thousand runs that sleep, and
 * wake in one second; the largest value.
 *
 *   npm run bench -- forms [steps=10000] [items=10000] [children=1000] [sleepers=100000]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSpine } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { replayHistory } from 'eventspine/testing';
import { report } from './support/figures.js';
import { app } from './support/forms-app.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const size = (name: string, standard: number): number => Number(options.get(name) ?? standard);
const [steps, items, children, sleepers] = [
  size('steps', 10_000),
  size('items', 10_000),
  size('children', 1_000),
  size('sleepers', 100_000),
];
const largeBytes = 7 * 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'eventspine-forms-'));
const spine = createSpine(app, { store: sqlite({ file: join(folder, 'forms.db') }) });
const megabytes = (): number => Math.round(process.memoryUsage().rss / 2 ** 20);

async function timed<T>(work: () => Promise<T>): Promise<{ readonly ms: number; readonly value: T }> {
  const from = performance.now();
  const value = await work();
  return { ms: Math.round(performance.now() - from), value };
}

try {
  await (await spine.start('steps', 10)).result();
  const atRest = megabytes();

  const long = await spine.start('steps', steps);
  const stepped = await timed(() => long.result());
  const afterSteps = megabytes();
  const history = await spine.runs.export(long.id);
  const replayed = await timed(() => replayHistory(app, history));

  const mapped = await timed(async () => (await spine.start('mapped', items)).result());
  const afterMap = megabytes();
  const parents = await timed(async () => (await spine.start('parent', children)).result());
  const large = await timed(async () => (await spine.start('large', largeBytes)).result());

  const leadMs = 10_000 + sleepers;
  const dawn = Date.now() + leadMs;
  const asleep = await timed(async () => {
    for (let i = 0; i < sleepers; i += 1_000) {
      const some = Array.from({ length: Math.min(1_000, sleepers - i) }, () => ({ input: dawn }));
      await spine.startMany('sleeper', some);
    }
    // Until the last of them has parked.
    for (;;) {
      const open = (await spine.queues()).reduce((sum, queue) => sum + queue.ready + queue.leased, 0);
      if (open === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
  const whileAsleep = megabytes();
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, dawn - Date.now())));
  const wakingFrom = Math.max(dawn, Date.now());
  for (;;) {
    const tally = spine.runs.list({ workflow: 'sleeper', state: ['waiting', 'queued', 'running'], limit: 1 });
    if ((await tally.page()).items.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const wakingMs = Date.now() - wakingFrom;
  report('forms', {
    steps,
    stepsPerSecond: Math.round((steps / stepped.ms) * 1_000),
    replayMs: replayed.ms,
    replay: replayed.value.verdict,
    items,
    mapMs: mapped.ms,
    children,
    childrenMs: parents.ms,
    largeMegabytes: largeBytes / 2 ** 20,
    largeMs: large.ms,
    sleepers,
    fallAsleepMs: asleep.ms,
    isLate: asleep.ms > leadMs,
    wakeMs: wakingMs,
    rssMegabytes: { atRest, afterSteps, afterMap, whileAsleep, atTheEnd: megabytes() },
  });
} finally {
  await spine.close();
  rmSync(folder, { recursive: true, force: true });
}
