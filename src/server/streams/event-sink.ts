/**
 * Where the messages of a stream of events go, whatever carries them: server-sent events of an HTTP answer (here), or one
 * of many subscriptions of a live socket (`live-sockets.ts`). Streams know no more of their reader than this.
 *
 * Invariant: a message means the same over both; it is made once for all its readers, and encoded once for each kind.
 */
import { encodeUtf8 } from '../../protocol/json-body.js';
import type { StreamAnswer, StreamSink } from '../answer.js';

/** How long a reader is asked to wait before it connects again. */
const retryMs = 1_000;
const heartbeat = encodeUtf8(':\n\n');
const hello = encodeUtf8(`retry: ${retryMs}\n\n`);

/** Headers of an event stream. */
const streamHeaders = {
  'content-type': 'text/event-stream',
  // What compresses answers on their way (Next, Express) would collect a stream until it has enough to compress.
  'cache-control': 'no-store, no-transform',
  // Keeps nginx and those that follow it from collecting the stream before passing it on.
  'x-accel-buffering': 'no',
} as const;

/** One message of a stream. */
export class StreamFrame {
  /** Where a reader goes on after it; null = it is not a place. */
  readonly cursor: string | null;
  readonly event: string;
  readonly data: unknown;
  #eventStream: Uint8Array | null = null;
  #members: string | null = null;

  constructor(cursor: string | null, event: string, data: unknown) {
    this.cursor = cursor;
    this.event = event;
    this.data = data;
  }

  /** As a server-sent event. JSON has no raw line breaks, so one `data` line holds all of it. */
  get eventStream(): Uint8Array {
    const id = this.cursor === null ? '' : `id: ${this.cursor}\n`;
    this.#eventStream ??= encodeUtf8(`${id}event: ${this.event}\ndata: ${JSON.stringify(this.data)}\n\n`);
    return this.#eventStream;
  }

  /** The members of a JSON object, to stand behind others of it. */
  get members(): string {
    // Cursors and names of events have no character that JSON would escape.
    const cursor = this.cursor === null ? 'null' : `"${this.cursor}"`;
    this.#members ??= `"cursor":${cursor},"event":"${this.event}","data":${JSON.stringify(this.data)}`;
    return this.#members;
  }
}

/** The reader of a stream of events. */
export interface EventSink {
  /** Says that the stream is open. */
  hello(): void;
  send(frame: StreamFrame): void;
  /** Keeps an idle stream open. */
  beat(): void;
  /** Bytes sent that the reader has not taken yet. */
  bufferedBytes(): number;
  /** Calls `fn` once when what is buffered has been taken. */
  onDrain(fn: () => void): void;
  /** Calls `fn` once when the reader is gone or the stream has ended. */
  onClose(fn: () => void): void;
  /** Sends what is buffered, then ends. `why` = it may be asked for again, to go on; null = nothing comes after. */
  end(why: string | null): void;
  /** Ends at once; what is buffered is lost. */
  destroy(): void;
}

/** Server-sent events over the bytes of an answer. */
export class EventStreamSink implements EventSink {
  readonly #sink: StreamSink;

  constructor(sink: StreamSink) {
    this.#sink = sink;
  }

  hello(): void {
    this.#sink.write(hello);
  }

  send(frame: StreamFrame): void {
    this.#sink.write(frame.eventStream);
  }

  beat(): void {
    this.#sink.write(heartbeat);
  }

  bufferedBytes(): number {
    return this.#sink.bufferedBytes();
  }

  onDrain(fn: () => void): void {
    this.#sink.onDrain(fn);
  }

  onClose(fn: () => void): void {
    this.#sink.onClose(fn);
  }

  end(why: string | null): void {
    if (why !== null) this.#sink.write(encodeUtf8(`: ${why}\nretry: ${retryMs}\n\n`));
    this.#sink.end();
  }

  destroy(): void {
    this.#sink.destroy();
  }
}

/** The answer of a route that streams events. */
export function eventStream(open: (sink: EventSink) => void): StreamAnswer {
  return {
    kind: 'stream',
    status: 200,
    headers: { ...streamHeaders },
    open: (sink) => open(new EventStreamSink(sink)),
    openEvents: open,
  };
}
