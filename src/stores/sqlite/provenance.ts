/**
 * Where a file comes from and where it went, as marks in its table `meta`: a copy that was made as a backup says so, and
 * so does a file whose contents were moved to another store. Both are read when the file is opened to be written.
 *
 * Invariant: a copy that carries its mark is never served with numbers that the original may have given since.
 */
import { SpineError } from '../../core/errors.js';
import { restoreJump } from '../../store/index.js';
import { prepare, readValue, type SqliteDatabase } from './driver.js';

type Mark = 'copied_at' | 'moved_at';

/** Marks the file, at the given instant (epoch ms). */
export function mark(database: SqliteDatabase, name: Mark, now: number): void {
  prepare(database, 'INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)').run(name, now);
}

function markOf(database: SqliteDatabase, name: Mark): number | null {
  const found = readValue(database, `SELECT value FROM meta WHERE key = '${name}'`);
  return found === undefined ? null : Number(found);
}

/** Refuses a file whose contents live on elsewhere: two stores would both carry on with the same runs. STORE_UNSUITABLE. */
export function assertStays(database: SqliteDatabase): void {
  const movedAt = markOf(database, 'moved_at');
  if (movedAt === null) return;
  const reason = `its contents were moved to another store on ${new Date(movedAt).toISOString()}, and their runs go on there`;
  throw new SpineError('STORE_UNSUITABLE', { reason });
}

/**
 * Makes a copy fit to be served: epochs, tokens and positions jump above all that the original can have given after the
 * copy was made, and its sessions end, since their workers may have gone on elsewhere. A file that is no copy stays as it is.
 */
export function settleCopy(database: SqliteDatabase): void {
  if (markOf(database, 'copied_at') === null) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec(`
      UPDATE meta SET value = value + ${restoreJump.epochs} WHERE key = 'epoch';
      UPDATE meta SET value = value + ${restoreJump.positions} WHERE key = 'feed_head';
      UPDATE task SET token = token + ${restoreJump.tokens};
      DELETE FROM session;
      DELETE FROM meta WHERE key = 'copied_at';
      COMMIT`);
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
