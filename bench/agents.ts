/**
 * Whether agents that have nothing to do cost anything: one message each for 100,000 keys, through a real engine and
 * worker on SQLite, with the memory of the process as the keys become many; then messages to keys that sleep.
 *
 *   npm run bench -- agents [keys=100000] [batch=500]
 *
 * Give it `node --expose-gc` to see the heap without what is only not collected yet.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createEngine } from '../src/engine/index.js';
import { payloadOfJson } from '../src/core/codec.js';
import { nodePorts } from '../src/runtime/index.js';
import { openSqliteStore } from '../src/stores/sqlite/index.js';
import { createInProcessTransport, createWorker } from '../src/worker/index.js';
import { agent, defineApp, message, topic } from '../src/workflow/index.js';

const options = new Map(process.argv.slice(2).map((word) => word.split('=') as [string, string]));
const keys = Number(options.get('keys') ?? 100_000);
const batch = Number(options.get('batch') ?? 500);
const origin = { tenant: 'default', actor: 'bench', traceparent: null, correlation: null };

let handled = 0;
const noted = topic('noted', { key: 'key', partitions: 8 });
const ping = message('ping');
const counter = agent('counter', {
  messages: [noted, ping],
  initial: { n: 0 },
  on: {
    noted: (self) => {
      self.state = { n: (self.state as { readonly n: number }).n + 1 };
      handled += 1;
    },
    ping: (self) => self.state,
  },
});
const app = defineApp({ name: 'bench', agents: [counter] });

const folder = mkdtempSync(join(tmpdir(), 'eventspine-agents-'));
const file = join(folder, 'agents.db');
const engine = createEngine({ store: await openSqliteStore({ file, clock: nodePorts.clock }), ports: nodePorts });
await engine.start();
await engine.register(app.manifest);
const worker = createWorker({ app, connect: createInProcessTransport(engine), slots: 200, parkAfterMs: 0 });
await worker.start();

const figures: {
  keys: number;
  seconds: number;
  rssMb: number;
  heapMb: number;
  heapReservedMb: number;
  externalMb: number;
}[] = [];
const startedMs = performance.now();
const startedCpu = process.cpuUsage();
note(0);
for (let from = 0; from < keys; from += batch) {
  const events = Array.from({ length: Math.min(batch, keys - from) }, (_, i) => {
    const value = { key: `key-${from + i}` };
    return { topic: 'noted', id: `e${from + i}`, source: 'bench', type: 'noted', data: payloadOfJson(value), value };
  });
  for (const outcome of await engine.publish(origin, events)) if (outcome.tag === 'error') throw outcome.error;
  // As a caller that is told to slow down would: the question is what keys cost, not what a flood does.
  await until(() => handled >= from + events.length - 2 * batch);
  if ((from + batch) % Math.max(batch, keys / 10) === 0) note(from + batch);
}
await until(() => handled >= keys);
note(keys);
const seconds = (performance.now() - startedMs) / 1000;
const { user, system } = process.cpuUsage(startedCpu);

const latencies: number[] = [];
for (let i = 0; i < 500; i++) {
  const key = `key-${Math.floor((i * keys) / 500)}`;
  const id = `p${i}`;
  const beganMs = performance.now();
  await engine.tellAgent(origin, { agent: 'counter', key, type: 'ping', id, data: payloadOfJson(null), reply: true });
  const answer = await engine.readAnswer('default', { agent: 'counter', key, id }, 10_000);
  if (answer.tag !== 'answered') throw new Error(answer.tag);
  latencies.push(performance.now() - beganMs);
}
latencies.sort((a, b) => a - b);
const rest = await engine.queues();
await worker.stop();
await engine.stop();
const fileMb = Math.round(statSync(file).size / 1e6);
rmSync(folder, { recursive: true });
console.log(
  JSON.stringify(
    {
      keys,
      seconds: round(seconds),
      keysPerSecond: Math.round(keys / seconds),
      // Of all threads: what the machine does beside it moves this far less than the time.
      processorMsPerKey: round((user + system) / 1000 / keys),
      memory: figures,
      fileMb,
      tasksAtRest: rest.reduce((sum, { ready, leased, delayed }) => sum + ready + leased + delayed, 0),
      askOfASleepingKeyMs: { p50: round(latencies[250] ?? 0), p99: round(latencies[495] ?? 0) },
    },
    null,
    2,
  ),
);

function note(count: number): void {
  (globalThis as { gc?: () => void }).gc?.();
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const sinceSeconds = (performance.now() - startedMs) / 1000;
  figures.push({
    keys: count,
    seconds: round(sinceSeconds),
    rssMb: Math.round(rss / 1e6),
    heapMb: Math.round(heapUsed / 1e6),
    heapReservedMb: Math.round(heapTotal / 1e6),
    externalMb: Math.round(external / 1e6),
  });
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 2));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
