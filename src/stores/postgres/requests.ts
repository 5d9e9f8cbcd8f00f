/** What can be asked of the writer and what it answers, and the queue's view of it: one kind for each writing call. */
import type {
  ClaimedTask,
  ClaimRequest,
  LeaseKey,
  ManifestRow,
  NewSession,
  Outcome,
  SessionBeat,
  SessionRow,
  Transition,
} from '../../store/index.js';

/** A transition with its verdict: null, or why no store could keep it. */
export interface CheckedTransition {
  readonly transition: Transition;
  readonly unstorable: string | null;
  /** The entry of the outbox that it carries out: must be there, and goes with it. */
  readonly outbox?: number;
}

export type WriteRequest =
  | { readonly op: 'apply'; readonly items: readonly CheckedTransition[] }
  | { readonly op: 'claim'; readonly claim: ClaimRequest }
  | { readonly op: 'release'; readonly leases: readonly LeaseKey[] }
  | { readonly op: 'promoteDue'; readonly limit: number }
  | { readonly op: 'openSession'; readonly session: NewSession }
  | { readonly op: 'takeSession'; readonly session: string }
  | { readonly op: 'beat'; readonly beats: readonly SessionBeat[] }
  | { readonly op: 'closeSession'; readonly session: string }
  | { readonly op: 'putBlob'; readonly tenant: string; readonly hash: string; readonly bytes: Uint8Array }
  | { readonly op: 'saveManifest'; readonly row: ManifestRow };

/** The answers by kind of request. */
export interface WriteResults {
  apply: Outcome[];
  claim: ClaimedTask[];
  release: number;
  promoteDue: number;
  openSession: null;
  takeSession: SessionRow | null;
  beat: string[];
  closeSession: null;
  putBlob: null;
  saveManifest: null;
}

/**
 * The answer to one request; `refused` = this request alone could not be carried out, `unknown` = it was carried out, and
 * what came of it was lost with the connection.
 */
export type WriteResult =
  | { readonly tag: 'done'; readonly value: WriteResults[keyof WriteResults] }
  | { readonly tag: 'refused'; readonly reason: string }
  | { readonly tag: 'unknown' };
