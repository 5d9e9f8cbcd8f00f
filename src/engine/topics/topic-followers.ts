/**
 * Followers of topics: each is handed the events of some partitions, of each in the order of offsets, from where it wants
 * to begin. The log is the buffer: who is told that something was published reads it, a page at a time, at its own pace.
 *
 * Invariant (P19): of each partition a follower is handed a slice of what is kept, without repetition; what was trimmed
 * before it came to it is told as a gap. Events of a partition get their offsets in the order of their commits, so that
 * none comes to light behind one that was handed out.
 */
import type { TopicEventView } from '../../protocol/http.js';
import type { Transition } from '../../store/contract.js';
import type { TopicPage } from '../api.js';

/** Where a follower is in a partition. */
export interface FollowedPartition {
  readonly partition: number;
  /** Offset of the next event that it wants. */
  readonly next: number;
}

export interface TopicStreamHandlers {
  /** Events of one partition. False = no more for now: the follower is let go of, and follows again when it has room. */
  readonly onEvents: (events: readonly TopicEventView[]) => boolean;
  /** Offsets of a partition that are gone by retention. */
  readonly onGap: (partition: number, from: number, to: number) => void;
  /** Only events of this key are handed over. */
  readonly key?: string | null;
  /** With `key`: every event of the partition before `next` was looked at. */
  readonly onPassed?: (partition: number, next: number) => void;
  readonly onError: (error: Error) => void;
}

type ReadTopic = (
  tenant: string,
  topic: string,
  query: { readonly partition: number; readonly after: number; readonly limit: number },
) => Promise<TopicPage>;

interface Follower {
  readonly tenant: string;
  readonly topic: string;
  readonly handlers: TopicStreamHandlers;
  readonly next: Map<number, number>;
  /** Partitions that may have more than was handed out. */
  readonly moved: Set<number>;
  isReading: boolean;
  isStopped: boolean;
}

export class TopicFollowers {
  readonly #read: ReadTopic;
  readonly #byTopic = new Map<string, Set<Follower>>();

  constructor(read: ReadTopic) {
    this.#read = read;
  }

  /** Follows the partitions from where they are said to be. Returns what ends it. */
  follow(tenant: string, topic: string, from: readonly FollowedPartition[], handlers: TopicStreamHandlers): () => void {
    const next = new Map(from.map((one) => [one.partition, one.next]));
    const moved = new Set(next.keys());
    const follower: Follower = { tenant, topic, handlers, next, moved, isReading: false, isStopped: false };
    const key = keyOf(tenant, topic);
    const followers = this.#byTopic.get(key) ?? new Set();
    followers.add(follower);
    this.#byTopic.set(key, followers);
    this.#pump(follower);
    return () => this.#remove(follower);
  }

  /** Transitions were applied here. */
  published(transitions: readonly Transition[]): void {
    if (this.#byTopic.size === 0) return;
    for (const { tenant, publishes = [] } of transitions)
      for (const { topic, partition } of publishes) this.#moved(tenant, topic, partition);
  }

  /** A neighbour has added to a stream. */
  moved(tenant: string, stream: string): void {
    const slash = stream.lastIndexOf('/');
    if (slash > 0 && this.#byTopic.size > 0)
      this.#moved(tenant, stream.slice(0, slash), Number(stream.slice(slash + 1)));
  }

  /** Looks for what nobody has told of. To be called now and then. */
  sweep(): void {
    for (const followers of this.#byTopic.values())
      for (const follower of followers) {
        for (const partition of follower.next.keys()) follower.moved.add(partition);
        this.#pump(follower);
      }
  }

  stop(): void {
    for (const followers of this.#byTopic.values()) for (const follower of followers) follower.isStopped = true;
    this.#byTopic.clear();
  }

  #moved(tenant: string, topic: string, partition: number): void {
    for (const follower of this.#byTopic.get(keyOf(tenant, topic)) ?? []) {
      if (!follower.next.has(partition)) continue;
      follower.moved.add(partition);
      this.#pump(follower);
    }
  }

  #pump(follower: Follower): void {
    if (follower.isReading || follower.isStopped) return;
    follower.isReading = true;
    this.#readAll(follower)
      .catch((error: unknown) => {
        if (follower.isStopped) return;
        this.#remove(follower);
        follower.handlers.onError(error instanceof Error ? error : new Error(String(error)));
      })
      .finally(() => {
        follower.isReading = false;
      });
  }

  /** A page of each partition in turn, so that one that is far behind holds back no other. */
  async #readAll(follower: Follower): Promise<void> {
    const { tenant, topic, handlers, moved } = follower;
    for (;;) {
      const [partition] = moved;
      if (partition === undefined) return;
      moved.delete(partition);
      const next = follower.next.get(partition) ?? 0;
      const { items, gap } = await this.#read(tenant, topic, { partition, after: next - 1, limit: pageEvents });
      if (follower.isStopped) return;
      if (gap !== null) {
        handlers.onGap(partition, gap.from, gap.to);
        follower.next.set(partition, gap.to + 1);
      }
      const last = items.at(-1);
      if (last === undefined) continue;
      follower.next.set(partition, last.offset + 1);
      const { key = null } = handlers;
      const wanted = key === null ? items : items.filter((view) => view.key === key);
      if (wanted.length > 0 && !handlers.onEvents(wanted)) return this.#remove(follower);
      if (key !== null) handlers.onPassed?.(partition, last.offset + 1);
      if (items.length === pageEvents) moved.add(partition);
    }
  }

  #remove(follower: Follower): void {
    follower.isStopped = true;
    const key = keyOf(follower.tenant, follower.topic);
    const followers = this.#byTopic.get(key);
    followers?.delete(follower);
    if (followers?.size === 0) this.#byTopic.delete(key);
  }

  /** Number of followers of all topics. */
  get size(): number {
    let size = 0;
    for (const followers of this.#byTopic.values()) size += followers.size;
    return size;
  }
}

function keyOf(tenant: string, topic: string): string {
  return `${tenant}\0${topic}`;
}

const pageEvents = 200;
