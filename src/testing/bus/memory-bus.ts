/**
 * A bus in memory: partitioned logs and groups of consumers, as Kafka has them, on the ports of time. It is what the
 * contract suite is tried on, and the bus of the simulator, where its clients die, freeze and lose answers.
 *
 * Invariant: what a client that was killed, frozen or has lost a partition says afterwards changes nothing.
 */
import type {
  Bus,
  BusCaps,
  BusDelivery,
  BusHandler,
  BusLag,
  BusMessage,
  BusPartition,
  BusPosition,
  BusPublished,
  BusSubscribeOptions,
  BusSubscription,
  BusTopic,
  Settlement,
} from '../../bus/port.js';
import type { Ports } from '../../core/ports.js';

export interface MemoryBrokerOptions {
  /** How long a message, an answer or a change of a group is under way, ms; asked each time. Default: no time. */
  readonly latencyMs?: () => number;
  /** Default: 1 MiB. */
  readonly bytesMax?: number;
  /** Hears of each offset that a group commits. */
  readonly onCommit?: (partition: BusPartition, next: bigint) => void;
  /** A planted bug: it takes what comes behind a message of the same key that it has refused. */
  readonly overtakes?: boolean;
}

/** What a bus in memory says of itself, with default options. */
export const memoryBusCaps: BusCaps = {
  order: 'key',
  replay: true,
  offsets: true,
  settle: 'prefix',
  dedupeMs: 0,
  lag: 'exact',
  bytesMax: 1024 * 1024,
  batchMax: 1_000,
};

/** A client of the broker, and what can be done to it. */
export interface MemoryBus extends Bus {
  /** It is gone at once: nothing that it does or says counts any more. */
  kill(): void;
  /** It is not heard until it is thawed, and others have what it had. */
  freeze(): void;
  thaw(): void;
  /** Refuses, once each, what it publishes with these ids. */
  refuse(ids: readonly string[]): void;
  /** Takes what it publishes next without saying so. */
  loseAnswer(): void;
  /** Refuses the first message of the next call, once. */
  refuseNext(): void;
}

/** A message in the log of a partition. */
interface Entry {
  readonly offset: bigint;
  readonly message: BusMessage;
  readonly at: number;
}

interface Partition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  entries: Entry[];
  /** Offset of the first message that is kept, and of the next one. */
  base: bigint;
  end: bigint;
}

/** A partition in the hands of a member. */
interface Assignment {
  readonly partition: Partition;
  /** Offset of the next message to deliver; null until it is known. */
  next: bigint | null;
  live: boolean;
}

interface Group {
  readonly name: string;
  readonly members: Set<Member>;
  /** By topic id and partition. */
  readonly committed: Map<string, bigint>;
  /** Changes of the group, one after the other. */
  changes: Promise<void>;
}

export class MemoryBroker {
  readonly #ports: Pick<Ports, 'clock' | 'timers'>;
  readonly #latencyMs: () => number;
  readonly #onCommit: (partition: BusPartition, next: bigint) => void;
  readonly overtakes: boolean;
  readonly caps: BusCaps;
  readonly #topics = new Map<string, Partition[]>();
  readonly #groups = new Map<string, Group>();
  readonly #waiters = new Set<() => void>();
  #topicsMade = 0;
  #keyless = 0;

  constructor(ports: Pick<Ports, 'clock' | 'timers'>, options: MemoryBrokerOptions = {}) {
    this.#ports = ports;
    this.#latencyMs = options.latencyMs ?? (() => 0);
    this.#onCommit = options.onCommit ?? (() => undefined);
    this.overtakes = options.overtakes === true;
    this.caps = { ...memoryBusCaps, bytesMax: options.bytesMax ?? memoryBusCaps.bytesMax };
  }

  connect(): MemoryBus {
    return new MemoryClient(this);
  }

  /** What the log of a topic has, by partition. */
  log(topic: string): readonly (readonly BusDelivery[])[] {
    return (this.#topics.get(topic) ?? []).map((partition) =>
      partition.entries.map((entry) => deliveryOf(partition, entry)),
    );
  }

  /** Committed offset of a group; null = none. */
  committed(group: string, topic: string, partition: number): bigint | null {
    const found = this.#topics.get(topic)?.[partition];
    return found === undefined ? null : (this.#groups.get(group)?.committed.get(keyOf(found)) ?? null);
  }

  /** Removes messages below an offset, as retention does. */
  trim(topic: string, partition: number, below: bigint): void {
    const found = this.#partitions(topic)[partition];
    if (found === undefined) throw new Error(`There is no partition ${partition} of ${topic}.`);
    found.entries = found.entries.filter(({ offset }) => offset >= below);
    if (below > found.base) found.base = below < found.end ? below : found.end;
    this.wake();
  }

  /** Deletes a topic with all that groups have committed of it, and makes it anew. */
  recreate(topic: string): void {
    const partitions = this.#partitions(topic);
    for (const { committed } of this.#groups.values())
      for (const partition of partitions) committed.delete(keyOf(partition));
    this.#topics.delete(topic);
    this.ensure([{ name: topic, partitions: partitions.length }]);
    this.wake();
  }

  ensure(topics: readonly BusTopic[]): void {
    for (const { name, partitions = defaultPartitions } of topics) {
      if (this.#topics.has(name)) continue;
      const topicId = `tid-${(this.#topicsMade += 1)}`;
      this.#topics.set(
        name,
        Array.from({ length: partitions }, (_, partition) => ({
          topic: name,
          topicId,
          partition,
          entries: [],
          base: 0n,
          end: 0n,
        })),
      );
    }
  }

  append(message: BusMessage): BusPosition {
    const partitions = this.#partitions(message.topic);
    const hash = message.key === null ? (this.#keyless += 1) : hashOf(message.key);
    const partition = partitions[hash % partitions.length];
    if (partition === undefined) throw new Error(`${message.topic} has no partitions.`);
    const offset = partition.end;
    partition.entries.push({ offset, message, at: this.#ports.clock.now() });
    partition.end += 1n;
    this.wake();
    return { topic: message.topic, topicId: partition.topicId, partition: partition.partition, offset };
  }

  lag(group: string, topics: readonly string[]): BusLag[] {
    const committed = this.#groups.get(group)?.committed;
    return topics.flatMap((topic) =>
      this.#partitions(topic).map((partition) => {
        const next = committed?.get(keyOf(partition)) ?? partition.base;
        const oldest = partition.entries.find(({ offset }) => offset >= next);
        return {
          topic,
          partition: partition.partition,
          count: partition.end - next,
          ageMs: oldest === undefined ? null : this.#ports.clock.now() - oldest.at,
        };
      }),
    );
  }

  join(member: Member): Promise<void> {
    const { group: name } = member.options;
    const group = this.#groups.get(name) ?? { name, members: new Set(), committed: new Map(), changes: settled };
    this.#groups.set(name, group);
    for (const topic of member.options.topics)
      for (const partition of this.#partitions(topic))
        if (member.options.from === 'newest' && !group.committed.has(keyOf(partition)))
          group.committed.set(keyOf(partition), partition.end);
    return this.#change(group, () => group.members.add(member));
  }

  leave(member: Member): Promise<void> {
    const group = this.#groups.get(member.options.group);
    if (group === undefined || !group.members.has(member)) return settled;
    return this.#change(group, () => group.members.delete(member));
  }

  /** Takes what a member has settled, where it still has the partition. */
  commit(member: Member, assignment: Assignment, next: bigint): void {
    if (!assignment.live) return;
    this.#groups.get(member.options.group)?.committed.set(keyOf(assignment.partition), next);
    this.#onCommit(partitionOf(assignment.partition), next);
  }

  startOf(member: Member, partition: Partition): bigint {
    return this.#groups.get(member.options.group)?.committed.get(keyOf(partition)) ?? partition.base;
  }

  /** Whether the partition is one of its topic as it is now. */
  isCurrent(partition: Partition): boolean {
    return this.#topics.get(partition.topic)?.[partition.partition] === partition;
  }

  /** Resolves when something has changed, or when `ms` are over. */
  changed(ms: number | null): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === null ? null : this.#ports.timers.after(ms, () => done());
      const done = (): void => {
        cancel?.();
        this.#waiters.delete(done);
        resolve();
      };
      this.#waiters.add(done);
    });
  }

  wake(): void {
    const waiters = [...this.#waiters];
    this.#ports.timers.turn(() => {
      for (const waiter of waiters) waiter();
    });
  }

  /** The time that something is under way. */
  async latency(): Promise<void> {
    const ms = this.#latencyMs();
    await new Promise<void>((resolve) =>
      ms === 0 ? this.#ports.timers.turn(resolve) : this.#ports.timers.after(ms, resolve),
    );
  }

  async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#ports.timers.after(ms, resolve));
  }

  #partitions(topic: string): Partition[] {
    const found = this.#topics.get(topic);
    if (found === undefined) throw new Error(`There is no topic "${topic}".`);
    return found;
  }

  /** Changes who is in the group, and shares the partitions out anew: taken from those who had them, then given. */
  #change(group: Group, change: () => void): Promise<void> {
    group.changes = group.changes.then(async () => {
      await this.latency();
      change();
      const members = [...group.members].filter(({ gone }) => !gone);
      const wanted = new Map<Member, Partition[]>(members.map((member) => [member, []]));
      for (const topic of new Set(members.flatMap(({ options }) => options.topics))) {
        const readers = members.filter(({ options }) => options.topics.includes(topic));
        for (const partition of this.#partitions(topic)) {
          const reader = readers[partition.partition % readers.length];
          if (reader !== undefined) wanted.get(reader)?.push(partition);
        }
      }
      for (const [member, partitions] of wanted) await member.revoke((partition) => !partitions.includes(partition));
      for (const [member, partitions] of wanted) member.assign(partitions);
    });
    return group.changes;
  }
}

/** A subscription of a client, as the broker sees it. */
class Member implements BusSubscription {
  readonly options: BusSubscribeOptions;
  readonly #broker: MemoryBroker;
  readonly #handler: BusHandler;
  readonly #assignments = new Set<Assignment>();
  readonly #serving = new Set<Promise<void>>();
  /** The broker does not count on it: dead, frozen, closed or failed. */
  gone = false;
  #dead = false;
  #paused = false;
  #closing = false;
  #failed = false;
  #closed: Promise<void> | null = null;
  readonly #lost: (() => void)[] = [];

  constructor(broker: MemoryBroker, options: BusSubscribeOptions, handler: BusHandler) {
    this.#broker = broker;
    this.options = options;
    this.#handler = handler;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#broker.wake();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Takes partitions away; what is under way of them will be refused. */
  async revoke(isTaken: (partition: Partition) => boolean): Promise<void> {
    const taken = [...this.#assignments].filter(({ partition }) => isTaken(partition));
    for (const assignment of taken) this.#drop(assignment);
    if (taken.length === 0 || this.#dead) return;
    const told = this.options.onRevoke?.(taken.map(({ partition }) => partitionOf(partition))) ?? settled;
    // A client that dies meanwhile is not waited for.
    await Promise.race([told.catch(() => undefined), new Promise<void>((resolve) => this.#lost.push(resolve))]);
  }

  /** Gives partitions; those that it has stay as they are. */
  assign(partitions: readonly Partition[]): void {
    const had = new Set([...this.#assignments].map(({ partition }) => partition));
    const fresh = partitions
      .filter((partition) => !had.has(partition))
      .map((partition): Assignment => ({ partition, next: null, live: true }));
    if (fresh.length === 0 || this.gone) return;
    for (const assignment of fresh) this.#assignments.add(assignment);
    this.#track(this.#begin(fresh));
  }

  /** The broker gives it up. It hears of that when it is heard again, if ever. */
  lose(dead: boolean): void {
    this.gone = true;
    this.#dead ||= dead;
    for (const assignment of this.#assignments) assignment.live = false;
    for (const lost of this.#lost.splice(0)) lost();
    this.#broker.wake();
  }

  /** It is heard again: it learns what it has lost, and comes back. */
  async comeBack(): Promise<void> {
    if (this.#dead || this.#failed || this.#closing) return;
    await this.revoke(() => true);
    this.gone = false;
    await this.#broker.join(this);
  }

  async #begin(fresh: readonly Assignment[]): Promise<void> {
    try {
      const starts = await this.options.onAssign?.(fresh.map(({ partition }) => partitionOf(partition)));
      for (const [i, assignment] of fresh.entries())
        assignment.next = starts?.[i] ?? this.#broker.startOf(this, assignment.partition);
    } catch (error) {
      return this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    for (const assignment of fresh) this.#track(this.#serve(assignment));
  }

  async #serve(assignment: Assignment): Promise<void> {
    const { partition } = assignment;
    while (assignment.live && !this.#closing) {
      const next = assignment.next ?? partition.base;
      const fault = this.#faultOf(partition, next);
      if (fault !== null) return this.#fail(new Error(fault));
      if (this.#paused || partition.end === next) {
        await this.#broker.changed(null);
        continue;
      }
      await this.#fill(partition, next);
      await this.#broker.latency();
      // Time has passed: it may be another's now, or paused.
      if (!assignment.live || this.#closing || this.#paused) continue;
      const batch = partition.entries.filter(({ offset }) => offset >= next).slice(0, this.options.batchMax);
      const last = batch.at(-1);
      if (last === undefined) continue;
      const settlements = await this.#handle(batch.map((entry) => deliveryOf(partition, entry)));
      await this.#broker.latency();
      const open = settlements.findIndex(({ tag }) => tag === 'retry');
      assignment.next = open < 0 ? last.offset + 1n : (batch[open]?.offset ?? next);
      if (assignment.next > next) this.#broker.commit(this, assignment, assignment.next);
      const put = settlements[open];
      if (put?.tag === 'retry' && assignment.live) await this.#broker.pause(put.afterMs);
    }
  }

  /** Gives a batch that is not full its time to become so. */
  async #fill(partition: Partition, next: bigint): Promise<void> {
    const wanted = BigInt(this.options.batchMax);
    if (partition.end - next < wanted && this.options.waitMs > 0) await this.#broker.changed(this.options.waitMs);
  }

  async #handle(batch: readonly BusDelivery[]): Promise<readonly Settlement[]> {
    try {
      const settlements = await this.#handler(batch);
      return settlements.length === batch.length ? settlements : batch.map(() => putBack);
    } catch {
      return batch.map(() => putBack);
    }
  }

  #faultOf(partition: Partition, next: bigint): string | null {
    const { topic, partition: number, base, end } = partition;
    if (!this.#broker.isCurrent(partition)) return `The topic "${topic}" was deleted.`;
    if (next < base) return `Offset ${next} of ${topic}/${number} is gone: the first that is kept is ${base}.`;
    if (next > end) return `Offset ${next} of ${topic}/${number} is beyond the end, which is ${end}.`;
    return null;
  }

  async #fail(error: Error): Promise<void> {
    if (this.#failed || this.#dead) return;
    this.#failed = true;
    this.lose(false);
    this.options.onFailed(error);
    await this.#broker.leave(this);
  }

  async #close(): Promise<void> {
    this.#closing = true;
    this.#broker.wake();
    if (this.#dead) return;
    while (this.#serving.size > 0 && !this.#dead) {
      const lost = new Promise<void>((resolve) => this.#lost.push(resolve));
      await Promise.race([Promise.all(this.#serving), lost]);
      // Frozen, its handlers go on and are waited for.
      if (!this.#dead && this.#serving.size > 0) await Promise.race(this.#serving);
    }
    this.gone = true;
    for (const assignment of this.#assignments) this.#drop(assignment);
    await this.#broker.leave(this);
  }

  #drop(assignment: Assignment): void {
    assignment.live = false;
    this.#assignments.delete(assignment);
    this.#broker.wake();
  }

  #track(work: Promise<void>): void {
    this.#serving.add(work);
    void work.finally(() => this.#serving.delete(work));
  }
}

class MemoryClient implements MemoryBus {
  readonly name = 'memory';
  readonly #broker: MemoryBroker;
  readonly #members = new Set<Member>();
  readonly #refused = new Set<string>();
  #state: 'open' | 'frozen' | 'dead' | 'closed' = 'open';
  #loses = false;
  #refusesNext = false;
  #sending: Promise<unknown> = settled;

  constructor(broker: MemoryBroker) {
    this.#broker = broker;
  }

  get caps(): BusCaps {
    return this.#broker.caps;
  }

  async ensure(topics: readonly BusTopic[]): Promise<void> {
    await this.#heard();
    this.#broker.ensure(topics);
  }

  /** One after the other, so that what was handed over first is first in the log. */
  publish(messages: readonly BusMessage[]): Promise<readonly BusPublished[]> {
    const sent = this.#sending.then(async () => {
      await this.#heard();
      if (this.#state !== 'open') return messages.map((): BusPublished => failed('The client is closed.', true));
      const loses = this.#loses && messages.length > 0;
      if (loses) this.#loses = false;
      const answers = this.#takeAll(messages);
      await this.#heard();
      return loses || this.#state !== 'open' ? messages.map(() => failed('No answer came.', true)) : answers;
    });
    this.#sending = sent;
    return sent;
  }

  async subscribe(options: BusSubscribeOptions, handler: BusHandler): Promise<BusSubscription> {
    if (this.#state !== 'open') throw new Error('The client is closed.');
    const member = new Member(this.#broker, options, handler);
    this.#members.add(member);
    await this.#broker.join(member);
    return member;
  }

  async lag(group: string, topics: readonly string[]): Promise<readonly BusLag[]> {
    await this.#heard();
    return this.#broker.lag(group, topics);
  }

  async close(): Promise<void> {
    if (this.#state === 'dead') return;
    await this.#sending;
    await Promise.all([...this.#members].map((member) => member.close()));
    this.#state = 'closed';
  }

  kill(): void {
    this.#state = 'dead';
    this.#give(true);
  }

  freeze(): void {
    if (this.#state !== 'open') return;
    this.#state = 'frozen';
    this.#give(false);
  }

  thaw(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'open';
    for (const member of this.#members) void member.comeBack();
    this.#broker.wake();
  }

  refuse(ids: readonly string[]): void {
    for (const id of ids) this.#refused.add(id);
  }

  loseAnswer(): void {
    this.#loses = true;
  }

  refuseNext(): void {
    this.#refusesNext = true;
  }

  #takeAll(messages: readonly BusMessage[]): BusPublished[] {
    const held = new Set<string>();
    const [first] = messages;
    if (this.#refusesNext && first !== undefined) {
      this.#refusesNext = false;
      this.#refused.add(first.id);
    }
    return messages.map((message) => {
      const ordered = message.key === null ? null : `${message.topic} ${message.key}`;
      if (ordered !== null && held.has(ordered)) return failed('One before it has failed.', true);
      const answer = this.#take(message);
      if (!this.#broker.overtakes && ordered !== null && answer.tag === 'failed' && answer.retryable) held.add(ordered);
      return answer;
    });
  }

  #take(message: BusMessage): BusPublished {
    if (this.#refused.delete(message.id)) return failed('The broker is not able to just now.', true);
    if (message.body.byteLength > this.caps.bytesMax) return failed('The message is too large.', false);
    return { tag: 'published', position: this.#broker.append(message) };
  }

  #give(dead: boolean): void {
    for (const member of this.#members) {
      member.lose(dead);
      void this.#broker.leave(member);
    }
    this.#broker.wake();
  }

  /** The way to the broker; of a frozen client it takes until it is thawed. */
  async #heard(): Promise<void> {
    await this.#broker.latency();
    while (this.#state === 'frozen') await this.#broker.changed(null);
  }
}

function failed(text: string, retryable: boolean): BusPublished {
  return { tag: 'failed', retryable, error: new Error(text) };
}

function deliveryOf({ topic, topicId, partition }: Partition, { offset, message, at }: Entry): BusDelivery {
  const { id, key, headers, body } = message;
  return { id, topic, key, headers, body, position: { topic, topicId, partition, offset }, attempt: null, at };
}

function partitionOf({ topic, topicId, partition }: Partition): BusPartition {
  return { topic, topicId, partition };
}

function keyOf({ topicId, partition }: Partition): string {
  return `${topicId}/${partition}`;
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

const putBack: Settlement = { tag: 'retry', afterMs: 0 };
const settled = Promise.resolve();
const defaultPartitions = 1;
