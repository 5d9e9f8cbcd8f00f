/** Where programs lie that only tests want: outside of the checkout, kept from run to run, each in a folder of its version. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder of all of them. */
export function cacheFolder() {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'eventspine');
}

/**
 * The folder of that name, made by `make(folder)` where it is not there. It is made beside and named when it is whole, since
 * several runs may do this at once, and one of them may be ended. Throws what `make` throws.
 */
export function cached(name, make) {
  const cache = cacheFolder();
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const making = mkdtempSync(join(cache, `${name}-new-`));
  try {
    make(making);
    renameSync(making, folder);
  } catch (error) {
    // Another run may have been quicker.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}
