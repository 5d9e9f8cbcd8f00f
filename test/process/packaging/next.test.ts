/**
 * The packed package in a fresh Next.js app: a build that leaves the store alone, a production server, and a development
 * server whose code changes under a store that stays open.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { openChromium } from '../page/open-chromium.js';
import { freePort } from '../../support/free-port.js';
import { type Child, endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { FreshApp, missingRegistry } from './fresh-app.js';

const quiet = { NEXT_TELEMETRY_DISABLED: '1' };

describeUnless(await missingRegistry(), 'a fresh Next.js app', () => {
  let app: FreshApp;
  const next = join('node_modules', 'next', 'dist', 'bin', 'next');

  beforeAll(async () => {
    app = await FreshApp.make('next');
    await app.install();
  }, 150_000);

  afterAll(async () => {
    await endAll();
    app.remove();
  });

  it('is built without the store being opened, with nothing of the definitions in the page', async () => {
    await app.succeeds(process.execPath, [next, 'build'], { environment: quiet, ms: 240_000 });
    expect(storeFiles()).toEqual([]);
    const page = readdirSync(join(app.folder, '.next/static'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.js'))
      .map((file) => readFileSync(join(app.folder, '.next/static', file), 'utf8'))
      .join('\n');
    expect(page, 'the client is not in the page').toContain('/v1/workflows/');
    expect(page).not.toContain('first wording');
  }, 250_000);

  it('does the work of its routes in production', async () => {
    const { server, url } = await serve('start');
    expect(await brief(url)).toBe('Mirrors: first wording');
    expect(await startedByRoute(url)).toBe('Mirrors: first wording');
    expect(await drafted(url, 'old')).toEqual({ text: 'Mirrors: by hand' });
    expect(await drafted(url, 'event')).toEqual({ text: 'Mirrors: first wording' });
    // Next ends at once and closes nothing, which is like a crash: the next owner finds everything.
    await server.kill('SIGTERM');
  });

  it('shows runs live in its pages, to whom its session knows', async ({ skip }) => {
    const { server, url } = await serve('start');
    const eve = await fetch(`${url}/work/v1/workflows/brief/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ topic: 'Mirrors' }),
    });
    expect(eve.status).toBe(401);
    expect((await fetch(`${url}/work/v1/runs`, { headers: { cookie: 'user=ada' } })).status).toBe(403);
    const live = await (await fetch(`${url}/live`)).text();
    expect(live, 'the page is rendered on the server').toContain('Write');

    const browser = await openChromium();
    if (browser === null) {
      await server.kill('SIGTERM');
      return skip('no Chromium here');
    }
    try {
      const context = await browser.newContext();
      await context.addCookies([{ name: 'user', value: 'ada', url }]);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        // Every browser asks for an icon, which this app has not.
        if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico'))
          complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(`${url}/live`);
      await page.click('button');
      await page.locator('#text').filter({ hasText: 'Mirrors: first wording' }).waitFor();
      await page.reload();
      await page.locator('#text').filter({ hasText: 'Mirrors: first wording' }).waitFor();
      // A run that a route of the app has started for its user, by its id alone.
      const accepted = await fetch(`${url}/briefs`, { method: 'POST', body: JSON.stringify({ topic: 'Lamps' }) });
      const { run } = (await accepted.json()) as { run: string };
      await page.goto(`${url}/briefs/${run}`);
      await page.locator('#text').filter({ hasText: 'Lamps: first wording' }).waitFor();
      expect(complaints).toEqual([]);
    } finally {
      await browser.close();
      await server.kill('SIGTERM');
    }
  }, 90_000);

  it('goes on with new code after an edit in development, on the store that is open', async () => {
    const { server, url } = await serve('dev');
    expect(await brief(url)).toBe('Mirrors: first wording');
    const definitions = join(app.folder, 'spine/definitions.ts');
    for (const wording of ['second wording', 'third wording']) {
      const text = readFileSync(definitions, 'utf8');
      writeFileSync(definitions, text.replace(/const wording = .*/, `const wording = '${wording}';`));
      await until(`a run with the ${wording}`, async () =>
        (await brief(url)) === `Mirrors: ${wording}` ? true : null,
      );
      expect(await startedByRoute(url)).toBe(`Mirrors: ${wording}`);
    }
    await server.kill('SIGTERM');
    expect([...server.lines, ...server.errors].filter((line) => line.includes('STORE_'))).toEqual([]);
  }, 90_000);

  function storeFiles(): string[] {
    return readdirSync(app.folder).filter((file) => file.includes('.db'));
  }

  async function serve(how: 'start' | 'dev'): Promise<{ readonly server: Child; readonly url: string }> {
    const port = await freePort();
    const server = app.node([next, how, '-p', String(port), '-H', '127.0.0.1'], quiet);
    await server.line((line) => line.includes('Ready'), 40_000);
    return { server, url: `http://127.0.0.1:${port}` };
  }

  /** Starts a run through the mounted API and waits for its text. */
  async function brief(url: string): Promise<string> {
    const answer = await fetch(`${url}/spine/v1/workflows/brief/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=20' },
      body: JSON.stringify({ topic: 'Mirrors' }),
    });
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    return ((await answer.json()) as { text: string }).text;
  }

  /** The answer of a strangled route. */
  async function drafted(url: string, way: string): Promise<unknown> {
    const init = { method: 'POST', headers: { 'x-way': way }, body: JSON.stringify({ topic: 'Mirrors' }) };
    return await (await fetch(`${url}/draft`, init)).json();
  }

  /** The same through a route of the app's own, which has its own copy of the module that makes the spine. */
  async function startedByRoute(url: string): Promise<string> {
    const accepted = await fetch(`${url}/briefs`, { method: 'POST', body: JSON.stringify({ topic: 'Mirrors' }) });
    if (accepted.status !== 202) throw new Error(`${accepted.status} ${await accepted.text()}`);
    const { run } = (await accepted.json()) as { run: string };
    return await until('the run has its result', async () => {
      const answer = await fetch(`${url}/spine/v1/runs/${run}/result`);
      return answer.status === 200 ? ((await answer.json()) as { text: string }).text : null;
    });
  }
});
