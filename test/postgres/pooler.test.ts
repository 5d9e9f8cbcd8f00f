/** Behind PgBouncer in transaction mode, which fails silently where a session is assumed. */
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
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
import { newSchema, noPostgres, ownSchema, serverUrl, sql } from './places.js';
import { Pooler } from './pooler.js';

const found = inject('pgbouncer');
const noPooler = found.program === null ? found.reason : null;

/** Longer than the self-test of a connection takes. */
const quietMs = 2_600;

describeUnless(noPostgres ?? noPooler, 'behind a pooler in transaction mode', () => {
  let pooler: Pooler;
  let session: Pooler;
  let pooled: string;

  beforeAll(async () => {
    pooler = await Pooler.start(found, serverUrl());
    session = await Pooler.start(found, serverUrl(), 'session', 20);
    pooled = pooler.url;
  });

  afterAll(() => Promise.all([pooler.end(), session.end()]));

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

  it('prepares nothing, which the next server connection would not know', async () => {
    const { open, dispose } = await ownSchema({ url: pooled, directUrl: serverUrl(), connectionsMax: 12 });
    const store = await open();
    for (let i = 0; i < 30; i++) await Promise.all([applyAll(store, start({ run: `run_${i}` })), store.queueStats()]);
    const left = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const client = new pg.Client({ connectionString: pooled });
        await client.connect();
        const { rows } = await client.query<{ readonly n: number }>(
          'SELECT count(*)::int AS n, pg_sleep(0.1) FROM pg_prepared_statements',
        );
        await client.end();
        return rows[0]?.n;
      }),
    );
    expect(left).toEqual([0, 0, 0, 0, 0, 0]);
    await store.close();
    await dispose();
  });

  it('makes its tables through the pooler too, several nodes at once', async () => {
    const { open, dispose } = await ownSchema({ url: pooled, warn: () => undefined });
    const nodes = await Promise.all([open(), open(), open()]);
    expect(nodes.map(({ epoch }) => epoch).sort()).toEqual([1, 2, 3]);
    await Promise.all(nodes.map((node) => node.close()));
    await dispose();
  });

  it('hears of the work of others by asking, where the pooler swallows what is told, and says so once', async () => {
    const warnings: string[] = [];
    let told: () => void = () => undefined;
    const warned = new Promise<void>((resolve) => (told = resolve));
    const warn = (message: string): void => {
      warnings.push(message);
      told();
    };
    const { open, dispose } = await ownSchema({ url: pooled, connectionsMax: 4, warn });
    const [one, other] = [await open(), await open()];
    const heard = new Promise<ReadonlyMap<string, number>>((resolve) => {
      one.watch({ work: resolve, moved: () => undefined });
    });
    await warned;
    await applyAll(other, start());
    expect((await heard).get(queue)).toBe(1);
    // The other one has never listened for anybody; what it has committed is told by it all the same, if it could be.
    await Promise.all([one.close(), other.close()]);
    expect(warnings.filter((message) => message.includes('EVENTSPINE_DIRECT_URL')).length).toBe(warnings.length);
    expect(warnings.length).toBeLessThanOrEqual(2);
    await dispose();
  });

  it.each([
    ['a direct URL', () => serverUrl()],
    ['a pooler in session mode', () => session.url],
  ])('is told at once by %s', async (_, directUrl) => {
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    const { open, dispose } = await ownSchema({ url: pooled, directUrl: directUrl(), warn });
    const [one, other] = [await open(), await open()];
    const queues: string[] = [];
    let said: () => void = () => undefined;
    one.watch({
      work: (work) => {
        queues.push(...work.keys());
        said();
      },
      moved: () => undefined,
    });
    // Both have tried whether they hear, and who asks asks seldom by now: a quick answer is one that was told.
    await applyAll(other, start());
    await new Promise((wake) => setTimeout(wake, quietMs));
    const tookMs: number[] = [];
    for (let i = 0; i < 4; i++) {
      const begun = performance.now();
      const heard = new Promise<void>((resolve) => (said = resolve));
      await applyAll(other, start({ run: `run_told_${i}` }));
      await heard;
      tookMs.push(performance.now() - begun);
      await new Promise((wake) => setTimeout(wake, 300));
    }
    // The median, since an idle machine tells within 30 ms and a busy one is busy now and then.
    expect(tookMs.sort((x, y) => x - y)[1]).toBeLessThan(500);
    await Promise.all([one.close(), other.close()]);
    expect(warnings).toEqual([]);
    await dispose();
  });

  it('loses nothing that was acknowledged when the pooler is killed and started again and again', async () => {
    const { open, dispose, schema } = await ownSchema({ url: pooled, connectMs: 1_000, warn: () => undefined });
    const store = await open();
    const acknowledged: string[] = [];
    const refused: string[] = [];
    let writing = true;
    const write = async (writer: number): Promise<void> => {
      for (let i = 0; writing; i++) {
        const run = `run_${writer}_${i}`;
        const [outcome] = await store.apply([start({ run })]).catch(() => [null]);
        (outcome?.tag === 'applied' ? acknowledged : refused).push(run);
      }
    };
    const writers = Array.from({ length: 8 }, (_, i) => write(i));
    for (let i = 0; i < 4; i++) {
      const before = acknowledged.length;
      while (acknowledged.length < before + 50) await new Promise((wake) => setTimeout(wake, 5));
      await pooler.kill();
      await new Promise((wake) => setTimeout(wake, 150));
      await pooler.again();
    }
    writing = false;
    await Promise.all(writers);
    const stored = (await sql(`SELECT run FROM ${schema}.run`)).map(({ run }) => run as string);
    const known = new Set(stored);
    expect(acknowledged.filter((run) => !known.has(run))).toEqual([]);
    expect(stored.length).toBeLessThanOrEqual(acknowledged.length + refused.length);
    expect(await store.check(9)).toEqual([]);
    await store.close();
    await dispose();
  });

  it('refuses a pooler in statement mode, which cannot keep a transaction together', async () => {
    const statement = await Pooler.start(found, serverUrl(), 'statement');
    const { open, dispose } = await ownSchema({ url: statement.url, directUrl: serverUrl() });
    await expect(open()).rejects.toThrow(/cannot be used.*statement/);
    await statement.end();
    await dispose();
  });
});
