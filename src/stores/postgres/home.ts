/**
 * Where the tables live, remembered beside them: the cluster, the database and the table `meta` by their own numbers.
 * A dump that is put back finds itself elsewhere than it remembers, and then the numbers that were handed out after the
 * dump was taken are not given again: epochs, tokens and positions jump above them, and sessions end.
 *
 * Invariant: whoever opens the store draws its epoch after this was looked at.
 */
import { restoreJump } from '../../store/index.js';
import type { DirectClient } from './driver.js';

/** Keys of `meta`. */
const keys = { system: 'home_system', database: 'home_database', table: 'home_table' } as const;

/**
 * Looks whether the tables are where they were, and makes them fit to be served where they are not. Over a direct
 * connection, in a transaction that any number of nodes may come to at once.
 */
export async function settleHome(client: DirectClient, schema: string): Promise<void> {
  const here = await whereAreWe(client, schema);
  if (isSame(here, await remembered(client, schema))) return;
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s';
      SELECT value FROM ${schema}.meta WHERE key = 'epoch' FOR UPDATE`);
    // Who held the lock before us has done it.
    const before = await remembered(client, schema);
    if (!isSame(here, before)) {
      if (before.size > 0) await client.query(jumpSql(schema));
      const rows = [...here].map(([key, value]) => `('${key}', ${value})`).join(', ');
      await client.query(`INSERT INTO ${schema}.meta (key, value) VALUES ${rows}
        ON CONFLICT (key) DO UPDATE SET value = excluded.value`);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

/**
 * Says of a store that it was put back by other means than a dump (a snapshot of the disk, a base backup): the next
 * opening treats it like a restored one.
 */
export async function forgetHome(client: DirectClient, schema: string): Promise<void> {
  await client.query(`INSERT INTO ${schema}.meta (key, value) VALUES ('${keys.table}', 0)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value`);
}

/** Numbers as texts: that of the cluster has 64 bits. */
type Home = ReadonlyMap<string, string>;

async function whereAreWe(client: DirectClient, schema: string): Promise<Home> {
  const meta = `'${schema.replaceAll("'", "''")}.meta'::regclass::oid::bigint`;
  const { rows } = await client.query(`SELECT ${meta} AS meta, d.oid::bigint AS database,
    has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may
    FROM pg_database d WHERE d.datname = current_database()`);
  const { meta: table, database, may } = rows[0] ?? {};
  const home = new Map([
    [keys.table as string, String(table)],
    [keys.database, String(database)],
  ]);
  // Where a host keeps this to itself, the other two must do.
  if (may !== true) return home;
  const { rows: system } = await client.query('SELECT system_identifier FROM pg_catalog.pg_control_system()');
  return home.set(keys.system, String(system[0]?.['system_identifier']));
}

async function remembered(client: DirectClient, schema: string): Promise<Home> {
  const { rows } = await client.query(`SELECT key, value FROM ${schema}.meta WHERE key LIKE 'home\\_%'`);
  return new Map(rows.map(({ key, value }) => [String(key), String(value)]));
}

function isSame(here: Home, before: Home): boolean {
  return [...here].every(([key, value]) => before.get(key) === value);
}

function jumpSql(s: string): string {
  return `UPDATE ${s}.meta SET value = value + ${restoreJump.epochs} WHERE key = 'epoch';
    UPDATE ${s}.feed SET head = head + ${restoreJump.positions} WHERE id = 1;
    UPDATE ${s}.task SET token = token + ${restoreJump.tokens};
    DELETE FROM ${s}.session;
    DELETE FROM ${s}.duty;`;
}
