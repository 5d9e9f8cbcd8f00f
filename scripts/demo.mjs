/**
 * `npm run demo [folder] [-- --serve]`: set-up, then the demo program. Arguments go to it unchanged; its exit code
 * becomes ours, and Ctrl-C reaches it, so that it can stop the server and workers that it started.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, requireNode, root, run } from './setup.mjs';

const program = join('examples', 'document-pipeline', 'demo.ts');

try {
  requireNode();
  await install();
  await build();
  if (!existsSync(join(root, program))) throw new Error(`${program} is missing.`);
} catch (error) {
  console.error(`The demo cannot start: ${error.message}`);
  process.exit(1);
}

const { code } = await run(process.execPath, ['--import', 'tsx', program, ...process.argv.slice(2)]);
process.exitCode = code;
