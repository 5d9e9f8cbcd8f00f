/**
 * Retry policies: exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS 2015):
 * the delay is uniform in [0, min(maxMs, minMs * factor^(attempt-1))), so that clients that failed together do not
 * come back together.
 */
import type { Failure } from './failure.js';

export interface RetryPolicy {
  /** Attempts in all, the first included. 1 = no retry. */
  readonly attempts: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly factor: number;
}

export const defaultRetry: RetryPolicy = { attempts: 4, minMs: 500, maxMs: 60_000, factor: 2 };

export type RetryDecision = { readonly tag: 'retry'; readonly delayMs: number } | { readonly tag: 'exhausted' };

/** What follows after attempt number `attempt` (counted from 1) failed. `random` is in [0, 1). */
export function decideRetry(policy: RetryPolicy, attempt: number, failure: Failure, random: number): RetryDecision {
  if (!failure.retryable || attempt >= policy.attempts) return { tag: 'exhausted' };
  const ceilingMs = Math.min(policy.maxMs, policy.minMs * policy.factor ** (attempt - 1));
  const delayMs = Math.floor(random * ceilingMs);
  return { tag: 'retry', delayMs: Math.max(delayMs, failure.retryAfterMs ?? 0) };
}
