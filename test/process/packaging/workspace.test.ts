/**
 * The packed package in a pnpm workspace of two packages that share types and nothing else: the worker side declares
 * the app, the web side imports its type. pnpm's layout lets a package reach only what it declares, so a dependency that
 * we forgot to declare would show here.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { FreshApp, missingRegistry } from './fresh-app.js';

describeUnless(await missingRegistry(), 'a pnpm workspace', () => {
  let app: FreshApp;
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
  const program = join('packages', 'worker', 'node_modules', 'eventspine', 'dist', 'cli', 'main.js');

  beforeAll(async () => {
    app = await FreshApp.make('workspace');
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
    await app.succeeds('npm', ['install', '--prefix', join(app.place, 'tools'), 'pnpm@^12', ...flags], { ms: 60_000 });
    const pnpm = join(app.place, 'tools', 'node_modules', 'pnpm', 'bin', 'pnpm.mjs');
    await app.succeeds(process.execPath, [pnpm, 'install', '--prefer-offline'], { ms: 90_000 });
  }, 150_000);

  afterAll(async () => {
    await endAll();
    app.remove();
  });

  it('installs no package where it was not declared', () => {
    expect(readdirSync(join(app.folder, 'packages/web/node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
      '@fresh',
      '@types',
      'eventspine',
    ]);
    expect(existsSync(join(app.folder, 'node_modules/.pnpm/node_modules'))).toBe(false);
  });

  it('compiles both packages, the second against the declarations of the first', async () => {
    await app.succeeds(process.execPath, [tsc, '-p', 'packages/worker']);
    await app.succeeds(process.execPath, [tsc, '-p', 'packages/web']);
  }, 60_000);

  it('runs them as a server, two workers and a client', async () => {
    const server = app.node([program, 'serve', '--port', '0', '--store', 'shop.db', '--json']);
    const { url } = JSON.parse(await server.line((line) => line.includes('"listening"'))) as { url: string };
    const bodies = app.node(['packages/worker/dist/main.js', url]);
    const calls = app.node([program, 'worker', 'packages/worker/dist/spine.js', '--url', url, '--only', 'price']);
    // A server knows no workflow until a worker has brought it.
    await until('two workers are connected', async () => {
      const answer = (await (await fetch(`${url}/v1/workers`)).json()) as { items: readonly unknown[] };
      return answer.items.length === 2 ? true : null;
    });

    const client = await app.succeeds(process.execPath, ['packages/web/dist/main.js', url]);
    expect(JSON.parse(client.stdout)).toEqual({ cents: 750, pid: bodies.pid, fulfilled: 1000 });

    await Promise.all([bodies, calls].map((worker) => worker.kill('SIGTERM')));
    await server.kill('SIGTERM');
    expect(await Promise.all([bodies, calls, server].map((child) => child.exited))).toEqual([0, 0, 0]);
  });
});
