/**
 * A wait: one thing that a body asked for and has not got yet. It holds the promise that the body awaits, and knows how
 * far the thing has come outside of the body.
 */
import type { InlinePayload } from '../../core/payload.js';
import type { Failure } from '../../core/failure.js';
import type { Mail } from '../../core/run/mail.js';
import type { Cancelled } from '../cancelled.js';
import type { UnitDetail } from './asked-unit.js';
import type { OutcomeEntry, UnitKind } from './path-record.js';
import type { Scope, ScopedWait } from './scope.js';

/**
 * `queued`: not begun; `hosting`: user code runs that waits for things of its own; `working`: user code runs or a commit is under way; `waiting`: the outside owes the outcome and
 * will wake the run; `recorded`: the outcome is committed and waits its turn; `ended`: the body was told, or was given up.
 */
export type WaitPhase = 'queued' | 'hosting' | 'working' | 'waiting' | 'recorded' | 'ended';

/** What begins the work behind a wait, and hears of its fate. */
export interface Work {
  /** What it does asks for things of its own: it begins as soon as what came before it was replayed. */
  readonly hosts?: boolean;
  /** Begins the work, or the next attempt of it. */
  launch(wait: Wait): void;
  /** The intent of an attempt is committed. */
  begun?(wait: Wait, attempt: number): void;
  /** What it came to is recorded; the body has not been told yet. Also of what an earlier activation did. */
  recorded?(outcome: OutcomeEntry): void;
  /** The result is no longer wanted. */
  abort?(reason: unknown): void;
  /** The result should come soon, good or bad: an effect that is under way is asked to end. */
  hasten?(reason: unknown): void;
  /**
   * All that the body waits for is owed by the outside, so what it hosts has asked for all that it can ask for now. True where
   * something was given up for that.
   */
  atRest?(): boolean;
  /** What the body gets, where that is more than the recorded value. What it throws, the wait rejects with. */
  receive?(outcome: ReceivedOutcome, value: unknown): unknown;
  /** Says what is asked for; called for onlookers only. */
  detail?(): UnitDetail;
}

/** How a wait for the outside came to its end. */
export type ReceivedOutcome =
  | {
      readonly tag: 'received';
      readonly id: string;
      readonly at: number;
      /** Id of the schema that an event was written under, where its topic has versions. */
      readonly written?: string;
      /** Of a signal: its place, what it is as a message, and why there is none where it stands for an answer. */
      readonly signal?: { readonly seq: number; readonly mail: Mail | null; readonly failure: Failure | null };
    }
  | { readonly tag: 'decided'; readonly outcome: 'approved' | 'rejected'; readonly by: string; readonly at: number }
  | { readonly tag: 'expired'; readonly at: number };

/** See the top of the module. */
export class Wait implements ScopedWait {
  readonly path: string;
  readonly kind: UnitKind;
  readonly scope: Scope;
  readonly work: Work;
  readonly promise: Promise<unknown>;
  phase: WaitPhase = 'queued';
  outcome: OutcomeEntry | null = null;
  /** The encoded result, where it came about here. Never paired with the input, unlike what is recorded. */
  own: InlinePayload | null = null;
  /** The recorded payload, where it had to be fetched from the blob store. */
  fetched: InlinePayload | null = null;
  /** The outcome's payload is on its way from the blob store. */
  loading = false;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onEnd: (wait: Wait) => void;

  constructor(path: string, kind: UnitKind, scope: Scope, work: Work, onEnd: (wait: Wait) => void) {
    this.path = path;
    this.kind = kind;
    this.scope = scope;
    this.work = work;
    this.#onEnd = onEnd;
    let resolve: (value: unknown) => void = ignore;
    let reject: (error: unknown) => void = ignore;
    this.promise = new Promise((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    this.#resolve = resolve;
    this.#reject = reject;
    // The body may look at the promise later or never; its rejection must not bring down the process meanwhile.
    this.promise.catch(ignore);
    scope.waits.add(this);
  }

  /** Place of the outcome in the history. Only of waits whose outcome is recorded. */
  get seq(): number {
    return this.outcome?.seq ?? 0;
  }

  resolve(value: unknown): void {
    if (this.#end()) this.#resolve(value);
  }

  reject(error: unknown): void {
    if (this.#end()) this.#reject(error);
  }

  giveUp(error: Cancelled): void {
    if (!this.#end()) return;
    this.work.abort?.(error);
    this.#reject(error);
  }

  giveUpUnlessUnderWay(error: Cancelled): void {
    // Recorded means that it was under way when the scope was given up the first time, and came to its end after that.
    const isUnderWay = this.kind === 'step' && (this.phase === 'working' || this.phase === 'recorded');
    if (isUnderWay) this.work.hasten?.(error);
    else this.giveUp(error);
  }

  stop(): void {
    if (this.#end()) this.work.abort?.(undefined);
  }

  #end(): boolean {
    if (this.phase === 'ended') return false;
    this.phase = 'ended';
    this.scope.waits.delete(this);
    this.#onEnd(this);
    return true;
  }
}

function ignore(): void {}
