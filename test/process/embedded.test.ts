/**
 * The spine inside of an application that is killed again and again: what it accepted goes on in the next life of the
 * application, and no step whose result is recorded runs again.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { DoctorView, PageView, RunEventView, RunView, WorkerView } from '../../src/protocol/http.js';
import { endAll, nightly, script, type Child } from './support/processes.js';
import { until } from './support/until.js';

const folder = mkdtempSync(join(tmpdir(), 'eventspine-embedded-'));
const executionsFile = join(folder, 'executions.jsonl');
const lives = nightly ? 100 : 8;

afterEach(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

function begin(runs: number): Child {
  return script('embedded.mjs', [join(folder, 'spine.db'), String(runs)], { EXECUTIONS: executionsFile });
}

async function addressOf(child: Child): Promise<string> {
  return (await child.line((line) => line.startsWith('ready'))).slice('ready '.length);
}

async function read<T>(address: string, path: string): Promise<T> {
  const answer = await fetch(address + path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

interface Execution {
  readonly run: string;
  readonly path: string;
  readonly at: number;
}

function executions(): Execution[] {
  if (!existsSync(executionsFile)) return [];
  // A killed writer may leave half a line at its end.
  const lines = readFileSync(executionsFile, 'utf8').split('\n');
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Execution);
}

describe('an application with an embedded spine', () => {
  it('that is killed in mid-work goes on when it is started again', async () => {
    const accepted: string[] = [];
    for (let life = 0; life < lives; life++) {
      const child = begin(12);
      await addressOf(child);
      // Not when it is idle: only after work has been done in this life.
      const before = executions().length;
      await until('work', () => (executions().length > before + 5 + life * 3 ? true : null));
      await child.kill('SIGKILL');
      accepted.push(...child.lines.filter((line) => line.startsWith('run ')).map((line) => line.slice('run '.length)));
    }
    const address = await addressOf(begin(0));
    // Nobody waits for the worker of a life that is over to fall silent.
    expect(await read<PageView<WorkerView>>(address, '/v1/workers')).toMatchObject({ items: [{}] });
    const endOf = (id: string): Promise<RunView> =>
      until(`the end of ${id}`, async () => {
        const found = await read<RunView>(address, `/v1/runs/${id}`);
        return found.endedAt === null ? null : found;
      });
    for (const id of accepted) {
      let view = await endOf(id);
      // Whose process has died four times before it came any further was put before a person, who sends it back.
      if (view.failure?.code === 'WORKER_LOST') {
        expect((await fetch(`${address}/v1/runs/${id}/retry`, { method: 'POST' })).ok).toBe(true);
        view = await endOf(id);
      }
      expect([view.id, view.state, view.failure]).toEqual([id, 'succeeded', null]);
    }
    expect(accepted.length).toBeGreaterThan(lives);
    const done = executions();
    const late: unknown[] = [];
    for (const id of accepted) {
      const { items } = await read<PageView<RunEventView>>(address, `/v1/runs/${id}/history?limit=500`);
      expect(items.map((event) => event.seq)).toEqual(items.map((_, i) => i + 1));
      for (const { type, at, data } of items) {
        if (type !== 'step.completed') continue;
        const { path } = data as { readonly path: string };
        const own = done.filter((one) => one.run === id && one.path === nameOf(path));
        expect(own.length).toBeGreaterThan(0);
        late.push(...own.filter((one) => one.at > Date.parse(at) + 5));
      }
    }
    expect(late).toEqual([]);
    const doctor = await read<DoctorView>(address, '/v1/doctor');
    expect(doctor.checks.filter((check) => !check.ok)).toEqual([]);
  });
});

/** The name under which the app writes a step down. */
function nameOf(path: string): string {
  const part = /^parts:(\d+)\//.exec(path);
  return part === null ? path : `parts:${part[1]}`;
}
