/** A workflow that changes under a live run, with the commands that an operator has for it. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finished } from '../support/finished.js';
import { type Child, endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { jsonLines, listening, Project } from './project.js';

describe('a new version under a live run', () => {
  let project: Project;
  let server: Child;
  let url: string;
  let run: string;

  beforeAll(async () => {
    project = new Project({ files: ['article-1.mjs', 'article-2.mjs', 'article-3.mjs', 'article-broken.mjs'] });
    server = project.begin(['serve', '--port', '0', '--store', 'spine.db', '--json']);
    url = await listening(server);
    const first = project.begin(['worker', 'article-1.mjs', '--url', url, '--json']);
    await until('the worker is there', async () => (await json('workers'))[0] ?? null);
    const [answer] = await json('run', 'article', '"bees"');
    run = String(answer?.['id']);
    await until('the run waits', async () => ((await shown())['state'] === 'waiting' ? true : null));
    writeFileSync(project.path('run.json'), (await cli('runs', 'export', run)).stdout);
    await first.kill('SIGTERM');
    await first.exited;
  });

  afterAll(async () => {
    await endAll();
    project.remove();
  });

  const cli = (...args: string[]): Promise<Finished> => project.run(...args, '--url', url);

  async function json(...args: string[]): Promise<Record<string, unknown>[]> {
    const result = await cli(...args, '--json');
    expect(result.stderr).toBe('');
    return jsonLines(result.stdout);
  }

  async function shown(): Promise<Record<string, unknown>> {
    return (await json('runs', 'show', run))[0] ?? {};
  }

  it('check says what would become of recorded runs, and fails where one would break', async () => {
    const broken = await cli('check', 'article-broken.mjs');
    expect(broken.code).toBe(1);
    expect(broken.stdout).toMatch(/^Replayed 1 runs: 1 breaking\.\n/);
    expect(broken.stdout).toContain('is recorded as a step, but the code asks for a timer there');
    expect(await cli('check', 'article-1.mjs')).toMatchObject({ code: 0, stdout: 'Replayed 1 runs: 1 same.\n' });
    const [gone] = await json('check', 'article-2.mjs');
    expect(gone).toMatchObject({ run, verdict: 'breaking', changes: [{ kind: 'missing' }] });
    // Out of a file, as it would be in version 2.
    const moved = await project.run('check', 'article-2.mjs', 'run.json', '--as', '2', '--json');
    expect(moved.code).toBe(0);
    const changes = [
      { kind: 'added', path: 'print' },
      { kind: 'removed', path: 'approval' },
      { kind: 'end', level: 'warning' },
    ];
    expect(jsonLines(moved.stdout)).toMatchObject([{ run, version: '2', verdict: 'compatible', changes }]);
    expect(await project.run('check', 'article-2.mjs', 'run.json', '--as', '2', '--strict')).toMatchObject({ code: 1 });
    writeFileSync(project.path('nothing.json'), '{"run":"x"}');
    const unreadable = await project.run('check', 'article-1.mjs', 'nothing.json');
    expect(unreadable).toMatchObject({ code: 1 });
    expect(unreadable.stdout).toContain('UNREADABLE');
  });

  it('deploy shows what changes, and refuses to leave a run without code', async () => {
    const refused = await cli('deploy', 'article-2.mjs');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('DEPLOY_REFUSED');
    expect(refused.stdout).toMatch(/REMOVED +topic +printed/);
    expect(refused.stdout).toMatch(/CHANGED +workflow +article +version: null -> "2"/);
    expect(refused.stdout).toContain(`STRANDED  1 unfinished runs of article without version (${run}, ...)`);
    const [plan] = await json('deploy', 'article-3.mjs', '--dry-run');
    expect(plan).toMatchObject({ outcome: 'planned', stranded: [] });
    expect((await json('deploy', 'article-3.mjs'))[0]).toMatchObject({ outcome: 'registered' });
    expect((await json('deploy', 'article-3.mjs'))[0]).toMatchObject({ outcome: 'unchanged' });
    // For the tests that follow: meant, and said so.
    expect((await cli('deploy', 'article-2.mjs', '--leave-waiting')).stdout).toContain('WAITS  1 unfinished runs');
  });

  it('a run whose version no worker has says so, as does the doctor, and goes on when it is migrated', async () => {
    project.begin(['worker', 'article-2.mjs', '--url', url, '--json']);
    await until(
      'the worker is there',
      async () => (await json('workers')).find((one) => one['connected'] === true) ?? null,
    );
    expect(await shown()).toMatchObject({ served: false });
    const text = (await cli('runs', 'show', run)).stdout;
    expect(text).toContain('No connected worker has workflow article for runs without version.');
    const doctor = await cli('doctor');
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toContain('article without version');
    expect((await cli('runs', 'migrate', run)).code).toBe(2);
    const unknown = await cli('runs', 'migrate', run, '--to', '7');
    expect(unknown).toMatchObject({ code: 1 });
    expect(unknown.stderr).toContain('RUN_NOT_MIGRATABLE');
    expect(await json('runs', 'migrate', run, '--to', '2')).toEqual([{ id: run, outcome: 'done' }]);
    await until('the run has ended', async () => ((await shown())['state'] === 'succeeded' ? true : null));
    expect(await shown()).toMatchObject({ version: '2', served: null });
    expect((await json('runs', 'list', '--version', '2')).map(({ id }) => id)).toEqual([run]);
    expect(await json('runs', 'list', '--version', '')).toEqual([]);
    expect((await cli('doctor')).code).toBe(0);
  });
});
