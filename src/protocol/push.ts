/**
 * Push mode: the server sends tasks to an HTTPS endpoint and the answer carries what came of them (docs/guides/
 * serverless.md). One POST is one call of a capability, or one turn of a workflow body: the body is replayed from the
 * journal, does what it can, and answers with the commands to commit.
 *
 * Requests are signed as Standard Webhooks are (`webhook-signature.ts`). Payloads are always inline.
 */
import type { Failure } from '../core/failure.js';
import type { Manifest } from '../core/manifest.js';
import type { InlinePayload } from '../core/payload.js';
import type { BodyCommand } from '../core/run/commands.js';
import type { IntentEntry, Journal } from '../core/run/journal.js';
import type { ActivationAssignment, CallAssignment } from './worker.js';

export const pushProtocol = 1;

export type PushRequest = PushedCall | PushedTurn | PushedQuestion;

/** A call of a capability, to be carried out before the answer. */
export interface PushedCall extends Omit<CallAssignment, 'assignment' | 'input'> {
  readonly protocol: number;
  /** Time of this request; it may be shorter than that of the lease. */
  readonly timeoutMs: number;
  readonly input: InlinePayload;
}

/** A turn of a workflow body. */
export interface PushedTurn extends Omit<ActivationAssignment, 'assignment' | 'input' | 'journal'> {
  readonly protocol: number;
  readonly timeoutMs: number;
  readonly input: InlinePayload;
  readonly journal: Journal;
  /** Beginnings of effects and inferences that the turn before asked to record: they may be tried now, and only in this turn. */
  readonly begun: readonly IntentEntry[];
  /** The server gives verdicts on calls of tools (`judgeTool`). Absent = it knows nothing of them. */
  readonly judges?: boolean;
}

/** Asks what the endpoint serves. */
export interface PushedQuestion {
  readonly protocol: number;
  readonly kind: 'describe';
}

export type CallAnswer = (
  | { readonly outcome: 'completed'; readonly result: InlinePayload; readonly durationMs: number }
  | { readonly outcome: 'failed'; readonly failure: Failure }
) & {
  /** What the call wrote to its streams, in order; committed before the outcome. */
  readonly streams?: readonly CallChunks[];
};

/** Chunks of a stream of a call with consecutive numbers; `name` null = the stream of the call itself. */
export interface CallChunks {
  readonly name: string | null;
  readonly from: number;
  readonly count: number;
  /** The list of the chunks. */
  readonly chunks: InlinePayload;
}

export interface TurnAnswer {
  readonly outcome: 'turn';
  /** To be committed together, in this order; none = the body waits for the outside only. */
  readonly commands: readonly BodyCommand[];
}

export interface DescribeAnswer {
  readonly outcome: 'described';
  readonly manifest: Manifest;
}

export type PushAnswer = CallAnswer | TurnAnswer | DescribeAnswer;
