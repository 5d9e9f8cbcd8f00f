/** Bundles the page with the esbuild that comes with tsx: no build tool of our own for one small file. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { succeeded } from '../support/finished.js';
import { root } from '../support/processes.js';

const here = fileURLToPath(new URL('.', import.meta.url));

/** Writes `page.js` to the folder. */
export async function bundlePage(folder: string): Promise<void> {
  const tsx = createRequire(createRequire(import.meta.url).resolve('tsx/package.json'));
  const esbuild = join(dirname(tsx.resolve('esbuild/package.json')), 'bin', 'esbuild');
  const flags = ['--bundle', '--format=esm', '--platform=browser', '--log-level=warning'];
  // The development build of React, which warns of what the production build hides.
  const mode = '--define:process.env.NODE_ENV="development"';
  await succeeded(esbuild, [join(here, 'browser.ts'), ...flags, mode, `--outfile=${join(folder, 'page.js')}`], {
    folder: root,
  });
}
