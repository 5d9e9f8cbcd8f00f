/** Two engines over one store: what either does, the other's workers, bodies and readers hear of. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { payloadOfJson } from '../core/codec.js';
import type { Manifest } from '../core/manifest.js';
import type { Ports } from '../core/ports.js';
import type { BodyCommand, TaskCommand } from '../core/run/commands.js';
import type { TriageModels } from '../core/triage/in-force.js';
import { modelData } from '../core/triage/model-data.js';
import type { Assignment, JournalEntry, Resume, ServerMessage, SubmissionResult } from '../protocol/worker.js';
import { nodePorts } from '../runtime/index.js';
import { createMemoryStore, type MemoryStore } from '../store/memory.js';
import { MemoryData } from '../store/memory-data.js';
import type { Engine, Origin, WorkerLine } from './api.js';
import { createEngine } from './engine.js';
import type { TriageOrder } from './triage/triage-office.js';

const retry = { attempts: 3, minMs: 100, maxMs: 1000, factor: 2 };
const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };

function manifestOf(...workflows: readonly string[]): Manifest {
  return {
    format: 1,
    app: 'test',
    topics: [{ name: 'seen', schema: null, key: null, partitions: 1 }],
    workflows: workflows.map((name) => ({
      name,
      version: null,
      previous: [],
      input: null,
      on: null,
      completes: null,
      priority: 5,
      timeoutMs: null,
      retainMs: null,
      deadlineMs: 30_000,
      retry,
    })),
    capabilities: [
      { name: 'add', input: null, output: null, effect: 'idempotent', deadlineMs: 20_000, retry, implemented: true },
    ],
  };
}

/** Time that stands still until it is told to move, the same for all; wall clocks are hours apart and never asked. */
class SharedTime {
  nowMs = 1_700_000_000_000;
  #timers: { readonly at: number; readonly fn: () => void }[] = [];

  ports(skewMs: number): Ports {
    return {
      clock: { now: () => this.nowMs + skewMs, monotonicMs: () => this.nowMs },
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
  }

  /** Lets everything happen that happens without time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => nodePorts.timers.turn(resolve));
  }

  async advance(ms: number): Promise<void> {
    const until = this.nowMs + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.nowMs = Math.max(this.nowMs, next.at);
      next.fn();
      await this.settle();
    }
    this.nowMs = until;
    await this.settle();
  }
}

/** A worker that does what the test tells it, and its lines. */
class HandWorker {
  readonly assignments: Assignment[] = [];
  readonly delivered: JournalEntry[] = [];
  readonly results = new Map<number, SubmissionResult>();
  readonly aborted: number[] = [];
  readonly goodbyes: string[] = [];
  readonly classifiers: TriageModels[] = [];
  session = '';
  lost: readonly number[] = [];
  resumed: boolean | null = null;
  closed: string | null = null;
  readonly line: WorkerLine;
  readonly #name: string;
  #submissions = 0;
  static #beats = 0;

  constructor(
    engine: Engine,
    name: string,
    how: { resume?: Resume; manifest?: Manifest; only?: 'bodies' | 'calls'; inProcess?: true } = {},
  ) {
    this.#name = name;
    this.line = engine.connect({
      inProcess: how.inProcess ?? false,
      send: (message) => this.#receive(structuredClone(message)),
      bufferedBytes: () => 0,
      close: (reason) => {
        this.closed = reason;
      },
    });
    const { resume, manifest = manifestOf('greet'), only } = how;
    const workflows = manifest.workflows.map((workflow) => workflow.name);
    this.line.receive({
      t: 'hello',
      protocol: 1,
      worker: name,
      app: 'test',
      manifest,
      slots: 4,
      ...(only === undefined
        ? {}
        : { only: only === 'bodies' ? { workflows, capabilities: [] } : { workflows: [], capabilities: ['add'] } }),
      ...(resume === undefined ? {} : { resume }),
    });
    this.line.receive({ t: 'credit', upTo: (resume?.received ?? 0) + 4 });
  }

  get last(): Assignment {
    const last = this.assignments.at(-1);
    if (last === undefined) throw new Error(`nothing was assigned to ${this.#name}`);
    return last;
  }

  /** What it would say on another line. */
  resumption(seen = 1): Resume {
    const received = Math.max(0, ...this.assignments.map(({ assignment }) => assignment));
    return {
      session: this.session,
      received,
      holding: this.assignments.map(({ assignment }) => ({ assignment, seen })),
    };
  }

  beat(received = Math.max(0, ...this.assignments.map(({ assignment }) => assignment))): void {
    HandWorker.#beats += 1;
    this.line.receive({ t: 'beat', session: this.session, n: HandWorker.#beats, received });
  }

  submit(...commands: (BodyCommand | TaskCommand)[]): number {
    return this.submitFor(this.last.assignment, ...commands);
  }

  submitFor(assignment: number, ...commands: (BodyCommand | TaskCommand)[]): number {
    this.#submissions += 1;
    this.line.receive({ t: 'submit', items: [{ i: this.#submissions, assignment, commands }] });
    return this.#submissions;
  }

  #receive(message: ServerMessage): void {
    switch (message.t) {
      case 'welcome':
        this.session = message.session;
        this.resumed = message.resumed;
        this.lost = message.lost;
        break;
      case 'assign':
        this.assignments.push(...message.items);
        break;
      case 'results':
        for (const item of message.items) this.results.set(item.i, item);
        break;
      case 'deliver':
        for (const { events } of message.items) this.delivered.push(...events);
        break;
      case 'abort':
        this.aborted.push(...message.items.map(({ assignment }) => assignment));
        break;
      case 'goodbye':
        this.goodbyes.push(message.reason);
        break;
      case 'shadow':
        break;
      case 'triage':
        this.classifiers.push(message);
        break;
    }
  }
}

const call: BodyCommand = {
  op: 'call',
  path: 'add',
  capability: 'add',
  input: payloadOfJson({ n: 1 }),
  options: {},
};
const sleepUntil = (at: number): BodyCommand => ({ op: 'sleepUntil', path: 'nap', at });
const step = (path: string): BodyCommand => ({
  op: 'completeStep',
  path,
  attempt: 1,
  durationMs: 1,
  withInput: false,
  result: payloadOfJson(path),
});
const succeed: BodyCommand = { op: 'succeed', output: payloadOfJson({ ok: true }) };

let time: SharedTime;
let data: MemoryData;
let a: Engine;
let b: Engine;
let storeB: MemoryStore;
let engines: Engine[];
const faults: unknown[] = [];

async function open(skewMs: number): Promise<{ engine: Engine; store: MemoryStore }> {
  const clock = { now: () => time.nowMs, monotonicMs: () => time.nowMs };
  const store = createMemoryStore({ clock, data, shared: true });
  const engine = createEngine({
    store,
    ports: time.ports(skewMs),
    log: (record) => record.level === 'error' && faults.push(record),
  });
  await engine.start();
  engines.push(engine);
  return { engine, store };
}

beforeEach(async () => {
  faults.length = 0;
  engines = [];
  time = new SharedTime();
  data = new MemoryData();
  ({ engine: a } = await open(7_200_000));
  ({ engine: b, store: storeB } = await open(-7_200_000));
});

afterEach(async () => {
  const report = await b.doctor();
  expect(report.checks.filter((check) => !check.ok)).toEqual([]);
  const stopped = Promise.all(engines.map((engine) => engine.stop()));
  await time.advance(3_000);
  await stopped;
  expect(faults).toEqual([]);
});

async function worker(engine: Engine, name = 'w1', how: ConstructorParameters<typeof HandWorker>[2] = {}) {
  const made = new HandWorker(engine, name, how);
  await time.settle();
  return made;
}

async function start(engine: Engine, workflow = 'greet'): Promise<string> {
  const answer = engine.startRuns(origin, [{ workflow, input: payloadOfJson({}) }]);
  await time.advance(300);
  const [outcome] = await answer;
  if (outcome?.tag !== 'started') throw new Error(JSON.stringify(outcome));
  return outcome.run;
}

function seqsOf(entries: readonly { readonly seq: number }[]): number[] {
  return entries.map(({ seq }) => seq);
}

/** Gives the second event of a run another type, as if another version had written it. */
function retype(run: string, type: string): void {
  for (const events of data.streams.values()) {
    const [, second] = events;
    if (second?.stream === run) events[1] = { ...second, type };
  }
}

describe('several engines over one store', () => {
  it('refuse a run that only a newer version can read, lose nothing of it, and go on with all others', async () => {
    const w = await worker(a);
    const run = await start(a);
    w.submit({ op: 'progress', index: 0, value: payloadOfJson(1) }, step('s'));
    await time.settle();
    // It leaves without giving back what it holds; that is lost, and waits for another.
    w.line.receive({ t: 'bye' });
    await time.advance(10_000);
    retype(run, 'progress.revised');
    const other = await start(b);
    // An older server, which remembers nothing of the run: its worker gets the run behind, which is not held up.
    const { engine: old } = await open(0);
    const w2 = await worker(old, 'w2');
    expect(w2.assignments.map((assignment) => assignment.run)).toEqual([other]);
    const refusal = { code: 'EVENT_UNKNOWN', detail: { run, type: 'progress.revised' } };
    await expect(old.readRun('default', run)).rejects.toMatchObject(refusal);
    expect(await old.cancel(origin, run, {})).toMatchObject({ tag: 'error', error: refusal });
    const [waiting] = await storeB.readTasks('default', run);
    const head = (await storeB.readRun('default', run))?.head;
    const tokens: (number | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      await time.advance(5_000);
      w2.beat();
      // A number that was taken back frees its slot.
      w2.line.receive({ t: 'credit', upTo: 20 });
      tokens.push((await storeB.readTasks('default', run)).find(({ task }) => task === waiting?.task)?.token);
    }
    // Tried now and then, never counted, and the log is as it was.
    expect((tokens.at(-1) ?? 0) - (tokens[0] ?? 0)).toBeLessThan(5);
    const [task] = await storeB.readTasks('default', run);
    expect(task?.attempt).toBe(waiting?.attempt);
    expect((await storeB.readRun('default', run))?.head).toBe(head);
    // Whoever knows the event goes on.
    w2.submit(succeed);
    retype(run, 'progress.reported');
    await time.advance(6_000);
    expect(w2.last.run).toBe(run);
    w2.submit(succeed);
    await time.settle();
    expect(await old.readResult('default', run)).toMatchObject({ state: 'succeeded' });
  });

  it('give a run that was started at one to a worker of the other', async () => {
    const w = await worker(b);
    const run = await start(a);
    expect(w.last.run).toBe(run);
    w.submit(step('s'), succeed);
    await time.settle();
    expect(await a.readResult('default', run)).toMatchObject({ state: 'succeeded' });
  });

  it('leave it to silence whether a neighbour has died with the worker in its process', async () => {
    const w = await worker(a, 'embedded', { inProcess: true });
    const run = await start(a);
    await open(0);
    expect((await storeB.listSessions()).map(({ session }) => session)).toEqual([w.session]);
    w.submit(succeed);
    await time.settle();
    expect(await b.readResult('default', run)).toMatchObject({ state: 'succeeded' });
  });

  it('carry a cancellation to a body that the other holds', async () => {
    const w = await worker(a);
    const run = await start(a);
    await b.cancel(origin, run, { reason: 'enough' });
    await time.settle();
    expect(w.delivered.map(({ type }) => type)).toEqual(['run.cancel_requested']);
  });

  it('deliver the result of a call that a worker of the other completed, once', async () => {
    const body = await worker(a, 'body', { only: 'bodies' });
    const caller = await worker(b, 'caller', { only: 'calls' });
    await start(a);
    body.submit(call);
    await time.settle();
    caller.submit({ op: 'completeTask', result: payloadOfJson(2), durationMs: 1 });
    await time.advance(2_000);
    expect(body.delivered.map(({ type }) => type)).toEqual(['call.scheduled', 'call.completed']);
  });

  it('fire timers that a server has set which is gone', async () => {
    const w = await worker(a);
    const run = await start(a);
    w.submit(sleepUntil(time.nowMs + 20_000), { op: 'park', seen: 1 });
    await time.settle();
    const stopped = a.stop();
    await time.advance(2_500);
    await stopped;
    await time.advance(22_000);
    const types = (await b.readHistory('default', run, { after: 0, limit: 50 }))?.map(({ type }) => type);
    expect(types).toContain('timer.fired');
  });

  it('show a run that is worked on at one to a reader at the other, each event once and in order, and its end', async () => {
    const w = await worker(a);
    const run = await start(a);
    const seen: number[] = [];
    let end = '';
    await b.follow('default', run, 0, {
      onEvents: (events) => {
        seen.push(...seqsOf(events));
        return true;
      },
      onEnd: (state) => {
        end = state;
      },
      onGap: () => expect.unreachable('there is no gap'),
      onError: (error) => expect.unreachable(error.message),
    });
    await time.settle();
    for (const path of ['one', 'two', 'three']) w.submit(step(path));
    await time.settle();
    w.submit(step('four'), succeed);
    await time.settle();
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
    expect(end).toBe('succeeded');
  });

  it('resolve a wait for the end of a run that ends at the other', async () => {
    const w = await worker(a);
    const run = await start(a);
    const waited = b.waitForEnd('default', run, 60_000);
    await time.settle();
    w.submit(step('s'), succeed);
    await time.settle();
    expect(await waited).toBe('succeeded');
  });

  it('know at once at one what was registered at the other', async () => {
    await a.register(manifestOf('greet'));
    expect(await start(b)).toMatch(/^run_/);
    // A look that finds nothing does not keep the next from finding what came right after it.
    const missed = b.startRuns(origin, [{ workflow: 'new', input: payloadOfJson({}) }]);
    await time.advance(300);
    expect((await missed)[0]).toMatchObject({ tag: 'error', error: { code: 'WORKFLOW_UNKNOWN' } });
    await a.register(manifestOf('greet', 'new'));
    expect(await start(b, 'new')).toMatch(/^run_/);
  });

  it('do not bring an old manifest back with an old worker that resumes', async () => {
    const old = await worker(a, 'old');
    await worker(b, 'new', { manifest: manifestOf('greet', 'new') });
    await time.advance(2_500);
    expect(a.definitions()[0]?.workflows).toHaveLength(2);
    const back = await worker(b, 'old', { resume: old.resumption() });
    expect(back.resumed).toBe(true);
    await time.advance(2_500);
    expect([a, b].map((engine) => engine.definitions()[0]?.workflows.length)).toEqual([2, 2]);
  });

  it('do not bring an old manifest back with an old worker that starts again', async () => {
    await worker(a, 'old');
    await time.advance(1_000);
    const fresh = await worker(b, 'new', { manifest: manifestOf('greet', 'new') });
    await time.advance(2_500);
    // The same build in a new process: its session is new, its definitions are not.
    await worker(a, 'old again');
    await time.advance(2_500);
    expect([a, b].map((engine) => engine.definitions()[0]?.workflows.length)).toEqual([2, 2]);
    // With the last worker of the newer build its definitions go, too; they come back with the next.
    fresh.line.receive({ t: 'bye' });
    await time.advance(2_500);
    expect([a, b].map((engine) => engine.definitions()[0]?.workflows.length)).toEqual([1, 1]);
    await worker(b, 'new', { manifest: manifestOf('greet', 'new') });
    await time.advance(2_500);
    expect([a, b].map((engine) => engine.definitions()[0]?.workflows.length)).toEqual([2, 2]);
  });

  it('date a registration after the newest, though the clock was set back', async () => {
    await a.register(manifestOf('greet'));
    await time.advance(2_500);
    time.nowMs -= 1_500;
    await b.register(manifestOf('greet', 'new'));
    const rows = await storeB.listManifests();
    expect(rows.at(-1)?.manifest).toBe(JSON.stringify(manifestOf('greet', 'new')));
  });
});

describe('a session that moves between engines', () => {
  it('goes on at the other while the first still lives, and nothing is claimed for it there', async () => {
    const first = await worker(a);
    const run = await start(a);
    first.beat();
    // A half-open line: nobody tells the first server.
    const second = await worker(b, 'w1', { resume: first.resumption() });
    expect([second.resumed, second.lost]).toEqual([true, []]);
    const i = second.submitFor(first.last.assignment, step('s'), succeed);
    await time.settle();
    expect(second.results.get(i)).toMatchObject({ ok: true });
    const next = await start(a);
    expect(first.assignments.map((assignment) => assignment.run)).toEqual([run]);
    expect(second.assignments.map((assignment) => assignment.run)).toEqual([next]);
    second.beat();
    await time.advance(6_000);
    expect(first.closed).not.toBeNull();
    expect(first.goodbyes).toEqual([]);
  });

  it('is restored, not remembered, by a server that had it before', async () => {
    const first = await worker(a);
    await start(a);
    const second = await worker(b, 'w1', { resume: first.resumption() });
    second.submitFor(first.last.assignment, step('s'), succeed);
    await time.settle();
    const later = await start(b);
    const third = await worker(a, 'w1', { resume: second.resumption() });
    expect([third.resumed, third.lost]).toEqual([true, []]);
    const i = third.submitFor(second.last.assignment, step('s'), succeed);
    await time.settle();
    expect(third.results.get(i)).toMatchObject({ ok: true });
    expect(await b.readResult('default', later)).toMatchObject({ state: 'succeeded' });
    third.beat();
    await time.advance(6_000);
    expect(third.closed).toBeNull();
  });

  it('gives up a body that has seen what a failover has lost, and has it done again from what there is', async () => {
    const first = await worker(a);
    const run = await start(a);
    first.beat();
    const second = await worker(b, 'w1', { resume: first.resumption(99) });
    expect([second.resumed, second.lost]).toEqual([true, [first.last.assignment]]);
    await time.advance(1_000);
    expect(second.assignments.map((assignment) => assignment.run)).toEqual([run]);
    const i = second.submit(step('s'), succeed);
    await time.settle();
    expect(second.results.get(i)).toMatchObject({ ok: true });
  });

  it('is not recalled by a server that no longer owns it', async () => {
    const first = await worker(a);
    await start(a);
    const second = await worker(b, 'w1', { resume: first.resumption() });
    // The first has never heard that the assignment was received; its duty to recall it comes before its next beat.
    for (let round = 0; round < 6; round++) {
      second.beat(1);
      await time.advance(3_000);
    }
    const i = second.submitFor(first.last.assignment, step('s'), succeed);
    await time.settle();
    expect(second.results.get(i)).toMatchObject({ ok: true });
  });

  it('lives on by beats that reach another server than its owner', async () => {
    const w = await worker(a);
    await start(a);
    const heart = b.connect({ send: () => undefined, bufferedBytes: () => 0, close: () => undefined });
    for (let n = 1; n < 15; n++) {
      heart.receive({ t: 'beat', session: w.session, n, received: 1 });
      await time.advance(3_000 / 2);
      await time.advance(3_000 / 2);
    }
    expect(w.goodbyes).toEqual([]);
    expect(await storeB.listSessions()).toHaveLength(1);
  });

  it('is buried once, by whichever server has the duty', async () => {
    const w = await worker(a);
    const run = await start(a);
    w.beat();
    const stopped = a.stop();
    await time.advance(3_000);
    await stopped;
    const next = await worker(b, 'w2');
    for (let round = 0; round < 20; round++) {
      next.beat();
      await time.advance(2_000);
    }
    const types = (await b.readHistory('default', run, { after: 0, limit: 50 }))?.map(({ type }) => type);
    expect(types?.filter((type) => type === 'activation.retrying')).toHaveLength(1);
    expect(next.last).toMatchObject({ run, attempt: 2 });
    next.submit(succeed);
    await time.settle();
  });

  it('is sent elsewhere by a server that stops, with its commit answered', async () => {
    const w = await worker(a);
    await start(a);
    const i = w.submit(step('s'), succeed);
    const stopped = a.stop();
    await time.settle();
    await stopped;
    expect(w.results.get(i)).toMatchObject({ ok: true });
    expect(w.goodbyes[0]).toMatch(/^SHUTTING_DOWN/);
    const back = await worker(b, 'w1', { resume: { ...w.resumption(), holding: [] } });
    expect(back.resumed).toBe(true);
  });
});

describe('versions', () => {
  const build = (version: string | null, ...previous: (string | null)[]): Manifest => {
    const manifest = manifestOf('greet');
    return { ...manifest, workflows: manifest.workflows.map((one) => ({ ...one, version, previous })) };
  };

  it('are leased to workers that have them, and to no others', async () => {
    const old = await worker(a, 'old', { manifest: build('1') });
    const first = await start(b);
    expect(old.last).toMatchObject({ run: first, version: '1' });
    old.submit({ op: 'sleep', path: 's', ms: 5_000 });
    await time.settle();
    old.submit({ op: 'park', seen: 2 });
    await time.settle();
    // Not a worker for it: the new build has left the old body out.
    const fresh = await worker(b, 'new', { manifest: build('2') });
    await time.advance(2_500);
    const second = await start(a);
    expect(fresh.last).toMatchObject({ run: second, version: '2' });
    fresh.submit(succeed);
    old.line.receive({ t: 'bye' });
    await time.advance(5_000);
    expect(fresh.assignments).toHaveLength(1);
    const view = await b.readRun('default', first);
    expect(view).toMatchObject({ state: 'queued', version: '1', served: false });
    expect(view?.waitingFor.map(({ text }) => text)).toEqual([
      'No connected worker has workflow greet for runs of version 1.',
    ]);
    const check = (await b.doctor()).checks.find(({ property }) => property === 'versions');
    expect(check).toMatchObject({ ok: false, violations: [{ subject: 'greet version 1' }] });
    // One that has it again, beside its own.
    const both = await worker(a, 'both', { manifest: build('3', '2', '1') });
    await time.advance(1_000);
    expect(both.last).toMatchObject({ run: first, version: '1' });
    both.submit(succeed);
    await time.settle();
  });

  it('are changed by a migration at another server, under the feet of who holds the run', async () => {
    const old = await worker(a, 'old', { manifest: build('1') });
    const run = await start(a);
    old.submit(step('kept'));
    await time.settle();
    const fresh = await worker(b, 'new', { manifest: build('2') });
    await time.advance(2_500);
    expect(await a.migrate(origin, run, '3')).toMatchObject({ error: { code: 'RUN_NOT_MIGRATABLE' } });
    expect(await b.migrate(origin, run, '2')).toEqual({ tag: 'done' });
    await time.advance(1_500);
    expect(old.aborted).toEqual([old.last.assignment]);
    const late = old.submit(step('late'));
    await time.settle();
    expect(old.results.get(late)).toMatchObject({ ok: false, code: 'LEASE_LOST' });
    expect(fresh.last).toMatchObject({ run, version: '2', task: 'a2' });
    expect(fresh.last.kind === 'activation' && fresh.last.journal.entries.map(({ data }) => data)).toMatchObject([
      { path: 'kept' },
    ]);
    fresh.submit(succeed);
    await time.settle();
    expect(await a.migrate(origin, run, '1')).toMatchObject({ error: { code: 'RUN_NOT_MIGRATABLE' } });
  });

  it('are not retired by a deployment while runs have them, unless that is meant', async () => {
    const old = await worker(a, 'old', { manifest: build('1') });
    const run = await start(a);
    const plan = await b.deploy(build('2'), { dryRun: true });
    expect(plan).toMatchObject({
      outcome: 'planned',
      changes: [{ kind: 'workflow', name: 'greet', change: 'changed', details: ['version: "1" -> "2"'] }],
      stranded: [{ kind: 'run', name: 'greet', version: '1', count: 1, example: run }],
    });
    await expect(b.deploy(build('2'))).rejects.toMatchObject({ code: 'DEPLOY_REFUSED' });
    expect(await storeB.listManifests()).toHaveLength(1);
    expect(await b.deploy(build('2', '1'))).toMatchObject({ outcome: 'registered', stranded: [] });
    await time.advance(2_500);
    // It takes force with its first worker, so that nothing waits for a rollout that has not come yet.
    expect(a.definitions()[0]?.workflows[0]?.version).toBe('1');
    await worker(b, 'new', { manifest: build('2', '1') });
    await time.advance(2_500);
    expect(a.definitions()[0]?.workflows[0]?.version).toBe('2');
    // Rolling back is deploying the older build again.
    expect(await a.deploy(build('1'), { leaveWaiting: true })).toMatchObject({ outcome: 'registered' });
    expect(await a.deploy(build('1'))).toMatchObject({ outcome: 'unchanged', changes: [] });
    await time.advance(2_500);
    expect([a, b].map((engine) => engine.definitions()[0]?.workflows[0]?.version)).toEqual(['1', '1']);
    old.submit(succeed);
    await time.settle();
  });
});

describe('a model of triage', () => {
  it('that one server is given is told to the workers of all, and to those that come later', async () => {
    const workers = [await worker(a, 'w1'), await worker(b, 'w2')];
    const versions = (of: HandWorker): unknown[] =>
      of.classifiers.map(({ inForce, shadow }) => [inForce?.version ?? null, shadow?.version ?? null]);
    expect(workers.map(versions)).toEqual([[], []]);
    const change = async (order: TriageOrder): Promise<void> => {
      const changed = a.changeTriage(origin, order);
      await time.advance(3_000);
      await changed;
    };
    await change({ change: 'shadow', model: { ...modelData, version: 41 } });
    expect(workers.map(versions)).toEqual([[[null, 41]], [[null, 41]]]);
    await change({ change: 'promote' });
    for (const one of [...workers, await worker(a, 'w3'), await worker(b, 'w4')])
      expect(versions(one).at(-1)).toEqual([41, null]);
    await change({ change: 'rollback' });
    // A process that was told of another one is told of this, though it is what it began with.
    expect(versions(await worker(b, 'w5'))).toEqual([[null, null]]);
    expect(versions(workers[1] as HandWorker)).toEqual([
      [null, 41],
      [41, null],
      [null, null],
    ]);
  });
});

describe('an order over tools', () => {
  const judge = (path: string): BodyCommand => ({
    op: 'judgeTool',
    path: `${path}/gate`,
    of: path,
    tool: 'pay',
    effect: 'external',
    hash: 'a'.repeat(64),
    args: '{}',
    taint: [],
    approval: null,
  });

  it('that one server takes holds on the other within a second or two, and until it is taken back', async () => {
    const w = await worker(b);
    await start(b);
    await time.settle();
    w.submit(judge('one'));
    await time.settle();
    await a.putToolOrder(origin, 'stop', { tools: 'pay', verdict: 'refuse', reason: 'no money' }, false);
    await time.advance(2_100);
    w.submit(judge('two'));
    await time.settle();
    expect(await a.dropToolOrder(origin, 'stop', false)).toBe(true);
    expect(await a.dropToolOrder(origin, 'stop', false)).toBe(false);
    await time.advance(2_100);
    w.submit(judge('three'), succeed);
    await time.settle();
    const verdicts = w.delivered.flatMap((event) => (event.type === 'tool.judged' ? [event.data] : []));
    expect(verdicts.map(({ verdict, why }) => [verdict, why])).toEqual([
      ['allowed', undefined],
      ['refused', 'no money'],
      ['allowed', undefined],
    ]);
  });

  it('of an admin is changed by admins, and only they allow what apps refuse', async () => {
    await expect(a.putToolOrder(origin, 'x', { tools: 'pay', verdict: 'allow' }, false)).rejects.toMatchObject({
      code: 'TOOL_ORDER_LOOSENS',
    });
    await a.putToolOrder(origin, 'x', { tools: 'pay', verdict: 'refuse' }, true);
    for (const change of [
      b.putToolOrder(origin, 'x', { tools: 'nothing', verdict: 'refuse' }, false),
      b.dropToolOrder(origin, 'x', false),
    ])
      await expect(change).rejects.toMatchObject({ code: 'TOOL_ORDER_LOOSENS' });
    expect(await b.readTools()).toMatchObject({ orders: [{ name: 'x', verdict: 'refuse', orderedBy: 'test' }] });
    expect(await b.dropToolOrder(origin, 'x', true)).toBe(true);
    await expect(a.putToolOrder(origin, 'order:x', { tools: [], verdict: 'limit' }, true)).rejects.toMatchObject({
      code: 'TOOL_ORDER_INVALID',
    });
  });
});
