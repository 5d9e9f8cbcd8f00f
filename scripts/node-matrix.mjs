/**
 * The packed package under every line of Node that it promises to run on: this one, the oldest, 22 and 24, taken from
 * the npm packages that hold the binaries. For each: the hello example under `eventspine dev` with workers of its own, the same
 * app embedded, and which SQLite it got. Not a part of `npm test`, because it downloads some hundred megabytes.
 * Invariant: exit code 0 means that everything worked on every one of them.
 *
 *     node scripts/node-matrix.mjs            this Node, 20.19.0, 22 and 24
 *     node scripts/node-matrix.mjs 22 24.15   those
 */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build, install, root } from './setup.mjs';

const stepMsMax = 60_000;
const installMsMax = 300_000;

/** Prints what it found as one line of JSON. `loadDriver` is not public, so it is reached by its path. */
const embedded = `
import { createSpine } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { app } from './hello.mjs';

const { loadDriver } = await import(new URL('./node_modules/eventspine/dist/stores/sqlite/driver.js', import.meta.url));
const spine = createSpine(app, { store: sqlite({ file: process.argv[2] }) });
const run = await spine.start('hello', { name: 'Ada' });
const result = await run.result();
await spine.close();
console.log(JSON.stringify({ result, sqlite: (await loadDriver()).name }));
`;

const hello = `
import { defineApp, workflow } from 'eventspine';

const hello = workflow('hello', {}, async (ctx, { name }) => {
  const greeting = await ctx.step('greet', () => 'Hello, ' + name + '!');
  await ctx.sleep('100ms');
  return { greeting, length: await ctx.step('measure', () => greeting.length) };
});

export const app = defineApp({ name: 'hello', workflows: [hello] });
`;

const expected = JSON.stringify({ greeting: 'Hello, Ada!', length: 11 });

await install();
await build();
const place = mkdtempSync(join(tmpdir(), 'eventspine-matrix-'));
try {
  await prepare();
  const asked = process.argv.slice(2);
  const rows = [];
  for (const version of asked.length > 0 ? asked : [null, '20.19.0', '22', '24']) rows.push(await attempt(version));
  console.table(rows);
  process.exitCode = rows.every((row) => row.fault === '') ? 0 : 1;
} finally {
  rmSync(place, { recursive: true, force: true });
}

/** An app in a folder of its own, with the package as it would be published. */
async function prepare() {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', place], root);
  writeFileSync(join(place, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  copyFileSync(join(root, 'examples', 'hello', 'spine.ts'), join(place, 'spine.ts'));
  writeFileSync(join(place, 'hello.mjs'), hello);
  writeFileSync(join(place, 'embedded.mjs'), embedded);
  await npmInstall([join(place, stdout.trim()), 'zod', 'tsx']);
}

/** One row of the table. `version` null = the Node that runs this script. */
async function attempt(version) {
  const row = { node: version ?? process.versions.node, sqlite: '', embedded: '', dev: '', fault: '' };
  try {
    const node = version === null ? process.execPath : await nodeOf(version);
    row.node = (await run(node, ['--version'])).stdout.trim();
    const begun = performance.now();
    const answer = JSON.parse((await run(node, ['embedded.mjs', `embedded-${row.node}.db`])).stdout);
    equal(JSON.stringify(answer.result), expected, 'embedded');
    row.sqlite = answer.sqlite;
    row.embedded = `${Math.round(performance.now() - begun)} ms`;
    row.dev = `${Math.round(await tryDev(node, row.node))} ms`;
  } catch (error) {
    row.fault = error.message.split('\n')[0];
    console.error(`${row.node}: ${error.message}`);
  }
  return row;
}

/** The hello example as its first comment tells to run it. Resolves to how long it took until the result was there, ms. */
async function tryDev(node, name) {
  const program = join(place, 'node_modules', 'eventspine', 'dist', 'cli', 'main.js');
  const begun = performance.now();
  const flags = ['--port', '0', '--store', `dev-${name}.db`, '--json'];
  const server = spawn(node, [program, 'dev', 'spine.ts', ...flags], { cwd: place, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => server.once('close', resolve));
  try {
    const { url } = JSON.parse(await lineOf(server.stdout, (line) => line.includes('"listening"')));
    await lineOf(server.stderr, (line) => line.includes('is ready'));
    const { stdout } = await run(node, [program, 'run', 'hello', '{"name":"Ada"}', '--wait', '--json', '--url', url]);
    equal(stdout.trim(), expected, 'dev');
    const tookMs = performance.now() - begun;
    server.kill('SIGTERM');
    equal(String(await ended), '0', 'exit code of dev');
    return tookMs;
  } finally {
    server.kill('SIGKILL');
    await ended;
  }
}

/** The binary of a version, as an npm package of this platform has it: nothing is compiled and no script runs. */
async function nodeOf(version) {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const folder = join(place, 'nodes', version);
  await npmInstall([`${name}@${version}`, '--prefix', folder]);
  return join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

async function npmInstall(args) {
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  await run('npm', ['install', ...args, ...flags], place, installMsMax);
}

/** Runs a command to its end; rejects with what it said unless it ends with 0. */
function run(command, args, cwd = place, msMax = stepMsMax) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), msMax);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve({ stdout, stderr });
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}: ${stderr || stdout}`));
    });
  });
}

function lineOf(stream, wanted) {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: stream });
    const said = [];
    const timer = setTimeout(() => reject(new Error(`no answer in time: ${said.join(' ')}`)), stepMsMax);
    lines.on('line', (line) => {
      said.push(line);
      if (!wanted(line)) return;
      clearTimeout(timer);
      resolve(line);
    });
    lines.once('close', () => {
      clearTimeout(timer);
      reject(new Error(`ended: ${said.join(' ')}`));
    });
  });
}

function equal(found, wanted, what) {
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
}
