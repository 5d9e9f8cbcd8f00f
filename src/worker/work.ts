/**
 * One assignment in the hands of this worker, whatever it is: a workflow body or a capability call.
 */
import type { InlinePayload, BlobPayload, Payload } from '../core/payload.js';
import type { Ports } from '../core/ports.js';
import type { AbortReason, JournalEntry, Submission, SubmissionResult } from '../protocol/worker.js';
import type { WorkerLog } from './worker-log.js';

/** Why work is stopped from outside: the server's reasons, the end of this worker, or the end of its session. */
export type StopReason = AbortReason | 'drain' | 'stop' | 'session_lost';

/** Work under way. */
export interface Work {
  readonly kind: 'activation' | 'call';
  /** `seq` of the last event seen; 0 for a call. */
  readonly seen: number;
  /** True while it waits for the outside only, and so uses no slot. Never for a call. */
  readonly waiting: boolean;
  /** True where the assignment is ours no longer and nothing more will be submitted for it. */
  readonly dead: boolean;
  deliver(events: readonly JournalEntry[]): void;
  settle(submission: Submission, result: SubmissionResult): void;
  /** Stops the work as soon as user code allows. Idempotent. */
  stop(reason: StopReason): void;
  /** The worker drains: what only waits is let go of. Absent where nothing waits. */
  hurry?(): void;
  /** Resolves when no user code runs any more and everything has been submitted. Never rejects. */
  readonly idle: Promise<void>;
}

/** What a piece of work needs of its worker. */
export interface WorkHost {
  readonly ports: Ports;
  readonly log: WorkerLog;
  /** Returns the number under which `settle` will be called. */
  submit(commands: Submission['commands']): number;
  /** Bound of an encoded value, as the server has it. */
  readonly valueBytesMax: number;
  fit(payload: InlinePayload): Promise<Payload>;
  store(payload: InlinePayload): Promise<BlobPayload>;
  load(payload: BlobPayload): Promise<InlinePayload>;
  /** The assignment was not begun and goes back to its queue, uncounted. Nothing may be submitted for it any more. */
  giveBack(): void;
}

/** Refusals that mean: the assignment is not ours any more. Others leave the lease with us. */
export function leaseIsGone(code: string): boolean {
  return code === 'LEASE_LOST' || code === 'SESSION_GONE';
}
