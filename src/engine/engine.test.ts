import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { payloadOfJson } from '../core/codec.js';
import { SpineError } from '../core/errors.js';
import { failure } from '../core/failure.js';
import { limits } from '../core/limits.js';
import type { Manifest } from '../core/manifest.js';
import type { Ports } from '../core/ports.js';
import type { BodyCommand, TaskCommand } from '../core/run/commands.js';
import type { Assignment, JournalEntry, ServerMessage, SubmissionResult } from '../protocol/worker.js';
import { nodePorts } from '../runtime/index.js';
import { createMemoryStore, type MemoryStore } from '../store/memory.js';
import type { Engine, Origin, WorkerLine } from './api.js';
import { createEngine } from './engine.js';

const retry = { attempts: 3, minMs: 100, maxMs: 1000, factor: 2 };
const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };

const manifest: Manifest = {
  format: 1,
  app: 'test',
  topics: [
    {
      name: 'seen',
      schema: { type: 'object', required: ['n'], properties: { n: { type: 'number' } } },
      key: null,
      partitions: 2,
    },
    { name: 'done', schema: null, key: null, partitions: 1 },
  ],
  workflows: [
    {
      name: 'greet',
      version: null,
      previous: [],
      input: { type: 'object' },
      on: null,
      completes: 'done',
      priority: 5,
      timeoutMs: null,
      retainMs: null,
      deadlineMs: 30_000,
      retry,
    },
    {
      name: 'watch',
      version: null,
      previous: [],
      input: null,
      on: 'seen',
      completes: null,
      priority: 5,
      timeoutMs: null,
      retainMs: null,
      deadlineMs: 5000,
      retry,
    },
  ],
  capabilities: [
    { name: 'add', input: null, output: null, effect: 'idempotent', deadlineMs: 2000, retry, implemented: true },
  ],
};

/** Time that stands still until it is told to move; turns of the event loop are real. */
class ManualPorts implements Ports {
  #nowMs = 1_700_000_000_000;
  #timers: { readonly at: number; readonly fn: () => void }[] = [];
  readonly clock = { now: () => this.#nowMs, monotonicMs: () => this.#nowMs };
  readonly random = nodePorts.random;
  readonly hash = nodePorts.hash;
  readonly timers = {
    after: (ms: number, fn: () => void) => {
      const timer = { at: this.#nowMs + ms, fn };
      this.#timers.push(timer);
      return () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      };
    },
    turn: (fn: () => void) => nodePorts.timers.turn(fn),
  };

  /** Lets everything happen that happens without time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 12; i++) await new Promise<void>((resolve) => nodePorts.timers.turn(resolve));
  }

  async advance(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.#nowMs = Math.max(this.#nowMs, next.at);
      next.fn();
      await this.settle();
    }
    this.#nowMs = until;
    await this.settle();
  }
}

/** A worker that does what the test tells it. */
class ScriptedWorker {
  readonly assignments: Assignment[] = [];
  readonly events: { readonly assignment: number; readonly entry: JournalEntry }[] = [];
  readonly results = new Map<number, SubmissionResult>();
  readonly aborted: number[] = [];
  readonly other: ServerMessage[] = [];
  session = '';
  /** Bytes that it has been sent and has not taken. */
  buffered = 0;
  line: WorkerLine;
  #submission = 0;
  #beat = 0;

  constructor(
    engine: Engine,
    name: string,
    slots: number,
    resume?: { session: string; received: number; holding: { assignment: number; seen: number }[] },
    inProcess = false,
  ) {
    this.line = engine.connect({
      inProcess,
      send: (message) => this.#receive(structuredClone(message)),
      bufferedBytes: () => this.buffered,
      close: () => {},
    });
    this.line.receive({
      t: 'hello',
      protocol: 1,
      worker: name,
      app: 'test',
      manifest,
      slots,
      ...(resume === undefined ? {} : { resume }),
    });
    this.line.receive({ t: 'credit', upTo: (resume?.received ?? 0) + slots });
  }

  get last(): Assignment {
    const last = this.assignments.at(-1);
    if (last === undefined) throw new Error('nothing was assigned');
    return last;
  }

  beat(): void {
    this.#beat += 1;
    const received = Math.max(0, ...this.assignments.map((a) => a.assignment));
    this.line.receive({ t: 'beat', session: this.session, n: this.#beat, received });
  }

  submit(assignment: number, ...commands: (BodyCommand | TaskCommand)[]): number {
    this.#submission += 1;
    this.line.receive({ t: 'submit', items: [{ i: this.#submission, assignment, commands }] });
    return this.#submission;
  }

  #receive(message: ServerMessage): void {
    switch (message.t) {
      case 'welcome':
        this.session = message.session;
        break;
      case 'assign':
        this.assignments.push(...message.items);
        break;
      case 'results':
        for (const item of message.items) this.results.set(item.i, item);
        break;
      case 'deliver':
        for (const { assignment, events } of message.items)
          for (const entry of events) this.events.push({ assignment, entry });
        break;
      case 'abort':
        this.aborted.push(...message.items.map((item) => item.assignment));
        break;
      default:
        this.other.push(message);
    }
  }
}

const step = (path: string): BodyCommand => ({
  op: 'completeStep',
  path,
  attempt: 1,
  durationMs: 1,
  withInput: false,
  result: payloadOfJson(path),
});
const succeed: BodyCommand = { op: 'succeed', output: payloadOfJson({ ok: true }) };

let ports: ManualPorts;
let store: MemoryStore;
let engine: Engine;
const faults: unknown[] = [];

beforeEach(async () => {
  faults.length = 0;
  ports = new ManualPorts();
  store = createMemoryStore({ clock: ports.clock });
  engine = createEngine({ store, ports, log: (record) => record.level === 'error' && faults.push(record) });
  await engine.start();
  await engine.register(manifest);
});

afterEach(async () => {
  const report = await engine.doctor();
  await engine.stop();
  expect(report.checks.filter((check) => !check.ok)).toEqual([]);
  expect(faults).toEqual([]);
});

async function start(input: unknown = {}, key?: string): Promise<string> {
  const [outcome] = await engine.startRuns(origin, [
    { workflow: 'greet', input: payloadOfJson(input), ...(key === undefined ? {} : { idempotencyKey: key }) },
  ]);
  if (outcome?.tag !== 'started' && outcome?.tag !== 'repeated') throw new Error(JSON.stringify(outcome));
  await ports.settle();
  return outcome.run;
}

async function worker(name = 'w1', slots = 4): Promise<ScriptedWorker> {
  const made = new ScriptedWorker(engine, name, slots);
  await ports.settle();
  return made;
}

/** Lets time pass for a worker that is alive. */
async function live(w: ScriptedWorker, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 2_000) {
    w.beat();
    await ports.advance(2_000);
  }
}

describe('intake', () => {
  it('starts a run, gives it to a worker with its input, and ends it with its output', async () => {
    const w = await worker();
    const run = await start({ name: 'Ada' });
    expect(w.last).toMatchObject({
      kind: 'activation',
      run,
      workflow: 'greet',
      attempt: 1,
      input: payloadOfJson({ name: 'Ada' }),
      journal: { head: 1, entries: [] },
    });
    expect(await engine.readRun('default', run)).toMatchObject({ state: 'running' });
    const i = w.submit(w.last.assignment, succeed);
    await ports.settle();
    expect(w.results.get(i)).toMatchObject({ ok: true });
    expect(await engine.readResult('default', run)).toEqual({
      state: 'succeeded',
      output: payloadOfJson({ ok: true }),
    });
    const { items: done } = await engine.readTopic('default', 'done', { partition: 0, after: -1, limit: 10 });
    expect(done).toMatchObject([{ offset: 0, event: { subject: run, data: { ok: true } } }]);
  });

  it('answers a repeated idempotency key with the first run, and refuses it with another body', async () => {
    const run = await start({ a: 1 }, 'k');
    expect(await start({ a: 1 }, 'k')).toBe(run);
    const [clash] = await engine.startRuns(origin, [
      { workflow: 'greet', input: payloadOfJson({ a: 2 }), idempotencyKey: 'k' },
    ]);
    expect(clash).toMatchObject({ tag: 'error', error: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  });

  it('accepts what is stored of a large batch where the store refuses the rest', async () => {
    const apply = store.apply.bind(store);
    let calls = 0;
    let refused = 0;
    store.apply = (transitions) => {
      calls += 1;
      if (calls !== 2) return apply(transitions);
      refused = transitions.length;
      return Promise.reject(new SpineError('STORE_BUSY', {}));
    };
    const requests = Array.from({ length: limits.commitItemsMax + 1 }, () => ({
      workflow: 'greet',
      input: payloadOfJson({}),
    }));
    const outcomes = await engine.startRuns(origin, requests);
    const failed = outcomes.filter(({ tag }) => tag === 'error');
    expect(failed).toHaveLength(refused);
    expect(failed[0]).toMatchObject({ tag: 'error', error: { code: 'STORE_BUSY' } });
    expect(outcomes.filter(({ tag }) => tag === 'started')).toHaveLength(requests.length - refused);
    const stored = await store.listRuns({ tenant: 'default', limit: requests.length });
    expect(stored.items).toHaveLength(requests.length - refused);
  });

  it('refuses unknown workflows and inputs that do not fit, and leaves no trace', async () => {
    const outcomes = await engine.startRuns(origin, [
      { workflow: 'nope', input: payloadOfJson({}) },
      { workflow: 'greet', input: payloadOfJson(1) },
    ]);
    expect(outcomes).toMatchObject([{ error: { code: 'WORKFLOW_UNKNOWN' } }, { error: { code: 'INPUT_INVALID' } }]);
    expect((await engine.listRuns('default', {})).items).toEqual([]);
  });

  it('publishes an event once, checks its schema and starts the workflows that listen', async () => {
    const event = { topic: 'seen', id: 'e1', source: 's', type: 'seen', data: payloadOfJson({ n: 1 }) };
    const [first] = await engine.publish(origin, [event]);
    expect(first).toMatchObject({ tag: 'published', id: 'e1' });
    expect(first?.tag === 'published' ? first.runs.length : 0).toBe(1);
    expect(await engine.publish(origin, [event])).toEqual([{ tag: 'duplicate', id: 'e1' }]);
    expect(await engine.publish(origin, [{ ...event, id: 'e2', data: payloadOfJson({}) }])).toMatchObject([
      { error: { code: 'INPUT_INVALID' } },
    ]);
    const page = await engine.listRuns('default', {});
    expect(page.items).toMatchObject([{ workflow: 'watch', state: 'queued' }]);
  });
});

describe('retention', () => {
  it('goes on while there is something to delete, for half of its turn', async () => {
    let left = 20_000;
    let calls = 0;
    vi.spyOn(store, 'expire').mockImplementation((limit) => {
      calls += 1;
      const runs = Math.min(limit, left);
      left -= runs;
      return Promise.resolve({ runs, dedupe: 0, blobs: 0 });
    });
    await ports.advance(10_000);
    for (let i = 0; i < 20 && left > 0; i++) await ports.settle();
    // A hundred bites in one turn, and one that finds nothing.
    expect(left).toBe(0);
    expect(calls).toBe(101);
    // Where each bite takes a second, the rest is left to the next turn.
    calls = 0;
    left = 20_000;
    const now = ports.clock.monotonicMs;
    vi.spyOn(ports.clock, 'monotonicMs').mockImplementation(() => now() + calls * 1_000);
    await ports.advance(10_000);
    vi.restoreAllMocks();
    expect(calls).toBe(5);
  });
});

describe('steps', () => {
  it('delivers committed results in order before it answers the submission', async () => {
    const w = await worker();
    await start();
    const i = w.submit(w.last.assignment, step('a'), step('b'));
    await ports.settle();
    expect(w.events.map((e) => [e.entry.seq, e.entry.type, e.entry.payload])).toEqual([
      [2, 'step.completed', undefined],
      [3, 'step.completed', undefined],
    ]);
    expect(w.results.get(i)).toEqual({ i, ok: true, head: 3 });
  });

  it('applies the commands of a submission together or not at all', async () => {
    const w = await worker();
    const run = await start();
    const i = w.submit(w.last.assignment, step('a'), {
      op: 'call',
      path: 'x',
      capability: 'unknown',
      input: payloadOfJson(1),
      options: {},
    });
    await ports.settle();
    expect(w.results.get(i)).toMatchObject({
      ok: false,
      code: 'unknown_capability',
      message: 'Nobody has registered a capability that was called: unknown.',
    });
    expect((await engine.readRun('default', run))?.events).toBe(1);
    w.submit(w.last.assignment, step('a'));
    await ports.settle();
    expect((await engine.readRun('default', run))?.events).toBe(2);
  });

  it('publishes an event once that a body emits twice in one message', async () => {
    const w = await worker();
    await start();
    const emit = (path: string): BodyCommand => ({
      op: 'emit',
      path,
      topic: 'done',
      event: { id: 'same', data: payloadOfJson(path) },
    });
    const i = w.submit(w.last.assignment, emit('a'), emit('b'));
    const j = w.submit(w.last.assignment, emit('c'));
    await ports.settle();
    expect([w.results.get(i), w.results.get(j)]).toMatchObject([{ ok: true }, { ok: true }]);
    const { items: done } = await engine.readTopic('default', 'done', { partition: 0, after: -1, limit: 10 });
    expect(done).toMatchObject([{ event: { id: 'same', data: 'a' } }]);
  });

  it('fires the pause of a retried step when it is due, not before', async () => {
    const w = await worker();
    await start();
    const boom = failure({ class: 'network', code: 'X', message: 'x', retryable: true });
    w.submit(w.last.assignment, {
      op: 'failStep',
      path: 'a',
      attempt: 1,
      failure: boom,
      retry: { attempts: 2, minMs: 400, maxMs: 400, factor: 1 },
    });
    await ports.settle();
    const retrying = w.events.at(-1)?.entry;
    expect(retrying?.type).toBe('step.retrying');
    if (retrying?.type !== 'step.retrying') return;
    await ports.advance(Math.max(0, retrying.data.retryAt - ports.clock.now() - 1));
    expect(w.events.some((e) => e.entry.type === 'step.due')).toBe(false);
    await ports.advance(10);
    expect(w.events.some((e) => e.entry.type === 'step.due')).toBe(true);
  });
});

describe('calls', () => {
  it('queues a call, hands it out, and wakes the parked body with its result', async () => {
    const w = await worker();
    const run = await start();
    const body = w.last;
    w.submit(body.assignment, {
      op: 'call',
      path: 'sum',
      capability: 'add',
      input: payloadOfJson([1, 2]),
      options: {},
    });
    await ports.settle();
    const call = w.last;
    expect(call).toMatchObject({
      kind: 'call',
      capability: 'add',
      input: payloadOfJson([1, 2]),
      idempotencyKey: `default/${run}/sum`,
    });
    w.submit(body.assignment, { op: 'park', seen: 2 });
    await ports.settle();
    expect(await engine.readRun('default', run)).toMatchObject({
      state: 'waiting',
      waitingFor: [{ kind: 'call', path: 'sum' }],
    });
    w.submit(call.assignment, { op: 'completeTask', result: payloadOfJson(3), durationMs: 1 });
    await ports.settle();
    expect(w.last).toMatchObject({ kind: 'activation', run, task: 'a2' });
    expect(w.last.kind === 'activation' && w.last.journal.entries.map((e) => e.type)).toEqual([
      'call.scheduled',
      'call.completed',
    ]);
  });

  it('delivers the result to a body that stayed in memory', async () => {
    const w = await worker();
    await start();
    const body = w.last;
    w.submit(body.assignment, { op: 'call', path: 'sum', capability: 'add', input: payloadOfJson(1), options: {} });
    await ports.settle();
    w.submit(w.last.assignment, { op: 'completeTask', result: payloadOfJson(3), durationMs: 1 });
    await ports.settle();
    expect(w.events.filter((e) => e.assignment === body.assignment).map((e) => e.entry.type)).toEqual([
      'call.scheduled',
      'call.completed',
    ]);
    expect(w.events.at(-1)?.entry.payload).toEqual(payloadOfJson(3));
  });
});

describe('losses', () => {
  it('gives the work of a dead worker to another and fences the zombie', async () => {
    const dead = await worker('dead');
    const run = await start();
    const lost = dead.last;
    dead.beat();
    dead.submit(lost.assignment, step('a'));
    await ports.settle();
    const other = await worker('other');
    await live(other, 20_000);
    expect(other.last).toMatchObject({ run, kind: 'activation', attempt: 1 });
    expect(other.last.kind === 'activation' && other.last.journal.entries.map((e) => e.type)).toEqual([
      'step.completed',
    ]);
    const i = dead.submit(lost.assignment, step('b'));
    await ports.settle();
    expect(dead.results.get(i)?.ok ?? false).toBe(false);
    expect((await engine.readHistory('default', run, { after: 0, limit: 50 }))?.map((e) => e.type)).toEqual([
      'run.started',
      'step.completed',
      'activation.retrying',
    ]);
  });

  it('gives no more to a worker that does not take what it was sent, until it does', async () => {
    const w = await worker();
    w.buffered = limits.workerBufferBytesMax + 1;
    await start();
    await live(w, 2_000);
    expect(w.assignments).toEqual([]);
    w.buffered = 0;
    await live(w, 2_000);
    expect(w.assignments).toHaveLength(1);
  });

  it('returns assignments that were never received uncounted', async () => {
    const first = await worker('first');
    const run = await start();
    first.line.closed();
    const back = new ScriptedWorker(engine, 'first', 4, { session: first.session, received: 0, holding: [] });
    await ports.settle();
    expect(back.last).toMatchObject({ run, attempt: 1 });
    expect((await engine.readRun('default', run))?.events).toBe(1);
  });

  it('restores the session of a worker once, though it comes back on two lines after a restart', async () => {
    const first = await worker('first');
    await engine.stop();
    store = createMemoryStore({ clock: ports.clock, data: store.data });
    engine = createEngine({ store, ports, log: (record) => record.level === 'error' && faults.push(record) });
    await engine.start();
    const resume = { session: first.session, received: 0, holding: [] };
    // The first line is found dead, but its hello is answered last.
    let open = (): void => {};
    const listLeases = store.listLeases.bind(store);
    const lists = vi.spyOn(store, 'listLeases').mockImplementationOnce(async (query) => {
      const leases = await listLeases(query);
      await new Promise<void>((resolve) => (open = resolve));
      return leases;
    });
    const [left, back] = [0, 1].map(() => new ScriptedWorker(engine, 'first', 4, resume));
    await ports.settle();
    left?.line.closed();
    open();
    await ports.settle();
    lists.mockRestore();
    const run = await start();
    expect(back?.assignments.map((assignment) => assignment.run)).toEqual([run]);
    expect((await engine.workers()).map((seen) => [seen.session, seen.connected])).toEqual([[first.session, true]]);
  });

  it('gives out again what a claim brought between two lines of a session', async () => {
    const first = await worker('first');
    await start({ n: 1 });
    const gates: { readonly of: 'claim' | 'release'; readonly open: () => void }[] = [];
    const gated = (of: 'claim' | 'release') => new Promise<void>((resolve) => gates.push({ of, open: resolve }));
    const claim = store.claim.bind(store);
    const release = store.release.bind(store);
    const claims = vi.spyOn(store, 'claim').mockImplementation(async (request) => {
      const claimed = await claim(request);
      await gated('claim');
      return claimed;
    });
    const releases = vi.spyOn(store, 'release').mockImplementation(async (leases) => {
      await gated('release');
      return release(leases);
    });
    const second = await start({ n: 2 });
    first.line.closed();
    const back = new ScriptedWorker(engine, 'first', 4, { session: first.session, received: 0, holding: [] });
    await ports.settle();
    expect(gates.map((gate) => gate.of)).toEqual(['claim', 'release']);
    claims.mockRestore();
    releases.mockRestore();
    for (const gate of gates) {
      gate.open();
      await ports.settle();
    }
    await live(back, 4_000);
    expect(back.assignments.map((assignment) => assignment.run)).toContain(second);
    expect(back.assignments.length).toBe(2);
  });

  it('lets a worker go on after a cut, with the events that it missed', async () => {
    const w = await worker();
    await start();
    const body = w.last;
    w.submit(body.assignment, { op: 'sleep', path: 's', ms: 50 });
    await ports.settle();
    w.line.closed();
    await ports.advance(100);
    const back = new ScriptedWorker(engine, 'w1', 4, {
      session: w.session,
      received: body.assignment,
      holding: [{ assignment: body.assignment, seen: 2 }],
    });
    await ports.settle();
    expect(back.events.map((e) => e.entry.type)).toEqual(['timer.fired']);
    const i = back.submit(body.assignment, succeed);
    await ports.settle();
    expect(back.results.get(i)?.ok).toBe(true);
  });

  it('takes a hung task away at its deadline, which progress moves', async () => {
    const w = await worker();
    const run = await start();
    const body = w.last;
    for (let i = 0; i < 3; i++) {
      await live(w, 20_000);
      w.submit(body.assignment, step(`s${i}`));
      await ports.settle();
    }
    expect((await engine.readRun('default', run))?.state).toBe('running');
    await live(w, 32_000);
    expect(w.aborted).toEqual([body.assignment]);
    expect((await engine.readHistory('default', run, { after: 0, limit: 50 }))?.at(-1)).toMatchObject({
      type: 'activation.retrying',
      data: { failure: { code: 'TASK_TIMEOUT' } },
    });
  });

  it('takes up the sessions and leases of its predecessor after a restart', async () => {
    const w = await worker();
    const run = await start();
    const body = w.last;
    const second = createEngine({ store, ports });
    await second.start();
    const back = new ScriptedWorker(second, 'w1', 4, {
      session: w.session,
      received: body.assignment,
      holding: [{ assignment: body.assignment, seen: 1 }],
    });
    await ports.settle();
    const i = back.submit(body.assignment, succeed);
    await ports.settle();
    expect(back.results.get(i)?.ok).toBe(true);
    expect((await second.readRun('default', run))?.state).toBe('succeeded');
  });

  it('ends at once what was in the process of its predecessor, and waits for what was outside', async () => {
    const outside = await worker();
    const kept = await start();
    outside.line.receive({ t: 'credit', upTo: 1 });
    const inside = new ScriptedWorker(engine, 'embedded', 4, undefined, true);
    await ports.settle();
    outside.line.receive({ t: 'drain' });
    const lost = await start();
    expect(inside.last.run).toBe(lost);
    // Killed: nobody says goodbye, and the store is opened again.
    store = createMemoryStore({ clock: ports.clock, data: store.data });
    const second = createEngine({ store, ports, log: (record) => record.level === 'error' && faults.push(record) });
    engine = second;
    await second.start();
    expect((await store.listSessions()).map(({ session }) => session)).toEqual([outside.session]);
    expect((await second.readHistory('default', lost, { after: 0, limit: 10 }))?.at(-1)).toMatchObject({
      type: 'activation.retrying',
      data: { failure: { code: 'WORKER_LOST' } },
    });
    expect((await store.listLeases({ limit: 10 })).map(({ run }) => run)).toEqual([kept]);
  });
});

describe('cancel and redrive', () => {
  it('ends a queued run at once and a running one when its body has cleaned up', async () => {
    const queued = await start();
    expect(await engine.cancel(origin, queued)).toEqual({ tag: 'done' });
    expect((await engine.readRun('default', queued))?.state).toBe('cancelled');
    expect(await engine.cancel(origin, queued)).toEqual({ tag: 'already' });
    const w = await worker();
    const running = await start();
    await engine.cancel(origin, running, { reason: 'enough' });
    await ports.settle();
    expect((await engine.readRun('default', running))?.state).toBe('cancelling');
    expect(w.events.at(-1)?.entry).toMatchObject({ type: 'run.cancel_requested', data: { reason: 'enough' } });
    w.submit(w.last.assignment, { op: 'endCancelled' });
    await ports.settle();
    expect(await engine.readResult('default', running)).toEqual({ state: 'cancelled', reason: 'enough' });
  });

  it('puts a failed run into the dead letters, and back to work from what failed', async () => {
    const w = await worker();
    const run = await start();
    const cause = failure({ class: 'auth', code: 'E401', message: 'no', retryable: false });
    w.submit(
      w.last.assignment,
      step('a'),
      { op: 'failStep', path: 'b', attempt: 1, failure: cause, retry },
      { op: 'fail', failure: cause, path: 'b' },
    );
    await ports.settle();
    const [letter] = (await engine.listDeadLetters('default', {})).items;
    expect(letter).toMatchObject({ run, path: 'b', class: 'auth', code: 'E401', remedy: { redriveMayHelp: true } });
    expect(await engine.redrive(origin, run)).toEqual({ tag: 'done' });
    await ports.settle();
    expect((await engine.listDeadLetters('default', {})).items).toEqual([]);
    expect(w.last.kind === 'activation' && w.last.journal.entries.map((e) => e.type)).toEqual(['step.completed']);
    expect(await engine.redrive(origin, run)).toMatchObject({ tag: 'error', error: { code: 'RUN_NOT_REDRIVABLE' } });
  });
});

describe('followers', () => {
  it('hand out every event one time in order, old and new, and end with the run', async () => {
    const w = await worker();
    const run = await start();
    w.submit(w.last.assignment, step('a'));
    await ports.settle();
    const seen: number[] = [];
    const ended: string[] = [];
    await engine.follow('default', run, 0, {
      onEvents: (events) => (seen.push(...events.map((e) => e.seq)), true),
      onEnd: (state) => ended.push(state),
      onGap: () => {},
      onError: (error) => faults.push(error),
    });
    const waited = engine.waitForEnd('default', run, 10_000);
    w.submit(w.last.assignment, step('b'));
    await ports.settle();
    w.submit(w.last.assignment, succeed);
    await ports.settle();
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(ended).toEqual(['succeeded']);
    expect(await waited).toBe('succeeded');
    expect(await engine.waitForEnd('default', run, 10)).toBe('succeeded');
    expect(
      await engine.follow('default', 'run_none', 0, {
        onEvents: () => true,
        onEnd: () => {},
        onGap: () => {},
        onError: () => {},
      }),
    ).toBeNull();
  });
});
