/**
 * What a handler answers, independent of the transport: a whole message, or a stream that is opened on a sink.
 */
import type { Problem } from '../protocol/http.js';
import { problemType } from '../protocol/problem.js';
import type { EventSink } from './streams/event-sink.js';

/** Headers are owned by the answer; what sends it may add to them. */
export interface WholeAnswer {
  readonly kind: 'whole';
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | null;
  /** Called once, when nothing of the body is held any more. */
  readonly onSent?: () => void;
}

export interface StreamAnswer {
  readonly kind: 'stream';
  readonly status: number;
  readonly headers: Record<string, string>;
  /** Called once, when the headers are on their way. */
  readonly open: (sink: StreamSink) => void;
  /** The same for a reader of messages, where it is a stream of events. In place of `open`. */
  readonly openEvents?: (sink: EventSink) => void;
}

export type Answer = WholeAnswer | StreamAnswer;

/** Where a stream goes: a socket, or a web stream. */
export interface StreamSink {
  write(chunk: Uint8Array): void;
  /** Bytes written that the reader has not taken yet. */
  bufferedBytes(): number;
  /** Calls `fn` once when what is buffered has been taken. */
  onDrain(fn: () => void): void;
  /** Calls `fn` once when the reader is gone or the stream has ended. */
  onClose(fn: () => void): void;
  /** Sends what is buffered, then ends. */
  end(): void;
  /** Ends at once; what is buffered is lost. */
  destroy(): void;
}

/** An answer with a JSON body. */
export function json(status: number, value: unknown, headers: Record<string, string> = {}): WholeAnswer {
  return jsonText(status, JSON.stringify(value), headers);
}

/** An answer whose body is JSON already. */
export function jsonText(status: number, text: string, headers: Record<string, string> = {}): WholeAnswer {
  headers['content-type'] = 'application/json';
  return { kind: 'whole', status, headers, body: text };
}

/** An answer without a body. */
export function empty(status: number, headers: Record<string, string> = {}): WholeAnswer {
  return { kind: 'whole', status, headers, body: null };
}

/** A problem as an answer. */
export function problemAnswerOf(problem: Problem, headers: Record<string, string> = {}): WholeAnswer {
  headers['content-type'] = problemType;
  return { kind: 'whole', status: problem.status, headers, body: JSON.stringify(problem) };
}
