/**
 * Subscriptions for those who look at them, and those that are made over the API: each an entry of its tenant. What apps
 * declare is theirs, and is not changed here.
 */
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { subscriptionsTopic } from '../../core/manifest.js';
import { isOver } from '../../core/topics/pull-cursor.js';
import { readSubscription } from '../../core/topics/subscription-options.js';
import { subscriptionCursorSpace, type Subscription } from '../../core/topics/subscription.js';
import type { ConsumerView, SubscriptionDetail, SubscriptionView } from '../../protocol/http.js';
import type { EntryWrite, Transition } from '../../store/contract.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { readSpace } from '../admission/counter-rows.js';
import { systemTenant } from '../system-tenant.js';
import { consumerSpace } from './consumers.js';
import { cursorsAtHeads, readCursors, readEntry } from './cursors.js';
import { boundedSpace, reasonOf, totalOf, type Lag, type PartitionLag } from './lag.js';
import { preparePublication } from './publication.js';
import {
  subscriptionSpace,
  type MadeSubscription,
  type SubscriptionInForce,
  type Subscriptions,
} from './subscriptions.js';

export interface SubscriptionRegisterOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly subscriptions: Subscriptions;
  readonly lag: Lag;
  /** Hears of what was published. */
  readonly published: (transitions: readonly Transition[]) => void;
}

export class SubscriptionRegister {
  readonly #options: SubscriptionRegisterOptions;
  readonly #context: EngineContext;

  constructor(options: SubscriptionRegisterOptions) {
    this.#options = options;
    this.#context = options.context;
  }

  /** By name. */
  async list(tenant: string): Promise<SubscriptionView[]> {
    const views: SubscriptionView[] = [];
    for (const found of await this.#options.subscriptions.list(tenant))
      views.push(viewOf(found, await this.#options.lag.partitionsOf(tenant, found)));
    return views;
  }

  /** Null = there is none of this name. */
  async read(tenant: string, name: string): Promise<SubscriptionDetail | null> {
    const found = await this.#options.subscriptions.find(tenant, name);
    if (found === null) return null;
    const partitions = await this.#options.lag.partitionsOf(tenant, found);
    return {
      ...viewOf(found, partitions),
      partitions: partitions.map(({ partition, head, next, count, ageMs, cursor }) => ({
        partition,
        head,
        next,
        lag: count,
        ageMs,
        consumer: holderOf(cursor, this.#context.store.now()),
        inHand: found.spec.workflow === null ? (cursor?.open ?? []).filter(({ out }) => out !== undefined).length : 0,
      })),
      consumers: await this.#consumersOf(tenant, name),
    };
  }

  /** Makes a subscription or changes one that was made. SUBSCRIPTION_OWNED, SUBSCRIPTION_INVALID, TOPIC_UNKNOWN. */
  async put(origin: Origin, name: string, given: Readonly<Record<string, unknown>>): Promise<SubscriptionDetail> {
    const spec = this.#specOf(name, given);
    const { store } = this.#context;
    const { tenant } = origin;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const before = await this.#made(tenant, name);
      const known = before === null ? null : (JSON.parse(before) as MadeSubscription);
      if (known !== null && JSON.stringify(known.spec) === JSON.stringify(spec)) break;
      const at = store.now();
      const made: MadeSubscription = { spec, by: origin.actor, at: known?.at ?? at };
      // Before it is there: a bound that nobody looks for would hold nobody back.
      await this.#bound(tenant, name, spec.lagMax !== null);
      const value = JSON.stringify(made);
      const entry: EntryWrite = { op: 'put', ...placeOf(name), value, run: '', at, expected: before };
      const cursors = known === null && spec.from === 'newest' ? await cursorsAtHeads(store, tenant, spec, at) : [];
      if (
        await this.#write(origin, [entry, ...cursors], {
          subscription: name,
          change: known === null ? 'made' : 'changed',
          spec,
        })
      )
        break;
    }
    this.#options.subscriptions.forget(tenant);
    const view = await this.read(tenant, name);
    if (view === null) throw new SpineError('STORE_BUSY', {});
    return view;
  }

  /** Removes one that was made, with its cursors. SUBSCRIPTION_NOT_FOUND, SUBSCRIPTION_OWNED. */
  async remove(origin: Origin, name: string): Promise<void> {
    this.#refuseDeclared(name);
    const { store } = this.#context;
    const { tenant } = origin;
    const before = await this.#made(tenant, name);
    if (before === null) throw new SpineError('SUBSCRIPTION_NOT_FOUND', { name: name.slice(0, limits.nameLengthMax) });
    const { webhook, purpose } = JSON.parse(before) as MadeSubscription;
    if (webhook !== undefined && purpose !== 'replay') throw new SpineError('WEBHOOK_OWNS', { name, webhook });
    const cursors = await readCursors(store, tenant, name);
    const members = await readSpace(store, tenant, consumerSpace, name);
    const drops: EntryWrite[] = [
      { op: 'drop', ...placeOf(name), expected: before },
      ...cursors.map(({ ref }): EntryWrite => ({ op: 'drop', space: subscriptionCursorSpace, key: name, ref })),
      ...members.map(({ ref }): EntryWrite => ({ op: 'drop', space: consumerSpace, key: name, ref })),
    ];
    if (!(await this.#write(origin, drops, { subscription: name, change: 'removed' })))
      throw new SpineError('STORE_BUSY', {});
    await this.#bound(tenant, name, false);
    this.#options.subscriptions.forget(tenant);
  }

  #specOf(name: string, { topic, dead, ...rest }: Readonly<Record<string, unknown>>): Subscription {
    this.#refuseDeclared(name);
    const faults: string[] = [];
    const { catalog } = this.#options;
    if (typeof topic !== 'string') faults.push('topic must be the name of a topic');
    if (dead !== undefined && (typeof dead !== 'string' || catalog.topic(dead) === null))
      faults.push('dead must be the name of a topic that an app has');
    const ends = {
      topic: typeof topic === 'string' ? topic : '',
      workflow: null,
      dead: typeof dead === 'string' ? dead : null,
    };
    const spec = readSubscription(name, ends, rest, (fault) => faults.push(fault));
    if (faults.length > 0) throw new SpineError('SUBSCRIPTION_INVALID', { name, faults });
    if (catalog.topic(spec.topic) === null)
      throw new SpineError('TOPIC_UNKNOWN', { name: spec.topic, known: catalog.topicNames() });
    return spec;
  }

  #refuseDeclared(name: string): void {
    if (this.#options.catalog.subscriptions.has(name)) throw new SpineError('SUBSCRIPTION_OWNED', { name });
  }

  async #made(tenant: string, name: string): Promise<string | null> {
    return (await readEntry(this.#context.store, tenant, placeOf(name)))?.value ?? null;
  }

  async #bound(tenant: string, name: string, isBounded: boolean): Promise<void> {
    const { store } = this.#context;
    const place = { space: boundedSpace, key: tenant, ref: name };
    const entry: EntryWrite = isBounded
      ? { op: 'put', ...place, value: '', run: '', at: store.now() }
      : { op: 'drop', ...place };
    await store.apply([{ tenant: systemTenant, entries: [entry] }]);
  }

  /** False = somebody else has changed it meanwhile. */
  async #write(origin: Origin, entries: readonly EntryWrite[], change: object): Promise<boolean> {
    const { context, catalog, published } = this.#options;
    const { tenant, actor, correlation, traceparent } = origin;
    const value = { ...change, by: actor };
    const event = {
      topic: subscriptionsTopic.name,
      id: newId('event', context.ports),
      source: 'eventspine/subscriptions',
      type: subscriptionsTopic.name,
      data: payloadOfJson(value),
      value,
    };
    const cause = { tenant, actor, cause: null, correlation, traceparent };
    const { write, blobs } = preparePublication(context, catalog, event, cause, context.store.now());
    const transition: Transition = { tenant, entries, publishes: [write], blobs };
    const [outcome] = await context.store.apply([transition]);
    if (outcome?.tag === 'applied') published([transition]);
    else if (outcome?.tag !== 'conflict') throw new SpineError('STORE_BUSY', {});
    return outcome.tag === 'applied';
  }

  async #consumersOf(tenant: string, name: string): Promise<ConsumerView[]> {
    const { store } = this.#context;
    const now = store.now();
    const rows = await readSpace(store, tenant, consumerSpace, name);
    return rows
      .map(({ ref, value }) => ({
        consumer: ref,
        ...(JSON.parse(value) as { readonly until: number; readonly ms: number }),
      }))
      .filter(({ until, ms }) => !isOver(until, now, ms))
      .map(({ consumer, until }) => ({ consumer, until: isoOf(until) }));
  }
}

function viewOf({ spec, made, setting }: SubscriptionInForce, partitions: readonly PartitionLag[]): SubscriptionView {
  const { name, topic, workflow, filter, from, order, windowMax, lagMax, dead } = spec;
  const lag = totalOf(partitions);
  const paused = setting?.paused ?? null;
  return {
    name,
    topic,
    workflow,
    filter,
    from,
    order,
    window: windowMax,
    deliveries: workflow === null ? (spec.deliveriesMax ?? limits.subscriptionDeliveriesDefault) : null,
    lagMax,
    dead,
    declared: made === null,
    paused: paused === null ? null : { ...paused, at: isoOf(paused.at) },
    lag: lag.count,
    ageMs: lag.ageMs,
    behind: lagMax === null ? null : reasonOf(lagMax, lag),
  };
}

function holderOf(cursor: PartitionLag['cursor'], now: number): string | null {
  const lease = cursor?.lease;
  const isHeld = lease !== undefined && !isOver(lease.until, now, lease.ms);
  return isHeld && (cursor?.open ?? []).some(({ out }) => out !== undefined) ? lease.consumer : null;
}

function placeOf(name: string): { readonly space: string; readonly key: string; readonly ref: string } {
  return { space: subscriptionSpace, key: name, ref: '' };
}

/** Of several that change one subscription at the same time, one gets through with each attempt. */
const attemptsMax = 10;
