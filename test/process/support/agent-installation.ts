/** One server and one worker with agents in processes of their own; the worker is killed and replaced. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunEventView, RunView } from '../../../src/protocol/http.js';
import { script, type Child } from './processes.js';
import { freePort } from '../../support/free-port.js';

export class AgentInstallation {
  readonly url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'eventspine-agents-'));
  readonly #environment: Readonly<Record<string, string>>;
  readonly #program: string;
  readonly #server: Child;
  #worker: Child;

  private constructor(port: number, environment: Readonly<Record<string, string>>, program: string) {
    this.#program = program;
    this.url = `http://127.0.0.1:${port}`;
    this.#environment = { ...environment, EXECUTIONS: join(this.#folder, 'executions.jsonl') };
    this.#server = script('server.mjs', [join(this.#folder, 'store.db'), String(port)]);
    this.#worker = this.#startWorker();
  }

  /** `program`: of the worker. */
  static async begin(
    environment: Readonly<Record<string, string>>,
    program = 'ai-worker.mjs',
  ): Promise<AgentInstallation> {
    const made = new AgentInstallation(await freePort(), environment, program);
    await made.#server.line((line) => line.startsWith('ready'));
    await made.#worker.line((line) => line === 'ready', 60_000);
    return made;
  }

  /** Kills the worker and starts another, which takes over when the first is known to be dead. */
  async killWorker(): Promise<void> {
    await this.#worker.kill('SIGKILL');
    this.#worker = this.#startWorker();
    await this.#worker.line((line) => line === 'ready', 60_000);
  }

  async start(workflow: string, input: object): Promise<string> {
    return ((await this.post(`/v1/workflows/${workflow}/runs`, input)) as { id: string }).id;
  }

  async run(id: string): Promise<RunView> {
    return (await this.get(`/v1/runs/${id}`)) as RunView;
  }

  async history(id: string): Promise<readonly RunEventView[]> {
    return ((await this.get(`/v1/runs/${id}/history?limit=500`)) as { items: readonly RunEventView[] }).items;
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
        if (Date.now() > until) throw new Error(`run ${id} is still ${view.state}: ${JSON.stringify(view.waitingFor)}`);
        await new Promise((wake) => setTimeout(wake, 30));
      }
    }
    return views;
  }

  /** How often a tool has run, by the key of its call. */
  executionsOf(tool: string): ReadonlyMap<string, number> {
    const file = this.#environment['EXECUTIONS'] ?? '';
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    const counts = new Map<string, number>();
    for (const line of lines.filter((one) => one.endsWith('}'))) {
      const { tool: of, key } = JSON.parse(line) as { readonly tool: string; readonly key: string };
      if (of === tool) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  }

  async get(path: string): Promise<unknown> {
    return await answered(await fetch(this.url + path, { signal: AbortSignal.timeout(10_000) }));
  }

  async post(path: string, body: object = {}): Promise<unknown> {
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(10_000) };
    return await answered(await fetch(this.url + path, init));
  }

  async end(): Promise<void> {
    await Promise.all([this.#server, this.#worker].map((child) => child.kill('SIGKILL')));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #startWorker(): Child {
    return script(this.#program, [this.url], this.#environment);
  }
}

async function answered(answer: Response): Promise<unknown> {
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status} ${await answer.text()}`);
  return await answer.json();
}
