/**
 * Builds of other versions than this checkout's, to run beside it: an earlier commit of the history, and versions that do not
 * exist yet, made by changing a copy of the compiled code. Each is a folder to be named by EVENTSPINE_BUILD.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../../process/support/processes.js';

/** What a version does differently: in a file of the compiled code, what is found becomes something else. */
export interface Change {
  readonly file: string;
  readonly find: RegExp;
  readonly become: string;
}

/** URL of the folder of the compiled code of this checkout. */
export const thisBuild = pathToFileURL(join(root, 'dist', '/')).href;

/** A copy of the compiled code with these changes. Each must find something, or the version would be none. */
export function changedBuild(changes: readonly Change[]): string {
  const folder = newFolder();
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  for (const { file, find, become } of changes) {
    const path = join(folder, 'dist', file);
    const before = readFileSync(path, 'utf8');
    const after = before.replace(find, become);
    if (after === before) throw new Error(`${file} has nothing like ${String(find)} to change for another version`);
    writeFileSync(path, after);
  }
  return distOf(folder);
}

/** Why a rollout from that commit cannot be played; null = it can. */
export function earlierMissing(commit: string): string | null {
  const short = commit.slice(0, 10);
  if (git(['cat-file', '-e', `${commit}^{commit}`]).status !== 0)
    return `the history of this clone does not reach back to ${short}`;
  const changed = schemasOf(commit).find((name) => !isAsIn(commit, name));
  return changed === undefined ? null : `${changed} was rewritten since ${short}; name a later commit to roll out from`;
}

/** Number of the schema of that commit. */
export function earlierSchema(commit: string): number {
  return schemasOf(commit).length;
}

function schemasOf(commit: string): string[] {
  const { stdout } = git(['ls-tree', '--name-only', commit, `${migrationsFolder}/`]);
  return stdout
    .toString()
    .split('\n')
    .filter((name) => /\/\d{4}-[^/]*\.ts$/.test(name));
}

const migrationsFolder = 'src/stores/postgres/migrations';

function isAsIn(commit: string, name: string): boolean {
  const path = join(root, name);
  return existsSync(path) && git(['show', `${commit}:${name}`]).stdout.equals(readFileSync(path));
}

/** The compiled code of a commit; made once and kept in the user's cache. */
export function earlierBuild(commit: string): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'eventspine');
  const kept = join(cache, `build-${commit}`);
  if (!existsSync(kept)) {
    const folder = newFolder();
    run('tar', ['-x', '-C', folder], git(['archive', commit]).stdout);
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    run(process.execPath, [tsc, '-b', join(folder, 'tsconfig.build.json')]);
    mkdirSync(cache, { recursive: true });
    const making = mkdtempSync(join(cache, 'build-new-'));
    for (const name of ['dist', 'package.json']) cpSync(join(folder, name), join(making, name), { recursive: true });
    try {
      renameSync(making, kept);
    } catch {
      // Another was quicker.
      rmSync(making, { recursive: true, force: true });
    }
  }
  // A copy, since packages are looked for where the files lie.
  const folder = newFolder();
  cpSync(kept, folder, { recursive: true });
  return distOf(folder);
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-build-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function distOf(folder: string): string {
  if (!existsSync(join(folder, 'node_modules'))) symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return pathToFileURL(join(folder, 'dist', '/')).href;
}

function git(args: readonly string[]): { readonly status: number | null; readonly stdout: Buffer } {
  return spawnSync('git', args, { cwd: root, maxBuffer: 1 << 28 });
}

function run(command: string, args: readonly string[], input?: Buffer): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`);
}
