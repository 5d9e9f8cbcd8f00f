/**
 * How far subscriptions are behind: in events, and by the age of the oldest of them. Where one is further behind than it may
 * be, publishers of its tenant to its topic are refused until it has caught up.
 *
 * Invariant: a publisher is refused by what was read not longer than two rounds ago, and what runs emit is never refused:
 * they could not wait for anybody.
 */
import { SpineError } from '../../core/errors.js';
import type { DeliveryCursor } from '../../core/topics/delivery.js';
import { pendingOf, stateOf, type PullCursor } from '../../core/topics/pull-cursor.js';
import type { Subscription } from '../../core/topics/subscription.js';
import { topicStream } from '../../store/contract.js';
import { limits } from '../../core/limits.js';
import { readSpace } from '../admission/counter-rows.js';
import type { SubscriptionFacts } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { systemTenant } from '../system-tenant.js';
import { offsetOf, readCursors } from './cursors.js';
import type { SubscriptionInForce, Subscriptions } from './subscriptions.js';

/** Space, of the installation, of subscriptions made over the API that may refuse publishers. Key: the tenant; ref: the name. */
export const boundedSpace = 'subscription-bounded';

/** A partition of a subscription. */
export interface PartitionLag {
  readonly partition: number;
  readonly head: number;
  /** The committed offset. */
  readonly next: number;
  /** Events that are not settled. */
  readonly count: number;
  /** How long ago the oldest of them was published, ms; null = there is none. */
  readonly ageMs: number | null;
  /** The cursor as it is stored; null = it has not begun. */
  readonly cursor: PullCursor | null;
}

/** Of several partitions together. */
export interface TotalLag {
  readonly count: number;
  readonly ageMs: number | null;
}

export class Lag {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #subscriptions: Subscriptions;
  /** Topics of tenants that were published to here, with when they were last, on the monotonic clock. */
  readonly #watched = new Map<string, { readonly tenant: string; readonly topic: string; atMs: number }>();
  /** Those that take no events now. */
  readonly #behind = new Map<string, { readonly subscription: string; readonly reason: string }>();
  readonly #refused = new Map<string, number>();
  #facts: { readonly atMs: number; readonly facts: Promise<readonly SubscriptionFacts[]> } | null = null;

  constructor(context: EngineContext, catalog: Catalog, subscriptions: Subscriptions) {
    this.#context = context;
    this.#catalog = catalog;
    this.#subscriptions = subscriptions;
  }

  /** Throws TOPIC_BEHIND where a subscription of the topic is further behind than it may be. */
  mayPublish(tenant: string, topic: string): void {
    const key = keyOf(tenant, topic);
    const atMs = this.#context.ports.clock.monotonicMs();
    const watched = this.#watched.get(key);
    if (watched !== undefined) watched.atMs = atMs;
    else if (this.#watched.size < watchedMax) this.#watched.set(key, { tenant, topic, atMs });
    const behind = this.#behind.get(key);
    if (behind === undefined) return;
    const { subscription } = behind;
    this.#refused.set(subscription, (this.#refused.get(subscription) ?? 0) + 1);
    throw new SpineError('TOPIC_BEHIND', { topic, ...behind });
  }

  /** Looks at the topics that were published to here of late. Where nothing was, nothing is asked of the store. */
  async tick(): Promise<void> {
    const { store, ports } = this.#context;
    const nowMs = ports.clock.monotonicMs();
    for (const [key, { atMs }] of this.#watched) {
      if (nowMs - atMs <= watchMs) continue;
      this.#watched.delete(key);
      this.#behind.delete(key);
    }
    if (this.#watched.size === 0) return;
    const tenants = new Set((await readSpace(store, systemTenant, boundedSpace)).map(({ key }) => key));
    const declared = new Set<string>();
    for (const { topic, lagMax } of this.#catalog.subscriptions.values()) if (lagMax !== null) declared.add(topic);
    for (const [key, { tenant, topic }] of this.#watched) {
      const worst = tenants.has(tenant) || declared.has(topic) ? await this.#worstOf(tenant, topic) : null;
      if (worst === null) this.#behind.delete(key);
      else this.#behind.set(key, worst);
    }
  }

  /** The partitions of a subscription, in their order. */
  async partitionsOf(tenant: string, found: SubscriptionInForce): Promise<readonly PartitionLag[]> {
    const { store } = this.#context;
    const { spec } = found;
    const heads = await store.listPartitions({
      after: { tenant, topic: spec.topic, partition: -1 },
      limit: limits.topicPartitionsMax,
    });
    const cursors = new Map((await readCursors(store, tenant, spec.name)).map((row) => [row.ref, row.value]));
    const lags: PartitionLag[] = [];
    for (const { tenant: of, topic, partition, head } of heads) {
      if (of !== tenant || topic !== spec.topic) break;
      const at = { tenant, topic, partition };
      const stream = topicStream(topic, partition);
      const text = cursors.get(stream);
      const cursor = text === undefined ? null : (JSON.parse(text) as PullCursor);
      const next = cursor?.next ?? (await offsetOf(store, at, head, spec.from, await this.#subscriptions.since(found)));
      const pulled = spec.workflow === null && cursor !== null;
      const { end = head } = (cursor ?? {}) as Partial<DeliveryCursor>;
      const count = pulled ? pendingOf(stateOf(cursor), head) : Math.max(0, Math.min(head, end) - next);
      const [oldest] = count === 0 ? [] : await store.readEvents({ tenant, stream, after: next - 1, limit: 1 });
      const ageMs = oldest === undefined ? null : Math.max(0, store.now() - oldest.at);
      lags.push({ partition, head, next, count, ageMs, cursor });
    }
    return lags;
  }

  /** How far each subscription is behind, over all tenants, as metrics tell it; not older than a few seconds. */
  facts(): Promise<readonly SubscriptionFacts[]> {
    const nowMs = this.#context.ports.clock.monotonicMs();
    if (this.#facts === null || nowMs - this.#facts.atMs >= factsMs) {
      const facts = this.#readFacts();
      this.#facts = { atMs: nowMs, facts };
      // What could not be read is asked for again by the next.
      facts.catch(() => {
        this.#facts = null;
      });
    }
    return this.#facts.facts;
  }

  async #readFacts(): Promise<readonly SubscriptionFacts[]> {
    const totals = new Map<string, TotalLag>();
    for (const tenant of await this.#tenants())
      for (const found of await this.#subscriptions.list(tenant)) {
        const { name } = found.spec;
        const before = totals.get(name);
        const own = totalOf(await this.partitionsOf(tenant, found));
        totals.set(name, before === undefined ? own : totalOf([before, own]));
      }
    for (const name of this.#refused.keys()) if (!totals.has(name)) totals.set(name, { count: 0, ageMs: null });
    return [...totals]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([subscription, { count, ageMs }]) => ({
        subscription,
        lag: count,
        ageMs: ageMs ?? 0,
        refused: this.#refused.get(subscription) ?? 0,
      }));
  }

  /** Those that have topics; of very many, the first. */
  async #tenants(): Promise<ReadonlySet<string>> {
    const { store } = this.#context;
    const tenants = new Set<string>();
    let after: { readonly tenant: string; readonly topic: string; readonly partition: number } | null = null;
    while (tenants.size < tenantsMax) {
      const page: Awaited<ReturnType<typeof store.listPartitions>> = await store.listPartitions({
        after,
        limit: pagePartitions,
      });
      for (const { tenant } of page) tenants.add(tenant);
      after = page.at(-1) ?? null;
      if (page.length < pagePartitions) break;
    }
    return tenants;
  }

  async #worstOf(
    tenant: string,
    topic: string,
  ): Promise<{ readonly subscription: string; readonly reason: string } | null> {
    for (const found of await this.#subscriptions.of(tenant, topic)) {
      if (found.spec.lagMax === null) continue;
      const reason = reasonOf(found.spec.lagMax, totalOf(await this.partitionsOf(tenant, found)));
      if (reason !== null) return { subscription: found.spec.name, reason };
    }
    return null;
  }
}

/** Of all together: events are added up, and the oldest is the oldest of any. */
export function totalOf(lags: readonly TotalLag[]): TotalLag {
  const ages = lags.flatMap(({ ageMs }) => (ageMs === null ? [] : [ageMs]));
  return {
    count: lags.reduce((sum, { count }) => sum + count, 0),
    ageMs: ages.length === 0 ? null : Math.max(...ages),
  };
}

/** Why a lag is larger than it may be; null = it is not. */
export function reasonOf(max: NonNullable<Subscription['lagMax']>, { count, ageMs }: TotalLag): string | null {
  if (max.count !== null && count > max.count) return `is ${count} events behind, and may be ${max.count}`;
  if (max.ageMs !== null && ageMs !== null && ageMs > max.ageMs)
    return `is ${Math.round(ageMs / 1_000)} s behind, and may be ${Math.round(max.ageMs / 1_000)} s`;
  return null;
}

function keyOf(tenant: string, topic: string): string {
  return `${tenant}\0${topic}`;
}

/** Pause between two rounds. */
export const lagEveryMs = 1_000;
/** A topic that nobody has published to for so long is not looked at. */
const watchMs = 60_000;
const watchedMax = 10_000;
/** How old what metrics tell may be. */
const factsMs = 5_000;
const pagePartitions = 500;
const tenantsMax = 1_000;
