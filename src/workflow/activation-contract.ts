/**
 * What an activation and the worker that runs it are to each other. The body's side of it is in `replay/`, which knows the
 * worker only from here.
 */
import type { BodyCommand } from '../core/run/commands.js';
import type { AbortReason, Journal, JournalEntry, SubmissionResult } from '../core/run/journal.js';
import type { BlobPayload, InlinePayload, Payload } from '../core/payload.js';
import type { Ports } from '../core/ports.js';
import type { RemedyPolicy } from '../core/remedies.js';
import type { ToolPolicy } from '../core/tools/policy.js';
import type { StepContext } from './ctx.js';
import type { MirroredInference } from './infer/mirrored-inference.js';
import type { LogRecord } from './log.js';
import type { Model } from './model.js';
import type { Topic } from './topic.js';
import type { AskedUnit } from './replay/asked-unit.js';

/** What an activation needs of the worker that runs it. */
export interface ActivationHost {
  readonly ports: Ports;
  /** How long a body that waits only for the outside stays in memory. 0 parks at once. */
  readonly parkAfterMs: number;
  /** Bound of an encoded value. Default `limits.valueBytesMax`. */
  readonly valueBytesMax?: number;
  /** Sends commands to be committed together; returns the number under which `settle` will answer. Must not throw. */
  submit(commands: readonly BodyCommand[]): number;
  /** Turns an encoded value that is too large for a message into a blob. Called only above `limits.inlinePayloadBytesMax`. */
  store(payload: InlinePayload): Promise<Payload>;
  /** The text of a payload kept as a blob. */
  load(payload: BlobPayload): Promise<InlinePayload>;
  /** Takes a line of `ctx.log`. Replayed lines never come here. */
  log(record: LogRecord): void;
  /** A model of the app, by name; null = it has none of that name. */
  model?(name: string): Model | null;
  /** A topic of the app, by name, for its upcasters; null = it has none of that name. Absent = none is known. */
  topic?(name: string): Topic | null;
  /**
   * Takes an inference that has its answer recorded, and whose grant names a shadow: what is done with it is no part of the
   * run. Must not throw. Absent = nothing is.
   */
  mirror?(inference: MirroredInference): void;
  /** What the app declares about failures; absent = nothing. */
  readonly remedies?: RemedyPolicy;
  /** What the app says of tools: with it each call of one is judged; absent = those with an effect outside. */
  readonly tools?: ToolPolicy;
  /** Whether the server gives verdicts on calls of tools; one of an earlier version does not. Absent = it does. */
  judges?(): boolean;
  /** Watches what the body asks for. Absent in production. */
  readonly onlooker?: ActivationOnlooker;
}

/** Hears what a body asks for: of the test kit, and of replays that only look. */
export interface ActivationOnlooker {
  /** True = nothing is begun: what is recorded is handed over, and what is not stays open. Default false. */
  readonly looksOnly?: boolean;
  /** The body asks for something under a new path. What this throws the body gets instead. */
  asked?(unit: AskedUnit): void;
  /** The body was told what it came to, or it was given up. Must not throw. */
  over?(path: string): void;
  /** A function that waits for things of the run goes on with work of its own; returns what ends that. */
  busy?(path: string): () => void;
  /** Takes the place of the function of a step: calls `step.run`, or does something else. */
  step?(step: StepCall): unknown;
}

/** A step about to be run. */
export interface StepCall {
  readonly path: string;
  /** Undefined where the step has none. */
  readonly input: unknown;
  /** What the function of the step is given. */
  readonly context: StepContext;
  /** The function asks for things of the run, and waits for them: it is at work only where `busy` says so. */
  readonly hosts?: boolean;
  /** Runs the function of the step. */
  run(): unknown;
}

/** What an activation is given to do; an `ActivationAssignment` of the worker protocol has all of it. */
export interface ActivationInput {
  readonly tenant: string;
  readonly run: string;
  readonly workflow: string;
  /** The version that the run is pinned to; null = none. */
  readonly version: string | null;
  /** Attempt of the activation, from 1. */
  readonly attempt: number;
  /** When the run was started, epoch ms on the store's clock. */
  readonly startedAt: number;
  /** Of the run. Absent = it has none. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly input: Payload;
  /** The input is the data of an event of this topic, written under the schema of this id. Absent = it is as it should be. */
  readonly event?: { readonly topic: string; readonly schema: string };
  readonly journal: Journal;
}

/** How an activation came to its end. */
export type ActivationEnd = 'ended' | 'parked' | 'aborted';

/** A body at work, as its worker sees it. */
export interface Activation {
  /** Events committed after the journal, in `seq` order. Events already seen are ignored, so repeating is safe. */
  deliver(events: readonly JournalEntry[]): void;
  /** The answer to a submission; comes after the events of that submission were delivered. */
  settle(result: SubmissionResult): void;
  /** Stop at once: nothing more can be committed. Aborts `ctx.signal`. Idempotent. */
  abort(reason: AbortReason): void;
  /** `parkAfterMs` of the host has become less: a body that has waited for so long parks now. Idempotent. */
  hurry(): void;
  /**
   * True while the body waits for the outside only (calls, timers, retry pauses): nothing of it runs and nothing is on its
   * way. Such a body uses no slot, or bodies that wait for calls of their own worker would keep those calls from running.
   */
  readonly waiting: boolean;
  /**
   * True while nothing of the body runs and whatever it waits for is submitted or owed by the outside: without an answer or
   * an event it comes no further. What answers everything at once, as an endpoint that is called does, may answer now.
   */
  readonly resting: boolean;
  /** `seq` of the last event seen; where the server goes on after a lost connection. */
  readonly seen: number;
  /** Resolves when nothing of the body runs any more on its behalf: ended, parked or aborted. Never rejects. */
  readonly ended: Promise<ActivationEnd>;
}

/**
 * Runs the body of `definition`, a workflow in the version of the run, from its journal on. Never throws: what goes wrong
 * is submitted as `fail` or `abandon`. The body is called in a later turn, so that the caller can register the activation
 * first; `settle` must likewise come in a later turn than the submission that it answers.
 */
export type BeginActivation = (definition: unknown, input: ActivationInput, host: ActivationHost) => Activation;
