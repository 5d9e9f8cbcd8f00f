/**
 * What other servers on the same store commit: reads the feed as it grows, and passes on what concerns somebody here. A
 * server has no other way to hear of its neighbours, and none of what it remembers is believed without the guards of
 * the store, so that a feed that comes late costs time and never truth.
 *
 * Invariant: every key that others add to the feed after the position at the start is looked at, in order. What this
 * server commits itself is told by the lanes; of what they could not tell they look the run up.
 */
import type { EngineContext } from '../context.js';
import { runKey } from './committed.js';

export interface NeighbourListener {
  /** Another server has committed event `seq` of the run. */
  moved(move: { readonly tenant: string; readonly run: string; readonly key: string; readonly seq: number }): void;
  /** Other servers have put about so many tasks into the queue. */
  work(queue: string, count: number): void;
}

export class Neighbours {
  readonly #context: EngineContext;
  readonly #listener: NeighbourListener;
  #position = 0;
  #stopWatching: (() => void) | null = null;
  #reading: Promise<void> | null = null;
  #again = false;
  #stopped = false;

  constructor(context: EngineContext, listener: NeighbourListener) {
    this.#context = context;
    this.#listener = listener;
  }

  /** Begins at the end of the feed as it is now; what is read from the store after this is at least as new. */
  async start(): Promise<void> {
    const { store } = this.#context;
    if (!store.shared || this.#stopWatching !== null) return;
    this.#position = await store.feedHead();
    this.#stopWatching = store.watch({
      work: (queues) => {
        for (const [queue, count] of queues) this.#listener.work(queue, count);
      },
      moved: () => {
        this.read().catch((error: unknown) => this.#context.fault('feed', error));
      },
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopWatching?.();
    await this.#reading?.catch(() => undefined);
  }

  /** Reads up to the end of the feed. Calls that come meanwhile share one more round. */
  read(): Promise<void> {
    if (this.#reading !== null) {
      this.#again = true;
      return this.#reading;
    }
    this.#reading = this.#readAll().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    do {
      this.#again = false;
      for (;;) {
        const { keys, upTo } = await this.#context.store.readFeedKeys({ after: this.#position, limit: pageKeys });
        if (this.#stopped) return;
        for (const { tenant, stream, seq } of keys)
          this.#listener.moved({ tenant, run: stream, key: runKey(tenant, stream), seq });
        this.#position = upTo;
        if (keys.length < pageKeys) break;
      }
    } while (this.#again);
  }
}

const pageKeys = 1_000;
