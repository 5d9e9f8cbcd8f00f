/**
 * The runtime of one activation: keeps what is recorded and what the body waits for, delivers outcomes in `seq` order,
 * submits what the body asks for, parks it while it only waits, and ends the run with what the body came to.
 *
 * Invariant (docs/concepts/replay.md): the next outcome handed to the body is always the one with the lowest `seq` among
 * those recorded, asked for and not yet handed over; between two of them every micro-task has run. Live code and replay go
 * through the same queue, so both take the same way.
 */
import { decodeValue, encodeValue } from '../../core/codec.js';
import { assertNever, errorCatalogue, SpineError, type ErrorCode } from '../../core/errors.js';
import { failureOf } from '../../core/failure-of.js';
import { failure, type Failure } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type BlobPayload, type InlinePayload, type Payload } from '../../core/payload.js';
import type { CancelTimer } from '../../core/ports.js';
import type { BodyCommand } from '../../core/run/commands.js';
import { contextId } from '../../core/run/state.js';
import { isIntent, type AbortReason, type JournalEntry, type SubmissionResult } from '../../core/run/journal.js';
import { exceedsUtf8 } from '../../core/utf8.js';
import type { Activation, ActivationEnd, ActivationHost, ActivationInput } from '../activation-contract.js';
import { Cancelled, isCancelled } from '../cancelled.js';
import type { RunInfo } from '../ctx.js';
import type { LogLevel } from '../log.js';
import { isStepError, StepError } from '../step-error.js';
import { isTerminal, isTransient, type Terminal } from '../thrown.js';
import type { AnyWorkflow } from '../workflow.js';
import { ChunkBatcher, type ChunkBatch, type StreamWriter } from '../stream-writer.js';
import type { InferenceSurroundings } from '../infer/ask-inference.js';
import { chosenVersion, type AnyPrompt } from '../prompt.js';
import type { AskedUnit } from './asked-unit.js';
import { BodyCtx } from './body-ctx.js';
import { upcast } from '../topic-versions.js';
import { checkInput } from './check-input.js';
import type { InferenceTold } from './infer-work.js';
import {
  childOf,
  noteEntry,
  startOf,
  startRecord,
  type OutcomeEntry,
  type PathRecord,
  type UnitKind,
} from './path-record.js';
import { effectWithheld, isWithheld } from './effect-withheld.js';
import { pumpOf, type Pump, type Pumped } from './pump.js';
import { Scope } from './scope.js';
import { SeededRandom } from './seeded-random.js';
import { SeqQueue } from './seq-queue.js';
import type { StepHost } from './step-work.js';
import type { Judged } from './tool-gate.js';
import { Wait, type ReceivedOutcome, type Work } from './wait.js';

type SignalEntry = Extract<JournalEntry, { readonly type: 'signal.received' }>;
type ReceivedEntry = Extract<OutcomeEntry, { readonly type: 'wait.satisfied' | 'wait.expired' }>;

/** The request to cancel the run, in its place among the outcomes. */
interface CancelNotice {
  readonly seq: number;
  readonly at: number;
  readonly reason: string | null;
}

/**
 * `loading`: the input is fetched and checked; `running`: the body is at work; `parking`: the server is asked whether the
 * body may leave memory; `closing`: the body has come to its end, and what it sent off is being sent; `ending`: the end is
 * sent and not committed yet; `over`: nothing may follow.
 */
type Phase = 'loading' | 'running' | 'parking' | 'closing' | 'ending' | 'over';

/** Paths named in the report of what is no longer asked for. */
const unaskedPathsMax = 10;
/** Pause before a body that something here keeps busy is looked at again for parking, ms. */
const busyLookMs = 20;

/** See the top of the module. */
export class BodyRun implements Activation, Pumped, StepHost {
  readonly host: ActivationHost;
  readonly tenant: string;
  readonly run: string;
  readonly info: RunInfo;
  readonly ended: Promise<ActivationEnd>;
  /** What questions to models are made of. */
  readonly surroundings: InferenceSurroundings;
  queued = false;
  /** The scope whose body is being called at this moment; null outside of that. */
  entering: Scope | null = null;

  readonly #workflow: AnyWorkflow;
  readonly #input: ActivationInput;
  readonly #pump: Pump;
  readonly #root = new Scope('', null);
  readonly #records = new Map<string, PathRecord>();
  /** The version of each prompt that the run asks by. */
  readonly #prompts = new Map<string, string>();
  /** Inputs that a person gave steps in the place of the body's, by path. */
  readonly #edits = new Map<string, Payload>();
  /** Signals received, by `seq`: their waits come to them later. */
  readonly #signals = new Map<number, SignalEntry>();
  /** Every identity asked for in this activation; null = a scope, or a wait that is over, so that a long body keeps none. */
  readonly #claimed = new Map<string, Wait | null>();
  readonly #open = new Set<Wait>();
  /** Scopes that wait for what never comes, since it was undone; given up when nothing else is left to be told. */
  readonly #undone = new Set<Scope>();
  readonly #due = new SeqQueue<Wait | CancelNotice>();
  readonly #randoms = new Map<string, SeededRandom>();

  #phase: Phase = 'loading';
  #resolveEnded: (end: ActivationEnd) => void = ignore;
  #checkedInput: { readonly value: unknown } | null = null;
  #seen: number;
  #now: number;
  /** `seq` of the last outcome that the body was told of. */
  #handedSeq = 0;
  #cancelSeq = 0;
  #cancelled: Cancelled | null = null;

  /** Waits whose work begins once the replay has caught up, or in the next micro-task. */
  #launches: Wait[] = [];
  #launchScheduled = false;
  /** Recorded outcomes are still being replayed: new work waits, since one of them may call it off. */
  #catchingUp: boolean;
  /** Last outcome that an earlier activation may have seen; log lines up to there were written then. */
  readonly #replayUpTo: number;

  #outbox: BodyCommand[] = [];
  #flushScheduled = false;
  /** Submissions without an answer. */
  readonly #pending = new Set<number>();
  /** Who wants to know that a command was answered, whatever the answer; until it is sent, and then by its submission. */
  readonly #onAnswer = new Map<BodyCommand, () => void>();
  readonly #answers = new Map<number, readonly (() => void)[]>();
  /** Who hears of it where a submission is refused for a fault of its own. */
  readonly #onRefused = new Map<number, (cause: Failure) => void>();
  readonly #streams: ChunkBatcher[] = [];
  #unread = 0;
  readonly #bundles = new Map<string, Bundle>();
  /** Those among them that publish; the end of the run waits for them, since a refused event must not pass unseen. */
  readonly #publishing = new Set<number>();
  #parkSubmission = 0;
  #finalSubmission = 0;
  /** How the run ends, once the body has come to its end. */
  #final: BodyCommand | null = null;
  /** Asked for while the park was being decided. */
  #afterPark: (() => void) | null = null;
  #storing = 0;

  #running = 0;
  #onRest: (() => void) | null = null;
  #progress = 0;
  #cancelParkTimer: CancelTimer | null = null;
  #movedAtMs = 0;

  constructor(workflow: AnyWorkflow, input: ActivationInput, host: ActivationHost) {
    const { tenant, run, version, attempt, startedAt, journal } = input;
    this.host = host;
    this.tenant = tenant;
    this.run = run;
    this.info = { id: run, tenant, workflow: input.workflow, version, attempt, startedAt, labels: input.labels ?? {} };
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.surroundings = {
      ports: host.ports,
      model: (name) => host.model?.(name) ?? null,
      promptVersion: (prompt) => this.#promptVersion(prompt),
      ...(host.remedies === undefined ? {} : { remedies: host.remedies }),
      tools: host.tools ?? null,
    };
    this.#workflow = workflow;
    this.#input = input;
    this.#pump = pumpOf(host.ports.timers);
    this.#now = startedAt;
    for (const [name, pinned] of Object.entries(journal.prompts ?? {})) this.#prompts.set(name, pinned);
    let replayUpTo = 0;
    for (const entry of journal.entries) {
      this.#note(entry);
      if (entry.type === 'context.inherited' || entry.type === 'input.edited') continue;
      if (entry.type === 'signal.received') continue;
      if (entry.type === 'run.cancel_requested' || this.#records.get(entry.data.path)?.outcome === entry) {
        replayUpTo = entry.seq;
      }
    }
    this.#replayUpTo = replayUpTo;
    this.#catchingUp = replayUpTo > 0;
    this.#seen = journal.head;
    this.#move();
    this.#load().catch((error: unknown) => this.#endWith(failed(failureOf(error), null)));
  }

  // ---------------------------------------------------------------- the worker's side

  get seen(): number {
    return this.#seen;
  }

  get waiting(): boolean {
    return this.#phase === 'running' && this.#waitsOnOutsideOnly();
  }

  get resting(): boolean {
    if (this.#storing > 0 || this.#running > 0) return false;
    switch (this.#phase) {
      case 'loading':
        return false;
      case 'running':
        return this.#due.peek() === undefined && !this.#hasUnsent() && this.#open.size > 0;
      case 'closing':
        return this.#pending.size > 0;
      case 'parking':
      case 'ending':
      case 'over':
        return true;
    }
  }

  deliver(events: readonly JournalEntry[]): void {
    for (const entry of events) {
      if (entry.seq <= this.#seen) continue;
      this.#seen = entry.seq;
      if (this.#phase !== 'over') this.#note(entry);
    }
    this.#move();
  }

  settle(result: SubmissionResult): void {
    this.#pending.delete(result.i);
    for (const resolve of this.#answers.get(result.i) ?? []) resolve();
    this.#answers.delete(result.i);
    const onRefused = this.#onRefused.get(result.i);
    this.#onRefused.delete(result.i);
    this.#publishing.delete(result.i);
    if (this.#phase === 'over') return;
    this.#move();
    if (result.i === this.#parkSubmission) return this.#settlePark(result);
    if (result.i === this.#finalSubmission && result.ok) return this.#over('ended');
    if (!result.ok) {
      const cause = refusalOf(result.code, result.message);
      // What may pass, or ends the lease, is not the fault of what was submitted.
      if (onRefused === undefined || cause.retryable || isLost(result.code)) this.#refused(result.code, result.message);
      else onRefused(cause);
    }
    this.#submitFinal();
  }

  abort(_reason: AbortReason): void {
    this.#over('aborted');
  }

  hurry(): void {
    // One that has no timer is at work, and reads the time anew when it begins to wait.
    if (this.#cancelParkTimer === null) return;
    this.#cancelParkTimer();
    this.#cancelParkTimer = null;
    this.#watchForParking();
  }

  // ---------------------------------------------------------------- what the body asks for

  editedInput(path: string): InlinePayload | null {
    return inlineOf(this.#edits.get(path));
  }

  /** Claims an identity. Throws PATH_IN_USE where it is taken. */
  claim(path: string): void {
    if (this.#claimed.has(path) && !this.#isDone()) throw new SpineError('PATH_IN_USE', { path });
    this.#claimed.set(path, null);
  }

  /** Throws SCOPE_MISUSED where the body of another scope is being called. */
  checkScope(scope: Scope): void {
    if (this.entering !== null && this.entering !== scope) {
      throw new SpineError('SCOPE_MISUSED', { path: this.entering.path });
    }
  }

  /** What is asked for under a claimed path; `work` begins unless it is recorded already. */
  ask(scope: Scope, path: string, kind: UnitKind, work: Work): Promise<unknown> {
    if (this.#isDone()) return new Promise(ignore);
    const record = this.#records.get(path);
    this.host.onlooker?.asked?.(askedUnit(path, kind, work, scope.apart));
    if (record !== undefined && record.kind !== kind) {
      throw new SpineError('PATH_KIND_CHANGED', { path, recorded: record.kind, asked: kind });
    }
    const wait = new Wait(path, kind, scope, work, this.#onWaitEnd);
    this.#claimed.set(path, wait);
    this.#open.add(wait);
    const givenUp = scope.givenUp ?? this.#calledOff(record);
    if (givenUp !== null) wait.giveUp(givenUp);
    else if ((record?.outcome?.seq ?? Number.POSITIVE_INFINITY) > scope.undoneAt) this.#leaveUndone(wait);
    else this.#proceed(wait, record);
    return wait.promise;
  }

  #leaveUndone(wait: Wait): void {
    wait.phase = 'waiting';
    this.#undone.add(wait.scope);
    this.#wake();
  }

  /** Ends this run and goes on in a new one. The body is left where it is. */
  continueAsNew(input: InlinePayload): void {
    if (this.#isDone()) return;
    this.#reportUnasked();
    this.#close(() => this.#withStored(input, (stored) => this.#end({ op: 'continueAsNew', input: stored })));
  }

  /** `seq` of the last event that an earlier activation may have seen. */
  get since(): number {
    return this.#input.journal.head;
  }

  /** Events that the run had when the body was last told of something. */
  get historyLength(): number {
    return this.#handedSeq;
  }

  append(path: string, attempt: number, { from, count, chunks }: ChunkBatch): Promise<void> {
    return new Promise((resolve) => {
      const command = { op: 'append', path, attempt, from, count, chunks } as const;
      this.#onAnswer.set(command, resolve);
      this.submit(command);
    });
  }

  /** The stream that the body itself writes under a claimed path. */
  streamOf(path: string): StreamWriter {
    const written = this.#input.journal.streams?.[path] ?? 0;
    const batcher = new ChunkBatcher(this.host.ports, (batch) => this.append(path, 0, batch), written);
    this.#streams.push(batcher);
    // What an earlier activation has written is not written again.
    let skip = written;
    return { write: (chunk) => (skip > 0 ? ((skip -= 1), Promise.resolve()) : batcher.write(chunk)) };
  }

  /** What is known under that name and key; the same in every replay, since it comes with what the body was told. */
  bundleOf(name: string, key: string): Bundle | undefined {
    return this.#bundles.get(contextId(name, key));
  }

  /** Reports progress, unless an earlier activation has done so. */
  report(value: InlinePayload): void {
    const index = this.#progress++;
    if (this.#isDone() || index < this.#input.journal.progress) return;
    this.submitWith(value, (payload) => ({ op: 'progress', index, value: payload }));
  }

  /** A run stays with the version that it has asked by first; what the journal does not have is decided here. */
  #promptVersion(prompt: AnyPrompt): string {
    const version =
      this.#prompts.get(prompt.name) ?? chosenVersion(prompt, this.tenant, this.run, this.host.ports.hash);
    this.#prompts.set(prompt.name, version);
    return version;
  }

  recordOf(path: string): PathRecord | undefined {
    return this.#records.get(path);
  }

  now(): number {
    return this.#now;
  }

  randomOf(scope: Scope): SeededRandom {
    let random = this.#randoms.get(scope.path);
    if (random === undefined) {
      random = new SeededRandom(this.host.ports.hash, this.tenant, this.run, scope.path);
      this.#randoms.set(scope.path, random);
    }
    return random;
  }

  log(scope: Scope, level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#isReplaying()) return;
    const path = scope.path === '' ? null : scope.path;
    this.host.log({ level, message, fields, tenant: this.tenant, run: this.run, path });
  }

  // ---------------------------------------------------------------- for the work behind waits

  enter(): void {
    this.#running += 1;
  }

  leave(): void {
    this.#running -= 1;
    this.#move();
    if (this.#running === 0) this.#onRest?.();
  }

  submit(command: BodyCommand): void {
    if (this.#phase === 'ending' || this.#phase === 'over') return;
    this.#outbox.push(command);
    if (this.#flushScheduled || this.#phase === 'closing') return;
    this.#flushScheduled = true;
    // What several steps ask for in one micro-task goes out in one message.
    Promise.resolve().then(() => {
      this.#flushScheduled = false;
      this.#flush();
    }, ignore);
  }

  /** Encodes a value of the body. Fails with VALUE_UNSTORABLE and VALUE_TOO_LARGE. */
  encode(value: unknown): InlinePayload {
    return encodeValue(value, this.host.valueBytesMax ?? limits.valueBytesMax);
  }

  submitWith(payload: InlinePayload, command: (payload: Payload) => BodyCommand): void {
    this.#withStored(payload, (stored) => this.submit(command(stored)));
  }

  /**
   * Submits commands that are applied together or not at all, when all of their payloads are stored. A refusal is told to
   * `onRefused`, and does not end the run.
   */
  submitTogether(
    payloads: readonly InlinePayload[],
    commands: (stored: readonly Payload[]) => readonly BodyCommand[],
    onRefused: (cause: Failure) => void,
  ): void {
    const stored: Payload[] = [];
    let missing = payloads.length;
    payloads.forEach((payload, i) => {
      this.#withStored(payload, (one) => {
        stored[i] = one;
        missing -= 1;
        if (missing > 0 || this.#phase !== 'running') return;
        this.#flush();
        this.#onRefused.set(this.#send(commands(stored)), onRefused);
      });
    });
  }

  /** Forgets the identities that were claimed inside of a path: an attempt that has failed there is followed by another. */
  release(path: string): void {
    for (const claimed of this.#claimed.keys()) if (claimed.startsWith(`${path}/`)) this.#claimed.delete(claimed);
  }

  /** Inferences beneath a path that have not come to anything, and that nobody in this activation has asked for. */
  unaskedInferences(path: string): readonly (readonly [path: string, record: PathRecord])[] {
    return [...this.#records].filter(
      ([inner, { kind, outcome }]) =>
        kind === 'inference' && outcome === null && inner.startsWith(`${path}/`) && !this.#claimed.has(inner),
    );
  }

  /** Messages that no wait has got yet. */
  get unread(): number {
    return this.#unread;
  }

  // ---------------------------------------------------------------- delivery

  tick(): void {
    try {
      this.#tick();
    } catch (error) {
      // A bug of ours must not stop the pump, which serves other bodies too.
      this.#giveBack(failureOf(error));
    }
  }

  #tick(): void {
    if (this.#phase === 'loading' && this.#checkedInput !== null) return this.#start(this.#checkedInput.value);
    if (this.#phase !== 'running') return;
    const next = this.#due.peek();
    if (next === undefined && this.#undone.size > 0) {
      const scopes = [...this.#undone];
      this.#undone.clear();
      for (const scope of scopes) scope.giveUp(new Cancelled('run_cancelled'));
      return this.#wake();
    }
    if (next === undefined) {
      if (this.#catchingUp && this.#launchHosts()) return this.#wake();
      this.#catchingUp = false;
      this.#launchAll();
      return;
    }
    // Later outcomes may be at hand already; they wait for this one all the same.
    if (next instanceof Wait && next.loading) return;
    this.#due.pop();
    this.#move();
    if (next instanceof Wait) this.#hand(next);
    else this.#handCancel(next);
    if (this.#catchingUp || this.#due.peek() !== undefined) this.#wake();
  }

  #wake(): void {
    this.#pump.wake(this);
  }

  #hand(wait: Wait): void {
    const { outcome } = wait;
    // Given up after it was recorded: what the body has not got by then it never gets, now and in every replay.
    if (outcome === null || wait.phase === 'ended') return;
    this.#now = outcome.at;
    this.#handedSeq = outcome.seq;
    switch (outcome.type) {
      case 'step.completed':
      case 'call.completed':
        return this.#handValue(wait, outcome);
      case 'inference.completed':
        return this.#handInference(wait, outcome);
      case 'step.failed':
      case 'call.failed':
      case 'inference.failed':
        return wait.reject(new StepError(wait.path, outcome.data.attempt, outcome.data.failure));
      case 'timer.fired':
      case 'event.emitted':
      case 'message.sent':
      case 'message.buried':
        return wait.resolve(undefined);
      case 'race.decided':
        return wait.resolve(outcome.data.winner);
      case 'tool.judged':
        return wait.resolve({ ...outcome.data, seq: outcome.seq, at: outcome.at } satisfies Judged);
      case 'child.started':
        return wait.resolve(outcome.data.run);
      case 'context.put': {
        const { name, key, version } = outcome.data;
        const value = wait.own ?? outcome.payload;
        if (value !== undefined) this.#bundles.set(contextId(name, key), { version, at: outcome.at, value });
        return this.#handValue(wait, outcome);
      }
      case 'context.used':
        return this.#handValue(wait, outcome);
      case 'child.ended': {
        const { failure: cause } = outcome.data;
        return cause === null ? this.#handValue(wait, outcome) : wait.reject(new StepError(wait.path, 1, cause));
      }
      case 'wait.satisfied':
      case 'wait.expired':
        return this.#handReceived(wait, outcome);
      default:
        assertNever(outcome);
    }
  }

  #handInference(wait: Wait, outcome: Extract<OutcomeEntry, { readonly type: 'inference.completed' }>): void {
    let answer: unknown;
    try {
      answer = wait.own === null ? recordedValue(wait, outcome) : decodeValue(wait.own);
    } catch (error) {
      return wait.reject(error);
    }
    const { grant = null, hops = [] } = this.#records.get(wait.path)?.inference ?? {};
    const { attempt } = outcome.data;
    wait.resolve({ answer, attempt, outcome: outcome.data, grant, hops } satisfies InferenceTold);
  }

  #handValue(wait: Wait, outcome: OutcomeEntry): void {
    let value: unknown;
    try {
      value = wait.own === null ? recordedValue(wait, outcome) : decodeValue(wait.own);
    } catch (error) {
      return wait.reject(error);
    }
    wait.resolve(value);
  }

  #handReceived(wait: Wait, outcome: ReceivedEntry): void {
    try {
      const text = wait.fetched ?? inlineOf(this.#payloadOf(outcome));
      const value = text === null ? undefined : decodeValue(text);
      wait.resolve(wait.work.receive?.(this.#receivedOutcome(outcome), value));
    } catch (error) {
      wait.reject(error);
    }
  }

  #receivedOutcome(outcome: ReceivedEntry): ReceivedOutcome {
    const { at } = outcome;
    if (outcome.type === 'wait.expired') return { tag: 'expired', at };
    const { by } = outcome.data;
    if (by.kind === 'approval') return { tag: 'decided', outcome: by.outcome, by: by.by, at };
    if (by.kind === 'event') {
      const { id, at: publishedAt, schema } = by.event;
      return { tag: 'received', id, at: publishedAt, ...(schema === undefined ? {} : { written: schema }) };
    }
    const signal = this.#signalOf(by.seq);
    const { id, mail = null, failure: cause = null } = signal.data;
    return { tag: 'received', id, at: signal.at, signal: { seq: by.seq, mail, failure: cause } };
  }

  /** The payload of a signal lies with the signal, and that of a bundle with what put it there. */
  #payloadOf(outcome: OutcomeEntry): Payload | undefined {
    if (outcome.type === 'context.used') return this.bundleOf(outcome.data.name, outcome.data.key)?.value;
    if (outcome.type !== 'wait.satisfied' || outcome.data.by.kind !== 'signal') return outcome.payload;
    return this.#signalOf(outcome.data.by.seq).payload;
  }

  #signalOf(seq: number): SignalEntry {
    const signal = this.#signals.get(seq);
    if (signal === undefined) throw new Error(`Invariant broken: signal ${seq} was not delivered`);
    return signal;
  }

  #handCancel(notice: CancelNotice): void {
    this.#now = notice.at;
    this.#handedSeq = notice.seq;
    this.#cancelSeq = notice.seq;
    const cancelled = new Cancelled('run_cancelled', notice.reason);
    this.#cancelled = cancelled;
    this.#root.giveUp(cancelled);
    // The server has closed what was open outside, in shields too; waiting on for that would be waiting for ever.
    for (const scope of this.#root.tree()) {
      for (const wait of [...scope.waits]) {
        if (this.#calledOff(this.#records.get(wait.path)) !== null) wait.giveUp(cancelled);
      }
    }
  }

  /** The cancellation, where it has closed what the outside owed under this record. */
  #calledOff(record: PathRecord | undefined): Cancelled | null {
    if (record === undefined || record.outcome !== null || record.waitingSince === 0) return null;
    return record.waitingSince < this.#cancelSeq ? this.#cancelled : null;
  }

  // ---------------------------------------------------------------- what is recorded

  #note(entry: JournalEntry): void {
    if (entry.type === 'inference.requested' && entry.data.prompt !== undefined) {
      const { name, version } = entry.data.prompt;
      if (!this.#prompts.has(name)) this.#prompts.set(name, version);
    }
    if (entry.type === 'run.cancel_requested') {
      this.#due.push({ seq: entry.seq, at: entry.at, reason: entry.data.reason });
      this.#wake();
      return;
    }
    if (entry.type === 'context.inherited') {
      const { name, key, version, fetchedAt } = entry.data;
      if (entry.payload !== undefined)
        this.#bundles.set(contextId(name, key), { version, at: fetchedAt, value: entry.payload });
      return;
    }
    if (entry.type === 'input.edited') {
      const { path } = entry.data;
      if (path !== null && entry.payload !== undefined) this.#edits.set(path, entry.payload);
      return;
    }
    if (entry.type === 'signal.received') {
      this.#signals.set(entry.seq, entry);
      if (entry.data.mail !== undefined) this.#unread += 1;
      return;
    }
    if (entry.type === 'wait.satisfied' && entry.data.by.kind === 'signal') {
      if (this.#signals.get(entry.data.by.seq)?.data.mail !== undefined) this.#unread -= 1;
    }
    const { path } = entry.data;
    if (entry.type === 'child.started') this.#noteStart(startOf(path), startRecord(entry));
    const record = noteEntry(this.#records.get(path), entry);
    this.#records.set(path, record);
    const wait = this.#claimed.get(path) ?? null;
    if (wait === null) return;
    if (record.outcome === entry) this.#recorded(wait, record.outcome);
    else if (record.waitingSince > 0) this.#leaveToOutside(wait);
    else if (mayBegin.has(entry.type)) this.#queue(wait);
    else if (isIntent(entry)) wait.work.begun?.(wait, entry.data.attempt);
  }

  #noteStart(path: string, record: PathRecord): void {
    this.#records.set(path, record);
    const wait = this.#claimed.get(path) ?? null;
    if (wait !== null && record.outcome !== null) this.#recorded(wait, record.outcome);
  }

  /** Where a new wait stands, by what the history says about its path. */
  #proceed(wait: Wait, record: PathRecord | undefined): void {
    if (record === undefined) this.#queue(wait);
    else if (record.outcome !== null) this.#recorded(wait, record.outcome);
    else if (record.waitingSince > 0) this.#leaveToOutside(wait);
    else this.#queue(wait);
  }

  #recorded(wait: Wait, outcome: OutcomeEntry): void {
    if (wait.phase === 'recorded') return;
    wait.phase = 'recorded';
    wait.outcome = outcome;
    wait.work.recorded?.(outcome);
    this.#due.push(wait);
    const payload = this.#payloadOf(outcome);
    if (outcome.type === 'context.used' && payload !== undefined && !isBlobPayload(payload)) wait.own = payload;
    if (wait.own === null && payload !== undefined && isBlobPayload(payload)) {
      wait.loading = true;
      this.host.load(payload).then(
        (text) => {
          wait.fetched = text;
          wait.loading = false;
          this.#wake();
        },
        (error: unknown) => this.#giveBack(failureOf(error)),
      );
    }
    this.#wake();
  }

  #leaveToOutside(wait: Wait): void {
    wait.phase = 'waiting';
    this.#watchForParking();
  }

  readonly #onWaitEnd = (wait: Wait): void => {
    this.#open.delete(wait);
    this.#claimed.set(wait.path, null);
    this.host.onlooker?.over?.(unitPath(wait.path, wait.kind));
  };

  // ---------------------------------------------------------------- new work

  #queue(wait: Wait): void {
    wait.phase = 'queued';
    this.#launches.push(wait);
    if (this.#catchingUp) return this.#wake();
    if (this.#launchScheduled) return;
    this.#launchScheduled = true;
    Promise.resolve().then(() => {
      this.#launchScheduled = false;
      this.#launchAll();
    }, ignore);
  }

  #launchAll(): void {
    if (this.#catchingUp || this.#phase !== 'running' || this.host.onlooker?.looksOnly === true) return;
    const launches = this.#launches;
    this.#launches = [];
    for (const wait of launches) {
      if (wait.phase !== 'queued') continue;
      wait.phase = wait.work.hosts === true ? 'hosting' : 'working';
      wait.work.launch(wait);
    }
  }

  /** Begins what has recorded results inside; true = there was any. */
  #launchHosts(): boolean {
    const hosts = this.#launches.filter((wait) => wait.phase === 'queued' && wait.work.hosts === true);
    if (hosts.length === 0) return false;
    this.#launches = this.#launches.filter((wait) => !hosts.includes(wait));
    for (const wait of hosts) {
      wait.phase = 'hosting';
      wait.work.launch(wait);
    }
    return true;
  }

  #flush(): void {
    if (this.#phase === 'over' || this.#phase === 'parking') return;
    while (this.#outbox.length > 0) this.#send(this.#outbox.splice(0, limits.submissionCommandsMax));
  }

  #send(commands: readonly BodyCommand[]): number {
    const i = this.host.submit(commands);
    this.#pending.add(i);
    if (this.#onAnswer.size > 0) this.#awaitAnswers(i, commands);
    if (commands.some((command) => command.op === 'emit')) this.#publishing.add(i);
    return i;
  }

  #awaitAnswers(i: number, commands: readonly BodyCommand[]): void {
    const resolves = commands.flatMap((command) => this.#onAnswer.get(command) ?? []);
    for (const command of commands) this.#onAnswer.delete(command);
    if (resolves.length > 0) this.#answers.set(i, resolves);
  }

  /** Hands a payload on as it is, or by reference once it is in the blob store. */
  #withStored(payload: InlinePayload, then: (stored: Payload) => void): void {
    if (!exceedsUtf8(payload.text, limits.inlinePayloadBytesMax)) return then(payload);
    this.#storing += 1;
    this.host.store(payload).then(
      (stored) => {
        this.#storing -= 1;
        then(stored);
        this.#submitFinal();
      },
      (error: unknown) => {
        this.#storing -= 1;
        this.#giveBack(failureOf(error));
      },
    );
  }

  // ---------------------------------------------------------------- parking

  #move(): void {
    this.#movedAtMs = this.host.ports.clock.monotonicMs();
  }

  #watchForParking(pauseMs = 0): void {
    if (this.#cancelParkTimer !== null || this.#isDone()) return;
    const { parkAfterMs, ports } = this.host;
    const idleMs = ports.clock.monotonicMs() - this.#movedAtMs;
    this.#cancelParkTimer = ports.timers.after(Math.max(pauseMs, parkAfterMs - idleMs), () => {
      this.#cancelParkTimer = null;
      this.#considerParking();
    });
  }

  #considerParking(): void {
    if (this.#phase !== 'running') return;
    const { parkAfterMs, ports } = this.host;
    const idleMs = ports.clock.monotonicMs() - this.#movedAtMs;
    if (idleMs < parkAfterMs) return this.#watchForParking();
    // Whatever keeps the body busy ends in an event or a launch, and the next wait on the outside looks again.
    if (!this.#waitsOnOutsideOnly()) {
      this.#move();
      // Not at once, however eager to park: what is still at work here takes a while.
      if ([...this.#open].some((wait) => wait.phase === 'waiting')) this.#watchForParking(busyLookMs);
      return;
    }
    const rested = [...this.#open].filter(({ phase, work }) => phase === 'hosting' && work.atRest?.() === true);
    if (rested.length > 0) return this.#watchForParking(busyLookMs);
    this.#phase = 'parking';
    this.#parkSubmission = this.#send([{ op: 'park', seen: this.#seen }]);
  }

  #waitsOnOutsideOnly(): boolean {
    if (this.#due.peek() !== undefined || this.#hasUnsent()) return false;
    if (this.#pending.size > 0 || this.#running > 0 || this.#storing > 0) return false;
    let waiting = false;
    for (const { phase } of this.#open) {
      // Code that waits for nothing of its own is at work.
      if (phase === 'hosting') continue;
      if (phase !== 'waiting') return false;
      waiting = true;
    }
    return waiting;
  }

  #hasUnsent(): boolean {
    return this.#launches.length > 0 || this.#outbox.length > 0;
  }

  #settlePark(result: SubmissionResult): void {
    this.#parkSubmission = 0;
    if (result.ok) return this.#over('parked');
    this.#phase = 'running';
    // Stale: something has come in between. On with the body, and with what it asked for meanwhile.
    if (result.code !== 'stale') this.#refused(result.code, result.message);
    this.#launchAll();
    this.#flush();
    this.#wake();
    this.#watchForParking();
    this.#afterPark?.();
  }

  // ---------------------------------------------------------------- beginning and end

  async #load(): Promise<void> {
    const { input } = this.#input;
    const text = isBlobPayload(input) ? await this.#loadInput(input) : input;
    if (text === null) return;
    this.#checkedInput = { value: await checkInput(this.#workflow, await this.#raised(decodeValue(text))) };
    this.#wake();
  }

  /** The data of the event that has started the run, as the newest version of its topic has it. */
  async #raised(value: unknown): Promise<unknown> {
    const { event } = this.#input;
    if (event === undefined) return value;
    const { on } = this.#workflow;
    const topic = on?.name === event.topic ? on : (this.host.topic?.(event.topic) ?? null);
    return topic === null ? value : upcast(topic, event.schema, value);
  }

  /** Null where it could not be fetched; then the activation has been given back. */
  async #loadInput(input: BlobPayload): Promise<InlinePayload | null> {
    try {
      return await this.host.load(input);
    } catch (error) {
      this.#giveBack(failureOf(error));
      return null;
    }
  }

  #start(input: unknown): void {
    this.#phase = 'running';
    const ctx = new BodyCtx(this, this.#root);
    // The async function turns a body that throws before its first await into a rejection.
    const body = async (): Promise<unknown> => this.#workflow.body(ctx, input);
    body()
      .then(
        (output) => this.#succeed(output),
        (error: unknown) => this.#fail(error),
      )
      // A thrown proxy may throw when it is looked at; that must not end the process that other bodies share.
      .catch((error: unknown) => this.#endWith(failed(failureOf(error), null)));
    if (this.#catchingUp || this.#due.peek() !== undefined) this.#wake();
  }

  #succeed(output: unknown): void {
    if (this.#isDone()) return;
    let payload: InlinePayload;
    try {
      payload = this.encode(output);
    } catch (error) {
      return this.#fail(error);
    }
    this.#reportUnasked();
    this.#close(() => this.#withStored(payload, (stored) => this.#end({ op: 'succeed', output: stored })));
  }

  #fail(error: unknown): void {
    if (this.#isDone()) return;
    if (this.#cancelled !== null) return this.#endCancelled(error);
    if (isTerminal(error)) return this.#refuse(error);
    if (isTransient(error)) return this.#giveBack(failureOf(error));
    // A child that only mirrors has ended before an effect: so does this run, which has started it for that.
    if (isStepError(error) && isWithheld(error.failure)) return this.#refuse(effectWithheld(error.path));
    if (isStepError(error)) return this.#endWith(failed(error.failure, error.path));
    this.#endWith(failed(failureOf(error), null));
  }

  /** Whatever a body throws on its way out of a cancelled run, the run was cancelled; a clean-up that failed is told. */
  #endCancelled(error: unknown): void {
    if (!isCancelled(error)) {
      const { code, message } = failureOf(error);
      this.log(this.#root, 'warn', 'The body threw while it was being cancelled.', { code, error: message });
    }
    this.#endWith({ op: 'endCancelled' });
  }

  #refuse(error: Terminal): void {
    const code = String(error.code).slice(0, limits.nameLengthMax);
    if (error.data === undefined) return this.#endWith({ op: 'refuse', code, data: null });
    let payload: InlinePayload;
    try {
      payload = this.encode(error.data);
    } catch (fault) {
      return this.#endWith(failed(failureOf(fault), null));
    }
    this.#close(() => this.#withStored(payload, (data) => this.#end({ op: 'refuse', code, data })));
  }

  /** The run cannot go on here, through no fault of the body. */
  #giveBack(cause: Failure): void {
    this.#endWith({ op: 'abandon', failure: cause });
  }

  #endWith(command: BodyCommand): void {
    // What goes wrong on the way to an end takes its place.
    if (this.#phase === 'closing') return this.#end(command);
    this.#close(() => this.#end(command));
  }

  /** Takes the body out of action and goes on with `then`, which ends the run. The first end wins. */
  #close(then: () => void): void {
    if (this.#isDone()) return;
    if (this.#phase === 'parking') {
      // Should the park be granted, the next activation comes to the same end.
      this.#afterPark ??= () => this.#close(then);
      return;
    }
    if (this.#phase === 'running') {
      for (const stream of this.#streams) stream.flush();
      this.#launchEmits();
    }
    this.#phase = 'closing';
    this.#cancelParkTimer?.();
    this.#root.stop();
    then();
  }

  /** Events that the body published and did not wait for are published; other work that nobody waits for is not begun. */
  #launchEmits(): void {
    this.#catchingUp = false;
    this.#launches = this.#launches.filter((wait) => wait.kind === 'emit');
    this.#launchAll();
  }

  #end(command: BodyCommand): void {
    this.#final = command;
    this.#submitFinal();
  }

  /** Sends the end together with what is left to send, when everything before it has gone. */
  #submitFinal(): void {
    if (this.#phase !== 'closing' || this.#final === null) return;
    const { op } = this.#final;
    const mayHurry = op === 'abandon' || op === 'fail';
    // Nor may it overtake chunks that are under way: they would be left out.
    if (!mayHurry && (this.#storing > 0 || this.#publishing.size > 0 || this.#answers.size > 0)) return;
    // An end that follows from a refusal must not be refused with what was.
    const before = mayHurry ? [] : this.#outbox;
    this.#outbox = [];
    while (before.length >= limits.submissionCommandsMax) {
      this.#send(before.splice(0, limits.submissionCommandsMax - 1));
    }
    this.#phase = 'ending';
    this.#finalSubmission = this.#send([...before, this.#final]);
  }

  /** A submission was refused for good: either the lease is gone, or the run cannot go on as the body wants it to. */
  #refused(code: string, message: string): void {
    if (isLost(code)) return this.#over('aborted');
    const cause = refusalOf(code, message);
    if (this.#phase === 'ending') {
      // The worker gives up in its own words what may not even be said to have failed.
      if (this.#final?.op === 'fail' || this.#final?.op === 'abandon') return this.#over('aborted');
      this.#phase = 'closing';
    }
    if (cause.retryable) this.#giveBack(cause);
    else this.#endWith(failed(cause, null));
  }

  #over(end: ActivationEnd): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#cancelParkTimer?.();
    this.#root.stop();
    this.#launches = [];
    this.#outbox = [];
    if (this.#running === 0) return this.#resolveEnded(end);
    // User code that ignores its signal must not hold the slot for ever.
    const cancelGrace = this.host.ports.timers.after(limits.abortGraceMs, () => this.#resolveEnded(end));
    this.#onRest = () => {
      cancelGrace();
      this.#resolveEnded(end);
    };
  }

  #reportUnasked(): void {
    if (this.#cancelled !== null) return;
    const unasked: string[] = [];
    for (const [path, { kind }] of this.#records)
      if (kind !== 'start' && !this.#claimed.has(path) && !this.#isInsideStep(path)) unasked.push(path);
    if (unasked.length === 0) return;
    const fields = { count: unasked.length, paths: unasked.slice(0, unaskedPathsMax) };
    this.log(this.#root, 'warn', 'Recorded results that the code no longer asks for were left aside.', fields);
  }

  /** What an agent did for a message that it has handled, or a person said of an ambiguous inference, is not done again. */
  #isInsideStep(path: string): boolean {
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const kind = this.#records.get(path.slice(0, slash))?.kind;
      if (kind === 'step' || kind === 'inference') return true;
    }
    return false;
  }

  #isDone(): boolean {
    return this.#phase === 'closing' || this.#phase === 'ending' || this.#phase === 'over';
  }

  #isReplaying(): boolean {
    return this.#catchingUp && this.#handedSeq < this.#replayUpTo;
  }
}

/** The pause or the waiting is over: the work goes on here. */
const mayBegin: ReadonlySet<JournalEntry['type']> = new Set(['step.due', 'inference.due', 'inference.admitted']);

/** A context bundle as the body knows it. */
export interface Bundle {
  readonly version: string | null;
  readonly at: number;
  readonly value: Payload;
}

/** Refusals of `core/run/decide`, by the codes of the catalogue. */
const refusalCodes: Readonly<Record<string, ErrorCode>> = {
  history_full: 'HISTORY_FULL',
  invalid_path: 'PATH_INVALID',
  path_in_use: 'PATH_IN_USE',
  too_deep: 'CHILD_TOO_DEEP',
  unknown_capability: 'CAPABILITY_UNKNOWN',
  unknown_agent: 'AGENT_UNKNOWN',
  unknown_model: 'MODEL_UNKNOWN',
  unknown_workflow: 'WORKFLOW_UNKNOWN',
};

function isLost(code: string): boolean {
  return code === 'LEASE_LOST' || code === 'SESSION_GONE';
}

/** Why a submission was refused. What is missing or busy now may be there for the next activation. */
function refusalOf(refusal: string, message: string): Failure {
  const code = Object.hasOwn(refusalCodes, refusal) ? (refusalCodes[refusal] ?? refusal) : refusal;
  const kind = Object.hasOwn(errorCatalogue, code) ? errorCatalogue[code as ErrorCode].kind : 'internal';
  const retryable = kind === 'transient' || kind === 'notFound';
  return failure({ class: retryable ? 'dependency' : 'internal', code, message, retryable });
}

/** An input that cannot be encoded is the concern of the work that needs it, not of who looks on. */
function askedUnit(path: string, kind: UnitKind, work: Work, apart: boolean): AskedUnit {
  const where = apart ? { apart: true } : {};
  const unit = { path: unitPath(path, kind), kind: kind === 'start' ? 'child' : kind, ...where } as const;
  try {
    return { ...unit, ...work.detail?.() };
  } catch {
    return unit;
  }
}

/** Who starts a child and does not wait for it has asked for the child all the same. */
function unitPath(path: string, kind: UnitKind): string {
  return kind === 'start' ? childOf(path) : path;
}

function failed(cause: Failure, path: string | null): BodyCommand {
  return { op: 'fail', failure: cause, path };
}

/** The value of a committed result, out of the entry or of the blob that it refers to. */
function recordedValue(wait: Wait, outcome: OutcomeEntry): unknown {
  const text = wait.fetched ?? inlineOf(outcome.payload);
  if (text === null) throw new Error(`Invariant broken: the result of "${wait.path}" was not delivered`);
  const value = decodeValue(text);
  return outcome.type === 'step.completed' && outcome.data.withInput ? secondOf(value) : value;
}

function inlineOf(payload: Payload | undefined): InlinePayload | null {
  return payload === undefined || isBlobPayload(payload) ? null : payload;
}

function secondOf(pair: unknown): unknown {
  if (Array.isArray(pair) && pair.length === 2) return pair[1];
  throw new SpineError('PAYLOAD_UNREADABLE', { reason: 'it is not a pair of input and result' });
}

function ignore(): void {}
