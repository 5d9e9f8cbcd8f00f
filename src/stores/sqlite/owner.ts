/**
 * One owner per file. The claim is a lock of the operating system on a side file, taken through SQLite itself: it
 * dies with the process, so a crash never leaves a file locked. Beside it lies a note of who the owner is, for the
 * message to whoever comes second; the note decides nothing.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { SpineError } from '../../core/errors.js';
import type { SqliteDatabase, SqliteDriver } from './driver.js';
import { classifyFailure } from './failures.js';

/** Holds the file until `release`. */
export interface Ownership {
  release(): void;
}

/** Takes the file, or throws STORE_OWNED with the owner's own words. `url` is where this owner can be reached. */
export function takeOwnership(driver: SqliteDriver, file: string, url: string | null): Ownership {
  const note = `${file}-owner`;
  const lock = driver.open(`${file}-lock`, { readOnly: false });
  try {
    // No journal file beside the lock; nothing is ever written to it.
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (classifyFailure(error) === 'busy') throw new SpineError('STORE_OWNED', { file, owner: readNote(note) });
    throw error;
  }
  writeFileSync(note, JSON.stringify({ pid: process.pid, host: hostname(), url }));
  return { release: () => release(lock, note) };
}

function release(lock: SqliteDatabase, note: string): void {
  rmSync(note, { force: true });
  lock.close();
}

function readNote(note: string): string {
  try {
    const found = JSON.parse(readFileSync(note, 'utf8')) as { pid?: unknown; host?: unknown; url?: unknown };
    const address = typeof found.url === 'string' ? ` at ${found.url}` : '';
    return `process ${String(found.pid)} on ${String(found.host)}${address}`;
  } catch {
    return 'another process';
  }
}
