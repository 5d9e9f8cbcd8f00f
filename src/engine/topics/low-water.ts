/**
 * How far a partition has been trimmed: one entry for each, written in the transition that deletes. Who reads a partition
 * finds out here whether what it misses is gone by retention (a gap) or gave way to a later event of its key.
 *
 * Invariant: an offset below `low` holds no event, in any read that begins after that of the entry has ended.
 */
import { topicLowOf, topicLowSpace, type TopicLow } from '../../core/topics/retention.js';
import { topicStream, type EntryWrite, type PartitionKey, type Store } from '../../store/contract.js';

/** Offsets of a partition that were there and are not any more. */
export interface TopicGap {
  readonly from: number;
  readonly to: number;
}

/** The state of a partition, with the text of its entry, which the next write expects; null = there is none yet. */
export interface LowEntry {
  readonly low: TopicLow;
  readonly value: string | null;
}

export async function readLow(store: Store, { tenant, topic, partition }: PartitionKey): Promise<LowEntry> {
  const key = topicStream(topic, partition);
  const [entry] = await store.readEntries({ tenant, space: topicLowSpace, key, limit: 1 });
  return { low: topicLowOf(entry?.value), value: entry?.value ?? null };
}

/** The write that moves the state of a partition on from what it was. */
export function lowWrite({ topic, partition }: PartitionKey, before: LowEntry, low: TopicLow, at: number): EntryWrite {
  return {
    op: 'put',
    space: topicLowSpace,
    key: topicStream(topic, partition),
    ref: 'low',
    value: JSON.stringify(low),
    run: '',
    at,
    expected: before.value,
  };
}

/** The lowest offsets that are kept, by `topic/partition`; what is not there begins at 0. */
export async function readLows(store: Store, tenant: string): Promise<ReadonlyMap<string, number>> {
  const lows = new Map<string, number>();
  for (let after: { key: string; ref: string } | undefined; ; ) {
    const page = await store.readEntries({
      tenant,
      space: topicLowSpace,
      ...(after === undefined ? {} : { after }),
      limit: pageEntries,
    });
    for (const { key, value } of page) lows.set(key, topicLowOf(value).low);
    const last = page.at(-1);
    if (last === undefined || page.length < pageEntries) return lows;
    after = { key: last.key, ref: last.ref };
  }
}

/**
 * What a reader has missed who wanted the events after `after` and was given `first` as the first of them (null = none):
 * null = nothing. To be asked after the events were read, since what is trimmed in between is missing from them.
 */
export async function gapBefore(
  store: Store,
  at: PartitionKey,
  after: number,
  first: number | null,
): Promise<TopicGap | null> {
  if (first === after + 1) return null;
  const { low } = (await readLow(store, at)).low;
  const to = Math.min(low, first ?? low) - 1;
  return to > after ? { from: after + 1, to } : null;
}

const pageEntries = 500;
