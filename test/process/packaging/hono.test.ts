/** The packed package in a fresh Hono app: mounted under a path, types carried over by a type-only import, closed in order. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { endAll } from '../support/processes.js';
import { FreshApp, missingRegistry } from './fresh-app.js';

describeUnless(await missingRegistry(), 'a fresh Hono app', () => {
  let app: FreshApp;

  beforeAll(async () => {
    app = await FreshApp.make('hono');
    await app.install();
  }, 150_000);

  afterAll(async () => {
    await endAll();
    app.remove();
  });

  it('compiles under strict TypeScript 5.9, which checks our declarations as well', async () => {
    await app.succeeds(process.execPath, ['node_modules/typescript-5/bin/tsc', '--noEmit']);
  }, 60_000);

  it('compiles under strict TypeScript 7', async () => {
    await app.succeeds(process.execPath, ['node_modules/typescript/bin/tsc']);
  }, 60_000);

  it('serves runs and streams under its own path, beside its own routes', async () => {
    const server = app.node(['dist/server.js']);
    const port = (await server.line((line) => line.startsWith('listening'))).split(' ')[1];
    const page = await fetch(`http://127.0.0.1:${port}/`);
    expect(await page.text()).toBe('the page');
    expect(existsSync(join(app.folder, 'notes.db')), 'the store is opened by a page that does not need it').toBe(false);

    const client = await app.succeeds(process.execPath, ['dist/client.js', `http://127.0.0.1:${port}/spine`]);
    const { types, ...answers } = JSON.parse(client.stdout) as { types: string[] };
    expect(answers).toEqual({ text: 'Hello, ADA and GRACE!', at: '1970-01-01T00:00:00.000Z', length: 4 });
    expect(types[0]).toBe('run.started');
    expect(types).toContain('progress.reported');
    expect(types.slice(-2)).toEqual(['run.succeeded', 'end:succeeded']);
    await server.kill('SIGTERM');
    expect(server.lines.at(-1)).toBe('closed');
  });

  it('finishes what is under way before it is closed', async () => {
    // The pauses land the closing in different moments of a run.
    for (const ms of [0, 2, 5]) {
      const server = app.node(['dist/server.js']);
      const port = (await server.line((line) => line.startsWith('listening'))).split(' ')[1];
      const accepted = await fetch(`http://127.0.0.1:${port}/greetings`, {
        method: 'POST',
        body: JSON.stringify({ names: ['Ada'] }),
        headers: { connection: 'close' },
      });
      expect(accepted.status).toBe(202);
      await accepted.text();
      await new Promise((wake) => setTimeout(wake, ms));
      await server.kill('SIGTERM');
      expect(await server.exited).toBe(0);
      expect(server.lines.at(-1)).toBe('closed');
    }
    expect(existsSync(join(app.folder, 'notes.db-owner')), 'the file is still marked as owned').toBe(false);
  });
});
