/** `eventspine migrate` with real processes: work in flight on SQLite goes on over PostgreSQL, and nothing is done twice. */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { jsonLines, Project } from '../process/cli/project.js';
import { Drill } from '../process/support/drill.js';
import { endAll } from '../process/support/processes.js';
import { until } from '../process/support/until.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

let project: Project;
let drill: Drill;
let database: string;
let url: string;

beforeEach(async () => {
  project = new Project({ files: ['moving.mjs'] });
  drill = new Drill(project);
  if (noPostgres !== null) return;
  database = `moved_${newSchema()}`;
  await sql(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'UTF8'`);
  const own = new URL(serverUrl());
  own.pathname = `/${database}`;
  url = own.href;
});

afterEach(async () => {
  await endAll();
  project.remove();
  if (noPostgres === null) await sql(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
});

describeUnless(noPostgres, 'migrate', () => {
  it('takes runs in flight along, after a stop in good order: all finish, and nothing runs twice', async () => {
    await drill.serve('spine.db');
    await drill.work();
    drill.beginLoad();
    await drill.acknowledged(40);
    const owned = await project.run('migrate', '--from', 'spine.db', '--to', url, '--json');
    expect([owned.code, owned.stderr]).toEqual([1, expect.stringContaining('STORE_OWNED')]);
    await drill.endLoad();
    await drill.stop();

    const moved = await project.run('migrate', '--from', 'spine.db', '--to', url, '--json');
    expect([moved.code, moved.stderr]).toEqual([0, '']);
    const [summary] = jsonLines(moved.stdout) as {
      rows: Record<string, number>;
      unfinishedRuns: number;
      leases: number;
      faults: unknown[];
    }[];
    expect(summary).toMatchObject({ leases: 0, faults: [], kept: false });
    expect(summary?.rows['runs']).toBe(drill.started.length);
    expect(summary?.unfinishedRuns).toBeGreaterThan(0);
    expect(moved.stdout).not.toContain('postgres@');

    // Neither a second move into what is not empty any more, nor a server on the old file.
    const again = await project.run('migrate', '--from', 'spine.db', '--to', url);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('STORE_NOT_EMPTY')]);
    const old = await project.run('serve', '--port', '0', '--store', 'spine.db');
    expect([old.code, old.stderr]).toEqual([1, expect.stringContaining('moved to another store')]);

    await drill.serve(url);
    await drill.work();
    for (const { n, id } of drill.started) {
      const view = await drill.ended(id);
      expect([view.state, (await drill.start('chain', n)).id]).toEqual(['succeeded', id]);
    }
    const done = drill.executions().map(({ run, path }) => `${run} ${path}`);
    expect(done.length).toBe(drill.started.length * 5);
    expect(new Set(done).size).toBe(done.length);
    expect(await drill.faults()).toEqual([]);
  }, 120_000);

  it('takes along what a crash has left: held tasks count as lost, and what must not be tried twice is not', async () => {
    await drill.serve('spine.db');
    await drill.work();
    const careful = await drill.start('careful', 1, { ms: 60_000 });
    drill.beginLoad();
    await until('the call is under way', () => (drill.executions().some(({ path }) => path === 'once') ? true : null));
    await drill.acknowledged(40);
    await drill.endLoad();
    await drill.stop('SIGKILL');

    const moved = await project.run('migrate', '--from', 'spine.db', '--to', url, '--json');
    expect([moved.code, moved.stderr]).toEqual([0, '']);
    const [summary] = jsonLines(moved.stdout) as { leases: number }[];
    expect(summary?.leases).toBeGreaterThan(0);

    await drill.serve(url);
    await drill.work();
    const ids = drill.started.map(({ id }) => id);
    for (const id of ids) expect((await drill.ended(id)).state).toBe('succeeded');
    expect(await drill.repeated(ids)).toEqual([]);
    const lost = await drill.ended(careful.id);
    expect(lost).toMatchObject({ state: 'failed', failure: { code: 'WORKER_LOST' } });
    expect(drill.executions().filter(({ path }) => path === 'once').length).toBe(1);
    expect(await drill.faults()).toEqual([]);
  }, 120_000);

  it('leaves the file as it is where it is told to, and says what is wrong with what it is given', async () => {
    await drill.serve('spine.db');
    await drill.stop();
    const kept = await project.run('migrate', '--from', 'spine.db', '--to', url, '--keep');
    expect([kept.code, kept.stdout]).toEqual([0, expect.stringContaining('do not serve both')]);
    await drill.serve('spine.db');
    await drill.stop();
    const usage = async (...args: string[]) => {
      const { code, stderr } = await project.run('migrate', ...args);
      return `${code} ${stderr}`;
    };
    expect(await usage('--from', 'spine.db')).toMatch(/^2 .*--to is missing/s);
    expect(await usage('--from', 'sprine.db', '--to', url)).toMatch(/^2 .*There is no file sprine\.db/s);
    expect(await usage('--from', url, '--to', url)).toMatch(/^2 .*--from must be a SQLite file/s);
    expect(await usage('--from', 'spine.db', '--to', 'spine.db')).toMatch(/^2 .*--to must be a URL/s);
    expect(existsSync(project.path('sprine.db'))).toBe(false);
  }, 60_000);
});
