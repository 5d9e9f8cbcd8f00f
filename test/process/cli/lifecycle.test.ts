/** Commands that run on: who owns a file, what a drain leaves, who outlives whom. Counted outside of the system. */
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../support/free-port.js';
import { type Child, endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { jsonLines, listening, Project } from './project.js';

/** A drain of idle or nearly idle processes; far below the grace that they have. */
const drainMsMax = 8_000;

let project: Project;

afterEach(async () => {
  await endAll();
  project.remove();
});

/** A server on a port of its own, so that it can be started again where its workers look for it. */
async function serve(port: number): Promise<{ readonly server: Child; readonly url: string }> {
  const server = project.begin(['serve', '--port', String(port), '--store', 'jobs.db', '--json']);
  return { server, url: await listening(server) };
}

async function worker(url: string, only: string): Promise<Child> {
  const child = project.begin(['worker', 'jobs.mjs', '--url', url, '--only', only, '--slots', '2', '--json'], {
    EXECUTIONS: project.path('executions.jsonl'),
  });
  await child.line((line) => line.includes('"working"'));
  return child;
}

async function start(url: string, workflow: string, input: unknown): Promise<string> {
  const result = await project.run('run', workflow, JSON.stringify(input), '--url', url, '--json');
  expect(result.stderr).toBe('');
  return String(jsonLines(result.stdout)[0]?.['id']);
}

/** Sends SIGTERM and measures how long the process takes, and how it ends. */
async function drained(child: Child): Promise<{ readonly code: number | null; readonly ms: number }> {
  const begun = performance.now();
  child.process.kill('SIGTERM');
  return { code: await child.exited, ms: performance.now() - begun };
}

describe('a server and its workers', () => {
  it('share the work by what each offers', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const { server, url } = await serve(0);
    await Promise.all([worker(url, 'pieces,greet'), worker(url, 'piece')]);
    const run = await start(url, 'pieces', { count: 5, ms: 5 });
    const watched = await project.run('runs', 'watch', run, '--url', url);
    expect(watched.code, watched.stdout).toBe(0);
    const workers = jsonLines((await project.run('workers', '--url', url, '--json')).stdout);
    expect(workers.map((one) => (one['queues'] as string[]).join(' ')).sort()).toEqual([
      'capability:piece',
      'workflow:greet workflow:pieces',
    ]);
    expect((await drained(server)).code).toBe(0);
  });

  it('refuse a name that the app does not have, and say which it has', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const result = await project.run('worker', 'jobs.mjs', '--only', 'peice');
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('piece');
  });

  it('drain on SIGTERM: what is in flight is finished once, the rest goes on elsewhere', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const port = await freePort();
    let { server, url } = await serve(port);
    const bodies = await worker(url, 'pieces,nap');
    const first = await worker(url, 'piece');
    const napping = await start(url, 'nap', null);
    const runs = await Promise.all([1, 2].map(() => start(url, 'pieces', { count: 12, ms: 150 })));
    await first.line((line) => line.startsWith('begun'));

    const firstDrain = await drained(first);
    expect(firstDrain.code).toBe(0);
    expect(firstDrain.ms).toBeLessThan(drainMsMax);
    const inFlight = first.lines.filter((line) => line.startsWith('begun')).length;
    expect(executions().filter((one) => one.pid === first.pid)).toHaveLength(inFlight);

    // Now the one that holds bodies, one of them asleep for an hour, and then the server, both with work under way.
    const second = await worker(url, 'piece');
    await second.line((line) => line.startsWith('begun'));
    const bodiesDrain = await drained(bodies);
    expect(bodiesDrain.code).toBe(0);
    expect(bodiesDrain.ms).toBeLessThan(drainMsMax);
    const serverDrain = await drained(server);
    expect(serverDrain.code).toBe(0);
    expect(serverDrain.ms).toBeLessThan(15_000);

    ({ server, url } = await serve(port));
    await worker(url, 'pieces,nap');
    for (const run of runs) {
      const watched = await project.run('runs', 'watch', run, '--url', url);
      expect(watched.code, watched.stdout).toBe(0);
    }
    const done = executions().map((one) => `${one.run} ${one.number}`);
    expect(new Set(done).size, 'lost').toBe(24);
    expect(done.length, 'repeated').toBe(24);
    const [nap] = jsonLines((await project.run('runs', 'show', napping, '--url', url, '--json')).stdout);
    expect(nap).toMatchObject({ endedAt: null });
    expect(JSON.stringify(nap?.['waitingFor'])).toContain('timer');
    expect((await project.run('doctor', '--url', url)).code, 'stranded').toBe(0);
  }, 90_000);
});

describe('a store file', () => {
  it('has one server: a second is refused with the address of the first, and so is doctor --store', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const port = await freePort();
    const { server, url } = await serve(port);
    const second = await project.run('serve', '--port', '0', '--store', 'jobs.db');
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('STORE_OWNED');
    expect(second.stderr).toContain(url);
    expect(second.stderr).toContain('--url');
    const asJson = await project.run('start', 'jobs.mjs', '--port', '0', '--store', 'jobs.db', '--json');
    expect(asJson.code).toBe(1);
    expect(jsonLines(asJson.stderr)).toMatchObject([{ error: { code: 'STORE_OWNED' } }]);
    const held = await project.run('doctor', '--store', 'jobs.db');
    expect(held.code).toBe(1);
    expect(held.stderr).toContain('STORE_OWNED');

    await drained(server);
    const free = await project.run('doctor', '--store', 'jobs.db', '--json');
    expect(free.code, free.stderr).toBe(0);
    const [view] = jsonLines(free.stdout);
    const checks = view?.['checks'] as { ok: boolean }[] | undefined;
    expect(checks?.every((check) => check.ok)).toBe(true);
  });

  it('is free again when its server was killed', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const { server } = await serve(0);
    await server.kill('SIGKILL');
    expect((await project.run('doctor', '--store', 'jobs.db')).code).toBe(0);
    const { server: next } = await serve(0);
    expect((await drained(next)).code).toBe(0);
  });

  it('is not made by a doctor who is given a wrong name', async () => {
    project = new Project({ files: [] });
    const result = await project.run('doctor', '--store', 'jbos.db');
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('jbos.db');
    expect(existsSync(project.path('jbos.db'))).toBe(false);
  });
});

describe('a server address', () => {
  it('that is taken is refused in words', async () => {
    project = new Project({ files: [] });
    const port = await freePort();
    await serve(port);
    const second = await project.run('serve', '--port', String(port), '--store', 'other.db');
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(String(port));
    expect(second.stderr).not.toMatch(/^ +at /m);
  });
});

interface Execution {
  readonly run: string;
  readonly number: number;
  readonly pid: number;
}

function executions(): Execution[] {
  const file = project.path('executions.jsonl');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Execution);
}

describe('a worker', () => {
  it('waits for a server that is not there yet', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const port = await freePort();
    const early = project.begin(['worker', 'jobs.mjs', '--url', `http://127.0.0.1:${port}`, '--json']);
    await early.line((line) => line.includes('"connecting"'));
    const { url } = await serve(port);
    await early.line((line) => line.includes('"working"'));
    const result = await until('the workflow is known', async () => {
      const asked = await project.run('run', 'greet', '"Ada"', '--wait', '--url', url);
      return asked.code === 0 ? asked : null;
    });
    expect(result.stdout).toBe('"Hello, Ada!"\n');
  });
});
