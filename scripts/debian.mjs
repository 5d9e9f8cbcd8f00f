/**
 * Programs and libraries of Debian that only tests want, without installing them: a package, and the libraries it depends on
 * that this system lacks, are fetched once into a cache folder by `apt-get download` and unpacked there. Needs no root.
 *
 * Invariant: what lies in the cache under the name of a package is whole.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from './cache.mjs';

const fetchMsMax = 60_000;

/** Folder in which the package is unpacked (`usr/bin/...` and so on). Throws with the reason where it is not to be had. */
export function debianPackage(name) {
  if (process.platform !== 'linux' || !has('apt-get') || !has('dpkg'))
    throw new Error('this system has no Debian packages');
  const { stdout } = spawnSync('dpkg', ['--print-architecture'], { encoding: 'utf8' });
  return cached(`debian-${name}-${stdout.trim()}`, (making) => {
    for (const one of [name, ...missingLibraries(name)]) fetchInto(making, one);
  });
}

/** Folders of libraries in an unpacked package, for LD_LIBRARY_PATH. */
export function libraryFolders(folder) {
  const libraries = join(folder, 'usr', 'lib');
  if (!existsSync(libraries)) return [];
  const below = readdirSync(libraries, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [libraries, ...below.map((entry) => join(libraries, entry.name))];
}

/** Libraries that the package depends on and that are not installed. The C library is never among them. */
function missingLibraries(name) {
  const { stdout } = spawnSync('apt-cache', ['depends', name], { encoding: 'utf8' });
  const wanted = [...(stdout ?? '').matchAll(/^\s*\|?Depends: (lib\S+)$/gm)].map(([, library]) => library);
  return [...new Set(wanted)].filter((library) => {
    if (library === 'libc6' || library.startsWith('libelogind')) return false;
    const { stdout: status } = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', library], {
      encoding: 'utf8',
    });
    return status !== 'installed';
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

function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}
