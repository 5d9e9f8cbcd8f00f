/** The example as it stands in the guide: a server that pushes, a function, and a run over HTTP. */
import { createSpine, defineApp } from 'eventspine';
import { createClient } from 'eventspine/client';
import { sqlite } from 'eventspine/sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { app } from './function.js';
import { serve } from './local.js';

it('runs a workflow and its calls in a function', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-serverless-'));
  const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
  // A host application that has no work of its own.
  const spine = createSpine(defineApp({ name: 'host' }), {
    store: sqlite({ file: join(folder, 'spine.db') }),
    server: { port: 0, push: { secret, allowLoopback: true } },
  });
  try {
    const { url } = await spine.listen();
    const client = createClient<typeof app>({ url });
    const local = await serve(await client.endpoints.secret('digests'), 0);
    await client.endpoints.set('digests', { url: `http://127.0.0.1:${local.port}/`, concurrency: 5 });
    const run = await client.start('digest', ['One thing. And more.', 'Another. And so on.']);
    expect(await run.result()).toBe('One thing.\nAnother.');
    expect(await client.endpoints.list()).toMatchObject([{ app: 'digests', state: 'serving', concurrency: 5 }]);
    await client.endpoints.remove('digests');
    expect(await client.endpoints.list()).toEqual([]);
    local.close();
  } finally {
    await spine.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
