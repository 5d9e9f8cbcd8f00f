/**
 * Deliveries: subscriptions with a workflow, whose events start a run each. Follows the partitions of their topics; what is to
 * begin is decided by `core/topics/delivery.ts`, and the runs are born in the transition that moves the cursor. One server
 * at a time does it; of two that believe to, the cursor lets one through.
 *
 * Invariant: of each event after the start of a subscription that its filter lets pass there is one run, or a dead event,
 * or the cursor is still before it. A seek by hand is a new start.
 */
import { payloadOfJson } from '../../core/codec.js';
import { isSpineError, SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import { subscriptionsTopic, webhooksTopic, type WorkflowManifest } from '../../core/manifest.js';
import type { Payload } from '../../core/payload.js';
import { schemaIdOfUri, writtenUnder } from '../../core/schema/schema-id.js';
import type { RunTrigger } from '../../core/run/events.js';
import { isEnded, type RunRow } from '../../core/run/state.js';
import {
  planDelivery,
  withoutEnded,
  withRuns,
  type ArrivedEvent,
  type DeliveryCursor,
  type DeliveryPlan,
  type RunUnderWay,
} from '../../core/topics/delivery.js';
import type { DeadEvent } from '../../core/topics/dead-event.js';
import type { Filter, Subscription } from '../../core/topics/subscription.js';
import { topicStream, type EventRow, type PartitionKey, type Transition } from '../../store/contract.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import { birth, withBirths, type RunBirth } from '../intake/birth.js';
import type { Catalog } from '../intake/catalog.js';
import { runKey, type CommittedChange } from '../runs/committed.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes } from '../runs/lanes.js';
import { arrivedEvent } from './arrivals.js';
import { cursorWrite, offsetOf, readCursor } from './cursors.js';
import { deadEventWrites, withAdded, type AddedWrites } from './dead-events.js';
import { gapBefore, type TopicGap } from './low-water.js';
import { preparePublication, type Publication } from './publication.js';
import { PartitionReader } from './partition-reader.js';
import { keyOf, PartitionRounds } from './partition-rounds.js';
import { deadEventOf, storedEvent } from './stored-event.js';
import { messageOf } from '../webhooks/message.js';
import { settingGuard, type SubscriptionInForce, type Subscriptions } from './subscriptions.js';

export interface DeliveriesOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly lanes: Lanes;
  readonly subscriptions: Subscriptions;
  /** A run, or the last of those that it goes on in; null = it is no longer there. */
  readonly latest: (tenant: string, run: string) => Promise<RunRow | null>;
  /** Looks for a workflow that nobody here knows. */
  readonly lookFor: (workflow: string) => Promise<void>;
}

/** A subscription in one partition, as it is remembered while the duty is held. */
interface Place {
  readonly at: PartitionKey;
  /** The entry of the cursor; null = there is none yet. */
  text: string | null;
  cursor: DeliveryCursor;
  /** Events from the cursor on that were read; their data is not kept. */
  window: ArrivedEvent[];
  /** Offset of the next event to read. */
  readTo: number;
  /** Events that are gone by retention, and of which nobody was told yet. */
  gap: TopicGap | null;
}

/** What goes into one transition. */
interface Delivery {
  readonly cursor: DeliveryCursor;
  readonly text: string;
  readonly births: readonly RunBirth[];
  readonly dead: readonly AddedWrites[];
  /** The event of the topic `eventspine.subscriptions` that tells of a gap. */
  readonly told: Publication | null;
  readonly at: number;
}

/** A run that a place waits for. */
interface Awaited {
  readonly at: PartitionKey;
  readonly place: string;
  readonly run: string;
}

export class Deliveries {
  readonly #deps: DeliveriesOptions;
  readonly #rounds: PartitionRounds;
  readonly #places = new Map<string, Place>();
  /** Heads up to which a partition was read for all its subscriptions. */
  readonly #seen = new Map<string, number>();
  /** Runs under way, by `runKey`. */
  readonly #awaited = new Map<string, Awaited>();
  /** Of these, those that may have ended, by partition: true = it is known that one has, and that it goes on in no other. */
  readonly #suspects = new Map<string, Map<string, boolean>>();
  /** Places whose last batch held something that the store cannot keep. */
  readonly #alone = new Set<string>();
  /** Of these, those whose next event cannot become a run, and why. */
  readonly #unborn = new Map<string, string>();
  #checkAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: DeliveriesOptions) {
    this.#deps = deps;
    const { context, subscriptions } = deps;
    this.#rounds = new PartitionRounds(context, {
      duty: 'deliveries',
      concerns: (tenant, topic) => subscriptions.mayStartRuns(tenant, topic),
      isBehind: (at, head) => (this.#seen.get(keyOf(at)) ?? -1) < head,
      visit: (at) => this.#visit(at),
      taken: () => this.#forgetAll(),
    });
  }

  /** Transitions were applied: what they have published is looked at at once. */
  published(transitions: readonly Transition[]): void {
    this.#rounds.published(transitions);
  }

  /** Another server has added to a stream: an event of a topic, or a run that an event may wait for. */
  moved(tenant: string, stream: string): void {
    const awaited = this.#awaited.get(runKey(tenant, stream));
    if (awaited !== undefined) this.#suspect(awaited, false, neighbourAfterMs);
    else if (stream === subscriptionsStream || stream === webhooksStream) this.changed(tenant);
    else this.#rounds.moved(tenant, stream);
  }

  /** A run has moved: where it has ended, the next event of its key may begin. */
  committed({ key, state }: Pick<CommittedChange, 'key' | 'state'>): void {
    if (!isEnded(state.status)) return;
    const awaited = this.#awaited.get(key);
    if (awaited !== undefined) this.#suspect(awaited, state.status !== 'continued');
  }

  /** What apps declare has changed: a topic that was read may have a subscription that was not. */
  redefined(): void {
    this.#seen.clear();
    this.#rounds.sweepSoon();
  }

  /** A subscription of the tenant was made, removed or set by hand, here or by a neighbour. */
  changed(tenant: string): void {
    this.#deps.subscriptions.forget(tenant);
    for (const [key, { at }] of this.#places) if (at.tenant === tenant) this.#forget(key);
    for (const key of this.#seen.keys()) if (key.startsWith(`${tenant}/`)) this.#seen.delete(key);
    this.#rounds.sweepSoon();
    this.#deps.subscriptions
      .list(tenant)
      .then(() => this.tick())
      .catch((error: unknown) => this.#deps.context.fault('deliveries', error));
  }

  /** One bounded round: delivers what is there, and now and then looks for what nobody has told of. */
  async tick(): Promise<void> {
    // Where nobody has one, nothing is asked of the store.
    if (!this.#deps.subscriptions.startRuns) return;
    const nowMs = this.#deps.context.ports.clock.monotonicMs();
    if (nowMs >= this.#checkAtMs) {
      this.#checkAtMs = nowMs + checkEveryMs;
      this.#checkSome();
    }
    await this.#rounds.tick();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** The end of a run that nobody has told of is found all the same, those that were not looked at for longest first. */
  #checkSome(): void {
    for (const [key, awaited] of [...this.#awaited].slice(0, checkedMax)) {
      this.#awaited.delete(key);
      this.#awaited.set(key, awaited);
      this.#note(awaited, false);
      this.#rounds.again(awaited.at);
    }
  }

  #suspect(awaited: Awaited, isKnown: boolean, afterMs = 0): void {
    this.#note(awaited, isKnown);
    if (afterMs === 0) this.#rounds.ask(awaited.at);
    else this.#rounds.again(awaited.at, afterMs);
  }

  #note({ at, run }: Awaited, isKnown: boolean): void {
    const key = keyOf(at);
    const runs = this.#suspects.get(key);
    if (runs === undefined) this.#suspects.set(key, new Map([[run, isKnown]]));
    else runs.set(run, isKnown || runs.get(run) === true);
  }

  /** All subscriptions of the topic that start runs, side by side: they share what is read. */
  async #visit(at: PartitionKey): Promise<void> {
    const { subscriptions, context } = this.#deps;
    const key = keyOf(at);
    const found = (await subscriptions.of(at.tenant, at.topic)).filter(({ spec }) => spec.workflow !== null);
    const suspects = this.#suspects.get(key);
    this.#suspects.delete(key);
    const ended = suspects === undefined ? noneEnded : await this.#endedOf(at.tenant, suspects);
    const read = new PartitionReader(context, at);
    // First, so that what is before it and cannot be read is no longer there.
    const head = await read.head();
    const failures: unknown[] = [];
    const readTo = await Promise.all(
      found.map((one) =>
        this.#deliver(at, one, ended, read).catch((error: unknown) => {
          // What became of its transition is not known.
          this.#forget(placeOf(one, at));
          failures.push(error);
          return 0;
        }),
      ),
    );
    this.#seen.set(key, Math.min(head, ...readTo));
    if (failures.length > 0) throw failures[0];
  }

  /** Which of the runs have ended, with what they go on in. */
  async #endedOf(tenant: string, runs: ReadonlyMap<string, boolean>): Promise<ReadonlyMap<string, string | null>> {
    const becomes = new Map<string, string | null>();
    const list: string[] = [];
    for (const [run, isKnown] of runs)
      if (isKnown) becomes.set(run, null);
      else list.push(run);
    for (let from = 0; from < list.length; from += readAtOnce)
      await Promise.all(
        list.slice(from, from + readAtOnce).map(async (run) => {
          const row = await this.#deps.latest(tenant, run);
          if (row === null || isEnded(row.status)) becomes.set(run, null);
          else if (row.run !== run) becomes.set(run, row.run);
        }),
      );
    return becomes;
  }

  /** Delivers a batch of one subscription. Resolves with the head up to which there is nothing to do before something moves. */
  async #deliver(
    at: PartitionKey,
    subscription: SubscriptionInForce,
    ended: ReadonlyMap<string, string | null>,
    read: PartitionReader,
  ): Promise<number> {
    const key = placeOf(subscription, at);
    const { spec, setting } = subscription;
    const head = await read.head();
    const place = this.#places.get(key) ?? (await this.#load(key, at, subscription, head));
    const freed = withoutEnded(place.cursor, ended);
    const workflow = await this.#workflowOf(spec.workflow ?? '');
    const isHeld = workflow === null || (setting !== null && setting.paused !== null);
    const to = Math.min(head, place.cursor.end ?? head);
    if (!isHeld) await this.#fill(at, place, spec.filter, read, to);
    const arrived = isHeld ? { events: [], readTo: 0 } : { events: place.window, readTo: place.readTo };
    const plan = planDelivery(spec, freed, arrived, this.#alone.has(key) ? 1 : limits.subscriptionStartsMax);
    const began = await this.#begin(at, subscription, workflow, plan, read);
    const delivery = place.gap === null ? began : { ...began, told: this.#tellGap(at, spec.name, place.gap, began.at) };
    if (delivery.text !== place.text) {
      const answer = await this.#write(at, subscription, place.text, delivery);
      switch (answer.tag) {
        case 'applied':
          this.#alone.delete(key);
          this.#unborn.delete(key);
          this.#moveOn(key, at, place, delivery);
          break;
        case 'conflict':
          // A neighbour has the duty too, or somebody has set it by hand: look anew.
          this.#forget(key);
          this.#deps.subscriptions.forget(at.tenant);
          this.#rounds.again(at);
          return head;
        case 'unstorable':
          // Which of them it is comes out when each is alone; that one is a dead event.
          if (this.#alone.has(key) && !this.#unborn.has(key)) this.#unborn.set(key, answer.reason);
          else if (this.#alone.has(key)) throw refusal(spec.name, answer);
          this.#alone.add(key);
          this.#rounds.again(at);
          return head;
        default:
          throw refusal(spec.name, answer);
      }
    }
    if (isHeld || plan.isFull) return head;
    const mayReadOn = place.window.length < limits.subscriptionAheadMax && place.readTo < to;
    if (plan.begin.length > 0 || mayReadOn) this.#rounds.again(at);
    return head;
  }

  /** The runs of what is to begin; of what cannot become one, a dead event. */
  async #begin(
    at: PartitionKey,
    subscription: SubscriptionInForce,
    workflow: WorkflowManifest | null,
    plan: DeliveryPlan,
    read: PartitionReader,
  ): Promise<Delivery> {
    const now = this.#deps.context.store.now();
    const births: RunBirth[] = [];
    const dead: AddedWrites[] = [];
    const begun: RunUnderWay[] = [];
    for (const { offset, key } of plan.begin) {
      const row = await read.row(offset);
      // What was deleted since it was read begins nothing.
      if (row === null || workflow === null) continue;
      try {
        const reason = this.#unborn.get(placeOf(subscription, at));
        if (reason !== undefined) throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason });
        const born = this.#birth(at, subscription, workflow, row, now);
        births.push(born);
        begun.push({ offset, run: born.state.run, key });
      } catch (error) {
        if (!isSpineError(error)) throw error;
        dead.push(this.#deathOf(at, subscription, row, error));
      }
    }
    const cursor = withRuns(plan.cursor, begun);
    return { cursor, text: JSON.stringify(cursor), births, dead, told: null, at: now };
  }

  #deathOf(
    { tenant, topic, partition }: PartitionKey,
    { spec }: SubscriptionInForce,
    row: EventRow,
    { code, message }: SpineError,
  ): AddedWrites {
    return deadEventWrites(
      this.#deps,
      {
        ...deadEventOf(storedEvent(row), topic, partition),
        source: `subscription:${spec.name}`,
        class: 'poison',
        code,
        message,
        attempts: 0,
      },
      { tenant, actor: `subscription:${spec.name}`, mirror: spec.dead },
    );
  }

  /** The way back of a dead event that came from a subscription which starts runs: a run for it, out of its order. */
  async redrive(origin: Origin, { source, at, position, event, data }: DeadEvent): Promise<AddedWrites | null> {
    const name = source.startsWith(sourcePrefix) ? source.slice(sourcePrefix.length) : null;
    const found = name === null ? null : await this.#deps.subscriptions.find(origin.tenant, name);
    if (found === null || found.spec.workflow === null) return null;
    const workflow = await this.#workflowOf(found.spec.workflow);
    if (workflow === null) return null;
    const { context } = this.#deps;
    const { tenant, actor, traceparent } = origin;
    const run = newId('run', context.ports);
    const eventId = event.id ?? run;
    const born = birth(context, workflow, {
      tenant,
      run,
      input: data ?? emptyInput,
      at: context.store.now(),
      actor,
      cause: null,
      correlation: eventId,
      traceparent,
      trigger: {
        topic: found.spec.topic,
        eventId,
        ...writtenUnder(found.spec.topic, schemaIdOfUri(dataschemaOf(event))),
        ...(position === null
          ? {}
          : { subscription: subscriptionOf(found.spec, position.partition, Number(position.offset)) }),
      },
      ...(found.made?.webhook === undefined
        ? {}
        : messageOf(
            context,
            { tenant, topic: found.spec.topic, webhook: found.made.webhook },
            { id: eventId, type: event.type ?? found.spec.topic, at, attributes: sourceOf(event) },
          )),
    });
    return { publishes: [], dedupe: [], entries: [], blobs: [], births: [born] };
  }

  /** What is gone by retention before it was begun is told in the transition that goes past it, and in the log. */
  #tellGap({ tenant, topic, partition }: PartitionKey, name: string, { from, to }: TopicGap, at: number): Publication {
    const { context, catalog } = this.#deps;
    const value = { subscription: name, change: 'gap', topic, partition, from, to };
    context.log({
      level: 'warn',
      message: 'events were gone before a subscription came to them',
      fields: { tenant, ...value },
    });
    const event = {
      topic: subscriptionsTopic.name,
      id: newId('event', context.ports),
      source: 'eventspine/subscriptions',
      type: subscriptionsTopic.name,
      key: name,
      data: payloadOfJson(value),
      value,
    };
    const actor = `subscription:${name}`;
    return preparePublication(
      context,
      catalog,
      event,
      { tenant, actor, cause: null, correlation: null, traceparent: null },
      at,
    );
  }

  #write(
    at: PartitionKey,
    subscription: SubscriptionInForce,
    before: string | null,
    { cursor, births, dead, told, at: now }: Delivery,
  ): Promise<CommitAnswer> {
    const { name } = subscription.spec;
    const entries = [cursorWrite(name, at, before, cursor, now), settingGuard(subscription, now)];
    const gap: AddedWrites[] =
      told === null
        ? []
        : [{ publishes: [told.write], dedupe: [], entries: [], blobs: told.blobs, births: told.births }];
    const added = [...dead, ...gap];
    const transition = withAdded(withBirths({ tenant: at.tenant, entries }, births), added);
    const all = [...births, ...added.flatMap((one) => one.births)];
    return new Promise((settle) => {
      this.#deps.lanes.bear({ births: all, transition, actor: `subscription:${name}`, settle });
    });
  }

  #birth(
    { tenant, topic, partition }: PartitionKey,
    { spec, made }: SubscriptionInForce,
    workflow: WorkflowManifest,
    row: EventRow,
    at: number,
  ): RunBirth {
    const { context } = this.#deps;
    const webhook = made?.webhook;
    const envelope = parseEnvelope(row.envelope);
    return birth(context, workflow, {
      tenant,
      run: newId('run', context.ports),
      input: payloadOf(envelope, row.payload) ?? emptyInput,
      at,
      actor: `subscription:${spec.name}`,
      cause: envelope.id,
      correlation: envelope.correlation ?? envelope.id,
      traceparent: envelope.traceparent,
      trigger: {
        topic,
        eventId: envelope.id,
        ...writtenUnder(topic, envelope.schema),
        subscription: subscriptionOf(spec, partition, row.seq),
      },
      ...(webhook === undefined ? {} : messageOf(context, { tenant, topic, webhook }, envelope)),
    });
  }

  async #workflowOf(name: string): Promise<WorkflowManifest | null> {
    const { catalog, lookFor } = this.#deps;
    if (catalog.workflow(name) === null) await lookFor(name);
    return catalog.workflow(name)?.manifest ?? null;
  }

  /** Reads on, up to as many events as could be looked at before an earlier one ends. */
  async #fill(at: PartitionKey, place: Place, filter: Filter | null, read: PartitionReader, to: number): Promise<void> {
    if (place.window.length >= limits.subscriptionAheadMax || place.readTo >= to) return;
    const rows = await read.after(place.readTo - 1);
    const { context } = this.#deps;
    const gap = await gapBefore(context.store, at, place.readTo - 1, rows[0]?.seq ?? null);
    if (gap !== null) place.gap = { from: place.gap?.from ?? gap.from, to: gap.to };
    for (const row of rows) place.window.push(await arrivedEvent(context, row, filter));
    // What is before the head and is not there was deleted.
    place.readTo = (rows.at(-1)?.seq ?? to - 1) + 1;
  }

  async #load(key: string, at: PartitionKey, subscription: SubscriptionInForce, head: number): Promise<Place> {
    const { context, subscriptions } = this.#deps;
    const { spec } = subscription;
    const stored = await readCursor(context.store, spec.name, at);
    const cursor: DeliveryCursor = stored?.cursor ?? {
      next: await offsetOf(context.store, at, head, spec.from, await subscriptions.since(subscription)),
      // A replay ends where its topic ended: a partition that came later has nothing for it.
      ...(subscription.made?.purpose === 'replay' ? { end: 0 } : {}),
    };
    const place: Place = { at, text: stored?.text ?? null, cursor, window: [], readTo: cursor.next, gap: null };
    this.#places.set(key, place);
    this.#awaitAll(key, at, cursor);
    // Whether they have ended nobody may ever tell: they are asked for once.
    for (const { run } of cursor.runs ?? []) this.#suspect({ at, place: key, run }, false);
    return place;
  }

  #moveOn(key: string, at: PartitionKey, place: Place, { cursor, text }: Delivery): void {
    for (const { run } of place.cursor.runs ?? []) this.#awaited.delete(runKey(at.tenant, run));
    place.text = text;
    place.cursor = cursor;
    place.gap = null;
    place.window = place.window.filter(({ offset }) => offset >= cursor.next);
    this.#awaitAll(key, at, cursor);
  }

  #awaitAll(place: string, at: PartitionKey, { runs = [] }: DeliveryCursor): void {
    for (const { run } of runs) this.#awaited.set(runKey(at.tenant, run), { at, place, run });
  }

  #forget(key: string): void {
    this.#places.delete(key);
    for (const [run, { place }] of this.#awaited) if (place === key) this.#awaited.delete(run);
  }

  #forgetAll(): void {
    this.#places.clear();
    this.#awaited.clear();
    this.#suspects.clear();
    this.#seen.clear();
  }
}

function subscriptionOf(
  { name, dead }: Subscription,
  partition: number,
  offset: number,
): NonNullable<RunTrigger['subscription']> {
  return { name, partition, offset, ...(dead === null ? {} : { dead }) };
}

function placeOf({ spec }: SubscriptionInForce, at: PartitionKey): string {
  return `${spec.name} ${keyOf(at)}`;
}

function refusal(name: string, answer: Exclude<CommitAnswer, { tag: 'applied' | 'conflict' }>): Error {
  switch (answer.tag) {
    case 'failed':
      return answer.error instanceof Error ? answer.error : new Error(String(answer.error));
    case 'unstorable':
      return new SpineError('VALUE_UNSTORABLE', { path: '$', reason: answer.reason });
    default:
      return new Error(`Invariant broken: a delivery of ${name} was refused with ${answer.tag}`);
  }
}

/** What the feed calls the events by which subscriptions are made and changed. */
const subscriptionsStream = topicStream(subscriptionsTopic.name, 0);
const webhooksStream = topicStream(webhooksTopic.name, 0);
const sourcePrefix = 'subscription:';
const noneEnded: ReadonlyMap<string, string | null> = new Map();
const emptyInput: Payload = { codec: 'json/1', text: 'null' };
/** Runs that are read at one time. */
const readAtOnce = 16;
/** A run of a neighbour moves several times before it ends. */
const neighbourAfterMs = 50;
const checkEveryMs = 5_000;
/** Runs that are looked at in one check. */
const checkedMax = 1_000;

function sourceOf({ source, attributes }: DeadEvent['event']): DeadEvent['event']['attributes'] {
  return source === null ? attributes : { ...attributes, source };
}

/** What an event was written under, as its attribute says. */
function dataschemaOf({ attributes: { dataschema } }: DeadEvent['event']): string | undefined {
  return typeof dataschema === 'string' ? dataschema : undefined;
}
