/**
 * What it costs to publish and to consume, beside the raw clients of Kafka, NATS JetStream and BullMQ. Rounds are interleaved, and
 * the ratios are taken round by round. Then what only Eventspine has: events handled by runs, a topic read again, and the feed
 * folded for what the fleet was.
 *
 *   npm run bench -- bus [events=10000] [rounds=3] [only=sqlite,postgres,kafka,nats,bullmq]
 *
 * Who is acknowledged when: Eventspine when the event is synced to disk; BullMQ with `appendfsync always` the same; JetStream
 * and Kafka when it is written, and the operating system has it. Peers are fetched into folders of the cache, and one that cannot be
 * had is named and left out.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { encodeValue } from '../src/core/codec.js';
import { emptySums } from '../src/core/fleet/fold.js';
import { foldStretch, KnownStates } from '../src/engine/fleet/stretch.js';
import { createEngine, type Engine } from '../src/engine/index.js';
import { nodePorts } from '../src/runtime/index.js';
import type { Store } from '../src/store/index.js';
import { openPostgresStore } from '../src/stores/postgres/index.js';
import { openSqliteStore } from '../src/stores/sqlite/index.js';
import { createInProcessTransport, createWorker } from '../src/worker/index.js';
import { defineApp, subscription, topic, workflow } from '../src/workflow/index.js';
import { freePort, startKafka } from '../scripts/kafka.mjs';
import { kafkaClient } from '../scripts/kafka-client.mjs';
import { natsServer } from '../scripts/nats.mjs';
import { npmFolder } from '../scripts/npm-folder.mjs';
import { startPostgres } from '../scripts/postgres.mjs';
import { report, spreadOf } from './support/figures.js';

interface Figures {
  readonly single: number;
  readonly batch: number;
  readonly consume: number;
}

interface Contender {
  readonly name: string;
  readonly measure: () => Promise<Figures>;
}

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const events = Number(options.get('events') ?? 10_000);
const rounds = Number(options.get('rounds') ?? 3);
const only = (options.get('only') ?? 'sqlite,postgres,kafka,nats,bullmq').split(',');
const folder = mkdtempSync(join(tmpdir(), 'eventspine-bus-'));
const stops: (() => unknown)[] = [];
const origin = { tenant: 'default', actor: 'bench', traceparent: null, correlation: null };
const batchSize = 100;

/** A subscription that starts a run of each event, of a topic of its own. */
let handled = 0;
let published = 0;
const pulled = topic('pulled', { partitions: 1 });
const started = topic('started', { partitions: 4 });
const handle = workflow('handle', {}, async () => {
  handled += 1;
  return null;
});
const app = defineApp({
  name: 'bus',
  topics: [pulled, started],
  workflows: [handle],
  subscriptions: [
    subscription('bench', { topic: pulled, from: 'oldest' }),
    subscription('handled', { topic: started, start: handle, from: 'oldest', order: 'none', window: 512 }),
  ],
});

try {
  const found: Contender[] = [];
  for (const name of only) {
    const made = await contenderOf(name).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    );
    if (typeof made === 'string') console.error(`Left out: ${name}: ${made}`);
    else found.push(made);
  }
  const figures = new Map<string, Record<string, number>[]>();
  for (let round = 0; round < rounds; round++) {
    for (const { name, measure } of found) {
      const figure = await measure();
      figures.set(name, [...(figures.get(name) ?? []), { ...figure } as Record<string, number>]);
      console.log(JSON.stringify({ round, name, ...figure }));
    }
  }
  const aSecond = Object.fromEntries([...figures].map(([name, all]) => [name, spreads(all)]));
  const ratios = Object.fromEntries(
    [...figures].flatMap(([name, all]) =>
      ['sqlite', 'postgres'].flatMap((own) => {
        const ours = figures.get(own);
        return ours === undefined || name === own ? [] : [[`${own} / ${name}`, ratiosOf(ours, all)]];
      }),
    ),
  );
  report('bus', { events, rounds, aSecond, ratios });
} finally {
  for (const stop of stops.reverse()) await stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

function spreads(all: readonly Readonly<Record<string, number>>[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(all[0] ?? {}).map((name) => [name, spreadOf(all.map((figure) => figure[name] ?? Number.NaN)).median]),
  );
}

function ratiosOf(
  ours: readonly Readonly<Record<string, number>>[],
  theirs: readonly Readonly<Record<string, number>>[],
): Record<string, number> {
  return Object.fromEntries(
    ['single', 'batch', 'consume'].map((name) => [
      name,
      spreadOf(
        ours.map((figure, round) => (figure[name] ?? Number.NaN) / (theirs[round]?.[name] ?? Number.NaN)),
        2,
      ).median,
    ]),
  );
}

async function contenderOf(name: string): Promise<Contender | string> {
  switch (name) {
    case 'sqlite': {
      let files = 0;
      return ownContender(name, () =>
        openSqliteStore({ file: join(folder, `bus-${files++}.db`), clock: nodePorts.clock }),
      );
    }
    case 'postgres': {
      const server = await startPostgres({ fsync: true });
      if (server.url === null) return server.reason;
      const { url } = server;
      stops.push(() => server.stop());
      let schemas = 0;
      return ownContender(name, () => openPostgresStore({ url, schema: `bus${schemas++}` }));
    }
    case 'kafka': {
      const client = kafkaClient();
      if (client.node === null) return client.reason;
      const server = await startKafka();
      stops.push(() => server.stop());
      return peer(name, client.node, [server.brokers, String(events), client.client]);
    }
    case 'nats': {
      const nats = natsServer();
      if (nats.program === null) return nats.reason;
      return {
        name,
        measure: async () => {
          const port = await freePort();
          const data = mkdtempSync(join(folder, 'nats-'));
          const server = spawn(nats.program, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', data], {
            env: { ...process.env, ...nats.env },
            stdio: 'ignore',
          });
          try {
            await pause(500);
            const { transport, jetstream } = nats.client;
            return await runPeer(name, process.execPath, [`127.0.0.1:${port}`, String(events), transport, jetstream]);
          } finally {
            server.kill();
          }
        },
      };
    }
    case 'bullmq': {
      if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status !== 0) return 'there is no redis-server';
      const modules = npmFolder('bullmq-6.7.0', ['bullmq@6.7.0', 'ioredis@6.0.0']);
      const port = await freePort();
      const settings = { port, bind: '127.0.0.1', appendonly: 'yes', appendfsync: 'always', save: '', dir: folder };
      const words = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, String(value)]);
      const server = spawn('redis-server', words, { stdio: 'ignore' });
      stops.push(() => server.kill());
      await pause(500);
      return peer(name, process.execPath, [String(port), String(events), modules]);
    }
    default:
      return 'there is no such contender';
  }
}

function peer(name: string, node: string, args: readonly string[]): Contender {
  return { name, measure: () => runPeer(name, node, args) };
}

function runPeer(name: string, node: string, args: readonly string[]): Promise<Figures> {
  const script = fileURLToPath(new URL(`./bus/${name}.mjs`, import.meta.url));
  return new Promise((resolve, reject) => {
    const child = spawn(node, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 300_000 });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.on('close', (code) => {
      const line = out.trim().split('\n').at(-1) ?? '';
      if (code === 0 && line !== '') resolve(JSON.parse(line) as Figures);
      else reject(new Error(`${name} ended with ${code}`));
    });
  });
}

/** A store, an engine and a worker of their own for each round. */
function ownContender(name: string, open: () => Promise<Store>): Contender {
  return {
    name,
    measure: async () => {
      const store = await open();
      const engine = createEngine({ store, ports: nodePorts });
      await engine.start();
      await engine.register(app.manifest);
      const worker = createWorker({ app, connect: createInProcessTransport(engine), slots: 200 });
      await worker.start();
      try {
        return { ...(await common(engine)), ...(await furthermore(engine, store)) };
      } finally {
        await worker.stop();
        await engine.stop();
      }
    },
  };
}

/** The same windows as in `bus/workload.mjs`. */
async function common(engine: Engine): Promise<Figures> {
  await publish(engine, 'pulled', 500, 1, 64);
  await consume(engine, 500);
  const single = await timed(() => publish(engine, 'pulled', events, 1, 64));
  await consume(engine, events);
  const batch = await timed(() => publish(engine, 'pulled', events, batchSize, 4));
  return { single, batch, consume: await timed(() => consume(engine, events)) };
}

async function furthermore(engine: Engine, store: Store): Promise<Record<string, number>> {
  handled = 0;
  await publish(engine, 'started', events, batchSize, 4);
  const runs = await timed(async () => {
    while (handled < events) await pause(5);
  });
  const replay = await timed(async () => {
    for (let after = -1; after < events - 1; ) {
      const { items } = await engine.readTopic('default', 'pulled', { partition: 0, after, limit: 500 });
      after = items.at(-1)?.offset ?? events;
    }
  });
  const sums = emptySums();
  const from = performance.now();
  let folded = 0;
  for (let isMore = true; isMore; ) {
    const rows = await store.readFeed({ after: sums.position, limit: 2_000 });
    folded += rows.length;
    isMore = rows.length === 2_000;
    await foldStretch(store, sums, rows, new KnownStates(2_000));
  }
  return { runs, replay, fold: Math.round((folded * 1_000) / (performance.now() - from)) };
}

async function timed(act: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await act();
  return Math.round((events * 1_000) / (performance.now() - from));
}

async function publish(engine: Engine, name: string, count: number, size: number, atOnce: number): Promise<void> {
  let left = count;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left > 0) {
        const many = Math.min(size, left);
        left -= many;
        const requests = Array.from({ length: many }, () => {
          const id = `event-${published++}`;
          const value = { id, amount: published % 977, text: 'x'.repeat(150) };
          return { topic: name, id, source: 'bench', type: name, data: encodeValue(value), value };
        });
        for (const outcome of await engine.publish(origin, requests)) if (outcome.tag === 'error') throw outcome.error;
      }
    }),
  );
}

async function consume(engine: Engine, count: number): Promise<void> {
  let left = count;
  while (left > 0) {
    const request = { consumer: 'one', max: batchSize, waitMs: 1_000 };
    const { events: items } = await engine.pullEvents(origin, 'bench', request);
    left -= items.length;
    if (items.length > 0) await engine.ackEvents(origin, 'bench', { consumer: 'one', positions: items });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}
