/**
 * A PgBouncer for tests: the one that EVENTSPINE_PGBOUNCER or the path names; else Debian's package, and the libraries of it
 * that this system lacks, fetched once into a cache folder by `apt-get download` and unpacked there. Needs no root, and
 * installs nothing. Says why there is none where there is none.
 *
 *     node scripts/pgbouncer.mjs            fetches it where need be, and says where it is
 *
 * Invariant: what lies in the cache under its name has answered `--version`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const fetchMsMax = 60_000;
/** Debian keeps servers out of the path of users. */
const systemFolders = ['', '/usr/sbin/'];

/** `{ program, env, source }`, to be run with `env` beside the caller's own; or `{ program: null, reason }`. */
export function pgbouncerProgram() {
  const named = process.env['EVENTSPINE_PGBOUNCER'];
  if (named !== undefined && named !== '')
    return versionOf(named, {}) === null
      ? { program: null, reason: `${named} is no PgBouncer that runs here` }
      : { program: named, env: {}, source: `${named} (${versionOf(named, {})})` };
  for (const folder of systemFolders) {
    const program = `${folder}pgbouncer`;
    const version = versionOf(program, {});
    if (version !== null) return { program, env: {}, source: `system (${version})` };
  }
  try {
    return debianPackage();
  } catch (error) {
    return { program: null, reason: `there is no pgbouncer on this system, and ${error.message}` };
  }
}

function debianPackage() {
  if (process.platform !== 'linux' || !has('apt-get') || !has('dpkg'))
    throw new Error('no Debian packages to take one from');
  const { stdout } = spawnSync('dpkg', ['--print-architecture'], { encoding: 'utf8' });
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'eventspine');
  const folder = join(cache, `pgbouncer-${stdout.trim()}`);
  const found = inFolder(folder);
  if (found !== null) return found;
  mkdirSync(cache, { recursive: true });
  // Made beside and given its name when it is whole, since several runs may do this at once.
  const making = mkdtempSync(join(cache, 'pgbouncer-new-'));
  try {
    for (const name of ['pgbouncer', ...missingLibraries()]) fetchInto(making, name);
    const made = inFolder(making);
    if (made === null) throw new Error('that of Debian does not run here');
    rmSync(folder, { recursive: true, force: true });
    renameSync(making, folder);
  } catch (error) {
    // Another run may have been quicker.
    if (inFolder(folder) === null) throw error;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return inFolder(folder);
}

function inFolder(folder) {
  const program = join(folder, 'usr', 'sbin', 'pgbouncer');
  if (!existsSync(program)) return null;
  const libraries = join(folder, 'usr', 'lib');
  const folders = existsSync(libraries)
    ? [libraries, ...readdirSync(libraries).map((name) => join(libraries, name))]
    : [];
  const env = { LD_LIBRARY_PATH: folders.join(':') };
  const version = versionOf(program, env);
  return version === null ? null : { program, env, source: `Debian package (${version})` };
}

/** Libraries that the package depends on and that are not installed. The C library is never among them. */
function missingLibraries() {
  const { stdout } = spawnSync('apt-cache', ['depends', 'pgbouncer'], { encoding: 'utf8' });
  const wanted = [...(stdout ?? '').matchAll(/^\s*\|?Depends: (lib\S+)$/gm)].map(([, name]) => name);
  return [...new Set(wanted)].filter((name) => {
    const { stdout: status } = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
    return status !== 'installed' && name !== 'libc6' && !name.startsWith('libelogind');
  });
}

function fetchInto(folder, name) {
  const options = { cwd: folder, encoding: 'utf8', timeout: fetchMsMax };
  if (spawnSync('apt-get', ['download', name], options).status !== 0)
    throw new Error(`the Debian package ${name} could not be fetched`);
  for (const file of readdirSync(folder).filter((entry) => entry.endsWith('.deb'))) {
    if (spawnSync('dpkg', ['-x', file, '.'], options).status !== 0)
      throw new Error(`the Debian package ${name} could not be unpacked`);
    rmSync(join(folder, file));
  }
}

function versionOf(program, env) {
  const { status, stdout } = spawnSync(program, ['--version'], { env: { ...process.env, ...env }, encoding: 'utf8' });
  return status === 0 ? (stdout.split('\n')[0] ?? '').trim() : null;
}

function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { program, source, reason } = pgbouncerProgram();
  console.log(program === null ? `No PgBouncer: ${reason}.` : `${program}\n${source}`);
  if (program === null) process.exitCode = 1;
}
