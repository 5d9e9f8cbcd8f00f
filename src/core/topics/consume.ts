/** What consumers say and hear when they pull events of a subscription: the shapes of the HTTP API, and their bounds. */

/** Asks for events. */
export interface PullRequest {
  /** Names the consumer among those of the subscription; each process that lives at the same time has its own. */
  readonly consumer: string;
  /** Events at most. Default 50. */
  readonly max?: number;
  /** How long to wait for one, ms. Default 0. */
  readonly waitMs?: number;
  /** How long the events are the consumer's alone without another word of it, ms. Default 30,000. */
  readonly leaseMs?: number;
}

/** An event in the hand of a consumer. */
export interface PulledEvent {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Names the delivery: with it alone the event is settled. */
  readonly token: string;
  /** How often the event was delivered, this time included. */
  readonly delivery: number;
  /** What it is kept in order by. */
  readonly key: string;
  /** The event in the JSON format of CloudEvents 1.0. */
  readonly event: Readonly<Record<string, unknown>>;
}

/** What a pull is answered. */
export interface PullAnswer {
  readonly events: readonly PulledEvent[];
  /** Partitions that the consumer has now. */
  readonly partitions: readonly number[];
  /** Nothing is delivered until the subscription is resumed. */
  readonly isPaused: boolean;
  /** What was trimmed before the subscription came to it, told once: nobody will be given these events. */
  readonly gaps: readonly PulledGap[];
}

/** Offsets of a partition, both included, that were there and are not any more. */
export interface PulledGap {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** An event that a consumer speaks of. */
export interface EventPosition {
  readonly partition: number;
  readonly offset: number;
  readonly token: string;
}

/** Says that events are done with; all of them, or none where one is not the consumer's any more. */
export interface AckRequest {
  readonly consumer: string;
  readonly positions: readonly EventPosition[];
}

/** What became of settled events. */
export interface AckAnswer {
  /** Settled now; those that were settled by the same delivery before are not counted. */
  readonly settled: number;
}

/** Gives events back. */
export interface NackRequest extends AckRequest {
  /** When they come again, ms from now. Default: 1 s after the first delivery, doubling up to a minute. */
  readonly delayMs?: number;
  /** Why, for people. */
  readonly reason?: string;
  /** Nobody is to try them again: they become dead events. Default false. */
  readonly dead?: boolean;
}

/** What becomes of events that were given back. */
export interface NackAnswer {
  /** Come again. */
  readonly again: number;
  /** Were given up on. */
  readonly dead: number;
}

/** Says that the consumer is still at work. */
export interface RenewRequest {
  readonly consumer: string;
  /** Deliveries that it has in hand. */
  readonly deliveries: readonly { readonly partition: number; readonly token: string }[];
  /** Default 30,000. */
  readonly leaseMs?: number;
}

/** What a renewal is answered. */
export interface RenewAnswer {
  /** Tokens of deliveries that are not the consumer's any more: what it does with them counts for nothing. */
  readonly lost: readonly string[];
}

/** Says that the consumer goes: what it has in hand is delivered to others at once, and is not counted. */
export interface LeaveRequest {
  readonly consumer: string;
}

/** Pause before an event that was given back comes again, where nobody says how long, ms. */
export function nackDelayMs(deliveries: number): number {
  return Math.min(delayMsMax, delayMsFirst * 2 ** Math.max(0, deliveries - 1));
}

const delayMsFirst = 1_000;
const delayMsMax = 60_000;
