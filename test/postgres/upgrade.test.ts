/**
 * A rollout, as far as it can be tested with one released schema: several nodes of the next version start at the same
 * time on a database that nodes of this version are writing to.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeDirect } from '../../src/stores/postgres/driver.js';
import { migrate } from '../../src/stores/postgres/migrate.js';
import { migrations, worksFrom } from '../../src/stores/postgres/migrations/migrations.js';
import { move, start, tenant } from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema, serverUrl, sql } from './places.js';

/** What the next version might bring: something added, which the version before does not look at. */
const added = (s: string): string => `
  ALTER TABLE ${s}.run ADD COLUMN mood text;
  CREATE TABLE ${s}.moods (id bigint GENERATED ALWAYS AS IDENTITY, at bigint NOT NULL);
  INSERT INTO ${s}.moods (at) VALUES (1);
  CREATE INDEX run_mood ON ${s}.run (tenant, mood) WHERE mood IS NOT NULL;`;
const broken = (s: string): string => `${added(s)} ALTER TABLE ${s}.no_such_table ADD COLUMN x int;`;

describeUnless(noPostgres, 'an upgrade of the schema', () => {
  let place: Awaited<ReturnType<typeof ownSchema>>;

  beforeEach(async () => {
    place = await ownSchema();
  });

  afterEach(() => place.dispose());

  async function upgrade(next: (s: string) => string, from?: number): Promise<void> {
    const client = await makeDirect({ url: serverUrl(), name: 'test', connectMs: 5_000 });
    await client.connect();
    try {
      await migrate(client, `"${place.schema}"`, true, [...migrations, next], from);
    } finally {
      await client.end();
    }
  }

  it('is made once by one of several nodes that start together, while the version before goes on writing', async () => {
    const old = await place.open();
    let writing = true;
    let runs = 0;
    const load = (async () => {
      for (; writing; runs++) {
        const run = `run_${runs}`;
        const outcomes = await old.apply([start({ run }), move({ run, head: 1 })]);
        expect(outcomes.map(({ tag }) => tag)).toEqual(['applied', 'applied']);
      }
    })();
    while (runs < 20) await new Promise((wake) => setTimeout(wake, 5));
    await Promise.all(Array.from({ length: 4 }, () => upgrade(added)));
    const then = runs;
    while (runs < then + 20) await new Promise((wake) => setTimeout(wake, 5));
    writing = false;
    await load;
    expect(await sql(`SELECT count(*)::int AS n FROM ${place.schema}.moods`)).toEqual([{ n: 1 }]);
    expect(await sql(`SELECT value::int AS v FROM ${place.schema}.meta WHERE key = 'schema'`)).toEqual([
      { v: migrations.length + 1 },
    ]);
    expect((await old.readRun(tenant, `run_${runs - 1}`))?.head).toBe(2);
    expect(await old.check(9)).toEqual([]);
    await old.close();
    // A node of the version before that is started only now works with it, and leaves it as it is.
    const again = await place.open();
    expect((await again.apply([start({ run: 'run_again' })]))[0]?.tag).toBe('applied');
    await again.close();
    expect(await schemaRows()).toEqual({ schema: migrations.length + 1, schema_from: worksFrom });
  });

  it('refuses the version before where the new schema says that it takes something away', async () => {
    const old = await place.open();
    await upgrade(added, migrations.length + 1);
    // One that runs is not stopped, and one that starts touches nothing.
    await expect(place.open()).rejects.toMatchObject({
      code: 'STORE_TOO_NEW',
      detail: { found: migrations.length + 1, known: migrations.length },
    });
    expect(await schemaRows()).toEqual({ schema: migrations.length + 1, schema_from: migrations.length + 1 });
    await old.close();
  });

  it('refuses a newer schema of before this was said', async () => {
    await (await place.open()).close();
    await sql(`UPDATE ${place.schema}.meta SET value = ${migrations.length + 1} WHERE key = 'schema'`);
    await sql(`DELETE FROM ${place.schema}.meta WHERE key = 'schema_from'`);
    await expect(place.open()).rejects.toMatchObject({ code: 'STORE_TOO_NEW' });
  });

  async function schemaRows(): Promise<Record<string, number>> {
    const rows = await sql(`SELECT key, value::int FROM ${place.schema}.meta WHERE key LIKE 'schema%'`);
    return Object.fromEntries(rows.map(({ key, value }) => [key, value] as const)) as Record<string, number>;
  }

  it('is undone as a whole where a part of it fails, and the version before goes on', async () => {
    const old = await place.open();
    await expect(upgrade(broken)).rejects.toThrow('no_such_table');
    expect(await sql(`SELECT to_regclass('${place.schema}.moods') AS found`)).toEqual([{ found: null }]);
    expect((await old.apply([start()]))[0]?.tag).toBe('applied');
    await old.close();
    await (await place.open()).close();
  });
});
