/** Batches of records (format 2), as far as a broker looks into them: what it counts, what it writes over, and ids for faults. */
import { WireReader } from './wire.js';

const at = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  attributes: 21,
  lastOffsetDelta: 23,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61,
} as const;
const headBytes = 12;
const compressionBits = 0x07;

export interface RecordBatch {
  readonly bytes: Buffer;
  readonly count: number;
  readonly baseOffset: bigint;
  readonly lastOffset: bigint;
  readonly maxTimestamp: bigint;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

/** The batches of a request or of a log, each of its own. */
export function batchesIn(bytes: Buffer): RecordBatch[] {
  const batches: RecordBatch[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = from + headBytes + bytes.readInt32BE(from + at.length);
    batches.push(batchOf(bytes.subarray(from, end)));
    from = end;
  }
  return batches;
}

/** The same batch at its place in a log. Neither field is under the checksum. */
export function placed(batch: RecordBatch, baseOffset: bigint): RecordBatch {
  const bytes = Buffer.from(batch.bytes);
  bytes.writeBigInt64BE(baseOffset, at.baseOffset);
  bytes.writeInt32BE(0, at.leaderEpoch);
  return batchOf(bytes);
}

/** Values of a header of the records; none where the batch is compressed. */
export function headersOf(batch: RecordBatch, name: string): string[] {
  if ((batch.bytes.readInt16BE(at.attributes) & compressionBits) !== 0) return [];
  const reader = new WireReader(batch.bytes.subarray(at.records));
  const found: string[] = [];
  for (let i = 0; i < batch.count; i++) {
    const record = new WireReader(reader.bytes(reader.varint()));
    record.int8();
    record.varint();
    record.varint();
    blob(record);
    blob(record);
    const headers = record.varint();
    for (let j = 0; j < headers; j++) {
      const key = blob(record)?.toString('utf8');
      const value = blob(record)?.toString('utf8');
      if (key === name && value !== undefined) found.push(value);
    }
  }
  return found;
}

function batchOf(bytes: Buffer): RecordBatch {
  const baseOffset = bytes.readBigInt64BE(at.baseOffset);
  return {
    bytes,
    count: bytes.readInt32BE(at.recordCount),
    baseOffset,
    lastOffset: baseOffset + BigInt(bytes.readInt32BE(at.lastOffsetDelta)),
    maxTimestamp: bytes.readBigInt64BE(at.maxTimestamp),
    producerId: bytes.readBigInt64BE(at.producerId),
    producerEpoch: bytes.readInt16BE(at.producerEpoch),
    baseSequence: bytes.readInt32BE(at.baseSequence),
  };
}

function blob(reader: WireReader): Buffer | null {
  const length = reader.varint();
  return length < 0 ? null : reader.bytes(length);
}
