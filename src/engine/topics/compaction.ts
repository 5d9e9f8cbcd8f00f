/**
 * Compaction of one partition, in passes of bounded steps (as Kafka's log cleaner does it): the newest offset of each key
 * that was written since the last pass is found, then everything before it of these keys goes. What the passes have come
 * to is one number, `clean`; a pass that is broken off is begun again and does no harm.
 *
 * Invariant: the newest event of a key that the topic has seen stays, unless it has no data and is old enough that readers
 * know of it.
 */
import type { TopicCompaction } from '../../core/topics/retention.js';
import { limits } from '../../core/limits.js';
import type { EventRow, StoredPayload } from '../../store/contract.js';
import { parseEnvelope } from '../events/envelope-writer.js';

/** A pass under way. */
export interface CompactionPass {
  /** Newest offset of each key between `from` and `to`. */
  readonly newest: Map<string, number>;
  /** Offsets that the pass looks through for newest events; it has come to `to`. */
  readonly from: number;
  to: number;
  /** All keys of the pass are known; from here on events are looked at whether they go. null = still looking. */
  sweepAt: number | null;
}

/** A pass over what was written from `clean` on. */
export function beginPass(clean: number): CompactionPass {
  return { newest: new Map(), from: clean, to: clean, sweepAt: null };
}

/** What a pass may look at. */
export interface PassBounds {
  readonly rule: TopicCompaction;
  readonly now: number;
  /** Offset of the first event that somebody still needs. */
  readonly heldFrom: number;
}

/** Takes in the next events from `pass.to` on; true = there are no more for this pass. */
export function learn(pass: CompactionPass, rows: readonly EventRow[], { rule, now, heldFrom }: PassBounds): boolean {
  for (const row of rows) {
    const isYoung = row.at > now - rule.lagMs;
    if (isYoung || row.position === 0 || row.seq >= heldFrom || pass.newest.size >= limits.compactionKeysMax)
      return true;
    pass.newest.set(keyOf(row), row.seq);
    pass.to = row.seq + 1;
  }
  return rows.length === 0;
}

/** The events among these that go. */
export function superseded(pass: CompactionPass, rows: readonly EventRow[], bounds: PassBounds): EventRow[] {
  const { rule, now } = bounds;
  return rows.filter((row) => {
    if (row.seq >= pass.to) return false;
    const newest = pass.newest.get(keyOf(row));
    if (newest !== undefined && newest > row.seq) return true;
    // Below where the pass began no earlier event of its key is left that would come to light again.
    return isTombstone(row.payload) && row.seq < pass.from && row.at <= now - rule.tombstoneMs;
  });
}

/** Whether an event says that its key is no more: it has no data, or `null`. */
export function isTombstone(payload: StoredPayload | null): boolean {
  return payload === null || ('text' in payload && payload.text === 'null');
}

function keyOf(row: EventRow): string {
  return (parseEnvelope(row.envelope).data as { readonly key: string }).key;
}
