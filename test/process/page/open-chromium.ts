/** The browser of the tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { findChromium } from '../../../scripts/chromium.mjs';

/** What was found on this machine, or fetched to it. */
export const foundChromium = findChromium();

/** Opens it, without a window; null = there is none here, which `foundChromium.reason` explains. */
export async function openChromium(): Promise<Browser | null> {
  if (foundChromium.program === null) return null;
  const home = mkdtempSync(join(tmpdir(), 'eventspine-browser-'));
  const browser = await chromium.launch({
    executablePath: foundChromium.program,
    // Root's browsers have no sandbox; the pages are our own.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    env: {
      ...definedOnly(process.env),
      ...foundChromium.env,
      HOME: home,
    },
  });
  browser.once('disconnected', () => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));
  return browser;
}

function definedOnly(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
