/**
 * Work over plain HTTP requests, for workers without a WebSocket (docs/reference/worker-protocol.md): `claim` takes
 * calls of capabilities, `extend` says that the worker lives, `complete` hands in what came of them. Behind it are the
 * same sessions, assignments and leases as behind a socket.
 *
 * Values travel as JSON of the codec `json/1` itself, not as text in text.
 */
import type { CapabilityManifest } from '../core/manifest.js';
import type { Failure } from '../core/failure.js';

/** A capability as a plain worker describes it; what is absent gets the default of `ctx.call`. */
export type PlainCapability = Pick<CapabilityManifest, 'name'> &
  Partial<Pick<CapabilityManifest, 'input' | 'output' | 'effect' | 'deadlineMs' | 'retry'>>;

export interface ClaimRequest {
  /** Name of the worker, the same as long as it lives. */
  readonly worker: string;
  /** An app name of its own: its definitions replace those that it had before. */
  readonly app: string;
  readonly capabilities: readonly PlainCapability[];
  /** Most tasks wanted; 1 by default. */
  readonly max?: number;
  /** How long the answer may wait for a task; 20 s by default, 0 answers at once. */
  readonly waitMs?: number;
  /** The session of the claim before; absent = a new one. */
  readonly session?: string;
  /** What of it is still worked on or has no answer yet. Everything else returns to its queue, uncounted. */
  readonly holding?: readonly number[];
}

/** A value that is too large for a JSON body: its encoded bytes lie at `/v1/blobs/{tenant}/{hash}`. */
export interface PlainBlob {
  /** sha-256 of the bytes, in lower-case hex. */
  readonly hash: string;
  /** How many bytes it is. */
  readonly size: number;
}

/** A call to be carried out. */
export interface PlainTask {
  readonly assignment: number;
  readonly tenant: string;
  readonly run: string;
  readonly task: string;
  readonly capability: string;
  readonly attempt: number;
  /** The lease ends so long after the claim, whatever is extended. */
  readonly deadlineMs: number;
  /** The same for all attempts. */
  readonly idempotencyKey: string;
  readonly traceparent: string | null;
  readonly input: unknown;
  /** Where the input is larger than 8 MiB; `input` is null then. */
  readonly inputBlob?: PlainBlob;
}

export interface ClaimAnswer {
  readonly session: string;
  readonly tasks: readonly PlainTask[];
  /** Assignments of `holding` that are no longer ours. */
  readonly lost: readonly number[];
  /** Say something (any of these requests) at least so often. */
  readonly beatMs: number;
  /** A session that was silent for so long is over. */
  readonly deadMs: number;
}

export interface ExtendRequest {
  readonly session: string;
  readonly holding: readonly number[];
}

export interface ExtendAnswer {
  /** Stop working on these; what is handed in for them is refused. */
  readonly lost: readonly number[];
}

/** What came of an assignment: `result`, `resultBlob`, or `failure`. */
export interface PlainOutcome {
  readonly assignment: number;
  readonly result?: unknown;
  /** A result that was put under its hash before, as it may be larger than a body. */
  readonly resultBlob?: PlainBlob;
  readonly failure?: Failure;
  readonly durationMs?: number;
}

export interface CompleteRequest {
  readonly session: string;
  readonly outcomes: readonly PlainOutcome[];
}

export interface CompleteAnswer {
  readonly results: readonly PlainResult[];
}

export interface PlainResult {
  readonly assignment: number;
  /** It is recorded, by this request or by an earlier one. */
  readonly ok: boolean;
  /** Why it is not: `LEASE_LOST` = drop it, a code of kind `transient` = send it again. */
  readonly code?: string;
  readonly message?: string;
}

export interface EndRequest {
  readonly session: string;
}
