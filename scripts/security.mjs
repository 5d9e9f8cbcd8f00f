/**
 * `npm run security`: the tests of `npm test` that are attacks, for longer and with another seed each time: requests of every
 * kind to every route, a thousand clients that are too slow, signatures, tokens, addresses, patterns. Wants a machine that has no other
 * work, since it compares how long answers take. `FUZZ_SEED` takes up a seed that found something.
 */
import { bin, build, install, requireNode, run } from './setup.mjs';

const minute = 60_000;
const env = { EVENTSPINE_SECURITY: '1' };
/** What vitest looks for in the names of files; one that is in no name is no fault. */
const pure = [
  'test/security',
  'src/webhooks',
  'src/spine/webhooks',
  'src/server/',
  'src/core/access',
  'src/auth',
  'json-body',
];
const attacks = ['test/process/faults/fuzz', 'test/process/faults/overload', 'test/process/canaries'];

try {
  requireNode();
  await install();
  await build();
} catch (error) {
  console.error(`The attacks cannot start: ${error.message}`);
  process.exit(1);
}

/** One file at a time: an attack must not disturb another. */
const attack = (project, files) =>
  run(
    process.execPath,
    [bin('vitest', 'vitest'), 'run', `--project=${project}`, '--no-file-parallelism'].concat(files),
    { msMax: 15 * minute, env },
  );

const codes = [(await attack('main', pure)).code, (await attack('process', attacks)).code];
process.exitCode = codes.every((code) => code === 0) ? 0 : 1;
