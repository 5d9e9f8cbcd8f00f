/**
 * Sees to it that topics keep what they say and no more: retention takes the oldest events of a partition, compaction those
 * that a later event of their key has replaced. One server at a time does it, in bounded bites; each bite is one transition
 * guarded by the state of the partition, so that two servers that both believe to have the duty count nothing twice.
 *
 * Invariant: an event that the router, or a subscription under the policy `hold`, has not done with does not go.
 */
import { limits } from '../../core/limits.js';
import type { TopicLow } from '../../core/topics/retention.js';
import {
  topicStream,
  type EntryWrite,
  type EventRow,
  type PartitionHead,
  type PartitionKey,
} from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope } from '../events/envelope-writer.js';
import type { Catalog, TopicEntry } from '../intake/catalog.js';
import { HeldDuty } from '../upkeep/held-duty.js';
import { eventValue } from '../waits/event-value.js';
import { fieldsOf, indexDrops } from '../waits/index-entries.js';
import { isRouted } from '../waits/router.js';
import { beginPass, learn, superseded, type CompactionPass } from './compaction.js';
import { Holds, type HoldersOf } from './holds.js';
import { lowWrite, readLow, type LowEntry } from './low-water.js';
import { outlived, storedBytes } from './retention.js';

/** Why events have gone. */
export type TrimReason = 'retention' | 'compaction';

/** A partition with what its topic says, and how much of it may be touched. */
interface Ward {
  readonly at: PartitionHead;
  readonly entry: TopicEntry;
  readonly heldFrom: number;
}

export class TopicKeeper {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #holdersOf: HoldersOf;
  readonly #duty: HeldDuty;
  /** Passes of compaction that are under way, by partition. */
  readonly #passes = new Map<string, CompactionPass>();
  /** When each partition was last swept, on the monotonic clock. */
  readonly #sweptAtMs = new Map<string, number>();
  readonly #trimmed: Record<TrimReason, number> = { retention: 0, compaction: 0 };
  /** Where the next round begins, when one had no time for all partitions. */
  #after: PartitionKey | null = null;

  constructor(context: EngineContext, catalog: Catalog, holdersOf: HoldersOf) {
    this.#context = context;
    this.#catalog = catalog;
    this.#holdersOf = holdersOf;
    // Whoever had it meanwhile has moved things on.
    this.#duty = new HeldDuty(context, 'trim', () => this.#passes.clear());
  }

  /** Events that this server has deleted since it began. */
  get trimmed(): Readonly<Record<TrimReason, number>> {
    return this.#trimmed;
  }

  /** One round: each partition that has something to do is given some bites. Costs nothing where no topic says what it keeps. */
  async tick(): Promise<void> {
    const { store, ports, settings } = this.#context;
    if (!this.#catalog.trimsTopics || !(await this.#duty.hold())) return;
    const untilMs = ports.clock.monotonicMs() + settings.upkeepEveryMs / 2;
    const holds = new Holds(store, this.#holdersOf);
    for (;;) {
      const heads = await store.listPartitions({ after: this.#after, limit: pagePartitions });
      for (const at of heads) {
        if (ports.clock.monotonicMs() >= untilMs || !(await this.#duty.hold())) return;
        await this.#tend(at, holds, untilMs);
        this.#after = at;
      }
      if (heads.length < pagePartitions) break;
    }
    this.#after = null;
  }

  async #tend(at: PartitionHead, holds: Holds, untilMs: number): Promise<void> {
    const entry = this.#catalog.topic(at.topic);
    const { retention, compaction } = entry?.manifest ?? {};
    if (entry === null || (retention === undefined && compaction === undefined)) return;
    const heldFrom = await holds.from(at, entry, retention?.behind ?? 'hold');
    const ward: Ward = { at, entry, heldFrom };
    const { clock } = this.#context.ports;
    for (let bite = 0; bite < bitesMax && clock.monotonicMs() < untilMs; bite++) if (!(await this.#retain(ward))) break;
    for (let bite = 0; bite < bitesMax && clock.monotonicMs() < untilMs; bite++)
      if (!(await this.#compact(ward))) break;
  }

  /** One bite of retention; whether there may be more to do. */
  async #retain({ at, entry, heldFrom }: Ward): Promise<boolean> {
    const rule = entry.manifest.retention;
    if (rule === undefined) return false;
    const { store } = this.#context;
    const before = await readLow(store, at);
    const now = store.now();
    if (rule.bytes !== null && before.low.measured < at.head) return this.#measure(at, before);
    const rows = await this.#read(at, before.low.low, limits.trimEventsMax);
    const gone = rows.slice(0, outlived(rows, { rule, now, head: at.head, heldFrom }, before.low));
    const last = gone.at(-1);
    if (last === undefined) return false;
    const low = last.seq + 1;
    const { measured, clean } = before.low;
    const isApplied = await this.#trim(entry, at, gone, before, {
      low,
      measured: Math.max(measured, low),
      bytes: before.low.bytes - bytesBelow(gone, measured),
      clean: Math.max(clean, low),
    });
    if (isApplied) this.#trimmed.retention += gone.length;
    return isApplied && gone.length === limits.trimEventsMax;
  }

  /** Adds the next events to what is known of the size. */
  async #measure(at: PartitionHead, before: LowEntry): Promise<boolean> {
    const from = Math.max(before.low.measured, before.low.low);
    const rows = await this.#read(at, from, measureEvents);
    const last = rows.at(-1);
    const measured = last === undefined ? at.head : last.seq + 1;
    const bytes = before.low.bytes + rows.reduce((sum, row) => sum + storedBytes(row), 0);
    return this.#apply(at, [lowWrite(at, before, { ...before.low, measured, bytes }, this.#context.store.now())]);
  }

  /** One bite of compaction; whether there may be more to do. */
  async #compact({ at, entry, heldFrom }: Ward): Promise<boolean> {
    const rule = entry.manifest.compaction;
    if (rule === undefined) return false;
    const { store } = this.#context;
    const key = topicStream(at.topic, at.partition);
    const name = `${at.tenant}/${key}`;
    const before = await readLow(store, at);
    const pass = this.#passes.get(name) ?? beginPass(Math.max(before.low.clean, before.low.low));
    this.#passes.set(name, pass);
    const bounds = { rule, now: store.now(), heldFrom };
    if (pass.sweepAt === null) {
      const rows = await this.#read(at, pass.to, measureEvents);
      if (!learn(pass, rows, bounds)) return true;
      pass.sweepAt = before.low.low;
      if (this.#isWorthSweeping(name, pass, before.low, rule.tombstoneMs)) return true;
      this.#passes.delete(name);
      return false;
    }
    const rows = await this.#read(at, pass.sweepAt, limits.trimEventsMax);
    const seen = rows.filter(({ seq }) => seq < pass.to);
    const gone = superseded(pass, seen, bounds);
    const last = seen.at(-1);
    const isOver = last === undefined || seen.length < rows.length || rows.length < limits.trimEventsMax;
    const { low, measured, bytes } = before.low;
    const clean = isOver ? pass.to : before.low.clean;
    if (gone.length > 0 || clean !== before.low.clean) {
      const after: TopicLow = { low, measured, bytes: bytes - bytesBelow(gone, measured), clean };
      if (!(await this.#trim(entry, at, gone, before, after))) {
        this.#passes.delete(name);
        return false;
      }
      this.#trimmed.compaction += gone.length;
    }
    if (isOver) this.#passes.delete(name);
    else pass.sweepAt = (last?.seq ?? pass.to) + 1;
    return !isOver;
  }

  /**
   * A sweep reads all that is left, so it waits until there is enough that is new; now and then there is one for the sake of
   * events without data that have come of age.
   */
  #isWorthSweeping(name: string, pass: CompactionPass, { low, clean }: TopicLow, tombstoneMs: number): boolean {
    const nowMs = this.#context.ports.clock.monotonicMs();
    const sinceMs = nowMs - (this.#sweptAtMs.get(name) ?? Number.NEGATIVE_INFINITY);
    const isMuch = (pass.to - pass.from) * newShare >= clean - low;
    const isDue = sinceMs >= (pass.newest.size > 0 ? sweepAfterMs : Math.max(sweepAfterMs, tombstoneMs / 4));
    if (!isDue && !(isMuch && pass.newest.size > 0)) return false;
    this.#sweptAtMs.set(name, nowMs);
    return true;
  }

  #read({ tenant, topic, partition }: PartitionKey, from: number, limit: number): Promise<EventRow[]> {
    const stream = topicStream(topic, partition);
    return this.#context.store.readEvents({ tenant, stream, after: from - 1, limit });
  }

  async #trim(
    entry: TopicEntry,
    at: PartitionHead,
    gone: readonly EventRow[],
    before: LowEntry,
    low: TopicLow,
  ): Promise<boolean> {
    const entries = [lowWrite(at, before, low, this.#context.store.now())];
    if (isRouted(entry)) for (const row of gone) entries.push(...(await this.#indexDrops(entry, row)));
    return this.#apply(at, entries, gone);
  }

  /** What waits would find the event by. */
  async #indexDrops({ manifest }: TopicEntry, row: EventRow): Promise<EntryWrite[]> {
    const value = await eventValue(this.#context.store, row, parseEnvelope(row.envelope));
    return indexDrops(manifest.name, row, fieldsOf(manifest, value));
  }

  /** False = another server has moved the partition on meanwhile; the next round sees how far. */
  async #apply(
    { tenant, topic, partition }: PartitionKey,
    entries: readonly EntryWrite[],
    gone: readonly EventRow[] = [],
  ): Promise<boolean> {
    const trims = gone.length === 0 ? [] : [{ topic, partition, offsets: gone.map(({ seq }) => seq) }];
    const [outcome] = await this.#context.store.apply([{ tenant, entries, trims }]);
    if (outcome?.tag === 'applied') return true;
    if (outcome?.tag === 'conflict') return false;
    throw new Error(`A topic could not be trimmed: ${JSON.stringify(outcome)}`);
  }
}

/** What of these events counts among the bytes of those below `measured`. */
function bytesBelow(rows: readonly EventRow[], measured: number): number {
  return rows.reduce((sum, row) => (row.seq < measured ? sum + storedBytes(row) : sum), 0);
}

const pagePartitions = 500;
/** Bites of one partition before the next one has its turn. */
const bitesMax = 100;
/** A sweep is worth its while when one event in so many is new, */
const newShare = 8;
/** or when the last one was so long ago. */
const sweepAfterMs = 60_000;
/** Events that are read at a time where none goes. */
const measureEvents = 512;
