/**
 * Subscriptions that are pulled: shares the partitions of a topic out over the consumers that live, hands out events, and
 * takes their word for what became of them. Any server does it for any consumer; what a partition is at is one entry
 * (`core/topics/pull-cursor.ts`), which is always written from the value that was read.
 *
 * Invariants: an event is in one hand at a time; it is settled once, by whoever it was delivered to last; and one that is
 * not settled is delivered again, or is a dead event.
 */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { toBase64 } from '../../core/base64.js';
import { isBlobPayload } from '../../core/payload.js';
import {
  nackDelayMs,
  type AckAnswer,
  type AckRequest,
  type EventPosition,
  type LeaveRequest,
  type NackAnswer,
  type NackRequest,
  type PullAnswer,
  type PulledEvent,
  type PulledGap,
  type PullRequest,
  type RenewAnswer,
  type RenewRequest,
} from '../../core/topics/consume.js';
import type { DeadEvent } from '../../core/topics/dead-event.js';
import {
  acked,
  cursorOf,
  dueAt,
  handOut,
  isFreeFor,
  isOver,
  leasedTo,
  nacked,
  released,
  renewed,
  reopened,
  stateOf,
  withoutLost,
  type Delivery,
  type OpenEvent,
  type PullCursor,
  type PullState,
  type Settled,
} from '../../core/topics/pull-cursor.js';
import type { ArrivedEvent } from '../../core/topics/delivery.js';
import { rendezvous } from '../../core/topics/spread.js';
import type { Subscription } from '../../core/topics/subscription.js';
import {
  topicStream,
  type EntryRow,
  type EntryWrite,
  type EventRow,
  type PartitionKey,
  type Transition,
} from '../../store/contract.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes } from '../runs/lanes.js';
import { arrivedEvent } from './arrivals.js';
import { cursorKey, cursorWrite, offsetOf, readCursors, readEntry } from './cursors.js';
import { deadEventWrites, withAdded, type AddedWrites } from './dead-events.js';
import { gapBefore, type TopicGap } from './low-water.js';
import { deadEventOf, storedEvent, type StoredEvent } from './stored-event.js';
import { settingGuard, type SubscriptionInForce, type Subscriptions } from './subscriptions.js';

/** Consumers that live. Key: the subscription; ref: the consumer; value: JSON of `Member`. */
export const consumerSpace = 'subscription-consumer';

interface Member {
  /** Epoch ms. */
  readonly until: number;
  readonly ms: number;
}

export interface ConsumersOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly lanes: Pick<Lanes, 'bear'>;
  readonly subscriptions: Subscriptions;
  /** An event as it is shown. */
  readonly view: (topic: string, partition: number, row: EventRow) => Promise<PulledEvent['event']>;
}

/** A partition of a subscription, as it was read. */
interface Place {
  readonly at: PartitionKey;
  /** The entry; null = there is none yet. */
  readonly text: string | null;
  readonly state: PullState;
}

/** What a look has come to. */
interface Look {
  readonly answer: PullAnswer;
  /** When another look may find more without anybody telling of it, epoch ms; minus infinity = the consumer has left. */
  readonly againAt: number;
}

/** A pull under way. */
interface Puller {
  readonly origin: Origin;
  readonly found: SubscriptionInForce;
  readonly consumer: string;
  readonly max: number;
  readonly leaseMs: number;
  /** It was there at the look before: if it is not any more, it has left. */
  readonly isMember: boolean;
}

export class Consumers {
  readonly #options: ConsumersOptions;
  readonly #context: EngineContext;
  /** Pulls that wait, by what they are woken for. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #waits = 0;
  #turn = 0;
  #isStopped = false;

  constructor(options: ConsumersOptions) {
    this.#options = options;
    this.#context = options.context;
  }

  /** Transitions were applied: pulls that wait look again. */
  published(transitions: readonly Transition[]): void {
    if (this.#waiting.size === 0) return;
    for (const { tenant, publishes = [] } of transitions)
      for (const { topic } of publishes) this.#wake(topicSignal(tenant, topic));
  }

  /** Another server has added to a stream; those of runs are of no concern. */
  moved(tenant: string, stream: string): void {
    if (this.#waiting.size === 0) return;
    const slash = stream.lastIndexOf('/');
    if (slash >= 0) this.#wake(topicSignal(tenant, stream.slice(0, slash)));
  }

  /** Something was changed of subscriptions of a tenant: pulls of it look again. */
  changed(tenant: string): void {
    for (const signal of [...this.#waiting.keys()])
      if (signal.startsWith(subscriptionSignal(tenant, ''))) this.#wake(signal);
  }

  /** Pulls that wait are answered with nothing. */
  stop(): void {
    this.#isStopped = true;
    for (const signal of [...this.#waiting.keys()]) this.#wake(signal);
  }

  /** Hands out events. SUBSCRIPTION_NOT_FOUND, SUBSCRIPTION_HANDLED, STORE_BUSY. */
  async pull(origin: Origin, name: string, request: PullRequest): Promise<PullAnswer> {
    const { clock } = this.#context.ports;
    const untilMs = clock.monotonicMs() + (request.waitMs ?? 0);
    const { consumer, max = limits.pullEventsDefault, leaseMs = limits.consumerLeaseMsDefault } = request;
    for (let isMember = false; ; isMember = true) {
      const found = await this.#find(origin.tenant, name);
      const signals = [topicSignal(origin.tenant, found.spec.topic), subscriptionSignal(origin.tenant, name)];
      const news = this.#listen(signals);
      try {
        const { answer, againAt } = await this.#look({ origin, found, consumer, max, leaseMs, isMember });
        const leftMs = untilMs - clock.monotonicMs();
        const isOver = leftMs <= 0 || this.#isStopped || max === 0 || againAt === Number.NEGATIVE_INFINITY;
        if (answer.events.length > 0 || answer.gaps.length > 0 || isOver) return answer;
        const store = this.#context.store;
        const idleMs = store.shared ? lookAgainMsShared : lookAgainMs;
        await news.wait(Math.max(1, Math.min(leftMs, idleMs, leaseMs / 3, againAt - store.now())));
      } finally {
        news.end();
      }
    }
  }

  /** SUBSCRIPTION_NOT_FOUND, CONSUMER_FENCED, ACK_OUT_OF_ORDER. */
  async ack(origin: Origin, name: string, { consumer, positions }: AckRequest): Promise<AckAnswer> {
    const { spec } = await this.#find(origin.tenant, name);
    const settled = await this.#speak(origin, spec, consumer, positions, (state, of, now) =>
      acked(state, consumer, of, { order: spec.order, now }),
    );
    return { settled: settled.events };
  }

  /** SUBSCRIPTION_NOT_FOUND, CONSUMER_FENCED. */
  async nack(origin: Origin, name: string, request: NackRequest): Promise<NackAnswer> {
    const { consumer, positions, delayMs, reason = null, dead: isDead = false } = request;
    const { spec } = await this.#find(origin.tenant, name);
    const said = {
      order: spec.order,
      deliveriesMax: deliveriesMaxOf(spec),
      delayMs: delayMs === undefined ? nackDelayMs : () => delayMs,
      isDead,
      why: reason?.slice(0, whyLengthMax) ?? null,
    };
    const settled = await this.#speak(origin, spec, consumer, positions, (state, of, now) =>
      nacked(state, consumer, of, { ...said, now }),
    );
    return { again: settled.events, dead: settled.dead };
  }

  /** The consumer is still at work. SUBSCRIPTION_NOT_FOUND. */
  async renew(origin: Origin, name: string, request: RenewRequest): Promise<RenewAnswer> {
    const { consumer, deliveries, leaseMs = limits.consumerLeaseMsDefault } = request;
    const { spec } = await this.#find(origin.tenant, name);
    await this.#join(origin.tenant, name, consumer, leaseMs);
    const lost: string[] = [];
    for (const [partition, of] of byPartition(deliveries)) {
      const tokens = [...new Set(of.map(({ token }) => token))];
      const at = { tenant: origin.tenant, topic: spec.topic, partition };
      lost.push(...(await this.#renewPartition(origin, spec, at, { consumer, tokens, leaseMs })));
    }
    return { lost };
  }

  /** The consumer goes. SUBSCRIPTION_NOT_FOUND. */
  async leave(origin: Origin, name: string, { consumer }: LeaveRequest): Promise<void> {
    const { spec } = await this.#find(origin.tenant, name);
    const { store } = this.#context;
    for (const { ref } of await readCursors(store, origin.tenant, name)) {
      const at = partitionOf(origin.tenant, spec.topic, ref);
      if (at === null) continue;
      await this.#change(origin, spec.name, at, ({ state }) =>
        state.lease?.consumer === consumer ? { state: released(state), added: [] } : null,
      );
    }
    await this.#commit(origin, {
      tenant: origin.tenant,
      entries: [{ op: 'drop', space: consumerSpace, key: name, ref: consumer }],
    });
    this.#wake(subscriptionSignal(origin.tenant, name));
  }

  /** A way back for dead events of subscriptions that are pulled: the event is open again. */
  async redrive(origin: Origin, { id, source, position }: DeadEvent): Promise<AddedWrites | null> {
    if (!source.startsWith(sourcePrefix) || position === null) return null;
    const name = source.slice(sourcePrefix.length);
    const found = await this.#options.subscriptions.find(origin.tenant, name);
    if (found === null || found.spec.workflow !== null || found.spec.topic !== position.topic) return null;
    const { store } = this.#context;
    const at = { tenant: origin.tenant, topic: position.topic, partition: position.partition };
    const offset = Number(position.offset);
    const refuse = (reason: string): SpineError => new SpineError('DEAD_EVENT_NOT_REDRIVABLE', { id, reason });
    const [row] = await store.readEvents({ ...streamOf(at), after: offset - 1, limit: 1 });
    if (row?.seq !== offset) throw refuse('the topic no longer has it');
    const place = await this.#read(name, at);
    if (place === null) throw refuse('the subscription has not begun on its partition');
    const { key } = await arrivedEvent(this.#context, row, null);
    const state = reopened(place.state, offset, key);
    if (state === null) throw refuse('it is on its way to a consumer');
    if (state.open.length > limits.subscriptionWindowMax)
      throw refuse('too many events of its partition are not settled');
    this.#wakeSoon(subscriptionSignal(origin.tenant, name));
    return { publishes: [], dedupe: [], entries: [this.#write(name, place, state)], blobs: [], births: [] };
  }

  async #find(tenant: string, name: string): Promise<SubscriptionInForce> {
    let found = await this.#options.subscriptions.find(tenant, name);
    if (found === null) {
      // Made a moment ago, perhaps elsewhere.
      this.#options.subscriptions.forget(tenant);
      found = await this.#options.subscriptions.find(tenant, name);
    }
    if (found === null) throw new SpineError('SUBSCRIPTION_NOT_FOUND', { name: name.slice(0, limits.nameLengthMax) });
    const { workflow } = found.spec;
    if (workflow !== null) throw new SpineError('SUBSCRIPTION_HANDLED', { name, workflow });
    return found;
  }

  async #look(puller: Puller): Promise<Look> {
    const { origin, found, consumer, max, leaseMs, isMember } = puller;
    const { store } = this.#context;
    const { name, topic } = found.spec;
    const tenant = origin.tenant;
    const members = await this.#join(tenant, name, consumer, leaseMs, isMember);
    const isPaused = (found.setting?.paused ?? null) !== null;
    if (members === null)
      return { answer: { events: [], partitions: [], isPaused, gaps: [] }, againAt: Number.NEGATIVE_INFINITY };
    const heads = await this.#heads(tenant, topic);
    const places = await this.#places(found, tenant, heads);
    const now = store.now();
    const partitions: number[] = [];
    const events: PulledEvent[] = [];
    const gaps: PulledGap[] = [];
    let againAt = isPaused ? now + pausedLookMs : Number.POSITIVE_INFINITY;
    let bytesLeft = limits.pullBytesMax;
    this.#turn += 1;
    // Not always in the same order: a partition that always has something must not starve the others.
    const turned = rotated(places, this.#turn);
    for (const place of turned) {
      const { partition } = place.at;
      const state = withoutLost(place.state, now);
      if (rendezvous(members, partition) !== consumer) continue;
      if (!isFreeFor(state, consumer, now)) {
        againAt = Math.min(againAt, state.lease?.until ?? againAt);
        continue;
      }
      partitions.push(partition);
      if (isPaused || max === 0) continue;
      const wanted = max - events.length;
      if (wanted <= 0 || bytesLeft <= 0) continue;
      const handed = await this.#handOut(puller, { ...place, state }, heads.get(partition) ?? 0, wanted, bytesLeft);
      againAt = Math.min(againAt, handed.againAt);
      if (handed.gap !== null) gaps.push({ partition, ...handed.gap });
      for (const { event, bytes } of handed.events) {
        events.push(event);
        bytesLeft -= bytes;
      }
    }
    events.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
    return { answer: { events, partitions: partitions.sort((a, b) => a - b), isPaused, gaps }, againAt };
  }

  /** Takes the partition, and hands out of it what may be. Where somebody was quicker, nothing. */
  async #handOut(
    { origin, found, consumer, leaseMs }: Puller,
    place: Place,
    head: number,
    max: number,
    bytesMax: number,
  ): Promise<{
    readonly events: readonly { readonly event: PulledEvent; readonly bytes: number }[];
    readonly againAt: number;
    readonly gap: TopicGap | null;
  }> {
    const { store } = this.#context;
    const { spec } = found;
    const now = store.now();
    const taken = leasedTo(place.state, consumer, now, leaseMs);
    const rows = new Map<number, StoredEvent>();
    const { fresh, gap } = await this.#fresh(spec, place, head, { max, bytesMax, rows });
    const waiting = taken.open.filter(({ out }) => out === undefined);
    await this.#readOpen(place.at, waiting, rows);
    const gone = waiting.filter(({ offset }) => !rows.has(offset));
    const there = { ...taken, open: taken.open.filter((one) => !gone.includes(one)) };
    const delivery: Delivery = { token: this.#token(), until: now + leaseMs };
    const { state, out, dead } = handOut(there, fresh, {
      order: spec.order,
      delivery,
      now,
      max,
      windowMax: spec.windowMax,
      deliveriesMax: deliveriesMaxOf(spec),
    });
    const againAt = Math.min(
      ...state.open.map((one) => dueAt(one, now) ?? Number.POSITIVE_INFINITY),
      Number.POSITIVE_INFINITY,
    );
    const isMoved = state.read !== place.state.read || out.length > 0 || dead.length > 0 || gone.length > 0;
    // A lease is for what is in hand; who has nothing writes nothing.
    if (!isMoved && place.text !== null) return { events: [], againAt, gap: null };
    const added = [...dead, ...gone].map((one) => this.#bury(origin, spec, place.at, one, rows.get(one.offset)));
    const entries = [this.#write(spec.name, place, state), settingGuard(found, now)];
    const answer = await this.#commit(origin, withAdded({ tenant: origin.tenant, entries }, added), added);
    if (answer.tag === 'conflict') {
      this.#options.subscriptions.forget(origin.tenant);
      return { events: [], againAt: now + conflictMs, gap: null };
    }
    if (answer.tag !== 'applied') throw refusalOf(answer);
    const events = await Promise.all(
      out.map((one) => this.#pulled(place.at, one, delivery.token, rows.get(one.offset))),
    );
    // One that the cursor has not gone past is told of when it does.
    return { events, againAt, gap: gap !== null && state.read > gap.to ? gap : null };
  }

  async #pulled(at: PartitionKey, one: OpenEvent, token: string, stored: StoredEvent | undefined) {
    if (stored === undefined) throw new Error('Invariant broken: an event is handed out that was not read');
    const { row, key } = stored;
    const event = await this.#options.view(at.topic, at.partition, row);
    const pulled: PulledEvent = {
      topic: at.topic,
      partition: at.partition,
      offset: one.offset,
      token,
      delivery: one.deliveries,
      key,
      event,
    };
    return { event: pulled, bytes: sizeOf(stored) };
  }

  /** Events that follow what was read, until enough of them pass the filter. */
  async #fresh(
    { filter, windowMax }: Subscription,
    { at, state }: Place,
    head: number,
    {
      max,
      bytesMax,
      rows,
    }: { readonly max: number; readonly bytesMax: number; readonly rows: Map<number, StoredEvent> },
  ): Promise<{ readonly fresh: readonly ArrivedEvent[]; readonly gap: TopicGap | null }> {
    const { store } = this.#context;
    const fresh: ArrivedEvent[] = [];
    let wanted = 0;
    let bytes = 0;
    let { read } = state;
    const most = Math.min(max, windowMax - state.open.length);
    let gap: TopicGap | null = null;
    if (head <= read || most <= 0) return { fresh, gap };
    for (let looked = 0; looked < scanEventsMax && read < head; ) {
      const limit = Math.max(most, pageEvents);
      const page = await store.readEvents({ ...streamOf(at), after: read - 1, limit });
      if (looked === 0) gap = await gapBefore(store, at, read - 1, page[0]?.seq ?? null);
      for (const row of page) {
        const stored = storedEvent(row);
        const arrived = await arrivedEvent(this.#context, row, filter);
        const { isWanted } = arrived;
        if (isWanted && (wanted >= most || (wanted > 0 && bytes + sizeOf(stored) > bytesMax))) return { fresh, gap };
        if (isWanted) {
          wanted += 1;
          bytes += sizeOf(stored);
          rows.set(row.seq, stored);
        }
        fresh.push(arrived);
      }
      looked += page.length;
      read = (page.at(-1)?.seq ?? read - 1) + 1;
      if (page.length < limit) {
        // What is left of it was trimmed.
        if (read < head) fresh.push({ offset: head - 1, key: '', isWanted: false });
        break;
      }
    }
    return { fresh, gap };
  }

  /** Reads events that are open; those that are gone are left out. */
  async #readOpen(at: PartitionKey, open: readonly OpenEvent[], rows: Map<number, StoredEvent>): Promise<void> {
    const { store } = this.#context;
    for (let i = 0; i < open.length; ) {
      const one = open[i];
      if (one === undefined) return;
      const page = await store.readEvents({ ...streamOf(at), after: one.offset - 1, limit: pageEvents });
      const upTo = page.at(-1)?.seq ?? Number.POSITIVE_INFINITY;
      const found = new Map(page.map((row) => [row.seq, row]));
      for (; i < open.length && (open[i]?.offset ?? 0) <= upTo; i++) {
        const row = found.get(open[i]?.offset ?? -1);
        if (row !== undefined) rows.set(row.seq, storedEvent(row));
      }
    }
  }

  /** Takes a consumer's word for events, in one transition for all partitions that it speaks of. */
  async #speak(
    origin: Origin,
    spec: Subscription,
    consumer: string,
    positions: readonly EventPosition[],
    say: (state: PullState, positions: readonly EventPosition[], now: number) => Settled,
  ): Promise<{ readonly events: number; readonly dead: number }> {
    const { tenant } = origin;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const entries: EntryWrite[] = [];
      const added: AddedWrites[] = [];
      let events = 0;
      for (const [partition, of] of byPartition(positions)) {
        const at = { tenant, topic: spec.topic, partition };
        const place = await this.#read(spec.name, at);
        const outcome = place === null ? null : say(place.state, of, this.#context.store.now());
        if (place === null || outcome === null) throw fenced(spec, consumer, partition, of[0]?.offset ?? 0);
        if (outcome.tag === 'fenced') throw fenced(spec, consumer, partition, outcome.offset);
        if (outcome.tag === 'early')
          throw new SpineError('ACK_OUT_OF_ORDER', { partition, offset: outcome.offset, before: outcome.before });
        events += outcome.events.length;
        entries.push(this.#write(spec.name, place, outcome.state));
        for (const one of outcome.dead) added.push(await this.#buryRead(origin, spec, at, one));
      }
      const answer = await this.#commit(origin, withAdded({ tenant, entries }, added), added);
      if (answer.tag === 'applied') {
        this.#wake(subscriptionSignal(tenant, spec.name));
        return { events, dead: added.length };
      }
      if (answer.tag !== 'conflict') throw refusalOf(answer);
    }
    throw new SpineError('STORE_BUSY', {});
  }

  async #renewPartition(
    origin: Origin,
    { name }: Subscription,
    at: PartitionKey,
    {
      consumer,
      tokens,
      leaseMs,
    }: { readonly consumer: string; readonly tokens: readonly string[]; readonly leaseMs: number },
  ): Promise<readonly string[]> {
    let kept: readonly string[] = [];
    await this.#change(origin, name, at, ({ state }, now) => {
      const outcome = renewed(withoutLost(state, now), consumer, tokens, now, leaseMs);
      kept = outcome.tokens;
      return kept.length === 0 ? null : { state: outcome.state, added: [] };
    });
    return tokens.filter((token) => !kept.includes(token));
  }

  /** Changes one partition; null leaves it as it is. */
  async #change(
    origin: Origin,
    name: string,
    at: PartitionKey,
    change: (place: Place, now: number) => { readonly state: PullState; readonly added: readonly AddedWrites[] } | null,
  ): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const place = await this.#read(name, at);
      const changed = place === null ? null : change(place, this.#context.store.now());
      if (place === null || changed === null) return;
      const transition = withAdded(
        { tenant: at.tenant, entries: [this.#write(name, place, changed.state)] },
        changed.added,
      );
      const answer = await this.#commit(origin, transition, changed.added);
      if (answer.tag === 'applied') return;
      if (answer.tag !== 'conflict') throw refusalOf(answer);
    }
    throw new SpineError('STORE_BUSY', {});
  }

  async #buryRead(origin: Origin, spec: Subscription, at: PartitionKey, one: OpenEvent): Promise<AddedWrites> {
    const [row] = await this.#context.store.readEvents({ ...streamOf(at), after: one.offset - 1, limit: 1 });
    return this.#bury(origin, spec, at, one, row?.seq === one.offset ? storedEvent(row) : undefined);
  }

  #bury(
    origin: Origin,
    spec: Subscription,
    at: PartitionKey,
    { offset, deliveries, why }: OpenEvent,
    stored: StoredEvent | undefined,
  ): AddedWrites {
    const { context, catalog } = this.#options;
    const gone = {
      position: { topic: at.topic, partition: at.partition, offset: String(offset) },
      event: { id: null, type: null, source: null, key: null, attributes: {} },
      data: null,
    };
    return deadEventWrites(
      { context, catalog },
      {
        ...(stored === undefined ? gone : deadEventOf(stored, at.topic, at.partition)),
        source: `${sourcePrefix}${spec.name}`,
        class: stored === undefined ? 'dependency' : 'poison',
        code: stored === undefined ? 'EVENT_GONE' : 'DELIVERIES_EXHAUSTED',
        message:
          why ??
          (stored === undefined ? 'the topic no longer has it' : `delivered ${deliveries} times, and never settled`),
        attempts: deliveries,
      },
      { tenant: at.tenant, actor: origin.actor, mirror: spec.dead },
    );
  }

  /** Says that the consumer lives; returns those that do, or null where it was one of them and has left. */
  async #join(
    tenant: string,
    name: string,
    consumer: string,
    leaseMs: number,
    isMember = false,
  ): Promise<readonly string[] | null> {
    const { store } = this.#context;
    const now = store.now();
    const rows: readonly EntryRow[] = await store.readEntries({
      tenant,
      space: consumerSpace,
      key: name,
      limit: rowsOfConsumers,
    });
    const memberOf = ({ value }: EntryRow): Member => JSON.parse(value) as Member;
    const isGone = (row: EntryRow): boolean => isOver(memberOf(row).until, now, memberOf(row).ms);
    const others = rows.filter((row) => row.ref !== consumer && !isGone(row));
    if (others.length >= limits.consumersMax)
      throw new SpineError('CONSUMERS_FULL', { name, max: limits.consumersMax });
    const mine = rows.find(({ ref }) => ref === consumer);
    if (mine === undefined && isMember) return null;
    if (mine === undefined || isGone(mine) || memberOf(mine).until < now + (2 / 3) * leaseMs) {
      const value = JSON.stringify({ until: now + leaseMs, ms: leaseMs } satisfies Member);
      const own: EntryWrite = { op: 'put', space: consumerSpace, key: name, ref: consumer, value, run: '', at: now };
      const drops = rows
        .filter((row) => row.ref !== consumer && isGone(row) && memberOf(row).until < now - goneMs)
        .map((row): EntryWrite => ({ op: 'drop', space: consumerSpace, key: name, ref: row.ref, expected: row.value }));
      const [outcome] = await store.apply([{ tenant, entries: [own, ...drops] }]);
      // One that was gone is back: whoever asks next cleans up.
      if (outcome?.tag === 'conflict') await store.apply([{ tenant, entries: [own] }]);
      if (mine === undefined || isGone(mine)) this.#wake(subscriptionSignal(tenant, name));
    }
    return [consumer, ...others.map(({ ref }) => ref)];
  }

  async #heads(tenant: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const heads = await this.#context.store.listPartitions({
      after: { tenant, topic, partition: -1 },
      limit: limits.topicPartitionsMax,
    });
    const known = this.#options.catalog.topic(topic)?.manifest.partitions ?? 1;
    const found = new Map(Array.from({ length: known }, (_, partition) => [partition, 0]));
    for (const one of heads) if (one.tenant === tenant && one.topic === topic) found.set(one.partition, one.head);
    return found;
  }

  /** All partitions of the topic, with where the subscription begins on those that it has not begun on. */
  async #places(found: SubscriptionInForce, tenant: string, heads: ReadonlyMap<number, number>): Promise<Place[]> {
    const { store } = this.#context;
    const { spec } = found;
    const rows = new Map((await readCursors(store, tenant, spec.name)).map((row) => [row.ref, row.value]));
    const places: Place[] = [];
    for (const [partition, head] of heads) {
      const at = { tenant, topic: spec.topic, partition };
      const text = rows.get(topicStream(spec.topic, partition)) ?? null;
      const cursor: PullCursor =
        text === null
          ? { next: await offsetOf(store, at, head, spec.from, await this.#options.subscriptions.since(found)) }
          : (JSON.parse(text) as PullCursor);
      places.push({ at, text, state: stateOf(cursor) });
    }
    return places;
  }

  async #read(name: string, at: PartitionKey): Promise<Place | null> {
    const row = await readEntry(this.#context.store, at.tenant, cursorKey(name, at));
    return row === null ? null : { at, text: row.value, state: stateOf(JSON.parse(row.value) as PullCursor) };
  }

  #write(name: string, { at, text }: Place, state: PullState): EntryWrite {
    return cursorWrite(name, at, text, cursorOf(state), this.#context.store.now());
  }

  #commit(origin: Origin, transition: Transition, added: readonly AddedWrites[] = []): Promise<CommitAnswer> {
    const births = added.flatMap((one) => one.births);
    return new Promise((settle) => this.#options.lanes.bear({ births, transition, actor: origin.actor, settle }));
  }

  #token(): string {
    return toBase64(this.#context.ports.random.bytes(tokenBytes));
  }

  #listen(signals: readonly string[]): { wait(ms: number): Promise<void>; end(): void } {
    if (this.#waits >= limits.pullsWaitingMax) throw new SpineError('STORE_BUSY', {});
    this.#waits += 1;
    let isNews = false;
    let wake: () => void = () => undefined;
    const listener = (): void => {
      isNews = true;
      wake();
    };
    for (const signal of signals) {
      const listeners = this.#waiting.get(signal) ?? new Set();
      this.#waiting.set(signal, listeners.add(listener));
    }
    return {
      wait: (ms) =>
        isNews || this.#isStopped
          ? Promise.resolve()
          : new Promise((resolve) => {
              const cancel = this.#context.ports.timers.after(ms, resolve);
              wake = () => {
                cancel();
                resolve();
              };
            }),
      end: () => {
        this.#waits -= 1;
        for (const signal of signals) {
          const listeners = this.#waiting.get(signal);
          listeners?.delete(listener);
          if (listeners?.size === 0) this.#waiting.delete(signal);
        }
      },
    };
  }

  #wake(signal: string): void {
    for (const listener of [...(this.#waiting.get(signal) ?? [])]) listener();
  }

  /** For what is committed by somebody else in a moment. */
  #wakeSoon(signal: string): void {
    this.#context.ports.timers.after(soonMs, () => this.#wake(signal));
  }
}

function topicSignal(tenant: string, topic: string): string {
  return `topic ${tenant} ${topic}`;
}

function subscriptionSignal(tenant: string, name: string): string {
  return `subscription ${tenant} ${name}`;
}

function deliveriesMaxOf({ deliveriesMax }: Subscription): number {
  return deliveriesMax ?? limits.subscriptionDeliveriesDefault;
}

function streamOf({ tenant, topic, partition }: PartitionKey): { readonly tenant: string; readonly stream: string } {
  return { tenant, stream: topicStream(topic, partition) };
}

function partitionOf(tenant: string, topic: string, ref: string): PartitionKey | null {
  return ref.startsWith(`${topic}/`) ? { tenant, topic, partition: Number(ref.slice(topic.length + 1)) } : null;
}

function byPartition<T extends { readonly partition: number }>(items: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(item.partition);
    if (group === undefined) groups.set(item.partition, [item]);
    else group.push(item);
  }
  return groups;
}

function rotated<T>(items: readonly T[], by: number): T[] {
  if (items.length === 0) return [];
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

function sizeOf({ row, payload }: StoredEvent): number {
  const size = payload === null ? 0 : isBlobPayload(payload) ? payload.size : payload.text.length;
  return size > limits.payloadBytesMax ? row.envelope.length : row.envelope.length + size;
}

function fenced({ name }: Subscription, consumer: string, partition: number, offset: number): SpineError {
  return new SpineError('CONSUMER_FENCED', { name, consumer, partition, offset });
}

function refusalOf(answer: CommitAnswer): Error {
  if (answer.tag === 'failed') return answer.error instanceof Error ? answer.error : new Error(String(answer.error));
  if (answer.tag === 'unstorable') return new SpineError('VALUE_UNSTORABLE', { path: '$', reason: answer.reason });
  return new Error(`Invariant broken: the cursor of a subscription was refused with ${answer.tag}`);
}

const sourcePrefix = 'subscription:';
const tokenBytes = 9;
/** Of the reason that is kept with an event that was given back. */
const whyLengthMax = 120;
/** Of several that change one partition at the same time, one gets through with each attempt. */
const attemptsMax = 20;
/** Events read at a time, and those looked through for one that passes the filter before something is written down. */
const pageEvents = 64;
const scanEventsMax = 2_048;
/** While a subscription is paused, nobody tells of its resumption. */
const pausedLookMs = 1_000;
/** A look that found somebody quicker is done again after this time. */
const conflictMs = 5;
const soonMs = 5;
/** Pause between two looks that nobody has asked for. On a shared store, others may have come without a word here. */
const lookAgainMs = 10_000;
const lookAgainMsShared = 1_000;
/** Consumers that are read at once: those that live, and those that were not forgotten yet. */
const rowsOfConsumers = 2_000;
/** Consumers that have been silent for so long are forgotten. */
const goneMs = 60_000;
