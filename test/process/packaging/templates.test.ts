/**
 * What `npx eventspine init` makes, with the packed package in a folder of its own: installed, compiled with strict
 * TypeScript, tested by its own tests, and run as its README says.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { templates } from '../../../src/cli/init/templates.js';
import { describeUnless } from '../../skip.js';
import { type Child, endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { FreshApp, missingRegistry } from './fresh-app.js';

const program = join('node_modules', 'eventspine', 'dist', 'cli', 'main.js');

describeUnless(await missingRegistry(), 'the templates', () => {
  const made = new Map<string, FreshApp>();

  beforeAll(async () => {
    for (const { name } of templates) {
      const [first] = made.values();
      const app = await FreshApp.fromTemplate(name, first);
      made.set(name, app);
      if (first === undefined) await app.install();
    }
  }, 240_000);

  afterEach(endAll);

  afterAll(() => {
    for (const app of made.values()) app.remove();
  });

  /** A project that passes its own tests and is built. */
  async function project(template: string): Promise<FreshApp> {
    const app = made.get(template);
    if (app === undefined) throw new Error(`${template} was not made`);
    const { stdout } = await app.succeeds('npm', ['test'], { environment: { NODE_ENV: undefined } });
    expect(stdout).toMatch(/^# pass [1-9]/m);
    expect(stdout).toMatch(/^# fail 0$/m);
    await app.succeeds('npm', ['run', 'build']);
    const readme = readFileSync(join(app.folder, 'README.md'), 'utf8');
    expect(readme).toMatch(/^# app\n/);
    const listed = [...readme.matchAll(/^\| `([^`]+)` \|/gm)].map(([, file]) => file);
    const files = readdirSync(join(app.folder, 'src')).map((file) => `src/${file}`);
    expect(listed.filter((file) => !files.includes(file ?? ''))).toEqual([]);
    return app;
  }

  async function served(app: FreshApp, words: readonly string[]): Promise<string> {
    const server = app.node([program, ...words, '--port', '0', '--json']);
    const { url } = JSON.parse(await server.line((line) => line.includes('"listening"'))) as { url: string };
    return url;
  }

  async function cli(app: FreshApp, words: readonly string[]): Promise<unknown> {
    const { stdout } = await app.succeeds(process.execPath, [program, ...words, '--json']);
    return stdout.trim() === '' ? null : JSON.parse(stdout);
  }

  it('are all tried here', () => {
    expect(templates.map(({ name }) => name)).toEqual(['minimal', 'rag-with-approval', 'migrate-a-route']);
    const needs = [...made.values()].map(({ folder }) => {
      const text = readFileSync(join(folder, 'package.json'), 'utf8');
      const { dependencies, devDependencies } = JSON.parse(text) as Record<string, unknown>;
      return { dependencies, devDependencies };
    });
    expect(new Set(needs.map((one) => JSON.stringify(one))).size).toBe(1);
  });

  it('minimal reminds of a page', async () => {
    const app = await project('minimal');
    const page = createServer((_, answer) => answer.end('<title>Domes leak</title>'));
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
    try {
      const url = await served(app, ['start', 'dist/spine.js', '--store', 'app.db']);
      const input = { url: `http://127.0.0.1:${(page.address() as AddressInfo).port}/`, remindAfterDays: 0 };
      const result = await cli(app, ['run', 'read-later', JSON.stringify(input), '--wait', '--url', url]);
      expect(result).toMatchObject({ title: 'Domes leak' });
    } finally {
      page.close();
    }
  }, 170_000);

  it('rag-with-approval publishes what an editor has approved, in development', async () => {
    const app = await project('rag-with-approval');
    const url = await served(app, ['dev', 'src/spine.ts', '--store', 'app.db']);
    const question = JSON.stringify({ question: 'When do domes leak?' });
    const { id } = (await until('the definitions to be there', async () => {
      const { code, stdout } = await app.run(process.execPath, [
        program,
        'run',
        'answer',
        question,
        '--url',
        url,
        '--json',
      ]);
      return code === 0 ? (JSON.parse(stdout) as { id: string }) : null;
    })) as { id: string };
    const open = await until('an approval', async () => {
      const { stdout } = await app.succeeds(process.execPath, [program, 'approvals', 'list', '--url', url, '--json']);
      return stdout.trim() === '' ? null : (JSON.parse(stdout) as { id: string; title: string });
    });
    expect(open.title).toBe('When do domes leak?');
    const form = JSON.stringify({ text: 'When the seal is old.' });
    await cli(app, ['approvals', 'approve', open.id, '--form', form, '--url', url]);
    const page = join(app.folder, 'published', `${id}.md`);
    const text = await until('the page', () => {
      try {
        return readFileSync(page, 'utf8');
      } catch {
        return null;
      }
    });
    expect(text).toBe('# When do domes leak?\n\nWhen the seal is old.\n');
  }, 170_000);

  it('migrate-a-route gives the whole answer although its server was killed in the middle', async () => {
    const app = await project('migrate-a-route');
    const environment = { PORT: '0', WORD_MS: '100' };
    const address = async (server: Child): Promise<string> => server.line((line) => line.startsWith('http://'));
    const first = app.node(['dist/server.js'], environment);
    const body = JSON.stringify({ prompt: 'Do domes leak?' });
    const answer = await fetch(await address(first), { method: 'POST', body });
    const run = answer.headers.get('x-run-id') ?? '';
    const heard = answer.body?.getReader();
    expect(new TextDecoder().decode((await heard?.read())?.value)).toContain('event: text');
    await first.kill('SIGKILL');
    await heard?.cancel().catch(() => undefined);

    const second = app.node(['dist/server.js'], environment);
    const events = await (await fetch(`${await address(second)}/${run}`)).text();
    const whole = events.split('event: restart').at(-1) ?? '';
    const words = [...whole.matchAll(/event: text\ndata: (.*)/g)].map(([, text]) => JSON.parse(text ?? '""') as string);
    expect(words.join('')).toMatch(/^You said: Do domes leak\? .* as answers do\.$/);
    expect(events).toMatch(/event: end\ndata: true\n\n$/);
  }, 170_000);
});
