/** Behind PgBouncer in transaction mode, which fails silently where a session is assumed. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPostgresStore } from '../../src/stores/postgres/index.js';
import {
  applyAll,
  claimSome,
  dedupe,
  finish,
  leaseOf,
  queue,
  start,
  topicEvent,
} from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const program = process.env['EVENTSPINE_PGBOUNCER'] ?? 'pgbouncer';
const noPooler = spawnSync(program, ['--version']).status === 0 ? null : 'there is no pgbouncer on this machine';

describeUnless(noPostgres ?? noPooler, 'behind a pooler in transaction mode', () => {
  let pooler: ChildProcess;
  let folder: string;
  let pooled: string;

  beforeAll(async () => {
    const server = new URL(serverUrl());
    folder = mkdtempSync(join(tmpdir(), 'eventspine-pooler-'));
    chmodSync(folder, 0o777);
    const port = await freePort();
    const settings = join(folder, 'pooler.ini');
    writeFileSync(
      settings,
      `[databases]
* = host=${server.hostname} port=${server.port} user=${server.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
ignore_startup_parameters = extra_float_digits
`,
    );
    const root = process.getuid?.() === 0;
    pooler = spawn(program, root ? ['-u', 'nobody', settings] : [settings], { stdio: 'ignore' });
    const url = new URL(server);
    url.port = String(port);
    pooled = url.href;
    await untilReady(pooled);
  });

  afterAll(() => {
    pooler.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('writes, claims, publishes and reads through few server connections', async () => {
    const schema = newSchema();
    const store = await openPostgresStore({ url: pooled, directUrl: serverUrl(), schema, connectionsMax: 12 });
    const writes = Array.from({ length: 60 }, (_, i) =>
      applyAll(store, {
        ...start({ run: `run_${i}`, dedupe: [dedupe({ key: `k${i}`, expiresAt: store.now() + 60_000 })] }),
        publishes: [topicEvent()],
      }),
    );
    const reads = Array.from({ length: 60 }, () => store.queueStats());
    await Promise.all([...writes, ...reads]);
    const tasks = await claimSome(store, 60);
    expect(tasks.length).toBe(60);
    await applyAll(store, ...tasks.map((task) => finish(leaseOf(task), 1)));
    expect((await store.readFeed({ after: 0, limit: 999 })).length).toBe(180);
    expect(await store.check(9)).toEqual([]);
    await store.close();
    await sql(`DROP SCHEMA ${schema} CASCADE`);
  });

  it('leaves no setting behind on the connections that others get next', async () => {
    const client = new pg.Client({ connectionString: pooled });
    await client.connect();
    const { rows } = await client.query(
      `SELECT current_setting('enable_seqscan') AS scan, current_setting('statement_timeout') AS timeout`,
    );
    expect(rows).toEqual([{ scan: 'on', timeout: '0' }]);
    await client.end();
  });

  it('hears of the work of others by asking, where the pooler swallows what is told', async () => {
    const schema = newSchema();
    const options = { url: pooled, schema, connectionsMax: 4 };
    const [one, other] = [await openPostgresStore(options), await openPostgresStore(options)];
    const heard = new Promise<ReadonlyMap<string, number>>((resolve) => {
      one.watch({ work: resolve, moved: () => undefined });
    });
    await applyAll(other, start());
    expect((await heard).get(queue)).toBe(1);
    await Promise.all([one.close(), other.close()]);
    await sql(`DROP SCHEMA ${schema} CASCADE`);
  });
});

async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
