/** What the store and its threads say to each other. Every message survives structured clone. */
import type { ErrorCode } from '../../core/errors.js';
import type { CommitAnswer, ReadName } from './lanes.js';
import type { WireBatch } from './wire.js';

/** To a thread. A thread serves one file at a time, as its writer or as a reader. */
export type ToThread =
  | { readonly type: 'openWriter'; readonly file: string; readonly url: string | null }
  | { readonly type: 'openReader'; readonly file: string }
  | { readonly type: 'commit'; readonly batch: WireBatch }
  | { readonly type: 'read'; readonly id: number; readonly name: ReadName; readonly parameters: readonly unknown[] }
  | { readonly type: 'close' };

/** From a thread. Commits are answered in the order in which they were sent. */
export type FromThread =
  | { readonly type: 'opened'; readonly epoch: number }
  | { readonly type: 'refused'; readonly error: ThreadError }
  | { readonly type: 'committed'; readonly answer: CommitAnswer }
  | { readonly type: 'found'; readonly id: number; readonly result: unknown }
  | { readonly type: 'readFailed'; readonly id: number; readonly fatal: boolean; readonly reason: string }
  | { readonly type: 'closed' };

/** An error on its way between threads: one of the catalogue, or anything else by its message. */
export interface ThreadError {
  readonly code: ErrorCode | null;
  readonly detail: unknown;
  readonly message: string;
}
