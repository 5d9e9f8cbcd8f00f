/**
 * From what brokers answer to deliveries, without any state: marks of transactions and what was aborted are left out, and so
 * is what lies before the position that was asked for, because brokers answer with whole batches.
 *
 * Invariant: `next` is behind everything that was looked at, so that a reader moves on even where nothing was for it.
 */
import type { BusDelivery, BusPartition } from '../../bus/index.js';
import type { ClientBatch, ClientFetchedPartition, ClientRecord } from './client-module.js';

/** Header under which the id of an event travels: that of the CloudEvents binding for Kafka. */
export const idHeader = 'ce_id';

const bits = { logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const;
/** What a record takes in memory beside its bytes, roughly. */
const recordBytes = 200;

export interface Fetched {
  readonly deliveries: readonly BusDelivery[];
  /** Offset to ask for next. */
  readonly next: bigint;
}

const utf8 = new TextDecoder('utf-8');

/** What is for us in the answer for one partition, of which `from` and everything behind it was wanted. */
export function deliveriesOf(partition: BusPartition, from: bigint, answer: ClientFetchedPartition): Fetched {
  const deliveries: BusDelivery[] = [];
  let next = from;
  // As the client of Java does it: from the first offset of an aborted transaction to its mark, what its producer wrote is void.
  const aborted = [...(answer.abortedTransactions ?? [])].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const voided = new Set<bigint>();
  for (const batch of answer.records ?? []) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    while (aborted[0] !== undefined && aborted[0].firstOffset <= last) {
      voided.add(aborted[0].producerId);
      aborted.shift();
    }
    if ((batch.attributes & bits.control) !== 0) {
      if (isAbortMark(batch)) voided.delete(batch.producerId);
    } else if ((batch.attributes & bits.transactional) === 0 || !voided.has(batch.producerId)) {
      for (const record of batch.records) {
        const offset = batch.firstOffset + BigInt(record.offsetDelta);
        if (offset >= from) deliveries.push(deliveryOf(partition, batch, record, offset));
      }
    }
    if (last >= next) next = last + 1n;
  }
  return { deliveries, next };
}

/** What a delivery takes while it waits. */
export function bytesOf(delivery: BusDelivery): number {
  return delivery.body.byteLength + (delivery.key?.length ?? 0) + recordBytes;
}

function deliveryOf(partition: BusPartition, batch: ClientBatch, record: ClientRecord, offset: bigint): BusDelivery {
  const headers: Record<string, string> = {};
  for (const [name, value] of record.headers) {
    // The last of a name counts, as for the client of Java. `__proto__` is a name like any other.
    if (name !== null)
      Object.defineProperty(headers, utf8.decode(name).toLowerCase(), {
        value: value === null ? '' : utf8.decode(value),
        enumerable: true,
        configurable: true,
        writable: true,
      });
  }
  const appended = (batch.attributes & bits.logAppendTime) !== 0;
  const at = appended ? batch.maxTimestamp : batch.firstTimestamp + record.timestampDelta;
  return {
    id: Object.hasOwn(headers, idHeader) ? (headers[idHeader] ?? null) : null,
    topic: partition.topic,
    key: record.key === null ? null : utf8.decode(record.key),
    headers,
    body: record.value ?? new Uint8Array(0),
    position: { ...partition, offset },
    attempt: null,
    at: at < 0n ? null : Number(at),
  };
}

/** The key of a mark is its version and its kind; kind 0 is "aborted". */
function isAbortMark(batch: ClientBatch): boolean {
  const key = batch.records[0]?.key;
  return key !== undefined && key !== null && key.length >= 4 && key.readInt16BE(2) === 0;
}
