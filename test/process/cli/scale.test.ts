/** `eventspine scale` with real workers: it follows the backlog, and whatever becomes of it, it leaves nothing behind. */
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { type Child, endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { jsonLines, listening, Project } from './project.js';

let project: Project;
/** Every worker that a supervisor of the test has told of; whatever a failed test leaves is ended. */
let supervisors: Child[] = [];

afterEach(async () => {
  // Supervisors first, since they would start others; not awaited, since orphans hold the output of the dead.
  for (const supervisor of supervisors) supervisor.process.kill('SIGKILL');
  for (const pid of supervisors.flatMap(workersOf).filter(isAlive)) killGroup(pid);
  supervisors = [];
  await endAll();
  project.remove();
});

type Event = Readonly<Record<string, unknown>> & { readonly event: string };

function events(supervisor: Child, name?: string): Event[] {
  const all = jsonLines(supervisor.lines.join('\n')) as Event[];
  return name === undefined ? all : all.filter(({ event }) => event === name);
}

function workersOf(supervisor: Child): number[] {
  return events(supervisor, 'started').map(({ pid }) => Number(pid));
}

/** Whether a process is still there, not counting those that only wait to be reaped. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** A worker leads a group, in which everything is that it has started. */
function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

async function serve(): Promise<string> {
  return await listening(project.begin(['serve', '--port', '0', '--store', 'jobs.db', '--json']));
}

function scale(app: string, url: string, args: readonly string[], environment: Record<string, string> = {}): Child {
  const flags = ['--url', url, '--every', '100ms', '--json', ...args];
  const supervisor = project.begin(['scale', app, ...flags], environment);
  supervisors.push(supervisor);
  return supervisor;
}

async function start(url: string, workflow: string, input: unknown): Promise<string> {
  const answer = await until(`${workflow} is known`, async () => {
    const result = await project.run('run', workflow, JSON.stringify(input), '--url', url, '--json');
    return result.code === 0 ? result : null;
  });
  return String(jsonLines(answer.stdout)[0]?.['id']);
}

function executions(): { readonly run: string; readonly number: number }[] {
  const file = project.path('executions.jsonl');
  return existsSync(file) ? (jsonLines(readFileSync(file, 'utf8')) as { run: string; number: number }[]) : [];
}

const alive = (supervisor: Child): number => workersOf(supervisor).filter(isAlive).length;

describe('scale', () => {
  it('follows the backlog up and, after the window, down to none and up again, and no work is lost or repeated', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const url = await serve();
    const supervisor = scale(
      'jobs.mjs',
      url,
      ['--min', '0', '--max', '3', '--target', '4', '--window', '2s', '--slots', '4'],
      {
        EXECUTIONS: project.path('executions.jsonl'),
      },
    );
    const first = await start(url, 'pieces', { count: 30, ms: 300 });
    await until('all three are at work', () => (alive(supervisor) === 3 ? true : null));
    expect((await project.run('runs', 'watch', first, '--url', url)).code).toBe(0);
    await until('none is left', () => (alive(supervisor) === 0 ? true : null), 40_000);
    // Asleep, but a new run wakes it up.
    const second = await start(url, 'pieces', { count: 3, ms: 5 });
    expect((await project.run('runs', 'watch', second, '--url', url)).code).toBe(0);
    const done = executions().map((one) => `${one.run} ${one.number}`);
    expect([new Set(done).size, done.length]).toEqual([33, 33]);

    const scaled = events(supervisor, 'scaled');
    expect(scaled.map(({ to }) => Number(to)).every((to) => to >= 0 && to <= 3)).toBe(true);
    expect(scaled.map(({ to }) => to)).toContain(3);
    expect(scaled.map(({ to }) => to)).toContain(0);
    expect(events(supervisor, 'killed')).toEqual([]);
    expect(events(supervisor, 'crashed')).toEqual([]);
    await supervisor.kill('SIGTERM');
    expect(await supervisor.exited).toBe(0);
    expect(alive(supervisor)).toBe(0);
    expect(events(supervisor).at(-1)).toEqual({ event: 'stopped' });
    expect((await project.run('doctor', '--url', url)).code).toBe(0);
  }, 120_000);

  it('hands its options on to the workers, and the token not on their command line', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const server = project.begin(['serve', '--port', '0', '--store', 'jobs.db', '--json', '--token', 'secret-4711']);
    const url = await listening(server);
    const supervisor = scale('jobs.mjs', url, ['--only', 'greet', '--slots', '7', '--max', '2'], {
      EVENTSPINE_TOKEN: 'secret-4711',
    });
    const workers = await until('a worker is there', async () => {
      const shown = await project.run('workers', '--url', url, '--token', 'secret-4711', '--json');
      return jsonLines(shown.stdout).length > 0 ? jsonLines(shown.stdout) : null;
    });
    expect(workers).toMatchObject([{ slots: 7, queues: ['workflow:greet'], pid: workersOf(supervisor)[0] }]);
    expect(readFileSync(`/proc/${workersOf(supervisor)[0]}/cmdline`, 'utf8')).not.toContain('secret-4711');
  });

  it('starts a worker again that was killed, and says when workers crash in a loop', async () => {
    project = new Project({ files: ['jobs.mjs', 'hostile.mjs'] });
    const url = await serve();
    const steady = scale('jobs.mjs', url, ['--max', '1']);
    await start(url, 'greet', 'x');
    process.kill(workersOf(steady)[0] ?? 0, 'SIGKILL');
    await until('another is there', () => (workersOf(steady).length === 2 ? true : null));
    expect(events(steady, 'crashed')).toMatchObject([{ how: 'signal SIGKILL', restartMs: 250 }]);

    const crashing = scale('hostile.mjs', url, ['--max', '1'], { CRASH: '1' });
    await until('it is told', () => (events(crashing, 'crash_loop').length === 1 ? true : null), 30_000);
    expect(events(crashing, 'crash_loop')).toEqual([
      { event: 'crash_loop', worker: 1, crashes: 5, how: 'exit code 7' },
    ]);
    await crashing.kill('SIGTERM');
    expect(await crashing.exited).toBe(0);
  }, 60_000);

  it('kills a worker that does not drain in time, and what that has started', async () => {
    project = new Project({ files: ['hostile.mjs'] });
    const url = await serve();
    const supervisor = scale('hostile.mjs', url, ['--max', '1', '--drain', '1s']);
    const helper = await blocked(supervisor, url);
    await supervisor.kill('SIGTERM');
    expect(await supervisor.exited).toBe(0);
    expect(events(supervisor, 'killed')).toMatchObject([{ drainMs: 1_000 }]);
    expect([alive(supervisor), isAlive(helper)]).toEqual([0, false]);
  }, 60_000);

  it('ends at once when it is asked twice, and no worker stays', async () => {
    project = new Project({ files: ['hostile.mjs'] });
    const url = await serve();
    const supervisor = scale('hostile.mjs', url, ['--max', '1']);
    const helper = await blocked(supervisor, url);
    supervisor.process.kill('SIGINT');
    await supervisor.line((line) => line.includes('"stopping"'));
    await supervisor.kill('SIGINT');
    expect(await supervisor.exited).toBe(130);
    await until('nobody is left', () => (alive(supervisor) === 0 && !isAlive(helper) ? true : null));
  }, 60_000);

  it('leaves no worker behind when it is killed itself, not even one that blocks its thread', async () => {
    project = new Project({ files: ['jobs.mjs', 'hostile.mjs'] });
    const url = await serve();
    const idle = scale('jobs.mjs', url, ['--min', '2', '--max', '2']);
    const stuck = scale('hostile.mjs', url, ['--max', '1', '--drain', '2s']);
    await start(url, 'greet', 'x');
    await until('both are there', () => (alive(idle) === 2 ? true : null));
    const helper = await blocked(stuck, url);
    // Not awaited: whoever is left behind holds the output of the dead.
    idle.process.kill('SIGKILL');
    stuck.process.kill('SIGKILL');
    try {
      await until('the idle ones are gone', () => (alive(idle) === 0 ? true : null), 10_000);
      await until('the blocked one is gone', () => (alive(stuck) === 0 && !isAlive(helper) ? true : null), 10_000);
    } finally {
      if (isAlive(helper)) process.kill(helper, 'SIGKILL');
    }
  }, 90_000);

  it('keeps its workers while the server does not answer', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const server = project.begin(['serve', '--port', '0', '--store', 'jobs.db', '--json']);
    const url = await listening(server);
    const supervisor = scale('jobs.mjs', url, ['--min', '0', '--max', '2', '--window', '3s']);
    await start(url, 'greet', 'x');
    await server.kill('SIGKILL');
    await supervisor.line((line) => line.includes('"unmeasured"'));
    const again = project.begin(['serve', '--port', new URL(url).port, '--store', 'jobs.db', '--json']);
    await listening(again);
    await supervisor.line((line) => line.includes('"measured"'));
    expect(events(supervisor, 'scaled')).toEqual([]);
    await until('it lets go of the worker', () => (alive(supervisor) === 0 ? true : null), 30_000);
  }, 90_000);

  it.each([
    [['scale', 'jobs.mjs', '--min', '3', '--max', '2'], 2, '--min 3 is above --max 2'],
    [['scale', 'jobs.mjs', '--max', '0'], 2, '--max'],
    [['scale', 'jobs.mjs', '--every', 'soon'], 1, 'DURATION_INVALID'],
    [['scale', 'jobs.mjs', '--only', 'peice'], 2, 'piece'],
    [['scale', 'nothing.mjs'], 1, 'APP_NOT_LOADED'],
  ])('%j ends with %i before any worker is started', async (args, code, says) => {
    project = new Project({ files: ['jobs.mjs'] });
    const result = await project.run(...args);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(says);
  });

  it('ends when the server refuses to tell the backlog', async () => {
    project = new Project({ files: ['jobs.mjs'] });
    const server = project.begin(['serve', '--port', '0', '--store', 'jobs.db', '--json', '--token', 'right']);
    const url = await listening(server);
    const result = await project.run('scale', 'jobs.mjs', '--url', url, '--token', 'wrong', '--json');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('UNAUTHENTICATED');
    const pids = (jsonLines(result.stdout) as Event[]).filter(({ event }) => event === 'started').map(({ pid }) => pid);
    expect(pids.map(Number).filter(isAlive)).toEqual([]);
  });
});

/** Blocks a worker; resolves to the process that it has started before. */
async function blocked(supervisor: Child, url: string): Promise<number> {
  await start(url, 'block', null);
  return await until('a worker is blocked', () => {
    const told = supervisor.errors.map((line) => /^blocked \d+ with (\d+)$/.exec(line)?.[1]).find(Boolean);
    return told === undefined ? null : Number(told);
  });
}
