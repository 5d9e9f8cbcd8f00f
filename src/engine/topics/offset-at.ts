/**
 * Instants to offsets. Events of a partition are dated before they are given their offsets, by several servers at once, so
 * that dates rise only about: the search goes to a moment before the instant and walks on from there.
 */
import { topicStream, type EventRow, type PartitionKey, type Store } from '../../store/contract.js';

/** How much earlier an event may be dated than one before it in its partition: the longest that a commit may take. */
const disorderMs = 5_000;
const pageEvents = 256;

/** Offset of the first event of the partition dated at or after the instant (epoch ms); `head` where there is none. */
export async function offsetAt(store: Store, at: PartitionKey, head: number, instantMs: number): Promise<number> {
  const { tenant, topic, partition } = at;
  const stream = topicStream(topic, partition);
  const read = (after: number, limit: number): Promise<EventRow[]> =>
    store.readEvents({ tenant, stream, after, limit });
  // Holes are borne: what is asked for at an offset is the first event from there on.
  let [low, high] = [0, head];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [row] = await read(middle - 1, 1);
    if (row === undefined || row.seq >= high || row.at >= instantMs - disorderMs) high = middle;
    else low = row.seq + 1;
  }
  for (let after = low - 1; ; ) {
    const rows = await read(after, pageEvents);
    const found = rows.find((row) => row.at >= instantMs);
    if (found !== undefined) return found.seq;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageEvents) return head;
    after = last.seq;
  }
}
