/**
 * Packages of npm that only tests want, and of which none is a dependency: fetched once into a folder of the cache, together,
 * and no script of theirs is run.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cached } from './cache.mjs';

const fetchMsMax = 120_000;

/** The `node_modules` that has these packages, each given as `name@version`. Throws with the reason where they are not to be had. */
export function npmFolder(cacheName, packages) {
  const folder = cached(cacheName, (making) => {
    const fetched = spawnSync(
      process.platform === 'win32' ? 'npm.cmd' : 'npm',
      [
        'install',
        '--prefix',
        making,
        '--no-save',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
        ...packages,
      ],
      { timeout: fetchMsMax, encoding: 'utf8', shell: process.platform === 'win32' },
    );
    if (fetched.status !== 0) throw new Error(`the npm packages ${packages.join(', ')} could not be fetched`);
  });
  return join(folder, 'node_modules');
}
