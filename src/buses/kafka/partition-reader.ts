/**
 * One partition that this consumer has: what was fetched and is not settled, and the loop that hands it to the handler, one
 * batch at a time.
 *
 * Invariants: batches follow each other in the order of the partition; what the handler has not settled comes again, and with
 * it everything behind it; `position` is never beyond the first message that is not settled.
 */
import type { BusDelivery, BusHandler, BusPartition, Settlement } from '../../bus/index.js';
import { Bell } from './bell.js';
import { bytesOf, type Fetched } from './records.js';

/** A handler that throws has told no time. */
const thrownRetryMs = 1000;
const retryMsMax = 10 * 60_000;

export interface ReaderOptions {
  readonly batchMax: number;
  readonly waitMs: number;
  /** Told when a prefix was settled; `next` is where the partition goes on. */
  readonly onSettled: (partition: BusPartition, next: bigint) => void;
  /** Told when there is room again. */
  readonly onRoom: () => void;
}

export class PartitionReader {
  readonly partition: BusPartition;
  readonly #handler: BusHandler;
  readonly #options: ReaderOptions;
  readonly #bell = new Bell();
  #waiting: BusDelivery[] = [];
  #bytes = 0;
  /** Offset to fetch next. */
  #fetchNext: bigint;
  #firstAt = 0;
  #paused: boolean;
  #stopped = false;
  /** Resolves when the handler is not running and never will be. */
  readonly ended: Promise<void>;

  /** Starts when `before` has resolved: another reader of the same partition may still have its handler at work. */
  constructor(
    partition: BusPartition,
    position: bigint,
    handler: BusHandler,
    paused: boolean,
    before: Promise<void>,
    options: ReaderOptions,
  ) {
    this.partition = partition;
    this.#fetchNext = position;
    this.#handler = handler;
    this.#paused = paused;
    this.#options = options;
    this.ended = before.then(() => this.#run());
  }

  get fetchNext(): bigint {
    return this.#fetchNext;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get wantsMore(): boolean {
    return !this.#stopped && this.#waiting.length < this.#options.batchMax;
  }

  /** Takes what was fetched from `from` on; what came for another position than the present one is dropped. */
  add(from: bigint, { deliveries, next }: Fetched): void {
    if (this.#stopped || from !== this.#fetchNext) return;
    this.#fetchNext = next;
    if (deliveries.length === 0) {
      // Marks of transactions alone: nothing to hand over, and yet brokers may count us as further on.
      if (next > from && this.#waiting.length === 0) this.#options.onSettled(this.partition, next);
      return;
    }
    if (this.#waiting.length === 0) this.#firstAt = performance.now();
    for (const delivery of deliveries) {
      this.#waiting.push(delivery);
      this.#bytes += bytesOf(delivery);
    }
    this.#bell.ring();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#bell.ring();
  }

  /** No further batch begins. */
  stop(): void {
    this.#stopped = true;
    this.#bell.ring();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const batch = await this.#nextBatch();
      if (batch === null) return;
      const settlements = await settled(this.#handler, batch);
      this.#settle(settlements);
      const retry = settlements.find((settlement) => settlement.tag === 'retry');
      if (retry?.tag === 'retry') await this.#sleep(Math.min(Math.max(0, retry.afterMs), retryMsMax));
    }
  }

  /** The next batch: full, or as old as it may get; null at the end. */
  async #nextBatch(): Promise<readonly BusDelivery[] | null> {
    for (;;) {
      if (this.#stopped) return null;
      if (this.#paused || this.#waiting.length === 0) {
        await this.#bell.wait();
        continue;
      }
      const { batchMax, waitMs } = this.#options;
      const leftMs = waitMs - (performance.now() - this.#firstAt);
      if (this.#waiting.length >= batchMax || leftMs <= 0) return this.#waiting.slice(0, batchMax);
      await this.#bell.wait(Math.ceil(leftMs));
    }
  }

  /** Drops the settled prefix. */
  #settle(settlements: readonly Settlement[]): void {
    const open = settlements.findIndex(({ tag }) => tag === 'retry');
    const done = this.#waiting.splice(0, open === -1 ? settlements.length : open);
    if (done.length === 0) return;
    for (const delivery of done) this.#bytes -= bytesOf(delivery);
    this.#firstAt = performance.now();
    this.#options.onSettled(this.partition, this.#waiting[0]?.position?.offset ?? this.#fetchNext);
    this.#options.onRoom();
  }

  async #sleep(ms: number): Promise<void> {
    const until = performance.now() + ms;
    for (let leftMs = ms; leftMs > 0 && !this.#stopped; leftMs = until - performance.now())
      await this.#bell.wait(Math.ceil(leftMs));
  }
}

/** One settlement for each delivery, whatever the handler does. */
async function settled(handler: BusHandler, batch: readonly BusDelivery[]): Promise<readonly Settlement[]> {
  const all = (afterMs: number): readonly Settlement[] => batch.map(() => ({ tag: 'retry', afterMs }));
  try {
    const settlements = await handler(batch);
    return settlements.length === batch.length ? settlements : all(thrownRetryMs);
  } catch {
    return all(thrownRetryMs);
  }
}
