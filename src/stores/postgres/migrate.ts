/**
 * Bringing the schema to the newest, over a direct connection: in one transaction under an advisory lock that ends with
 * it, so that any number of nodes may start at once and a pooler cannot lose the lock. A database that is up to date is
 * only looked at, so that a role without the right to create anything can open it.
 */
import { SpineError } from '../../core/errors.js';
import { clockSql } from './database.js';
import type { DirectClient } from './driver.js';
import { partitionsSql, partitionsWanted } from './eras.js';
import { migrations } from './migrations/migrations.js';

/** PostgreSQL versions before this lack what the statements use. */
const versionMin = 150_000;
/** Name of the advisory lock: "ESp1" and the number of the schema's name. */
const lockSpace = 0x45537031;

/** What the server says of itself. */
export interface ServerFacts {
  /** As in `server_version`. */
  readonly version: string;
}

/**
 * Refuses servers that cannot give what is promised, and brings the schema to the newest. STORE_UNSUITABLE, STORE_TOO_NEW.
 * `known` are the schemas of this version; only tests of upgrades give others.
 */
export async function migrate(
  client: DirectClient,
  schema: string,
  mayMigrate: boolean,
  known: readonly ((schema: string) => string)[] = migrations,
): Promise<ServerFacts> {
  const facts = await assertSuitable(client);
  const { found, now } = await look(client, schema);
  if (found > known.length) throw new SpineError('STORE_TOO_NEW', { found, known: known.length });
  if (!mayMigrate) {
    if (found === known.length) return facts;
    throw unsuitable(`its schema is ${found}, ${known.length} is needed, and it is not to be migrated from here`);
  }
  if (found < known.length || !(await hasPartitions(client, schema, now))) await bringUp(client, schema, known);
  return facts;
}

async function assertSuitable(client: DirectClient): Promise<ServerFacts> {
  const row = await one(
    client,
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
      current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
      pg_is_in_recovery() AS standby`,
  );
  const version = String(row['version']);
  if (Number(row['number']) < versionMin) throw unsuitable(`PostgreSQL ${version} is older than 15`);
  if (row['encoding'] !== 'UTF8')
    throw unsuitable(`the encoding of the database is ${String(row['encoding'])}, not UTF8`);
  if (row['standby'] === true) throw unsuitable('the server is a standby, which takes no writes');
  return { version };
}

async function look(client: DirectClient, schema: string): Promise<{ readonly found: number; readonly now: number }> {
  const row = await one(
    client,
    `SELECT to_regclass('${literal(`${schema}.meta`)}') IS NOT NULL AS there, ${clockSql} AS now`,
  );
  const now = Number(row['now']);
  if (row['there'] !== true) return { found: 0, now };
  const { value } = await one(client, `SELECT value FROM ${schema}.meta WHERE key = 'schema'`);
  return { found: Number(value), now };
}

async function hasPartitions(client: DirectClient, schema: string, now: number): Promise<boolean> {
  const names = partitionsWanted(now).map((name) => `to_regclass('${literal(`${schema}.${name}`)}') IS NOT NULL`);
  const row = await one(client, `SELECT ${names.join(' AND ')} AS there`);
  return row['there'] === true;
}

async function bringUp(
  client: DirectClient,
  schema: string,
  known: readonly ((schema: string) => string)[],
): Promise<void> {
  await client.query('BEGIN');
  try {
    // Statements wait here for a node that is at the same; what it has done is seen by the look after.
    await client.query(`SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0;
      ${migrationLock(schema)}`);
    const { there } = await one(client, `SELECT to_regnamespace('${literal(schema)}') IS NOT NULL AS there`);
    if (there !== true) await client.query(`CREATE SCHEMA ${schema}`);
    const { found, now } = await look(client, schema);
    if (found > known.length) throw new SpineError('STORE_TOO_NEW', { found, known: known.length });
    for (const [index, sql] of known.entries()) if (index >= found) await client.query(sql(schema));
    await client.query(`UPDATE ${schema}.meta SET value = ${known.length} WHERE key = 'schema'`);
    await client.query(partitionsSql(schema, now));
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

async function one(client: DirectClient, sql: string): Promise<Readonly<Record<string, unknown>>> {
  const { rows } = await client.query(sql);
  return rows[0] ?? {};
}

function literal(text: string): string {
  return text.replaceAll("'", "''");
}

/** Takes the lock under which tables are made and dropped, to the end of the transaction. */
export function migrationLock(schema: string): string {
  return `SELECT pg_advisory_xact_lock(${lockSpace}, hashtext('${literal(schema)}'))`;
}

/** A name as SQL writes it. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function unsuitable(reason: string): SpineError {
  return new SpineError('STORE_UNSUITABLE', { reason });
}
