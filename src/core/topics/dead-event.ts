/**
 * A dead event: an event that was given up on and that no run stands for. Its deliveries to consumers have run out, nobody
 * could read what came over a bridge, or it no longer fits what is asked of it.
 *
 * Invariant: what moves a cursor past such an event writes the dead event in the same transition, so that none is lost.
 */
import type { FailureClass } from '../failure.js';
import type { Payload } from '../payload.js';

/** Who has given up on it: a subscription of ours, a bridge to a bus outside, or a topic that it came to too late. */
export type DeadEventSource = `subscription:${string}` | `bridge:${string}` | `topic:${string}`;

/** Where it was: in a topic of ours, or on a bus that keeps positions. */
export interface DeadEventPosition {
  readonly topic: string;
  /** Empty = the topic has no id beside its name. */
  readonly topicId?: string;
  readonly partition: number;
  /** A whole number as text: those of some buses are larger than a number holds. */
  readonly offset: string;
}

/** An event that was given up on, as it is recorded. */
export interface DeadEventRecord {
  readonly source: DeadEventSource;
  /** null = the bus keeps no positions. */
  readonly position: DeadEventPosition | null;
  readonly class: FailureClass;
  /** A stable code, one of ours or of whoever gave up. */
  readonly code: string;
  readonly message: string;
  /** Deliveries that were tried. */
  readonly attempts: number;
  /** What is known of the event; null = it could not be found out. */
  readonly event: {
    readonly id: string | null;
    readonly type: string | null;
    readonly source: string | null;
    readonly key: string | null;
    /** Further attributes, or the headers of a message. */
    readonly attributes: Readonly<Record<string, string | number | boolean>>;
  };
  /** Its data as it came; bytes that nobody could read are encoded as bytes (`encodeValue`). null = it had none. */
  readonly data: Payload | null;
}

/** The same with what it got when it was recorded: the value of its entry. */
export interface DeadEvent extends DeadEventRecord {
  readonly id: string;
  /** When it was given up on, epoch ms. */
  readonly at: number;
}

/** Entries of dead events that are open: key = id, value = JSON of `DeadEvent`. */
export const deadEventSpace = 'dead-event';
