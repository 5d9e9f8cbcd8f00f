/**
 * How fast is the embedded store alone? Starts, whole life cycles (start, claim, complete) and a lone `apply`, through
 * the public contract and to the disk. Prints JSON. `node --import tsx bench/store.ts [runs] [items per call]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LeaseKey, Store, Transition } from '../src/store/index.js';
import { openSqliteStore } from '../src/stores/sqlite/index.js';

const runs = Number(process.argv[2] ?? 40_000);
const itemsPerCall = Number(process.argv[3] ?? 256);
/** Calls kept under way, so that one group commit is at work while the next one fills. */
const callsInFlight = 6;
const queue = 'workflow:answer';
const salt = new Uint8Array(16).fill(7);
const input = JSON.stringify({ question: 'Which of our contracts end this year?', context: 'x'.repeat(120) });

function envelope(run: string, seq: number, type: string): string {
  return JSON.stringify({
    v: 1,
    tenant: 'acme',
    stream: run,
    seq,
    id: `evt_${run.slice(4)}${seq}`,
    type,
    at: Date.now(),
    hlc: '0197f0a1b2c30001',
    actor: 'client:bench',
    cause: null,
    correlation: null,
    traceparent: null,
    schema: null,
    region: 'local',
    epoch: 1,
    data: { workflow: 'answer', version: null, priority: 0, timeoutMs: null, retainMs: 86_400_000, labels: null },
    payload: { codec: 'json/1', size: input.length, commitment: 'f'.repeat(64), keyId: null },
  });
}

const id = (i: number): string => `run_01k${String(i).padStart(22, '0')}`;

function row(run: string, head: number, status: 'active' | 'succeeded', expiresAt: number | null) {
  const failure = { failureClass: null, failureCode: null, failureMessage: null };
  const at = { startedAt: 1_750_000_000_000, updatedAt: Date.now(), expiresAt };
  const rest = { version: null, priority: 0, cancelRequested: false, labels: null, ...failure, ...at };
  return { tenant: 'acme', run, workflow: 'answer', status, head, ...rest };
}

function start(i: number): Transition {
  const run = id(i);
  const payload = { salt, text: input };
  const task = { task: 'a1', kind: 'activation', queue, rank: i, attempt: 1, deadlineMs: 600_000 } as const;
  return {
    tenant: 'acme',
    runs: [{ expected: 0, row: row(run, 1, 'active', null) }],
    events: [{ run, seq: 1, type: 'run.started', at: Date.now(), envelope: envelope(run, 1, 'run.started'), payload }],
    tasks: [{ op: 'open', run, task: { ...task, inputSeq: 1, dueAt: null, limitKey: null } }],
  };
}

function complete(lease: LeaseKey): Transition {
  const { run } = lease;
  const text = envelope(run, 2, 'run.succeeded');
  return {
    tenant: 'acme',
    lease,
    runs: [{ expected: 1, row: row(run, 2, 'succeeded', Date.now() + 86_400_000) }],
    events: [
      { run, seq: 2, type: 'run.succeeded', at: Date.now(), envelope: text, payload: { salt, text: '"the answer"' } },
    ],
    tasks: [{ op: 'close', run, task: 'a1' }],
  };
}

async function perSecond(count: number, work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return Math.round((count / (performance.now() - begin)) * 1_000);
}

/** Runs `callsInFlight` loops over a shared counter. */
async function inParallel(next: () => (() => Promise<void>) | null): Promise<void> {
  const loop = async (): Promise<void> => {
    for (let job = next(); job !== null; job = next()) await job();
  };
  await Promise.all(Array.from({ length: callsInFlight }, loop));
}

async function startAll(store: Store, from: number, count: number): Promise<void> {
  let at = from;
  await inParallel(() => {
    if (at >= from + count) return null;
    const first = at;
    at = Math.min(at + itemsPerCall, from + count);
    const batch = Array.from({ length: at - first }, (_, i) => start(first + i));
    return async () => expectApplied(await store.apply(batch));
  });
}

async function finishAll(store: Store): Promise<void> {
  let assignmentFrom = 1;
  let empty = false;
  await inParallel(() => {
    if (empty) return null;
    const from = assignmentFrom;
    assignmentFrom += itemsPerCall;
    return async () => {
      const queues = [{ queue, limit: itemsPerCall }];
      const claimed = await store.claim({ session: 'ses_1', queues, limit: itemsPerCall, assignmentFrom: from });
      if (claimed.length === 0) empty = true;
      else expectApplied(await store.apply(claimed.map(({ task }) => complete(task))));
    };
  });
}

function expectApplied(outcomes: readonly { readonly tag: string }[]): void {
  for (const { tag } of outcomes) if (tag !== 'applied') throw new Error(`not applied: ${tag}`);
}

function quantile(sorted: readonly number[], q: number): number {
  return Math.round((sorted[Math.floor(q * (sorted.length - 1))] ?? 0) * 1_000) / 1_000;
}

async function loneApplies(store: Store, from: number, count: number): Promise<{ p50Ms: number; p99Ms: number }> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const transition = start(from + i);
    const begin = performance.now();
    expectApplied(await store.apply([transition]));
    times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  return { p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}

const folder = mkdtempSync(join(tmpdir(), 'eventspine-bench-'));
const store = await openSqliteStore({ file: join(folder, 'bench.db') });
const session = { session: 'ses_1', worker: 'wrk_1', app: 'bench', openedAt: 0, counter: 0, received: 0, info: '{}' };
await store.openSession(session);
await startAll(store, 0, 2_000);
const startsPerSecond = await perSecond(runs, () => startAll(store, 10_000, runs));
const drainsPerSecond = await perSecond(runs + 2_000, () => finishAll(store));
const lifecyclesPerSecond = await perSecond(runs, async () => {
  let at = 10_000_000;
  const end = at + runs;
  while (at < end) {
    const count = Math.min(itemsPerCall * callsInFlight, end - at);
    await startAll(store, at, count);
    await finishAll(store);
    at += count;
  }
});
const loneApply = await loneApplies(store, 90_000_000, 1_000);
const violations = await store.check(10);
await store.close();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(
  `${JSON.stringify({ bench: 'store', node: process.version, runs, itemsPerCall, callsInFlight, startsPerSecond, drainsPerSecond, lifecyclesPerSecond, loneApply, violations })}\n`,
);
