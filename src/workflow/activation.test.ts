import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { failure } from '../core/failure.js';
import { limits } from '../core/limits.js';
import { capability } from './capability.js';
import { isCancelled } from './cancelled.js';
import type { Ctx } from './ctx.js';
import { MiniEngine, settled, type MiniOptions } from '../../test/replay/mini-engine.js';
import { isStepError } from './step-error.js';
import { Terminal, Transient } from './thrown.js';
import { topic } from './topic.js';
import { workflow } from './workflow.js';

const work = capability('work');
const told = topic('told');

function engineFor(body: (ctx: Ctx, input: unknown) => unknown, options: MiniOptions = {}): MiniEngine {
  return new MiniEngine(
    workflow('w', {}, async (ctx, input) => body(ctx, input)),
    options,
  );
}

/** Runs a body until it rests, and gives the engine. */
async function ran(body: (ctx: Ctx, input: unknown) => unknown, options: MiniOptions = {}): Promise<MiniEngine> {
  const engine = engineFor(body, options);
  engine.begin();
  await engine.drain();
  return engine;
}

function output(engine: MiniEngine): string {
  const { last } = engine;
  if (last.type !== 'run.succeeded' || last.payload === undefined || !('text' in last.payload)) {
    throw new Error(`no output: ${JSON.stringify(last)}`);
  }
  return last.payload.text;
}

function failureIn(engine: MiniEngine): {
  readonly code: string;
  readonly class: string;
  readonly path: string | null;
} {
  const { last } = engine;
  if (last.type !== 'run.failed') throw new Error(`not failed: ${JSON.stringify(last)}`);
  return { code: last.data.failure.code, class: last.data.failure.class, path: last.data.path };
}

describe('a body', () => {
  it('runs its steps one after the other and ends with what it returns', async () => {
    const engine = await ran(
      async (ctx, input) => {
        const first = await ctx.step('first', () => `${String(input)}!`);
        return ctx.step('second', first, (text) => text.length);
      },
      { input: 'hello' },
    );
    expect(output(engine)).toBe('6');
    expect(engine.paths('step.completed')).toEqual(['first', 'second']);
    const second = engine.events.find((e) => e.type === 'step.completed' && e.data.path === 'second');
    expect(second?.payload).toEqual({ codec: 'json/1', text: '["hello!",6]' });
  });

  it('gets a result only after its commit', async () => {
    const seen: string[] = [];
    const engine = engineFor(async (ctx) => {
      await ctx.step('a', () => 1);
      seen.push('a');
    });
    engine.begin();
    await settled();
    expect(engine.submissions.flatMap((s) => s.commands.map((c) => c.op))).toEqual(['completeStep']);
    expect(seen).toEqual([]);
    engine.commit();
    await settled();
    expect(seen).toEqual(['a']);
  });

  it('gets what replay would get, not the object of the step', async () => {
    const kept: { at: Date; list: number[] } = { at: new Date(5), list: [1] };
    const engine = await ran(async (ctx) => {
      const value = await ctx.step('a', () => kept);
      kept.list.push(2);
      return [value === kept, value.at instanceof Date, value.list];
    });
    expect(output(engine)).toBe('[false,true,[1]]');
  });

  it('fails with class poison when its input does not fit the schema', async () => {
    const engine = new MiniEngine(
      workflow('w', { input: z.object({ n: z.number() }) }, async () => 1),
      { input: { n: 'x' } },
    );
    engine.begin();
    await engine.drain();
    expect(failureIn(engine)).toEqual({ code: 'INPUT_INVALID', class: 'poison', path: null });
  });

  it('hands on schema defaults', async () => {
    const engine = new MiniEngine(
      workflow('w', { input: z.object({ n: z.number().default(7) }) }, async (_ctx, { n }) => n),
      { input: {} },
    );
    engine.begin();
    await engine.drain();
    expect(output(engine)).toBe('7');
  });

  it('ends refused by Terminal, fails by other errors, and is given back by Transient', async () => {
    const refused = await ran(() => {
      throw new Terminal('NOT_TODAY', { when: new Date(0) });
    });
    expect(refused.last).toMatchObject({ type: 'run.refused', data: { code: 'NOT_TODAY' } });
    const failed = await ran(() => {
      throw Object.assign(new TypeError('no'), { code: 'E_NO' });
    });
    expect(failureIn(failed)).toEqual({ code: 'E_NO', class: 'unknown', path: null });
    const back = await ran(() => {
      throw new Transient('later', { class: 'overloaded' });
    });
    expect(back.last).toMatchObject({ type: 'activation.retrying', data: { failure: { class: 'overloaded' } } });
  });

  it('is told of instants, event names and priorities that no server takes', async () => {
    const faulty: readonly ((ctx: Ctx) => unknown)[] = [
      (ctx) => ctx.sleepUntil(8.7e15),
      (ctx) => ctx.sleepUntil(Number.NaN),
      (ctx) => ctx.emit(told, 1, { id: 'x'.repeat(257) }),
      (ctx) => ctx.emit(told, 1, { key: 'half \ud800' }),
      (ctx) => ctx.call(work, 1, { priority: 1.5 }),
      (ctx) => ctx.call(work, 1, { priority: 10 }),
    ];
    for (const body of faulty) {
      expect(failureIn(await ran(body))).toMatchObject({ code: 'OPTIONS_INVALID' });
    }
  });

  it('may wait for an instant before the epoch, which is long past', async () => {
    const engine = engineFor((ctx) => ctx.sleepUntil(new Date(-1)));
    engine.begin();
    await settled();
    expect(engine.submissions.flatMap((s) => s.commands)).toMatchObject([{ op: 'sleepUntil', at: 0 }]);
  });

  it('ends its run even if it throws what cannot be looked at', async () => {
    const hostile = new Proxy(new Error(), {
      get: () => {
        throw new Error('hands off');
      },
    });
    const engine = await ran(() => {
      throw hostile;
    });
    expect(engine.last).toMatchObject({ type: 'run.failed' });
  });

  it('fails when its result cannot be stored', async () => {
    const engine = await ran(() => ({ fn: () => 1 }));
    expect(failureIn(engine)).toEqual({ code: 'VALUE_UNSTORABLE', class: 'invalid_output', path: null });
  });

  it('is told of two steps of one identity at once, with the mend', async () => {
    const engine = await ran(async (ctx) => {
      const first = ctx.step('same', () => 1);
      await ctx.step('same', () => 2);
      await first;
    });
    expect(failureIn(engine).code).toBe('PATH_IN_USE');
    const items = await ran((ctx) => ctx.map('m', [1, 1], { key: (n) => n }, (n) => n));
    expect(failureIn(items).code).toBe('PATH_IN_USE');
  });

  it('is told when it uses the ctx of an outer scope', async () => {
    for (const body of [
      (ctx: Ctx) => ctx.map('m', [1, 2], (n) => ctx.step(['s', n], () => n)),
      (ctx: Ctx) => ctx.scope('s', async () => ctx.step('inner', () => 1)),
      (ctx: Ctx) => ctx.shield(() => ctx.step('cleanup', () => 1)),
    ]) {
      expect(failureIn(await ran(body)).code).toBe('SCOPE_MISUSED');
    }
    // Side by side is not inside.
    const fine = await ran((ctx) =>
      Promise.all([ctx.scope('s', (ctx) => ctx.step('a', () => 1)), ctx.step('a', () => 2)]),
    );
    expect(output(fine)).toBe('[1,2]');
  });

  it('builds paths of scopes, names and keys, with separators escaped', async () => {
    const engine = await ran((ctx) =>
      ctx.map('docs', ['a/b', 'c:d'], { key: (id) => id }, (_, ctx) => ctx.step(['part', 1], () => 1)),
    );
    expect(engine.paths('step.completed').sort()).toEqual(['docs:a%2Fb/part:1', 'docs:c%3Ad/part:1']);
    expect(failureIn(await ran((ctx) => ctx.step('', () => 1))).code).toBe('PATH_INVALID');
    expect(failureIn(await ran((ctx) => ctx.step('x'.repeat(600), () => 1))).code).toBe('PATH_INVALID');
  });

  it('aborts what is still running when it returns, and does not record it', async () => {
    let signal: AbortSignal | undefined;
    const engine = await ran((ctx) => {
      void ctx.step('slow', (step) => {
        signal = step.signal;
        return new Promise(() => {});
      });
      return ctx.step('quick', () => 1);
    });
    expect(engine.last.type).toBe('run.succeeded');
    expect(signal?.aborted).toBe(true);
  });

  it('holds its slot until aborted user code has come to rest, or a grace is over', async () => {
    let release = (): void => {};
    const engine = engineFor((ctx) => ctx.step('slow', () => new Promise<void>((resolve) => (release = resolve))));
    const activation = engine.begin();
    await settled();
    let end = '';
    void activation.ended.then((how) => (end = how));
    activation.abort('lease_lost');
    await settled();
    expect(end).toBe('');
    release();
    await settled();
    expect(end).toBe('aborted');
    expect(engine.submissions).toEqual([]);

    const stuck = engineFor((ctx) => ctx.step('stuck', () => new Promise(() => {})));
    const hung = stuck.begin();
    await settled();
    hung.abort('deadline');
    stuck.time.advance(limits.abortGraceMs);
    expect(await hung.ended).toBe('aborted');
  });
});

describe('a step', () => {
  it('is tried again by its policy when the pause is over, also by a later activation', async () => {
    let runs = 0;
    const engine = await ran((ctx) =>
      ctx.step('flaky', ({ attempt }) => {
        runs += 1;
        if (attempt < 3) throw new Error('again');
        return attempt;
      }),
    );
    expect(engine.timers()).toEqual([':retry:flaky']);
    engine.fire(':retry:flaky');
    await engine.drain();
    expect(runs).toBe(2);
    engine.activation?.abort('lease_lost');
    engine.begin();
    await engine.drain();
    expect(runs).toBe(2);
    engine.fire(':retry:flaky');
    await engine.drain();
    expect(output(engine)).toBe('3');
    expect(runs).toBe(3);
  });

  it('is not tried again after an error that says so, and the body can catch what it failed with', async () => {
    const engine = await ran(async (ctx) => {
      try {
        return await ctx.step('s', () => {
          throw new Terminal('BAD_INPUT', undefined, { message: 'never' });
        });
      } catch (error) {
        if (!isStepError(error)) throw error;
        return [error.code, error.path, error.attempt, (error.cause as Error).message];
      }
    });
    expect(output(engine)).toBe('["BAD_INPUT","s",1,"never"]');
  });

  it('ends the run by its own failure where nobody catches it', async () => {
    const engine = await ran((ctx) =>
      ctx.step('s', () => {
        throw Object.assign(new Error('quota'), { status: 402 });
      }),
    );
    expect(failureIn(engine)).toEqual({ code: 'Error', class: 'quota_exhausted', path: 's' });
  });

  it('fails with class timeout when an attempt takes too long, and aborts its signal', async () => {
    let signal: AbortSignal | undefined;
    const engine = engineFor((ctx) =>
      ctx.step(
        's',
        (step) => {
          signal = step.signal;
          return new Promise(() => {});
        },
        { timeout: '1s', retry: { attempts: 1 } },
      ),
    );
    engine.begin();
    await settled();
    engine.time.advance(1_000);
    await engine.drain();
    expect(signal?.aborted).toBe(true);
    expect(failureIn(engine)).toEqual({ code: 'STEP_TIMEOUT', class: 'timeout', path: 's' });
  });

  it('refuses what cannot be stored: an input before the work, a result after it', async () => {
    let runs = 0;
    const input = await ran((ctx) =>
      ctx.step(
        's',
        () => 1,
        () => (runs += 1),
      ),
    );
    expect(failureIn(input)).toMatchObject({ code: 'VALUE_UNSTORABLE', path: 's' });
    expect(runs).toBe(0);
    const result = await ran((ctx) => ctx.step('s', () => ({ fn: () => (runs += 1) })));
    expect(failureIn(result)).toMatchObject({ code: 'VALUE_UNSTORABLE', path: 's' });
    expect(result.paths('step.retrying')).toEqual([]);
  });

  it('with an external effect records its intent before the effect', async () => {
    const order: string[] = [];
    const engine = engineFor((ctx) => ctx.step('pay', () => order.push('effect'), { effect: 'external' }));
    engine.begin();
    await settled();
    expect(order).toEqual([]);
    engine.commit();
    expect(engine.last.type).toBe('step.started');
    await engine.drain();
    expect(order).toEqual(['effect']);
    expect(engine.last.type).toBe('run.succeeded');
  });

  it('with an external effect does not guess after a crash in its middle, until a person redrives it', async () => {
    const keys: string[] = [];
    let crash = true;
    const engine = engineFor((ctx) =>
      ctx.step(
        'pay',
        (step) => {
          keys.push(step.idempotencyKey);
          return crash ? new Promise(() => {}) : 'paid';
        },
        { effect: 'external', retry: { attempts: 9 } },
      ),
    );
    engine.begin();
    await engine.drain();
    engine.activation?.abort('lease_lost');
    engine.begin();
    await engine.drain();
    expect(failureIn(engine)).toMatchObject({ code: 'EFFECT_AMBIGUOUS', path: 'pay' });
    expect(keys).toHaveLength(1);
    crash = false;
    engine.redrive();
    engine.begin();
    await engine.drain();
    expect(output(engine)).toBe('"paid"');
    expect(keys).toEqual(['t/run_1/pay', 't/run_1/pay']);
  });

  it('of a recorded path of another kind stops the run with the mend', async () => {
    let asStep = false;
    const engine = engineFor((ctx) => (asStep ? ctx.step('x', () => 1) : ctx.call(work, 1, { as: 'x' })));
    engine.begin();
    await engine.drain();
    engine.activation?.abort('lease_lost');
    asStep = true;
    engine.begin();
    await engine.drain();
    expect(failureIn(engine).code).toBe('PATH_KIND_CHANGED');
  });
});

describe('calls, timers and events', () => {
  it('resolve with what the outside recorded', async () => {
    const engine = await ran(async (ctx) => {
      const result = await ctx.call(work, { a: 1 });
      await ctx.sleep('5s');
      await ctx.emit(told, result);
      return result;
    });
    expect(engine.calls()).toEqual(['work']);
    engine.completeCall('work', new Map([['k', 1]]));
    await engine.drain();
    expect(engine.timers()).toEqual(['sleep:5s']);
    engine.fire('sleep:5s');
    await engine.drain();
    expect(engine.paths('event.emitted')).toEqual(['told']);
    expect(output(engine)).toBe('{"$map":[["k",1]]}');
  });

  it('reject with StepError when the call has failed for good', async () => {
    const engine = await ran((ctx) => ctx.call(work, 1));
    engine.failCall('work', failure({ class: 'rate_limited', code: 'SLOW', message: 'no', retryable: true }));
    await engine.drain();
    expect(failureIn(engine)).toEqual({ code: 'SLOW', class: 'rate_limited', path: 'work' });
  });

  it('publish an event that nobody waited for before the run ends', async () => {
    const engine = await ran((ctx) => {
      void ctx.emit(told, 1);
      return 'done';
    });
    expect(engine.paths('event.emitted')).toEqual(['told']);
    expect(engine.last.type).toBe('run.succeeded');
  });

  it('give the run back while nobody offers the capability', async () => {
    const engine = await ran((ctx) => ctx.call(capability('unknown'), 1));
    expect(engine.last).toMatchObject({
      type: 'activation.retrying',
      data: { failure: { code: 'CAPABILITY_UNKNOWN', class: 'dependency', retryable: true } },
    });
  });

  it('report progress one time over replays', async () => {
    const engine = await ran(async (ctx) => {
      ctx.progress('begun');
      await ctx.call(work, 1);
      ctx.progress('called');
    });
    engine.activation?.abort('lease_lost');
    engine.completeCall('work', 1);
    engine.begin();
    await engine.drain();
    const values = engine.events.flatMap((e) => (e.type === 'progress.reported' ? e.payload : []));
    expect(values.map((payload) => payload && 'text' in payload && payload.text)).toEqual(['"begun"', '"called"']);
  });
});

describe('large values', () => {
  const large = 'x'.repeat(limits.inlinePayloadBytesMax);

  it('go by way of the blob store, and come back in their place however slow it is', async () => {
    const seen: string[] = [];
    const engine = engineFor(async (ctx) => {
      const a = ctx.step('a', () => large).then(() => seen.push('a'));
      const b = ctx.step('b', () => 'small').then(() => seen.push('b'));
      await Promise.all([a, b]);
      await ctx.call(work, 1);
      return large;
    });
    engine.begin();
    await engine.drain();
    expect(engine.blobs.size).toBe(1);
    const live = [...seen];
    seen.length = 0;
    engine.activation?.abort('lease_lost');
    let open = (): void => {};
    engine.blobGate = new Promise((resolve) => (open = resolve));
    engine.begin();
    await settled();
    // The blob is the later of the two here; whatever comes first keeps its place.
    expect(seen).toEqual(live.slice(0, live.indexOf('a')));
    open();
    await settled();
    expect(seen).toEqual(live);
    engine.completeCall('work', 1);
    await engine.drain();
    expect(engine.last).toMatchObject({ type: 'run.succeeded', payload: { size: large.length + 2 } });
  });
});

describe('races', () => {
  it('record the winner, abort the losers and do not begin them again', async () => {
    const begun: string[] = [];
    let lost: unknown;
    let signal: AbortSignal | undefined;
    const body = async (ctx: Ctx): Promise<unknown> => {
      const won = await ctx.race('r', {
        slow: async (ctx) => {
          try {
            return await ctx.step('s', (step) => {
              begun.push('slow');
              signal = step.signal;
              return new Promise(() => {});
            });
          } catch (error) {
            lost = error;
            throw error;
          }
        },
        quick: (ctx) => ctx.step('q', () => 'here'),
      });
      await ctx.call(work, 1);
      return won;
    };
    const engine = await ran(body);
    expect(isCancelled(lost) && lost.by).toBe('race_lost');
    expect(signal?.aborted).toBe(true);
    expect(engine.last.type).not.toBe('run.succeeded');
    engine.activation?.abort('lease_lost');
    engine.begin();
    await engine.drain();
    expect(begun).toEqual(['slow']);
    engine.completeCall('work', 1);
    await engine.drain();
    expect(output(engine)).toBe('{"winner":"quick","value":"here"}');
  });

  it('of `any` pass over failures and reject when all have failed', async () => {
    const fail = (ctx: Ctx): Promise<never> => ctx.step('f', () => Promise.reject(new Terminal('NO')));
    const won = await ran((ctx) => ctx.any('r', { bad: fail, good: (ctx) => ctx.step('g', () => 1) }));
    expect(output(won)).toBe('{"winner":"good","value":1}');
    const lost = await ran((ctx) => ctx.any('r', { a: fail, b: fail }));
    expect(failureIn(lost)).toMatchObject({ code: 'AggregateError' });
  });
});

describe('maps', () => {
  it('keep the order of the items and the bound on how many are under way', async () => {
    let now = 0;
    let most = 0;
    const engine = await ran((ctx) =>
      ctx.map('m', [3, 1, 2, 5, 4], { concurrency: 2 }, (n, ctx) =>
        ctx.step('s', async () => {
          most = Math.max(most, ++now);
          await Promise.resolve();
          now -= 1;
          return n * 2;
        }),
      ),
    );
    expect(output(engine)).toBe('[6,2,4,10,8]');
    expect(most).toBe(2);
  });

  it('give up the other items at the first failure', async () => {
    const begun: number[] = [];
    const engine = await ran((ctx) =>
      ctx.map('m', [0, 1, 2, 3], { concurrency: 2 }, (n, ctx) =>
        ctx.step('s', () => {
          begun.push(n);
          return n === 0 ? Promise.reject(new Terminal('NO')) : new Promise(() => {});
        }),
      ),
    );
    expect(failureIn(engine)).toMatchObject({ code: 'NO', path: 'm:0/s' });
    expect(begun).toEqual([0, 1]);
  });
});

describe('cancellation', () => {
  it('rejects what is awaited, lets finally run, and lets a shield finish its work', async () => {
    const told: string[] = [];
    const engine = await ran(async (ctx) => {
      try {
        await ctx.call(work, 1);
      } catch (error) {
        told.push(isCancelled(error) ? `${error.by}:${String(error.reason)}` : String(error));
        await expect(ctx.step('late', () => told.push('late'))).rejects.toSatisfy(isCancelled);
        throw error;
      } finally {
        await ctx.shield((ctx) => ctx.step('cleanup', () => told.push('cleanup')));
      }
    });
    engine.cancel('enough');
    await engine.drain();
    expect(told).toEqual(['run_cancelled:enough', 'cleanup']);
    expect(engine.last).toMatchObject({ type: 'run.cancelled', data: { reason: 'enough', forced: false } });
  });

  it('aborts signals, and rejects in a shield what the server has closed', async () => {
    let step: AbortSignal | undefined;
    let body: AbortSignal | undefined;
    const engine = await ran(async (ctx) => {
      body = ctx.signal;
      const inside = ctx.shield((ctx) => ctx.call(work, 1));
      await Promise.allSettled([
        inside,
        ctx.step('s', (given) => {
          step = given.signal;
          return new Promise(() => {});
        }),
      ]);
      await inside;
    });
    engine.cancel();
    await engine.drain();
    expect([step?.aborted, body?.aborted]).toEqual([true, true]);
    expect(engine.last.type).toBe('run.cancelled');
  });

  it('of a recorded run begins nothing that the cancellation has called off', async () => {
    const begun: string[] = [];
    const engine = await ran((ctx) =>
      Promise.all([
        ctx.step('slow', () => {
          begun.push('slow');
          return new Promise(() => {});
        }),
        ctx.call(work, 1),
      ]),
    );
    engine.cancel();
    engine.activation?.abort('lease_lost');
    engine.begin();
    await engine.drain();
    expect(begun).toEqual(['slow']);
    expect(engine.last.type).toBe('run.cancelled');
  });

  it('is respected by a body that returns a result all the same', async () => {
    const engine = await ran((ctx) => ctx.call(work, 1).catch(() => 'partial'));
    engine.cancel();
    await engine.drain();
    expect(output(engine)).toBe('"partial"');
  });
});

describe('parking', () => {
  it('leaves memory when the body only waits, and goes on from the record', async () => {
    const begun: string[] = [];
    const engine = await ran(async (ctx) => {
      await ctx.step('a', () => begun.push('a'));
      await ctx.sleep('1h');
      return 'woken';
    });
    expect(engine.submissions).toEqual([]);
    engine.time.advance(4_999);
    expect(engine.submissions).toEqual([]);
    engine.time.advance(2);
    engine.commit();
    expect(await engine.activation?.ended).toBe('parked');
    expect(engine.state.status).toBe('waiting');
    engine.fire('sleep:1h');
    engine.begin();
    await engine.drain();
    expect(output(engine)).toBe('"woken"');
    expect(begun).toEqual(['a']);
  });

  it('goes on when something came in between', async () => {
    const engine = await ran((ctx) => ctx.call(work, 1));
    engine.time.advance(6_000);
    expect(engine.submissions[0]?.commands[0]).toMatchObject({ op: 'park' });
    engine.completeCall('work', 'in time');
    await engine.drain();
    expect(output(engine)).toBe('"in time"');
  });

  it('tries a step again whose pause ended together with another wait while the body asked to park', async () => {
    let tries = 0;
    const engine = await ran((ctx) =>
      Promise.all([
        ctx.call(work, 1),
        ctx.step('s', () => {
          tries += 1;
          if (tries === 1) throw new Transient('not yet');
          return tries;
        }),
        ctx.sleep('1h'),
      ]),
    );
    engine.time.advance(6_000);
    expect(engine.submissions[0]?.commands[0]).toMatchObject({ op: 'park' });
    engine.completeCall('work', 'in time');
    engine.fire(':retry:s');
    await engine.drain();
    expect(tries).toBe(2);
    expect(engine.paths('step.completed')).toEqual(['s']);
  });

  it('does not happen while user code runs, and happens when it has ended', async () => {
    let release = (): void => {};
    const engine = await ran((ctx) =>
      Promise.all([ctx.call(work, 1), ctx.step('s', () => new Promise<void>((resolve) => (release = resolve)))]),
    );
    engine.time.advance(60_000);
    expect(engine.submissions).toEqual([]);
    release();
    await engine.drain();
    engine.time.advance(60_000);
    expect(engine.submissions[0]?.commands[0]).toMatchObject({ op: 'park' });
  });
});

describe('replay', () => {
  it('is silent in the log until it has caught up, and tells what is no longer asked for', async () => {
    let old = true;
    const engine = await ran(async (ctx) => {
      ctx.log.info('begin');
      if (old) await ctx.step('gone', () => 1);
      await ctx.step('kept', () => 2);
      ctx.log.info('middle');
      await ctx.call(work, 1);
      ctx.log.info('end', { n: 1 });
    });
    expect(engine.logs.map((record) => record.message)).toEqual(['begin', 'middle']);
    engine.activation?.abort('lease_lost');
    engine.completeCall('work', 1);
    engine.logs.length = 0;
    old = false;
    engine.begin();
    await engine.drain();
    expect(engine.logs.map((record) => record.message)).toEqual([
      'end',
      'Recorded results that the code no longer asks for were left aside.',
    ]);
    expect(engine.logs[1]?.fields).toEqual({ count: 1, paths: ['gone'] });
    expect(engine.last.type).toBe('run.succeeded');
  });

  it('gives the same time, randomness and ids', async () => {
    const seen: unknown[] = [];
    const engine = await ran(async (ctx) => {
      seen.push(ctx.now(), ctx.random(), ctx.uuid());
      await ctx.step('a', () => 1);
      seen.push(ctx.now(), await ctx.scope('s', (ctx) => ctx.random()));
      await ctx.call(work, 1);
    });
    const live = seen.splice(0);
    expect(live[2]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(live[1]).not.toBe(live[4]);
    engine.activation?.abort('lease_lost');
    engine.time.advance(1_000_000);
    engine.begin();
    await engine.drain();
    expect(seen).toEqual(live);
  });

  it('ignores events that it has seen', async () => {
    const engine = engineFor((ctx) => ctx.step('a', () => 1));
    const activation = engine.begin();
    await engine.drain();
    expect(activation.seen).toBe(engine.events.find((e) => e.type === 'step.completed')?.seq);
    const again = {
      seq: 2,
      at: 1,
      type: 'step.failed',
      data: { path: 'a', attempt: 1, failure: failure({ class: 'unknown', code: 'X', message: '', retryable: false }) },
    } as const;
    activation.deliver([again]);
    expect(output(engine)).toBe('1');
  });
});
