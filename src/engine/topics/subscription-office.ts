/**
 * What operators do to subscriptions: pause, resume, set cursors to another place, and replay a topic through a group of its
 * own. Each is one transition with an event of the topic `eventspine.subscriptions`, guarded by what was read.
 */
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import { subscriptionsTopic } from '../../core/manifest.js';
import { soughtTo, type DeliveryCursor } from '../../core/topics/delivery.js';
import type { StartPosition, Subscription } from '../../core/topics/subscription.js';
import type { ReplayAnswer, SeekAnswer } from '../../protocol/http.js';
import { topicStream, type EntryWrite, type PartitionKey } from '../../store/contract.js';
import type { CommandOutcome, Origin, ReplayRequest, SeekRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import { withBirths } from '../intake/birth.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes } from '../runs/lanes.js';
import { arrivedEvent } from './arrivals.js';
import { cursorWrite, offsetOf, readCursor } from './cursors.js';
import { preparePublication } from './publication.js';
import {
  subscriptionSettingSpace,
  subscriptionSpace,
  type MadeSubscription,
  type SubscriptionInForce,
  type Subscriptions,
  type SubscriptionSetting,
} from './subscriptions.js';

export interface SubscriptionOfficeOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly lanes: Pick<Lanes, 'bear'>;
  readonly subscriptions: Subscriptions;
  /** Is told that something of the tenant's was changed. */
  readonly changed: (tenant: string) => void;
}

/** What an event of the topic says. */
interface Told {
  readonly subscription: string;
  readonly change: 'paused' | 'resumed' | 'sought' | 'replayed';
  readonly reason?: string | null;
  readonly partitions?: readonly Place[];
  readonly into?: string;
}

interface Change {
  readonly entries: readonly EntryWrite[];
  readonly told: Told;
}

/** A partition with the offset of the first event that is meant, and of the first that is not any more. */
interface Place {
  readonly partition: number;
  readonly from: number;
  readonly head: number;
}

export class SubscriptionOffice {
  readonly #deps: SubscriptionOfficeOptions;

  constructor(deps: SubscriptionOfficeOptions) {
    this.#deps = deps;
  }

  /** Nothing is begun or handed out after this was answered, until it is resumed. `error`: SUBSCRIPTION_NOT_FOUND. */
  pause(origin: Origin, name: string, reason: string | null): Promise<CommandOutcome> {
    return this.#command(origin, name, ({ setting, settingText }, at) => {
      if (setting !== null && setting.paused !== null) return null;
      const value: SubscriptionSetting = { paused: { by: origin.actor, at, reason } };
      const entry = { space: subscriptionSettingSpace, key: name, ref: '', value: JSON.stringify(value), run: '', at };
      return {
        entries: [{ op: 'put', ...entry, expected: settingText }],
        told: { subscription: name, change: 'paused', reason },
      };
    });
  }

  /** `error`: SUBSCRIPTION_NOT_FOUND. */
  resume(origin: Origin, name: string): Promise<CommandOutcome> {
    return this.#command(origin, name, ({ setting, settingText }) => {
      if (setting === null || setting.paused === null) return null;
      return {
        entries: [{ op: 'drop', space: subscriptionSettingSpace, key: name, ref: '', expected: settingText }],
        told: { subscription: name, change: 'resumed' },
      };
    });
  }

  /**
   * Sets the cursors of a subscription, or of one partition of it, to another place: what lies behind it begins anew, what lies
   * before it is left out. What is under way goes on. Rejects with SUBSCRIPTION_NOT_FOUND.
   */
  async seek(origin: Origin, name: string, { to, partition }: SeekRequest): Promise<SeekAnswer> {
    const { context } = this.#deps;
    let places: readonly Place[] = [];
    await this.#change(origin, name, async ({ spec }, at) => {
      const partitions = await this.#partitions(origin.tenant, spec.topic);
      const meant = partitions.filter((one) => partition === undefined || one.partition === partition);
      places = await Promise.all(meant.map((one) => this.#placeOf(one, to, at)));
      const entries = await Promise.all(
        places.map(async (place) => {
          const where = { tenant: origin.tenant, topic: spec.topic, partition: place.partition };
          const stored = await readCursor(context.store, name, where);
          const cursor: DeliveryCursor = stored?.cursor ?? { next: 0 };
          return cursorWrite(name, where, stored?.text ?? null, soughtTo(cursor, place.from), at);
        }),
      );
      return { entries, told: { subscription: name, change: 'sought', partitions: places } };
    });
    return { name, partitions: places.map(viewOf) };
  }

  /**
   * Sends the events of the topic from a place to its end through a group of their own: another subscription with the filter and
   * the order of this one, which ends where the topic ends now. Rejects with SUBSCRIPTION_NOT_FOUND, SUBSCRIPTION_INVALID,
   * WORKFLOW_UNKNOWN.
   */
  async replay(origin: Origin, name: string, request: ReplayRequest): Promise<ReplayAnswer> {
    if (request.dryRun === true) return this.#dryRun(origin.tenant, name, request.from);
    const { context, catalog } = this.#deps;
    let answer: ReplayAnswer | null = null;
    await this.#change(origin, name, async ({ spec: base, made: before }, at) => {
      const workflow = request.workflow ?? base.workflow;
      if (workflow !== null && catalog.workflow(workflow) === null)
        throw new SpineError('WORKFLOW_UNKNOWN', { name: workflow, known: catalog.workflowNames() });
      const into = request.into ?? `${name.slice(0, limits.nameLengthMax - 40)}.${newId('event', context.ports)}`;
      if ((await this.#deps.subscriptions.find(origin.tenant, into)) !== null)
        throw new SpineError('SUBSCRIPTION_INVALID', { name: into, faults: ['there is one of this name already'] });
      if (workflow !== null) await this.#deps.subscriptions.announce(origin.tenant, into);
      const spec: Subscription = { ...base, name: into, workflow, from: request.from, lagMax: null };
      const made: MadeSubscription = {
        spec,
        by: origin.actor,
        at,
        purpose: 'replay',
        ...(before?.webhook === undefined || workflow !== base.workflow ? {} : { webhook: before.webhook }),
      };
      const partitions = await this.#partitions(origin.tenant, spec.topic);
      const places = await Promise.all(partitions.map((one) => this.#placeOf(one, request.from, at)));
      answer = { name, into, workflow, dryRun: false, partitions: places.map(viewOf), ...countsOf(places) };
      const definition: EntryWrite = {
        op: 'put',
        space: subscriptionSpace,
        key: into,
        ref: '',
        value: JSON.stringify(made),
        run: '',
        at,
        expected: null,
      };
      const cursors = places.map(({ partition, from, head }) => {
        const cursor: DeliveryCursor = { next: from, ...(workflow === null ? {} : { end: head }) };
        return cursorWrite(into, { topic: spec.topic, partition }, null, cursor, at);
      });
      return {
        entries: [definition, ...cursors],
        told: { subscription: name, change: 'replayed', into, partitions: places },
      };
    });
    if (answer === null) throw new Error('Invariant broken: a replay without an answer');
    return answer;
  }

  /** What a replay would begin, and nothing more. */
  async #dryRun(tenant: string, name: string, from: StartPosition): Promise<ReplayAnswer> {
    const { context, subscriptions } = this.#deps;
    const found = await subscriptions.find(tenant, name);
    if (found === null) throw new SpineError('SUBSCRIPTION_NOT_FOUND', { name });
    const { spec } = found;
    const partitions = await this.#partitions(tenant, spec.topic);
    const places = await Promise.all(partitions.map((one) => this.#placeOf(one, from, context.store.now())));
    let seen = 0;
    let wanted = 0;
    let isWhole = true;
    for (const { partition, from: first, head } of places) {
      for (let next = first; next < head; ) {
        if (seen >= limits.replayScanMax) {
          isWhole = false;
          break;
        }
        const stream = topicStream(spec.topic, partition);
        const rows = await context.store.readEvents({ tenant, stream, after: next - 1, limit: pageRows });
        const before = rows.filter((row) => row.seq < head);
        for (const row of before) if ((await arrivedEvent(context, row, spec.filter)).isWanted) wanted += 1;
        seen += before.length;
        next = before.length < pageRows ? head : (before.at(-1)?.seq ?? head) + 1;
      }
    }
    return {
      name,
      into: null,
      workflow: spec.workflow,
      dryRun: true,
      partitions: places.map(viewOf),
      events: seen,
      wanted,
      isWhole,
    };
  }

  /** Partitions of a topic with their heads. */
  async #partitions(tenant: string, topic: string): Promise<readonly (PartitionKey & { readonly head: number })[]> {
    const heads = await this.#deps.context.store.listTopics(tenant);
    return heads.filter((one) => one.topic === topic).map((one) => ({ ...one, tenant }));
  }

  async #placeOf(at: PartitionKey & { readonly head: number }, to: StartPosition, now: number): Promise<Place> {
    const { partition, head } = at;
    if (to === 'newest') return { partition, from: head, head };
    return {
      partition,
      from: Math.min(head, await offsetOf(this.#deps.context.store, at, head, to, { at: now, position: null })),
      head,
    };
  }

  async #command(
    origin: Origin,
    name: string,
    decide: (found: SubscriptionInForce, at: number) => Change | null,
  ): Promise<CommandOutcome> {
    try {
      const isDone = await this.#change(origin, name, async (found, at) => decide(found, at));
      return { tag: isDone ? 'done' : 'already' };
    } catch (error) {
      return { tag: 'error', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  /** Reads, decides and writes, again for as long as another was quicker. False = there was nothing to change. */
  async #change(
    origin: Origin,
    name: string,
    decide: (found: SubscriptionInForce, at: number) => Promise<Change | null>,
  ): Promise<boolean> {
    const { context, subscriptions, changed } = this.#deps;
    for (let attempt = 0; attempt < conflictsMax; attempt++) {
      subscriptions.forget(origin.tenant);
      const found = await subscriptions.find(origin.tenant, name);
      if (found === null) throw new SpineError('SUBSCRIPTION_NOT_FOUND', { name });
      const at = context.store.now();
      const change = await decide(found, at);
      if (change === null) return false;
      const answer = await this.#write(origin, change, at);
      if (answer.tag === 'conflict') continue;
      if (answer.tag === 'failed') throw answer.error instanceof Error ? answer.error : new Error(String(answer.error));
      if (answer.tag !== 'applied') throw new Error(`Invariant broken: a subscription was refused with ${answer.tag}`);
      changed(origin.tenant);
      return true;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  #write({ tenant, actor, correlation, traceparent }: Origin, change: Change, at: number): Promise<CommitAnswer> {
    const { context, catalog, lanes } = this.#deps;
    const event = {
      topic: subscriptionsTopic.name,
      id: newId('event', context.ports),
      source: 'eventspine/subscriptions',
      type: subscriptionsTopic.name,
      key: change.told.subscription,
      data: payloadOfJson(change.told),
      value: change.told,
    };
    const cause = { tenant, actor, cause: null, correlation, traceparent };
    const { write, dedupe, blobs, births } = preparePublication(context, catalog, event, cause, at);
    const transition = withBirths(
      { tenant, entries: change.entries, publishes: [write], dedupe: [dedupe], blobs },
      births,
    );
    return new Promise((settle) => lanes.bear({ births, transition, actor, settle }));
  }
}

function viewOf({ partition, from, head }: Place): SeekAnswer['partitions'][number] {
  return { partition, next: from, head };
}

/** Without a look at the events it is known how many there are at most. */
function countsOf(places: readonly Place[]): Pick<ReplayAnswer, 'events' | 'wanted' | 'isWhole'> {
  return { events: places.reduce((sum, { from, head }) => sum + head - from, 0), wanted: null, isWhole: true };
}

/** Changes of the same subscription at the same time, of which one gets through with each attempt. */
const conflictsMax = 50;
const pageRows = 256;
