/**
 * One subscription: a membership that says which partitions are ours, a reader for each, and one loop that fetches for all of
 * them, with one request under way per broker. The positions come from whoever owns them (`onAssign`); those of the group in
 * Kafka count only where the owner has none.
 *
 * Invariants: nothing of a partition is handed over before its position is known; a position that brokers no longer have (or do
 * not have yet) ends the subscription with BUS_POSITION_LOST, and is never replaced by another one in silence.
 */
import type { BusHandler, BusPartition, BusSubscribeOptions, BusSubscription } from '../../bus/index.js';
import { SpineError } from '../../core/errors.js';
import { Bell } from './bell.js';
import type {
  ClientAssignment,
  ClientConsumer,
  ClientFetched,
  ClientFetchedPartition,
  ClientFetchOptions,
  ClientMetadata,
  KafkaClientModule,
} from './client-module.js';
import { carriedBy, errorOf, fetchCodes, isDenied, isTopicMissing, reasonOf } from './failures.js';
import { byTopic, Membership, within } from './membership.js';
import { connectionOf, type KafkaSettings } from './options.js';
import { PartitionReader } from './partition-reader.js';
import { deliveriesOf } from './records.js';

/** How long a broker may hold an answer back while there is nothing; also how late a new partition may be asked for. */
const fetchWaitMs = 300;
const fetchBytesMax = 8 * 1024 * 1024;
const troubleMsMin = 100;
const troubleMsMax = 2000;
/** A topic that is gone may be on its way back under the same name. */
const missingMsMax = 10_000;

const earliest = -2n;
const latest = -1n;

interface Wanted {
  readonly reader: PartitionReader;
  readonly from: bigint;
}

export class KafkaSubscription implements BusSubscription {
  readonly #settings: KafkaSettings;
  readonly #options: BusSubscribeOptions;
  readonly #handler: BusHandler;
  readonly #membership: Membership;
  /** Never a member of the group; fetches and lists offsets. */
  readonly #source: ClientConsumer;
  readonly #readers = new Map<string, PartitionReader>();
  /** Readers that are told to stop, with a handler that may still run. */
  readonly #ending = new Map<string, Promise<void>>();
  readonly #bell = new Bell();
  readonly #fetching = new Set<number>();
  /** Partitions that are ours and have no position yet. */
  #assigned: ReadonlyMap<string, BusPartition> = new Map();
  #assigning: Promise<void> = Promise.resolve();
  readonly #onClosed: () => void;
  #paused = false;
  #closed = false;
  #failed = false;
  #troubleMs = 0;
  #missingSince: number | null = null;
  #loop: Promise<void> = Promise.resolve();
  #ended: Promise<void> | null = null;

  constructor(
    module: KafkaClientModule,
    settings: KafkaSettings,
    options: BusSubscribeOptions,
    handler: BusHandler,
    onClosed: () => void,
  ) {
    this.#settings = settings;
    this.#options = options;
    this.#handler = handler;
    this.#onClosed = onClosed;
    // It asks once: what failed is looked at here, with the positions that are then in force.
    this.#source = new module.Consumer({ ...connectionOf(settings, 0), groupId: options.group, autocommit: false });
    this.#source.on('error', () => undefined);
    for (const topic of options.topics) this.#source.topics.track(topic);
    this.#membership = new Membership(module, settings, options.group, options.topics, {
      onAssigned: (assignments) => this.#assign(assignments),
      onDenied: (error) => this.#fail(error),
    });
  }

  /** Resolves when the group has taken us and the positions of the partitions that it gave us at once are known. */
  async open(): Promise<void> {
    try {
      await this.#requireTopics();
      await this.#membership.join();
      await this.#assigning;
    } catch (error) {
      await this.close();
      if (isDenied(error))
        throw new SpineError('BUS_REFUSED', { bus: 'kafka', reason: reasonOf(error) }, { cause: error });
      throw error;
    }
    this.#loop = this.#run();
  }

  pause(): void {
    this.#paused = true;
    for (const reader of this.#readers.values()) reader.pause();
  }

  resume(): void {
    this.#paused = false;
    for (const reader of this.#readers.values()) reader.resume();
    this.#bell.ring();
  }

  close(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    this.#closed = true;
    this.#bell.ring();
    for (const reader of this.#readers.values()) reader.stop();
    const handlers = Promise.all([
      ...[...this.#readers.values()].map((reader) => reader.ended),
      ...this.#ending.values(),
    ]);
    // So that the group hears of their last word; one that takes longer must not keep partitions from others.
    await within(closeMs, handlers);
    await this.#membership.close();
    await handlers;
    this.#readers.clear();
    await this.#loop;
    await within(closeMs, this.#source.close(true));
    this.#onClosed();
  }

  async #requireTopics(): Promise<void> {
    for (const topic of this.#options.topics) {
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#source.metadata({ topics: [topic], forceUpdate: true });
          break;
        } catch (error) {
          // Right after a topic was made not every broker knows of it.
          if (attempt < topicAttempts && !isDenied(error)) await sleep(topicPauseMs);
          else if (isTopicMissing(error))
            throw new SpineError('BUS_TOPIC_MISSING', { bus: 'kafka', topic }, { cause: error });
          else throw error;
        }
      }
    }
  }

  /** What the group gives us changes one time after the other. */
  #assign(assignments: readonly ClientAssignment[]): void {
    this.#assigning = this.#assigning.then(async () => {
      if (this.#closed) return;
      try {
        await this.#reassign(assignments);
      } catch (error) {
        this.#bell.ring();
        if (isDenied(error))
          this.#fail(new SpineError('BUS_REFUSED', { bus: 'kafka', reason: reasonOf(error) }, { cause: error }));
      }
    });
  }

  async #reassign(assignments: readonly ClientAssignment[]): Promise<void> {
    const ids = assignments.length === 0 ? new Map<string, string>() : await this.#topicIds();
    const assigned = new Map<string, BusPartition>();
    for (const { topic, partitions } of assignments) {
      const topicId = ids.get(topic);
      if (topicId === undefined) continue;
      for (const partition of partitions) assigned.set(`${topic}/${partition}`, { topic, topicId, partition });
    }
    await this.#release(
      (reader, place) => !assigned.has(place) || assigned.get(place)?.topicId !== reader.partition.topicId,
    );
    this.#assigned = assigned;
    await this.#begin(
      [...assigned.values()].filter(({ topic, partition }) => !this.#readers.has(`${topic}/${partition}`)),
      false,
    );
  }

  async #topicIds(): Promise<Map<string, string>> {
    const { topics } = await this.#source.metadata({ topics: [...this.#options.topics] });
    return new Map([...topics].map(([name, { id }]) => [name, id]));
  }

  /** Stops the readers that `isGone`, and says so. */
  async #release(isGone: (reader: PartitionReader, place: string) => boolean): Promise<void> {
    const gone = [...this.#readers].filter(([place, reader]) => isGone(reader, place));
    if (gone.length === 0) return;
    for (const [place, reader] of gone) {
      reader.stop();
      this.#readers.delete(place);
      this.#membership.forget(reader.partition);
      const ended = reader.ended.then(() => {
        if (this.#ending.get(place) === ended) this.#ending.delete(place);
      });
      this.#ending.set(place, ended);
    }
    await this.#options.onRevoke?.(gone.map(([, reader]) => reader.partition)).catch(() => undefined);
  }

  /** Finds the positions of partitions that are new to us, and begins to read. `anew`: their topic was made while we read. */
  async #begin(partitions: readonly BusPartition[], anew: boolean): Promise<void> {
    if (partitions.length === 0) return;
    const owned = (await this.#options.onAssign?.(partitions)) ?? [];
    const open = partitions.filter((_, i) => (owned[i] ?? null) === null);
    // What a group has of a topic that is no more says nothing of the one that took its name.
    const committed = anew ? open.map(() => null) : await this.#membership.committed(open);
    const places = new Map(open.map((partition, i) => [partition, committed[i] ?? null]));
    const unknown = open.filter((partition) => places.get(partition) === null);
    const begins = await this.#offsetsAt(unknown, anew || this.#options.from === 'oldest' ? earliest : latest);
    if (this.#closed) return;
    partitions.forEach((partition, i) => {
      const begin = begins.get(partition);
      const position = owned[i] ?? places.get(partition) ?? begin;
      if (position === undefined) throw new Error(`No offset of ${partition.topic}/${partition.partition} was told.`);
      this.#read(partition, position);
      // A group that begins at the newest has to begin there the next time too, whatever comes in between. And what the owner of
      // the positions has, brokers may not have heard: whoever was to tell them has died, and perhaps nothing more comes.
      if (places.get(partition) === undefined || begin !== undefined) this.#membership.hint(partition, position);
    });
    this.#bell.ring();
  }

  #read(partition: BusPartition, position: bigint): void {
    const place = `${partition.topic}/${partition.partition}`;
    const reader = new PartitionReader(
      partition,
      position,
      this.#handler,
      this.#paused,
      this.#ending.get(place) ?? Promise.resolve(),
      {
        batchMax: this.#options.batchMax,
        waitMs: this.#options.waitMs,
        onSettled: (settled, next) => {
          if (this.#readers.get(place) === reader) this.#membership.hint(settled, next);
        },
        onRoom: () => this.#bell.ring(),
      },
    );
    this.#readers.set(place, reader);
  }

  async #offsetsAt(partitions: readonly BusPartition[], timestamp: bigint): Promise<Map<BusPartition, bigint>> {
    if (partitions.length === 0) return new Map();
    const grouped = byTopic(partitions);
    const found = await this.#source.listOffsets({
      topics: grouped.map(({ topic }) => topic),
      partitions: Object.fromEntries(grouped.map(({ topic, partitions: wanted }) => [topic, wanted])),
      timestamp,
    });
    const offsets = new Map<BusPartition, bigint>();
    for (const partition of partitions) {
      const offset = found.get(partition.topic)?.[partition.partition];
      if (offset !== undefined && offset >= 0n) offsets.set(partition, offset);
    }
    return offsets;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#complete();
        await this.#fetchAll();
      } catch (error) {
        this.#trouble(error);
      }
      await this.#bell.wait(this.#troubleMs > 0 ? this.#troubleMs : fetchWaitMs * 4);
    }
  }

  /** Partitions whose position could not be found when they came, once more. */
  async #complete(): Promise<void> {
    const without = [...this.#assigned].filter(([place]) => !this.#readers.has(place));
    if (without.length === 0) return;
    this.#assigning = this.#assigning.then(() =>
      this.#begin(
        [...this.#assigned].filter(([place]) => !this.#readers.has(place)).map(([, partition]) => partition),
        false,
      ).catch((error: unknown) => this.#trouble(error)),
    );
    await this.#assigning;
  }

  /** Starts a fetch at every broker that leads something we have room for, and has none under way. */
  async #fetchAll(): Promise<void> {
    // Asked for without readers too: where the topic is gone the group is lost as well, and nobody else would say why.
    const metadata = await this.#source.metadata({ topics: [...this.#options.topics] });
    this.#missingSince = null;
    await this.#replaceRemade(metadata);
    let room = this.#settings.bufferedBytesMax;
    for (const reader of this.#readers.values()) room -= reader.bytes;
    if (room <= 0) return;
    const byNode = new Map<number, Wanted[]>();
    for (const reader of this.#readers.values()) {
      const { topic, partition } = reader.partition;
      const leader = metadata.topics.get(topic)?.partitions[partition]?.leader ?? -1;
      if (!reader.wantsMore || !metadata.brokers.has(leader) || this.#fetching.has(leader)) continue;
      const wanted = byNode.get(leader) ?? [];
      wanted.push({ reader, from: reader.fetchNext });
      byNode.set(leader, wanted);
    }
    for (const [node, wanted] of byNode) {
      this.#fetching.add(node);
      void this.#fetch(node, wanted, Math.min(room, fetchBytesMax)).finally(() => {
        this.#fetching.delete(node);
        this.#bell.ring();
      });
    }
  }

  async #fetch(node: number, wanted: readonly Wanted[], bytesMax: number): Promise<void> {
    let answer: ClientFetched;
    try {
      answer = await this.#source.fetch(requestOf(node, wanted, bytesMax, this.#settings.messageBytesMax));
      this.#troubleMs = 0;
    } catch (error) {
      if (this.#closed) return;
      // An answer that is an error for one partition is none for the others.
      const partial = carriedBy(error, 'response').find(isFetched);
      if (partial === undefined) {
        this.#trouble(error);
        return;
      }
      answer = partial;
    }
    const bySource = new Map(wanted.map((one) => [sourceOf(one.reader.partition), one]));
    for (const { topicId, partitions } of answer.responses) {
      for (const partition of partitions) {
        const one = bySource.get(`${topicId}/${partition.partitionIndex}`);
        // Brokers may answer for what was wanted before and is no more.
        if (one !== undefined) this.#take(one, partition);
      }
    }
  }

  #take({ reader, from }: Wanted, answer: ClientFetchedPartition): void {
    const { topic, partition } = reader.partition;
    switch (answer.errorCode) {
      case 0:
        reader.add(from, deliveriesOf(reader.partition, from, answer));
        return;
      case fetchCodes.offsetOutOfRange:
        if (this.#readers.get(`${topic}/${partition}`) === reader && reader.fetchNext === from)
          this.#fail(new SpineError('BUS_POSITION_LOST', { bus: 'kafka', topic, partition, offset: String(from) }));
        return;
      case fetchCodes.topicAuthorizationFailed:
        this.#fail(new SpineError('BUS_REFUSED', { bus: 'kafka', reason: `no right to read topic ${topic}` }));
        return;
      default:
        // A new leader, a topic made anew, a broker that starts: metadata tell, a little later.
        this.#trouble(null);
    }
  }

  /** A topic that was deleted and made again under its name is another one: its offsets begin anew, and so do we. */
  async #replaceRemade({ topics }: ClientMetadata): Promise<void> {
    const remade = [...this.#readers.values()].filter(({ partition: { topic, topicId } }) => {
      const id = topics.get(topic)?.id;
      return id !== undefined && id !== topicId;
    });
    if (remade.length === 0) return;
    this.#assigning = this.#assigning.then(async () => {
      const gone = new Set(remade);
      await this.#release((reader) => gone.has(reader));
      const anew = remade.flatMap(({ partition }) => {
        const found = topics.get(partition.topic);
        if (found === undefined || partition.partition >= found.partitionsCount) return [];
        return [{ ...partition, topicId: found.id }];
      });
      this.#assigned = new Map(
        [...this.#assigned].map(([place, partition]) => [
          place,
          { ...partition, topicId: topics.get(partition.topic)?.id ?? partition.topicId },
        ]),
      );
      await this.#begin(anew, true);
    });
    await this.#assigning;
  }

  /** Something is in the way that passes, as far as we know: look anew, a little later each time. */
  #trouble(error: unknown): void {
    if (this.#closed) return;
    if (error !== null && isDenied(error)) {
      this.#fail(new SpineError('BUS_REFUSED', { bus: 'kafka', reason: reasonOf(error) }, { cause: error }));
      return;
    }
    if (isTopicMissing(error)) {
      this.#missingSince ??= performance.now();
      if (performance.now() - this.#missingSince > missingMsMax) {
        const topic = this.#options.topics.join(', ');
        this.#fail(new SpineError('BUS_TOPIC_MISSING', { bus: 'kafka', topic }, { cause: error }));
        return;
      }
    }
    this.#source.clearMetadata();
    this.#troubleMs = Math.min(troubleMsMax, Math.max(troubleMsMin, this.#troubleMs * 2));
  }

  #fail(error: Error): void {
    if (this.#failed || this.#closed) return;
    this.#failed = true;
    this.#options.onFailed(errorOf(error));
    void this.close();
  }
}

const closeMs = 5000;
const topicAttempts = 8;
const topicPauseMs = 250;

function requestOf(
  node: number,
  wanted: readonly Wanted[],
  bytesMax: number,
  messageBytesMax: number,
): ClientFetchOptions {
  const byId = new Map<string, ClientFetchOptions['topics'][number]>();
  for (const { reader, from } of wanted) {
    const { topicId, partition } = reader.partition;
    const topic = byId.get(topicId) ?? { topicId, partitions: [] };
    byId.set(topicId, topic);
    topic.partitions.push({
      partition,
      fetchOffset: from,
      currentLeaderEpoch: -1,
      lastFetchedEpoch: -1,
      partitionMaxBytes: messageBytesMax,
    });
  }
  return { node, maxWaitTime: fetchWaitMs, minBytes: 1, maxBytes: bytesMax, topics: [...byId.values()] };
}

function sourceOf({ topicId, partition }: BusPartition): string {
  return `${topicId}/${partition}`;
}

function isFetched(value: unknown): value is ClientFetched {
  return typeof value === 'object' && value !== null && Array.isArray((value as { responses?: unknown }).responses);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
