/**
 * A NATS server for tests, and its client: the server that EVENTSPINE_NATS or the path names, else that of Debian, which is not
 * installed for it; the client from npm. Says why there is none where there is none.
 *
 *     node scripts/nats.mjs            fetches them where need be, and says where they are
 *
 * Invariant: the program that is given has answered `--version`.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { debianPackage, libraryFolders } from './debian.mjs';
import { npmFolder } from './npm-folder.mjs';

const clientVersion = '3.4.0';
/** Debian keeps servers out of the path of users. */
const systemPrograms = ['nats-server', '/usr/sbin/nats-server'];

/** `{ program, env, source, client }`; or `{ program: null, reason }`. `client`: URLs of its two modules. */
export function natsServer() {
  try {
    const server = serverProgram();
    const modules = npmFolder(`nats-client-${clientVersion}`, [
      `@nats-io/transport-node@${clientVersion}`,
      `@nats-io/jetstream@${clientVersion}`,
    ]);
    const urlOf = (name, file) => pathToFileURL(join(modules, '@nats-io', name, file)).href;
    const client = { transport: urlOf('transport-node', 'index.js'), jetstream: urlOf('jetstream', 'lib/mod.js') };
    return { ...server, client };
  } catch (error) {
    return { program: null, reason: error.message };
  }
}

function serverProgram() {
  const named = process.env['EVENTSPINE_NATS'];
  if (named !== undefined && named !== '') {
    const given = found(named, {}, named);
    if (given === null) throw new Error(`${named} is no NATS server that runs here`);
    return given;
  }
  for (const program of systemPrograms) {
    const system = found(program, {}, 'system');
    if (system !== null) return system;
  }
  const folder = debianPackage('nats-server');
  const env = { LD_LIBRARY_PATH: libraryFolders(folder).join(':') };
  for (const place of ['sbin', 'bin']) {
    const unpacked = found(join(folder, 'usr', place, 'nats-server'), env, 'Debian package');
    if (unpacked !== null) return unpacked;
  }
  throw new Error('the NATS server of Debian does not run here');
}

function found(program, env, source) {
  const { status, stdout } = spawnSync(program, ['--version'], { env: { ...process.env, ...env }, encoding: 'utf8' });
  return status === 0 ? { program, env, source: `${source} (${stdout.split('\n')[0].trim()})` } : null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { program, source, reason } = natsServer();
  console.log(program === null ? `No NATS: ${reason}.` : `${program}\n${source}`);
  if (program === null) process.exitCode = 1;
}
