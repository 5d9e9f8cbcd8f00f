/**
 * What came of a request to an endpoint, as whoever sends requests must tell it.
 *
 * Invariant: `busy` and `unreached` are said only where the endpoint has not begun with the task.
 */
import type { Failure } from '../../core/failure.js';
import type { PushAnswer, PushRequest } from '../../protocol/push.js';

export type EndpointReply =
  | { readonly tag: 'answer'; readonly answer: PushAnswer }
  /** It has not begun: come back later. `retryAfterMs` null = it did not say when. */
  | { readonly tag: 'busy'; readonly reason: string; readonly retryAfterMs: number | null }
  /** It has not begun: no connection came about. */
  | { readonly tag: 'unreached'; readonly reason: string }
  /** Whether it has begun is not known. */
  | { readonly tag: 'failed'; readonly failure: Failure };

/** Sends one task to an endpoint, in time; never rejects. `signal` says that nobody waits for the answer any more. */
export interface EndpointSender {
  send(task: PushRequest, timeoutMs: number, signal: AbortSignal): Promise<EndpointReply>;
}
