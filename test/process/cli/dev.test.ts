/** `eventspine dev` on a small TypeScript app: it serves, follows edits, and leaves nothing behind. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { type Child, endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { jsonLines, listening, Project } from './project.js';

const files = ['spine.ts', 'wording.ts'];
let project: Project;

afterEach(async () => {
  await endAll();
  project.remove();
});

async function dev(...flags: string[]): Promise<{ readonly server: Child; readonly url: string }> {
  const server = project.begin(['dev', 'spine.ts', '--port', '0', '--json', ...flags]);
  return { server, url: await listening(server) };
}

async function result(url: string, workflow: string): Promise<unknown> {
  return await until(`${workflow} has run`, async () => {
    const { code, stdout } = await project.run('run', workflow, '--wait', '--json', '--url', url);
    return code === 0 ? (JSON.parse(stdout) as unknown) : null;
  });
}

/** Process ids of the workers that said they are ready, in order. */
function workerPids(server: Child): number[] {
  return server.errors.flatMap((line) => /^worker (\d+) is ready$/.exec(line)?.slice(1).map(Number) ?? []);
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

describe('dev', () => {
  it('runs an app of TypeScript, follows an edit, and lets a run that waits go on with the new code', async () => {
    project = new Project({ files });
    const { server, url } = await dev();
    expect(await result(url, 'say')).toBe('first');
    const started = await project.run('run', 'patient', '--json', '--url', url);
    const patient = String(jsonLines(started.stdout)[0]?.['id']);
    await until('it sleeps', async () =>
      (await project.run('runs', 'show', patient, '--url', url)).stdout.includes('timer') ? true : null,
    );

    // An imported file, not the one that was named on the command line.
    writeFileSync(project.path('wording.ts'), "export const wording: string = 'second';\n");
    await until('the worker is replaced', () => (workerPids(server).length === 2 ? true : null));
    expect(await result(url, 'say')).toBe('second');
    expect((await project.run('runs', 'watch', patient, '--url', url)).code).toBe(0);
    const shown = await fetch(`${url}/v1/runs/${patient}/result`);
    expect(await shown.json()).toEqual({ before: 'first', after: 'second' });

    const [old, current] = workerPids(server);
    expect(isAlive(old!)).toBe(false);
    await server.kill('SIGTERM');
    expect(await server.exited).toBe(0);
    expect(isAlive(current!)).toBe(false);
  }, 60_000);

  it('says what is wrong with an edit and goes on when it is mended', async () => {
    project = new Project({ files });
    const { server, url } = await dev();
    expect(await result(url, 'say')).toBe('first');
    writeFileSync(project.path('wording.ts'), 'export const wording: string = ;\n');
    await until('the error is told', () =>
      server.errors.some((line) => line.includes('APP_NOT_LOADED')) ? true : null,
    );
    writeFileSync(project.path('wording.ts'), "export const wording: string = 'mended';\n");
    await until('the new code runs', async () => ((await result(url, 'say')) === 'mended' ? true : null));
  }, 60_000);

  it('runs several workers, and starts one again that was killed', async () => {
    project = new Project({ files });
    const { server, url } = await dev('--workers', '2');
    await until('both are ready', () => (workerPids(server).length === 2 ? true : null));
    process.kill(workerPids(server)[0]!, 'SIGKILL');
    await until('a third is ready', () => (workerPids(server).length === 3 ? true : null));
    expect(await result(url, 'say')).toBe('first');
  }, 60_000);

  it('leaves no worker behind when it is killed itself', async () => {
    project = new Project({ files });
    const { server, url } = await dev('--workers', '2');
    await until('both are ready', () => (workerPids(server).length === 2 ? true : null));
    expect(await result(url, 'say')).toBe('first');
    const pids = workerPids(server);
    // Not awaited: whoever is left behind holds the output of the dead.
    server.process.kill('SIGKILL');
    try {
      await until('no worker is left', () => (pids.some(isAlive) ? null : true), 15_000);
    } finally {
      for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
    }
  }, 60_000);

  it.each(['module', 'commonjs', null] as const)('finds the app in a package of type %s', async (type) => {
    project = new Project({ files, type });
    const { url } = await dev();
    expect(await result(url, 'say')).toBe('first');
  });

  it('works in one process with --inline', async () => {
    project = new Project({ files });
    const { server, url } = await dev('--inline');
    expect(await result(url, 'say')).toBe('first');
    await server.kill('SIGTERM');
    expect(await server.exited).toBe(0);
  });

  it('makes no server for a file that is not there', async () => {
    project = new Project({ files });
    const missing = await project.run('dev', 'spnie.ts', '--port', '0');
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('APP_NOT_LOADED');
    expect(missing.stderr).toContain('spnie.ts');
  });
});

const strips = typeof (process.features as { readonly typescript?: unknown }).typescript === 'string';

describeUnless(strips ? 'this Node runs TypeScript by itself' : null, 'TypeScript without tsx', () => {
  it.each(['dev', 'start', 'worker'])('%s says how to get it', async (command) => {
    project = new Project({ files, tsx: false });
    const result = await project.run(command, 'spine.ts');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('TYPESCRIPT_UNSUPPORTED');
    expect(result.stderr).toContain('npm install --save-dev tsx');
    expect(result.stderr).not.toMatch(/^ +at /m);
  });
});
