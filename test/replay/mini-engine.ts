/**
 * A tiny engine for tests: one run, decided by the real decisions of `core/run`, with everything that an engine does by
 * itself (committing, firing timers, finishing calls, cancelling) done only when the test says so.
 */
import { createHash } from 'node:crypto';
import { encodeValue } from '../../src/core/codec.js';
import type { Failure } from '../../src/core/failure.js';
import type { BlobPayload, InlinePayload, Payload } from '../../src/core/payload.js';
import type { Ports } from '../../src/core/ports.js';
import type { Effect } from '../../src/core/run/events.js';
import type { BodyCommand, RunCommand } from '../../src/core/run/commands.js';
import { decide, type Decision } from '../../src/core/run/decide.js';
import { retryTimer } from '../../src/core/run/effects.js';
import { timersOf } from '../../src/core/run/waits.js';
import type { RunEvent } from '../../src/core/run/events.js';
import type { InferenceGrant } from '../../src/core/run/inference.js';
import { journalEventTypes, type Journal, type JournalEntry } from '../../src/core/run/journal.js';
import { activationTask, applyEvent, emptyState, isEnded, type RunState } from '../../src/core/run/state.js';
import type { Activation, ActivationHost } from '../../src/workflow/activation-contract.js';
import { beginActivation } from '../../src/workflow/activation.js';
import type { LogRecord } from '../../src/workflow/log.js';
import type { AnyWorkflow } from '../../src/workflow/workflow.js';

/** A clock that moves only by hand, with its timers. Turns are real turns of the event loop. */
export class ManualTime {
  nowMs = 1_000_000;
  readonly #timers = new Set<{ readonly at: number; readonly fn: () => void }>();

  readonly ports: Ports = {
    clock: { now: () => this.nowMs, monotonicMs: () => this.nowMs },
    timers: {
      after: (ms, fn) => {
        const timer = { at: this.nowMs + ms, fn };
        this.#timers.add(timer);
        return () => void this.#timers.delete(timer);
      },
      turn: (fn) => void setImmediate(fn),
    },
    random: { next: () => 0.5, bytes: (length) => new Uint8Array(length) },
    hash: {
      sha256: (...parts) => {
        const hash = createHash('sha256');
        for (const part of parts) hash.update(part);
        return hash.digest('hex');
      },
    },
  };

  /** Moves the clock and calls what is due on the way. */
  advance(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.nowMs = Math.max(this.nowMs, due.at);
      due.fn();
    }
    this.nowMs = until;
  }
}

/** Waits until everything that can happen by itself has happened. */
export async function settled(turns = 6): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}

interface Submission {
  readonly i: number;
  readonly commands: readonly BodyCommand[];
}

const bodyTypes: ReadonlySet<string> = new Set(journalEventTypes);

/** What may be set on a `MiniEngine`. */
export interface MiniOptions {
  readonly input?: unknown;
  readonly parkAfterMs?: number;
  readonly time?: ManualTime;
  readonly effect?: Effect;
}

/** See the top of the module. */
export class MiniEngine {
  readonly time: ManualTime;
  readonly events: RunEvent[] = [];
  state: RunState = emptyState('t', 'run_1');
  /** Submissions that are not committed yet, oldest first. */
  readonly submissions: Submission[] = [];
  readonly logs: LogRecord[] = [];
  readonly blobs = new Map<string, InlinePayload>();
  /** Blobs are handed over only when this is resolved. */
  blobGate: Promise<void> = Promise.resolve();
  activation: Activation | null = null;
  parkAfterMs: number;
  /** Inferences have to wait for `admit`. */
  holdsInferences = false;
  #submitted = 0;
  readonly #workflow: AnyWorkflow;
  readonly #effect: Effect;

  constructor(workflow: AnyWorkflow, options: MiniOptions = {}) {
    this.#workflow = workflow;
    this.time = options.time ?? new ManualTime();
    this.parkAfterMs = options.parkAfterMs ?? 5_000;
    this.#effect = options.effect ?? 'idempotent';
    this.#append({
      type: 'run.started',
      data: {
        workflow: workflow.name,
        version: workflow.version,
        priority: 0,
        timeoutMs: null,
        retainMs: null,
        completes: null,
        activationDeadlineMs: 60_000,
        activationRetry: workflow.retry,
        trigger: null,
        labels: null,
        idempotencyKey: null,
        correlation: null,
        traceparent: null,
      },
      payload: encodeValue(options.input),
    });
  }

  get ended(): boolean {
    return isEnded(this.state.status);
  }

  /** The last event; the outcome, once the run has ended. */
  get last(): RunEvent {
    const event = this.events.at(-1);
    if (event === undefined) throw new Error('no events');
    return event;
  }

  paths(type: RunEvent['type']): string[] {
    return this.events.flatMap((event) =>
      event.type === type && 'path' in event.data ? [String(event.data.path)] : [],
    );
  }

  /** Begins an activation from the journal of the first `prefix` events; by default of all of them. */
  begin(prefix = this.events.length): Activation {
    this.submissions.length = 0;
    const events = this.events.slice(0, prefix);
    this.activation = beginActivation(
      this.#workflow,
      {
        tenant: 't',
        run: 'run_1',
        workflow: this.#workflow.name,
        version: this.#workflow.version,
        attempt: 1,
        startedAt: events[0]?.at ?? 0,
        input: payloadOf(events[0]),
        journal: journalOf(events),
      },
      this.#host(),
    );
    return this.activation;
  }

  /** Commits the oldest submission; the events and the answer reach the body at once. */
  commit(): void {
    const submission = this.submissions.shift();
    if (submission === undefined) return;
    const appended: RunEvent[] = [];
    for (const command of submission.commands) {
      const decision = this.#decide(command, activationTask(this.state.activation.n));
      if (decision.tag === 'refused') {
        this.#tell(appended, true);
        const message = `Refused: ${decision.reason}.`;
        this.activation?.settle({ i: submission.i, ok: false, code: decision.reason, message });
        return;
      }
      appended.push(...this.#accept(decision));
    }
    this.#tell(appended, true);
    this.activation?.settle({ i: submission.i, ok: true, head: this.state.head });
  }

  /** Commits whatever comes until nothing more does. */
  async drain(): Promise<void> {
    for (let i = 0; i < 1_000; i++) {
      // A replay takes a turn for each recorded outcome.
      await settled(4 + this.events.length);
      if (this.submissions.length === 0) return;
      while (this.submissions.length > 0) this.commit();
    }
    throw new Error('the body never comes to rest');
  }

  /** Timers and retry pauses that are on, by name. */
  timers(): string[] {
    const names: string[] = [];
    for (const [path, unit] of this.state.units) {
      if (unit.kind === 'timer' && unit.status === 'set') names.push(path);
      if ((unit.kind === 'step' || unit.kind === 'inference') && unit.status === 'retrying')
        names.push(retryTimer(path));
      if (unit.kind === 'wait' && unit.status === 'open') names.push(...timersOf(path, unit));
    }
    return names;
  }

  /** Paths of the calls that no worker has finished. */
  calls(): string[] {
    const open: string[] = [];
    for (const [path, unit] of this.state.units) {
      if (unit.kind === 'call' && (unit.status === 'scheduled' || unit.status === 'retrying')) open.push(path);
    }
    return open;
  }

  /** Paths of the waits for events that are open. */
  eventWaits(): string[] {
    return [...this.state.units].flatMap(([path, unit]) =>
      unit.kind === 'wait' && unit.status === 'open' && unit.on.kind === 'event' ? [path] : [],
    );
  }

  /** Sends a signal whose data is its id. */
  signal(id: string, name: string): void {
    this.#outside({ op: 'signal', id, name, by: 'client:test', data: encodeValue(id) }, null);
  }

  /** Gives a wait the event with this offset, whose data is its id; nothing where another wait has it. */
  giveEvent(path: string, offset: number): void {
    const unit = this.state.units.get(path);
    if (unit?.kind !== 'wait' || unit.on.kind !== 'event') throw new Error(`no wait at ${path}`);
    const event = { topic: unit.on.topic, partition: 0, offset, id: `e${offset}`, at: this.time.nowMs };
    this.#outside({ op: 'giveEvent', path, opened: unit.opened, event, data: encodeValue(event.id) }, null);
  }

  fire(timer: string): void {
    this.#outside({ op: 'fireTimer', name: timer }, null);
  }

  completeCall(path: string, result: unknown): void {
    this.#outside({ op: 'completeTask', result: encodeValue(result), durationMs: 1 }, this.#taskOf(path));
  }

  failCall(path: string, failure: Failure): void {
    this.#outside({ op: 'failTask', failure }, this.#taskOf(path));
  }

  cancel(reason: string | null = null): void {
    this.#outside({ op: 'cancel', reason, by: 'client:test', graceMs: 1_000 }, null);
  }

  /** A person decides what is asked at `path`. */
  review(path: string, outcome: 'approved' | 'rejected'): void {
    const unit = this.state.units.get(path);
    if (unit?.kind !== 'wait') throw new Error(`no wait at ${path}`);
    const by = { name: 'user:ann', roles: ['operator'] };
    this.#outside({ op: 'review', path, opened: unit.opened, outcome, by, answer: encodeValue({}) }, null);
  }

  redrive(): void {
    this.#outside({ op: 'redrive', by: 'client:test' }, null);
  }

  /** Leave to call version `v1` of a model. */
  grant(idempotencyKey: string): InferenceGrant {
    const reserved = { tokens: 1, costMicros: 0 };
    return { version: 'v1', arm: 'v1', endpoint: 'here', idempotencyKey, reserved, limits: [] };
  }

  /** Lets an inference go on that had to wait. */
  admit(path: string): void {
    const unit = this.state.units.get(path);
    if (unit?.kind !== 'inference') throw new Error(`no inference at ${path}`);
    const { attempt, first } = unit;
    const grant = this.grant(`${path}/${first}`);
    this.#outside({ op: 'admitInference', path, attempt, grant, reservedAt: 0 }, null);
  }

  #taskOf(path: string): string {
    const unit = this.state.units.get(path);
    if (unit?.kind !== 'call') throw new Error(`no call at ${path}`);
    return unit.call.task;
  }

  #outside(command: RunCommand, task: string | null): void {
    const decision = this.#decide(command, task);
    if (decision.tag === 'refused') throw new Error(`${command.op}: ${decision.reason}`);
    this.#tell(this.#accept(decision), false);
  }

  #decide(command: RunCommand, task: string | null): Decision {
    return decide(this.state, command, {
      now: this.time.nowMs,
      random: 0.5,
      deadLetterId: 'dlq_1',
      worker: 'wrk_1',
      task,
      token: 1,
      unleased: false,
      newRunId: 'run_new',
      hasWorkflow: () => true,
      hasAgent: () => true,
      recall: () => null,
      judge: () => ({ tag: 'allowed', rule: '', counted: {} }),
      admit: ({ path, first, attempt, ask }) => {
        if (ask.model === 'unknown') return null;
        if (this.holdsInferences) return { version: 'v1', endpoint: 'e', until: null };
        const key = ask.policy.includes('retry-with-same-key') ? '' : `/${attempt}`;
        return this.grant(`${path}/${first}${key}`);
      },
      agentRunId: (agent, key, generation) => `run_${agent}_${key}_${generation}`,
      capability: (name) =>
        name === 'unknown'
          ? null
          : {
              retry: { attempts: 1, minMs: 0, maxMs: 0, factor: 1 },
              deadlineMs: 1_000,
              effect: this.#effect,
            },
    });
  }

  #accept(decision: Decision): RunEvent[] {
    return decision.tag === 'accepted' ? decision.events.map((event) => this.#append(event)) : [];
  }

  #append(event: Parameters<typeof Object.assign>[0]): RunEvent {
    this.time.nowMs += 1;
    const appended = { ...event, seq: this.state.head + 1, at: this.time.nowMs } as RunEvent;
    this.events.push(appended);
    applyEvent(this.state, appended);
    return appended;
  }

  #tell(events: readonly RunEvent[], own: boolean): void {
    this.activation?.deliver(events.flatMap((event) => entryOf(event, !own)));
  }

  #host(): ActivationHost {
    const parkAfterMs = (): number => this.parkAfterMs;
    return {
      ports: this.time.ports,
      get parkAfterMs() {
        return parkAfterMs();
      },
      submit: (commands) => {
        this.submissions.push({ i: ++this.#submitted, commands });
        return this.#submitted;
      },
      store: async (payload) => {
        const blob = this.time.ports.hash.sha256(payload.text);
        this.blobs.set(blob, payload);
        return { codec: payload.codec, blob, size: payload.text.length };
      },
      load: async (payload) => {
        await this.blobGate;
        return this.#blob(payload);
      },
      log: (record) => void this.logs.push(record),
    };
  }

  #blob(payload: BlobPayload): InlinePayload {
    const found = this.blobs.get(payload.blob);
    if (found === undefined) throw new Error('no such blob');
    return found;
  }
}

function payloadOf(event: RunEvent | undefined): Payload {
  if (event?.payload === undefined) throw new Error('no payload');
  return event.payload;
}

function entryOf(event: RunEvent, withPayload: boolean): JournalEntry[] {
  if (!bodyTypes.has(event.type)) return [];
  const { seq, at, type, data, payload } = event;
  return [{ seq, at, type, data, ...(withPayload && payload !== undefined ? { payload } : {}) } as JournalEntry];
}

function journalOf(events: readonly RunEvent[]): Journal {
  let entries: JournalEntry[] = [];
  let progress = 0;
  for (const event of events) {
    if (event.type === 'progress.reported') progress = event.data.index + 1;
    if (event.type === 'run.redriven') {
      const forgotten = new Set(event.data.paths);
      entries = entries.filter(
        (entry) =>
          entry.type === 'input.edited' ||
          (entry.type !== 'run.cancel_requested' && !('path' in entry.data && forgotten.has(entry.data.path))),
      );
    }
    entries.push(...entryOf(event, true));
  }
  return { head: events.at(-1)?.seq ?? 0, progress, entries };
}
