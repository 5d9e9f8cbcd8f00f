/**
 * Whether many topics and groups cost anything while nothing is published: processor time of the server and calls of the store a
 * second at rest, with one topic and one group, and with a thousand topics and a hundred groups, which have all had events.
 *
 *   npm run bench -- topics-idle [topics=1000] [groups=100] [events=5] [seconds=10] [store=sqlite,postgres]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeValue } from '../src/core/codec.js';
import { createEngine, type Engine } from '../src/engine/index.js';
import { nodePorts } from '../src/runtime/index.js';
import type { Store } from '../src/store/index.js';
import { openPostgresStore } from '../src/stores/postgres/index.js';
import { openSqliteStore } from '../src/stores/sqlite/index.js';
import { createInProcessTransport, createWorker } from '../src/worker/index.js';
import { defineApp, subscription, topic, workflow } from '../src/workflow/index.js';
import { startPostgres } from '../scripts/postgres.mjs';
import { report } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const topics = Number(options.get('topics') ?? 1_000);
const groups = Number(options.get('groups') ?? 100);
const events = Number(options.get('events') ?? 5);
const seconds = Number(options.get('seconds') ?? 10);
const stores = (options.get('store') ?? 'sqlite,postgres').split(',');
const origin = { tenant: 'default', actor: 'bench', traceparent: null, correlation: null };
/** What is due once after work has passed by then. */
const settleMs = 6_000;

interface Load {
  /** Of the server's process, ms a second. */
  readonly cpuMs: number;
  /** Calls of the store a second, all together and by method. */
  readonly calls: number;
  readonly byMethod: Readonly<Record<string, number>>;
}

const folder = mkdtempSync(join(tmpdir(), 'eventspine-topics-'));
const figures: Record<string, Record<string, Load>> = {};
try {
  for (const name of stores) {
    const server = name === 'postgres' ? await startPostgres({ fsync: false }) : null;
    if (server !== null && server.url === null) {
      console.error(`Left out: there is no PostgreSQL: ${server.reason}`);
      continue;
    }
    const url = server?.url ?? null;
    const open = (which: string): Promise<Store> =>
      url === null
        ? openSqliteStore({ file: join(folder, `${which}.db`), clock: nodePorts.clock })
        : openPostgresStore({ url, schema: which });
    try {
      figures[name] = {
        '1 topic, 1 group': await loadOf(await open('few'), 1, 1),
        [`${topics} topics, ${groups} groups`]: await loadOf(await open('many'), topics, groups),
      };
      console.log(JSON.stringify({ [name]: figures[name] }));
    } finally {
      if (server !== null && server.url !== null) await server.stop();
    }
  }
  report('topics-idle', { topics, groups, events, seconds, aSecond: figures });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

async function loadOf(store: Store, topicCount: number, groupCount: number): Promise<Load> {
  const calls = new Map<string, number>();
  const engine = createEngine({ store: counted(store, calls), ports: nodePorts });
  let handled = 0;
  const handle = workflow('handle', {}, async () => {
    handled += 1;
    return null;
  });
  const all = Array.from({ length: topicCount }, (_, i) => topic(`topic-${i}`, { partitions: 1 }));
  const app = defineApp({
    name: 'idle',
    topics: all,
    workflows: [handle],
    subscriptions: all
      .slice(0, groupCount)
      .map((one, i) => subscription(`group-${i}`, { topic: one, start: handle, from: 'oldest', order: 'none' })),
  });
  await engine.start();
  await engine.register(app.manifest);
  const worker = createWorker({ app, connect: createInProcessTransport(engine), slots: 50 });
  await worker.start();
  try {
    for (const { name } of all) await publish(engine, name);
    while (handled < Math.min(groupCount, topicCount) * events) await pause(50);
    await pause(settleMs);
    calls.clear();
    const before = process.cpuUsage();
    await pause(seconds * 1_000);
    const { user, system } = process.cpuUsage(before);
    const aSecond = (count: number): number => Number((count / seconds).toFixed(1));
    return {
      cpuMs: aSecond((user + system) / 1_000),
      calls: aSecond([...calls.values()].reduce((sum, count) => sum + count, 0)),
      byMethod: Object.fromEntries(
        [...calls].sort(([, a], [, b]) => b - a).map(([method, count]) => [method, aSecond(count)]),
      ),
    };
  } finally {
    await worker.stop();
    await engine.stop();
  }
}

function counted(store: Store, calls: Map<string, number>): Store {
  return new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        // The clock is no call of the data.
        if (property !== 'now') calls.set(String(property), (calls.get(String(property)) ?? 0) + 1);
        return (value as (...given: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}

async function publish(engine: Engine, name: string): Promise<void> {
  const requests = Array.from({ length: events }, (_, i) => {
    const value = { i };
    return { topic: name, id: `event-${i}`, source: 'bench', type: name, data: encodeValue(value), value };
  });
  for (const outcome of await engine.publish(origin, requests)) if (outcome.tag === 'error') throw outcome.error;
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}
