/**
 * Whether a PostgreSQL under steady load stays as it is: two servers and two workers, workflows of five steps at a fixed
 * rate, runs that are kept for a minute. Every half minute it looks at live and dead tuples and bytes of each table;
 * prints a line for each look, and in the end how the early looks compare with the late ones.
 *
 *   npm run bench -- soak [minutes=30] [rate=50]
 */
import pg from 'pg';
import { createClient } from 'eventspine/client';
import { startPostgres } from '../scripts/postgres.mjs';
import { report } from './support/figures.js';
import { startCluster } from './support/postgres-cluster.js';
import type { app } from './support/soak-app.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const minutes = Number(options.get('minutes') ?? 30);
const rate = Number(options.get('rate') ?? 50);
const schema = 'soak';
const lookEveryMs = 30_000;

interface TableFigures {
  readonly table: string;
  readonly live: number;
  readonly dead: number;
  readonly kilobytes: number;
}

const database = await startPostgres({ fsync: true });
if (database.url === null) console.error(`Left out: there is no PostgreSQL: ${database.reason}`);
else {
  const cluster = await startCluster({ database: database.url, schema, servers: 2, workers: 2 });
  const looker = new pg.Client({ connectionString: database.url });
  try {
    await looker.connect();
    const clients = cluster.urls.map((url) => createClient<typeof app>({ url }));
    const endAt = performance.now() + minutes * 60_000;
    let started = 0;
    let refused = 0;
    let nextLook = performance.now() + lookEveryMs;
    const looks: { readonly atMs: number; readonly tables: readonly TableFigures[] }[] = [];
    for (let second = 0; performance.now() < endAt; second++) {
      const begun = performance.now();
      const inputs = Array.from({ length: rate }, () => ({ input: undefined }));
      try {
        const client = clients[second % clients.length];
        await client?.startMany('five', inputs);
        started += rate;
      } catch {
        refused += rate;
      }
      if (performance.now() >= nextLook) {
        nextLook += lookEveryMs;
        const tables = await look(looker);
        looks.push({ atMs: performance.now(), tables });
        console.log(JSON.stringify({ second, started, refused, tables: tables.filter(({ dead }) => dead > 0) }));
      }
      await new Promise((wake) => setTimeout(wake, Math.max(0, 1_000 - (performance.now() - begun))));
    }
    report('soak', { source: database.source, minutes, rate, started, refused, tables: trends(looks) });
  } finally {
    await looker.end();
    await cluster.close();
    await database.stop();
  }
}

/** Partitions count as the table they are part of. */
async function look(client: pg.Client): Promise<TableFigures[]> {
  const { rows } = await client.query<{ name: string; live: string; dead: string; bytes: string }>(
    `SELECT regexp_replace(relname, '_(w?[0-9]+|default)$', '') AS name, sum(n_live_tup) AS live, sum(n_dead_tup) AS dead,
       sum(pg_total_relation_size(relid)) AS bytes
     FROM pg_stat_user_tables WHERE schemaname = $1 GROUP BY 1 ORDER BY 4 DESC`,
    [schema],
  );
  return rows.map(({ name, live, dead, bytes }) => ({
    table: name,
    live: Number(live),
    dead: Number(dead),
    kilobytes: Math.round(Number(bytes) / 1024),
  }));
}

/** Of each table: the medians of the second and the last quarter of the looks; flat means that they are alike. */
function trends(looks: readonly { readonly tables: readonly TableFigures[] }[]): Readonly<Record<string, unknown>> {
  const names = new Set(looks.flatMap(({ tables }) => tables.map(({ table }) => table)));
  const part = (from: number, to: number, table: string, of: 'live' | 'dead' | 'kilobytes'): number => {
    const values = looks
      .slice(Math.floor(looks.length * from), Math.max(1, Math.ceil(looks.length * to)))
      .map(({ tables }) => tables.find((found) => found.table === table)?.[of] ?? 0)
      .sort((a, b) => a - b);
    return values[Math.floor(values.length / 2)] ?? 0;
  };
  return Object.fromEntries(
    [...names].map((table) => [
      table,
      Object.fromEntries(
        (['live', 'dead', 'kilobytes'] as const).map((of) => [
          of,
          [part(0.25, 0.5, table, of), part(0.75, 1, table, of)],
        ]),
      ),
    ]),
  );
}
