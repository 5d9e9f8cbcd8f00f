/** Every command against `eventspine start`, in a process each: as a table and as JSON, with its exit code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finished } from '../support/finished.js';
import { type Child, endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { jsonLines, listening, Project } from './project.js';

/** A bus of which the client is not installed here: the server runs all the same, and says so. */
const bridges = {
  buses: { main: { url: 'nats://127.0.0.1:1' } },
  bridges: [{ name: 'orders-in', bus: 'main', in: 'orders', topic: 'orders' }],
};

const exits = { ok: 0, failed: 1, usage: 2, unreachable: 3, notFound: 4 };

describe('the commands', () => {
  let project: Project;
  let server: Child;
  let url: string;

  beforeAll(async () => {
    project = new Project({ files: ['jobs.mjs'] });
    writeFileSync(join(project.folder, 'bridges.json'), JSON.stringify(bridges));
    server = project.begin(['start', 'jobs.mjs', '--port', '0', '--bridges', 'bridges.json', '--json']);
    url = await listening(server);
  });

  afterAll(async () => {
    await server.kill('SIGTERM');
    const code = await server.exited;
    await endAll();
    project.remove();
    expect(code, 'start ends in order').toBe(exits.ok);
  });

  const cli = (...args: string[]): Promise<Finished> => project.run(...args, '--url', url);

  /** As JSON; it must have worked. */
  async function json(...args: string[]): Promise<Record<string, unknown>[]> {
    const result = await cli(...args, '--json');
    expect(result.code, `${args.join(' ')}\n${result.stderr}`).toBe(exits.ok);
    expect(result.stderr).toBe('');
    return jsonLines(result.stdout);
  }

  async function started(workflow: string): Promise<string> {
    const [answer] = await json('run', workflow, '"x"');
    return String(answer?.['id']);
  }

  it('run starts a run, once for each key, and prints its result when asked to wait', async () => {
    const waited = await cli('run', 'greet', '"Ada"', '--wait');
    expect(waited).toMatchObject({ code: exits.ok, stdout: '"Hello, Ada!"\n' });
    const [first] = await json('run', 'greet', '"Bo"', '--key', 'k');
    const [second] = await json('run', 'greet', '"Bo"', '--key', 'k');
    expect(first).toMatchObject({ repeated: false });
    expect(second).toEqual({ id: first?.['id'], repeated: true });
    const other = await cli('run', 'greet', '"Cy"', '--key', 'k');
    expect(other.code).toBe(exits.failed);
    expect(other.stderr).toContain('IDEMPOTENCY_KEY_REUSED');
  });

  it('run --wait ends with the failure of the run', async () => {
    const failed = await cli('run', 'fails', '--wait');
    expect(failed.code).toBe(exits.failed);
    expect(failed.stderr).toContain('the disk of the vendor is full');
  });

  it('runs list finds runs by state and label', async () => {
    await json('run', 'greet', '"Di"', '--label', 'team:red', '--wait');
    const [only, ...others] = await json('runs', 'list', '--label', 'team:red');
    expect(others).toEqual([]);
    expect(only).toMatchObject({ workflow: 'greet', state: 'succeeded', labels: { team: 'red' } });
    const table = await cli('runs', 'list', '--label', 'team:red');
    const [header, row] = table.stdout.split('\n');
    expect(header).toMatch(/^RUN +WORKFLOW +STATE /);
    expect(row).toContain(String(only?.['id']));
    expect(await cli('runs', 'list', '--label', 'team:blue')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'No runs match.\n',
    });
  });

  it('runs show answers the questions about a run', async () => {
    const run = await started('nap');
    const view = await until('the run sleeps', async () => {
      const [found] = await json('runs', 'show', run);
      return JSON.stringify(found).includes('timer') ? found : null;
    });
    expect(view).toMatchObject({ id: run, workflow: 'nap', retry: { possible: false } });
    const text = (await cli('runs', 'show', run)).stdout;
    expect(text).toMatch(/^run +run_/m);
    expect(text).toMatch(/^can be retried +no$/m);
    expect(text).toMatch(/^before +step +completed/m);
  });

  it('runs watch prints events until the end, and its exit code is the outcome', async () => {
    const good = await cli('runs', 'watch', await started('greet'));
    expect(good.code).toBe(exits.ok);
    expect(good.stdout).toContain('progress.reported');
    expect(good.stdout.trimEnd()).toMatch(/ended: succeeded$/);
    const run = await started('fails');
    const bad = await cli('runs', 'watch', run, '--json');
    expect(bad.code).toBe(exits.failed);
    const items = jsonLines(bad.stdout);
    expect(items.at(-1)).toMatchObject({ event: 'end', data: { state: 'failed' } });
    const cursor = items.find((item) => item['event'] === 'event')?.['cursor'];
    const rest = await cli('runs', 'watch', run, '--json', '--cursor', String(cursor));
    const seqs = (lines: Record<string, unknown>[]): unknown[] =>
      lines.filter(({ event }) => event === 'event').map(({ data }) => (data as { seq: number }).seq);
    expect(seqs(jsonLines(rest.stdout))).toEqual(seqs(items).slice(1));
  });

  it('runs cancel stops a run, and has nothing left to do the second time', async () => {
    const run = await started('nap');
    expect(await json('runs', 'cancel', run, '--reason', 'wrong file')).toEqual([{ id: run, outcome: 'done' }]);
    await until('it is cancelled', async () =>
      (await json('runs', 'show', run))[0]?.['state'] === 'cancelled' ? 1 : null,
    );
    expect((await cli('runs', 'cancel', run)).stdout).toBe(`${run}  nothing left to do\n`);
  });

  it('runs retry sends a failed run back, and refuses one that has succeeded', async () => {
    const run = await started('fails');
    await cli('runs', 'watch', run);
    expect(await json('runs', 'retry', run)).toEqual([{ id: run, outcome: 'done' }]);
    await until('it has failed again', async () => {
      const [view] = await json('runs', 'show', run);
      return view?.['state'] === 'failed' && Number(view['events']) > 6 ? 1 : null;
    });
    const fine = await started('greet');
    await cli('runs', 'watch', fine);
    const refused = await cli('runs', 'retry', fine, '--json');
    expect(refused.code).toBe(exits.failed);
    expect(jsonLines(refused.stderr)[0]).toMatchObject({ error: { code: 'RUN_NOT_REDRIVABLE' } });
    const several = await cli('runs', 'retry', fine, run);
    expect(several.code).toBe(exits.failed);
    expect(several.stdout).toMatch(/^RUN +OUTCOME/);
  });

  it('dead-letters list, show, redrive and discard what has failed', async () => {
    const run = await started('fails');
    await cli('runs', 'watch', run);
    const letters = await json('dead-letters', 'list', '--workflow', 'fails');
    const letter = letters.find((one) => one['run'] === run);
    const id = String(letter?.['id']);
    expect(letter).toMatchObject({ path: 'broken', message: 'the disk of the vendor is full' });
    expect((await cli('dead-letters', 'list')).stdout).toMatch(/^DEAD LETTER +RUN +WORKFLOW/);
    expect((await cli('dead-letters', 'show', id)).stdout).toMatch(/^what to do +\S/m);
    expect(await json('dead-letters', 'redrive', id)).toMatchObject([{ outcome: 'done' }]);
    await cli('runs', 'watch', run);
    const again = await until(
      'it has died again',
      async () => (await json('dead-letters', 'list')).find((one) => one['run'] === run && one['id'] !== id) ?? null,
    );
    expect(await json('dead-letters', 'discard', String(again['id']))).toMatchObject([{ outcome: 'discarded' }]);
    expect((await json('dead-letters', 'list')).filter((one) => one['run'] === run)).toEqual([]);
  });

  it('publish records an event once and says what it has started', async () => {
    const [first] = await json('publish', 'doc.uploaded', '{"name":"a.md"}', '--id', 'event-1');
    expect(first).toMatchObject({ id: 'event-1', duplicate: false });
    const runs = first?.['runs'] as string[] | undefined;
    expect((await cli('runs', 'watch', String(runs?.[0]))).code).toBe(exits.ok);
    expect(await json('publish', 'doc.uploaded', '{"name":"a.md"}', '--id', 'event-1')).toMatchObject([
      { duplicate: true },
    ]);
    expect(await json('topics')).toMatchObject([{ topic: 'doc.uploaded' }]);
    const read = { topic: 'doc.uploaded', partition: 0, offset: 0, event: { id: 'event-1', data: { name: 'a.md' } } };
    expect(await json('topics', 'read', 'doc.uploaded')).toMatchObject([read]);
    expect(await json('topics', 'read', 'doc.uploaded', '--follow', '--from', '1h', '--limit', '1')).toMatchObject([
      read,
    ]);
  });

  it.each([
    ['queues', /^QUEUE +READY/, 'queue'],
    ['workers', /^WORKER +APP/, 'worker'],
    ['topics', /^TOPIC +PARTITIONS/, 'topic'],
    ['explain', /^CODE +KIND/, 'code'],
  ])('%s shows a table, and the same as JSON', async (command, header, field) => {
    await json('publish', 'doc.uploaded', '{"name":"b.md"}');
    const args = command === 'explain' ? [command] : [command, '--url', url];
    expect((await project.run(...args)).stdout).toMatch(header);
    const items = jsonLines((await project.run(...args, '--json')).stdout);
    expect(items.length).toBeGreaterThan(0);
    for (const item of items) expect(item[field]).toEqual(expect.any(String));
  });

  it('doctor finds everything in order', async () => {
    const table = await cli('doctor');
    expect(table.code).toBe(exits.ok);
    expect(table.stdout).not.toContain('BROKEN');
    expect(table.stdout).toMatch(/^ok +P3 +all +/m);
    expect(table.stdout).toMatch(/^ok +P12 +[1-9]\d* runs +/m);
    const [view] = await json('doctor');
    const checks = view?.['checks'] as { property: string; ok: boolean }[] | undefined;
    expect(checks?.every((check) => check.ok)).toBe(true);
    expect(checks?.map((check) => check.property)).toEqual(expect.arrayContaining(['P3', 'P7', 'P12', 'P16', 'P32']));
  });

  it('explain says what to do about a code, and what may have been meant by one that is not there', async () => {
    const known = await project.run('explain', 'store_owned');
    expect(known.stdout).toMatch(/^what to do +\S/m);
    const unknown = await project.run('explain', 'STORE_OWNER');
    expect(unknown.code).toBe(exits.usage);
    expect(unknown.stderr).toContain('STORE_OWNED');
  });

  it('bridges tells of bridges that do not work, and of those that there are not', async () => {
    await until('the bridge fails', async () =>
      (await json('bridges', 'list'))[0]?.['state'] === 'failed' ? true : null,
    );
    const listed = await cli('bridges', 'list');
    expect(listed.stdout).toContain('main:orders');
    expect(listed.stdout).toContain('The client for NATS is not installed');
    const sought = await cli('bridges', 'seek', 'orders-in', '--offset', '3');
    expect(sought.code).toBe(exits.failed);
    expect(sought.stderr).toContain('has not been given partition 0');
    expect((await cli('bridges', 'seek', 'none', '--offset', '3')).code).toBe(exits.notFound);
    expect((await cli('bridges', 'seek', 'orders-in')).code).toBe(exits.usage);
  });

  it.each([
    [['runs', 'show', 'run_01h455vb4pex5vsknk084sn02q'], exits.notFound, 'RUN_NOT_FOUND'],
    [['run', 'nothing'], exits.notFound, 'WORKFLOW_UNKNOWN'],
    [['publish', 'nothing', '1'], exits.notFound, 'TOPIC_UNKNOWN'],
    [['runs', 'list', '--state', 'broken'], exits.usage, 'COMMAND_INVALID'],
    [['run', 'greet', '{"half'], exits.usage, 'COMMAND_INVALID'],
    [['rusn', 'list'], exits.usage, 'COMMAND_INVALID'],
  ])('%j ends with %i and %s, in words and as JSON', async (args, code, error) => {
    const words = await cli(...args);
    expect(words.code).toBe(code);
    expect(words.stderr).toContain(`${error}:`);
    expect(words.stdout).toBe('');
    const asJson = await cli(...args, '--json');
    expect(asJson.code).toBe(code);
    expect(jsonLines(asJson.stderr)).toMatchObject([{ error: { code: error, mend: expect.any(String) as unknown } }]);
  });

  it('a server that is not there is told with what to do, and an exit code of its own', async () => {
    const result = await project.run('runs', 'list', '--url', 'http://127.0.0.1:1');
    expect(result.code).toBe(exits.unreachable);
    expect(result.stderr).toContain('SERVER_UNREACHABLE');
    expect(result.stderr).toContain('eventspine dev');
    expect(result.ms).toBeLessThan(20_000);
  });
});
