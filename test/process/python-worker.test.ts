/** The worker of examples/python-worker, as it is, against a real server: works, dies in mid-task, comes too late. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { app } from '../../examples/python-worker/spine.js';
import { payloadOfJson } from '../../src/core/codec.js';
import { createEngine } from '../../src/engine/index.js';
import { nodePorts } from '../../src/runtime/index.js';
import { createServer } from '../../src/server/index.js';
import { createMemoryStore } from '../../src/store/memory.js';
import { createInProcessTransport, createWorker } from '../../src/worker/index.js';
import { describeUnless } from '../skip.js';
import { Child, endAll } from './support/processes.js';

const program = fileURLToPath(new URL('../../examples/python-worker/worker.py', import.meta.url));
const { status } = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']);
const missing = status === 0 ? null : 'needs python3, version 3.8 or later, on the PATH';
const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await endAll();
  for (const end of cleanUps.splice(0).reverse()) await end();
});

async function installation() {
  const store = createMemoryStore({ clock: nodePorts.clock });
  const settings = { sessionDeadMs: 1_500, sessionBeatMs: 300 };
  const engine = createEngine({ store, ports: nodePorts, settings });
  await engine.start();
  cleanUps.push(() => engine.stop());
  const server = createServer({ engine, port: 0, log: () => undefined });
  const { url } = await server.listen();
  cleanUps.push(() => server.close());
  const bodies = createWorker({ app, connect: createInProcessTransport(engine) });
  await bodies.start();
  cleanUps.push(() => bodies.stop());
  const python = (): Child => new Child('python3', [program, url]);
  const start = async (input: unknown): Promise<string> => {
    const [started] = await engine.startRuns(origin, [{ workflow: 'report', input: payloadOfJson(input) }]);
    if (started?.tag !== 'started') throw new Error(JSON.stringify(started));
    return started.run;
  };
  const outcome = async (run: string): Promise<unknown> => {
    await engine.waitForEnd('default', run, 20_000);
    const result = await engine.readResult('default', run);
    return result?.state === 'succeeded' && 'text' in result.output ? JSON.parse(result.output.text) : result;
  };
  const busy = async (worker: Child): Promise<void> => {
    for (let tries = 0; tries < 400; tries++) {
      const mine = (await engine.workers()).find(({ worker: name }) => name.endsWith(`-${worker.pid}`));
      if ((mine?.leased ?? 0) > 0) return;
      await new Promise((wake) => setTimeout(wake, 25));
    }
    throw new Error(`the worker took nothing:\n${worker.errors.join('\n')}`);
  };
  return { engine, python, start, outcome, busy };
}

describeUnless(missing, 'the worker in Python', () => {
  it('does what a workflow in TypeScript asks for', async () => {
    const { python, start, outcome } = await installation();
    const worker = python();
    expect(await outcome(await start({ text: 'to be or not to be' }))).toBe('6 words, most often "to"');
    // What Python raises is the failure of the call.
    const failing = await outcome(await start({ text: 'x', seconds: -1 }));
    expect(failing).toMatchObject({ state: 'failed', failure: { code: 'ValueError' } });
    await worker.kill('SIGTERM');
  });

  it('works on several tasks at once, and lives as long as the work takes', async () => {
    const { python, start, outcome } = await installation();
    python();
    // Longer than a session lives in silence.
    const runs = await Promise.all([1, 2, 3].map(() => start({ text: 'a', seconds: 2.5 })));
    const before = Date.now();
    for (const run of runs) expect(await outcome(run)).toBe('1 words, most often "a"');
    expect(Date.now() - before).toBeLessThan(7_000);
  });

  it('dies in mid-task, and the task goes on elsewhere', async () => {
    const { engine, python, start, outcome, busy } = await installation();
    const first = python();
    const run = await start({ text: 'a b', seconds: 1 });
    await busy(first);
    await first.kill('SIGKILL');
    const second = python();
    expect(await outcome(run)).toBe('2 words, most often "a"');
    const history = await engine.readHistory('default', run, { after: 0, limit: 100 });
    const retrying = history?.find(({ type }) => type === 'call.retrying');
    expect(retrying?.data).toMatchObject({ attempt: 1, failure: { code: 'WORKER_LOST' } });
    const completed = history?.filter(({ type }) => type === 'call.completed');
    const worker = expect.stringMatching(`-${second.pid}$`) as string;
    expect(completed).toMatchObject([{ data: { attempt: 2, worker } }]);
  });

  it('is refused with a result that comes too late', async () => {
    const { engine, python, start, outcome, busy } = await installation();
    const sleeper = python();
    const run = await start({ text: 'a b', seconds: 0.5 });
    await busy(sleeper);
    await sleeper.freeze();
    python();
    expect(await outcome(run)).toBe('2 words, most often "a"');
    sleeper.thaw();
    expect(await sleeper.line((line) => line.startsWith(run))).toMatch(/LEASE_LOST|SESSION_GONE/);
    const history = await engine.readHistory('default', run, { after: 0, limit: 100 });
    expect(history?.filter(({ type }) => type === 'call.completed')).toHaveLength(1);
  });

  it('finishes what it has when it is told to stop, and leaves no session', async () => {
    const { engine, python, start, outcome, busy } = await installation();
    const worker = python();
    const run = await start({ text: 'a', seconds: 1 });
    await busy(worker);
    worker.process.kill('SIGTERM');
    expect(await worker.exited).toBe(0);
    expect(await outcome(run)).toBe('1 words, most often "a"');
    expect((await engine.workers()).filter(({ app: name }) => name === 'python-worker')).toEqual([]);
  });
});
