/**
 * The worker protocol, version 1: JSON messages over a WebSocket (docs/reference/worker-protocol.md). One frame is one
 * message; lists are batched per turn of the event loop, in both directions.
 *
 * Flow: `hello` -> `welcome` -> the worker grants credit -> the server assigns -> the worker submits commands -> the
 * server answers each submission (`results`) and delivers the events that the body waits for, in `seq` order.
 *
 * Loss of the socket loses nothing: the worker connects again with its session and repeats every submission that was
 * not answered; the server answers repeats from the record. A second, light socket (`beat`) is kept by a helper thread
 * and keeps the session alive while user code blocks the main one.
 */
import type { BodyCommand, TaskCommand } from '../core/run/commands.js';
import type { AbortReason, Journal, JournalEntry, SubmissionResult } from '../core/run/journal.js';
import type { Manifest } from '../core/manifest.js';
import type { ShadowOutcome } from '../core/models/shadow.js';
import type { Payload } from '../core/payload.js';
import type { TokenUsage } from '../core/run/inference.js';
import type { TriageModels } from '../core/triage/in-force.js';

export type { AbortReason, Journal, JournalEntry, JournalEventType, SubmissionResult } from '../core/run/journal.js';

export const workerProtocol = 1;
/** Path of the WebSocket under the server's base path; `?role=beat` for the heartbeat socket. */
export const workerPath = '/v1/worker';

export type WorkerMessage =
  | Hello
  /** The server may send assignments numbered up to and including `upTo`. Cumulative, so a lost grant does no harm. */
  | { readonly t: 'credit'; readonly upTo: number }
  | { readonly t: 'submit'; readonly items: readonly Submission[] }
  /** Assignments that this worker gives back without having begun them. */
  | { readonly t: 'release'; readonly assignments: readonly number[] }
  /** No more assignments, please; what is in flight goes on. */
  | { readonly t: 'drain' }
  | Beat
  | ShadowMessage
  /** Everything is finished or released; the session may end. */
  | { readonly t: 'bye' };

/** First message of the data socket. The beat socket carries nothing but `beat`, which names its session itself. */
export interface Hello {
  readonly t: 'hello';
  readonly protocol: number;
  readonly worker: string;
  readonly app: string;
  readonly manifest: Manifest;
  readonly slots: number;
  /** What of the manifest this process serves, by name; absent = everything. The manifest is always the whole app's. */
  readonly only?: { readonly workflows: readonly string[]; readonly capabilities: readonly string[] };
  /** To go on with a session after a lost connection. */
  readonly resume?: Resume;
  readonly host?: string;
  readonly pid?: number;
}

export interface Resume {
  readonly session: string;
  /** Highest assignment received; higher ones return to their queues. */
  readonly received: number;
  /** Assignments still worked on, with the last event each has seen. The server sends what came after. */
  readonly holding: readonly { readonly assignment: number; readonly seen: number }[];
}

/**
 * Proof of life. `n` rises by one each time. A worker also sends one when it has received assignments, before it begins
 * them, so that a crash of what it begins counts as an attempt.
 */
export interface Beat {
  readonly t: 'beat';
  readonly session: string;
  readonly n: number;
  readonly received: number;
}

/** Commands for one task, applied together or not at all. */
export interface Submission {
  /** Number of the submission within the session, from 1. */
  readonly i: number;
  readonly assignment: number;
  readonly commands: readonly (BodyCommand | TaskCommand)[];
}

export type ServerMessage =
  | Welcome
  | { readonly t: 'assign'; readonly items: readonly Assignment[] }
  | { readonly t: 'results'; readonly items: readonly SubmissionResult[] }
  | { readonly t: 'deliver'; readonly items: readonly Delivery[] }
  /**
   * Stop working on these: the lease is gone or the run was cancelled from under a call. One that was never sent may be
   * named too: its number is used up, and credit counts on from there.
   */
  | { readonly t: 'abort'; readonly items: readonly { readonly assignment: number; readonly reason: AbortReason }[] }
  | { readonly t: 'shadow'; readonly items: readonly ShadowLeave[] }
  | TriageMessage
  /** The session is over; connect anew without resuming. */
  | { readonly t: 'goodbye'; readonly reason: string };

export interface Welcome {
  readonly t: 'welcome';
  readonly session: string;
  readonly resumed: boolean;
  /**
   * Highest assignment number used so far; credit counts on from there. Without it a resumed worker whose last
   * assignments were never received would grant numbers that are used up, and wait for ever. Absent = none is used
   * above the highest received.
   */
  readonly assigned?: number;
  readonly beatMs: number;
  readonly deadMs: number;
  /** Assignments of a resumed session that are no longer leased to it. */
  readonly lost: readonly number[];
  /** Bound of an encoded value that the server takes as a blob. Absent = 8 MiB. */
  readonly valueBytesMax?: number;
  /** Path, under the server's base URL, of the blobs of a tenant: `${blobs}/{tenant}/{hash}`. */
  readonly blobs: string;
  /** The server takes messages about shadows. Absent = it knows nothing of them. */
  readonly shadows?: boolean;
  /** The server gives verdicts on calls of tools (`judgeTool`). Absent = it knows nothing of them. */
  readonly judges?: boolean;
}

/**
 * Of calls of shadows: leave that is asked for, when the answer of the inference is recorded and its grant names a shadow, and
 * what came of those that had leave. A worker may leave them all alone. Nothing of it is repeated: leave that is not answered
 * on its line is none, and what is not heard of counts as lost.
 */
export interface ShadowMessage {
  readonly t: 'shadow';
  readonly asks: readonly ShadowAsk[];
  readonly ends: readonly ShadowEnd[];
}

/**
 * What failures are to be classified by from now on; comes after `welcome` where it is not what is shipped, and when operators
 * change it. A worker that takes no notice classifies as it does, and its verdicts say by which version.
 */
export interface TriageMessage extends TriageModels {
  readonly t: 'triage';
}

/** May a shadow be asked what this inference was asked? Of the server that has recorded the answer. */
export interface ShadowAsk {
  /** Number of the question, for its answer. */
  readonly n: number;
  readonly tenant: string;
  readonly run: string;
  readonly path: string;
  readonly attempt: number;
}

export interface ShadowLeave {
  readonly n: number;
  /** What the call is reported under, and its idempotency key; null = it is not to be made. */
  readonly ticket: string | null;
  /** Longest time of the call, ms. */
  readonly ms: number;
}

/** What a call of a shadow came to. */
export interface ShadowEnd extends ShadowOutcome {
  readonly model: string;
  readonly ticket: string;
  readonly usage: TokenUsage | null;
}

export type Assignment = ActivationAssignment | CallAssignment;

interface AssignmentBase {
  readonly assignment: number;
  readonly tenant: string;
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  readonly deadlineMs: number;
  readonly traceparent: string | null;
  readonly input: Payload;
}

export interface ActivationAssignment extends AssignmentBase {
  readonly kind: 'activation';
  readonly workflow: string;
  readonly version: string | null;
  /** When the run was started, epoch ms. */
  readonly startedAt: number;
  /** Of the run. Absent = it has none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The input is the data of an event of this topic, written under the schema of this id. Absent = its schema has no versions. */
  readonly event?: { readonly topic: string; readonly schema: string };
  /** Everything that the body may ask for again. */
  readonly journal: Journal;
}

export interface CallAssignment extends AssignmentBase {
  readonly kind: 'call';
  readonly capability: string;
  /** Idempotency key of the effect: tenant, run and path, never the attempt. */
  readonly idempotencyKey: string;
}

/**
 * Events committed after the journal of the assignment, in `seq` order, each one time. The events of a submission come
 * here too (without payload), before its result.
 */
export interface Delivery {
  readonly assignment: number;
  readonly events: readonly JournalEntry[];
}
