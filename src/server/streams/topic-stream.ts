/**
 * The event stream of a topic, of some of its partitions or all. Each id is a cursor that says of
 * every partition how far the reader has come, so that it goes on from there over any server.
 *
 * Invariant: of each partition the reader is sent the events in the order of offsets, each once; what is gone by retention
 * before it came to it is told (`gap`).
 */
import type { Engine, FollowedPartition } from '../../engine/api.js';
import type { TopicEventView, TopicStreamEvent } from '../../protocol/http.js';
import { StreamFrame, type EventSink } from './event-sink.js';
import { nodePorts } from '../../runtime/index.js';
import type { ServerLimits, ServerLogEntry } from '../options.js';
import { StreamOutput, type OpenStream } from './stream-output.js';
import { topicCursorOf } from './topic-cursor.js';

export interface TopicStreamRequest {
  readonly tenant: string;
  readonly topic: string;
  /** Offset of the next event of each partition that is wanted, in the order of `partitions`. */
  readonly next: readonly number[];
  readonly partitions: readonly number[];
  /** Offset of the first event of each partition that the reader may see; what it wants before is told as a gap. */
  readonly first: readonly number[];
  /** Only events of this key; null = all. */
  readonly key: string | null;
  readonly sink: EventSink;
  readonly reference: string;
  /** How long the reader may read, ms; null = without end. */
  readonly forMs: number | null;
}

export interface TopicStreamOptions {
  readonly engine: Engine;
  readonly limits: ServerLimits;
  readonly log: (entry: ServerLogEntry) => void;
}

export class TopicStream implements OpenStream {
  readonly #request: TopicStreamRequest;
  readonly #options: TopicStreamOptions;
  readonly #output: StreamOutput;
  readonly #next: number[];
  /** Place of each partition in `#next`. */
  readonly #places: ReadonlyMap<number, number>;
  #stopFollowing: (() => void) | null = null;
  /** Counts the times that the topic was followed; what an earlier one still says is not heard. */
  #following = 0;
  #closed = false;
  /** Whether the reader does not know yet how far it has come: what came was not for it. */
  #isAhead = false;
  #cancelEnd: (() => void) | null = null;

  constructor(request: TopicStreamRequest, options: TopicStreamOptions) {
    this.#request = request;
    this.#options = options;
    this.#output = new StreamOutput(request.sink, options.limits);
    this.#next = [...request.next];
    this.#places = new Map(request.partitions.map((partition, place) => [partition, place]));
  }

  start(): void {
    this.#request.sink.hello();
    // Who is cut off before the first event goes on from here, and not from what is the newest by then.
    this.#write({ event: 'start', data: { partitions: this.#place() } });
    const { first, forMs } = this.#request;
    for (const { partition, next } of this.#place()) {
      const from = first[this.#places.get(partition) ?? 0] ?? 0;
      if (next < from) this.#tellGap(partition, next, from - 1);
    }
    if (forMs !== null) {
      this.#cancelEnd = nodePorts.timers.after(Math.max(0, forMs), () => this.end('the read token has expired'));
    }
    this.#follow();
  }

  stop(): void {
    this.#closed = true;
    this.#following += 1;
    this.#cancelEnd?.();
    this.#stopFollowing?.();
    this.#stopFollowing = null;
  }

  end(why: string): void {
    if (this.#closed) return;
    this.stop();
    this.#request.sink.end(why);
  }

  beat(nowMs: number): void {
    // Who is cut off goes on from here, and the server need not read once more what is not for it.
    if (this.#isAhead && !this.#closed && !this.#output.isFull())
      this.#write({ event: 'place', data: { partitions: this.#place() } });
    if (this.#output.beat(nowMs, !this.#closed)) return;
    this.end('cut off: the reader takes too little; connect again to go on from the last id');
    this.#request.sink.destroy();
  }

  #follow(): void {
    const { tenant, topic, key } = this.#request;
    const turn = ++this.#following;
    const isCurrent = (): boolean => !this.#closed && turn === this.#following;
    this.#stopFollowing = this.#options.engine.followTopic(tenant, topic, this.#place(), {
      onEvents: (events) => isCurrent() && this.#tell(events),
      onGap: (partition, first, to) => {
        if (isCurrent()) this.#tellGap(partition, first, to);
      },
      key,
      onPassed: (partition, next) => {
        if (!isCurrent() || next <= (this.#next[this.#places.get(partition) ?? 0] ?? 0)) return;
        this.#move(partition, next);
        this.#isAhead = true;
      },
      onError: (error) => {
        if (!isCurrent()) return;
        const { reference } = this.#request;
        this.#options.log({ level: 'error', message: 'A topic could not be followed.', reference, error });
        this.end(`the server failed (reference ${reference}); connect again`);
      },
    });
  }

  /** False = the reader is full; the rest is read from the log again when it has room. */
  #tell(events: readonly TopicEventView[]): boolean {
    // Where others fill the same connection, there may be no room to begin with.
    if (this.#output.isFull()) return this.#pause();
    for (const event of events) {
      this.#move(event.partition, event.offset + 1);
      this.#write({ event: 'event', data: event });
      if (this.#output.isFull()) return this.#pause();
    }
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

  #place(): FollowedPartition[] {
    return this.#request.partitions.map((partition, i) => ({ partition, next: this.#next[i] ?? 0 }));
  }

  #tellGap(partition: number, from: number, to: number): void {
    this.#move(partition, to + 1);
    this.#write({ event: 'gap', data: { partition, from, to } });
  }

  #move(partition: number, next: number): void {
    const place = this.#places.get(partition);
    if (place !== undefined) this.#next[place] = next;
  }

  #write({ event, data }: TopicStreamEvent): void {
    const { tenant, topic, partitions, sink } = this.#request;
    this.#isAhead = false;
    sink.send(new StreamFrame(topicCursorOf(tenant, topic, partitions, this.#next), event, data));
  }
}
