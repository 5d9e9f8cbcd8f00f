/**
 * The part of the `node:sqlite` API that the store uses, and how an implementation is found: the runtime's own where
 * it is stable, else the package with the same API. Everything above talks to these interfaces, so a test can put a
 * faulty disk in between.
 */

/** A value as bound to a statement or read from a row. */
export type SqlValue = null | number | bigint | string | Uint8Array;

export interface SqliteStatement {
  run(...parameters: SqlValue[]): { readonly changes: number | bigint };
  get(...parameters: SqlValue[]): unknown;
  all(...parameters: SqlValue[]): unknown[];
  /** Rows come as arrays from then on: half the cost of objects. */
  setReturnArrays(enabled: boolean): void;
}

export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export interface SqliteDriver {
  /** For messages: `node:sqlite` or the name of the package. */
  readonly name: string;
  open(file: string, options: { readonly readOnly: boolean }): SqliteDatabase;
}

/** First version of Node whose built-in SQLite is stable and carries a release without the WAL-reset fault. */
const stableBuiltIn = { major: 24, minor: 15 };

/** Loads the driver for this runtime. Rejects when none can be loaded. */
export async function loadDriver(): Promise<SqliteDriver> {
  if (hasStableBuiltIn(process.versions.node)) return driverOf('node:sqlite', await import('node:sqlite'));
  return driverOf('@photostructure/sqlite', await import('@photostructure/sqlite'));
}

function hasStableBuiltIn(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > stableBuiltIn.major || (major === stableBuiltIn.major && minor >= stableBuiltIn.minor);
}

interface SqliteModule {
  readonly DatabaseSync: new (file: string, options: { readonly readOnly: boolean }) => SqliteDatabase;
}

function driverOf(name: string, module: SqliteModule): SqliteDriver {
  return { name, open: (file, options) => new module.DatabaseSync(file, options) };
}

/** Prepares a statement whose rows come as arrays. */
export function prepare(database: SqliteDatabase, sql: string): SqliteStatement {
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}

/** The first column of the first row, or undefined where there is none. */
export function readValue(database: SqliteDatabase, sql: string): unknown {
  const row = prepare(database, sql).get();
  return Array.isArray(row) ? row[0] : undefined;
}
