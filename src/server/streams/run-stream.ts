/**
 * The event stream of a run. The log is the buffer: a reader that falls behind is fed from the
 * log again at its own pace, so a slow reader costs bounded memory and misses nothing, and one that takes nothing at
 * all is cut off. An event is serialised once for all its readers.
 *
 * Invariant: what a reader is sent are the events of one run in `seq` order, each once; a hole is always told (`gap`).
 */
import type { Engine, RunStreamHandlers } from '../../engine/api.js';
import type { RunEventView, RunViewState, StreamEvent } from '../../protocol/http.js';
import { nodePorts } from '../../runtime/index.js';
import { cursorOf } from './cursor.js';
import { StreamFrame, type EventSink } from './event-sink.js';
import type { ServerLimits, ServerLogEntry } from '../options.js';
import { StreamOutput, type OpenStream } from './stream-output.js';
import { TopicStream, type TopicStreamRequest } from './topic-stream.js';

export interface StreamRequest {
  readonly tenant: string;
  readonly run: string;
  /** `seq` of the last event that the reader has seen; 0 = none. */
  readonly after: number;
  readonly state: RunViewState;
  readonly sink: EventSink;
  readonly reference: string;
  /** What the reader is shown instead of each event, the same object for the same event; null = the event itself. */
  readonly show: ((event: RunEventView) => RunEventView) | null;
  /** How long the reader may read, ms; null = without end. */
  readonly forMs: number | null;
}

export interface StreamHubOptions {
  readonly engine: Engine;
  readonly limits: ServerLimits;
  readonly log: (entry: ServerLogEntry) => void;
}

/** Opens event streams. */
export interface Streams {
  /** Open streams of the server. */
  readonly size: number;
  open(request: StreamRequest): void;
  openTopic(request: TopicStreamRequest): void;
}

/** Streams served in one turn of the event loop when a heartbeat goes to all of them. */
const beatsPerTurn = 500;

/** All open streams of a server, with the one timer that they share. */
export class StreamHub implements Streams {
  readonly #options: StreamHubOptions;
  readonly #streams = new Set<OpenStream>();
  #cancelBeat: (() => void) | null = null;
  #closed = false;

  constructor(options: StreamHubOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#streams.size;
  }

  open(request: StreamRequest): void {
    this.#add(request.sink, new RunStream(request, this.#options));
  }

  openTopic(request: TopicStreamRequest): void {
    this.#add(request.sink, new TopicStream(request, this.#options));
  }

  /** The same over the engine of a caller who is not shown everything. */
  of(engine: Engine): Streams {
    const options = { ...this.#options, engine };
    const streams = this.#streams;
    return {
      get size() {
        return streams.size;
      },
      open: (request) => this.#add(request.sink, new RunStream(request, options)),
      openTopic: (request) => this.#add(request.sink, new TopicStream(request, options)),
    };
  }

  #add(sink: EventSink, stream: OpenStream): void {
    this.#streams.add(stream);
    sink.onClose(() => {
      stream.stop();
      this.#streams.delete(stream);
    });
    if (this.#closed) return stream.end('the server is stopping; connect again');
    stream.start();
    this.#cancelBeat ??= nodePorts.timers.after(this.#options.limits.heartbeatMs, () => this.#beat());
  }

  /** Ends all streams with a hint to come back. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#cancelBeat?.();
    this.#cancelBeat = null;
    for (const stream of [...this.#streams]) stream.end('the server is stopping; connect again');
  }

  #beat(): void {
    const streams = [...this.#streams];
    const beatSome = (from: number): void => {
      const now = nodePorts.clock.monotonicMs();
      for (const stream of streams.slice(from, from + beatsPerTurn)) stream.beat(now);
      if (from + beatsPerTurn < streams.length) nodePorts.timers.turn(() => beatSome(from + beatsPerTurn));
    };
    beatSome(0);
    this.#cancelBeat =
      this.#streams.size === 0 || this.#closed
        ? null
        : nodePorts.timers.after(this.#options.limits.heartbeatMs, () => this.#beat());
  }
}

class RunStream implements OpenStream {
  readonly #request: StreamRequest;
  readonly #output: StreamOutput;
  readonly #options: StreamHubOptions;
  /** `seq` of the last event that was written. */
  #after: number;
  #state: RunViewState | null = null;
  #stopFollowing: (() => void) | null = null;
  /** Counts the times that the run was followed; what an earlier one still says is not heard. */
  #following = 0;
  #closed = false;
  #cancelEnd: (() => void) | null = null;

  constructor(request: StreamRequest, options: StreamHubOptions) {
    this.#request = request;
    this.#options = options;
    this.#output = new StreamOutput(request.sink, options.limits);
    this.#after = request.after;
  }

  start(): void {
    this.#request.sink.hello();
    this.#tellState(this.#request.state);
    const { forMs } = this.#request;
    if (forMs !== null) {
      this.#cancelEnd = nodePorts.timers.after(Math.max(0, forMs), () => this.end('the read token has expired'));
    }
    this.#follow();
  }

  /** Lets go of the engine. Called when the sink is closed, for whatever reason. */
  stop(): void {
    this.#closed = true;
    this.#following += 1;
    this.#cancelEnd?.();
    this.#stopFollowing?.();
    this.#stopFollowing = null;
  }

  /** Ends the stream, saying why. What is buffered still goes out, if the reader takes it in time. */
  end(why: string): void {
    if (this.#closed) return;
    this.stop();
    this.#request.sink.end(why);
  }

  /** Keeps an idle stream open; cuts off one whose reader has taken nothing for too long. */
  beat(nowMs: number): void {
    if (this.#output.beat(nowMs, !this.#closed)) return;
    // The word is for a reader that wakes up in the very last moment; the socket goes in any case.
    this.end('cut off: the reader takes too little; connect again to go on from the last id');
    this.#request.sink.destroy();
  }

  #follow(): void {
    const { tenant, run } = this.#request;
    const turn = ++this.#following;
    const isCurrent = (): boolean => !this.#closed && turn === this.#following;
    const handlers: RunStreamHandlers = {
      onEvents: (events, state) => isCurrent() && this.#tellEvents(events, state),
      onGap: (from, to) => {
        if (!isCurrent()) return;
        this.#write({ event: 'gap', data: { from, to } }, to);
        this.#after = to;
      },
      onEnd: (state) => {
        if (!isCurrent()) return;
        this.#write({ event: 'end', data: { state } }, this.#after);
        this.stop();
        this.#request.sink.end(null);
      },
      onError: (error) => {
        if (isCurrent()) this.#fail(error);
      },
    };
    this.#options.engine.follow(tenant, run, this.#after, handlers).then(
      (stop) => {
        if (stop === null) {
          if (isCurrent()) this.end('the run was deleted');
        } else if (isCurrent()) this.#stopFollowing = stop;
        else stop();
      },
      (error: unknown) => {
        if (isCurrent()) this.#fail(error);
      },
    );
  }

  /** False = the reader is full; the rest is read from the log again when it has room. */
  #tellEvents(events: readonly RunEventView[], state: RunViewState): boolean {
    const { tenant, run, sink, show } = this.#request;
    // Where others fill the same connection, there may be no room to begin with.
    if (this.#output.isFull()) return this.#pause();
    for (const event of events) {
      if (event.seq <= this.#after) continue;
      sink.send(frameOf(tenant, run, show === null ? event : show(event)));
      this.#after = event.seq;
      if (this.#output.isFull()) return this.#pause();
    }
    this.#tellState(state);
    return true;
  }

  #pause(): false {
    this.#following += 1;
    this.#stopFollowing = null;
    this.#request.sink.onDrain(() => {
      if (!this.#closed) this.#follow();
    });
    return false;
  }

  #tellState(state: RunViewState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#request.sink.send(new StreamFrame(null, 'state', { state }));
  }

  #write(message: StreamEvent, seq: number): void {
    const { tenant, run, sink } = this.#request;
    sink.send(new StreamFrame(cursorOf(tenant, run, seq), message.event, message.data));
  }

  #fail(error: unknown): void {
    const { reference } = this.#request;
    this.#options.log({ level: 'error', message: 'A run could not be followed.', reference, error });
    this.end(`the server failed (reference ${reference}); connect again`);
  }
}

/** Messages that several readers are sent at nearly the same time. They go with the view that the engine shares. */
const frames = new WeakMap<RunEventView, StreamFrame>();

function frameOf(tenant: string, run: string, event: RunEventView): StreamFrame {
  const known = frames.get(event);
  if (known !== undefined) return known;
  const made = new StreamFrame(cursorOf(tenant, run, event.seq), 'event', event);
  frames.set(event, made);
  return made;
}
