/**
 * Opening a file the way the guarantees need it: settings are set and then read back, the library's version is
 * checked, the schema is brought to the newest, and the epoch is raised. A file that cannot be had like that is
 * refused, never used half-way.
 */
import { SpineError } from '../../core/errors.js';
import { prepare, readValue, type SqliteDatabase, type SqliteDriver } from './driver.js';
import { migrations } from './migrations/migrations.js';
import { assertStays, settleCopy } from './provenance.js';

/** The oldest SQLite without the WAL-reset fault, which could corrupt a file that several connections write. */
const versionMin = [3, 51, 3] as const;
/** Marks a file as ours, in its header: "ESp1". */
const applicationId = 0x45537031;
/** Milliseconds to wait for a foreign writer (a backup tool, the sqlite3 shell) before a commit is refused. */
const busyTimeoutMs = 5_000;
/** Of a new file. A page of the log costs two calls, and a short event leaves less of a larger page empty. */
const pageBytes = 8_192;
/** Pages in the WAL at which the writer copies them into the file: 32 MiB, so that a burst does not pay for it often. */
const checkpointPages = 4_000;
const journalBytesMax = 64 * 1024 * 1024;
/**
 * Of the writer. It works at the growing end of its tables, which is small; a cache that holds more than that only makes
 * the process ask for new memory with each page, where a full one uses its pages again.
 */
const cacheKib = 16 * 1024;

/** True for a database that lives in memory and has no journal on disk. */
export function isInMemory(file: string): boolean {
  return file === ':memory:';
}

/**
 * Opens the one writing connection. Throws STORE_UNSUITABLE where durability cannot be had, STORE_TOO_NEW for a newer
 * schema. `schema` limits how far the file is migrated; only tests of upgrades use it. `evenMoved` opens a file whose
 * contents were moved elsewhere, to move them again.
 */
export function openWriter(
  driver: SqliteDriver,
  file: string,
  { schema = migrations.length, evenMoved = false }: { readonly schema?: number; readonly evenMoved?: boolean } = {},
): { readonly database: SqliteDatabase; readonly epoch: number } {
  const database = openFile(driver, file, false);
  try {
    assertVersion(driver, database);
    setDurable(database, isInMemory(file));
    migrate(database, schema);
    if (!evenMoved) assertStays(database);
    settleCopy(database);
    return { database, epoch: raiseEpoch(database) };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens a connection that can only read, and never moves the WAL. */
export function openReader(driver: SqliteDriver, file: string): SqliteDatabase {
  const database = openFile(driver, file, true);
  database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -8192;`);
  return database;
}

function openFile(driver: SqliteDriver, file: string, readOnly: boolean): SqliteDatabase {
  try {
    return driver.open(file, { readOnly });
  } catch (cause) {
    throw unsuitable(`${file} cannot be opened`, cause);
  }
}

function assertVersion(driver: SqliteDriver, database: SqliteDatabase): void {
  const version = String(readValue(database, 'SELECT sqlite_version()'));
  const parts = version.split('.').map(Number);
  for (const [index, least] of versionMin.entries()) {
    const part = parts[index] ?? 0;
    if (part > least) return;
    if (part < least)
      throw unsuitable(`${driver.name} carries SQLite ${version}, at least ${versionMin.join('.')} is needed`);
  }
}

function setDurable(database: SqliteDatabase, inMemory: boolean): void {
  try {
    database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA page_size = ${pageBytes};`);
    const mode = readValue(database, 'PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    const synchronous = readValue(database, 'PRAGMA synchronous');
    if (mode !== (inMemory ? 'memory' : 'wal')) throw unsuitable(`journal_mode is ${String(mode)}, not wal`);
    if (synchronous !== 2) throw unsuitable(`synchronous is ${String(synchronous)}, not 2 (FULL)`);
  } catch (cause) {
    if (cause instanceof SpineError) throw cause;
    throw unsuitable('it is not a SQLite database, or its disk refuses to serve it', cause);
  }
  database.exec(`
    PRAGMA wal_autocheckpoint = ${checkpointPages};
    PRAGMA journal_size_limit = ${journalBytesMax};
    PRAGMA cache_size = -${cacheKib};
    PRAGMA temp_store = MEMORY;
    PRAGMA foreign_keys = OFF;
    PRAGMA trusted_schema = OFF;
  `);
}

/** Applies the missing migrations, each in a transaction of its own together with the new number. */
function migrate(database: SqliteDatabase, target: number): void {
  const found = Number(readValue(database, 'PRAGMA user_version'));
  if (found > migrations.length) throw new SpineError('STORE_TOO_NEW', { found, known: migrations.length });
  assertOurs(database, found);
  for (const [index, sql] of migrations.entries()) {
    const schema = index + 1;
    if (schema <= found || schema > target) continue;
    database.exec('BEGIN IMMEDIATE');
    try {
      database.exec(`${sql}; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schema};`);
      database.exec('COMMIT');
    } catch (error) {
      database.exec('ROLLBACK');
      throw error;
    }
  }
}

/** A database of something else is not ours to put tables into. */
function assertOurs(database: SqliteDatabase, schema: number): void {
  const id = readValue(database, 'PRAGMA application_id');
  const tables = readValue(database, 'SELECT count(*) FROM sqlite_schema');
  if (id === applicationId || (schema === 0 && tables === 0)) return;
  throw unsuitable('the file is a SQLite database of another program');
}

function raiseEpoch(database: SqliteDatabase): number {
  const row = prepare(database, "UPDATE meta SET value = value + 1 WHERE key = 'epoch' RETURNING value").all()[0];
  return Number(Array.isArray(row) ? row[0] : Number.NaN);
}

function unsuitable(reason: string, cause?: unknown): SpineError {
  return new SpineError('STORE_UNSUITABLE', { reason }, cause === undefined ? undefined : { cause });
}
