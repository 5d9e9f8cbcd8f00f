/**
 * Eventspine beside its peers on one machine in one run: rounds are interleaved, so that drift of the machine meets all
 * alike, and the ratios are taken round by round. Needs the peers' scripts (`../shared/peers-bench`), `redis-server` and
 * PostgreSQL; a peer that cannot be had is named and left out.
 *
 *   npm run bench -- peers [rounds=3] [tests=enqueue,drain,wf,wflat,latency] [peers=bullmq-always,bullmq-everysec,dbos]
 *                          [ours=eventspine,eventspine-postgres]
 *
 * `scripts=<folder>` where the peers' scripts are not beside the checkout. Further peers: pgboss, graphile, restate. Who needs
 * PostgreSQL gets a database of its own on the server of PG_URL (whose role may make databases), else on one that is
 * started for the run, with fsync.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startPostgres } from '../../scripts/postgres.mjs';
import { spreadOf } from '../support/figures.js';

const root = resolve(fileURLToPath(new URL('../..', import.meta.url)));

interface Contender {
  readonly name: string;
  readonly adapter: string;
  readonly packages: readonly string[];
  readonly environment: Record<string, string>;
  readonly needsPostgres: boolean;
  readonly tests: readonly string[];
  /** Makes what the contender needs; returns what is missing, or null. */
  readonly prepare: (folder: string) => Promise<string | null>;
}

/** Where the peers' scripts are. */
let scripts = '';
const started: ChildProcess[] = [];
const stops: (() => Promise<void>)[] = [];

async function main(): Promise<void> {
  const options = new Map(
    process.argv
      .slice(2)
      .filter((arg) => arg.includes('='))
      .map((arg) => arg.split('=', 2) as [string, string]),
  );
  const rounds = Number(options.get('rounds') ?? 3);
  const tests = (options.get('tests') ?? 'enqueue,drain,wf,wflat,latency').split(',');
  const wanted = (options.get('peers') ?? 'bullmq-always,bullmq-everysec,dbos')
    .split(',')
    .filter((name) => name !== '');
  const ours = (options.get('ours') ?? 'eventspine').split(',');
  scripts = resolve(root, options.get('scripts') ?? '../shared/peers-bench');
  if (!existsSync(scripts)) return console.error(`Left out: the peers' scripts are not at ${scripts}.`);
  const work = options.get('work') ?? mkdtempSync(join(tmpdir(), 'eventspine-peers-'));
  mkdirSync(work, { recursive: true });
  try {
    const ready: Contender[] = [];
    const chosen = contenders(work).filter(({ name }) => ours.includes(name) || wanted.includes(name));
    const url = chosen.some(({ needsPostgres }) => needsPostgres) ? await postgresUrl() : null;
    for (const contender of chosen) {
      if (contender.needsPostgres && url === null) {
        console.error(`Left out: ${contender.name}: there is no PostgreSQL`);
        continue;
      }
      if (contender.needsPostgres && url !== null) {
        const own = await ownDatabase(url, contender.name);
        Object.assign(contender.environment, { PG_URL: own, EVENTSPINE_STORE_URL: own });
      }
      const missing = await install(contender, work);
      if (missing === null) ready.push(contender);
      else console.error(`Left out: ${contender.name}: ${missing}`);
    }
    const figures = new Map<string, number[]>();
    for (let round = 0; round < rounds; round++) {
      for (const test of tests) {
        for (const contender of ready) {
          if (!contender.tests.includes(test)) continue;
          const line = measure(contender, work, test, options);
          const figure = line === null ? Number.NaN : figureOf(test, line);
          figures.set(`${test} ${contender.name}`, [...(figures.get(`${test} ${contender.name}`) ?? []), figure]);
          console.log(JSON.stringify({ round, contender: contender.name, ...line }));
        }
      }
    }
    for (const own of ours) summarise(own, figures, tests, ready);
  } finally {
    for (const stop of stops) await stop();
    for (const child of started) child.kill('SIGTERM');
    if (!options.has('work')) rmSync(work, { recursive: true, force: true });
  }
}

function contenders(work: string): Contender[] {
  const bullmq = (name: string, port: number, fsync: string): Contender => ({
    name,
    adapter: 'bullmq',
    packages: ['bullmq@6.7.0', 'ioredis@6.0.0'],
    environment: { REDIS_PORT: String(port) },
    needsPostgres: false,
    tests: ['enqueue', 'bulk', 'drain', 'e2e', 'wf', 'wflat', 'latency', 'backlog'],
    prepare: () => startRedis(work, port, fsync),
  });
  const eventspine = (name: string, needsPostgres: boolean): Contender => ({
    name,
    adapter: 'eventspine',
    packages: [],
    environment: { EVENTSPINE_ROOT: root, BENCH_TMP: work },
    needsPostgres,
    tests: ['enqueue', 'bulk', 'drain', 'e2e', 'wf', 'wflat', 'latency', 'backlog'],
    prepare: async () => (existsSync(join(root, 'dist/spine/index.js')) ? null : 'it is not built: npm run build'),
  });
  const onPostgres = (name: string, packages: readonly string[], tests: readonly string[]): Contender => ({
    name,
    adapter: name,
    packages: [...packages, 'pg@8.23.1'],
    environment: {},
    needsPostgres: true,
    tests,
    prepare: async () => null,
  });
  return [
    eventspine('eventspine', false),
    eventspine('eventspine-postgres', true),
    bullmq('bullmq-always', 16392, 'always'),
    bullmq('bullmq-everysec', 16391, 'everysec'),
    onPostgres('dbos', ['@dbos-inc/dbos-sdk@5.3.0'], ['enqueue', 'drain', 'wf', 'wflat', 'latency']),
    onPostgres('pgboss', ['pg-boss@10.4.2'], ['enqueue', 'bulk', 'drain', 'latency', 'backlog']),
    onPostgres('graphile', ['graphile-worker@0.17.3'], ['enqueue', 'bulk', 'drain', 'latency', 'backlog']),
    {
      name: 'restate',
      adapter: 'restate',
      packages: [
        '@restatedev/restate-sdk@1.17.2',
        '@restatedev/restate-sdk-clients@1.17.2',
        '@restatedev/restate-server@1.7.12',
      ],
      // Its script knows the ports that the server has by default: 8080, 9070, 9080.
      environment: { BENCH_TMP: join(work, 'restate') },
      needsPostgres: false,
      // It begins what it takes at once: there is no backlog to drain.
      tests: ['enqueue', 'wf', 'wflat', 'latency'],
      prepare: async () => null,
    },
  ];
}

async function postgresUrl(): Promise<string | null> {
  const given = process.env['PG_URL'];
  if (given !== undefined) return given;
  const server = await startPostgres({ fsync: true, settings: { shared_buffers: '1GB', max_wal_size: '4GB' } });
  if (server.url === null) return null;
  stops.push(() => server.stop());
  console.error(`PostgreSQL: ${server.source}.`);
  return server.url;
}

/** An empty database for one contender: some drop the whole of theirs and make it again. */
async function ownDatabase(url: string, name: string): Promise<string> {
  const database = `b_${name.replaceAll('-', '_')}`;
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  try {
    await admin.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'UTF8'`);
  } finally {
    await admin.end();
  }
  const own = new URL(url);
  own.pathname = `/${database}`;
  return own.href;
}

async function install(contender: Contender, work: string): Promise<string | null> {
  const folder = join(work, contender.name);
  mkdirSync(folder, { recursive: true });
  cpSync(join(scripts, 'runner.mjs'), join(folder, 'runner.mjs'), { force: true });
  cpSync(join(scripts, 'adapters'), join(folder, 'adapters'), { recursive: true, force: true });
  cpSync(join(root, 'bench/peers/eventspine.mjs'), join(folder, 'adapters/eventspine.mjs'), { force: true });
  const missing = await contender.prepare(folder);
  if (missing !== null) return missing;
  if (contender.packages.length === 0 || existsSync(join(folder, 'node_modules'))) return null;
  spawnSync('npm', ['init', '-y'], { cwd: folder, stdio: 'ignore' });
  const installed = spawnSync('npm', ['install', '--no-audit', '--no-fund', ...contender.packages], {
    cwd: folder,
    stdio: 'ignore',
  });
  return installed.status === 0 ? null : 'its packages could not be installed';
}

async function startRedis(work: string, port: number, fsync: string): Promise<string | null> {
  const folder = join(work, `redis-${port}`);
  mkdirSync(folder, { recursive: true });
  if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status !== 0)
    return 'redis-server is not installed';
  started.push(
    spawn(
      'redis-server',
      [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--appendonly',
        'yes',
        '--appendfsync',
        fsync,
        '--save',
        '',
        '--maxmemory-policy',
        'noeviction',
        '--dir',
        folder,
      ],
      { stdio: 'ignore' },
    ),
  );
  for (let attempt = 0; attempt < 50; attempt++) {
    if ((await canConnect(port)) === null) return null;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  return 'redis-server did not start';
}

function canConnect(port: number): Promise<string | null> {
  return new Promise((answer) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      answer(null);
    });
    socket.once('error', () => answer(`nothing listens on port ${port}`));
  });
}

function measure(
  contender: Contender,
  work: string,
  test: string,
  options: ReadonlyMap<string, string>,
): Record<string, unknown> | null {
  const slow = contender.adapter === 'dbos';
  const sizes = [
    `n=${options.get('n') ?? (slow ? 4000 : 20000)}`,
    `w=${options.get('w') ?? (slow ? 600 : 3000)}`,
    `wl=${options.get('wl') ?? 50}`,
    `secs=${options.get('secs') ?? 5}`,
    `b=${options.get('b') ?? 1000000}`,
  ];
  const run = spawnSync(process.execPath, ['runner.mjs', contender.adapter, test, 'runs=1', ...sizes], {
    cwd: join(work, contender.name),
    env: { ...process.env, ...contender.environment },
    encoding: 'utf8',
    timeout: 600_000,
  });
  const line = run.stdout.trim().split('\n').at(-1) ?? '';
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    console.error(`${contender.name} ${test}: ${line} ${run.stderr.slice(-500)}`);
    return null;
  }
}

/** The figure that a test is compared by. Times are turned round when compared. */
function figureOf(test: string, line: Record<string, unknown>): number {
  const field =
    test === 'wf'
      ? 'wf_per_s'
      : test === 'wflat'
        ? 'p50_ms'
        : test === 'latency'
          ? 'p50'
          : test === 'backlog'
            ? 'drain_per_s'
            : 'per_s';
  return Number(line[field] ?? Number.NaN);
}

function summarise(
  ours: string,
  figures: ReadonlyMap<string, readonly number[]>,
  tests: readonly string[],
  ready: readonly Contender[],
): void {
  for (const test of tests) {
    const own = figures.get(`${test} ${ours}`) ?? [];
    const lowerIsBetter = test === 'wflat' || test === 'latency';
    for (const { name } of ready) {
      const theirs = figures.get(`${test} ${name}`);
      if (theirs === undefined) continue;
      const ratios = own.map((value, i) =>
        lowerIsBetter ? (theirs[i] ?? Number.NaN) / value : value / (theirs[i] ?? Number.NaN),
      );
      console.log(
        JSON.stringify({
          test,
          contender: name,
          figure: spreadOf(theirs, lowerIsBetter ? 2 : 0),
          [`${ours}IsBetterBy`]: name === ours ? undefined : spreadOf(ratios, 2),
        }),
      );
    }
  }
}

await main();
