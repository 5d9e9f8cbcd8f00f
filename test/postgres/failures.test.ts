/** Connections that break at the worst moment, servers that die: what was acknowledged is there, and nothing twice. */
import { createServer, connect, type Server, type Socket } from 'node:net';
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isSpineError } from '../../src/core/errors.js';
import type { Outcome, Store } from '../../src/store/index.js';
import { openPostgresStore } from '../../src/stores/postgres/index.js';
import { dedupe, move, queue, session, start, tenant, topicEvent } from '../../src/testing/conformance/builders.js';
import { startPostgres } from '../../scripts/postgres.mjs';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

/** What the proxy does with the next COMMIT that it sees. */
type Cut = 'none' | 'before' | 'after' | 'silence';

/** A way to the server that can be cut exactly at a commit: before it arrives, before its answer leaves, or by silence. */
class CuttingProxy {
  cut: Cut = 'none';
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(port: number) {
    this.#server = createServer((client) => {
      const upstream = connect(port, '127.0.0.1');
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => this.#sockets.delete(socket));
      }
      let isDeaf = false;
      client.on('data', (data) => {
        if (this.cut !== 'none' && data.includes('COMMIT\0')) {
          const how = this.cut;
          this.cut = 'none';
          this.cuts += 1;
          if (how === 'silence') {
            // A black hole: nothing arrives and nothing is closed.
            isDeaf = true;
            client.removeAllListeners('data');
            client.resume();
            return;
          }
          if (how === 'before') {
            client.destroy();
            upstream.destroy();
            return;
          }
          isDeaf = true;
          upstream.write(data);
          upstream.once('data', () => client.destroy());
          return;
        }
        upstream.write(data);
      });
      upstream.on('data', (data) => {
        if (!isDeaf) client.write(data);
      });
      client.on('close', () => upstream.end());
      upstream.on('close', () => {
        if (!isDeaf) client.end();
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    return (this.#server.address() as { port: number }).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

describeUnless(noPostgres, 'connections that break', () => {
  let proxy: CuttingProxy;
  let store: Store;
  let database: string;
  let through: string;

  // A database of its own, so that no other test's connections are ended. Nothing is prepared, so that the proxy can read
  // where the COMMIT is.
  beforeEach(async () => {
    database = newSchema();
    await sql(`CREATE DATABASE ${database} TEMPLATE template0`);
    const direct = new URL(serverUrl());
    direct.pathname = `/${database}`;
    proxy = new CuttingProxy(Number(direct.port));
    const way = new URL(direct);
    way.port = String(await proxy.listen());
    through = way.href;
    store = await openPostgresStore({ url: through, directUrl: direct.href, prepare: false });
  });

  afterEach(async () => {
    await store.close();
    proxy.close();
    await sql(`DROP DATABASE ${database} WITH (FORCE)`);
  });

  for (const cut of ['before', 'after'] as const) {
    it(`finds out what became of a commit whose connection broke ${cut} it, and answers as if nothing had been`, async () => {
      await store.apply([start({ run: 'run_0' })]);
      // The second of two is looked at first, the first of two is written blindly: both ways to a commit.
      for (const transition of [start({ run: 'run_1' }), move({ run: 'run_0', head: 1 })]) {
        proxy.cut = cut;
        const [outcome] = await store.apply([transition, start({ run: 'run_0' })]);
        expect(outcome?.tag).toBe('applied');
      }
      expect(proxy.cuts).toBe(2);
      expect((await store.readFeed({ after: 0, limit: 9 })).map(({ stream, seq }) => `${stream} ${seq}`)).toEqual([
        'run_0 1',
        'run_1 1',
        'run_0 2',
      ]);
      expect(await store.check(9)).toEqual([]);
    });
  }

  it('gives up a connection that says nothing, and finds out over another', async () => {
    await store.close();
    store = await openPostgresStore({ url: through, statementMs: 300, queryMs: 600, prepare: false });
    await store.apply([start({ run: 'run_0' })]);
    proxy.cut = 'silence';
    const begun = performance.now();
    expect((await store.apply([move({ run: 'run_0', head: 1 })]))[0]?.tag).toBe('applied');
    expect(performance.now() - begun).toBeGreaterThan(500);
    expect(proxy.cuts).toBe(1);
    expect(await store.feedHead()).toBe(2);
  });

  it('says that the outcome is unknown where the answer held more than whether', async () => {
    await store.apply([start()]);
    await store.openSession(session());
    proxy.cut = 'after';
    const claim = { session: 'ses_1', queues: [{ queue, limit: 1 }], limit: 1, assignmentFrom: 1 };
    await expect(store.claim(claim)).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    // It was carried out; whoever reaps the session finds it.
    expect((await store.listLeases({ session: 'ses_1', limit: 9 })).length).toBe(1);
    proxy.cut = 'after';
    const publication = { tenant, dedupe: [dedupe({ expiresAt: store.now() + 60_000 })], publishes: [topicEvent()] };
    await expect(store.apply([publication])).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    // The same key tells the one who asks again.
    expect((await store.apply([publication]))[0]?.tag).toBe('duplicate');
    expect(await store.listTopics(tenant)).toEqual([{ topic: 'orders', partition: 0, head: 1 }]);
  });

  it('fails for ever when the database is back without what it had acknowledged', async () => {
    await store.apply([start({ run: 'run_0' })]);
    await store.readFeedKeys({ after: 0, limit: 9 });
    // What a standby that had fallen behind looks like after its promotion.
    const own = new pg.Client({ connectionString: `${serverUrl().replace(/[^/]*$/, '')}${database}` });
    await own.connect();
    await own.query(`DELETE FROM eventspine.feed_commit; UPDATE eventspine.feed SET head = 0;
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`);
    await own.end();
    await expect(store.feedHead()).rejects.toBeInstanceOf(Error);
    expect(await store.failed).toMatchObject({ code: 'STORE_FAILED' });
    await expect(store.readRun(tenant, 'run_0')).rejects.toBeInstanceOf(Error);
  });

  it('goes on when the server ends its connections again and again, with every answer true', async () => {
    const perWriter = 60;
    let isWriting = true;
    const applied = new Set<string>();
    const unknown = new Set<string>();
    const write = async (writer: number): Promise<void> => {
      for (let i = 0; i < perWriter; i++) {
        const run = `run_${writer}_${i}`;
        try {
          const [outcome]: Outcome[] = await store.apply([start({ run })]);
          expect(outcome?.tag, run).toBe('applied');
          applied.add(run);
        } catch (error) {
          expect(isSpineError(error) && error.code).toBe('STORE_UNREACHABLE');
          unknown.add(run);
        }
      }
    };
    let ended = 0;
    const killer = (async () => {
      while (isWriting) {
        const rows = await sql('SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity WHERE datname = $1', [
          database,
        ]);
        ended += rows.length;
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    })();
    await Promise.all(Array.from({ length: 8 }, (_, i) => write(i)));
    isWriting = false;
    await killer;
    expect(ended).toBeGreaterThan(5);
    expect(unknown.size).toBe(0);
    expect(applied.size).toBe(8 * perWriter);
    const feed = await store.readFeed({ after: 0, limit: 1_000 });
    expect(new Set(feed.map(({ stream }) => stream))).toEqual(applied);
    expect(feed.map(({ position }) => position)).toEqual(Array.from({ length: 8 * perWriter }, (_, i) => i + 1));
    expect(await store.check(9)).toEqual([]);
  });
});

describeUnless(noPostgres, 'a server that is killed', () => {
  it('has every acknowledged run when it is back, and the store goes on by itself', async () => {
    const server = await startPostgres({ fsync: true });
    if (server.url === null || server.start === undefined || server.pid === undefined || server.pid === null) return;
    const store = await openPostgresStore({ url: server.url, patienceMs: 30_000 });
    try {
      const acknowledged = new Set<string>();
      let isWriting = true;
      const write = async (writer: number): Promise<void> => {
        for (let i = 0; isWriting; i++) {
          const run = `run_${writer}_${i}`;
          const outcome = await store.apply([start({ run })]).catch((error: unknown) => {
            expect(isSpineError(error) && error.code).toBe('STORE_UNREACHABLE');
            return null;
          });
          if (outcome?.[0]?.tag === 'applied') acknowledged.add(run);
        }
      };
      const writers = [0, 1, 2, 3].map(write);
      for (let kill = 0; kill < 3; kill++) {
        const before = acknowledged.size;
        while (acknowledged.size < before + 50) await new Promise((resolve) => setTimeout(resolve, 5));
        // The backends see that the postmaster has died, and end.
        process.kill(server.pid, 'SIGKILL');
        await server.ended;
        await restart(server.start);
      }
      isWriting = false;
      await Promise.all(writers);
      for (const run of acknowledged) expect(await store.readRun(tenant, run), run).not.toBeNull();
      expect(await store.check(9)).toEqual([]);
    } finally {
      await store.close();
      await server.stop();
    }
  });
});

/** The orphans of a killed postmaster hold its shared memory for a moment; until then no other starts. */
async function restart(start: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await start();
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
