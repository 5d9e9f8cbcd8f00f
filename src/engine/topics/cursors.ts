/**
 * Cursors of subscriptions as entries of the store: where they are, and where one begins that is not there yet. They are
 * always written from the value that was read (`expected`), so that of two who move one, one does.
 */
import {
  subscriptionCursorSpace,
  type Cursor,
  type StartPosition,
  type Subscription,
} from '../../core/topics/subscription.js';
import { limits } from '../../core/limits.js';
import {
  topicStream,
  type EntryKey,
  type EntryRow,
  type EntryWrite,
  type EventRow,
  type PartitionKey,
  type Store,
} from '../../store/contract.js';
import { offsetAt } from './offset-at.js';

/** A cursor as it is stored; `text` null = nothing is, and it begins at `cursor`. */
export interface StoredCursor<C extends Cursor = Cursor> {
  readonly text: string | null;
  readonly cursor: C;
}

/** From where on events are new to a subscription. */
export interface Since {
  /** Epoch ms. */
  readonly at: number;
  /** Head of the feed: what has a later place in it is new, whatever clocks say. null = only the instant is known. */
  readonly position: number | null;
}

/** The key of the entry of a cursor. */
export function cursorKey(subscription: string, { topic, partition }: Omit<PartitionKey, 'tenant'>): EntryKey {
  return { space: subscriptionCursorSpace, key: subscription, ref: topicStream(topic, partition) };
}

/** What moves a cursor, and nothing else of its transition, where it is still what was read. */
export function cursorWrite(
  subscription: string,
  at: Omit<PartitionKey, 'tenant'>,
  before: string | null,
  cursor: Cursor,
  now: number,
): EntryWrite {
  const value = JSON.stringify(cursor);
  return { op: 'put', ...cursorKey(subscription, at), value, run: '', at: now, expected: before };
}

/** The cursor of a partition; null = there is none yet. */
export async function readCursor(store: Store, subscription: string, at: PartitionKey): Promise<StoredCursor | null> {
  const row = await readEntry(store, at.tenant, cursorKey(subscription, at));
  return row === null ? null : { text: row.value, cursor: JSON.parse(row.value) as Cursor };
}

/** Cursors at the heads: what is there before it is made is not new to it, to the event and not to the millisecond. */
export async function cursorsAtHeads(
  store: Pick<Store, 'listPartitions'>,
  tenant: string,
  { name, topic }: Pick<Subscription, 'name' | 'topic'>,
  at: number,
): Promise<EntryWrite[]> {
  const heads = await store.listPartitions({
    after: { tenant, topic, partition: -1 },
    limit: limits.topicPartitionsMax,
  });
  return heads
    .filter((one) => one.tenant === tenant && one.topic === topic)
    .map(({ partition, head }) => cursorWrite(name, { topic, partition }, null, { next: head }, at));
}

/** All cursors of a subscription, in the order of `topic/partition` as text. */
export async function readCursors(store: Store, tenant: string, subscription: string): Promise<EntryRow[]> {
  const rows: EntryRow[] = [];
  let after: EntryRow | undefined;
  for (;;) {
    const page: readonly EntryRow[] = await store.readEntries({
      tenant,
      space: subscriptionCursorSpace,
      key: subscription,
      ...(after === undefined ? {} : { after }),
      limit: pageRows,
    });
    rows.push(...page);
    after = page.at(-1);
    if (page.length < pageRows) return rows;
  }
}

/** One entry by its whole key; null = it is not there. */
export async function readEntry(store: Store, tenant: string, { space, key, ref }: EntryKey): Promise<EntryRow | null> {
  const last = ref.charCodeAt(ref.length - 1);
  // No entry is between this text and the one that is asked for.
  const before = ref === '' ? null : `${ref.slice(0, -1)}${String.fromCharCode(last - 1)}\u{10ffff}`;
  const [row] = await store.readEntries({
    tenant,
    space,
    key,
    ...(before === null ? {} : { after: { key, ref: before } }),
    limit: 1,
  });
  return row?.ref === ref ? row : null;
}

/**
 * The offset that a position stands for in a partition of so many events. `since`: from where on events are new. Of instants it
 * is the first event at or after it: clocks of several servers may differ a little, and what may be too early is rather
 * taken than left out.
 */
export async function offsetOf(
  store: Store,
  at: PartitionKey,
  head: number,
  from: StartPosition,
  since: Since,
): Promise<number> {
  if (from === 'oldest') return 0;
  if (from !== 'newest' && 'offset' in from) return from.offset;
  const { position } = since;
  // What is not numbered yet comes after what was when the subscription was declared.
  if (from === 'newest' && position !== null)
    return firstOf(store, at, head, (row) => row.position === 0 || row.position > position);
  const instant = from === 'newest' ? since.at : from.at;
  return offsetAt(store, at, head, instant);
}

/** The offset of the first event that `isBehind` holds for, and for all after it; the head where there is none. */
async function firstOf(
  store: Store,
  at: PartitionKey,
  head: number,
  isBehind: (row: EventRow) => boolean,
): Promise<number> {
  const stream = topicStream(at.topic, at.partition);
  let low = 0;
  let high = head;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [row] = await store.readEvents({ tenant: at.tenant, stream, after: middle - 1, limit: 1 });
    if (row === undefined || isBehind(row)) high = middle;
    else low = row.seq + 1;
  }
  return low;
}

const pageRows = 500;
