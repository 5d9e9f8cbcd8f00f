/**
 * A real page in a real browser: starts work, shows it live, and ends with its result whatever happens in between: a
 * reload, a server that is killed, a tab in the background.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { freePort } from '../../support/free-port.js';
import { Child, endAll, root } from '../support/processes.js';
import { until } from '../support/until.js';
import { bundlePage } from './bundle.js';
import { foundChromium, openChromium } from './open-chromium.js';

const pictures = process.env['EVENTSPINE_SCREENSHOTS'];

describeUnless(foundChromium.program === null ? foundChromium.reason : null, 'a page in Chromium', () => {
  let folder: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let port: number;
  let server: Child;
  /** What the browser has complained of. */
  let complaints: string[];
  let stores = 0;

  beforeAll(async () => {
    const opened = await openChromium();
    if (opened === null || foundChromium.program === null) throw new Error('the browser is gone');
    browser = opened;
    console.log(`Chromium: ${foundChromium.source}.`);
    folder = mkdtempSync(join(tmpdir(), 'eventspine-page-'));
    await bundlePage(folder);
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    stores += 1;
    port = await freePort();
    server = await serve();
    context = await browser.newContext();
    await context.addCookies([{ name: 'user', value: 'ada', url: `http://127.0.0.1:${port}` }]);
    page = await context.newPage();
    complaints = [];
    page.on('console', (message) => {
      // That a request failed while the server was down is what the test is about.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load')) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(complaints, server.errors, await page?.textContent('#root'));
    await context?.close();
    await endAll();
  });

  async function serve(): Promise<Child> {
    const file = join(folder, `store-${stores}.db`);
    const program = fileURLToPath(new URL('server.ts', import.meta.url));
    const child = new Child(
      process.execPath,
      ['--import', 'tsx', program, file, String(port), join(folder, 'page.js')],
      {},
      root,
    );
    await child.line((line) => line === 'ready');
    return child;
  }

  const open = (): Promise<unknown> => page.goto(`http://127.0.0.1:${port}/`);
  const text = async (id: string): Promise<string> => ((await page.textContent(`#${id}`)) ?? '').trim();
  const shows = (id: string, wanted: RegExp | string, timeout = 20_000): Promise<unknown> =>
    page.locator(`#${id}`).filter({ hasText: wanted }).waitFor({ timeout });
  const picture = async (name: string): Promise<void> => {
    if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`) });
  };
  const openStreams = (): number =>
    server.lines.filter((line) => line.startsWith('stream opened')).length -
    server.lines.filter((line) => line === 'stream closed').length;

  it('goes on over a reload and the death of the server, and ends with the result', async () => {
    await open();
    expect(await text('run')).toBe('none');
    await page.click('#start');
    await shows('progress', '1 of 6');
    await picture('1-live');
    const run = await text('run');

    await page.reload();
    await shows('progress', /[2-6] of 6/);
    expect(await text('run')).toBe(run);
    await picture('2-after-reload');

    await server.kill('SIGKILL');
    await shows('link', 'reconnecting');
    await picture('3-server-gone');
    server = await serve();
    await shows('link', 'live');
    await picture('4-server-back');

    await shows('result', 'Dear Ada (6 parts)', 30_000);
    await picture('5-result');
    expect(await text('state')).toBe('succeeded');
    expect(await text('link')).toBe('off');
    expect(await text('run')).toBe(run);
    // Each event once and in order, although the stream was cut and taken up again.
    const seqs = (await text('seqs')).split(' ').map(Number);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    expect(server.lines.filter((line) => line === 'stream opened resumed').length).toBeGreaterThan(0);
    expect(await text('values')).not.toContain('secret draft');
    expect(complaints).toEqual([]);

    await page.reload();
    await shows('result', 'Dear Ada (6 parts)');
    await page.click('#clear');
    expect(await text('run')).toBe('none');
  });

  it('watches over one socket, by the session of the page and the token of the run', async () => {
    await page.goto(`http://127.0.0.1:${port}/?live`);
    await page.click('#start');
    await shows('progress', '1 of 6');
    await page.reload();
    await shows('result', 'Dear Ada (6 parts)', 30_000);
    const seqs = (await text('seqs')).split(' ').map(Number);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    expect(await text('values')).not.toContain('secret draft');
    expect(server.lines.filter((line) => line === 'socket opened').length).toBe(2);
    expect(openStreams()).toBe(0);
    expect(server.lines.filter((line) => line.startsWith('stream opened'))).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('starts one run for a double click, and holds one connection for a view that React mounts twice', async () => {
    await open();
    await page.dblclick('#start');
    await shows('progress', '1 of 6');
    // One for the run and its events together.
    expect(openStreams()).toBe(1);
    const requests = server.lines.filter((line) => line.startsWith('stream opened'));
    expect(requests).toHaveLength(1);
    expect(complaints).toEqual([]);
  });

  it('finds a run whose start was under way when the page was loaded again', async () => {
    await open();
    // The first request arrives, and its answer never comes.
    let answers = 0;
    await page.route('**/workflows/letter/runs', async (route) => {
      answers += 1;
      if (answers > 1) return route.continue();
      await route.fetch();
    });
    await page.click('#start');
    await until('the start has arrived', () => (answers === 1 ? true : null));
    await page.reload();
    await shows('progress', /[1-6] of 6/);
    const run = await text('run');
    await shows('result', 'Dear Ada');
    expect(answers).toBe(2);
    // The second request was a repetition of the first: one run, and nothing else to be shown.
    expect(await text('run')).toBe(run);
    expect(server.lines.filter((line) => line === 'run started')).toHaveLength(1);
    expect(complaints).toEqual([]);
  });

  it('lets go of its connections in the background, and is up to date when it is looked at again', async () => {
    await open();
    await page.click('#start');
    await shows('progress', '1 of 6');
    await look('hidden');
    await until('the connections are given up', async () => (openStreams() === 0 ? true : null));
    expect(await text('link')).toBe('paused');
    const then = await text('progress');
    await new Promise((wake) => setTimeout(wake, 1_500));
    expect(await text('progress')).toBe(then);
    await look('visible');
    await shows('link', 'live');
    await shows('result', 'Dear Ada');
    expect(complaints).toEqual([]);
  });

  it('asks its user, and others with the role, and shows the run in every way over one connection', async () => {
    await page.goto(`http://127.0.0.1:${port}/review`);
    await shows('inbox', '0 open');
    await page.click('#ask');
    await shows('stream', 'helo world.');
    await shows('inbox', '1 open');
    await shows('shown', 'Send this? helo world');
    expect(openStreams()).toBe(1);
    expect(server.lines.filter((line) => line.startsWith('stream opened'))).toHaveLength(1);

    const others = await browser.newContext();
    const url = `http://127.0.0.1:${port}`;
    await others.addCookies([
      { name: 'user', value: 'eve', url },
      { name: 'role', value: 'editor', url },
    ]);
    const eve = await others.newPage();
    await eve.goto(`${url}/review`);
    await eve.locator('#shown').filter({ hasText: 'Send this?' }).waitFor();
    const strangers = await browser.newContext();
    await strangers.addCookies([{ name: 'user', value: 'bob', url }]);
    const bob = await strangers.newPage();
    await bob.goto(`${url}/review`);
    await bob.locator('#inbox').filter({ hasText: '0 open' }).waitFor();

    // The form asks for a text: the server says so, and the request stays open.
    await eve.click('#approve');
    await eve.locator('#refusal').filter({ hasText: 'text' }).waitFor();
    await eve.fill('#text', 'hello world');
    await eve.click('#approve');
    await eve.locator('#inbox').filter({ hasText: '0 open' }).waitFor();
    await shows('inbox', '0 open');
    await shows('result', 'user:eve: hello world');
    await strangers.close();
    await others.close();
    expect(complaints).toEqual([]);
  });

  it('shows what was refused, and what cannot be started', async () => {
    await open();
    await page.click('#refuse');
    await shows('phase', 'failed');
    expect(await text('state')).toBe('refused');
    expect(await text('failure')).toContain('no-address');
    await context.clearCookies();
    await page.click('#start');
    await shows('error', /credentials/);
    await picture('6-refused');
  });

  /** As a browser tells a page; headless ones have no tabs to change. */
  async function look(state: 'hidden' | 'visible'): Promise<void> {
    await page.evaluate((wanted) => {
      Object.defineProperty(document, 'visibilityState', { value: wanted, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  }
});
