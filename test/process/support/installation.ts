/** A whole installation in processes of its own: one server on SQLite, some workers, and a client that remembers. */
import { mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunEventView, RunView } from '../../../src/protocol/http.js';
import { script, type Child } from './processes.js';
import { freePort } from '../../support/free-port.js';

export interface Execution {
  readonly run: string;
  readonly path: string;
  readonly at: number;
  readonly pid: number;
}

export class Installation {
  readonly folder = mkdtempSync(join(tmpdir(), 'eventspine-process-'));
  readonly url: string;
  readonly workers: Child[] = [];
  server: Child;
  readonly #port: number;

  private constructor(port: number) {
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.server = this.#startServer();
  }

  static async begin(workers: number): Promise<Installation> {
    const made = new Installation(await freePort());
    await made.server.line((line) => line.startsWith('ready'));
    for (let i = 0; i < workers; i++) made.workers.push(made.#startWorker());
    await Promise.all(made.workers.map((worker) => worker.line((line) => line === 'ready')));
    return made;
  }

  async killServer(): Promise<void> {
    await this.server.kill('SIGKILL');
    this.server = this.#startServer();
    await this.server.line((line) => line.startsWith('ready'));
  }

  async killWorker(i: number): Promise<void> {
    await this.workers[i]?.kill('SIGKILL');
    this.workers[i] = this.#startWorker();
  }

  /** Starts a run; asks again with the same key until somebody answers. */
  async start(key: string, value: number): Promise<string> {
    for (let attempt = 0; attempt < 200; attempt++) {
      try {
        const answer = await fetch(`${this.url}/v1/workflows/chain/runs`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': key },
          body: JSON.stringify({ value }),
          signal: AbortSignal.timeout(3_000),
        });
        if (answer.status === 202) return ((await answer.json()) as { id: string }).id;
        if (answer.status < 500 && answer.status !== 404)
          throw new Unexpected(`${answer.status} ${await answer.text()}`);
      } catch (error) {
        if (error instanceof Unexpected) throw error;
      }
      await new Promise((wake) => setTimeout(wake, 50));
    }
    throw new Unexpected('nobody answers');
  }

  async run(id: string): Promise<RunView> {
    return (await this.get(`/v1/runs/${id}`)) as RunView;
  }

  async history(id: string): Promise<readonly RunEventView[]> {
    return ((await this.get(`/v1/runs/${id}/history?limit=500`)) as { items: readonly RunEventView[] }).items;
  }

  async get(path: string): Promise<unknown> {
    const answer = await fetch(this.url + path, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Unexpected(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** Waits until every run has ended. */
  async ended(ids: readonly string[], ms: number): Promise<RunView[]> {
    const until = Date.now() + ms;
    const views: RunView[] = [];
    for (const id of ids) {
      for (;;) {
        const view = await this.run(id);
        if (view.endedAt !== null) {
          views.push(view);
          break;
        }
        if (Date.now() > until)
          throw new Unexpected(`run ${id} is still ${view.state}: ${JSON.stringify(view.waitingFor)}`);
        await new Promise((wake) => setTimeout(wake, 50));
      }
    }
    return views;
  }

  executions(): Execution[] {
    const file = this.#executionsFile;
    if (!existsSync(file)) return [];
    // A killed writer may leave half a line at the very end of its own write; appends are atomic otherwise.
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Execution);
  }

  async end(): Promise<void> {
    await Promise.all([this.server, ...this.workers].map((child) => child.kill('SIGKILL')));
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #executionsFile(): string {
    return join(this.folder, 'executions.jsonl');
  }

  #startServer(): Child {
    return script('server.mjs', [join(this.folder, 'spine.db'), String(this.#port)]);
  }

  #startWorker(): Child {
    return script('worker.mjs', [this.url], { EXECUTIONS: this.#executionsFile });
  }
}

class Unexpected extends Error {}
