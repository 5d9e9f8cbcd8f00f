/** The schema: who may make it, what refuses to be opened, weeks that come and go, and who sees what. */
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Database } from '../../src/stores/postgres/database.js';
import { makePool } from '../../src/stores/postgres/driver.js';
import { eraOf } from '../../src/stores/postgres/eras.js';
import { migrations } from '../../src/stores/postgres/migrations/migrations.js';
import { openPostgresStore, postgres, postgresRolesSql } from '../../src/stores/postgres/index.js';
import { Upkeep } from '../../src/stores/postgres/upkeep.js';
import { applyAll, move, start, tenant, topicEvent } from '../../src/testing/conformance/builders.js';
import { manualClock } from '../../src/testing/conformance/index.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema, serverUrl, sql } from './places.js';

const week = 7 * 24 * 60 * 60_000;

describeUnless(noPostgres, 'the schema', () => {
  let place: Awaited<ReturnType<typeof ownSchema>>;

  beforeEach(async () => {
    place = await ownSchema();
  });

  afterEach(() => place.dispose());

  it('refuses a newer schema, and leaves it as it is', async () => {
    await (await place.open()).close();
    await sql(
      `UPDATE ${place.schema}.meta SET value = ${migrations.length + 1} WHERE key IN ('schema', 'schema_from')`,
    );
    await expect(place.open()).rejects.toMatchObject({
      code: 'STORE_TOO_NEW',
      detail: { found: migrations.length + 1, known: migrations.length },
    });
  });

  it('refuses a server that cannot be reached, and a name that is none, with the reason', async () => {
    const unreachable = openPostgresStore({ url: 'postgres://nobody@127.0.0.1:1/none', connectMs: 1_000 });
    await expect(unreachable).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
    const unnamed = openPostgresStore({ url: serverUrl(), schema: 'a"; DROP SCHEMA b' });
    await expect(unnamed).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
  });

  it('names where it is without the password', () => {
    const { location } = postgres({ url: 'postgres://me:secret@db.example/spine' });
    expect(location).toBe('postgres://db.example:5432/spine#eventspine');
  });

  it('lets a role without the right to make tables serve, and a reader see one tenant only', async () => {
    await (await place.open()).close();
    const [server, reader] = [`${place.schema}_server`, `${place.schema}_reader`];
    await sql(`CREATE ROLE ${server} LOGIN; CREATE ROLE ${reader} LOGIN`);
    try {
      const grants = postgresRolesSql({ schema: place.schema, server, reader });
      await sql(grants);
      await sql(grants);
      const url = new URL(serverUrl());
      url.username = server;
      const store = await openPostgresStore({ url: url.href, schema: place.schema, migrate: false });
      await applyAll(store, start(), start({ tenant: 'other' }), start({ tenant: 'other', run: 'run_2' }));
      expect((await store.readFeed({ after: 0, limit: 9 })).length).toBe(3);
      expect(await store.check(9)).toEqual([]);
      await store.close();
      url.username = reader;
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      const seen = async (who: string): Promise<number> => {
        await client.query('BEGIN');
        await client.query(`SELECT set_config('eventspine.tenant', $1, true)`, [who]);
        const { rows } = await client.query(`SELECT count(*)::int AS n FROM ${place.schema}.event`);
        await client.query('COMMIT');
        return (rows[0] as { n: number }).n;
      };
      expect([await seen(tenant), await seen('other'), await seen('')]).toEqual([1, 2, 0]);
      await expect(client.query(`DELETE FROM ${place.schema}.run`)).rejects.toThrow('permission denied');
      await expect(client.query(`SELECT * FROM ${place.schema}.session`)).rejects.toThrow('permission denied');
      await client.end();
    } finally {
      await sql(`DROP OWNED BY ${server}, ${reader}; DROP ROLE ${server}, ${reader}`);
    }
  });

  it('does not make tables for a role that may not, and says what is missing', async () => {
    const opened = openPostgresStore({ url: serverUrl(), schema: place.schema, migrate: false });
    await expect(opened).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
  });

  it('keeps the events of a run in the week in which it began, however long it lasts', async () => {
    const clock = manualClock();
    clock.advance(Date.now() - clock.now());
    const store = await openPostgresStore({ url: serverUrl(), schema: place.schema, clock });
    await applyAll(store, start());
    clock.advance(2 * week);
    await applyAll(store, move({ head: 1 }), start({ run: 'run_2' }));
    const rows = await sql(
      `SELECT stream, seq::int, tableoid::regclass::text AS part FROM ${place.schema}.event ORDER BY 1, 2`,
    );
    const era = eraOf(clock.now());
    expect(rows).toEqual([
      { stream: 'run_1', seq: 1, part: `${place.schema}.event_${era - 2}` },
      { stream: 'run_1', seq: 2, part: `${place.schema}.event_${era - 2}` },
      { stream: 'run_2', seq: 1, part: `${place.schema}.event_${era}` },
    ]);
    expect((await store.readHistories([{ tenant, run: 'run_1' }]))[0]?.length).toBe(2);
    await store.close();
  });

  it('drops a week that is over as a table, after moving aside what is not finished', async () => {
    const clock = manualClock();
    clock.advance(Date.now() - clock.now());
    const store = await openPostgresStore({ url: serverUrl(), schema: place.schema, clock });
    const born = eraOf(clock.now());
    await applyAll(store, start(), start({ run: 'run_2', row: { status: 'succeeded', expiresAt: clock.now() } }));
    await applyAll(store, move({ head: 1 }));
    const before = await store.readFeed({ after: 0, limit: 9 });
    expect((await store.expire(9)).runs).toBe(1);
    clock.advance(3 * week);
    const pool = await makePool({ url: serverUrl(), name: 'test', connectMs: 5_000, size: 1 });
    const database = new Database(pool, true, { statementMs: 5_000, lockMs: 5_000, queryMs: 9_000 });
    const upkeep = new Upkeep(database, `"${place.schema}"`, { now: () => clock.now() }, 1);
    const now = clock.now();
    expect(await upkeep.turnEras({ now, keptMs: 10 * week, topics: 'keep' })).toBeNull();
    await applyAll(store, { tenant, publishes: [topicEvent()] });
    await sql(`UPDATE ${place.schema}.event SET era = ${born} WHERE stream = 'orders/0'`);
    expect(await upkeep.turnEras({ now, keptMs: week, topics: 'keep' })).toBeNull();
    expect(await upkeep.turnEras({ now, keptMs: week, topics: 'drop' })).toBe(`"${place.schema}".event_${born}`);
    expect(await store.readFeed({ after: 0, limit: 9 })).toEqual(before.filter(({ stream }) => stream === 'run_1'));
    await applyAll(store, move({ head: 2 }));
    expect((await store.readEvents({ tenant, stream: 'run_1', after: 0, limit: 9 })).map(({ seq }) => seq)).toEqual([
      1, 2, 3,
    ]);
    expect(await store.check(9)).toEqual([]);
    // What is left of a commit without events goes too, and its positions stay gone.
    await sql(`UPDATE ${place.schema}.feed_commit SET at = 0`);
    await store.expire(100);
    expect(await sql(`SELECT count(*)::int AS n FROM ${place.schema}.feed_commit`)).toEqual([{ n: 3 }]);
    expect(await store.feedHead()).toBe(5);
    await database.close();
    await store.close();
  });
});
