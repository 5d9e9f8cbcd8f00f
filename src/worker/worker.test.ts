import { describe, expect, it } from 'vitest';
import { decodeValue, encodeValue } from '../core/codec.js';
import { limits } from '../core/limits.js';
import type { Manifest } from '../core/manifest.js';
import { isBlobPayload, type Payload } from '../core/payload.js';
import type { Ports } from '../core/ports.js';
import type {
  ActivationAssignment,
  Assignment,
  CallAssignment,
  Hello,
  JournalEntry,
  ServerMessage,
  Submission,
  SubmissionResult,
  WorkerMessage,
} from '../protocol/worker.js';
import { nodeHash } from '../runtime/index.js';
import type { ActivationEnd, ActivationHost, BeginActivation } from '../workflow/activation-contract.js';
import { capability, type CapabilityOptions, type HandlerContext } from '../workflow/capability.js';
import type { StandardSchema } from '../core/standard-schema.js';
import { workflow } from '../workflow/workflow.js';
import type { AppRegistry } from './app-registry.js';
import { createWorkerOf, type WorkerSettings } from './create-worker.js';
import { createInProcessTransport, type InProcessChannel } from './in-process-transport.js';
import type { WorkerLogRecord } from './worker-log.js';

// ------------------------------------------------------------------ a virtual world

/** Virtual time; turns and micro-tasks are real, so that each step ends when nothing is left to run at this instant. */
class World {
  nowMs = 1_000_000;
  readonly #timers = new Set<{ readonly at: number; readonly fn: () => void }>();
  readonly ports: Ports = {
    clock: { now: () => this.nowMs, monotonicMs: () => this.nowMs },
    timers: {
      after: (ms, fn) => {
        const timer = { at: this.nowMs + ms, fn };
        this.#timers.add(timer);
        return () => this.#timers.delete(timer);
      },
      turn: (fn) => void setImmediate(fn),
    },
    random: { next: () => 0.5, bytes: (length) => new Uint8Array(length).fill(7) },
    hash: nodeHash,
  };

  async settle(): Promise<void> {
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  async advance(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    for (;;) {
      await this.settle();
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next);
      this.nowMs = next.at;
      next.fn();
    }
    this.nowMs = end;
    await this.settle();
  }
}

// ------------------------------------------------------------------ a scripted server

type Of<T extends WorkerMessage['t']> = Extract<WorkerMessage, { t: T }>;

class ScriptedServer {
  readonly received: WorkerMessage[] = [];
  readonly blobs = new Map<string, Uint8Array>();
  channel: InProcessChannel | null = null;
  connections = 0;
  /** Answer to a hello; null = none. */
  greet: (hello: Hello) => ServerMessage | null = (hello) => ({
    t: 'welcome',
    session: hello.resume?.session ?? `ses_${this.connections}`,
    resumed: hello.resume !== undefined,
    beatMs: 3_000,
    deadMs: 15_000,
    lost: [],
    blobs: '/v1/blobs',
  });
  /** Result of a submission; null = no answer. */
  judge: (submission: Submission) => SubmissionResult | null = ({ i }) => ({ i, ok: true, head: 1 });
  saysGoodbye = true;

  readonly transport = createInProcessTransport({
    connect: (channel) => {
      this.channel = channel;
      this.connections++;
      return {
        receive: (message) => this.#receive(message, channel),
        closed: () => {
          if (this.channel === channel) this.channel = null;
        },
      };
    },
    putBlob: async (_tenant, hash, bytes) => void this.blobs.set(hash, bytes),
    readBlob: async (_tenant, hash) => this.blobs.get(hash) ?? null,
  });

  #receive(message: WorkerMessage, channel: InProcessChannel): void {
    this.received.push(message);
    if (message.t === 'hello') {
      const answer = this.greet(message);
      if (answer !== null) channel.send(answer);
    }
    if (message.t === 'submit') {
      const items = message.items.map((item) => this.judge(item)).filter((result) => result !== null);
      if (items.length > 0) channel.send({ t: 'results', items });
    }
    if (message.t === 'bye' && this.saysGoodbye) channel.send({ t: 'goodbye', reason: 'bye' });
  }

  send(message: ServerMessage): void {
    this.channel?.send(message);
  }

  assign(...items: Assignment[]): void {
    this.send({ t: 'assign', items });
  }

  /** The network drops the connection. */
  cut(): void {
    this.channel?.close('cut');
  }

  all<T extends WorkerMessage['t']>(t: T): Of<T>[] {
    return this.received.filter((message): message is Of<T> => message.t === t);
  }

  get submissions(): Submission[] {
    return this.all('submit').flatMap((message) => message.items);
  }

  get commands() {
    return this.submissions.flatMap((submission) => submission.commands);
  }

  get credit(): number {
    return this.all('credit').at(-1)?.upTo ?? 0;
  }
}

// ------------------------------------------------------------------ an app

const manifest: Manifest = {
  format: 1,
  app: 'shop',
  topics: [],
  workflows: [],
  capabilities: [],
};

interface Setup {
  readonly handle?: (input: unknown, context: HandlerContext) => unknown;
  readonly options?: CapabilityOptions<StandardSchema, StandardSchema>;
  readonly begin?: BeginActivation;
}

const order = workflow('order', {}, () => null);

/** A schema that takes nothing. */
const refusing = (message: string, ...path: string[]): StandardSchema => ({
  '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message, path }] }) },
});

const noBodies: BeginActivation = () => {
  throw new Error('No body is expected here.');
};

function setup(app: Setup, settings: WorkerSettings = {}) {
  const world = new World();
  const server = new ScriptedServer();
  const lines: WorkerLogRecord[] = [];
  const handler = capability('echo', app.options ?? {}).implement(app.handle ?? ((input) => input));
  const registry: AppRegistry = {
    app: 'shop',
    manifest,
    versions: (workflow) => (workflow === 'order' ? [null] : undefined),
    definition: (workflow, version) => (workflow === 'order' && version === null ? order : undefined),
    handler: (capability) => (capability === 'echo' ? handler : undefined),
  };
  const worker = createWorkerOf(registry, app.begin ?? noBodies, {
    connect: server.transport,
    ports: world.ports,
    log: (record) => lines.push(record),
    ...settings,
  });
  return { world, server, worker, lines };
}

function call(assignment: number, input: unknown, more: Partial<CallAssignment> = {}): CallAssignment {
  return {
    kind: 'call',
    assignment,
    tenant: 'default',
    run: 'run_1',
    task: `c:${assignment}`,
    attempt: 1,
    deadlineMs: 60_000,
    traceparent: null,
    input: encodeValue(input),
    capability: 'echo',
    idempotencyKey: 'default/run_1/echo',
    ...more,
  };
}

function activation(assignment: number, more: Partial<ActivationAssignment> = {}): ActivationAssignment {
  return {
    kind: 'activation',
    assignment,
    tenant: 'default',
    run: `run_${assignment}`,
    task: 'a:1',
    attempt: 1,
    deadlineMs: 60_000,
    traceparent: null,
    input: encodeValue(null),
    workflow: 'order',
    version: null,
    startedAt: 1,
    journal: { head: 1, progress: 0, entries: [] },
    ...more,
  };
}

/** Bodies under the control of the test. */
class Bodies {
  readonly hosts: ActivationHost[] = [];
  readonly settled: SubmissionResult[] = [];
  readonly delivered: JournalEntry[] = [];
  readonly aborts: string[] = [];
  readonly ends: ((end: ActivationEnd) => void)[] = [];
  hurried = 0;
  seen = 1;
  waiting = false;
  readonly begin: BeginActivation = (_definition, _input, host) => {
    this.hosts.push(host);
    let end: (end: ActivationEnd) => void = () => undefined;
    const ended = new Promise<ActivationEnd>((resolve) => {
      end = resolve;
    });
    this.ends.push(end);
    const seen = (): number => this.seen;
    const waiting = (): boolean => this.waiting;
    return {
      deliver: (events) => void this.delivered.push(...events),
      settle: (result) => void this.settled.push(result),
      abort: (reason) => {
        this.aborts.push(reason);
        end('aborted');
      },
      hurry: () => {
        this.hurried += 1;
      },
      get seen() {
        return seen();
      },
      get waiting() {
        return waiting();
      },
      resting: false,
      ended,
    };
  };
}

const valueOf = (payload: Payload): unknown => {
  if (isBlobPayload(payload)) throw new Error('a blob');
  return decodeValue(payload);
};

const forever = (_input: unknown, { signal }: { signal: AbortSignal }): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

// ------------------------------------------------------------------ tests

describe('a worker at work', () => {
  it('says hello, grants as much credit as it has slots, and submits what a handler returns', async () => {
    const { world, server, worker } = setup({ handle: (input) => ({ got: input }) }, { slots: 3 });
    void worker.start();
    await world.settle();
    expect(server.all('hello')[0]).toMatchObject({ protocol: 1, app: 'shop', slots: 3 });
    expect(server.credit).toBe(3);
    server.assign(call(1, { a: new Date(5) }));
    await world.settle();
    const [command] = server.commands;
    expect(command).toMatchObject({ op: 'completeTask', durationMs: 0 });
    expect(command?.op === 'completeTask' && valueOf(command.result)).toEqual({ got: { a: new Date(5) } });
    expect(server.credit).toBe(4);
    expect(worker.stats).toMatchObject({ state: 'connected', runningCalls: 0, finished: 1, unanswered: 0 });
    await worker.stop();
  });

  it('never grants more credit than it has free slots', async () => {
    const done: (() => void)[] = [];
    const { world, server, worker } = setup({ handle: () => new Promise<void>((r) => done.push(r)) }, { slots: 2 });
    void worker.start();
    await world.settle();
    server.assign(call(1, null), call(2, null));
    await world.settle();
    expect(server.credit).toBe(2);
    done[0]?.();
    await world.settle();
    expect(server.credit).toBe(3);
    done[1]?.();
    await worker.stop();
  });

  it('grants the credit of many slots in pieces: anew once half of what was granted is used', async () => {
    const { world, server, worker } = setup({}, { slots: 40 });
    void worker.start();
    await world.settle();
    for (let n = 1; n <= 42; n++) {
      server.assign(call(n, null));
      await world.settle();
    }
    expect(server.submissions).toHaveLength(42);
    expect(server.all('credit').map(({ upTo }) => upTo)).toEqual([40, 61, 82]);
    await worker.stop();
  });

  it('holds credit back while the server does not answer', async () => {
    const { world, server, worker } = setup({}, { slots: 2 });
    server.judge = () => null;
    void worker.start();
    await world.settle();
    for (let n = 1; n <= 8; n++) {
      server.assign(call(n, null));
      await world.settle();
    }
    // Two slots are free, but four times as many answers are due.
    expect(worker.stats).toMatchObject({ runningCalls: 0, unanswered: 8 });
    expect(server.credit).toBe(8);
    await worker.stop();
  });

  it('sends what one turn brings forth in one message', async () => {
    const { world, server, worker } = setup({});
    void worker.start();
    await world.settle();
    server.assign(...Array.from({ length: 50 }, (_, n) => call(n + 1, n)));
    await world.settle();
    expect(server.submissions).toHaveLength(50);
    const grants = server.all('credit').map((message) => message.upTo);
    expect(grants).toEqual([...new Set(grants)].sort((a, b) => a - b));
    expect(server.all('submit').length).toBeLessThanOrEqual(2);
    await worker.stop();
  });

  it('fails a call whose input does not fit its schema as poison, which is not retried', async () => {
    const { world, server, worker } = setup({ options: { input: refusing('too small', 'n') } });
    void worker.start();
    await world.settle();
    server.assign(call(1, { n: 0 }));
    await world.settle();
    expect(server.commands).toMatchObject([
      { op: 'failTask', failure: { class: 'poison', code: 'INPUT_INVALID', retryable: false } },
    ]);
    expect(server.commands[0]?.op === 'failTask' && server.commands[0].failure.message).toContain('n: too small');
    await worker.stop();
  });

  it('reports an output that does not fit, and a value that cannot be stored', async () => {
    const wrong = setup({ options: { output: refusing('not text') } });
    void wrong.worker.start();
    await wrong.world.settle();
    wrong.server.assign(call(1, 1));
    await wrong.world.settle();
    expect(wrong.server.commands).toMatchObject([{ failure: { class: 'invalid_output', retryable: true } }]);
    const odd = setup({ handle: () => ({ f: () => 1 }) });
    void odd.worker.start();
    await odd.world.settle();
    odd.server.assign(call(1, 1));
    await odd.world.settle();
    expect(odd.server.commands).toMatchObject([{ failure: { code: 'VALUE_UNSTORABLE', retryable: false } }]);
    await Promise.all([wrong.worker.stop(), odd.worker.stop()]);
  });

  it('fails a call at its deadline, aborts the handler, and ignores what it returns later', async () => {
    let finish: () => void = () => undefined;
    let reason: unknown;
    const { world, server, worker } = setup({
      handle: (_input, { signal }) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
        });
        return new Promise<void>((resolve) => {
          finish = resolve;
        });
      },
    });
    void worker.start();
    await world.settle();
    server.assign(call(1, null, { deadlineMs: 10_000 }));
    await world.advance(9_000);
    expect(server.commands).toEqual([]);
    await world.advance(600);
    expect(server.commands).toMatchObject([{ op: 'failTask', failure: { class: 'timeout', code: 'TASK_TIMEOUT' } }]);
    expect(reason).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(worker.stats).toMatchObject({ runningCalls: 0, lingering: 1 });
    finish();
    await world.settle();
    expect(server.submissions).toHaveLength(1);
    expect(worker.stats.lingering).toBe(0);
    await worker.stop();
  });

  it('takes the timeout of the capability where it is shorter than the deadline, unless the caller set a time', async () => {
    const { world, server, worker } = setup({ handle: forever, options: { timeout: '2s', deadline: '60s' } });
    void worker.start();
    await world.settle();
    server.assign(call(1, null, { deadlineMs: 60_000 }), call(2, null, { deadlineMs: 90_000 }));
    await world.advance(2_000);
    expect(server.submissions).toMatchObject([{ assignment: 1, commands: [{ failure: { code: 'TASK_TIMEOUT' } }] }]);
    await world.advance(87_000);
    expect(server.submissions).toHaveLength(1);
    await world.advance(1_000);
    expect(server.submissions).toHaveLength(2);
    await worker.stop();
  });

  it('gives the slot of a handler that never returns to other work, after a while', async () => {
    const { world, server, worker, lines } = setup({ handle: () => new Promise(() => undefined) }, { slots: 1 });
    void worker.start();
    await world.settle();
    server.assign(call(1, null, { deadlineMs: 1_000 }));
    await world.advance(1_000);
    expect(server.credit).toBe(1);
    await world.advance(limits.abortGraceMs);
    expect(server.credit).toBe(2);
    expect(lines.some((line) => line.message.includes('does not return'))).toBe(true);
  });

  it('aborts a call that is cancelled, and submits nothing for it', async () => {
    const { world, server, worker } = setup({ handle: forever });
    void worker.start();
    await world.settle();
    server.assign(call(1, null));
    await world.settle();
    server.send({ t: 'abort', items: [{ assignment: 1, reason: 'cancelled' }] });
    await world.settle();
    expect(server.commands).toEqual([]);
    expect(worker.stats).toMatchObject({ runningCalls: 0, lingering: 0 });
    await worker.stop();
  });

  it('says so when it has no code for an assignment', async () => {
    const { world, server, worker } = setup({});
    void worker.start();
    await world.settle();
    server.assign(
      call(1, null, { capability: 'paint' }),
      activation(2, { workflow: 'refund' }),
      activation(3, { version: '4' }),
    );
    await world.settle();
    expect(server.commands).toMatchObject([
      { op: 'failTask', failure: { code: 'CAPABILITY_UNKNOWN', retryable: true } },
      { op: 'abandon', failure: { code: 'WORKFLOW_UNKNOWN', retryable: true } },
      { op: 'abandon', failure: { code: 'VERSION_UNKNOWN', retryable: true } },
    ]);
    expect(worker.stats.unanswered).toBe(0);
    await worker.stop();
  });

  it('moves large values as blobs, and fetches the blobs it is given', async () => {
    const large = 'x'.repeat(limits.inlinePayloadBytesMax);
    const { world, server, worker } = setup({ handle: (input) => [input] });
    void worker.start();
    await world.settle();
    const text = encodeValue(large).text;
    const blob = nodeHash.sha256(text);
    server.blobs.set(blob, new TextEncoder().encode(text));
    server.assign(call(1, null, { input: { codec: 'json/1', blob, size: text.length } }));
    await world.settle();
    const [command] = server.commands;
    if (command?.op !== 'completeTask' || !isBlobPayload(command.result)) throw new Error('A blob was expected.');
    const stored = new TextDecoder().decode(server.blobs.get(command.result.blob));
    expect(decodeValue({ codec: 'json/1', text: stored })).toEqual([large]);
    expect(command.result.size).toBe(stored.length);
    await worker.stop();
  });

  it('does not take bytes for a blob that have another hash', async () => {
    const { world, server, worker } = setup({});
    void worker.start();
    await world.settle();
    server.blobs.set('a'.repeat(64), new TextEncoder().encode('"forged"'));
    server.assign(call(1, null, { input: { codec: 'json/1', blob: 'a'.repeat(64), size: 8 } }));
    await world.settle();
    expect(server.commands).toMatchObject([{ op: 'failTask', failure: { code: 'BLOB_MISMATCH' } }]);
    await worker.stop();
  });

  it('submits again what the server could not take just now', async () => {
    const { world, server, worker } = setup({});
    let refusals = 2;
    server.judge = ({ i }) =>
      refusals-- > 0 ? { i, ok: false, code: 'STORE_BUSY', message: 'busy' } : { i, ok: true, head: 2 };
    void worker.start();
    await world.settle();
    server.assign(call(1, 'v'));
    await world.advance(5_000);
    expect(server.submissions.map((s) => s.i)).toEqual([1, 1, 1]);
    expect(worker.stats.unanswered).toBe(0);
    await worker.stop();
  });

  it('fails a call whose result the server refuses for good', async () => {
    const { world, server, worker } = setup({});
    server.judge = ({ i, commands }) =>
      commands[0]?.op === 'completeTask'
        ? { i, ok: false, code: 'BLOB_NOT_FOUND', message: 'gone' }
        : { i, ok: true, head: 2 };
    void worker.start();
    await world.settle();
    server.assign(call(1, 'v'));
    await world.settle();
    expect(server.commands).toMatchObject([
      { op: 'completeTask' },
      { op: 'failTask', failure: { code: 'BLOB_NOT_FOUND' } },
    ]);
    await worker.stop();
  });
});

describe('a worker and its bodies', () => {
  it('hands events and answers to the body, and lets go of it when it has ended', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin });
    void worker.start();
    await world.settle();
    server.assign(activation(1));
    await world.settle();
    const i = bodies.hosts[0]?.submit([{ op: 'sleep', path: 'nap', ms: 5 }]);
    const entry: JournalEntry = { seq: 2, at: 1, type: 'timer.set', data: { path: 'nap', fireAt: 6 } };
    server.send({ t: 'deliver', items: [{ assignment: 1, events: [entry] }] });
    await world.settle();
    expect(bodies.settled).toEqual([{ i, ok: true, head: 1 }]);
    expect(bodies.delivered).toEqual([entry]);
    bodies.ends[0]?.('ended');
    await world.settle();
    expect(worker.stats).toMatchObject({ runningActivations: 0, finished: 1 });
    await worker.stop();
  });

  it('abandons an activation that a refusal has stopped, unless the lease is gone', async () => {
    for (const [code, expected] of [
      ['history_full', ['progress', 'abandon']],
      ['LEASE_LOST', ['progress']],
    ] as const) {
      const bodies = new Bodies();
      const { world, server, worker } = setup({ begin: bodies.begin });
      server.judge = ({ i, commands }) =>
        commands[0]?.op === 'abandon' ? { i, ok: true, head: 3 } : { i, ok: false, code, message: 'no' };
      void worker.start();
      await world.settle();
      server.assign(activation(1));
      await world.settle();
      bodies.hosts[0]?.submit([{ op: 'progress', index: 0, value: encodeValue(1) }]);
      await world.settle();
      bodies.ends[0]?.('aborted');
      await world.settle();
      expect(server.commands.map((command) => command.op)).toEqual(expected);
      expect(worker.stats.runningActivations).toBe(0);
      await worker.stop();
    }
  });

  it('counts no slot for bodies that only wait', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin }, { slots: 2 });
    void worker.start();
    await world.settle();
    server.assign(activation(1), activation(2));
    await world.settle();
    expect(server.credit).toBe(2);
    // It says nothing when it begins to wait, so somebody has to look.
    bodies.waiting = true;
    await world.advance(100);
    expect(server.credit).toBe(4);
    expect(worker.stats).toMatchObject({ runningActivations: 2, waitingActivations: 2 });
    await worker.stop();
  });

  it('keeps waiting bodies in memory for less time when they are many', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin }, { slots: 2, parkAfterMs: 9_000 });
    bodies.waiting = true;
    void worker.start();
    await world.settle();
    server.assign(activation(1), activation(2), activation(3));
    await world.settle();
    expect(bodies.hosts[0]?.parkAfterMs).toBe(9_000);
    server.assign(activation(4));
    await world.settle();
    expect(bodies.hosts[0]?.parkAfterMs).toBe(0);
    await worker.stop();
  });
});

describe('a worker that drains', () => {
  it('lets bodies that only wait go at once', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin }, { slots: 2, parkAfterMs: 9_000 });
    void worker.start();
    await world.settle();
    server.assign(activation(1), activation(2));
    await world.settle();
    const drained = worker.drain();
    expect([bodies.hurried, bodies.hosts[0]?.parkAfterMs]).toEqual([2, 0]);
    for (const end of bodies.ends) end('parked');
    await world.settle();
    await drained;
  });
});

describe('a worker that loses its connection', () => {
  it('resumes with what it holds, and repeats what was not answered under the same numbers', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin });
    server.judge = () => null;
    void worker.start();
    await world.settle();
    server.assign(activation(1), call(2, 'v'));
    await world.settle();
    bodies.hosts[0]?.submit([{ op: 'sleep', path: 'nap', ms: 5 }]);
    bodies.seen = 7;
    await world.settle();
    const before = server.submissions.slice();
    expect(before.map((s) => s.i)).toEqual([1, 2]);
    server.cut();
    await world.advance(1_000);
    expect(server.connections).toBe(2);
    expect(server.all('hello')[1]?.resume).toEqual({
      session: 'ses_1',
      received: 2,
      holding: [
        { assignment: 1, seen: 7 },
        { assignment: 2, seen: 0 },
      ],
    });
    expect(server.submissions.slice(2)).toEqual(before);
    expect(worker.stats.reconnections).toBe(1);
    await worker.stop();
  });

  it('drops what the server gave to others meanwhile', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin });
    server.judge = () => null;
    void worker.start();
    await world.settle();
    server.assign(activation(1), call(2, 'v'));
    await world.settle();
    const greet = server.greet;
    server.greet = (hello) => {
      const welcome = greet(hello);
      return welcome?.t === 'welcome' ? { ...welcome, lost: [1, 2] } : welcome;
    };
    server.cut();
    await world.advance(1_000);
    expect(bodies.aborts).toEqual(['lease_lost']);
    expect(server.submissions).toHaveLength(1);
    expect(worker.stats).toMatchObject({ runningActivations: 0, unanswered: 0 });
    await worker.stop();
  });

  it('grants credit above the numbers that are used up', async () => {
    const { world, server, worker } = setup({}, { slots: 2 });
    void worker.start();
    await world.settle();
    const greet = server.greet;
    server.greet = (hello) => {
      const welcome = greet(hello);
      return welcome?.t === 'welcome' ? { ...welcome, assigned: 2 } : welcome;
    };
    server.cut();
    await world.advance(1_000);
    expect(server.credit).toBe(4);
    await worker.stop();
  });

  it('aborts everything when its session is gone, and opens a new one', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin });
    void worker.start();
    await world.settle();
    server.assign(activation(1));
    await world.settle();
    const greet = server.greet;
    server.greet = (hello) =>
      hello.resume === undefined ? greet(hello) : { t: 'goodbye', reason: 'SESSION_GONE: ended' };
    server.cut();
    await world.advance(3_000);
    expect(bodies.aborts).toEqual(['lease_lost']);
    expect(server.all('hello').map((hello) => hello.resume?.session)).toEqual([undefined, 'ses_1', undefined]);
    expect(worker.stats).toMatchObject({ state: 'connected', session: 'ses_3', runningActivations: 0 });
    await worker.stop();
  });

  it('keeps its session when a server says that it is only stopping', async () => {
    const { world, server, worker } = setup({ handle: forever });
    void worker.start();
    await world.settle();
    server.assign(call(1, null));
    await world.settle();
    server.send({ t: 'goodbye', reason: 'SHUTTING_DOWN: The server is stopping.' });
    await world.advance(1_000);
    expect(server.all('hello')[1]?.resume).toMatchObject({ session: 'ses_1', holding: [{ assignment: 1 }] });
    expect(worker.stats.runningCalls).toBe(1);
    await worker.stop();
  });

  it('gives back, uncounted and after a while, a body whose history only a newer worker can read', async () => {
    const bodies = new Bodies();
    const { world, server, worker, lines } = setup({ begin: bodies.begin }, { slots: 2 });
    void worker.start();
    await world.settle();
    const entry = { seq: 2, at: 1, type: 'step.weighed', data: { path: 's' } } as unknown as JournalEntry;
    // One comes with such an event, another is told of it while it runs.
    server.assign(activation(1, { journal: { head: 2, progress: 0, entries: [entry] } }), activation(2));
    await world.settle();
    server.send({ t: 'deliver', items: [{ assignment: 2, events: [entry] }] });
    await world.settle();
    expect(bodies.hosts).toHaveLength(1);
    expect(bodies.aborts).toEqual(['lease_lost']);
    expect(bodies.delivered).toEqual([]);
    expect(lines.filter(({ message }) => message.includes('step.weighed')).map(({ level }) => level)).toEqual([
      'warn',
      'warn',
    ]);
    expect(server.all('release')).toEqual([]);
    // Others are not kept waiting for it.
    server.assign(activation(3));
    await world.settle();
    expect(bodies.hosts).toHaveLength(2);
    await world.advance(limits.unreadableAsideMs);
    expect(server.all('release').flatMap(({ assignments }) => assignments)).toEqual([1, 2]);
    expect(server.commands).toEqual([]);
    expect(worker.state).toBe('connected');
    await worker.stop();
  });

  it('gives back no number of a session that is over', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin });
    void worker.start();
    await world.settle();
    const entry = { seq: 2, at: 1, type: 'step.weighed', data: { path: 's' } } as unknown as JournalEntry;
    server.assign(activation(1, { journal: { head: 2, progress: 0, entries: [entry] } }));
    await world.settle();
    server.send({ t: 'goodbye', reason: 'SESSION_GONE' });
    await world.advance(limits.unreadableAsideMs + 5_000);
    expect(server.connections).toBeGreaterThan(1);
    expect(server.all('release')).toEqual([]);
    await worker.stop();
  });

  it('tries again for as long as no server answers', async () => {
    const { world, server, worker } = setup({});
    const greet = server.greet;
    server.greet = () => null;
    let started = false;
    void worker.start().then(() => {
      started = true;
    });
    await world.advance(60_000);
    expect(server.connections).toBeGreaterThan(3);
    expect(worker.state).toBe('connecting');
    server.greet = greet;
    await world.advance(20_000);
    expect(started).toBe(true);
    await worker.stop();
  });

  it('gives up where the server can never take it, and says why', async () => {
    const { world, server, worker } = setup({});
    server.greet = () => ({ t: 'goodbye', reason: 'PROTOCOL_MISMATCH: The worker speaks protocol 1, this server 2.' });
    const started = worker.start();
    await world.advance(60_000);
    await expect(started).rejects.toThrow('PROTOCOL_MISMATCH');
    expect((await worker.stopped)?.message).toContain('PROTOCOL_MISMATCH');
    expect(worker.state).toBe('stopped');
    expect(server.connections).toBe(1);
  });

  it('beats with rising numbers and the highest assignment received', async () => {
    const { world, server, worker } = setup({});
    void worker.start();
    await world.settle();
    server.assign(call(1, null), call(2, null));
    await world.advance(6_000);
    server.cut();
    await world.advance(4_000);
    const beats = server.all('beat');
    expect(beats.length).toBeGreaterThanOrEqual(4);
    expect(beats.map((beat) => beat.n)).toEqual(beats.map((_, n) => n + 1));
    expect(new Set(beats.map((beat) => beat.session))).toEqual(new Set(['ses_1']));
    expect(beats.at(-1)?.received).toBe(2);
    await worker.stop();
  });
});

describe('a worker that is asked to end', () => {
  it('drains: takes nothing new, gives back what was not begun, finishes what is in flight, says goodbye', async () => {
    let finish: () => void = () => undefined;
    const { world, server, worker } = setup({
      handle: () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
    });
    void worker.start();
    await world.settle();
    server.assign(call(1, null));
    await world.settle();
    const drained = worker.drain();
    await world.settle();
    const credit = server.credit;
    expect(server.all('drain')).toHaveLength(1);
    server.assign(call(2, null), activation(3));
    await world.settle();
    expect(server.all('release')).toEqual([{ t: 'release', assignments: [2, 3] }]);
    expect(server.all('bye')).toHaveLength(0);
    finish();
    await world.settle();
    expect(server.commands).toMatchObject([{ op: 'completeTask' }]);
    expect(server.all('bye')).toHaveLength(1);
    expect(server.credit).toBe(credit);
    await drained;
    await expect(worker.stopped).resolves.toBeNull();
    expect(worker.state).toBe('stopped');
    await world.advance(60_000);
    expect(server.connections).toBe(1);
  });

  it('drains in bounded time: fails the calls that do not end, gives the bodies back', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ handle: () => new Promise(() => undefined), begin: bodies.begin });
    void worker.start();
    await world.settle();
    server.assign(call(1, null), activation(2));
    await world.settle();
    void worker.drain();
    await world.settle();
    expect(bodies.hosts[0]?.parkAfterMs).toBe(0);
    await world.advance(limits.drainGraceMs + 10_000);
    expect(server.commands).toMatchObject([{ op: 'failTask', failure: { code: 'WORKER_STOPPED', retryable: true } }]);
    expect(bodies.aborts).toHaveLength(1);
    expect(server.all('bye')).toHaveLength(1);
    expect(worker.state).toBe('stopped');
  });

  it('brings in its last results over a new connection when the old one breaks in mid-drain', async () => {
    const { world, server, worker } = setup({});
    server.judge = () => null;
    void worker.start();
    await world.settle();
    server.assign(call(1, 'v'));
    await world.settle();
    void worker.drain();
    await world.settle();
    server.cut();
    server.judge = ({ i }) => ({ i, ok: true, head: 2 });
    await world.advance(1_000);
    expect(server.submissions.map((s) => s.i)).toEqual([1, 1]);
    expect(server.all('drain')).toHaveLength(2);
    expect(worker.state).toBe('stopped');
  });

  it('still answers for a body that it has stopped, as long as an answer is due', async () => {
    const bodies = new Bodies();
    const { world, server, worker } = setup({ begin: bodies.begin });
    server.judge = () => null;
    void worker.start();
    await world.settle();
    server.assign(activation(1));
    await world.settle();
    bodies.hosts[0]?.submit([{ op: 'sleep', path: 'nap', ms: 5 }]);
    void worker.drain();
    await world.advance(limits.drainGraceMs + 100);
    expect(bodies.aborts).toHaveLength(1);
    server.cut();
    await world.advance(1_000);
    expect(server.all('hello')[1]?.resume?.holding).toEqual([{ assignment: 1, seen: 0 }]);
    await world.advance(20_000);
    expect(worker.state).toBe('stopped');
  });

  it('stops at once: aborts, submits nothing more, says goodbye', async () => {
    const { world, server, worker } = setup({ handle: forever });
    void worker.start();
    await world.settle();
    server.assign(call(1, null));
    await world.settle();
    await Promise.all([worker.stop(), worker.stop(), worker.drain()]);
    expect(server.commands).toEqual([]);
    expect(server.all('bye')).toHaveLength(1);
    await expect(worker.start()).resolves.toBeUndefined();
  });

  it('stops without ever having started, and by its signal', async () => {
    const idle = setup({});
    await idle.worker.stop();
    expect(idle.worker.state).toBe('stopped');
    await expect(idle.worker.start()).rejects.toMatchObject({ code: 'WORKER_STOPPED' });
    const abort = new AbortController();
    const { world, server, worker } = setup({}, { signal: abort.signal });
    void worker.start();
    await world.settle();
    abort.abort();
    await worker.stopped;
    expect(server.all('bye')).toHaveLength(1);
  });

  it('stops in bounded time where the server never says goodbye', async () => {
    const { world, server, worker } = setup({});
    server.saysGoodbye = false;
    void worker.start();
    await world.settle();
    void worker.stop();
    await world.advance(limits.drainAnswerMs);
    expect(worker.state).toBe('stopped');
  });
});

describe('the options of a worker', () => {
  it('are checked all at once', () => {
    expect(() => setup({}, { slots: 0, parkAfterMs: -1, capabilities: ['ehco'] })).toThrow(
      /slots must be .*; parkAfterMs must be .*; capabilities: "ehco" is not in the app/,
    );
  });
});
