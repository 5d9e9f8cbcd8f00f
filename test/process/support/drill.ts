/**
 * A small installation that is stopped, moved, backed up and put back by tests: a server on any store, workers, a client
 * that knows what was acknowledged, and a record outside of the system of everything that was run.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { RunEventView, RunView } from '../../../src/protocol/http.js';
import { jsonLines, listening, type Project } from '../cli/project.js';
import type { Child } from './processes.js';
import { until } from './until.js';

export interface Executed {
  readonly run: string;
  readonly path: string;
  readonly at: number;
}

/** An acknowledged start. */
export interface Started {
  readonly key: string;
  readonly n: number;
  readonly id: string;
  /** When the answer was there, epoch ms. */
  readonly at: number;
}

export class Drill {
  readonly project: Project;
  readonly started: Started[] = [];
  url = '';
  server: Child | null = null;
  workers: Child[] = [];
  #load: { readonly stop: AbortController; readonly done: Promise<void> } | null = null;

  /** The project has `moving.mjs`. */
  constructor(project: Project) {
    this.project = project;
  }

  async serve(store: string): Promise<void> {
    this.server = this.project.begin(['serve', '--port', '0', '--store', store, '--json']);
    this.url = await listening(this.server);
  }

  async work(workers = 2): Promise<void> {
    this.workers = Array.from({ length: workers }, () =>
      this.project.begin(['worker', 'moving.mjs', '--url', this.url, '--json', '--slots', '8'], {
        EXECUTIONS: this.project.path('executions.jsonl'),
      }),
    );
    await until('the workflows are known', async () => {
      const { items } = (await this.get('/v1/workers')) as { items: readonly unknown[] };
      return items.length >= workers ? true : null;
    });
  }

  /** One start under its key; asks until it is acknowledged. */
  async start(workflow: string, n: number, input: object = {}): Promise<Started> {
    const key = `${workflow}-${n}`;
    const id = await until(`${key} is acknowledged`, async () => {
      const answer = await fetch(`${this.url}/v1/workflows/${workflow}/runs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ n, ...input }),
        signal: AbortSignal.timeout(5_000),
      });
      return answer.status === 202 || answer.status === 200 ? ((await answer.json()) as { id: string }).id : null;
    });
    return { key, n, id, at: Date.now() };
  }

  /** Starts run after run until `endLoad`. */
  beginLoad(pauseMs = 10): void {
    const stop = new AbortController();
    const load = async (): Promise<void> => {
      for (let n = this.started.length; !stop.signal.aborted; n++) {
        this.started.push(await this.start('chain', n));
        await new Promise((wake) => setTimeout(wake, pauseMs));
      }
    };
    this.#load = { stop, done: load() };
  }

  async endLoad(): Promise<void> {
    this.#load?.stop.abort();
    await this.#load?.done;
  }

  /** Waits until so many starts were acknowledged. */
  async acknowledged(count: number): Promise<void> {
    await until(`${count} starts`, () => (this.started.length >= count ? true : null), 30_000);
  }

  /** Ends workers and server in good order, or not. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.kill(signal)));
    await this.server?.kill(signal);
    this.workers = [];
    this.server = null;
  }

  async get(path: string): Promise<unknown> {
    const answer = await fetch(this.url + path, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The run; null where there is none. */
  async run(id: string): Promise<RunView | null> {
    const answer = await fetch(`${this.url}/v1/runs/${id}`, { signal: AbortSignal.timeout(10_000) });
    if (answer.status === 404) return null;
    return (await answer.json()) as RunView;
  }

  async ended(id: string, ms = 60_000): Promise<RunView> {
    return until(
      `${id} ends`,
      async () => {
        const view = await this.run(id);
        return view === null || view.endedAt === null ? null : view;
      },
      ms,
    );
  }

  async history(id: string): Promise<readonly RunEventView[]> {
    return ((await this.get(`/v1/runs/${id}/history?limit=500`)) as { items: readonly RunEventView[] }).items;
  }

  executions(): Executed[] {
    const file = this.project.path('executions.jsonl');
    if (!existsSync(file)) return [];
    const whole = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'));
    return jsonLines(whole.join('\n')) as unknown as Executed[];
  }

  /** What was begun although its result had been recorded before; none, or a promise is broken. */
  async repeated(ids: readonly string[]): Promise<unknown[]> {
    const executions = this.executions();
    const late: unknown[] = [];
    for (const id of ids) {
      for (const event of await this.history(id)) {
        if (event.type !== 'step.completed' && event.type !== 'call.completed') continue;
        const given = (event.data as { path: string }).path;
        const add = /add\W+(\d)/.exec(given);
        const path = add !== null ? `add:${add[1]}` : given.includes('last') ? 'last' : 'double';
        const recordedAt = Date.parse(event.at);
        for (const one of executions)
          if (one.run === id && one.path === path && one.at > recordedAt + 5)
            late.push({ id, path, by: one.at - recordedAt });
      }
    }
    return late;
  }

  /** The checks that do not hold. */
  async faults(): Promise<unknown[]> {
    const { checks } = (await this.get('/v1/doctor')) as { checks: readonly { ok: boolean }[] };
    return checks.filter(({ ok }) => !ok);
  }
}
