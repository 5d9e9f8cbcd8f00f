/**
 * What may not go yet. The router must have brought an event to waits and agents; with the policy `hold`, subscriptions and
 * bridges that go out must have done with it, too. Made anew for each round, so that each cursor is read once in it: a
 * cursor that moves meanwhile holds a little more than it needs, and never less.
 */
import type { BehindPolicy } from '../../core/topics/retention.js';
import { topicStream, type PartitionKey, type Store } from '../../store/contract.js';
import type { TopicEntry } from '../intake/catalog.js';
import { isRouted, routedUpTo } from '../waits/router.js';

/** Whose cursors hold events: entries of the space under the name, ref = `topic/partition`, value = JSON with `next`. */
export interface Holder {
  readonly space: string;
  readonly name: string;
}

/** Who reads a topic of a tenant and says by cursors how far it has come. */
export type HoldersOf = (tenant: string, topic: string) => Promise<readonly Holder[]>;

export class Holds {
  readonly #store: Store;
  readonly #holdersOf: HoldersOf;
  /** Cursors by `topic/partition`, of each holder of each tenant. */
  readonly #cursors = new Map<string, Promise<ReadonlyMap<string, number>>>();

  constructor(store: Store, holdersOf: HoldersOf) {
    this.#store = store;
    this.#holdersOf = holdersOf;
  }

  /** Offset of the first event of a partition that somebody still needs; Infinity = none is needed. */
  async from(at: PartitionKey, entry: TopicEntry, behind: BehindPolicy): Promise<number> {
    let from = isRouted(entry) ? await routedUpTo(this.#store, at) : Number.POSITIVE_INFINITY;
    if (behind === 'gap') return from;
    const partition = topicStream(at.topic, at.partition);
    for (const holder of await this.#holdersOf(at.tenant, at.topic)) {
      const cursors = await this.#cursorsOf(at.tenant, holder);
      // Who has no cursor in a partition has not begun there: nothing is kept for it.
      from = Math.min(from, cursors.get(partition) ?? Number.POSITIVE_INFINITY);
    }
    return from;
  }

  #cursorsOf(tenant: string, holder: Holder): Promise<ReadonlyMap<string, number>> {
    const key = `${tenant}/${holder.space}/${holder.name}`;
    const known = this.#cursors.get(key);
    if (known !== undefined) return known;
    const read = this.#readCursors(tenant, holder);
    this.#cursors.set(key, read);
    return read;
  }

  async #readCursors(tenant: string, { space, name: key }: Holder): Promise<ReadonlyMap<string, number>> {
    const cursors = new Map<string, number>();
    for (let ref = ''; ; ) {
      const page = await this.#store.readEntries({ tenant, space, key, after: { key, ref }, limit: pageEntries });
      for (const entry of page)
        cursors.set(entry.ref, Number((JSON.parse(entry.value) as { readonly next: number | string }).next));
      const last = page.at(-1);
      if (last === undefined || page.length < pageEntries) return cursors;
      ref = last.ref;
    }
  }
}

const pageEntries = 500;
