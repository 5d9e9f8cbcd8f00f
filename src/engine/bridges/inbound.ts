/**
 * Brings the messages of a bus into a topic of ours: a batch is one transition, with the positions that it moves, the keys by
 * which repeats are known, the events and the runs that they start. The bus hears of it afterwards, as a hint: where to
 * go on, it is told from our store.
 *
 * Invariant: a message has its effect once, however often and by whomever it is delivered. Of two who believe to have a
 * partition, the compare-and-put of its position lets one write.
 */
import { hasCode, isSpineError, SpineError } from '../../core/errors.js';
import type { InboundBridge } from '../../core/topics/bridge.js';
import type { DeadEvent } from '../../core/topics/dead-event.js';
import type { Bus, BusDelivery, BusPartition, BusSubscription, Settlement } from '../../bus/port.js';
import { decodeValue } from '../../core/codec.js';
import { isBlobPayload } from '../../core/payload.js';
import type { DedupeWrite, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { withBirths, type RunBirth } from '../intake/birth.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes } from '../runs/lanes.js';
import { deadEventWrites, withAdded, type AddedWrites } from '../topics/dead-events.js';
import { preparePublication, type Publication } from '../topics/publication.js';
import { deathOf, readDelivery, refOf } from './incoming.js';
import { Pauses } from './pauses.js';
import { Positions } from './positions.js';
import { BridgeTally } from './tally.js';

/** What bridges work with. */
export interface BridgeDeps {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly lanes: Pick<Lanes, 'bear'>;
  /** Throws TOPIC_BEHIND where a topic takes no events now. */
  readonly mayPublish: (tenant: string, topic: string) => void;
  /** Looks for definitions that a neighbour has registered. */
  readonly look: () => Promise<void>;
}

/** What a batch comes to, before it is written. */
interface Prepared {
  readonly transition: Transition;
  readonly births: readonly RunBirth[];
  /** By partition, where each stands afterwards. */
  readonly ends: ReadonlyMap<string, bigint>;
  readonly dead: ReadonlySet<BusDelivery>;
  readonly duplicates: number;
}

/** The batch is to be delivered anew, from where the store says. */
class OutOfPlace extends Error {}

export class Inbound {
  readonly tally: BridgeTally;
  readonly #bridge: InboundBridge;
  readonly #open: () => Promise<Bus>;
  readonly #deps: BridgeDeps;
  readonly #positions: Positions;
  readonly #pauses: Pauses;
  /** Positions of partitions as deliveries name them: what a person says `3` for. */
  readonly #partitions = new Map<number, string>();
  #bus: Bus | null = null;
  #failed: (error: Error) => void = () => undefined;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(deps: BridgeDeps, bridge: InboundBridge, open: () => Promise<Bus>) {
    const { store, ports } = deps.context;
    this.#deps = deps;
    this.#bridge = bridge;
    this.#open = open;
    this.#positions = new Positions(store, bridge.tenant, bridge.name);
    this.#pauses = new Pauses(ports);
    this.tally = new BridgeTally(deps.context, bridge.name);
  }

  get bridge(): InboundBridge {
    return this.#bridge;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when no batch is under way and the bus is let go. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pauses.stop();
    this.#failed(new Error('stopped'));
    await this.#running;
    this.tally.is('stopped');
  }

  /** Asks the bus how far the group is behind. */
  async refresh(): Promise<void> {
    const bus = this.#bus;
    if (bus === null || bus.caps.lag === 'none') return;
    const lags = await bus.lag(this.#bridge.group, [this.#bridge.outside]);
    this.tally.lag = lags.map(({ partition, count, ageMs }) => ({ partition, count, ageMs }));
  }

  /** Goes on at another offset of a partition. Throws BRIDGES_INVALID where this server has never had the partition. */
  async seek(partition: number, offset: bigint): Promise<void> {
    const { store } = this.#deps.context;
    const ref = this.#partitions.get(partition);
    if (ref === undefined) {
      const faults = [`this server has not been given partition ${partition} of "${this.#bridge.outside}"`];
      throw new SpineError('BRIDGES_INVALID', { faults });
    }
    const entries = [this.#positions.set(ref, offset, store.now())];
    const [outcome] = await store.apply([{ tenant: this.#bridge.tenant, entries }]);
    if (outcome?.tag !== 'applied') throw new SpineError('STORE_BUSY', {});
    this.#failed(new OutOfPlace(`partition ${partition} goes on at offset ${offset}`));
  }

  positions(): readonly { readonly ref: string; readonly next: bigint }[] {
    return this.#positions.all();
  }

  /** What sends a dead event of this bridge in again, as its message is read today. */
  redrive(dead: DeadEvent): AddedWrites {
    this.#mayTake();
    const { event, data, position } = dead;
    const bytes = data === null ? new Uint8Array(0) : isBlobPayload(data) ? null : decodeValue(data);
    if (!(bytes instanceof Uint8Array))
      throw new SpineError('DEAD_EVENT_NOT_REDRIVABLE', { id: dead.id, reason: 'its message is kept as a blob' });
    const headers = Object.fromEntries(Object.entries(event.attributes).map(([name, value]) => [name, String(value)]));
    const publication = this.#publicationOf({
      id: event.id,
      topic: this.#bridge.outside,
      key: event.key,
      headers,
      body: bytes,
      position: position === null ? null : { topicId: '', ...position, offset: BigInt(position.offset) },
      attempt: null,
      at: null,
    });
    const { write, dedupe, blobs, births } = publication;
    return { publishes: [write], dedupe: [dedupe], entries: [], blobs, births };
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#attend();
      } catch (error) {
        if (this.#stopped) break;
        if (error instanceof OutOfPlace) {
          // Where to go on is in the store; to ask the bus again costs nothing.
          this.tally.is('starting', error);
          await this.#pauses.wait(resubscribeMs);
          continue;
        }
        this.tally.is('failed', error);
        await this.#pauses.wait(this.#pauses.nextMs());
      }
    }
  }

  /** One life of the connection: rejects with what has ended it. */
  async #attend(): Promise<void> {
    const bus = await this.#open();
    let subscription: BusSubscription | null = null;
    try {
      const failed = new Promise<Error>((resolve) => {
        this.#failed = resolve;
      });
      this.#bus = bus;
      // Whoever stops meanwhile was not heard.
      if (this.#stopped) return;
      subscription = await bus.subscribe(this.#options(), (batch) => this.#handle(batch));
      if (this.tally.state !== 'waiting') this.tally.is('running');
      throw await failed;
    } finally {
      this.#bus = null;
      this.#failed = () => undefined;
      await subscription?.close().catch(() => undefined);
      await bus.close().catch((error: unknown) => this.#deps.context.fault(`bridge ${this.#bridge.name}`, error));
    }
  }

  #options(): Parameters<Bus['subscribe']>[0] {
    const { outside, group, from, batchMax } = this.#bridge;
    return {
      topics: [outside],
      group,
      from,
      batchMax,
      waitMs: batchWaitMs,
      onAssign: (partitions) => this.#assigned(partitions),
      onFailed: (error) => this.#failed(error),
    };
  }

  #assigned(partitions: readonly BusPartition[]): Promise<readonly (bigint | null)[]> {
    for (const one of partitions) this.#partitions.set(one.partition, refOf(one));
    return this.#positions.read(partitions.map(refOf));
  }

  async #handle(batch: readonly BusDelivery[]): Promise<readonly Settlement[]> {
    try {
      const dead = await this.#take(batch, new Map());
      this.#pauses.reset();
      this.tally.is('running');
      return batch.map((delivery): Settlement => {
        const reason = dead.get(delivery);
        return reason === undefined ? { tag: 'ack' } : { tag: 'dead', reason };
      });
    } catch (error) {
      if (error instanceof OutOfPlace) this.#failed(error);
      else this.#held(error);
      const afterMs = retryAfterOf(error) ?? Math.min(this.#pauses.nextMs(), retryMsMax);
      return batch.map((): Settlement => ({ tag: 'retry', afterMs }));
    }
  }

  /** Nothing of the batch is stored, and it comes again: why. */
  #held(error: unknown): void {
    const isWaiting = hasCode(error, 'TOPIC_UNKNOWN') || (isSpineError(error) && error.kind === 'transient');
    this.tally.is(isWaiting ? 'waiting' : 'failed', error);
    if (!isSpineError(error)) this.#deps.context.fault(`bridge ${this.#bridge.name}`, error);
    if (hasCode(error, 'TOPIC_UNKNOWN')) void this.#deps.look().catch(() => undefined);
  }

  /**
   * Stores a batch, or as much of it as is not stored. Answers what of it is dead, with the reason. `unstorable` = why single
   * messages were refused by the store itself.
   */
  async #take(
    batch: readonly BusDelivery[],
    unstorable: Map<BusDelivery, string>,
  ): Promise<ReadonlyMap<BusDelivery, string>> {
    const reasons = new Map<BusDelivery, string>();
    for (let round = 0; round < roundsMax; round++) {
      const fresh = batch.filter((delivery) => !this.#isBehind(delivery));
      if (fresh.length === 0) return reasons;
      const prepared = await this.#prepare(fresh, unstorable, reasons);
      const answer = await this.#write(prepared);
      switch (answer.tag) {
        case 'applied':
          for (const [ref, next] of prepared.ends) this.#positions.moved(ref, next);
          this.tally.dead += prepared.dead.size;
          this.tally.duplicates += prepared.duplicates;
          this.tally.moved += fresh.length - prepared.dead.size - prepared.duplicates;
          return reasons;
        case 'duplicate':
          // Somebody has published one of the ids meanwhile: the next look finds it.
          continue;
        case 'conflict':
          await this.#reread(fresh);
          continue;
        case 'unstorable':
          if (fresh.length > 1) return this.#takeSingly(fresh, reasons);
          for (const one of fresh) {
            if (unstorable.has(one)) throw new Error(`The store takes no dead event either: ${answer.reason}`);
            unstorable.set(one, answer.reason);
          }
          continue;
        case 'failed':
          throw answer.error instanceof Error ? answer.error : new Error(String(answer.error));
        case 'fenced':
          throw new Error('Invariant broken: a transition without a lease was fenced');
      }
    }
    throw new SpineError('STORE_BUSY', {});
  }

  /** The store refuses one of them, and does not say which. */
  async #takeSingly(
    fresh: readonly BusDelivery[],
    reasons: Map<BusDelivery, string>,
  ): Promise<ReadonlyMap<BusDelivery, string>> {
    for (const one of fresh) for (const [dead, reason] of await this.#take([one], new Map())) reasons.set(dead, reason);
    return reasons;
  }

  #isBehind({ position }: BusDelivery): boolean {
    if (position === null) return false;
    const next = this.#positions.next(refOf(position));
    return next !== null && position.offset < next;
  }

  /** Another has moved a position. What it has stored is dropped; what lies between there and here would be lost. */
  async #reread(fresh: readonly BusDelivery[]): Promise<void> {
    const firsts = new Map<string, bigint>();
    for (const { position } of fresh)
      if (position !== null && !firsts.has(refOf(position))) firsts.set(refOf(position), position.offset);
    const refs = [...firsts.keys()];
    const before = refs.map((ref) => this.#positions.next(ref));
    const stored = await this.#positions.read(refs);
    for (const [i, ref] of refs.entries()) {
      const next = stored[i] ?? null;
      const first = firsts.get(ref) ?? 0n;
      if (next !== before[i] && next !== null && next < first)
        throw new OutOfPlace(`the store is at offset ${next} of ${ref}, and ${first} was delivered`);
    }
  }

  async #prepare(
    fresh: readonly BusDelivery[],
    unstorable: ReadonlyMap<BusDelivery, string>,
    reasons: Map<BusDelivery, string>,
  ): Promise<Prepared> {
    this.#mayTake();
    const at = this.#deps.context.store.now();
    const publications: Publication[] = [];
    const dead = new Set<BusDelivery>();
    const deaths: AddedWrites[] = [];
    for (const delivery of fresh) {
      try {
        const reason = unstorable.get(delivery);
        if (reason !== undefined) throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason });
        publications.push(this.#publicationOf(delivery));
      } catch (error) {
        if (!isPoison(error)) throw error;
        dead.add(delivery);
        deaths.push(this.#deathWrites(delivery, error));
        reasons.set(delivery, error instanceof Error ? error.message : String(error));
      }
    }
    const kept = await this.#withoutRepeats(publications);
    const births = [...kept.flatMap((one) => one.births), ...deaths.flatMap((one) => one.births)];
    const ends = endsOf(fresh);
    const transition = withAdded(
      withBirths(
        {
          tenant: this.#bridge.tenant,
          dedupe: kept.map(({ dedupe }) => dedupe),
          publishes: kept.map(({ write }) => write),
          entries: [...ends].map(([ref, next]) => this.#positions.move(ref, next, at)),
          blobs: kept.flatMap(({ blobs }) => blobs),
        },
        kept.flatMap((one) => one.births),
      ),
      deaths,
    );
    return { transition, births, ends, dead, duplicates: publications.length - kept.length };
  }

  /** Throws where the topic takes nothing of a bridge, or nothing now. */
  #mayTake(): void {
    const { tenant, topic } = this.#bridge;
    const manifest = this.#deps.catalog.topic(topic)?.manifest;
    if (manifest?.writer !== undefined || manifest?.sources !== undefined)
      throw new SpineError('BRIDGE_TOPIC_GUARDED', { topic });
    this.#deps.mayPublish(tenant, topic);
  }

  #publicationOf(delivery: BusDelivery): Publication {
    const { context, catalog } = this.#deps;
    const { event, origin } = readDelivery(this.#bridge, delivery, context.ports.hash);
    return preparePublication(context, catalog, event, { ...origin, cause: null }, context.store.now());
  }

  #deathWrites(delivery: BusDelivery, error: unknown): AddedWrites {
    const { context, catalog } = this.#deps;
    const { tenant, name } = this.#bridge;
    const to = { tenant, actor: `bridge:${name}`, mirror: this.#bridge.dead ?? null };
    return deadEventWrites({ context, catalog }, deathOf(this.#bridge, delivery, error), to);
  }

  /** Without those that the store has, and those that the batch has twice. */
  async #withoutRepeats(publications: readonly Publication[]): Promise<Publication[]> {
    if (publications.length === 0) return [];
    const { store } = this.#deps.context;
    const keys: readonly DedupeWrite[] = publications.map(({ dedupe }) => dedupe);
    const taken = await store.readDedupes(this.#bridge.tenant, keys);
    const seen = new Set<string>();
    return publications.filter(({ dedupe }, i) => {
      if ((taken[i] ?? null) !== null || seen.has(dedupe.key)) return false;
      seen.add(dedupe.key);
      return true;
    });
  }

  #write({ transition, births }: Prepared): Promise<CommitAnswer> {
    const { publishes = [], entries = [] } = transition;
    // Without positions, a batch of repeats has nothing to write.
    if (publishes.length === 0 && entries.length === 0)
      return Promise.resolve({ tag: 'applied', positions: [], offsets: [] });
    const actor = `bridge:${this.#bridge.name}`;
    return new Promise((settle) => this.#deps.lanes.bear({ births, transition, actor, settle }));
  }
}

/** Where each partition of the batch stands behind it. */
function endsOf(fresh: readonly BusDelivery[]): ReadonlyMap<string, bigint> {
  const ends = new Map<string, bigint>();
  for (const { position } of fresh) if (position !== null) ends.set(refOf(position), position.offset + 1n);
  return ends;
}

/** Whether the message is at fault, and not the time at which it came: it would be refused again and again. */
function isPoison(error: unknown): boolean {
  return isSpineError(error) && (error.kind === 'invalid' || error.kind === 'terminal');
}

function retryAfterOf(error: unknown): number | null {
  const detail: unknown = isSpineError(error) ? error.detail : null;
  const ms: unknown = typeof detail === 'object' && detail !== null ? Reflect.get(detail, 'retryAfterMs') : null;
  return typeof ms === 'number' ? ms : null;
}

/** How often a batch is looked at anew because of others who write. */
const roundsMax = 10;
/** How long a batch that is not full waits on the bus. */
const batchWaitMs = 20;
/** A batch that cannot be stored now comes again within this time. */
const retryMsMax = 5_000;
const resubscribeMs = 100;
