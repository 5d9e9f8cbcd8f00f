/** Runs that start runs: what becomes of both, whatever becomes of one. On a real engine and worker. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEngine, type Engine } from '../../src/engine/index.js';
import { encodeValue, decodeValue } from '../../src/core/codec.js';
import { isBlobPayload } from '../../src/core/payload.js';
import { nodePorts } from '../../src/runtime/index.js';
import { createMemoryStore, type Store } from '../../src/store/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { createInProcessTransport, createWorker, type Worker } from '../../src/worker/index.js';
import { defineApp, isStepError, workflow, type AnyApp } from '../../src/workflow/index.js';

const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const stores: Readonly<Record<string, () => Promise<Store>>> = {
  memory: async () => createMemoryStore({ clock: nodePorts.clock }),
  sqlite: () => createSqliteMemoryStore({ clock: nodePorts.clock }),
};
let open = stores['memory'] as () => Promise<Store>;
const running: { engine: Engine; worker: Worker }[] = [];

afterEach(async () => {
  for (const { engine, worker } of running.splice(0)) {
    await worker.stop();
    await engine.stop();
  }
});

async function serve(app: AnyApp): Promise<Engine> {
  const engine = createEngine({ store: await open(), ports: nodePorts });
  await engine.start();
  await engine.register(app.manifest);
  const worker = createWorker({ app, connect: createInProcessTransport(engine), parkAfterMs: 0 });
  await worker.start();
  running.push({ engine, worker });
  return engine;
}

async function start(engine: Engine, name: string, input: unknown = null): Promise<string> {
  const [outcome] = await engine.startRuns(origin, [{ workflow: name, input: encodeValue(input) }]);
  if (outcome?.tag !== 'started') throw new Error(`not started: ${JSON.stringify(outcome)}`);
  return outcome.run;
}

async function resultOf(engine: Engine, run: string): Promise<unknown> {
  expect(await engine.waitForEnd('default', run, 5_000)).not.toBe('running');
  const result = await engine.readResult('default', run);
  if (result?.state !== 'succeeded') return result;
  if (isBlobPayload(result.output)) throw new Error('a blob');
  return decodeValue(result.output);
}

async function typesOf(engine: Engine, run: string): Promise<string[]> {
  return ((await engine.readHistory('default', run, { after: 0, limit: 500 })) ?? []).map(({ type }) => type);
}

const double = workflow('double', {}, async (ctx, n: unknown) => {
  await ctx.sleep(1);
  return (await ctx.step('double', () => (n as number) * 2)) as number;
});

describe.each(Object.entries(stores))('on %s', (_, opened) => {
  beforeEach(() => {
    open = opened;
  });

  describe('a child', () => {
    it('gives its result to the run that started it, and names it as its parent', async () => {
      const parent = workflow('parent', {}, async (ctx) => {
        const first = await ctx.child(double, 1);
        const second = await ctx.child(double, first, { as: 'again' });
        return [first, second];
      });
      const engine = await serve(defineApp({ name: 'a', workflows: [double, parent] }));
      const run = await start(engine, 'parent');
      expect(await resultOf(engine, run)).toEqual([2, 4]);
      const view = await engine.readRun('default', run);
      const children = view?.steps.filter(({ kind }) => kind === 'child') ?? [];
      expect(children.map(({ path, status }) => [path, status])).toEqual([
        ['double', 'succeeded'],
        ['again', 'succeeded'],
      ]);
      expect((await engine.readRun('default', children[0]?.run ?? ''))?.parent).toBe(run);
      expect((await engine.doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
    });

    it('that fails rejects with a step error, and the parent that is redriven goes on from where the child had failed', async () => {
      let paid = 0;
      let broken = true;
      const child = workflow('child', {}, async (ctx) => {
        await ctx.step('pay', () => {
          paid += 1;
        });
        return ctx.step(
          'fragile',
          () => {
            if (broken) throw new Error('broken');
            return 'whole';
          },
          { retry: { attempts: 1 } },
        );
      });
      const seen: boolean[] = [];
      const parent = workflow('parent', {}, async (ctx) => {
        try {
          return await ctx.child(child, null);
        } catch (error) {
          seen.push(isStepError(error));
          throw error;
        }
      });
      const engine = await serve(defineApp({ name: 'a', workflows: [child, parent] }));
      const run = await start(engine, 'parent');
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('failed');
      expect(seen).toEqual([true]);
      broken = false;
      expect(await engine.redrive(origin, run)).toEqual({ tag: 'done' });
      expect(await resultOf(engine, run)).toBe('whole');
      expect(paid).toBe(1);
    });

    it('is cancelled with its parent, and one that is detached is not', async () => {
      const long = workflow('long', {}, async (ctx) => ctx.sleep('1h'));
      const parent = workflow('parent', {}, async (ctx) => {
        const attached = await ctx.start(long, null, { as: 'attached' });
        const detached = await ctx.start(long, null, { as: 'detached', detached: true });
        await ctx.step('told', () => ids.push(attached.run, detached.run));
        await attached.result();
      });
      const ids: string[] = [];
      const engine = await serve(defineApp({ name: 'a', workflows: [long, parent] }));
      const run = await start(engine, 'parent');
      await expect.poll(() => ids.length).toBe(2);
      await engine.cancel(origin, run);
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('cancelled');
      expect(await engine.waitForEnd('default', ids[0] ?? '', 5_000)).toBe('cancelled');
      expect(await engine.waitForEnd('default', ids[1] ?? '', 50)).toBe('waiting');
      expect((await engine.doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
    });

    it('that is given up right after a redrive is told of its end', async () => {
      const failing = workflow('failing', {}, async () => {
        throw Object.assign(new Error('broken'), { retryable: false });
      });
      const parent = workflow('parent', {}, async (ctx) => {
        const started = await ctx.start(failing, null);
        started.cancel();
        return started.result();
      });
      const engine = await serve(defineApp({ name: 'a', workflows: [failing, parent] }));
      const run = await start(engine, 'parent');
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('failed');
      expect(await engine.redrive(origin, run)).toEqual({ tag: 'done' });
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('failed');
    });

    it('of a redrive is not taken for the one before it, which was cancelled', async () => {
      const pausing = workflow('pausing', {}, async (ctx) => {
        try {
          await ctx.sleep('600ms');
        } finally {
          await ctx.shield((ctx) => ctx.step('clean up', () => 1));
        }
        return 'whole';
      });
      const parent = workflow('parent', {}, (ctx) => ctx.child(pausing, null));
      const engine = await serve(defineApp({ name: 'a', workflows: [pausing, parent] }));
      const run = await start(engine, 'parent');
      await expect.poll(() => typesOf(engine, run)).toContain('child.started');
      await engine.cancel(origin, run);
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('cancelled');
      expect(await engine.redrive(origin, run)).toEqual({ tag: 'done' });
      expect(await resultOf(engine, run)).toBe('whole');
    });

    it('that lost a race is cancelled', async () => {
      const long = workflow('long', {}, async (ctx) => ctx.sleep('1h'));
      const parent = workflow(
        'parent',
        {},
        async (ctx) =>
          (
            await ctx.race('who', {
              slow: (ctx) => ctx.child(long, null),
              quick: (ctx) => ctx.sleep(50),
            })
          ).winner,
      );
      const engine = await serve(defineApp({ name: 'a', workflows: [long, parent] }));
      const run = await start(engine, 'parent');
      expect(await resultOf(engine, run)).toBe('quick');
      const { steps = [] } = (await engine.readRun('default', run)) ?? {};
      const child = steps.find(({ kind }) => kind === 'child')?.run ?? '';
      expect(await engine.waitForEnd('default', child, 5_000)).toBe('cancelled');
    });

    it('that starts itself is stopped somewhere', async () => {
      const endless = workflow(
        'endless',
        {},
        async (ctx): Promise<unknown> => ctx.child(endless as never, null as never),
      );
      const engine = await serve(defineApp({ name: 'a', workflows: [endless] }));
      expect(await resultOf(engine, await start(engine, 'endless'))).toMatchObject({
        state: 'failed',
        failure: { code: 'CHILD_TOO_DEEP' },
      });
    });
  });

  describe('a run that goes on as new', () => {
    it('has an empty history each time, and its waiters get the last result', async () => {
      const loop = workflow('loop', {}, async (ctx, n: unknown): Promise<unknown> => {
        await ctx.step('work', () => n);
        return (n as number) < 5 ? ctx.continueAsNew((n as number) + 1) : `ended at ${String(n)}`;
      });
      const parent = workflow('parent', {}, async (ctx) => ctx.child(loop, 3));
      const engine = await serve(defineApp({ name: 'a', workflows: [loop, parent] }));
      const run = await start(engine, 'loop', 1);
      expect(await resultOf(engine, run)).toBe('ended at 5');
      expect(await typesOf(engine, run)).toEqual(['run.started', 'step.completed', 'run.continued']);
      expect((await engine.readRun('default', run))?.state).toBe('continued');
      expect(await resultOf(engine, await start(engine, 'parent'))).toBe('ended at 5');
    });

    it('is cancelled by the id that it began with', async () => {
      const loop = workflow('loop', {}, async (ctx, n: unknown): Promise<unknown> => {
        await ctx.sleep(5);
        return ctx.continueAsNew((n as number) + 1);
      });
      const engine = await serve(defineApp({ name: 'a', workflows: [loop] }));
      const run = await start(engine, 'loop', 1);
      await expect.poll(async () => (await engine.readRun('default', run))?.state).toBe('continued');
      expect((await engine.cancel(origin, run)).tag).not.toBe('error');
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('cancelled');
    });
  });

  describe('a saga', () => {
    it('that was undone in a cancelled run does not wait, after a redrive, for what was under way in it', async () => {
      const trip = workflow('trip', {}, (ctx) =>
        ctx.saga('trip', async (ctx, undo) => {
          await ctx.step('flight', () => 1);
          undo('flight', (ctx) => ctx.step('cancel', () => 1));
          await ctx.sleep('1h');
        }),
      );
      const engine = await serve(defineApp({ name: 'a', workflows: [trip] }));
      const run = await start(engine, 'trip');
      await expect.poll(() => typesOf(engine, run)).toContain('timer.set');
      await engine.cancel(origin, run);
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('cancelled');
      expect(await engine.redrive(origin, run)).toEqual({ tag: 'done' });
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('failed');
      expect(await engine.readResult('default', run)).toMatchObject({ failure: { code: 'SAGA_UNDONE' } });
    });

    it('undoes what was done, in reverse order, once, and not what was not done', async () => {
      const did: string[] = [];
      let helped = false;
      const trip = workflow('trip', {}, async (ctx) =>
        ctx.saga('trip', async (ctx, undo) => {
          for (const part of ['flight', 'hotel', 'car']) {
            await ctx.step(
              part,
              () => {
                if (part === 'car' && !helped) throw new Error('no car');
                did.push(part);
              },
              { retry: { attempts: 1 } },
            );
            undo(part, (ctx) => ctx.step('cancel', () => did.push(`cancel ${part}`)));
          }
          return 'booked';
        }),
      );
      const engine = await serve(defineApp({ name: 'a', workflows: [trip] }));
      const run = await start(engine, 'trip');
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('failed');
      expect(did).toEqual(['flight', 'hotel', 'cancel hotel', 'cancel flight']);
      // What was undone stays undone.
      helped = true;
      await engine.redrive(origin, run);
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('failed');
      expect(did).toEqual(['flight', 'hotel', 'cancel hotel', 'cancel flight']);
    });

    it('that is cancelled in the middle of a step undoes that step as well', async () => {
      const did: string[] = [];
      let begun = (): void => undefined;
      const isBegun = new Promise<void>((resolve) => (begun = resolve));
      const trip = workflow('trip', {}, async (ctx) =>
        ctx.saga('trip', async (ctx, undo) => {
          await ctx.step('flight', async ({ signal }) => {
            begun();
            await new Promise((resolve) => signal.addEventListener('abort', resolve));
            did.push('flight');
          });
          undo('flight', (ctx) => ctx.step('cancel', () => did.push('cancel flight')));
          await ctx.step('hotel', () => did.push('hotel'));
        }),
      );
      const engine = await serve(defineApp({ name: 'a', workflows: [trip] }));
      const run = await start(engine, 'trip');
      await isBegun;
      await engine.cancel(origin, run);
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('cancelled');
      expect(did).toEqual(['flight', 'cancel flight']);
    });

    it('goes on undoing when it is cancelled', async () => {
      const did: string[] = [];
      const trip = workflow('trip', {}, async (ctx) =>
        ctx.saga('trip', async (ctx, undo) => {
          await ctx.step('flight', () => did.push('flight'));
          undo('flight', (ctx) => ctx.step('cancel', () => did.push('cancel flight')));
          await ctx.sleep('1h');
        }),
      );
      const engine = await serve(defineApp({ name: 'a', workflows: [trip] }));
      const run = await start(engine, 'trip');
      await expect.poll(() => did.length).toBe(1);
      await engine.cancel(origin, run);
      expect(await engine.waitForEnd('default', run, 5_000)).toBe('cancelled');
      expect(did).toEqual(['flight', 'cancel flight']);
    });
  });

  describe('a map whose items may fail', () => {
    it('gives what became of each', async () => {
      const settled = workflow('settled', {}, async (ctx) => {
        const results = await ctx.map('items', [1, 2, 3], { onError: 'settle' }, (n, ctx) =>
          ctx.step(
            'odd',
            () => {
              if (n % 2 === 0) throw new Error('even');
              return n;
            },
            { retry: { attempts: 1 } },
          ),
        );
        return results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed'));
      });
      const strict = workflow('strict', {}, async (ctx) =>
        ctx.map('items', [1, 2, 4, 6], { onError: 'settle', failuresMax: 1, concurrency: 1 }, (n, ctx) =>
          ctx.step(
            'odd',
            () => {
              if (n % 2 === 0) throw new Error(`even ${n}`);
              return n;
            },
            { retry: { attempts: 1 } },
          ),
        ),
      );
      const engine = await serve(defineApp({ name: 'a', workflows: [settled, strict] }));
      expect(await resultOf(engine, await start(engine, 'settled'))).toEqual([1, 'failed', 3]);
      const run = await start(engine, 'strict');
      expect(await resultOf(engine, run)).toMatchObject({ state: 'failed', failure: { message: 'even 2' } });
      expect(await typesOf(engine, run)).not.toContain('even 6');
    });
  });
});
