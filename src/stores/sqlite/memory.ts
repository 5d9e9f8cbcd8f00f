/**
 * SQLite in memory, in the calling thread: every statement, guard and failure rule of the store on disk, without
 * threads, files or real time. For the simulator and for tests; `openOnDriver` is the same over a file and any driver,
 * which is how a faulty disk is put under the store.
 */
import type { Clock } from '../../core/ports.js';
import type { Store } from '../../store/index.js';
import { openWriter } from './connection.js';
import { loadDriver, type SqliteDriver } from './driver.js';
import { inlineLanes } from './lanes.js';
import { Reads } from './reads.js';
import { SqliteStore } from './sqlite-store.js';
import { Writer } from './writer.js';

/** Opens an empty store in memory. Calls take effect before they return; their promises are settled already. */
export async function createSqliteMemoryStore(options: { readonly clock: Clock }): Promise<Store> {
  return openOnDriver({ driver: await loadDriver(), file: ':memory:', clock: options.clock });
}

/** Opens a file in the calling thread, over the given driver, without taking ownership of it. */
export function openOnDriver(options: {
  readonly driver: SqliteDriver;
  readonly file: string;
  readonly clock: Clock;
}): Store {
  const { driver, file, clock } = options;
  const { database, epoch } = openWriter(driver, file);
  const lanes = inlineLanes(database, new Writer(database), new Reads(database), () => clock.now());
  return new SqliteStore({ clock, epoch, ...lanes });
}
