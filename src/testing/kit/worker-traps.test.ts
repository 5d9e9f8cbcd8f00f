import { describe, expect, it } from 'vitest';
import { createEngine } from '../../engine/index.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import { encodeValue } from '../../core/codec.js';
import { defineApp, workflow, type Ctx } from '../../workflow/index.js';
import { createInProcessTransport, createWorker, type WorkerLogRecord } from '../../worker/index.js';

/** Runs a body on a worker with traps, on the clock of this machine, and gives the end and the warnings. */
async function ran(body: (ctx: Ctx) => unknown): Promise<{ readonly state: string; readonly warnings: string[] }> {
  const app = defineApp({ workflows: [workflow('w', {}, async (ctx) => body(ctx))] });
  const engine = createEngine({ store: createMemoryStore({ clock: nodePorts.clock }), ports: nodePorts });
  const lines: WorkerLogRecord[] = [];
  await engine.start();
  const connect = createInProcessTransport(engine);
  const worker = createWorker({ app, connect, traps: true, log: (line) => void lines.push(line) });
  try {
    await worker.start();
    const origin = { tenant: 'default', actor: 'client:test', traceparent: null, correlation: null };
    const [started] = await engine.startRuns(origin, [{ workflow: 'w', input: encodeValue(null) }]);
    if (started?.tag !== 'started') throw new Error('it did not start');
    const state = await engine.waitForEnd('default', started.run, 5_000);
    return {
      state: String(state),
      warnings: lines.filter(({ level }) => level === 'warn').map(({ message }) => message),
    };
  } finally {
    await worker.stop();
    await engine.stop();
  }
}

describe('traps of a development worker', () => {
  it('warn once, and let the body go on', async () => {
    const { state, warnings } = await ran(async (ctx) => {
      for (let i = 0; i < 3; i++) await ctx.step(['at', i], Date.now(), () => i);
      return Math.random() < 2;
    });
    expect(state).toBe('succeeded');
    expect(warnings).toEqual(['the body of "w" calls Date.now()', 'the body of "w" calls Math.random()']);
  });

  it('say nothing of engine and worker, which use clock and timers on behalf of the body', async () => {
    const { state, warnings } = await ran(async (ctx) => {
      await ctx.sleep('20ms');
      ctx.log.info('awake');
      const parts = await ctx.map('parts', [1, 2, 3], (n, inner) =>
        inner.step('part', async () => {
          await new Promise((resolve) => setTimeout(resolve, n));
          return Date.now();
        }),
      );
      await ctx.step('large', () => 'x'.repeat(20_000));
      return parts.length;
    });
    expect([state, warnings]).toEqual(['succeeded', []]);
  });

  it('warn of a promise that is not of ctx', async () => {
    const { warnings } = await ran(async (ctx) => {
      await ctx.step('a', () => 1);
      await import('node:path').then(() => fetchless());
      await ctx.step('b', () => 1);
    });
    expect(warnings).toEqual(['the body of "w" came to "b" after awaiting a promise that is not of ctx']);
  });
});

/** Something of the outside that takes a turn of the event loop. */
function fetchless(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
