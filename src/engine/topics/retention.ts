/**
 * Which events of a partition have outlived what its topic keeps: a prefix, always, so that one number says what is left.
 * Pure; `keeper.ts` reads and deletes.
 */
import { utf8Length } from '../../core/utf8.js';
import type { TopicLow, TopicRetention } from '../../core/topics/retention.js';
import type { EventRow } from '../../store/contract.js';
import { parseEnvelope } from '../events/envelope-writer.js';

/** What the events of a partition are judged by. */
export interface Bounds {
  readonly rule: TopicRetention;
  readonly now: number;
  /** Offset of the next event. */
  readonly head: number;
  /** Offset of the first event that somebody still needs. */
  readonly heldFrom: number;
}

/** Bytes of an event as stored: its envelope and its payload, inline or not. */
export function storedBytes(row: EventRow): number {
  return utf8Length(row.envelope) + (parseEnvelope(row.envelope).payload?.size ?? 0);
}

/**
 * How many of the oldest events go. `rows` are the first that are left; `low` knows how many bytes there are in all where
 * that matters.
 */
export function outlived(rows: readonly EventRow[], { rule, now, head, heldFrom }: Bounds, low: TopicLow): number {
  let bytes = low.bytes;
  let count = 0;
  for (const row of rows) {
    // What is not numbered yet, a reader of the feed has not seen.
    if (row.position === 0 || row.seq >= heldFrom) break;
    const isOld = rule.ageMs !== null && row.at <= now - rule.ageMs;
    const isBeyond = rule.events !== null && row.seq < head - rule.events;
    const isTooMuch = rule.bytes !== null && row.seq < low.measured && bytes > rule.bytes;
    if (!isOld && !isBeyond && !isTooMuch) break;
    if (row.seq < low.measured) bytes -= storedBytes(row);
    count += 1;
  }
  return count;
}
