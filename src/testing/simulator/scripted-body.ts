/**
 * A body that interprets a program against the worker protocol alone, without the workflow runtime: the second, faster
 * kind of client, and an independent reading of the protocol. It knows what has happened only from its journal and from
 * what is delivered after it; it acts, waits, parks and ends as a real body does.
 */
import { payloadOfJson } from '../../core/codec.js';
import { failure, type Failure } from '../../core/failure.js';
import type { InlinePayload } from '../../core/payload.js';
import type { BodyCommand } from '../../core/run/commands.js';
import type { JournalEntry } from '../../core/run/journal.js';
import type { RetryPolicy } from '../../core/retry.js';
import type { ActivationAssignment } from '../../protocol/worker.js';
import type { WaitOn } from '../../core/run/waits.js';
import { programModel, sharedQuestion } from './program.js';
import type { CallNode, ChildNode, InferNode, Program, ProgramNode, SagaNode, StepNode, WaitNode } from './program.js';

/** What a body needs of its worker. */
export interface BodyHost {
  /** `answered` is called when there is an answer, whatever it is. Never called after the body is gone. */
  submit(commands: readonly BodyCommand[], answered?: () => void): void;
  /**
   * Runs the effect, and returns a number of its own; `done` is called when it has ended, with null for success. Never
   * called after the body is gone.
   */
  execute(node: StepNode, path: string, attempt: number, done: (failed: Failure | null) => void): number;
  /** Calls the provider of a model; `done` as for `execute`. */
  infer(node: InferNode, path: string, key: string, done: (failed: Failure | null) => void): void;
  /** sha-256, in hex. */
  sha256(text: string): string;
  /** Asks for `park` to be called a while from now. Returns what cancels it. */
  parkLater(park: () => void): () => void;
}

/** A planted bug of bodies; absent in an honest one. */
export interface BodyFlaw {
  /** Runs a step again although its result is recorded. */
  readonly rerunsCompleted?: boolean;
  /** Runs an external step again that another activation had begun. */
  readonly repeatsExternal?: boolean;
  /** Parks over events that it has not seen. */
  readonly parksBlindly?: boolean;
  /** Calls the provider before the intent is recorded; again, although its answer is recorded; or again, though nobody may. */
  readonly infers?: 'before the intent' | 'in a replay' | 'whatever the policy';
  /** Undoes what a saga has done in the order in which it was done, or twice, or also what it has not done. */
  readonly undoes?: 'forwards' | 'twice' | 'everything';
}

type Progress = 'done' | 'failed' | 'pending';

/** The failure that programs fail with. */
export const programFailure: Failure = failure({
  class: 'dependency',
  code: 'PROVIDER_DOWN',
  message: 'The provider said no.',
  retryable: true,
});

/** The retry policy of an effect: quick, so that a simulated minute sees many of them. */
export function retryOf(attempts: number): RetryPolicy {
  return { attempts, minMs: 50, maxMs: 1_000, factor: 2 };
}

/** One activation of a program. */
export class ScriptedBody {
  readonly assignment: ActivationAssignment;
  /** `seq` of the last event seen. */
  seen: number;
  ended = false;
  readonly #host: BodyHost;
  readonly #program: Program;
  readonly #entries = new Map<string, JournalEntry>();
  readonly #submitted = new Set<string>();
  readonly #running = new Set<string>();
  readonly #rerun = new Set<string>();
  /** Inferences and external steps whose intent this body has asked for: it may go on once it is there. */
  readonly #asked = new Set<string>();
  #progress: number;
  #cancelled = false;
  #cancelPark: (() => void) | null = null;
  #outbox: BodyCommand[] = [];
  #failedPath: string | null = null;
  /** Children that were told to end. */
  readonly #stopped = new Set<string>();
  /** Effects of sagas: what became of them matters, even when the run is cancelled. */
  readonly #ofSagas: ReadonlySet<string>;
  readonly #flaw: BodyFlaw;

  constructor(assignment: ActivationAssignment, program: Program, host: BodyHost, flaw: BodyFlaw) {
    this.assignment = assignment;
    this.#program = program;
    this.#ofSagas = new Set(
      sagasOf(program).flatMap(({ items }) => items.flatMap(({ act, undo }) => [act.name, undo.name])),
    );
    this.#host = host;
    this.#flaw = flaw;
    this.seen = assignment.journal.head;
    this.#progress = assignment.journal.progress;
    for (const entry of assignment.journal.entries) this.#take(entry);
  }

  deliver(events: readonly JournalEntry[]): void {
    for (const entry of events) {
      if (entry.seq <= this.seen) continue;
      this.seen = entry.seq;
      this.#take(entry);
    }
    this.advance();
  }

  /** Parking came too late: something has happened, or is about to be told. */
  unparked(): void {
    this.#submitted.delete(':park');
    this.advance();
  }

  /** Does everything that can be done now. */
  advance(): void {
    if (this.ended || this.#submitted.has(':end')) return;
    this.#cancelPark?.();
    this.#cancelPark = null;
    if (!this.#cancelled) this.#walkProgram();
    else if (this.#cleanUp() !== 'pending') this.#once(':end', { op: 'endCancelled' });
    const commands = this.#outbox;
    this.#outbox = [];
    if (commands.length > 0) this.#host.submit(commands);
    else if (this.#waitsOutside()) this.#cancelPark = this.#host.parkLater(() => this.#park());
  }

  /** Nothing more comes of it. */
  stop(): void {
    this.ended = true;
    this.#cancelPark?.();
  }

  #park(): void {
    if (this.ended || !this.#waitsOutside()) return;
    this.#submitted.add(':park');
    const seen = this.#flaw.parksBlindly === true ? Number.MAX_SAFE_INTEGER : this.seen;
    this.#host.submit([{ op: 'park', seen }]);
  }

  #waitsOutside(): boolean {
    return !this.ended && this.#running.size === 0 && this.#submitted.size === 0;
  }

  #take(entry: JournalEntry): void {
    if (entry.type === 'run.cancel_requested') {
      this.#cancelled = true;
      return;
    }
    // Scripted bodies use no contexts.
    if (entry.type === 'context.inherited') return;
    if (entry.type === 'signal.received' || entry.type === 'input.edited') return;
    const { path } = entry.data;
    // It gives nothing up that it has lost; what it asked for stays as it is.
    if (entry.type === 'wait.cancelled') return;
    this.#submitted.delete(path);
    this.#entries.set(path, entry);
  }

  #once(key: string, command: BodyCommand): void {
    if (this.#submitted.has(key)) return;
    this.#submitted.add(key);
    this.#outbox.push(command);
  }

  #walkProgram(): void {
    let progress = 0;
    for (const node of this.#program.nodes) {
      if (node.op === 'progress') {
        progress += 1;
        if (progress <= this.#progress) continue;
        this.#progress = progress;
        this.#outbox.push({ op: 'progress', index: progress - 1, value: payloadOfJson(node.name) });
        continue;
      }
      const came = this.#walk(node);
      if (came === 'pending') return;
      if (came === 'failed' && this.#program.strict)
        return this.#once(':end', { op: 'fail', failure: programFailure, path: this.#failedPath });
    }
    const { next } = this.#program;
    if (this.#program.end === 'continue' && next !== undefined)
      return this.#once(':end', { op: 'continueAsNew', input: payloadOfJson(next) });
    if (this.#program.end === 'succeed')
      this.#once(':end', { op: 'succeed', output: payloadOfJson(this.#program.nodes.length) });
    else if (this.#program.end === 'refuse') this.#once(':end', { op: 'refuse', code: 'NOT_WANTED', data: null });
    else this.#once(':end', { op: 'fail', failure: programFailure, path: null });
  }

  #walk(node: Exclude<ProgramNode, { op: 'progress' }>): Progress {
    switch (node.op) {
      case 'step':
        return this.#step(node);
      case 'call':
        return this.#call(node);
      case 'sleep': {
        const entry = this.#entries.get(node.name);
        if (entry === undefined) this.#once(node.name, { op: 'sleep', path: node.name, ms: node.ms });
        return entry?.type === 'timer.fired' ? 'done' : 'pending';
      }
      case 'emit': {
        if (this.#entries.has(node.name)) return 'done';
        const event = { data: payloadOfJson({ n: node.n, program: watchProgram }) };
        this.#once(node.name, { op: 'emit', path: node.name, topic: node.topic, event });
        return 'pending';
      }
      case 'wait':
        return this.#wait(node);
      case 'infer':
        return this.#infer(node);
      case 'ai':
        throw new Error('Invariant broken: scripted bodies have no AI SDK');
      case 'map':
        return this.#map(node);
      case 'race':
        return this.#race(node);
      case 'child':
        return this.#child(node);
      case 'saga':
        return this.#saga(node);
    }
  }

  #child({ name, program, mode }: ChildNode): Progress {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      const options = { detached: mode === 'detach' };
      this.#once(name, { op: 'startChild', path: name, workflow: 'program', input: payloadOfJson(program), options });
      return 'pending';
    }
    if (mode === 'detach' || mode === 'leave') return 'done';
    if (entry.type === 'child.ended') {
      if (entry.data.failure !== null) this.#failedPath = name;
      return entry.data.failure === null ? 'done' : 'failed';
    }
    if (mode === 'stop') this.#stop(name);
    return 'pending';
  }

  #stop(path: string): void {
    if (this.#stopped.has(path)) return;
    this.#stopped.add(path);
    this.#outbox.push({ op: 'cancelChild', path, reason: 'no longer wanted' });
  }

  // ---------------------------------------------------------------- sagas

  #saga(saga: SagaNode): Progress {
    if (this.#entries.has(saga.name)) return this.#undo(saga);
    for (const { act } of saga.items) {
      const came = this.#walk(act);
      if (came === 'pending') return 'pending';
      if (came === 'failed') return this.#undo(saga);
    }
    return saga.fails ? this.#undo(saga) : 'done';
  }

  /** Before a cancelled body ends: whatever a saga has not brought to its end is undone. */
  #cleanUp(): 'done' | 'pending' {
    for (const saga of sagasOf(this.#program)) {
      const isBegun = saga.items.some(({ act }) => this.#entries.has(act.name) || this.#isUnderWay(act.name));
      if (!isBegun) continue;
      if (saga.items.some(({ act }) => act.op === 'step' && this.#isUnderWay(act.name))) return 'pending';
      const isWhole = !saga.fails && saga.items.every(({ act }) => this.#isDone(act.name));
      if (!this.#entries.has(saga.name) && isWhole) continue;
      if (this.#undo(saga) === 'pending') return 'pending';
    }
    return 'done';
  }

  #isUnderWay(path: string): boolean {
    return this.#running.has(path) || this.#submitted.has(path);
  }

  /** What the run has begun and was cancelled in is not tried again; what cleans up after it is. */
  #isGivenUp(path: string): boolean {
    return this.#cancelled && !path.includes('/undo/');
  }

  #isDone(path: string, before = Number.POSITIVE_INFINITY): boolean {
    const entry = this.#entries.get(path);
    return (entry?.type === 'step.completed' || entry?.type === 'call.completed') && entry.seq < before;
  }

  /** First it is recorded that the saga has failed; then what it had done is undone, the last first. */
  #undo(saga: SagaNode): Progress {
    const { name, items } = saga;
    const decision = this.#entries.get(name);
    if (decision === undefined) {
      this.#once(name, { op: 'decideRace', path: name, winner: 'undo' });
      return 'pending';
    }
    const { undoes } = this.#flaw;
    // A call that was given up may come to its end after that, and what would have followed it was never begun.
    const reached = items.findIndex(({ act }) => !this.#isDone(act.name, decision.seq));
    const isSaid = (i: number): boolean =>
      undoes === 'everything' || reached < 0 || i < reached || (i === reached && items[i]?.early === true);
    const undos = items.filter((_, i) => isSaid(i)).map(({ undo }) => undo);
    for (const undo of undoes === 'forwards' ? undos : undos.toReversed()) {
      if (this.#step(undo) === 'pending') return 'pending';
      if (undoes === 'twice' && !this.#rerun.has(undo.name)) {
        this.#rerun.add(undo.name);
        this.#execute(undo, 1);
        return 'pending';
      }
    }
    return 'failed';
  }

  #map(node: Extract<ProgramNode, { op: 'map' }>): Progress {
    let pending = 0;
    let failed = false;
    for (const item of node.items) {
      if (pending >= node.concurrency) return 'pending';
      const came = this.#walk(item);
      if (came === 'pending') pending += 1;
      if (came === 'failed') failed = true;
    }
    return pending > 0 ? 'pending' : failed && !node.settle ? 'failed' : 'done';
  }

  #race(node: Extract<ProgramNode, { op: 'race' }>): Progress {
    if (this.#entries.has(node.name)) return 'done';
    if (this.#submitted.has(node.name)) return 'pending';
    for (const branch of node.branches) {
      if (this.#walk(branch) === 'pending') continue;
      this.#once(node.name, { op: 'decideRace', path: node.name, winner: branch.name });
      // The waits that lost are given up: what has come for them since goes back.
      for (const other of node.branches)
        if (other !== branch && other.op === 'wait' && this.#walk(other) === 'pending')
          this.#outbox.push({ op: 'cancelWait', path: other.name });
      for (const other of node.branches)
        if (other !== branch && other.op === 'child' && this.#walk(other) === 'pending') this.#stop(other.name);
      return 'pending';
    }
    return 'pending';
  }

  #wait(node: WaitNode): Progress {
    const path = node.name;
    const entry = this.#entries.get(path);
    const on: WaitOn =
      node.signal === null
        ? { kind: 'event', topic: 'noted', match: { n: String(node.n) } }
        : { kind: 'signal', name: node.signal };
    if (entry === undefined) this.#once(path, { op: 'wait', path, on, timeoutMs: node.ms, request: null });
    return entry?.type === 'wait.satisfied' || entry?.type === 'wait.expired' ? 'done' : 'pending';
  }

  #call(node: CallNode): Progress {
    const entry = this.#entries.get(node.name);
    if (entry === undefined) {
      const options = { retry: retryOf(node.attempts) };
      this.#once(node.name, {
        op: 'call',
        path: node.name,
        capability: node.capability,
        input: payloadOfJson(node),
        options,
      });
    }
    if (entry?.type === 'call.failed') this.#failedPath = node.name;
    return entry?.type === 'call.completed' ? 'done' : entry?.type === 'call.failed' ? 'failed' : 'pending';
  }

  // ---------------------------------------------------------------- inferences

  #infer(node: InferNode): Progress {
    const path = node.name;
    const entry = this.#entries.get(path);
    if (entry?.type === 'inference.completed') {
      if (this.#flaw.infers === 'in a replay' && !this.#rerun.has(path)) {
        this.#rerun.add(path);
        this.#host.infer(node, path, 'again', () => undefined);
      }
      return 'done';
    }
    if (entry?.type === 'inference.failed') {
      this.#failedPath = path;
      return 'failed';
    }
    if (this.#running.has(path) || this.#submitted.has(path)) return 'pending';
    switch (entry?.type) {
      case undefined:
        this.#askFor(node, 1);
        break;
      case 'inference.due':
        this.#askFor(node, entry.data.attempt);
        break;
      case 'inference.ambiguous':
        if (entry.data.policy !== 'dead-letter') this.#askFor(node, entry.data.attempt + 1);
        break;
      case 'inference.requested':
        if (entry.data.grant === null) break;
        if (this.#asked.has(path)) this.#callModel(node, entry.data.attempt, entry.data.grant.idempotencyKey);
        else this.#settle(node, entry.data.attempt);
        break;
      default:
    }
    return 'pending';
  }

  #askFor(node: InferNode, attempt: number): void {
    const { name: path, policy, streamed, shared } = node;
    const request = payloadOfJson(shared === undefined ? node : sharedQuestion(shared));
    const shown = streamed ? { shown: true as const } : {};
    const cache = shared === undefined ? {} : { cache: { freshMs: shared.ttlMs, keepMs: shared.ttlMs, ...shown } };
    this.#asked.add(path);
    this.#submitted.add(path);
    this.#outbox.push({
      op: 'infer',
      path,
      attempt,
      ask: {
        model: programModel,
        fingerprint: this.#host.sha256(request.text),
        estimate: { inputTokens: 3, outputTokens: 2 },
        policy: [policy],
        streamed,
        deadlineMs: null,
        ...cache,
      },
      request,
    });
    if (this.#flaw.infers === 'before the intent') this.#host.infer(node, path, 'early', () => undefined);
  }

  /** Another activation has begun it, and nobody knows what came of it. */
  #settle(node: InferNode, attempt: number): void {
    const { name: path } = node;
    const policy = this.#flaw.infers === 'whatever the policy' ? 'retry' : node.policy;
    this.#submitted.add(path);
    this.#outbox.push({ op: 'settleAmbiguity', path, attempt, policy });
    if (policy !== 'dead-letter') return this.#askFor(node, attempt + 1);
    const cause = failure({
      class: 'unknown',
      code: 'INFERENCE_AMBIGUOUS',
      message: 'Nobody knows.',
      retryable: false,
    });
    const nothing = { usage: null, costMicros: 0, retry: retryOf(1) };
    this.#outbox.push({ op: 'failInference', path, attempt, failure: cause, ...nothing });
  }

  #callModel(node: InferNode, attempt: number, key: string): void {
    const { name: path } = node;
    this.#asked.delete(path);
    this.#running.add(path);
    this.#host.infer(node, path, key, (failed) => {
      if (this.ended) return;
      this.#running.delete(path);
      if (this.#cancelled || this.#submitted.has(':end')) return this.advance();
      this.#submitted.add(path);
      const outcome = { usage: someTokens, costMicros: 5, finish: 'stop', durationMs: node.ms, firstPartMs: null };
      const note = { confidence: null, alternatives: [], rules: [] };
      // Of two calls no two answers are the same.
      const result = payloadOfJson({ content: [{ type: 'text', text: `${path} by ${key}, ${attempt}` }] });
      const retry = retryOf(node.attempts);
      this.#host.submit([
        failed === null
          ? { op: 'completeInference', path, attempt, outcome: { ...outcome, providerId: null }, result, note }
          : { op: 'failInference', path, attempt, failure: failed, usage: someTokens, costMicros: 5, retry },
      ]);
    });
  }

  #step(node: StepNode): Progress {
    const path = node.name;
    const entry = this.#entries.get(path);
    if (entry?.type === 'step.completed') {
      if (this.#flaw.rerunsCompleted === true && !this.#rerun.has(path)) {
        this.#rerun.add(path);
        this.#execute(node, 1);
      }
      return 'done';
    }
    if (entry?.type === 'step.failed') {
      this.#failedPath = path;
      return 'failed';
    }
    if (entry?.type === 'step.retrying' || this.#running.has(path) || this.#submitted.has(path)) return 'pending';
    const attempt = entry?.type === 'step.due' || entry?.type === 'step.started' ? entry.data.attempt : 1;
    if (!node.external) this.#execute(node, attempt);
    else if (entry?.type !== 'step.started') {
      this.#asked.add(path);
      this.#once(path, { op: 'beginStep', path, attempt, effect: 'external' });
    } else if (this.#asked.delete(path) || this.#flaw.repeatsExternal === true) this.#execute(node, attempt);
    else this.#giveUp(path, attempt);
    return 'pending';
  }

  /** Another activation has begun it, and nobody knows whether it has happened. */
  #giveUp(path: string, attempt: number): void {
    const cause = failure({ class: 'unknown', code: 'EFFECT_AMBIGUOUS', message: 'Nobody knows.', retryable: false });
    this.#once(path, { op: 'failStep', path, attempt, failure: cause, retry: retryOf(1) });
  }

  #execute(node: StepNode, attempt: number): void {
    const path = node.name;
    this.#running.add(path);
    // How many chunks go together depends on when they come, which no two attempts have in common.
    const first = node.chunks === 0 ? 0 : 1 + (this.seen % node.chunks);
    // An outcome that overtakes a chunk would leave it out.
    let isWritten = first === 0;
    let finish: (() => void) | null = null;
    const mark: number = this.#host.execute(node, path, attempt, (failed) => {
      if (this.ended) return;
      if (!isWritten) return void (finish = () => end(failed));
      end(failed);
    });
    const end = (failed: Failure | null): void => {
      this.#running.delete(path);
      const isWanted = !this.#cancelled || this.#ofSagas.has(path);
      if (!isWanted || this.#submitted.has(':end')) return this.advance();
      this.#submitted.add(path);
      const rest = chunksOf(path, attempt, mark, first, node.chunks);
      const command: BodyCommand =
        failed === null
          ? { op: 'completeStep', path, attempt, durationMs: node.ms, withInput: false, result: payloadOfJson(path) }
          : {
              op: 'failStep',
              path,
              attempt,
              failure: failed,
              retry: retryOf(this.#isGivenUp(path) ? 1 : node.attempts),
            };
      this.#host.submit([...rest, command]);
    };
    const begin = chunksOf(path, attempt, mark, 0, first);
    if (begin.length === 0) return;
    this.#host.submit(begin, () => {
      isWritten = true;
      if (!this.ended) finish?.();
    });
  }
}

const someTokens = { inputTokens: 3, cachedInputTokens: 0, outputTokens: 2 };

/** The command that adds the chunks from `from` to before `to`, if there are any. */
function chunksOf(path: string, attempt: number, mark: number, from: number, to: number): BodyCommand[] {
  if (to <= from) return [];
  return [{ op: 'append', path, attempt, from, count: to - from, chunks: chunkList(mark, from, to) }];
}

/** Each chunk names the execution that has written it, and its number in that. */
export function chunkList(mark: number, from: number, to: number): InlinePayload {
  return payloadOfJson(Array.from({ length: to - from }, (_, i) => [mark, from + i]));
}

function sagasOf({ nodes }: Program): SagaNode[] {
  return nodes.filter((node) => node.op === 'saga');
}

/** What runs started by an event do: one step. */
export const watchProgram: Program = {
  nodes: [{ op: 'step', name: 'look', ms: 20, fails: 0, kills: 0, attempts: 3, chunks: 0, external: false }],
  end: 'succeed',
  strict: true,
};
