/**
 * What may not go yet. The router must have brought an event to waits and agents; with the policy `hold`, the subscriptions
 * must have done with it, too. Made anew for each round, so that each cursor is read once in it: a cursor that moves
 * meanwhile holds a little more than it needs, and never less.
 */
import type { BehindPolicy } from '../../core/topics/retention.js';
import type { Cursor } from '../../core/topics/subscription.js';
import { topicStream, type PartitionKey, type Store } from '../../store/contract.js';
import type { TopicEntry } from '../intake/catalog.js';
import { isRouted, routedUpTo } from '../waits/router.js';
import { readCursors } from './cursors.js';

/** Names of the subscriptions that a tenant has to a topic. */
export type SubscribersOf = (tenant: string, topic: string) => readonly string[] | Promise<readonly string[]>;

export class Holds {
  readonly #store: Store;
  readonly #subscribersOf: SubscribersOf;
  /** Cursors by `topic/partition`, of each subscription of each tenant. */
  readonly #cursors = new Map<string, Promise<ReadonlyMap<string, number>>>();

  constructor(store: Store, subscribersOf: SubscribersOf) {
    this.#store = store;
    this.#subscribersOf = subscribersOf;
  }

  /** Offset of the first event of a partition that somebody still needs; Infinity = none is needed. */
  async from(at: PartitionKey, entry: TopicEntry, behind: BehindPolicy): Promise<number> {
    let from = isRouted(entry) ? await routedUpTo(this.#store, at) : Number.POSITIVE_INFINITY;
    if (behind === 'gap') return from;
    const partition = topicStream(at.topic, at.partition);
    for (const name of await this.#subscribersOf(at.tenant, at.topic)) {
      const cursors = await this.#cursorsOf(at.tenant, name);
      // A subscription that has no cursor in a partition has not begun there: nothing is kept for it.
      from = Math.min(from, cursors.get(partition) ?? Number.POSITIVE_INFINITY);
    }
    return from;
  }

  #cursorsOf(tenant: string, name: string): Promise<ReadonlyMap<string, number>> {
    const key = `${tenant}/${name}`;
    const known = this.#cursors.get(key);
    if (known !== undefined) return known;
    const read = this.#readCursors(tenant, name);
    this.#cursors.set(key, read);
    return read;
  }

  async #readCursors(tenant: string, name: string): Promise<ReadonlyMap<string, number>> {
    const rows = await readCursors(this.#store, tenant, name);
    return new Map(rows.map(({ ref, value }) => [ref, (JSON.parse(value) as Cursor).next]));
  }
}
