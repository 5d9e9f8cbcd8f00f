/**
 * `kcat`, a client for Kafka of another make (librdkafka), for tests: that of the path, else that of Debian, which is not
 * installed for it. Says why there is none where there is none.
 *
 * Invariant: what is given has told its version.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { debianPackage, libraryFolders } from './debian.mjs';

/** `{ program, env, source }`, to be run with `env` beside the caller's own; or `{ program: null, reason }`. */
export function kcatProgram() {
  const system = found('kcat', {}, 'system');
  if (system !== null) return system;
  try {
    const folder = debianPackage('kcat');
    const env = { LD_LIBRARY_PATH: libraryFolders(folder).join(':') };
    const unpacked = found(join(folder, 'usr', 'bin', 'kcat'), env, 'Debian package');
    return unpacked ?? { program: null, reason: 'the kcat of Debian does not run here' };
  } catch (error) {
    return { program: null, reason: `there is no kcat on this system, and ${error.message}` };
  }
}

function found(program, env, source) {
  const { status, stdout } = spawnSync(program, ['-V'], { env: { ...process.env, ...env }, encoding: 'utf8' });
  const version = /Version (\S+)/.exec(stdout ?? '')?.[1] ?? 'unknown';
  return status === 0 ? { program, env, source: `${source} (kcat ${version})` } : null;
}
