/**
 * What more servers over one PostgreSQL bring: workflows of five steps a second with 1, 2 and 4 servers and as many
 * workers, from the first start to the last end. All of them share this machine, so the figure says what a server costs,
 * not what a second machine would add.
 *
 *   npm run bench -- servers [workflows=2000] [rounds=2]
 */
import { createClient } from 'eventspine/client';
import { startPostgres } from '../scripts/postgres.mjs';
import { report, spreadOf } from './support/figures.js';
import { startCluster } from './support/postgres-cluster.js';
import type { app } from './support/soak-app.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const workflows = Number(options.get('workflows') ?? 2_000);
const rounds = Number(options.get('rounds') ?? 2);
const startsInOneCall = 100;

const database = await startPostgres({ fsync: true });
if (database.url === null) console.error(`Left out: there is no PostgreSQL: ${database.reason}`);
else {
  try {
    const figures = new Map<number, number[]>();
    for (let round = 0; round < rounds; round++)
      for (const servers of [1, 2, 4])
        figures.set(servers, [...(figures.get(servers) ?? []), await measure(database.url, servers, round)]);
    report('servers', {
      source: database.source,
      workflows,
      perSecond: Object.fromEntries([...figures].map(([servers, runs]) => [servers, spreadOf(runs)])),
    });
  } finally {
    await database.stop();
  }
}

async function measure(url: string, servers: number, round: number): Promise<number> {
  const cluster = await startCluster({
    database: url,
    schema: `bench_${servers}_${round}`,
    servers,
    workers: servers,
  });
  try {
    const clients = cluster.urls.map((server) => createClient<typeof app>({ url: server }));
    const from = performance.now();
    for (let i = 0; i < workflows; i += startsInOneCall) {
      const client = clients[(i / startsInOneCall) % clients.length];
      await client?.startMany(
        'five',
        Array.from({ length: Math.min(startsInOneCall, workflows - i) }, () => ({ input: undefined })),
      );
    }
    await drained(clients[0]);
    return workflows / ((performance.now() - from) / 1_000);
  } finally {
    await cluster.close();
  }
}

async function drained(client: ReturnType<typeof createClient<typeof app>> | undefined): Promise<void> {
  for (;;) {
    const queues = (await client?.queues()) ?? [];
    if (queues.every(({ ready, delayed, held, leased }) => ready + delayed + held + leased === 0)) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
