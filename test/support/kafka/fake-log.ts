/**
 * Topics of the fake broker: logs in memory, with what an idempotent producer relies on. Sequences are checked and the last
 * five batches of a producer are known again, as real brokers do it.
 */
import { randomBytes } from 'node:crypto';
import { codes } from './codes.js';
import { batchesIn, headersOf, placed, type RecordBatch } from './record-batch.js';

const duplicatesKept = 5;

interface ProducerState {
  readonly epoch: number;
  nextSequence: number;
  readonly last: { readonly baseSequence: number; readonly count: number; readonly offset: bigint }[];
}

export class FakePartition {
  #batches: RecordBatch[] = [];
  readonly #producers = new Map<bigint, ProducerState>();
  start = 0n;
  end = 0n;

  /** `{ error, offset }`: code and offset of the first record. A repeat is answered as it was the first time. */
  append(bytes: Buffer): { error: number; offset: bigint } {
    let offset = -1n;
    for (const batch of batchesIn(bytes)) {
      const known = this.#check(batch);
      if (known !== null) return known;
      const kept = placed(batch, this.end);
      this.#batches.push(kept);
      if (offset < 0n) offset = kept.baseOffset;
      this.end = kept.lastOffset + 1n;
      this.#remember(batch, kept.baseOffset);
    }
    return { error: codes.none, offset };
  }

  /** Batches from the one that holds `offset`, at least one where there is one. */
  read(offset: bigint, bytesMax: number): Buffer {
    const found: Buffer[] = [];
    let bytes = 0;
    for (const batch of this.#batches) {
      if (batch.lastOffset < offset) continue;
      if (found.length > 0 && bytes + batch.bytes.length > bytesMax) break;
      found.push(batch.bytes);
      bytes += batch.bytes.length;
    }
    return Buffer.concat(found);
  }

  trim(below: bigint): void {
    this.start = below > this.start ? below : this.start;
    this.#batches = this.#batches.filter(({ lastOffset }) => lastOffset >= this.start);
  }

  /** The answer where nothing is to be appended. */
  #check(batch: RecordBatch): { error: number; offset: bigint } | null {
    if (batch.producerId < 0n) return null;
    const state = this.#producers.get(batch.producerId);
    if (state === undefined || state.epoch !== batch.producerEpoch)
      return batch.baseSequence === 0 ? null : { error: codes.outOfOrderSequence, offset: -1n };
    const repeat = state.last.find(
      ({ baseSequence, count }) => baseSequence === batch.baseSequence && count === batch.count,
    );
    if (repeat !== undefined) return { error: codes.none, offset: repeat.offset };
    return batch.baseSequence === state.nextSequence ? null : { error: codes.outOfOrderSequence, offset: -1n };
  }

  #remember({ producerId, producerEpoch, baseSequence, count }: RecordBatch, offset: bigint): void {
    if (producerId < 0n) return;
    const known = this.#producers.get(producerId);
    const state = known?.epoch === producerEpoch ? known : { epoch: producerEpoch, nextSequence: 0, last: [] };
    state.nextSequence = baseSequence + count;
    state.last.push({ baseSequence, count, offset });
    if (state.last.length > duplicatesKept) state.last.shift();
    this.#producers.set(producerId, state);
  }
}

export interface FakeTopic {
  readonly name: string;
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly partitions: readonly FakePartition[];
}

export class FakeTopics {
  readonly #topics = new Map<string, FakeTopic>();
  /** Ids of events that are refused, once each. */
  readonly refused = new Set<string>();

  get all(): readonly FakeTopic[] {
    return [...this.#topics.values()];
  }

  /** False where there is one of the name. */
  create(name: string, partitions: number): boolean {
    if (this.#topics.has(name)) return false;
    this.#topics.set(name, {
      name,
      id: randomBytes(16).toString('hex'),
      partitions: Array.from({ length: partitions }, () => new FakePartition()),
    });
    return true;
  }

  delete(name: string): void {
    this.#topics.delete(name);
  }

  named(name: string): FakeTopic | undefined {
    return this.#topics.get(name);
  }

  withId(id: string): FakeTopic | undefined {
    return this.all.find((topic) => topic.id === id);
  }

  /** As brokers do it: one record that is not taken fails its whole batch. */
  append(topic: string, partition: number, bytes: Buffer): { error: number; offset: bigint } {
    const found = this.#topics.get(topic)?.partitions[partition];
    if (found === undefined) return { error: codes.unknownTopicOrPartition, offset: -1n };
    const ids = this.refused.size === 0 ? [] : batchesIn(bytes).flatMap((batch) => headersOf(batch, 'ce_id'));
    const [only, ...others] = ids;
    if (ids.some((id) => this.refused.has(id))) {
      if (others.length > 0 || only === undefined) return { error: codes.invalidRecord, offset: -1n };
      this.refused.delete(only);
      return { error: codes.unknownServerError, offset: -1n };
    }
    return found.append(bytes);
  }
}
