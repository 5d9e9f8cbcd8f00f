/**
 * What `npm test` and `npm run demo` do before they begin: install the dependencies that the lockfile names, and build.
 * Plain Node, no imports from packages, because `node_modules` may not exist yet.
 * Invariant: running it again with nothing changed costs a second and changes nothing.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const nodeFloor = [20, 19];
/** Long enough for a slow registry; a hung one must not hang CI. */
const installMsMax = 10 * 60_000;
const buildMsMax = 5 * 60_000;
const repeatMs = 500;
/** Signals by which a person or a supervisor asks for an end. */
const ending = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Throws an error for people where this Node is older than the package supports. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > nodeFloor[0] || (major === nodeFloor[0] && minor >= nodeFloor[1])) return;
  throw new Error(`Eventspine needs Node ${nodeFloor.join('.')} or newer; this is ${process.versions.node}.`);
}

/** Installs what is missing. Resolves to true where something was installed; rejects with the npm command that failed. */
export async function install() {
  const reason = staleReason();
  if (reason === null) return false;
  const verb = existsSync(join(root, 'package-lock.json')) ? 'ci' : 'install';
  console.log(`Installing dependencies (npm ${verb}): ${reason}.`);
  const { code, timedOut } = await run(npm(), [verb, '--no-audit', '--no-fund'], { msMax: installMsMax });
  if (code !== 0) throw new Error(`npm ${verb} ${timedOut ? 'took too long' : `failed with exit code ${code}`}.`);
  return true;
}

/** Compiles `src/` to `dist/`. Incremental: a second time it only looks at dates. */
export async function build() {
  const { code, timedOut } = await run(process.execPath, [bin('typescript', 'tsc'), '-b', 'tsconfig.build.json'], {
    msMax: buildMsMax,
  });
  if (code !== 0) throw new Error(`The build ${timedOut ? 'took too long' : `failed with exit code ${code}`}.`);
}

/**
 * Why `node_modules` does not fit the lockfile; null where it does. Compares contents and not dates: a checkout sets
 * the date of the lockfile and changes nothing in it.
 */
function staleReason() {
  if (!existsSync(join(root, 'node_modules'))) return 'node_modules is missing';
  if (!existsSync(join(root, 'package-lock.json'))) return null;
  const wanted = lockedPackages('package-lock.json');
  const present = lockedPackages(join('node_modules', '.package-lock.json'));
  if (present === null) return 'node_modules was not made by npm, or not finished';
  for (const [path, entry] of Object.entries(wanted ?? {})) {
    if (path === '') continue;
    const found = present[path];
    // Packages of other platforms, and peers that nobody asked for, stay away.
    if (found === undefined && !entry.optional && !entry.devOptional && !entry.peer) return `${path} is missing`;
    if (found !== undefined && found.version !== entry.version) return `${path} has another version`;
  }
  return null;
}

function lockedPackages(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages ?? {};
  } catch {
    return null;
  }
}

/** Path of the script behind a command of an installed package, to be run by this very Node. */
export function bin(packageName, command) {
  const folder = join(root, 'node_modules', packageName);
  const { bin: entry } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof entry === 'string' ? entry : entry[command]);
}

function npm() {
  return process.platform === 'win32' ? 'npm.cmd' : 'npm';
}

/**
 * Runs a command in the repository with its output shown and no standard input. Resolves when it has ended, with its
 * exit code (128 + n where a signal ended it). After `msMax` it and everything it started is killed, so nothing that
 * hangs can hang the caller. Signals that ask for an end are passed on, and the command decides how to end.
 */
export function run(command, args, { msMax = Infinity, env = {} } = {}) {
  return new Promise((resolve) => {
    const groups = process.platform !== 'win32';
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
      // A group of its own, so that grandchildren end with it.
      detached: groups,
      shell: !groups && command.endsWith('.cmd'),
    });
    let timedOut = false;
    const signal = (name) => {
      try {
        if (groups && child.pid !== undefined) process.kill(-child.pid, name);
        else child.kill(name);
      } catch {
        // Already gone.
      }
    };
    // One Ctrl-C arrives twice, from the terminal and from npm; twice in a row means "at once" to many programs.
    let passedAt = -Infinity;
    const pass = (name) => {
      const now = performance.now();
      if (now - passedAt < repeatMs) return;
      passedAt = now;
      signal(name);
    };
    for (const name of ending) process.on(name, pass);
    const timer =
      msMax === Infinity
        ? null
        : setTimeout(() => {
            timedOut = true;
            console.error(`${command} ${args.join(' ')}: not finished after ${Math.round(msMax / 1000)} s; killed.`);
            signal('SIGKILL');
          }, msMax);
    const finish = (code) => {
      if (timer !== null) clearTimeout(timer);
      for (const name of ending) process.off(name, pass);
      resolve({ code, timedOut });
    };
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`);
      finish(127);
    });
    child.on('exit', (code, name) => finish(code ?? 128 + (constants.signals[name] ?? 0)));
  });
}
