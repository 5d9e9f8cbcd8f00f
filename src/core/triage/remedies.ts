/**
 * What follows from a class of failure: the remedy by name, and whether the same request may be sent again. One row for
 * each class of `failureClasses`; a rule that knows more of one failure may say otherwise.
 */
import type { FailureClass } from '../failure.js';

/** What to do about a failure, as a word for programs. */
export type RemedyName =
  | 'reroute_larger_context'
  | 'retry_after_delay'
  | 'human_billing_or_other_account'
  | 'backoff_then_fallback_model'
  | 'retry_with_longer_timeout'
  | 'fix_credentials'
  | 'human_grant_access'
  | 'stop_and_review_content'
  | 'fix_request'
  | 'repair_or_reprompt'
  | 'return_error_to_agent'
  | 'fallback_model'
  | 'retry_backoff'
  | 'shrink_payload'
  | 'quarantine'
  | 'drop'
  | 'human_review';

/** What becomes of a failure. */
export interface Treatment {
  readonly remedy: RemedyName;
  /** Whether the same request, sent again, may succeed. */
  readonly retryable: boolean;
}

/** The treatment of each class, where nothing more is known. */
export const treatments: Readonly<Record<FailureClass, Treatment>> = {
  context_length_exceeded: { remedy: 'reroute_larger_context', retryable: false },
  rate_limited: { remedy: 'retry_after_delay', retryable: true },
  quota_exhausted: { remedy: 'human_billing_or_other_account', retryable: false },
  overloaded: { remedy: 'backoff_then_fallback_model', retryable: true },
  timeout: { remedy: 'retry_with_longer_timeout', retryable: true },
  auth: { remedy: 'fix_credentials', retryable: false },
  permission: { remedy: 'human_grant_access', retryable: false },
  content_filtered: { remedy: 'stop_and_review_content', retryable: false },
  invalid_request: { remedy: 'fix_request', retryable: false },
  invalid_output: { remedy: 'repair_or_reprompt', retryable: true },
  tool_error: { remedy: 'return_error_to_agent', retryable: false },
  model_not_found: { remedy: 'fallback_model', retryable: false },
  network: { remedy: 'retry_backoff', retryable: true },
  payload_too_large: { remedy: 'shrink_payload', retryable: false },
  internal: { remedy: 'retry_backoff', retryable: true },
  dependency: { remedy: 'retry_backoff', retryable: true },
  poison: { remedy: 'quarantine', retryable: false },
  cancelled: { remedy: 'drop', retryable: false },
  unknown: { remedy: 'human_review', retryable: false },
};
