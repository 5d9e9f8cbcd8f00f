/**
 * What a subscription is: a durable cursor over a topic, one for each partition, shared by all who consume in its name.
 * Declared with a handler, each of its events starts a run (`workflow`); without one, consumers pull.
 *
 * Invariant: the cursor of a partition stands behind an event only when that event is a run, was settled by a consumer, did
 * not pass the filter, or is a dead letter.
 */

/**
 * Which events are wanted: the dialects of the CloudEvents Subscriptions API, over attributes of the event (`type`,
 * `source`, `subject`, extensions) and, as `data.document.id`, over fields of its data.
 */
export type Filter =
  | { readonly exact: Readonly<Record<string, string>> }
  | { readonly prefix: Readonly<Record<string, string>> }
  | { readonly suffix: Readonly<Record<string, string>> }
  | { readonly all: readonly Filter[] }
  | { readonly any: readonly Filter[] }
  | { readonly not: Filter };

/** Where the cursors of a new subscription begin. */
export type StartPosition =
  | 'newest'
  | 'oldest'
  /** The same offset in each partition. */
  | { readonly offset: number }
  /** The first event at or after the instant, epoch ms. */
  | { readonly at: number };

/** What must have ended before the next event is begun: an earlier one of its key, of its partition, or nothing. */
export type DeliveryOrder = 'key' | 'partition' | 'none';

export interface Subscription {
  readonly name: string;
  readonly topic: string;
  /** null = every event. */
  readonly filter: Filter | null;
  readonly from: StartPosition;
  readonly order: DeliveryOrder;
  /** Events under way of one partition. */
  readonly windowMax: number;
  /** How far it may fall behind before publishers are refused (TOPIC_BEHIND); null = they never are. */
  readonly lagMax: { readonly count: number | null; readonly ageMs: number | null } | null;
  /** Topic that is told of its dead letters; null = none. */
  readonly dead: string | null;
  /** The workflow whose runs handle its events; null = they are pulled. */
  readonly workflow: string | null;
  /** Deliveries to consumers after which an event is a dead event. Absent = `limits.subscriptionDeliveriesDefault`. */
  readonly deliveriesMax?: number;
}

/** Entries of cursors: key = name of the subscription, ref = `topic/partition`, value = JSON of `Cursor`. */
export const subscriptionCursorSpace = 'subscription-cursor';

/** Where a subscription is in a partition. */
export interface Cursor {
  /** Offset of the first event that is not behind the cursor: its committed offset. */
  readonly next: number;
}
