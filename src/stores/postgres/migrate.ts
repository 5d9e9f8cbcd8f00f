/**
 * Bringing the schema to the newest, over a direct connection: in one transaction under an advisory lock that ends with
 * it, so that any number of nodes may start at once and a pooler cannot lose the lock. A database that is up to date is
 * only looked at, so that a role without the right to create anything can open it.
 */
import { SpineError } from '../../core/errors.js';
import { clockSql } from './database.js';
import type { DirectClient } from './driver.js';
import { partitionsSql, partitionsWanted } from './eras.js';
import { migrations, worksFrom } from './migrations/migrations.js';

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
 * Refuses servers that cannot give what is promised, and brings the schema to the newest. A newer one is left as it is, and
 * refused unless it says that programs of this version may open it. STORE_UNSUITABLE, STORE_TOO_NEW.
 * `known` are the schemas of this version, and `from` the lowest one that can work with the last of them; only tests of
 * upgrades give others.
 */
export async function migrate(
  client: DirectClient,
  schema: string,
  mayMigrate: boolean,
  known: readonly ((schema: string) => string)[] = migrations,
  from = worksFrom,
): Promise<ServerFacts> {
  const facts = await assertSuitable(client);
  const looked = await look(client, schema);
  const { found, now } = looked;
  assertOpenable(looked, known.length);
  if (!mayMigrate) {
    if (found >= known.length) return facts;
    throw unsuitable(`its schema is ${found}, ${known.length} is needed, and it is not to be migrated from here`);
  }
  if (found < known.length || !(await hasPartitions(client, schema, now))) await bringUp(client, schema, known, from);
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

interface Look {
  /** Number of the schema; 0 = there is none. */
  readonly found: number;
  /** The lowest schema whose programs may open it. */
  readonly from: number;
  readonly now: number;
}

/** STORE_TOO_NEW for a schema that a program which knows the first `known` cannot work with. */
function assertOpenable({ found, from }: Look, known: number): void {
  if (found > known && from > known) throw new SpineError('STORE_TOO_NEW', { found, known });
}

async function look(client: DirectClient, schema: string): Promise<Look> {
  const row = await one(
    client,
    `SELECT to_regclass('${literal(`${schema}.meta`)}') IS NOT NULL AS there, ${clockSql} AS now`,
  );
  const now = Number(row['now']);
  if (row['there'] !== true) return { found: 0, from: 0, now };
  const { found, from } = await one(
    client,
    `SELECT max(value) FILTER (WHERE key = 'schema') AS found, max(value) FILTER (WHERE key = 'schema_from') AS from
      FROM ${schema}.meta`,
  );
  return { found: Number(found), from: Number(from ?? found), now };
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
  from: number,
): Promise<void> {
  await client.query('BEGIN');
  try {
    // Statements wait here for a node that is at the same; what it has done is seen by the look after.
    await client.query(`SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0;
      ${migrationLock(schema)}`);
    const { there } = await one(client, `SELECT to_regnamespace('${literal(schema)}') IS NOT NULL AS there`);
    if (there !== true) await client.query(`CREATE SCHEMA ${schema}`);
    const looked = await look(client, schema);
    const { found, now } = looked;
    assertOpenable(looked, known.length);
    for (const [index, sql] of known.entries()) if (index >= found) await client.query(sql(schema));
    // A newer version has said what holds for its schema.
    if (found <= known.length)
      await client.query(`UPDATE ${schema}.meta SET value = ${known.length} WHERE key = 'schema';
        INSERT INTO ${schema}.meta (key, value) VALUES ('schema_from', ${from})
        ON CONFLICT (key) DO UPDATE SET value = excluded.value`);
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
