/**
 * The journal: what a run has recorded, in the form in which its body asks for it. Shared by the engine, which makes
 * it, the protocol, which carries it, and the workflow runtime, which replays it. Entries are in `seq` order and each
 * is handed over one time.
 */
import type { Payload } from '../payload.js';
import type { RunEventData } from './events.js';

/** What a run has recorded, as its body needs it. Entries are in `seq` order. */
export interface Journal {
  /** `seq` of the last event of the run, whether or not it concerns the body. */
  readonly head: number;
  /** Number of progress reports so far. */
  readonly progress: number;
  /** Chunks that the body itself has written so far, by the path of the stream. Absent = none. */
  readonly streams?: Readonly<Record<string, number>>;
  readonly entries: readonly JournalEntry[];
}

/** An event that concerns the body: what a path came to, or how far it has come. */
export type JournalEntry = {
  [T in JournalEventType]: {
    readonly seq: number;
    readonly at: number;
    readonly type: T;
    readonly data: RunEventData[T];
    /** Absent where the receiver sent it itself. */
    readonly payload?: Payload;
  };
}[JournalEventType];

/** The types of events that a body is told of. */
export const journalEventTypes = [
  'step.started',
  'step.completed',
  'step.retrying',
  'step.due',
  'step.failed',
  'call.scheduled',
  'call.retrying',
  'call.completed',
  'call.failed',
  'timer.set',
  'timer.fired',
  'event.emitted',
  'child.started',
  'context.put',
  'context.used',
  'context.inherited',
  'child.ended',
  'race.decided',
  'signal.received',
  'wait.opened',
  'wait.satisfied',
  'wait.expired',
  'wait.cancelled',
  'message.sent',
  'message.buried',
  'run.cancel_requested',
] as const;
export type JournalEventType = (typeof journalEventTypes)[number];

/** The answer to one submission of commands. */
export type SubmissionResult =
  | { readonly i: number; readonly ok: true; readonly head: number }
  /** `stale`: parking came too late, go on. Anything else ends the work on the assignment. */
  | { readonly i: number; readonly ok: false; readonly code: string; readonly message: string };

/** Why work on an assignment must stop. */
export type AbortReason = 'lease_lost' | 'cancelled' | 'deadline' | 'ended';
