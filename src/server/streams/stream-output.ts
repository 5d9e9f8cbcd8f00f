/** Looks after the reader of a stream of events: heartbeats, and the cutting off of one that takes nothing. */
import type { EventSink } from './event-sink.js';
import type { ServerLimits } from '../options.js';

export class StreamOutput {
  readonly #sink: Pick<EventSink, 'beat' | 'bufferedBytes'>;
  readonly #limits: ServerLimits;
  /** Since when the reader has taken nothing, on the monotonic clock; null = nothing waits. */
  #stalledSinceMs: number | null = null;
  #waitingBytes = 0;

  constructor(sink: Pick<EventSink, 'beat' | 'bufferedBytes'>, limits: ServerLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  /** True = the reader is full: what comes next is read from the log when it has room. */
  isFull(): boolean {
    return this.#sink.bufferedBytes() >= this.#limits.streamBufferBytesMax;
  }

  /**
   * Keeps an idle stream open. False = the reader has taken nothing for too long and is to be cut off; `isOpen` = it may
   * still be written to.
   */
  beat(nowMs: number, isOpen: boolean): boolean {
    const waiting = this.#sink.bufferedBytes();
    if (waiting === 0) {
      this.#stalledSinceMs = null;
      if (isOpen) this.#sink.beat();
      return true;
    }
    if (this.#stalledSinceMs === null || waiting < this.#waitingBytes) this.#stalledSinceMs = nowMs;
    this.#waitingBytes = waiting;
    return nowMs - this.#stalledSinceMs < this.#limits.streamStallMs;
  }
}

/** An open stream, as its hub looks after it. */
export interface OpenStream {
  start(): void;
  /** Lets go of the engine. Called when the sink is closed, for whatever reason. */
  stop(): void;
  /** Ends the stream, saying why. */
  end(why: string): void;
  beat(nowMs: number): void;
}
