/**
 * Whether idle workers and tenants whose work is done cost a PostgreSQL anything: transactions, rows and processor time a second
 * that one server asks of its database at rest, with one worker, with 300 more idle ones, and with the finished runs of 1,000
 * tenants as well.
 *
 *   npm run bench -- idle [workers=300] [tenants=1000] [seconds=20]
 */
import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { WebSocket } from 'ws';
import { startPostgres } from '../scripts/postgres.mjs';
import { report } from './support/figures.js';
import { startCluster } from './support/postgres-cluster.js';
import { app } from './support/soak-app.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const workers = Number(options.get('workers') ?? 300);
const tenants = Number(options.get('tenants') ?? 1_000);
const seconds = Number(options.get('seconds') ?? 20);
const schema = 'idle';
/** Clock ticks of /proc. */
const ticksPerSecond = 100;
/** What is due once after work, such as plans and statistics, has passed. */
const settleMs = 5_000;

interface Load {
  readonly transactions: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly walKilobytes: number;
  /** Processor time of the server's processes, ms; null = not known here. */
  readonly cpuMs: number | null;
}

const database = await startPostgres({ fsync: true, settings: { autovacuum: 'off' } });
if (database.url === null) console.error(`Left out: there is no PostgreSQL: ${database.reason}`);
else {
  const cluster = await startCluster({ database: database.url, schema, servers: 1, workers: 1 });
  const looker = new pg.Client({ connectionString: database.url });
  const sockets: WebSocket[] = [];
  try {
    await looker.connect();
    const [url = ''] = cluster.urls;
    const figures: Record<string, Load> = {};
    const look = async (name: string): Promise<void> => {
      await pause(settleMs);
      figures[name] = await loadOf(looker, database.pid ?? null);
      console.log(JSON.stringify({ [name]: figures[name] }));
    };
    await look('one worker');
    for (let i = 0; i < workers; i++) sockets.push(await idleWorker(url, i));
    await look(`${workers} idle workers`);
    for (let i = 0; i < tenants; i++) await startAs(url, `tenant${i}`);
    await drained(looker);
    await look(`${workers} idle workers, ${tenants} tenants with a finished run`);
    // The runs are kept for a minute, and what is left of them is tidied up after that.
    await pause(90_000);
    await look(`the same when their runs are gone`);
    report('idle', { source: database.source, seconds, aSecond: figures });
  } finally {
    for (const socket of sockets) socket.terminate();
    await looker.end();
    await cluster.close();
    await database.stop();
  }
}

/** What is asked of the database each second, but for our own looking. */
async function loadOf(client: pg.Client, postmaster: number | null): Promise<Load> {
  const before = await look(client, postmaster);
  await pause(seconds * 1_000);
  const after = await look(client, postmaster);
  const each = (value: number): number => Math.round((value / seconds) * 10) / 10;
  return {
    transactions: each(after.transactions - before.transactions),
    rowsRead: each(after.rowsRead - before.rowsRead),
    rowsWritten: each(after.rowsWritten - before.rowsWritten),
    walKilobytes: each((after.walBytes - before.walBytes) / 1024),
    cpuMs: after.cpuMs === null || before.cpuMs === null ? null : each(after.cpuMs - before.cpuMs),
  };
}

async function look(
  client: pg.Client,
  postmaster: number | null,
): Promise<
  { readonly [K in 'transactions' | 'rowsRead' | 'rowsWritten' | 'walBytes']: number } & { cpuMs: number | null }
> {
  const { rows } = await client.query<Record<'transactions' | 'written' | 'wal', string>>(
    `SELECT xact_commit + xact_rollback AS transactions, tup_inserted + tup_updated + tup_deleted AS written,
       pg_current_wal_lsn() - '0/0' AS wal
     FROM pg_stat_database WHERE datname = current_database()`,
  );
  const { rows: read } = await client.query<{ readonly read: string }>(
    `SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) AS read FROM pg_stat_user_tables WHERE schemaname = $1`,
    [schema],
  );
  return {
    transactions: Number(rows[0]?.transactions),
    rowsRead: Number(read[0]?.read),
    rowsWritten: Number(rows[0]?.written),
    walBytes: Number(rows[0]?.wal),
    cpuMs: postmaster === null || process.platform !== 'linux' ? null : cpuOf(postmaster),
  };
}

/** Of the postmaster, its children, and those that have ended, ms. */
function cpuOf(postmaster: number): number {
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      const isOwn = Number(name) === postmaster;
      if (!isOwn && Number(fields[1]) !== postmaster) continue;
      // utime, stime; of the postmaster also what its ended children took.
      const [utime, stime, childUtime, childStime] = fields.slice(11, 15).map(Number);
      ticks += (utime ?? 0) + (stime ?? 0) + (isOwn ? (childUtime ?? 0) + (childStime ?? 0) : 0);
    } catch {
      // It has ended meanwhile.
    }
  }
  return (ticks * 1_000) / ticksPerSecond;
}

/** A worker that is there and does nothing: says hello, takes what it can get, and beats. */
function idleWorker(url: string, number: number): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/worker`);
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('open', () =>
      socket.send(
        JSON.stringify({
          t: 'hello',
          protocol: 1,
          worker: `idle${number}`,
          app: app.name,
          manifest: app.manifest,
          slots: 1,
          // It offers nothing, so that the work goes to the one that does it.
          only: { workflows: [], capabilities: [] },
        }),
      ),
    );
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { t: string; session: string; beatMs: number };
      if (message.t !== 'welcome') return;
      let n = 0;
      const beat = setInterval(
        () => socket.send(JSON.stringify({ t: 'beat', session: message.session, n: ++n, received: 0 })),
        message.beatMs,
      );
      socket.once('close', () => clearInterval(beat));
      resolve(socket);
    });
  });
}

async function startAs(url: string, tenant: string): Promise<void> {
  const answer = await fetch(`${url}/v1/workflows/five/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-tenant': tenant },
    body: 'null',
  });
  if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
}

async function drained(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ readonly n: string }>(`SELECT count(*) AS n FROM ${schema}.task`);
    if (rows[0]?.n === '0') return;
    await pause(100);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}
