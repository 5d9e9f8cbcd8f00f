/**
 * Membership of a group, kept up whatever happens: a member that brokers have forgotten, or whose client has given up, is
 * replaced by a new one. Reading is done elsewhere, with connections of its own, since brokers answer one request of a
 * connection after the other and a fetch that waits would hold up the signs of life.
 *
 * Invariant: the last assignment told by `onAssigned` is what the group has said, or nothing while there is no member.
 */
import type { BusPartition } from '../../bus/index.js';
import { SpineError } from '../../core/errors.js';
import type { ClientAssignment, ClientConsumer, KafkaClientModule } from './client-module.js';
import { isDenied, reasonOf } from './failures.js';
import { connectionOf, type KafkaSettings } from './options.js';

const rejoinMs = 1000;
/** For a last commit and for leaving; a broker that is gone must not hold up an end. */
const farewellMs = 5000;

export interface MembershipEvents {
  onAssigned: (assignments: readonly ClientAssignment[]) => void;
  /** Brokers will not have us; nothing follows. */
  onDenied: (error: Error) => void;
}

export class Membership {
  readonly #module: KafkaClientModule;
  readonly #settings: KafkaSettings;
  readonly #group: string;
  readonly #topics: readonly string[];
  readonly #events: MembershipEvents;
  /** Offsets that brokers are to be told, by place; the newest of each. */
  readonly #hints = new Map<string, { readonly partition: BusPartition; readonly offset: bigint }>();
  #member: ClientConsumer | null = null;
  /** Members that are on their way into the group. */
  readonly #joins = new Map<ClientConsumer, Promise<unknown>>();
  #rejoining: NodeJS.Timeout | null = null;
  #committing: Promise<void> | null = null;
  #closed = false;

  constructor(
    module: KafkaClientModule,
    settings: KafkaSettings,
    group: string,
    topics: readonly string[],
    events: MembershipEvents,
  ) {
    this.#module = module;
    this.#settings = settings;
    this.#group = group;
    this.#topics = topics;
    this.#events = events;
  }

  /** Resolves when the group has taken us, for the first time. */
  async join(): Promise<void> {
    const member = this.#open();
    this.#member = member;
    const joining =
      this.#settings.groupProtocol === 'classic'
        ? member.joinGroup({})
        : // Under KIP-848 the client joins only for a stream. Nobody reads this one, so that it fetches nothing.
          member.consume({ topics: [...this.#topics], autocommit: false, mode: 'latest' });
    this.#joins.set(member, joining);
    try {
      await joining;
    } catch (error) {
      this.#drop(member);
      throw error;
    } finally {
      this.#joins.delete(member);
    }
  }

  /** What the group itself has as positions; a hole where it has none. */
  async committed(partitions: readonly BusPartition[]): Promise<(bigint | null)[]> {
    const member = this.#member;
    if (member === null || partitions.length === 0) return partitions.map(() => null);
    const found = await member.listCommittedOffsets({ topics: byTopic(partitions) });
    return partitions.map(({ topic, partition }) => {
      const offset = found.get(topic)?.[partition];
      return offset === undefined || offset < 0n ? null : offset;
    });
  }

  /** Tells brokers where we are, some time soon: for their tools, and for those who read without a store. */
  hint(partition: BusPartition, offset: bigint): void {
    this.#hints.set(`${partition.topic}/${partition.partition}`, { partition, offset });
    this.#committing ??= this.#commit();
  }

  forget(partition: BusPartition): void {
    this.#hints.delete(`${partition.topic}/${partition.partition}`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#rejoining !== null) clearTimeout(this.#rejoining);
    const member = this.#member;
    if (member === null) return;
    await within(farewellMs, this.#committing ?? Promise.resolve());
    if (this.#hints.size > 0) await within(farewellMs, this.#commitOnce(member));
    this.#member = null;
    await within(farewellMs, this.#letGo(member));
  }

  /** A member that joins is let finish first: closed on its way, the client asks itself for ever (KIP-848, as of 2.12.1). */
  async #letGo(member: ClientConsumer): Promise<void> {
    await this.#joins.get(member)?.catch(() => undefined);
    await member.close(true);
  }

  async #commit(): Promise<void> {
    await Promise.resolve();
    while (this.#hints.size > 0 && this.#member !== null && !this.#closed) {
      if (!(await this.#commitOnce(this.#member))) break;
    }
    this.#committing = null;
  }

  /** False where it failed: the next hint takes it along, and nothing depends on it. */
  async #commitOnce(member: ClientConsumer): Promise<boolean> {
    const hints = [...this.#hints];
    this.#hints.clear();
    try {
      await member.commit({
        offsets: hints.map(
          ([
            ,
            {
              partition: { topic, partition },
              offset,
            },
          ]) => ({
            topic,
            partition,
            offset,
            leaderEpoch: -1,
          }),
        ),
      });
      return true;
    } catch {
      for (const [place, hint] of hints) {
        if (!this.#hints.has(place)) this.#hints.set(place, hint);
      }
      return false;
    }
  }

  #open(): ClientConsumer {
    const { groupProtocol, sessionMs } = this.#settings;
    const member = new this.#module.Consumer({
      ...connectionOf(this.#settings, 4),
      groupId: this.#group,
      autocommit: false,
      highWaterMark: 1,
      sessionTimeout: sessionMs,
      rebalanceTimeout: 2 * sessionMs,
      heartbeatInterval: Math.max(200, Math.min(3000, Math.floor(sessionMs / 4))),
      ...(groupProtocol === 'consumer'
        ? { groupProtocol }
        : { protocols: [{ name: 'cooperative-sticky', version: 3 }] }),
    });
    if (groupProtocol === 'classic') for (const topic of this.#topics) member.topics.track(topic);
    const tell = (): void => {
      if (this.#member === member && !this.#closed) this.#events.onAssigned(member.assignments ?? []);
    };
    member.on('consumer:group:join', tell);
    member.on('consumer:group:rebalance', tell);
    if (groupProtocol === 'consumer') {
      // Here assignments come with signs of life, and nothing else tells of them.
      member.on('consumer:heartbeat:end', tell);
      member.on('consumer:heartbeat:error', tell);
    }
    member.on('error', (error) => this.#replace(member, error));
    member.on('consumer:heartbeat:stalled', (stall) => this.#replace(member, stall));
    return member;
  }

  #replace(member: ClientConsumer, error: unknown): void {
    if (this.#member !== member || this.#closed) return;
    this.#drop(member);
    this.#events.onAssigned([]);
    if (isDenied(error)) {
      this.#events.onDenied(new SpineError('BUS_REFUSED', { bus: 'kafka', reason: reasonOf(error) }, { cause: error }));
      return;
    }
    this.#rejoining = setTimeout(() => void this.#rejoin(), rejoinMs);
  }

  async #rejoin(): Promise<void> {
    try {
      await this.join();
    } catch (error) {
      if (this.#closed) return;
      if (isDenied(error))
        this.#events.onDenied(
          new SpineError('BUS_REFUSED', { bus: 'kafka', reason: reasonOf(error) }, { cause: error }),
        );
      else this.#rejoining = setTimeout(() => void this.#rejoin(), rejoinMs);
    }
  }

  #drop(member: ClientConsumer): void {
    if (this.#member === member) this.#member = null;
    void within(farewellMs, this.#letGo(member));
  }
}

export function byTopic(partitions: readonly BusPartition[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of partitions) {
    const found = topics.get(topic);
    if (found === undefined) topics.set(topic, [partition]);
    else found.push(partition);
  }
  return [...topics].map(([topic, found]) => ({ topic, partitions: found }));
}

/** Resolves when `work` has ended, however, and after `ms` at the latest. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | null = null;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([
    work.then(
      () => undefined,
      () => undefined,
    ),
    late,
  ]);
  if (timer !== null) clearTimeout(timer);
}
