/**
 * A copy of a file, whether a server has it open or not: one read transaction, so the copy is the store as it was at one
 * moment, while the owner goes on writing. The copy is marked as one; see `provenance.ts`.
 *
 * Invariant: under the name that was asked for there is a whole copy that is on the disk, or nothing.
 */
import { closeSync, existsSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { SpineError } from '../../core/errors.js';
import { openReader } from './connection.js';
import { loadDriver, prepare, readValue, type SqliteDriver } from './driver.js';
import { reasonOf } from './failures.js';
import { takeOwnership } from './owner.js';
import { mark } from './provenance.js';

/** Options of `backupSqlite`. */
export interface BackupOptions {
  /** The file of the store. */
  readonly file: string;
  /** Where the copy is to be; nothing may be there yet. */
  readonly to: string;
}

/**
 * Copies a store while it is in use. Blocks this thread for as long as reading the file and writing it compactly takes.
 * Resolves to the bytes of the copy. Rejects with STORE_NOT_EMPTY where the target exists, STORE_UNSUITABLE where the
 * source is none or the copy is not sound.
 */
export async function backupSqlite({ file, to }: BackupOptions): Promise<{ readonly bytes: number }> {
  const driver = await loadDriver();
  if (existsSync(to)) throw new SpineError('STORE_NOT_EMPTY', { place: to, reason: 'there is a file of that name' });
  const part = `${to}.part`;
  rmSync(part, { force: true });
  try {
    copy(driver, file, part);
    finish(driver, part);
    syncPath(part);
    renameSync(part, to);
    syncPath(dirname(to));
  } catch (error) {
    rmSync(part, { force: true });
    throw error instanceof SpineError ? error : unsuitable(reasonOf(error), error);
  }
  return { bytes: statSync(to).size };
}

/**
 * Says of a file that it was put back from a copy made by other means (a snapshot of the disk, a copy of the files): the
 * next opening treats it like a restored backup. Rejects with STORE_OWNED while a server has it.
 */
export async function markSqliteRestored(options: { readonly file: string }): Promise<void> {
  const driver = await loadDriver();
  const file = realpathSync(options.file);
  const ownership = takeOwnership(driver, file, null);
  try {
    finish(driver, file);
  } finally {
    ownership.release();
  }
}

function copy(driver: SqliteDriver, file: string, to: string): void {
  const source = openReader(driver, file);
  try {
    if (readValue(source, "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'") !== 1)
      throw unsuitable(`${file} is no store`);
    prepare(source, 'VACUUM INTO ?').run(to);
  } finally {
    source.close();
  }
}

/** Marks the copy, after a look whether it is sound. */
function finish(driver: SqliteDriver, file: string): void {
  const database = driver.open(file, { readOnly: false });
  try {
    const found = readValue(database, 'PRAGMA quick_check(1)');
    if (found !== 'ok') throw unsuitable(`${file} is damaged: ${String(found)}`);
    database.exec('PRAGMA synchronous = FULL');
    mark(database, 'copied_at', Date.now());
  } finally {
    database.close();
  }
}

function syncPath(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function unsuitable(reason: string, cause?: unknown): SpineError {
  return new SpineError('STORE_UNSUITABLE', { reason }, cause === undefined ? undefined : { cause });
}
