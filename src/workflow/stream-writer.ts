/**
 * Writers of streams: collect chunks for a moment and hand them on in batches, one after the other. The first chunk goes
 * at once, so that a reader sees a beginning; the longer a stream lasts the longer the batches, so that an hour of tokens
 * does not fill the history of its run.
 *
 * Invariant: chunks are handed on in the order in which they were written, each one time, and one batch at a time.
 */
import { encodeValue } from '../core/codec.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { InlinePayload } from '../core/payload.js';
import type { CancelTimer, Ports } from '../core/ports.js';
import { exceedsUtf8 } from '../core/utf8.js';

/** Takes what readers of a run are to see while work goes on: tokens, rows, log lines. */
export interface StreamWriter {
  /**
   * Adds a chunk. Resolves when there is room for more, so that awaiting it slows a fast source to the pace of the store.
   * Rejects with VALUE_UNSTORABLE where the chunk cannot be stored, and never for the sake of the store: a stream that
   * cannot be written any more has lost its lease, and its step is aborted.
   */
  write(chunk: unknown): Promise<void>;
}

/** Chunks with consecutive numbers within an attempt. */
export interface ChunkBatch {
  /** Number of the first chunk in the attempt, from 0. */
  readonly from: number;
  readonly count: number;
  /** The list of the chunks. */
  readonly chunks: InlinePayload;
}

/** Hands a batch on; resolves when it is recorded or can no longer be. */
export type SendBatch = (batch: ChunkBatch) => Promise<void>;

/** See the top of the module. */
export class ChunkBatcher implements StreamWriter {
  readonly #ports: Pick<Ports, 'clock' | 'timers'>;
  readonly #send: SendBatch;
  readonly #startedMs: number;
  #texts: string[] = [];
  #bytes = 0;
  #next: number;
  #sending = false;
  #sentMs = Number.NEGATIVE_INFINITY;
  #cancelTimer: CancelTimer | null = null;
  #onRoom: (() => void)[] = [];
  /** Batches that were handed on and are not recorded yet. */
  readonly #unanswered = new Set<Promise<void>>();

  /** `next`: chunks that this attempt is known to have written before. */
  constructor(ports: Pick<Ports, 'clock' | 'timers'>, send: SendBatch, next = 0) {
    this.#ports = ports;
    this.#send = send;
    this.#next = next;
    this.#startedMs = ports.clock.monotonicMs();
  }

  async write(chunk: unknown): Promise<void> {
    const { text } = encodeValue(chunk);
    if (exceedsUtf8(text, limits.streamChunkBytesMax)) {
      const reason = `a chunk of a stream is larger than ${limits.streamChunkBytesMax} bytes`;
      throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason });
    }
    this.#texts.push(text);
    // A unit of UTF-16 takes up to three bytes of UTF-8; what counts is that the batch surely fits.
    this.#bytes += 3 * text.length + 1;
    this.#sendWhenDue();
    if (this.#bytes <= limits.streamBatchBytesMax) return;
    await new Promise<void>((resolve) => this.#onRoom.push(resolve));
  }

  /**
   * The source has come to its end: hands on what is left, after what is under way, and resolves when all of it is
   * recorded or can no longer be. An outcome that overtakes a batch would leave it out.
   */
  async end(): Promise<void> {
    await Promise.all(this.#unanswered);
    this.flush();
    await Promise.all(this.#unanswered);
  }

  /** Hands on what is there, without waiting. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    while (this.#texts.length > 0) void this.#sendBatch();
  }

  #sendWhenDue(): void {
    if (this.#sending || this.#cancelTimer !== null || this.#texts.length === 0) return;
    const { clock, timers } = this.#ports;
    const nowMs = clock.monotonicMs();
    const waitMs = this.#sentMs + pauseMs(nowMs - this.#startedMs) - nowMs;
    if (waitMs <= 0) {
      // In the next micro-task, so that chunks written in one go are one batch.
      this.#cancelTimer = ignore;
      Promise.resolve().then(() => {
        this.#cancelTimer = null;
        this.#sendNow();
      }, ignore);
      return;
    }
    this.#cancelTimer = timers.after(waitMs, () => {
      this.#cancelTimer = null;
      this.#sendNow();
    });
  }

  #sendNow(): void {
    if (this.#sending || this.#texts.length === 0) return;
    this.#sending = true;
    this.#sendBatch().then(() => {
      this.#sending = false;
      this.#sendWhenDue();
    }, ignore);
  }

  #sendBatch(): Promise<void> {
    this.#sentMs = this.#ports.clock.monotonicMs();
    const texts: string[] = [];
    let bytes = 0;
    for (const text of this.#texts) {
      bytes += 3 * text.length + 1;
      if (texts.length > 0 && bytes > limits.streamBatchBytesMax) break;
      texts.push(text);
    }
    this.#texts = this.#texts.slice(texts.length);
    this.#bytes = this.#texts.reduce((sum, text) => sum + 3 * text.length + 1, 0);
    const batch = { from: this.#next, count: texts.length, chunks: listOf(texts) };
    this.#next += texts.length;
    if (this.#bytes <= limits.streamBatchBytesMax) for (const resolve of this.#onRoom.splice(0)) resolve();
    const answer = this.#send(batch);
    this.#unanswered.add(answer);
    return answer.finally(() => this.#unanswered.delete(answer));
  }
}

/** Encoded values, side by side in brackets, are their encoded list. */
function listOf(texts: readonly string[]): InlinePayload {
  return { codec: 'json/1', text: `[${texts.join(',')}]` };
}

/** Time between two batches: 50 ms at first, a second from the first minute on. */
function pauseMs(ageMs: number): number {
  return Math.min(1_000, Math.max(50, ageMs / 60));
}

function ignore(): void {}
