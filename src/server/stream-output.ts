/** The writing side of an event stream: heartbeats, an end with a word, and the cutting off of a reader that takes nothing. */
import { encodeUtf8 } from '../protocol/json-body.js';
import type { StreamSink } from './answer.js';
import type { ServerLimits } from './options.js';

/** How long a reader is asked to wait before it connects again. */
const retryMs = 1_000;
const heartbeat = encodeUtf8(':\n\n');
const hello = encodeUtf8(`retry: ${retryMs}\n\n`);

export class StreamOutput {
  readonly #sink: StreamSink;
  readonly #limits: ServerLimits;
  /** Since when the reader has taken nothing, on the monotonic clock; null = nothing waits. */
  #stalledSinceMs: number | null = null;
  #waitingBytes = 0;

  constructor(sink: StreamSink, limits: ServerLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  hello(): void {
    this.#sink.write(hello);
  }

  /** True = the reader is full: what comes next is read from the log when it has room. */
  isFull(): boolean {
    return this.#sink.bufferedBytes() >= this.#limits.streamBufferBytesMax;
  }

  /** Ends the stream with a comment that says why. What is buffered still goes out, if the reader takes it in time. */
  end(why: string): void {
    this.#sink.write(encodeUtf8(`: ${why}\nretry: ${retryMs}\n\n`));
    this.#sink.end();
  }

  /**
   * Keeps an idle stream open. False = the reader has taken nothing for too long and is to be cut off; `isOpen` = it may
   * still be written to.
   */
  beat(nowMs: number, isOpen: boolean): boolean {
    const waiting = this.#sink.bufferedBytes();
    if (waiting === 0) {
      this.#stalledSinceMs = null;
      if (isOpen) this.#sink.write(heartbeat);
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
  /** Ends the stream with a comment that says why. */
  end(why: string): void;
  beat(nowMs: number): void;
}

/** Headers of an event stream. */
export const streamHeaders = {
  'content-type': 'text/event-stream',
  // What compresses answers on their way (Next, Express) would collect a stream until it has enough to compress.
  'cache-control': 'no-store, no-transform',
  // Keeps nginx and those that follow it from collecting the stream before passing it on.
  'x-accel-buffering': 'no',
} as const;

/** One message. JSON has no raw line breaks, so one `data` line holds all of it. */
export function frame(id: string, event: string, data: string): string {
  return `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;
}
