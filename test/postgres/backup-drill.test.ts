/**
 * The restore drill on PostgreSQL, twice: a dump under load that is put back into a new database, and a copy of the
 * server's files under load that takes the place of the server's own. Each with a server of its own.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { startPostgres } from '../../scripts/postgres.mjs';
import { Project } from '../process/cli/project.js';
import { Drill } from '../process/support/drill.js';
import { endAll } from '../process/support/processes.js';
import { expectRestored } from '../process/support/restored.js';
import { describeUnless } from '../skip.js';
import { noPostgres, serverUrl } from './places.js';

let project: Project;
let cleanUp: () => Promise<void> = async () => undefined;

afterEach(async () => {
  await endAll();
  await cleanUp();
  project.remove();
});

/** Load on a store for a while, with the backup in its middle; then everything of ours is killed. */
async function loadAround(
  url: string,
  take: () => Promise<void>,
): Promise<{ drill: Drill; fromAt: number; untilAt: number }> {
  project = new Project({ files: ['moving.mjs'] });
  const drill = new Drill(project);
  await drill.serve(url);
  await drill.work();
  drill.beginLoad();
  await drill.acknowledged(40);
  const fromAt = Date.now();
  await take();
  const untilAt = Date.now();
  await new Promise((wake) => setTimeout(wake, 2_000));
  await drill.endLoad();
  await drill.stop('SIGKILL');
  return { drill, fromAt, untilAt };
}

async function goOn(
  drill: Drill,
  url: string,
  taken: { fromAt: number; untilAt: number },
  what: string,
): Promise<void> {
  await drill.serve(url);
  await drill.work();
  const lost = await expectRestored(drill, taken);
  expect(await epochOf(url)).toBeGreaterThan(1_000);
  console.log(`${what}: ${drill.started.length} runs acknowledged, ${lost} of them after it and lost`);
}

async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

async function epochOf(url: string): Promise<number> {
  const [row] = await query(url, "SELECT value::int AS epoch FROM eventspine.meta WHERE key = 'epoch'");
  return Number(row?.['epoch']);
}

const dumps = noPostgres === null ? dumpTools() : null;

/** A folder with `pg_dump` and `pg_restore`, and their major version; null where there are none. */
function dumpTools(): { readonly folder: string; readonly major: number } | null {
  const debian = '/usr/lib/postgresql';
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    ...(existsSync(debian) ? readdirSync(debian).map((major) => join(debian, major, 'bin')) : []),
  ];
  const found = folders.flatMap((folder) => {
    if (!existsSync(join(folder, 'pg_dump')) || !existsSync(join(folder, 'pg_restore'))) return [];
    const { stdout } = spawnSync(join(folder, 'pg_dump'), ['--version'], { encoding: 'utf8' });
    const major = Number(/ (\d+)/.exec(stdout ?? '')?.[1] ?? 0);
    return major === 0 ? [] : [{ folder, major }];
  });
  return found.sort((a, b) => b.major - a.major)[0] ?? null;
}

/** A server that the tools can dump: that of the suite, else the system's own, which is as old as they are. */
async function dumpableServer(
  major: number,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> } | null> {
  const [row] = await query(serverUrl(), "SELECT current_setting('server_version_num')::int / 10000 AS major");
  if (Number(row?.['major']) <= major) return { url: serverUrl(), stop: async () => undefined };
  const before = process.env['EVENTSPINE_POSTGRES'];
  process.env['EVENTSPINE_POSTGRES'] = 'system';
  try {
    const server = await startPostgres();
    return server.url === null ? null : { url: server.url, stop: () => server.stop() };
  } finally {
    if (before === undefined) delete process.env['EVENTSPINE_POSTGRES'];
    else process.env['EVENTSPINE_POSTGRES'] = before;
  }
}

const noDumps = noPostgres ?? (dumps === null ? 'there is no pg_dump on this system' : null);

describeUnless(noDumps, 'a dump of PostgreSQL', () => {
  it('is taken under load, put back into a new database, and gone on with', async (context) => {
    if (dumps === null) return;
    const server = await dumpableServer(dumps.major);
    if (server === null) return context.skip('pg_dump is older than every server there is');
    const suffix = `${process.pid}_${Date.now()}`;
    const [original, restored] = [`dumped_${suffix}`, `restored_${suffix}`];
    cleanUp = async () => {
      for (const name of [original, restored])
        await query(server.url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).catch(() => undefined);
      await server.stop();
    };
    const urlOf = (name: string): string => new URL(`/${name}`, server.url).href;
    await query(server.url, `CREATE DATABASE ${original} TEMPLATE template0 ENCODING 'UTF8'`);
    const tool = (name: string, ...args: string[]): void => {
      const { status, stderr } = spawnSync(join(dumps.folder, name), args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`${name}: ${stderr}`);
    };
    const file = join(tmpdir(), `eventspine-${suffix}.dump`);
    try {
      const { drill, ...taken } = await loadAround(urlOf(original), async () =>
        tool('pg_dump', '--format=custom', `--file=${file}`, urlOf(original)),
      );
      const before = await epochOf(urlOf(original));
      // The disaster: the database is gone.
      await query(server.url, `DROP DATABASE ${original} WITH (FORCE)`);
      await query(server.url, `CREATE DATABASE ${restored} TEMPLATE template0 ENCODING 'UTF8'`);
      tool('pg_restore', '--no-owner', '--exit-on-error', `--dbname=${urlOf(restored)}`, file);
      await goOn(drill, urlOf(restored), taken, 'dump under load');
      expect(await epochOf(urlOf(restored))).toBeGreaterThan(before);
    } finally {
      rmSync(file, { force: true });
    }
  }, 180_000);
});

const noFiles = noPostgres ?? (process.env['DATABASE_URL'] ? 'the files of a given server are not ours to copy' : null);

describeUnless(noFiles, 'a copy of the files of PostgreSQL', () => {
  it('is taken under load, takes the place of the files, and is gone on with once it is said to be one', async () => {
    const server = await startPostgres();
    if (server.url === null) throw new Error('there was a server a moment ago');
    cleanUp = () => server.stop();
    const { data, folder, start } = server;
    if (data === undefined || folder === undefined || start === undefined) throw new Error('the server is not ours');
    const copy = join(folder, 'copy');
    const { drill, ...taken } = await loadAround(server.url, () => copyFiles(server.url, data, copy));
    process.kill(Number(server.pid), 'SIGKILL');
    await server.ended;
    rmSync(data, { recursive: true, force: true });
    renameSync(copy, data);
    await start();
    const said = await project.run('restored', '--store', server.url);
    expect([said.code, said.stderr]).toEqual([0, '']);
    await goOn(drill, server.url, taken, 'copy of the files under load');
  }, 180_000);
});

/** The way of the manual without any tool (Continuous Archiving, "Making a Base Backup Using the Low Level API"). */
async function copyFiles(url: string, data: string, to: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("SELECT pg_backup_start('drill', true)");
    // Files may change and vanish meanwhile; the log mends that.
    spawnSync('cp', ['-a', data, to]);
    const { rows } = await client.query('SELECT labelfile FROM pg_backup_stop(false)');
    for (const name of ['postmaster.pid', 'postmaster.opts', 'pg_wal'])
      rmSync(join(to, name), { recursive: true, force: true });
    spawnSync('cp', ['-a', join(data, 'pg_wal'), join(to, 'pg_wal')]);
    const label = join(to, 'backup_label');
    writeFileSync(label, String((rows[0] as { labelfile: string }).labelfile));
    // The copy is the server's, whoever made it.
    spawnSync('chown', ['--reference', join(data, 'PG_VERSION'), label]);
  } finally {
    await client.end();
  }
}
