/** Schedules over the real engine and the in-memory store: one server, two of them, crashes and absences. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { payloadOfJson } from '../../core/codec.js';
import type { Manifest, ScheduleManifest } from '../../core/manifest.js';
import type { Ports } from '../../core/ports.js';
import { readSchedule, type ScheduleOptions, type ScheduleSpec } from '../../core/schedule/spec.js';
import type { RunSummary, ScheduleView } from '../../protocol/http.js';
import { nodePorts } from '../../runtime/index.js';
import type { Store } from '../../store/contract.js';
import { createMemoryStore } from '../../store/memory.js';
import { MemoryData } from '../../store/memory-data.js';
import type { Engine, EngineLogRecord, Origin } from '../index.js';
import { createEngine, type EngineSettings } from '../index.js';

const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const retry = { attempts: 3, minMs: 100, maxMs: 1000, factor: 2 };
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

function manifestOf(schedules: readonly ScheduleManifest[] = [], app = 'test'): Manifest {
  const workflow = { version: null, previous: [], on: null, completes: null, priority: 5, retainMs: null };
  return {
    format: 1,
    app,
    topics: [],
    workflows: [
      { ...workflow, name: 'report', input: null, timeoutMs: null, deadlineMs: 30_000, retry },
      { ...workflow, name: 'strict', input: { type: 'object' }, timeoutMs: hour, deadlineMs: 30_000, retry },
    ],
    capabilities: [],
    ...(schedules.length === 0 ? {} : { schedules }),
  };
}

function spec(options: ScheduleOptions, workflow = 'report'): ScheduleSpec {
  return readSchedule(workflow, options, (fault) => {
    throw new Error(fault);
  });
}

const ofApp = (name: string, options: ScheduleOptions): ScheduleManifest => ({
  name,
  tenant: 'default',
  spec: spec(options),
});

/** Time for all servers of a test; it stands still until it is told to move. */
class Time {
  nowMs = Date.parse('2025-01-01T00:00:30Z');
  #timers: { readonly at: number; readonly fn: () => void }[] = [];

  readonly ports: Ports = {
    clock: { now: () => this.nowMs, monotonicMs: () => this.nowMs },
    random: nodePorts.random,
    hash: nodePorts.hash,
    timers: {
      after: (ms, fn) => {
        const timer = { at: this.nowMs + ms, fn };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer);
        };
      },
      turn: (fn) => nodePorts.timers.turn(fn),
    },
  };

  async settle(): Promise<void> {
    for (let i = 0; i < 15; i++) await new Promise<void>((resolve) => nodePorts.timers.turn(resolve));
  }

  /** Goes from one instant at which a schedule, a task or a timer is due to the next, and leaves out the time between. */
  async advance(ms: number): Promise<void> {
    const until = this.nowMs + ms;
    for (let dueAt = this.#nextDueAt(); dueAt !== null && dueAt <= until; dueAt = this.#nextDueAt()) {
      if (dueAt <= this.nowMs) break;
      await this.#leap(dueAt);
    }
    await this.#leap(until);
  }

  async #leap(to: number): Promise<void> {
    this.nowMs = Math.max(this.nowMs, to);
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= this.nowMs).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      next.fn();
      await this.settle();
    }
    await this.settle();
  }

  #nextDueAt(): number | null {
    const dues = [data.schedulesByDue.first()?.dueAt, data.delayed.first()?.dueAt, data.timers.first()?.fireAt];
    const known = dues.filter((at) => at !== undefined && at !== null);
    return known.length === 0 ? null : Math.min(...known);
  }
}

let time: Time;
let data: MemoryData;
let engines: Engine[];
let logged: EngineLogRecord[];

beforeEach(() => {
  time = new Time();
  data = new MemoryData();
  engines = [];
  logged = [];
});

afterEach(async () => {
  const stopped = Promise.all(engines.map((engine) => engine.stop()));
  await time.settle();
  await stopped;
  expect(await createMemoryStore({ clock: time.ports.clock, data }).check(9)).toEqual([]);
});

async function serve(
  given: { shared?: boolean; around?: (store: Store) => Store; settings?: Partial<EngineSettings> } = {},
): Promise<Engine> {
  const { shared = false, around = (store: Store) => store, settings = {} } = given;
  const store = around(createMemoryStore({ clock: time.ports.clock, data, shared }));
  const engine = createEngine({
    store,
    ports: time.ports,
    settings,
    log: (record) => {
      if (record.level !== 'debug') logged.push(record);
    },
  });
  engines.push(engine);
  const started = engine.start();
  await time.advance(0);
  await started;
  return engine;
}

async function register(engine: Engine, manifest: Manifest = manifestOf()): Promise<void> {
  const registered = engine.register(manifest);
  await time.settle();
  await registered;
}

async function put(engine: Engine, name: string, options: ScheduleOptions, workflow?: string): Promise<string> {
  const outcome = await engine.putSchedule(origin, name, spec(options, workflow));
  if (outcome.tag === 'error') throw outcome.error;
  return outcome.tag;
}

async function runs(engine: Engine, name = 'nightly'): Promise<readonly RunSummary[]> {
  const page = await engine.listRuns('default', {
    label: { name: 'schedule', value: name },
    order: 'oldest',
    limit: 500,
  });
  return page.items;
}

const ticksOf = (found: readonly RunSummary[]): (string | undefined)[] =>
  found.map(({ labels }) => labels['tick']?.slice(0, 16));

async function view(engine: Engine, name = 'nightly'): Promise<ScheduleView> {
  const found = await engine.readSchedule('default', name);
  if (found === null) throw new Error('there is no such schedule');
  return found;
}

const nightly: ScheduleOptions = { cron: '0 3 * * *', timeZone: 'UTC', input: { days: 1 }, overlap: 'allow' };

describe('a schedule', () => {
  it('starts a run at each tick, with its input and its labels, and tells of it', async () => {
    const engine = await serve();
    await register(engine);
    expect(await put(engine, 'nightly', { ...nightly, labels: { team: 'a' }, priority: 8 })).toBe('created');
    expect((await view(engine)).next[0]).toBe('2025-01-01T03:00:00.000Z');
    await time.advance(2 * day);
    const found = await runs(engine);
    expect(found.map(({ labels }) => labels)).toEqual([
      { team: 'a', schedule: 'nightly', tick: '2025-01-01T03:00:00.000Z' },
      { team: 'a', schedule: 'nightly', tick: '2025-01-02T03:00:00.000Z' },
    ]);
    const [event] = (await engine.readHistory('default', found[0]?.id ?? '', { after: 0, limit: 1 })) ?? [];
    expect(event).toMatchObject({
      at: '2025-01-01T03:00:00.000Z',
      actor: 'schedule:nightly',
      payload: { days: 1 },
      data: { priority: 8 },
    });
    const shown = await view(engine);
    expect(shown.recent.map(({ outcome, run }) => [outcome, run])).toEqual(
      [...found].reverse().map(({ id }) => ['started', id]),
    );
    expect(shown).toMatchObject({ start: 'report', app: null, counts: { started: 2, skipped: 0, missed: 0 } });
    expect((await engine.listSchedules('default', {})).items).toEqual([shown]);
    expect(await engine.listSchedules('other', {})).toEqual({ items: [], next: null });
  });

  it('is refused where its tenant has as many as it may have, and replaced all the same', async () => {
    const engine = await serve({ settings: { schedulesPerTenantMax: 2 } });
    await register(engine);
    await put(engine, 'one', nightly);
    await put(engine, 'two', nightly);
    const third = await engine.putSchedule(origin, 'three', spec(nightly));
    expect(third).toMatchObject({ tag: 'error', error: { code: 'SCHEDULES_FULL' } });
    expect(await put(engine, 'two', { ...nightly, input: { days: 2 } })).toBe('updated');
    expect((await engine.putSchedule({ ...origin, tenant: 'other' }, 'one', spec(nightly))).tag).toBe('created');
    await engine.removeSchedule(origin, 'one');
    expect(await put(engine, 'three', nightly)).toBe('created');
  });

  it('is refused where its workflow or its input cannot be', async () => {
    const engine = await serve();
    await register(engine);
    await expect(put(engine, 'a', nightly, 'nothing')).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
    await expect(put(engine, 'a', { ...nightly, input: 7 }, 'strict')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    expect(await engine.readSchedule('default', 'a')).toBeNull();
  });

  it('is changed by the same name; the same again changes nothing', async () => {
    const engine = await serve();
    await register(engine);
    await put(engine, 'nightly', nightly);
    expect(await put(engine, 'nightly', { ...nightly })).toBe('unchanged');
    expect(await put(engine, 'nightly', { ...nightly, cron: '0 5 * * *' })).toBe('updated');
    await time.advance(day);
    expect(ticksOf(await runs(engine))).toEqual(['2025-01-01T05:00']);
  });

  it('can be paused, resumed and removed, and says when there was nothing to do', async () => {
    const engine = await serve();
    await register(engine);
    await put(engine, 'nightly', nightly);
    expect(await engine.pauseSchedule(origin, 'nightly', { reason: 'why' })).toEqual({ tag: 'done' });
    expect(await engine.pauseSchedule(origin, 'nightly')).toEqual({ tag: 'already' });
    await time.advance(3 * day);
    expect(await runs(engine)).toEqual([]);
    expect(await view(engine)).toMatchObject({ pauseReason: 'why', next: [] });
    expect(await engine.resumeSchedule(origin, 'nightly')).toEqual({ tag: 'done' });
    expect(await engine.resumeSchedule(origin, 'nightly')).toEqual({ tag: 'already' });
    await time.advance(day);
    expect(ticksOf(await runs(engine))).toEqual(['2025-01-04T03:00']);
    expect(await engine.removeSchedule(origin, 'nightly')).toEqual({ tag: 'done' });
    await time.advance(2 * day);
    expect(await runs(engine)).toHaveLength(1);
    const refused = [
      await engine.removeSchedule(origin, 'nightly'),
      await engine.pauseSchedule(origin, 'nightly'),
      await engine.resumeSchedule(origin, 'nightly'),
      await engine.triggerSchedule(origin, 'nightly'),
    ];
    for (const outcome of refused) expect(outcome).toMatchObject({ error: { code: 'SCHEDULE_NOT_FOUND' } });
  });

  it('is started by hand, once under one key, also while it is paused', async () => {
    const engine = await serve();
    await register(engine);
    await put(engine, 'nightly', { ...nightly, overlap: 'skip' });
    await engine.pauseSchedule(origin, 'nightly');
    const first = await engine.triggerSchedule(origin, 'nightly', { idempotencyKey: 'k' });
    const again = await engine.triggerSchedule(origin, 'nightly', { idempotencyKey: 'k' });
    expect(first.tag).toBe('started');
    expect(again).toEqual({ ...first, tag: 'repeated' });
    expect((await view(engine)).running).toHaveLength(1);
    await engine.resumeSchedule(origin, 'nightly');
    await time.advance(day);
    expect((await view(engine)).recent.map(({ outcome }) => outcome)).toEqual(['skipped', 'started']);
  });

  it('starts what waits as soon as the run before has ended', async () => {
    const engine = await serve();
    await register(engine);
    await put(engine, 'nightly', { every: '1h', overlap: 'queue' });
    await time.advance(5 * hour);
    const [first] = await runs(engine);
    expect(await view(engine)).toMatchObject({ waiting: ['2025-01-01T02:00:00.000Z'], running: [first?.id] });
    await engine.cancel(origin, first?.id ?? '');
    await time.settle();
    expect(ticksOf(await runs(engine))).toEqual(['2025-01-01T01:00', '2025-01-01T02:00']);
    expect((await view(engine)).waiting).toEqual([]);
  });

  it('has the run before cancelled where it says so', async () => {
    const engine = await serve();
    await register(engine);
    await put(engine, 'nightly', { every: '1h', overlap: 'cancel' });
    await time.advance(2 * hour + minute);
    const found = await runs(engine);
    expect(ticksOf(found)).toEqual(['2025-01-01T01:00', '2025-01-01T02:00']);
    expect(found.map(({ state }) => state)).toEqual(['cancelled', 'queued']);
  });

  it('tells what its runs are refused for, and ticks on', async () => {
    const engine = await serve();
    await register(engine);
    await put(engine, 'nightly', { ...nightly, input: {} }, 'strict');
    const { workflows, ...rest } = manifestOf();
    const changed = workflows.map((one) => ({ ...one, input: { type: 'array' } }));
    await register(engine, { ...rest, workflows: changed });
    await time.advance(2 * day);
    expect(await runs(engine)).toEqual([]);
    const { recent, counts } = await view(engine);
    expect(counts.skipped).toBe(2);
    expect(recent[0]).toMatchObject({ outcome: 'failed', run: null });
    expect(recent[0]?.reason).toContain('INPUT_INVALID');
  });
});

describe('a tick', () => {
  it('that comes while no server is there is made up for by the next', async () => {
    const engine = await serve();
    await register(engine);
    for (const catchUp of ['none', 'one', 'all'] as const) await put(engine, catchUp, { ...nightly, catchUp });
    await engine.stop();
    await time.advance(7 * day);
    const next = await serve();
    await time.advance(minute);
    expect(ticksOf(await runs(next, 'none'))).toEqual([]);
    expect(ticksOf(await runs(next, 'one'))).toEqual(['2025-01-07T03:00']);
    expect(ticksOf(await runs(next, 'all')).sort()).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => `2025-01-0${n}T03:00`));
  });

  it('is decided once where the store has carried it out and answers with an error', async () => {
    let ambiguous = 0;
    const engine = await serve({
      around: (store) =>
        new Proxy(store, {
          get: (target, name: keyof Store) => {
            const value: unknown = target[name];
            if (name !== 'apply') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
            return async (...given: Parameters<Store['apply']>) => {
              const outcomes = await target.apply(...given);
              const ticks = given[0].some(
                ({ runs: born = [], schedules = [] }) => born.length > 0 && schedules.length > 0,
              );
              if (ticks && ambiguous++ % 2 === 0) throw new Error('the answer was lost');
              return outcomes;
            };
          },
        }),
    });
    await register(engine);
    await put(engine, 'nightly', nightly);
    await time.advance(6 * day);
    expect(ticksOf(await runs(engine))).toEqual([1, 2, 3, 4, 5, 6].map((n) => `2025-01-0${n}T03:00`));
    expect(ambiguous).toBe(6);
    expect(logged.filter(({ message }) => message === 'schedule nightly failed')).toHaveLength(3);
  });

  it('is one run whichever of two servers sees to it, and when one of them is gone', async () => {
    const one = await serve({ shared: true });
    const two = await serve({ shared: true });
    await register(one);
    await put(one, 'nightly', { every: '1m', overlap: 'allow' });
    await time.advance(10 * minute);
    await Promise.all([one.stop(), time.settle()]);
    await time.advance(10 * minute);
    const found = ticksOf(await runs(two));
    expect(found).toHaveLength(20);
    expect(new Set(found).size).toBe(20);
  });

  it('is one run where both servers look at the same moment', async () => {
    const both = [await serve({ shared: true }), await serve({ shared: true })];
    for (const engine of both) await register(engine);
    const [one] = both;
    if (one === undefined) throw new Error('no server');
    await put(one, 'nightly', { every: '1h' });
    // Neither holds the duty for the other: as if each believed to have it.
    time.nowMs += hour;
    for (const name of ['pauseSchedule', 'triggerSchedule', 'resumeSchedule'] as const)
      await Promise.all(both.map((engine) => engine[name](origin, 'nightly')));
    const { counts, recent } = await view(one);
    expect(counts.started).toBe(3);
    expect(recent.filter(({ reason }) => reason === 'by hand')).toHaveLength(2);
  });

  it('does not come of a schedule that was removed meanwhile and made anew', async () => {
    const engine = await serve();
    await register(engine);
    await put(engine, 'nightly', nightly);
    const before = data.schedule('default', 'nightly');
    await engine.removeSchedule(origin, 'nightly');
    time.nowMs += 1;
    await put(engine, 'nightly', nightly);
    expect(data.schedule('default', 'nightly')?.version).toBeGreaterThan(before?.version ?? 0);
  });
});

describe('the schedules of an app', () => {
  it('come, change and go with its manifest', async () => {
    const engine = await serve();
    await register(engine, manifestOf([ofApp('nightly', nightly), ofApp('hourly', { every: '1h' })]));
    expect(await view(engine)).toMatchObject({ app: 'test', cron: '0 3 * * *' });
    await time.advance(minute);
    await register(engine, manifestOf([ofApp('nightly', { ...nightly, timeZone: 'Europe/Berlin' })]));
    expect(await view(engine)).toMatchObject({ timeZone: 'Europe/Berlin' });
    expect(await engine.readSchedule('default', 'hourly')).toBeNull();
    await time.advance(day);
    expect(ticksOf(await runs(engine))).toEqual(['2025-01-01T02:00']);
    await register(engine, manifestOf());
    expect(await engine.readSchedule('default', 'nightly')).toBeNull();
  });

  it('are not changed by requests, but can be paused, which a new manifest keeps', async () => {
    const engine = await serve();
    await register(engine, manifestOf([ofApp('nightly', nightly)]));
    await expect(put(engine, 'nightly', { every: '1h' })).rejects.toMatchObject({ code: 'SCHEDULE_OWNED' });
    expect(await engine.removeSchedule(origin, 'nightly')).toMatchObject({ error: { code: 'SCHEDULE_OWNED' } });
    await engine.pauseSchedule(origin, 'nightly');
    await time.advance(minute);
    await register(engine, manifestOf([ofApp('nightly', { every: '1h' })]));
    expect(await view(engine)).toMatchObject({ everyMs: hour, next: [] });
  });

  it('are taken over where a request had made one of that name', async () => {
    const engine = await serve();
    await register(engine);
    await put(engine, 'nightly', { every: '1h' });
    await time.advance(minute);
    await register(engine, manifestOf([ofApp('nightly', nightly)]));
    expect((await view(engine)).app).toBe('test');
    expect(logged.map(({ message }) => message)).toEqual([
      'a schedule was taken over by an app that defines one of the same name',
    ]);
  });

  it('are brought about by the next server where the one that was registered with has died before', async () => {
    const store = createMemoryStore({ clock: time.ports.clock, data });
    const manifest = manifestOf([ofApp('nightly', nightly)]);
    await store.saveManifest({ app: 'test', hash: 'h', manifest: JSON.stringify(manifest), registeredAt: time.nowMs });
    const engine = await serve();
    expect((await view(engine)).app).toBe('test');
  });

  it('are those of the newest manifest, whoever looks at them later', async () => {
    const one = await serve({ shared: true });
    await register(one, manifestOf([ofApp('nightly', nightly)]));
    const two = await serve({ shared: true });
    await time.advance(minute);
    await register(one, manifestOf([ofApp('nightly', { every: '1h' })]));
    await time.advance(minute);
    expect(await view(two)).toMatchObject({ everyMs: hour });
    await register(two, manifestOf([ofApp('nightly', { cron: '0 4 * * *', timeZone: 'UTC' })]));
    await time.advance(minute);
    expect(await view(one)).toMatchObject({ cron: '0 4 * * *' });
  });

  it('are refused with the manifest where they are not valid', async () => {
    const engine = await serve();
    const [valid] = [ofApp('nightly', nightly)];
    for (const broken of [
      { ...valid, name: '' },
      { ...valid, tenant: 'a/b' },
      { ...valid, spec: { ...valid?.spec, cadence: { cron: '61 * * * *', timeZone: 'UTC' } } },
      { ...valid, spec: { ...valid?.spec, catchUp: 'some' } },
      { ...valid, spec: null },
    ]) {
      const manifest = { ...manifestOf(), schedules: [broken] } as unknown as Manifest;
      await expect(engine.register(manifest)).rejects.toMatchObject({ code: 'DEFINITION_INVALID' });
    }
  });
});

describe('a start that is put off', () => {
  async function start(engine: Engine, when: { delayMs?: number; startAt?: number }, workflow = 'report') {
    const [outcome] = await engine.startRuns(origin, [{ workflow, input: payloadOfJson({}), ...when }]);
    if (outcome?.tag !== 'started') throw new Error(JSON.stringify(outcome));
    return outcome.run;
  }

  it('is a run that waits, and is ready at its time', async () => {
    const engine = await serve();
    await register(engine);
    const run = await start(engine, { delayMs: hour });
    expect(await engine.readRun('default', run)).toMatchObject({
      state: 'waiting',
      // Nobody is there to do it, either.
      waitingFor: [{ kind: 'worker' }, { kind: 'timer', until: '2025-01-01T01:00:30.000Z' }],
    });
    expect((await engine.listRuns('default', { states: ['waiting'] })).items).toHaveLength(1);
    expect((await engine.listRuns('default', { states: ['queued'] })).items).toHaveLength(0);
    await time.advance(hour - 1);
    expect((await engine.queues())[0]).toMatchObject({ ready: 0, delayed: 1 });
    await time.advance(2);
    expect((await engine.queues())[0]).toMatchObject({ ready: 1, delayed: 0 });
    expect(await engine.readRun('default', run)).toMatchObject({ state: 'queued' });
  });

  it('begins at once where its instant is past', async () => {
    const engine = await serve();
    await register(engine);
    const run = await start(engine, { startAt: time.nowMs - 1 });
    expect(await engine.readRun('default', run)).toMatchObject({ state: 'queued' });
  });

  it('has its timeout from when it may begin', async () => {
    const engine = await serve();
    await register(engine);
    const run = await start(engine, { startAt: time.nowMs + day }, 'strict');
    await time.advance(day + hour - 1);
    expect(await engine.readRun('default', run)).toMatchObject({ state: 'queued' });
    await time.advance(1_000);
    expect(await engine.readRun('default', run)).toMatchObject({ state: 'failed' });
    expect((await engine.doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('can be cancelled before', async () => {
    const engine = await serve();
    await register(engine);
    const run = await start(engine, { delayMs: hour });
    await engine.cancel(origin, run);
    expect(await engine.readRun('default', run)).toMatchObject({ state: 'cancelled' });
    await time.advance(2 * hour);
    expect(await engine.queues()).toEqual([]);
  });

  it('is refused where it cannot be', async () => {
    const engine = await serve();
    await register(engine);
    for (const when of [{ delayMs: -1 }, { delayMs: 0.5 }, { startAt: Number.NaN }, { delayMs: 1, startAt: 1 }])
      await expect(start(engine, when)).rejects.toThrow();
  });
});
