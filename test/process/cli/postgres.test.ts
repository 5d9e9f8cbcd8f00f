/** The command line over PostgreSQL: what a server says, and how it ends, when its database cannot be worked with any more. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Database, databaseMissing } from '../../campaign/support/database.js';
import { describeUnless } from '../../skip.js';
import { freePort } from '../../support/free-port.js';
import { type Child, endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { jsonLines, listening, Project } from './project.js';

let project: Project;
let database: Database;
let folder: string;
let server: Supervised | null = null;

afterEach(async () => {
  server?.stop();
  server = null;
  await endAll();
  await database.end();
  project.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function installed(): Promise<void> {
  project = new Project({ files: ['jobs.mjs'] });
  folder = mkdtempSync(join(tmpdir(), 'eventspine-cli-postgres-'));
  database = await Database.make({ folder });
  await database.start();
}

function serve(port: number): Child {
  return project.begin(['serve', '--port', String(port), '--store', database.url, '--json']);
}

/** What a service manager does: whatever ends with an error is started again. */
class Supervised {
  readonly ends: { readonly code: number | null; readonly said: string }[] = [];
  child: Child;
  readonly #start: () => Child;
  #stopped = false;

  constructor(start: () => Child) {
    this.#start = start;
    this.child = this.#watched();
  }

  stop(): void {
    this.#stopped = true;
  }

  #watched(): Child {
    const child = this.#start();
    void child.exited.then((code) => {
      if (this.#stopped) return;
      this.ends.push({ code, said: child.errors.join('\n') });
      this.child = this.#watched();
    });
    return child;
  }
}

/** Starts a run and waits for its end. */
async function greeted(url: string, name: string): Promise<string> {
  const started = await project.run('run', 'greet', JSON.stringify(name), '--url', url, '--json');
  expect(started.stderr).toBe('');
  const id = String(jsonLines(started.stdout)[0]?.['id']);
  expect((await project.run('runs', 'watch', id, '--url', url)).code).toBe(0);
  return id;
}

describeUnless(databaseMissing(), 'a server over PostgreSQL', () => {
  it('ends with STORE_FAILED where the database has lost what it had acknowledged, and goes on when started again', async () => {
    await installed();
    const port = await freePort();
    server = new Supervised(() => serve(port));
    const url = await listening(server.child);
    const worker = project.begin(['worker', 'jobs.mjs', '--url', url, '--json']);
    await worker.line((line) => line.includes('"working"'));
    const kept = await greeted(url, 'Ada');
    // An older state of all its files comes back: a failover to a standby that lagged, or a snapshot of the disk.
    await database.stop();
    database.keepFiles(join(folder, 'older'));
    await database.start();
    const lost = await until('a run after that', () => greeted(url, 'Grace'));
    await database.stop();
    database.putBackFiles(join(folder, 'older'));
    await database.start();

    const end = await until('the server ends', () => server?.ends[0] ?? null, 30_000);
    expect(end.code).toBe(1);
    expect(end.said).toContain('STORE_FAILED');
    expect(end.said).toContain('has lost what it had acknowledged');
    // The mend.
    expect(end.said).toContain('restart the server');

    // Begun anew, it has what the database has, and its worker finds it again.
    await until('the server is back', () => greeted(url, 'Edsger'), 30_000);
    expect((await project.run('runs', 'show', kept, '--url', url)).code).toBe(0);
    const gone = await project.run('runs', 'show', lost, '--url', url);
    expect(gone.code).toBe(4);
    expect(gone.stderr).toContain('RUN_NOT_FOUND');
    expect((await project.run('doctor', '--url', url)).code).toBe(0);
    expect(server.ends).toHaveLength(1);
  }, 120_000);

  it('stays, and says that it is not ready, while the database is away; goes on when it is back', async () => {
    await installed();
    const only = serve(await freePort());
    const url = await listening(only);
    const worker = project.begin(['worker', 'jobs.mjs', '--url', url, '--json']);
    await worker.line((line) => line.includes('"working"'));
    await greeted(url, 'Ada');
    await database.stop('immediate');
    await until(
      'not ready',
      async () => ((await fetch(`${url}/health/ready?for=intake`)).status === 503 ? true : null),
      30_000,
    );
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    await database.start();
    await until('ready', async () => ((await fetch(`${url}/health/ready?for=intake`)).status === 200 ? true : null));
    await greeted(url, 'Grace');
    expect(only.process.exitCode).toBe(null);
  }, 90_000);

  it('does not start on a schema of a version that it cannot work with: exit code, code and mend', async () => {
    await installed();
    const first = serve(await freePort());
    await listening(first);
    first.process.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    await database.sql(`UPDATE eventspine.meta SET value = 99 WHERE key IN ('schema', 'schema_from')`);
    const { code, stderr } = await project.run('serve', '--port', '0', '--store', database.url);
    expect(code).toBe(1);
    expect(stderr).toContain('STORE_TOO_NEW');
    expect(stderr).toContain('schema 99');
    expect(stderr).toContain('Upgrade Eventspine');
  }, 60_000);
});
