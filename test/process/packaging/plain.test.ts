/** The packed package in a plain JavaScript project: ES modules, CommonJS, a browser bundle, and what an install costs. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { endAll } from '../support/processes.js';
import { FreshApp, missingRegistry } from './fresh-app.js';

/** Of a lock file, what is looked at here. */
interface LockFile {
  readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean; readonly optional?: boolean }>>;
}

/** In the browser, minified, and as it is sent. A client that grows past this has taken in what is not its own. */
const clientBytesMax = 39_500;
const clientGzipBytesMax = 13_500;

describeUnless(await missingRegistry(), 'a plain JavaScript project', () => {
  let app: FreshApp;

  beforeAll(async () => {
    app = await FreshApp.make('plain');
    await app.install();
  }, 150_000);

  afterAll(async () => {
    await endAll();
    app.remove();
  });

  it('runs an app embedded, and finds its run again when it is started again', async () => {
    const first = await app.succeeds(process.execPath, ['embedded.mjs']);
    expect(first.stdout).toBe('cbacba\n');
    expect(first.stderr).toBe('');
    expect((await app.succeeds(process.execPath, ['embedded.mjs'])).stdout).toBe('cbacba\n');
  });

  it('is reached from CommonJS by a dynamic import', async () => {
    expect((await app.succeeds(process.execPath, ['common.cjs'])).stdout).toBe('yxyx\n');
  });

  it('exports something from every entry, but for that of hooks, which wants React', async () => {
    const { stdout } = await app.succeeds(process.execPath, ['entries.mjs']);
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual([
      'eventspine',
      'eventspine/worker',
      'eventspine/serverless',
      'eventspine/client',
      'eventspine/sqlite',
      'eventspine/postgres',
      'eventspine/kafka',
      'eventspine/nats',
      'eventspine/server',
      'eventspine/page',
      'eventspine/react',
      'eventspine/ai-sdk',
      'eventspine/models',
      'eventspine/auth',
      'eventspine/webhooks',
      'eventspine/mount',
      'eventspine/strangle',
      'eventspine/testing',
      'eventspine/triage',
      'eventspine/eslint',
    ]);
    expect(lines).toContain('eventspine/react needs react');
    for (const line of lines.filter((text) => !text.endsWith('needs react')))
      expect(Number(line.split(' ')[1]), line).toBeGreaterThan(0);
  });

  it('needs nothing that compiles or downloads when it is installed', async () => {
    const lock = JSON.parse(readFileSync(join(app.folder, 'package-lock.json'), 'utf8')) as LockFile;
    const installed = Object.keys(lock.packages).filter((path) => path !== '');
    // This one's script looks for the binary that lies in the package and compiles only where there is none; the tests
    // around this one run although it was not called.
    const scripted = installed.filter((path) => lock.packages[path]?.hasInstallScript === true);
    expect(scripted).toEqual(['node_modules/@photostructure/sqlite']);
    const packed = await app.succeeds('tar', ['-tzf', join(app.place, 'eventspine.tgz')]);
    const files = packed.stdout.trim().split('\n');
    expect(files).toContain('package/docs/reference/worker-protocol.schema.json');
    // Without a network the docs of the version that is installed are beside it, and every page that the README names.
    const readme = readFileSync(join(app.folder, 'node_modules/eventspine/README.md'), 'utf8');
    const pages = [...readme.matchAll(/\]\((docs\/[^)#]+)/g)].map(([, page]) => `package/${page}`);
    expect(pages.length).toBeGreaterThan(30);
    expect(pages.filter((page) => !files.includes(page))).toEqual([]);
    expect(files).toContain('package/examples/python-worker/worker.py');
    const ours = files.filter((file) => !file.startsWith('package/templates/'));
    expect(ours.filter((file) => /\.test\.|\.tsbuildinfo$|\.tgz$|\.readme/.test(file))).toEqual([]);
    const size = readFileSync(join(app.place, 'eventspine.tgz')).byteLength;
    console.log(
      `package: ${Math.round(size / 1024)} KiB packed, ${files.length} files; ${installed.length} packages installed`,
    );
    // Thirteen of them are the driver of PostgreSQL, in pieces of a few lines each.
    expect(installed.length).toBeLessThanOrEqual(27);
  });

  it('gives browsers a client that imports nothing of Node and reaches a server', async () => {
    const tsx = createRequire(createRequire(import.meta.url).resolve('tsx/package.json'));
    const esbuild = join(dirname(tsx.resolve('esbuild/package.json')), 'bin', 'esbuild');
    const flags = ['--bundle', '--platform=browser', '--format=esm', '--minify', '--outfile=page.bundle.mjs'];
    await app.succeeds(esbuild, ['page.js', ...flags]);
    const bundle = readFileSync(join(app.folder, 'page.bundle.mjs'), 'utf8');
    expect(bundle).not.toMatch(/node:|require\(/);
    const sent = gzipSync(bundle, { level: 9 }).byteLength;
    const sizes = [bundle.length, sent].map((bytes) => (bytes / 1024).toFixed(1));
    console.log(`client in a browser: ${sizes.join(' KiB minified, ')} KiB compressed`);
    expect(bundle.length).toBeLessThan(clientBytesMax);
    expect(sent).toBeLessThan(clientGzipBytesMax);

    const program = join('node_modules', 'eventspine', 'dist', 'cli', 'main.js');
    const server = app.node([program, 'start', 'app.mjs', '--port', '0', '--store', 'page.db', '--json']);
    const { url } = JSON.parse(await server.line((line) => line.includes('"listening"'))) as { url: string };
    expect((await app.succeeds(process.execPath, ['use-page.mjs', url])).stdout).toBe('vuvu\n');
    await server.kill('SIGTERM');
    expect(await server.exited).toBe(0);
  });
});
