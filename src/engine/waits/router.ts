/**
 * Follows the topics that have indexed fields, each partition in the order of its offsets: puts the entries by which later
 * waits find an event, then has the open waits look that may be for it, then moves its cursor. One server at a time does
 * it; what is done twice, by two servers or after a crash, is done once (`look-back.ts`).
 *
 * Invariant: the cursor of a partition never stands behind an event that was not offered to the waits open at the time.
 */
import type { Envelope } from '../../core/envelope.js';
import type { PostOffice } from '../agents/post-office.js';
import { indexedFields } from '../../core/manifest.js';
import { writtenUnder } from '../../core/schema/schema-id.js';
import { indexKey, waitSpace, type WaitEntryValue } from '../../core/run/waits.js';
import {
  topicStream,
  type EntryRow,
  type EntryWrite,
  type EventRow,
  type PartitionKey,
  type Store,
  type Transition,
} from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import type { Catalog, TopicEntry } from '../intake/catalog.js';
import { keyOf, PartitionRounds } from '../topics/partition-rounds.js';
import { eventValue } from './event-value.js';
import { fieldsOf, indexWrites } from './index-entries.js';
import type { LookBack } from './look-back.js';

/** An event as it is stored, read once for all who look at it. */
interface TopicRow {
  readonly row: EventRow;
  readonly envelope: Envelope;
}

/** An event on its way to those who wait for it. */
interface Routed {
  readonly fields: Readonly<Record<string, string>>;
}

export class Router {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #lookBack: LookBack;
  readonly #office: PostOffice;
  /** Offset of the next event, of partitions that were looked at since the duty is held. */
  readonly #cursors = new Map<string, number>();
  readonly #rounds: PartitionRounds;

  constructor(context: EngineContext, catalog: Catalog, lookBack: LookBack, office: PostOffice) {
    this.#context = context;
    this.#catalog = catalog;
    this.#lookBack = lookBack;
    this.#office = office;
    this.#rounds = new PartitionRounds(context, {
      duty: 'router',
      concerns: (_, topic) => {
        const entry = catalog.topic(topic);
        return entry !== null && isRouted(entry);
      },
      isBehind: (at, head) => (this.#cursors.get(keyOf(at)) ?? 0) < head,
      visit: (at) => this.#route(at),
      taken: () => this.#cursors.clear(),
    });
  }

  /** Transitions were applied: what they have published is routed at once. */
  published(transitions: readonly Transition[]): void {
    this.#rounds.published(transitions);
  }

  /** Another server has added to a stream; those of runs are of no concern. */
  moved(tenant: string, stream: string): void {
    this.#rounds.moved(tenant, stream);
  }

  /** One bounded round: routes what is known to have moved, and now and then looks for what nobody has told of. */
  tick(): Promise<void> {
    return this.#rounds.tick();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /**
   * Puts into the index what was published to a topic and is not in it yet, whoever has the duty. Waits are not told and
   * cursors are not moved: that stays to be done.
   */
  async index(tenant: string, topic: string): Promise<void> {
    const entry = this.#catalog.topic(topic);
    if (entry === null || indexedFields(entry.manifest).length === 0) return;
    const { store } = this.#context;
    for (const { topic: name, partition, head } of await store.listTopics(tenant)) {
      if (name !== topic) continue;
      const at = { tenant, topic, partition };
      for (let next = await this.#readCursor(at); next < head; ) {
        const stream = topicStream(topic, partition);
        const rows = await store.readEvents({ tenant, stream, after: next - 1, limit: batchEvents });
        const last = rows.at(-1);
        if (last === undefined) break;
        await this.#put(tenant, (await this.#routed(at, entry, rows.map(readTopicEvent))).entries);
        next = last.seq + 1;
      }
    }
  }

  /** Routes a batch of the events of one partition that are there; of more, the rest when its turn comes again. */
  async #route(at: PartitionKey): Promise<void> {
    const { store } = this.#context;
    const entry = this.#catalog.topic(at.topic);
    if (entry === null) return;
    const key = keyOf(at);
    const stream = topicStream(at.topic, at.partition);
    let next = this.#cursors.get(key) ?? (await this.#readCursor(at));
    const rows = await store.readEvents({ tenant: at.tenant, stream, after: next - 1, limit: batchEvents });
    // What is not numbered yet has no place in the index; a later round finds it numbered.
    const numbered = rows.findIndex((row) => row.position === 0);
    const ready = (numbered < 0 ? rows : rows.slice(0, numbered)).map(readTopicEvent);
    const last = ready.at(-1);
    if (last !== undefined) {
      await this.#offer(at, entry, ready);
      await this.#post(at, entry, ready);
      next = last.row.seq + 1;
      await this.#moveCursor(at, next);
    }
    this.#cursors.set(key, next);
    if (numbered >= 0) this.#rounds.again(at, numberedAfterMs);
    else if (rows.length === batchEvents) this.#rounds.again(at);
  }

  /** Index first, then the waits: a wait that is opened in between finds the entry, an earlier one is found here. */
  async #offer(at: PartitionKey, entry: TopicEntry, rows: readonly TopicRow[]): Promise<void> {
    const { routed, entries } = await this.#routed(at, entry, rows);
    if (routed.length === 0) return;
    await this.#put(at.tenant, entries);
    for (const wait of await this.#waitsFor(at, routed)) {
      const { opened } = JSON.parse(wait.value) as WaitEntryValue;
      await this.#lookBack.look({ tenant: at.tenant, run: wait.run, opened });
    }
  }

  /** Brings events to the agents that they are messages to: those of one key in order, those of several side by side. */
  async #post(at: PartitionKey, { agents }: TopicEntry, rows: readonly TopicRow[]): Promise<void> {
    if (agents.length === 0) return;
    const byKey = new Map<string, TopicRow[]>();
    for (const row of rows) {
      const { key } = row.envelope.data as { readonly key: string };
      const same = byKey.get(key);
      if (same === undefined) byKey.set(key, [row]);
      else same.push(row);
    }
    await Promise.all(
      [...byKey].flatMap(([key, events]) => agents.map((agent) => this.#postAll(at, agent, key, events))),
    );
  }

  async #postAll(at: PartitionKey, agent: string, key: string, rows: readonly TopicRow[]): Promise<void> {
    const partition = topicStream(at.topic, at.partition);
    for (const { row, envelope } of rows) {
      const origin = {
        tenant: at.tenant,
        actor: envelope.actor,
        traceparent: envelope.traceparent,
        correlation: envelope.correlation,
      };
      const outcome = await this.#office.post(origin, agent, key, {
        id: `${partition}/${row.seq}`,
        type: at.topic,
        from: { kind: 'topic', partition, offset: row.seq, ...writtenUnder(at.topic, envelope.schema) },
        data: payloadOf(envelope, row.payload),
      });
      // The cursor stays before it, and it is tried again.
      if (outcome.tag === 'error') throw outcome.error;
    }
  }

  /** The events that can be waited for, with their entries. */
  async #routed(
    at: PartitionKey,
    entry: TopicEntry,
    rows: readonly TopicRow[],
  ): Promise<{ readonly routed: readonly Routed[]; readonly entries: readonly EntryWrite[] }> {
    const routed: Routed[] = [];
    const entries: EntryWrite[] = [];
    for (const { row, envelope } of rows) {
      // What is not numbered yet has no place in the index.
      if (row.position === 0) break;
      const fields = fieldsOf(entry.manifest, await eventValue(this.#context.store, row, envelope));
      if (Object.keys(fields).length === 0) continue;
      routed.push({ fields });
      entries.push(
        ...indexWrites(at.topic, row, { partition: at.partition, offset: row.seq, id: envelope.id, fields }),
      );
    }
    return { routed, entries };
  }

  /** Open waits that one of the events may be for, each once. */
  async #waitsFor({ tenant, topic }: PartitionKey, routed: readonly Routed[]): Promise<Iterable<EntryRow>> {
    const { store } = this.#context;
    const space = waitSpace(topic);
    const keys = new Set(routed.flatMap(({ fields }) => Object.entries(fields).map(([f, text]) => indexKey(f, text))));
    const all = await store.readEntries({ tenant, space, limit: waitsAtOnce });
    const isWanted = ({ key }: EntryRow): boolean => keys.has(key);
    if (all.length < waitsAtOnce) return all.filter(isWanted);
    const found: EntryRow[] = [];
    for (const key of keys) {
      let after = '';
      for (;;) {
        const page: readonly EntryRow[] = await store.readEntries({
          tenant,
          space,
          key,
          after: { key, ref: after },
          limit: waitsAtOnce,
        });
        found.push(...page);
        const last = page.at(-1);
        if (last === undefined || page.length < waitsAtOnce) break;
        after = last.ref;
      }
    }
    return found;
  }

  #readCursor(at: PartitionKey): Promise<number> {
    return routedUpTo(this.#context.store, at);
  }

  async #moveCursor({ tenant, topic, partition }: PartitionKey, next: number): Promise<void> {
    const key = topicStream(topic, partition);
    const at = this.#context.store.now();
    await this.#put(tenant, [{ op: 'put', space: cursorSpace, key, ref: 'router', value: String(next), run: '', at }]);
  }

  async #put(tenant: string, entries: readonly EntryWrite[]): Promise<void> {
    if (entries.length === 0) return;
    const [outcome] = await this.#context.store.apply([{ tenant, entries }]);
    if (outcome?.tag !== 'applied') throw new Error(`The index could not be written: ${JSON.stringify(outcome)}`);
  }
}

function readTopicEvent(row: EventRow): TopicRow {
  return { row, envelope: parseEnvelope(row.envelope) };
}

/** Whether the router follows the topic. */
export function isRouted({ manifest, agents }: TopicEntry): boolean {
  return agents.length > 0 || indexedFields(manifest).length > 0;
}

/** Offset of the first event of a partition that was not routed yet. */
export async function routedUpTo(store: Store, { tenant, topic, partition }: PartitionKey): Promise<number> {
  const key = topicStream(topic, partition);
  const [entry] = await store.readEntries({ tenant, space: cursorSpace, key, limit: 1 });
  return entry === undefined ? 0 : Number(entry.value);
}

/** Space of the places up to which partitions were followed. */
const cursorSpace = 'cursor';

const batchEvents = 256;
/** Up to so many open waits of a topic are read at once; of more, those of each value by themselves. */
const waitsAtOnce = 500;
/** A store that numbers events after their commit does so within this time. */
const numberedAfterMs = 20;

/** Pause between two rounds that nothing has asked for. */
export const routerEveryMs = 1_000;
