/** Places for tests of the store on disk: folders of their own under the system's, threads that are used again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '../../src/stores/sqlite/open.js';
import { ownThreads, type StoreThread, type ThreadHost } from '../../src/stores/sqlite/thread-host.js';
import type { ManualClock, StorePlace } from '../../src/testing/conformance/index.js';

/** Starting a thread from the sources takes longer than most cases, so a thread that was given back serves again. */
export function recycledThreads(): ThreadHost {
  const idle: StoreThread[] = [];
  return {
    start: () => {
      const thread = idle.pop() ?? ownThreads.start();
      return { ...thread, release: async () => void idle.push(thread) };
    },
  };
}

/** A folder with a file for a store, opened with threads of the given host. */
export async function sqlitePlace(
  clock: ManualClock,
  host: ThreadHost,
): Promise<StorePlace & { readonly file: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'eventspine-store-'));
  const file = join(folder, 'spine.db');
  return {
    file,
    keeps: true,
    open: () => openSqliteStore({ file, clock }, host),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}
