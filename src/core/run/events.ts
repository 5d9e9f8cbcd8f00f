/**
 * The events of a run: the only thing the state of a run is made of. `data` is ours (small, bounded, never user
 * content); user content is the payload beside it. Adding an event type or a field is a change of the stored format:
 * see docs/reference/events.md.
 */
import type { Failure } from '../failure.js';
import type { Payload } from '../payload.js';
import type { RetryPolicy } from '../retry.js';

/** What may happen again after a crash in mid-effect: run it again, run it again with the same key, or do not guess. */
export type Effect = 'pure' | 'idempotent' | 'external';

export interface RunEventData {
  /** Payload: the input. */
  'run.started': {
    readonly workflow: string;
    readonly version: string | null;
    readonly priority: number;
    /** Ms after the start at which the run fails with class `timeout`; null = never. */
    readonly timeoutMs: number | null;
    /** How long the ended run is kept; null = for ever. */
    readonly retainMs: number | null;
    /** Topic to which the result is published, if declared. */
    readonly completes: string | null;
    readonly activationDeadlineMs: number;
    readonly activationRetry: RetryPolicy;
    readonly trigger: { readonly topic: string; readonly eventId: string } | null;
    readonly labels: Readonly<Record<string, string>> | null;
    readonly idempotencyKey: string | null;
    /** Id shared by all that follows from one request; inherited by every later event of the run. */
    readonly correlation: string | null;
    /** W3C trace context of the request. */
    readonly traceparent: string | null;
  };
  /** The intent of a step with an external effect; recorded before the effect. */
  'step.started': { readonly path: string; readonly attempt: number; readonly effect: Effect };
  /** Payload: the result, or the pair [input, result] where `withInput`. */
  'step.completed': {
    readonly path: string;
    readonly attempt: number;
    readonly durationMs: number;
    readonly withInput: boolean;
  };
  'step.retrying': {
    readonly path: string;
    readonly attempt: number;
    readonly retryAt: number;
    readonly failure: Failure;
  };
  /** The pause before the next attempt is over. */
  'step.due': { readonly path: string; readonly attempt: number };
  'step.failed': { readonly path: string; readonly attempt: number; readonly failure: Failure };
  /** Payload: the input. */
  'call.scheduled': {
    readonly path: string;
    readonly capability: string;
    readonly queue: string;
    readonly deadlineMs: number;
    readonly retry: RetryPolicy;
    readonly effect: Effect;
    readonly priority: number;
  };
  'call.retrying': {
    readonly path: string;
    readonly attempt: number;
    readonly retryAt: number;
    readonly failure: Failure;
  };
  /** Payload: the result. */
  'call.completed': {
    readonly path: string;
    readonly attempt: number;
    readonly worker: string;
    readonly durationMs: number;
  };
  'call.failed': { readonly path: string; readonly attempt: number; readonly failure: Failure };
  'timer.set': { readonly path: string; readonly fireAt: number };
  'timer.fired': { readonly path: string };
  'event.emitted': { readonly path: string; readonly topic: string; readonly eventId: string };
  /** Payload: the value. `index` counts the reports of the run from 0. */
  'progress.reported': { readonly index: number };
  /** A race between branches was decided; the losers are aborted. */
  'race.decided': { readonly path: string; readonly winner: string };
  /** The body left memory; the next event that concerns it opens a new activation. */
  'run.parked': Record<string, never>;
  /** The activation ended without an outcome: its worker died, hung or failed to load. `progressed` resets the count. */
  'activation.retrying': {
    readonly attempt: number;
    readonly retryAt: number;
    readonly progressed: boolean;
    readonly failure: Failure;
  };
  'run.cancel_requested': { readonly reason: string | null; readonly by: string; readonly graceMs: number };
  /** Payload: the output. */
  'run.succeeded': Record<string, never>;
  /** `path` is the step whose failure ended the run, null where the body itself failed. Ends in a dead letter. */
  'run.failed': { readonly failure: Failure; readonly path: string | null; readonly deadLetter: string };
  'run.cancelled': { readonly reason: string | null; readonly forced: boolean };
  /** The body ended the run on purpose with `Terminal`. Payload: its data. */
  'run.refused': { readonly code: string };
  /** A person moved the run to another version of its workflow; null = none. The body begins anew in that version. */
  'run.migrated': { readonly by: string; readonly from: string | null; readonly to: string | null };
  /** A person sent a dead run back to work; the listed steps forget their failure. */
  'run.redriven': { readonly by: string; readonly paths: readonly string[]; readonly deadLetter: string };
}

export type RunEventType = keyof RunEventData;

/** An event as decided, before it is given its envelope. */
export type NewRunEvent = {
  [T in RunEventType]: { readonly type: T; readonly data: RunEventData[T]; readonly payload?: Payload };
}[RunEventType];

/** An event as read back: decided, numbered and dated. */
export type RunEvent = NewRunEvent & { readonly seq: number; readonly at: number };

/** The types that a workflow body waits for; they wake a parked run. */
const waking: ReadonlySet<RunEventType> = new Set([
  'step.due',
  'call.completed',
  'call.failed',
  'timer.fired',
  'run.cancel_requested',
  'run.redriven',
] as const);

export function wakes(type: RunEventType): boolean {
  return waking.has(type);
}
