/** Reads of one partition during one visit, shared by all who look at it then. */
import { topicStream, type EventRow, type PartitionKey } from '../../store/contract.js';
import type { EngineContext } from '../context.js';

export class PartitionReader {
  readonly #context: EngineContext;
  readonly #at: PartitionKey;
  readonly #pages = new Map<number, Promise<EventRow[]>>();
  readonly #rows = new Map<number, EventRow>();
  #head: Promise<number> | null = null;

  constructor(context: EngineContext, at: PartitionKey) {
    this.#context = context;
    this.#at = at;
  }

  /** Offset of the next event, as it was when it was first asked for: what is before it and is not read is no longer there. */
  head(): Promise<number> {
    this.#head ??= this.#readHead();
    return this.#head;
  }

  /** A batch of the events after an offset. */
  after(offset: number): Promise<readonly EventRow[]> {
    let page = this.#pages.get(offset);
    if (page === undefined) {
      page = this.#read(offset, batchEvents);
      this.#pages.set(offset, page);
    }
    return page;
  }

  /** One event; null = it is no longer there. */
  async row(offset: number): Promise<EventRow | null> {
    const known = this.#rows.get(offset);
    if (known !== undefined) return known;
    const [row] = await this.#read(offset - 1, 1);
    return row?.seq === offset ? row : null;
  }

  async #read(after: number, limit: number): Promise<EventRow[]> {
    const { tenant, topic, partition } = this.#at;
    const stream = topicStream(topic, partition);
    const rows = await this.#context.store.readEvents({ tenant, stream, after, limit });
    for (const row of rows) this.#rows.set(row.seq, row);
    return rows;
  }

  async #readHead(): Promise<number> {
    const { tenant, topic, partition } = this.#at;
    const [found] = await this.#context.store.listPartitions({
      after: { tenant, topic, partition: partition - 1 },
      limit: 1,
    });
    const isIt = found?.tenant === tenant && found.topic === topic && found.partition === partition;
    return isIt ? found.head : 0;
  }
}

const batchEvents = 256;
