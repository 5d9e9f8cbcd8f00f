/** What callers record in transactions of their own: all of it with the commit, nothing without, and nobody is held up. */
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import * as z from 'zod';
import { createClient } from '../../src/client/index.js';
import { type AnyApp, createSpine, defineApp, memory, type Spine, topic, workflow } from '../../src/spine/index.js';
import { postgres, postgresRolesSql, type PostgresOptions } from '../../src/stores/postgres/index.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const placed = topic('order.placed', { schema: z.object({ id: z.string(), n: z.number() }), key: 'id' });
const done = new Map<string, number>();
const fulfil = workflow('fulfil', { input: z.object({ id: z.string() }) }, (_, { id }) => {
  done.set(id, (done.get(id) ?? 0) + 1);
  return `done ${id}`;
});
const onPlaced = workflow('on-placed', { on: placed }, (_, { id, n }) => `${id} ${n}`);
const app = defineApp({ workflows: [fulfil, onPlaced], topics: [placed] });

describeUnless(noPostgres, 'a transaction of the caller', () => {
  let schema: string;
  let spine: Spine<typeof app>;
  let opened: Spine<typeof app>[];
  let clients: pg.Client[];

  const make = (options: Partial<PostgresOptions> = {}, worker = true): Spine<typeof app> => {
    const made = createSpine(app, { store: postgres({ url: serverUrl(), schema, ...options }), worker });
    opened.push(made);
    return made;
  };
  const connected = async (url = serverUrl()): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  };
  const begun = async (): Promise<pg.Client> => {
    const tx = await connected();
    await tx.query('BEGIN');
    return tx;
  };
  const waiting = async (): Promise<unknown> =>
    (await sql(`SELECT count(*)::int AS n FROM ${schema}.outbox WHERE refused IS NULL`))[0]?.['n'];

  const violations = async (): Promise<{ readonly subject: string; readonly detail: string }[]> =>
    (await spine.doctor()).checks.flatMap((check) => check.violations);

  beforeEach(async () => {
    schema = newSchema();
    opened = [];
    clients = [];
    done.clear();
    spine = make();
    await spine.open();
  });

  afterEach(async () => {
    for (const client of clients) await client.end();
    for (const made of opened) await made.close();
    await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  it('begins work that it has committed, and gives the id before', async () => {
    const tx = await begun();
    const run = await spine.start('fulfil', { id: 'a' }, { tx });
    await expect(run.status()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    expect(await waiting()).toBe(0);
    await tx.query('COMMIT');
    // At once: nobody has to wait for whoever carries it out.
    expect(['queued', 'running', 'succeeded']).toContain((await run.status()).state);
    expect(await run.result()).toBe('done a');
    expect(await waiting()).toBe(0);
  });

  it('has never begun what was rolled back', async () => {
    const tx = await begun();
    const undone = await spine.start('fulfil', { id: 'undone' }, { tx, idempotencyKey: 'k' });
    const event = await spine.publish('order.placed', { id: 'undone', n: 1 }, { tx });
    await tx.query('ROLLBACK');
    await tx.query('BEGIN');
    // The key is free again, and what comes later is carried out later.
    const kept = await spine.start('fulfil', { id: 'kept' }, { tx, idempotencyKey: 'k' });
    await tx.query('COMMIT');
    expect(kept.repeated).toBe(false);
    expect(await kept.result()).toBe('done kept');
    await expect(undone.status()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(spine.run(event.runs[0] ?? '').status()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    expect([...done.keys()]).toEqual(['kept']);
    expect(await sql(`SELECT count(*)::int AS n FROM ${schema}.topic_head`)).toEqual([{ n: 0 }]);
  });

  it('keeps a savepoint that was released and forgets one that was rolled back', async () => {
    const tx = await begun();
    await tx.query('SAVEPOINT one');
    const forgotten = await spine.start('fulfil', { id: 'forgotten' }, { tx });
    await tx.query('ROLLBACK TO SAVEPOINT one');
    await tx.query('SAVEPOINT two');
    const kept = await spine.start('fulfil', { id: 'kept' }, { tx });
    await tx.query('RELEASE SAVEPOINT two');
    await tx.query('COMMIT');
    expect(await kept.result()).toBe('done kept');
    await expect(forgotten.status()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  it('is carried out by another server where the one that it was given to is gone before the commit', async () => {
    await spine.close();
    const first = make({}, false);
    const tx = await begun();
    const { id } = await first.start('fulfil', { id: 'left' }, { tx });
    await first.close();
    const second = make();
    await second.open();
    await tx.query('COMMIT');
    expect(await second.run(id).result()).toBe('done left');
  });

  it('is carried out though nobody asks for it', async () => {
    await spine.close();
    const other = make({}, false);
    const tx = await begun();
    await other.start('fulfil', { id: 'unasked' }, { tx });
    await other.close();
    await tx.query('COMMIT');
    let worker: Spine<AnyApp> | undefined;
    await new Promise<void>((resolve, reject) => {
      const busy = defineApp({ name: 'busy', workflows: [workflow('fulfil', {}, () => resolve())] });
      worker = createSpine<AnyApp>(busy, { store: postgres({ url: serverUrl(), schema }) });
      worker.open().catch(reject);
    });
    await worker?.close();
  });

  it('publishes events in the order of the calls, and starts what they trigger', async () => {
    const tx = await begun();
    const published = [];
    for (let n = 0; n < 20; n++) published.push(await spine.publish('order.placed', { id: 'one', n }, { tx }));
    await tx.query('COMMIT');
    const runs = published.flatMap((p) => p.runs);
    expect(runs).toHaveLength(20);
    expect(await spine.run(runs.at(-1) ?? '').result()).toBe('one 19');
    const events = [];
    for await (const event of spine.topics.events('order.placed')) events.push(event);
    expect(events.map(({ event, offset }) => [event['id'], offset])).toEqual(published.map(({ id }, i) => [id, i]));
  });

  it('refuses at once what a call without it would refuse, and harms nothing by that', async () => {
    const tx = await begun();
    const bad = { id: 7 } as unknown as { id: string };
    await expect(spine.start('fulfil', bad, { tx })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(spine.start('nothing' as 'fulfil', bad, { tx })).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
    await expect(spine.publish('order.placed', { id: 'x' } as never, { tx })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    });
    await expect(spine.start('fulfil', { id: 'x' }, { tx, wait: '1s' })).rejects.toMatchObject({
      code: 'OPTIONS_INVALID',
    });
    const outcomes = await spine.startMany('fulfil', [{ input: bad }, { input: { id: 'good' } }], { tx });
    await tx.query('COMMIT');
    expect(outcomes.map(({ tag }) => tag)).toEqual(['error', 'started']);
    expect(outcomes[1]?.tag === 'started' && (await outcomes[1].run.result())).toBe('done good');
  });

  it('takes values of every kind and size', async () => {
    const id = `'"\\ \u0007 $1::text ${'Ü'.repeat(200_000)}🦕`;
    const tx = await begun();
    const run = await spine.start('fulfil', { id }, { tx, labels: { $bytes: 'QQ==' }, priority: 7 });
    await tx.query('COMMIT');
    expect(await run.result()).toBe(`done ${id}`);
    expect(await run.status()).toMatchObject({ labels: { $bytes: 'QQ==' } });
  });

  it('gives the same run for the same key: in it, beside it and after it', async () => {
    const before = await spine.start('fulfil', { id: 'before' }, { idempotencyKey: 'before' });
    const tx = await begun();
    const first = await spine.start('fulfil', { id: 'a' }, { tx, idempotencyKey: 'k' });
    const again = await spine.start('fulfil', { id: 'a' }, { tx, idempotencyKey: 'k' });
    expect([again.id, again.repeated]).toEqual([first.id, true]);
    const known = await spine.start('fulfil', { id: 'before' }, { tx, idempotencyKey: 'before' });
    expect([known.id, known.repeated]).toEqual([before.id, true]);
    await expect(spine.start('fulfil', { id: 'b' }, { tx, idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_REUSED',
    });
    // Another transaction with the key waits for this one, as with any unique key.
    const other = await begun();
    const waits = spine.start('fulfil', { id: 'a' }, { tx: other, idempotencyKey: 'k' });
    await tx.query('COMMIT');
    expect([(await waits).id, (await waits).repeated]).toEqual([first.id, true]);
    await other.query('COMMIT');
    expect(await first.result()).toBe('done a');
    const after = await spine.start('fulfil', { id: 'a' }, { idempotencyKey: 'k' });
    expect([after.id, after.repeated]).toEqual([first.id, true]);
    expect(done.get('a')).toBe(1);
  });

  it('records an event once, whoever publishes it', async () => {
    const tx = await begun();
    const data = { id: 'e', n: 1 };
    await spine.publish('order.placed', data, { id: 'known' });
    expect(await spine.publish('order.placed', data, { tx, id: 'known' })).toMatchObject({ duplicate: true, runs: [] });
    expect(await spine.publish('order.placed', data, { tx, id: 'new' })).toMatchObject({ duplicate: false });
    expect(await spine.publish('order.placed', data, { tx, id: 'new' })).toMatchObject({ duplicate: true });
    const last = await spine.publish('order.placed', data, { tx, id: 'raced' });
    // Outside of the transaction nobody sees that it is to be.
    expect(await spine.publish('order.placed', data, { id: 'raced' })).toMatchObject({ duplicate: false });
    await tx.query('COMMIT');
    await expect(spine.run(last.runs[0] ?? '').status()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    const ids = [];
    for await (const { event } of spine.topics.events('order.placed')) ids.push(event['id']);
    expect(ids).toEqual(['known', 'raced', 'new']);
    expect(await waiting()).toBe(0);
  });

  it('yields to a run that has taken its key meanwhile, and sets aside what cannot yield', async () => {
    const tx = await begun();
    const same = await spine.start('fulfil', { id: 'same' }, { tx, idempotencyKey: 'same' });
    const other = await spine.start('fulfil', { id: 'other' }, { tx, idempotencyKey: 'other' });
    const taken = await spine.start('fulfil', { id: 'same' }, { idempotencyKey: 'same' });
    await spine.start('fulfil', { id: 'quite another' }, { idempotencyKey: 'other' });
    await tx.query('COMMIT');
    await expect(same.status()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(other.status()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    expect(await taken.result()).toBe('done same');
    expect(done.get('same')).toBe(1);
    const [violation, ...more] = await violations();
    expect(violation?.subject).toBe(other.id);
    expect(violation?.detail).toMatch(/committed by its caller.*key other/);
    expect(more).toEqual([]);
  });

  it('holds up nobody while it is open: not its partition, not the feed, not the work', async () => {
    const tx = await begun();
    const mine = await spine.publish('order.placed', { id: 'one', n: 0 }, { tx });
    for (let n = 1; n <= 30; n++) await spine.publish('order.placed', { id: 'one', n });
    const run = await spine.start('fulfil', { id: 'meanwhile' });
    expect(await run.result()).toBe('done meanwhile');
    const [{ pid } = {}] = (await tx.query('SELECT pg_backend_pid() AS pid')).rows as { pid?: number }[];
    const locked = await sql(
      `SELECT DISTINCT c.relname::text COLLATE "C" AS name FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE l.pid = $1 AND n.nspname = $2 AND l.mode <> 'AccessShareLock' ORDER BY 1`,
      [pid, schema],
    );
    expect(locked.map(({ name }) => name)).toEqual([
      'outbox',
      'outbox_id_seq',
      'outbox_key',
      'outbox_open',
      'outbox_pkey',
      'outbox_refused',
    ]);
    await tx.query('COMMIT');
    expect(await spine.run(mine.runs[0] ?? '').result()).toBe('one 0');
    const ids = [];
    for await (const { event } of spine.topics.events('order.placed')) ids.push(event['id']);
    expect(ids).toHaveLength(31);
    expect(ids.at(-1)).toBe(mine.id);
  });

  it('is carried out once, however many servers carry it out', async () => {
    const others = [make(), make()];
    await Promise.all(others.map((other) => other.open()));
    const all = [spine, ...others];
    const one = async (writer: number): Promise<string[]> => {
      const tx = await connected();
      const ids = [];
      for (let i = 0; i < 15; i++) {
        await tx.query('BEGIN');
        const asked = all[(writer + i) % all.length] ?? spine;
        const { id } = await asked.start('fulfil', { id: `${writer}-${i}` }, { tx });
        await asked.publish('order.placed', { id: `key ${writer}`, n: i }, { tx });
        const isKept = i % 3 !== 2;
        await tx.query(isKept ? 'COMMIT' : 'ROLLBACK');
        if (isKept) ids.push(id);
      }
      return ids;
    };
    const kept = (await Promise.all(Array.from({ length: 8 }, (_, writer) => one(writer)))).flat();
    await Promise.all(kept.map((id) => spine.run(id).result()));
    expect([...done.values()].every((times) => times === 1)).toBe(true);
    expect(done.size).toBe(80);
    const seen = new Map<string, number[]>();
    for await (const { event } of spine.topics.events('order.placed')) {
      const { id, n } = event['data'] as { id: string; n: number };
      seen.set(id, [...(seen.get(id) ?? []), n]);
    }
    expect(seen.size).toBe(8);
    for (const ns of seen.values()) expect(ns).toEqual([0, 1, 3, 4, 6, 7, 9, 10, 12, 13]);
    expect(await violations()).toEqual([]);
  });

  it('refuses what is no open transaction on its database, and records nothing', async () => {
    const closed = await connected();
    const pool = new pg.Pool({ connectionString: serverUrl(), max: 2 });
    const database = `${schema}_other`;
    await sql(`CREATE DATABASE ${database}`);
    try {
      const url = new URL(serverUrl());
      url.pathname = `/${database}`;
      const elsewhere = await connected(url.href);
      await elsewhere.query('BEGIN');
      for (const tx of [closed, pool, elsewhere, {}, null, 'tx']) {
        await expect(spine.start('fulfil', { id: 'x' }, { tx: tx as pg.Client })).rejects.toMatchObject({
          code: 'TRANSACTION_INVALID',
        });
        await expect(
          spine.start('fulfil', { id: 'x' }, { tx: tx as pg.Client, idempotencyKey: 'k' }),
        ).rejects.toMatchObject({ code: 'TRANSACTION_INVALID' });
      }
      // The caller's transaction is as good as before.
      expect((await elsewhere.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      await elsewhere.end();
      clients = clients.filter((client) => client !== elsewhere);
    } finally {
      await pool.end();
      await sql(`DROP DATABASE ${database}`);
    }
    const runs = [];
    for await (const run of spine.runs.list()) runs.push(run);
    expect(runs).toEqual([]);
  });

  it('lets through what the database says', async () => {
    const tx = await begun();
    await tx.query('SELECT 1 / 0').catch(() => undefined);
    await expect(spine.start('fulfil', { id: 'x' }, { tx })).rejects.toMatchObject({ code: '25P02' });
  });

  it('is refused a key, under repeatable read, that another has left meanwhile: 40001, as by any unique key', async () => {
    const tx = await connected();
    await tx.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await tx.query('SELECT 1');
    // Of a later version of this program, so it stays there.
    await sql(`INSERT INTO ${schema}.outbox (tenant, scope, key, hash, reference, format, transition)
      VALUES ('default', 'start:fulfil', 'k', 'h', 'run_x', 99, '')`);
    await expect(spine.start('fulfil', { id: 'a' }, { tx, idempotencyKey: 'k' })).rejects.toMatchObject({
      code: '40001',
    });
    await tx.query('ROLLBACK');
    expect(await waiting()).toBe(1);
  });

  it('needs no more rights than to leave something and to see which keys are taken', async () => {
    const [server, application] = [`${schema}_server`, `${schema}_app`];
    for (const role of [server, application]) await sql(`CREATE ROLE ${role} LOGIN`);
    try {
      await sql(postgresRolesSql({ schema, server, application }));
      const tx = await connected();
      await tx.query('BEGIN');
      await tx.query(`SET LOCAL ROLE ${application}`);
      const run = await spine.start('fulfil', { id: 'as application' }, { tx, idempotencyKey: 'k' });
      await tx.query('COMMIT');
      expect(await run.result()).toBe('done as application');
      await tx.query('BEGIN');
      await tx.query(`SET LOCAL ROLE ${application}`);
      await expect(tx.query(`DELETE FROM ${schema}.outbox`)).rejects.toThrow('permission denied');
      await tx.query('ROLLBACK');
    } finally {
      await sql(`DROP OWNED BY ${server}, ${application}`);
      await sql(`DROP ROLE ${server}, ${application}`);
    }
  });

  it('is refused where only the store can have one', async () => {
    const tx = await begun();
    const local = createSpine(app, { store: memory() });
    await expect(local.start('fulfil', { id: 'x' }, { tx })).rejects.toMatchObject({ code: 'TRANSACTION_UNSUPPORTED' });
    await expect(local.publish('order.placed', { id: 'x', n: 1 }, { tx })).rejects.toMatchObject({
      code: 'TRANSACTION_UNSUPPORTED',
    });
    await local.close();
    const remote = createClient<typeof app>({ url: 'http://127.0.0.1:1' });
    const options = { tx } as object;
    await expect(remote.start('fulfil', { id: 'x' }, options)).rejects.toMatchObject({
      code: 'TRANSACTION_UNSUPPORTED',
    });
    await expect(remote.publish('order.placed', { id: 'x', n: 1 }, options)).rejects.toMatchObject({
      code: 'TRANSACTION_UNSUPPORTED',
    });
  });
});
