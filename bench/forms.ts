/**
 * What the large cases of the workflow model cost, on the embedded store with server and worker in one process: ten thousand
 * steps in one run, and their replay; a map of ten thousand items; a thousand children; a value of 50 MiB; a hundred thousand
 * runs that sleep, and wake in one second. A size of 0 leaves a case out.
 *
 *   npm run bench -- forms [steps=10000] [items=10000] [children=1000] [large=50] [sleepers=100000] [lead=150]
 *
 * `lead` is the number of seconds after which the sleepers wake: all must be asleep by then. Give it `node --expose-gc` to see
 * memory without what is only not collected yet.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSpine } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { replayHistory } from 'eventspine/testing';
import { bareBytesMs, costOf, megabytes } from './support/cost.js';
import { report } from './support/figures.js';
import { app } from './support/forms-app.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const size = (name: string, standard: number): number => Number(options.get(name) ?? standard);
const steps = size('steps', 10_000);
const items = size('items', 10_000);
const children = size('children', 1_000);
const largeBytes = size('large', 50) * 2 ** 20;
const sleepers = size('sleepers', 100_000);
const leadMs = size('lead', 150) * 1_000;

const folder = mkdtempSync(join(tmpdir(), 'eventspine-forms-'));
const spine = createSpine(app, { store: sqlite({ file: join(folder, 'forms.db') }) });
const figures: Record<string, unknown> = {};

try {
  await (await spine.start('steps', 10)).result();
  await (await spine.start('mapped', 10)).result();
  if (steps > 0) await longRun();
  if (items > 0) {
    const { value: _, ...cost } = await costOf(async () => (await spine.start('mapped', items)).result());
    figures['map'] = { items, ...cost, itemsPerSecond: perSecond(items, cost.ms) };
  }
  if (children > 0) {
    const { value: _, ...cost } = await costOf(async () => (await spine.start('parent', children)).result());
    figures['children'] = { children, ...cost, childrenPerSecond: perSecond(children, cost.ms) };
  }
  if (largeBytes > 0) await largeValue();
  if (sleepers > 0) await sleep();
  report('forms', figures);
} finally {
  await spine.close();
  rmSync(folder, { recursive: true, force: true });
}

async function longRun(): Promise<void> {
  const long = await spine.start('steps', steps);
  const { value: _, ...cost } = await costOf(() => long.result());
  const history = await spine.runs.export(long.id);
  const { value: replayed, ...replay } = await costOf(() => replayHistory(app, history));
  figures['steps'] = { steps, ...cost, stepsPerSecond: perSecond(steps, cost.ms) };
  figures['replay'] = { verdict: replayed.verdict, ...replay };
}

/** A step that returns this much, and a body that reads it. */
async function largeValue(): Promise<void> {
  const bareMs = bareBytesMs(folder, largeBytes);
  await (await spine.start('large', 2 ** 20)).result();
  const { value: read, ...cost } = await costOf(async () => (await spine.start('large', largeBytes)).result());
  if (read !== largeBytes) throw new Error(`the body has read ${String(read)} bytes`);
  figures['large'] = { megabytes: largeBytes / 2 ** 20, ...cost, bareMs };
}

async function sleep(): Promise<void> {
  const restMegabytes = megabytes();
  const dawn = Date.now() + leadMs;
  const { value: _, ...asleep } = await costOf(async () => {
    for (let i = 0; i < sleepers; i += 1_000) {
      const some = Array.from({ length: Math.min(1_000, sleepers - i) }, () => ({ input: dawn }));
      await spine.startMany('sleeper', some);
    }
    // Until the last of them has parked.
    for (;;) {
      const open = (await spine.queues()).reduce((sum, queue) => sum + queue.ready + queue.leased, 0);
      if (open === 0) return;
      await pause(100);
    }
  });
  const isLate = Date.now() > dawn;
  (globalThis as { gc?: () => void }).gc?.();
  const asleepMegabytes = megabytes();
  await pause(dawn - Date.now());
  const { value: __, ...waking } = await costOf(async () => {
    for (;;) {
      const left = spine.runs.list({ workflow: 'sleeper', state: ['waiting', 'queued', 'running'], limit: 1 });
      if ((await left.page()).items.length === 0) return;
      await pause(250);
    }
  });
  figures['sleepers'] = {
    sleepers,
    fallAsleep: { ...asleep, perSecond: perSecond(sleepers, asleep.ms) },
    restMegabytes,
    asleepMegabytes,
    isLate,
    wake: { ...waking, perSecond: perSecond(sleepers, waking.ms) },
  };
}

function perSecond(count: number, ms: number): number {
  return Math.round((count / ms) * 1_000);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
