/** The packed package in fresh Hono, Fastify and Express apps, and in a page with React 18. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClient } from '../../../src/client/index.js';
import { describeUnless } from '../../skip.js';
import { openChromium } from '../page/open-chromium.js';
import { endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { FreshApp, missingRegistry } from './fresh-app.js';

/** Minified, in the browser, React not counted. What grows past this has taken in what is not its own. */
const hooksBytesMax = 39_000;
/** As it is sent. */
const hooksGzipBytesMax = 14_200;

describeUnless(await missingRegistry(), 'fresh apps with mounts for pages', () => {
  let app: FreshApp;

  beforeAll(async () => {
    app = await FreshApp.make('mounts');
    await app.install();
    await app.succeeds(process.execPath, ['node_modules/typescript/bin/tsc'], { ms: 180_000 });
    await bundle('src/page.tsx', 'public/page.js', ['--define:process.env.NODE_ENV="development"']);
  }, 330_000);

  afterAll(async () => {
    await endAll();
    app.remove();
  });

  async function bundle(entry: string, out: string, flags: readonly string[] = []): Promise<void> {
    const tsx = createRequire(createRequire(import.meta.url).resolve('tsx/package.json'));
    const esbuild = join(dirname(tsx.resolve('esbuild/package.json')), 'bin', 'esbuild');
    const common = ['--bundle', '--platform=browser', '--format=esm', '--log-level=warning'];
    await app.succeeds(esbuild, [entry, ...common, ...flags, `--outfile=${out}`]);
  }

  async function serve(program: string): Promise<string> {
    const server = app.node([`dist/${program}.js`]);
    const port = (await server.line((line) => line.startsWith('listening'))).split(' ')[1] ?? '';
    return `http://127.0.0.1:${port}`;
  }

  it.each(['with-hono', 'with-fastify', 'with-express'])(
    '%s lets a page start and read its own runs',
    async (program) => {
      const url = await serve(program);
      const session = createClient({
        url: `${url}/spine`,
        fetch: (input, init) => {
          const request = new Request(input, init);
          request.headers.set('cookie', 'user=ada');
          return fetch(request);
        },
      });
      const run = await session.start('letter', { to: 'Ada' }, { readToken: '1m' });
      const { token } = await run.readToken();
      const seen: string[] = [];
      const reader = createClient({ url: `${url}/spine`, token }).run(run.id);
      for await (const item of reader.stream()) seen.push(item.event === 'event' ? item.data.type : item.event);
      expect(seen).toContain('progress.reported');
      expect(await reader.result()).toEqual({ text: 'Dear Ada' });
      const asked = await session.start('letter', { to: 'the press' });
      const request = await until('Ada is asked', async () => (await session.approvals.list().page()).items[0] ?? null);
      await session.approvals.approve(request.id, { comment: 'fine' });
      const { token: second } = await asked.readToken();
      expect(
        await createClient({ url: `${url}/spine`, token: second })
          .run(asked.id)
          .result(),
      ).toEqual({
        text: 'Dear the press',
      });
      await expect(session.runs.list().page()).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
      await expect(createClient({ url: `${url}/spine` }).start('letter', { to: 'Eve' })).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
      if (program === 'with-hono') return;
      // Routes beside the mount parse bodies as ever.
      const own = await fetch(`${url}/own`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"a":1}',
      });
      expect(await own.json()).toEqual({ seen: { a: 1 } });
    },
  );

  it.each(['with-hono', 'with-fastify', 'with-express'])('%s has a route that is strangled', async (program) => {
    const url = await serve(program);
    const post = (way: string) =>
      fetch(`${url}/draft`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', cookie: 'user=ada', 'x-way': way },
        body: '{"to":"Ada"}',
      });
    const before = await post('old');
    expect([before.status, await before.json()]).toEqual([200, { text: 'Dear Ada' }]);
    const accepted = await post('event');
    const location = accepted.headers.get('location') ?? '';
    expect([accepted.status, location.startsWith('/draft/run_')]).toEqual([202, true]);
    const get = (cookie: string) => fetch(url + location, { headers: { cookie } });
    expect((await get('user=eve')).status).toBe(404);
    const done = await until('the draft is there', async () => {
      const answer = await get('user=ada');
      return answer.status === 200 ? answer : null;
    });
    expect(await done.json()).toEqual({ text: 'Dear Ada' });
    await until('the first is compared', async () => {
      const report = (await (await fetch(`${url}/draft-report`)).json()) as {
        readonly mirror: { readonly same: number };
      };
      return report.mirror.same === 1 ? true : null;
    });
  });

  it('adds little to a page', async () => {
    await bundle('node_modules/eventspine/dist/react/index.js', 'hooks.js', [
      '--minify',
      '--external:react',
      '--metafile=meta.json',
    ]);
    const hooks = readFileSync(join(app.folder, 'hooks.js'));
    const sent = gzipSync(hooks, { level: 9 }).byteLength;
    const sizes = [hooks.byteLength, sent].map((bytes) => (bytes / 1024).toFixed(1));
    console.log(`hooks in a browser: ${sizes.join(' KiB minified, ')} KiB compressed, without React`);
    // Of what servers know: what routes are for, and errors that clients never throw.
    expect(hooks.toString()).not.toMatch(/Makes repeats of the request harmless|STORE_CORRUPT|CLOUDEVENT_INVALID/);
    expect(hooks.byteLength).toBeLessThan(hooksBytesMax);
    expect(sent).toBeLessThan(hooksGzipBytesMax);
  });

  it('shows a run in a page with React 18, in strict mode and over a reload', async ({ skip }) => {
    const browser = await openChromium();
    if (browser === null) return skip('no Chromium here');
    try {
      const url = await serve('with-express');
      const context = await browser.newContext();
      await context.addCookies([{ name: 'user', value: 'ada', url }]);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(url);
      await page.click('button');
      await page.locator('#done').filter({ hasText: '1' }).waitFor();
      await page.reload();
      await page.locator('#text').filter({ hasText: 'Dear Ada' }).waitFor();
      expect(complaints).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 60_000);
});
