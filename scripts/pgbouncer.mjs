/**
 * A PgBouncer for tests: the one that EVENTSPINE_PGBOUNCER or the path names; else that of Debian, which is not installed for
 * it. Says why there is none where there is none.
 *
 *     node scripts/pgbouncer.mjs            fetches it where need be, and says where it is
 *
 * Invariant: what is given has answered `--version`.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianPackage, libraryFolders } from './debian.mjs';

/** Debian keeps servers out of the path of users. */
const systemPrograms = ['pgbouncer', '/usr/sbin/pgbouncer'];

/** `{ program, env, source }`, to be run with `env` beside the caller's own; or `{ program: null, reason }`. */
export function pgbouncerProgram() {
  const named = process.env['EVENTSPINE_PGBOUNCER'];
  if (named !== undefined && named !== '')
    return found(named, {}, named) ?? { program: null, reason: `${named} is no PgBouncer that runs here` };
  for (const program of systemPrograms) {
    const system = found(program, {}, 'system');
    if (system !== null) return system;
  }
  try {
    const folder = debianPackage('pgbouncer');
    const env = { LD_LIBRARY_PATH: libraryFolders(folder).join(':') };
    const unpacked = found(join(folder, 'usr', 'sbin', 'pgbouncer'), env, 'Debian package');
    return unpacked ?? { program: null, reason: 'the PgBouncer of Debian does not run here' };
  } catch (error) {
    return { program: null, reason: `there is no PgBouncer on this system, and ${error.message}` };
  }
}

function found(program, env, source) {
  const { status, stdout } = spawnSync(program, ['--version'], { env: { ...process.env, ...env }, encoding: 'utf8' });
  return status === 0 ? { program, env, source: `${source} (${stdout.split('\n')[0].trim()})` } : null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { program, source, reason } = pgbouncerProgram();
  console.log(program === null ? `No PgBouncer: ${reason}.` : `${program}\n${source}`);
  if (program === null) process.exitCode = 1;
}
