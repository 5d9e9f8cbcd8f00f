/**
 * What one subscriber gets of one stream: messages are taken as the server sends them, up to a bound, and handed on in
 * batches, one at a time. While a batch is handled the server is told that it is being worked on.
 *
 * Invariant: every message that was taken is acknowledged, put back or ended, or its connection is gone; then the server
 * gives it to another.
 */
import type { BusDelivery, BusHandler, Settlement } from '../../bus/port.js';
import type { Consumption, JetStream, JetStreamMessage } from './client-module.js';
import { readHeaders } from './names.js';

export interface StreamReaderOptions {
  readonly js: JetStream;
  readonly topic: string;
  readonly stream: string;
  readonly consumer: string;
  readonly batchMax: number;
  readonly waitMs: number;
  readonly ackWaitMs: number;
  readonly handler: BusHandler;
  readonly onFailed: (error: Error) => void;
}

export class StreamReader {
  readonly #options: StreamReaderOptions;
  #queue: JetStreamMessage[] = [];
  #consumption: Consumption | null = null;
  #paused = false;
  #closing = false;
  #arrived: () => void = () => undefined;
  #loop: Promise<void> | null = null;
  /** Changes of the consumption, one after the other. */
  #changes: Promise<void> = Promise.resolve();

  constructor(options: StreamReaderOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.#change(() => this.#consume());
    this.#loop = this.#run();
  }

  pause(): void {
    this.#paused = true;
    void this.#change(() => this.#leave()).catch((error: unknown) => this.#failed(error));
  }

  resume(): void {
    this.#paused = false;
    void this.#change(() => this.#consume()).catch((error: unknown) => this.#failed(error));
    this.#arrived();
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#arrived();
    await this.#loop;
    await this.#change(() => this.#leave()).catch(() => undefined);
  }

  #change(change: () => Promise<void>): Promise<void> {
    const changed = this.#changes.then(change);
    this.#changes = changed.catch(() => undefined);
    return changed;
  }

  async #consume(): Promise<void> {
    if (this.#consumption !== null || this.#paused || this.#closing) return;
    const { js, stream, consumer, batchMax } = this.#options;
    const consumption = await (await js.consumers.get(stream, consumer)).consume({
      max_messages: batchMax,
      expires: pullMs,
      abort_on_missing_resource: true,
      callback: (message) => {
        this.#queue.push(message);
        this.#arrived();
      },
    });
    this.#consumption = consumption;
    void consumption.closed().then((error) => {
      if (this.#consumption === consumption) this.#failed(error ?? new Error('The server has ended the consumer.'));
    });
  }

  /** Takes no more, and puts back what was taken and not handed on. */
  async #leave(): Promise<void> {
    const consumption = this.#consumption;
    this.#consumption = null;
    await consumption?.close();
    for (const message of this.#queue.splice(0)) message.nak();
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      if (this.#paused || this.#queue.length === 0) {
        await this.#arrival(null);
        continue;
      }
      if (this.#queue.length < this.#options.batchMax) await this.#fill();
      if (this.#paused || this.#closing) continue;
      const batch = this.#queue.splice(0, this.#options.batchMax);
      if (batch.length > 0) await this.#handle(batch);
    }
  }

  /** Gives a batch that is not full its time to become so. */
  async #fill(): Promise<void> {
    const untilMs = performance.now() + this.#options.waitMs;
    while (this.#queue.length < this.#options.batchMax && !this.#closing && !this.#paused) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) return;
      await this.#arrival(leftMs);
    }
  }

  #arrival(ms: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(() => this.#arrived(), ms);
      this.#arrived = () => {
        if (timer !== null) clearTimeout(timer);
        this.#arrived = () => undefined;
        resolve();
      };
    });
  }

  async #handle(batch: readonly JetStreamMessage[]): Promise<void> {
    const beat = setInterval(
      () => {
        // What waits behind the batch is ours too.
        for (const message of [...batch, ...this.#queue]) message.working();
      },
      Math.max(20, this.#options.ackWaitMs / 3),
    );
    try {
      const settlements = await this.#settle(batch);
      for (const [i, message] of batch.entries()) {
        const settlement = settlements[i] ?? putBack;
        if (settlement.tag === 'ack') message.ack();
        else if (settlement.tag === 'dead') message.term(settlement.reason.slice(0, reasonLengthMax));
        else message.nak(settlement.afterMs);
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      clearInterval(beat);
    }
  }

  async #settle(batch: readonly JetStreamMessage[]): Promise<readonly Settlement[]> {
    try {
      return await this.#options.handler(batch.map((message) => deliveryOf(this.#options.topic, message)));
    } catch {
      return batch.map(() => putBack);
    }
  }

  #failed(error: unknown): void {
    if (!this.#closing) this.#options.onFailed(error instanceof Error ? error : new Error(String(error)));
  }
}

function deliveryOf(topic: string, message: JetStreamMessage): BusDelivery {
  const { headers, info, data } = message;
  const pairs = (headers?.keys() ?? []).map((name): [string, string] => [name, headers?.get(name) ?? '']);
  return {
    topic,
    ...readHeaders(pairs),
    body: data,
    position: null,
    attempt: info.deliveryCount,
    at: Math.floor(info.timestampNanos / 1e6),
  };
}

const putBack: Settlement = { tag: 'retry', afterMs: 0 };
/** How long one request for messages is open at the server. */
const pullMs = 5_000;
const reasonLengthMax = 200;
