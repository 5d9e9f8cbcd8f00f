/** What the HTTP API shows of webhook endpoints and their deliveries. */
import type { Filter } from '../core/topics/subscription.js';
import type { RunEventType } from '../core/webhooks/endpoint.js';

/** A webhook endpoint. */
export interface WebhookView {
  readonly name: string;
  /** Without what stands behind a question mark, which may be a secret of the receiver. */
  readonly url: string;
  readonly topics: readonly string[];
  readonly events: readonly RunEventType[];
  readonly filter: Filter | null;
  readonly order: 'key' | 'none';
  readonly window: number;
  readonly timeoutMs: number;
  readonly retry: { readonly attempts: number; readonly minMs: number; readonly maxMs: number };
  readonly asymmetric: boolean;
  /** Tags of fields that go there in clear. */
  readonly clearances: readonly string[];
  /** Why nothing is sent; null = it is open. */
  readonly disabled: { readonly by: string; readonly at: string; readonly reason: string | null } | null;
  /** Secrets that sign, newest first; `until` null = until it is replaced. */
  readonly secrets: readonly { readonly number: number; readonly at: string; readonly until: string | null }[];
  /** Events that have not been begun, or not been delivered yet, and the age of the oldest. */
  readonly lag: number;
  readonly ageMs: number | null;
  readonly by: string;
  readonly at: string;
}

/** What the receiver checks signatures with. */
export interface WebhookSecrets {
  /** `whsec_` and base64, newest first. */
  readonly secrets: readonly string[];
  /** `whpk_` and base64, of signatures `v1a`; empty = there are none. */
  readonly publicKeys: readonly string[];
}

/** What came of a message that was sent to try an endpoint out. */
export interface WebhookPing {
  /** Its `webhook-id`. */
  readonly id: string;
  readonly delivered: boolean;
  /** null = there was no answer. */
  readonly status: number | null;
  /** What went wrong; null = nothing. */
  readonly reason: string | null;
  readonly ms: number;
}

/** `pending`: not delivered yet; `failed`: given up, to be redriven. */
export const webhookDeliveryStates = ['pending', 'delivered', 'failed', 'cancelled'] as const;
export type WebhookDeliveryState = (typeof webhookDeliveryStates)[number];

/** One message to an endpoint. */
export interface WebhookDelivery {
  /** The run that delivers it; its history is that of the attempts. */
  readonly run: string;
  readonly state: WebhookDeliveryState;
  /** Its `webhook-id`. */
  readonly message: string;
  readonly type: string;
  /** The event that it is of; null = the end of a run, told to the address that its start was given. */
  readonly event: { readonly topic: string; readonly id: string } | null;
  /** Attempts so far. */
  readonly attempts: number;
  /** What the last attempt came to that failed; null = none has. */
  readonly failure: { readonly class: string; readonly code: string; readonly message: string } | null;
  /** When the next attempt is, where one is waited for. */
  readonly nextAt: string | null;
  readonly at: string;
  readonly endedAt: string | null;
}

/** What was sent back to work. */
export interface WebhookRedriveAnswer {
  readonly redriven: number;
  /** There are others; ask again. */
  readonly more: boolean;
}
