/** Breakers and pauses over real servers in processes of their own, with an endpoint over HTTP that counts who calls. */
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import type { ModelView, RunView } from '../../src/protocol/http.js';
import { Child } from '../process/support/processes.js';
import { describeUnless } from '../skip.js';
import { startModelEndpoint, type ModelEndpoint } from '../support/model-endpoint/endpoint.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const program = fileURLToPath(new URL('./support/model-server.mjs', import.meta.url));

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server with its worker. */
class Server {
  readonly child: Child;
  url = '';

  constructor(schema: string, { url }: ModelEndpoint) {
    this.child = new Child(process.execPath, [program, serverUrl(), schema, url]);
    ends.push(() => this.child.kill('SIGKILL'));
  }

  async ready(): Promise<this> {
    this.url = (await this.child.line((line) => line.startsWith('ready'), 60_000)).slice('ready '.length);
    return this;
  }

  async get<T>(path: string): Promise<T> {
    const answer = await fetch(this.url + path);
    return (path === '/metrics' ? await answer.text() : await answer.json()) as T;
  }

  async start(n: number): Promise<string> {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${this.url}/v1/workflows/ask/runs`, { method: 'POST', headers, body: String(n) });
    return ((await answer.json()) as { readonly id: string }).id;
  }

  async startMany(count: number): Promise<string[]> {
    return await Promise.all(Array.from({ length: count }, (_, i) => this.start(i)));
  }

  async version(): Promise<ModelView['versions'][number] | undefined> {
    return (await this.get<ModelView>('/v1/models/writer')).versions[0];
  }

  /** A sample of the metrics. */
  async metric(sample: string): Promise<number> {
    const line = (await this.get<string>('/metrics')).split('\n').find((one) => one.startsWith(`${sample} `));
    return Number(line?.slice(sample.length) ?? 0);
  }
}

async function opened(
  endpoint: ModelEndpoint,
): Promise<{ readonly servers: [Server, Server]; readonly schema: string }> {
  const schema = newSchema();
  ends.push(() => sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`));
  // One after the other: the first one makes the schema.
  const first = await new Server(schema, endpoint).ready();
  return { servers: [first, await new Server(schema, endpoint).ready()], schema };
}

const inTime = { timeout: 30_000, interval: 25 };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const name = 'openaiCompatible.chat/m';

async function ended(server: Server, runs: readonly string[]): Promise<void> {
  for (const run of runs)
    await expect.poll(async () => (await server.get<RunView>(`/v1/runs/${run}`)).state, inTime).toBe('succeeded');
}

describeUnless(noPostgres, 'servers on one store, in processes of their own', () => {
  it('all stop calling an endpoint without capacity, survive a kill, probe one at a time, and go on when it is mended', async () => {
    const endpoint = await startModelEndpoint({ faults: [{ fault: { kind: 'status', status: 529 }, times: 1e6 }] });
    ends.push(() => endpoint.close());
    const {
      servers: [a, b],
      schema,
    } = await opened(endpoint);
    const runs = (await Promise.all([a.startMany(12), b.startMany(12)])).flat();
    for (const server of [a, b])
      await expect.poll(async () => (await server.version())?.breaker.state, inTime).not.toBe('closed');
    // Whoever has not heard yet may call; from here on there are probes alone.
    await pause(1_500);
    const [calls, atMs] = [endpoint.books().received, performance.now()];
    runs.push(...(await a.startMany(6)), ...(await b.startMany(6)));
    await b.child.kill('SIGKILL');
    const c = await new Server(schema, endpoint).ready();
    // Where it was the prober that has died, the next one has to wait until that probe is given up.
    await expect.poll(() => endpoint.books().received - calls, inTime).toBeGreaterThan(0);
    await pause(2_000);
    const probes = endpoint.books().received - calls;
    // A pause is as long as the probe takes, and 1.5 s.
    expect(probes).toBeLessThanOrEqual(1 + (performance.now() - atMs) / 1_500);
    await expect
      .poll(async () => (await a.get<RunView>(`/v1/runs/${runs[0] ?? ''}`)).waitingFor[0]?.text, inTime)
      .toContain(`The breaker of endpoint ${name} is open`);
    expect(await a.metric(`eventspine_endpoint_refused_total{endpoint="${name}",why="breaker"}`)).toBeGreaterThan(0);
    endpoint.setScript({});
    await ended(c, runs);
    for (const server of [a, c]) await expect.poll(async () => (await server.version())?.breaker.state).toBe('closed');
    const made = await Promise.all(
      [a, c].map((server) => server.metric(`eventspine_breaker_moves_total{endpoint="${name}",state="closed"}`)),
    );
    expect(made.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(0);
  }, 120_000);

  it('all keep the pause that one run was told of', async () => {
    const fault = { kind: 'status', status: 429, headers: { 'retry-after': '2' } } as const;
    const endpoint = await startModelEndpoint({ faults: [{ fault, times: 1 }] });
    ends.push(() => endpoint.close());
    const {
      servers: [a, b],
    } = await opened(endpoint);
    const runs = [await a.start(0)];
    await expect.poll(() => endpoint.books().received, inTime).toBe(1);
    const toldMs = performance.now();
    await expect.poll(async () => (await b.version())?.pausedUntil, inTime).toBeTruthy();
    runs.push(...(await a.startMany(5)), ...(await b.startMany(5)));
    while (performance.now() < toldMs + 1_700) {
      expect(endpoint.books().received).toBe(1);
      await pause(100);
    }
    const waiting = (await b.get<RunView>(`/v1/runs/${runs.at(-1) ?? ''}`)).waitingFor[0];
    expect(waiting?.text).toContain(`Rate paused: endpoint ${name} has asked for a pause`);
    expect(await b.metric(`eventspine_endpoint_paused{endpoint="${name}"}`)).toBe(1);
    await ended(a, runs);
    expect(endpoint.books().received).toBe(12);
  }, 120_000);
});
