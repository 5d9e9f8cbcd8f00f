/**
 * Rounds over partitions of topics that have moved, by one server at a time: who follows topics (the router, deliveries of
 * subscriptions) says which partitions concern it and what is done in one, and hears of a partition when something was
 * published to it, here or by a neighbour, or when the sweep finds it behind its head.
 *
 * Invariants: one partition is visited once at a time; what moves during a visit is visited again; a visit that fails is
 * repeated in a later round and holds back no other partition.
 */
import { topicStream, type PartitionKey, type Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { HeldDuty, renewMs } from '../upkeep/held-duty.js';

/** Who follows partitions. */
export interface PartitionFollower {
  /** Name of the duty that one server holds. */
  readonly duty: string;
  /** Whether somebody has to look at a partition of this topic when it moves. */
  concerns(tenant: string, topic: string): boolean;
  /** The sweep has found it with this head: whether it has to be visited. */
  isBehind(at: PartitionKey, head: number): boolean;
  /** A bounded piece of work in one partition; what is left of it is asked for by `again`. */
  visit(at: PartitionKey): Promise<void>;
  /** The duty is had after it was not: what is remembered of partitions is out of date. */
  taken(): void;
}

/** What a round works on. */
interface Round {
  /** When it ends, at the latest after the visits that are under way then. */
  readonly untilMs: number;
  readonly runners: Set<Promise<void>>;
  /** Partitions that a runner has. */
  readonly underWay: Set<string>;
  readonly failures: { readonly at: PartitionKey; readonly error: unknown }[];
}

export class PartitionRounds {
  readonly #context: EngineContext;
  readonly #follower: PartitionFollower;
  /** Partitions that may have something to be done. */
  readonly #moved = new Map<string, PartitionKey>();
  readonly #duty: HeldDuty;
  #sweepAtMs = Number.NEGATIVE_INFINITY;
  #working: Promise<void> | null = null;
  #current: Round | null = null;
  #again = false;
  #stopped = false;

  constructor(context: EngineContext, follower: PartitionFollower) {
    this.#context = context;
    this.#follower = follower;
    this.#duty = new HeldDuty(context, follower.duty, () => {
      // Whoever had it meanwhile has gone on.
      follower.taken();
      this.#sweepAtMs = Number.NEGATIVE_INFINITY;
    });
  }

  /** Transitions were applied: what they have published is looked at at once. */
  published(transitions: readonly Transition[]): void {
    let any = false;
    for (const { tenant, publishes = none } of transitions)
      for (const { topic, partition } of publishes) any = this.#note({ tenant, topic, partition }) || any;
    if (any) this.#wake();
  }

  /** Another server has added to a stream; those of runs are of no concern. */
  moved(tenant: string, stream: string): void {
    const slash = stream.lastIndexOf('/');
    if (slash < 0) return;
    if (this.#note({ tenant, topic: stream.slice(0, slash), partition: Number(stream.slice(slash + 1)) })) this.#wake();
  }

  /** Something else asks for a visit of the partition. */
  ask(at: PartitionKey): void {
    this.#moved.set(keyOf(at), at);
    this.#wake();
  }

  /** A visit has left something to be done, now or after some time. */
  again(at: PartitionKey, afterMs = 0): void {
    if (afterMs === 0) this.#moved.set(keyOf(at), at);
    else this.#context.ports.timers.after(afterMs, () => this.ask(at));
  }

  /** What there is to follow has changed: the next round compares all heads. */
  sweepSoon(): void {
    this.#sweepAtMs = Number.NEGATIVE_INFINITY;
  }

  /** One bounded round: visits what is known to have moved, and now and then looks for what nobody has told of. */
  async tick(): Promise<void> {
    if (this.#stopped) return;
    if (this.#working === null) {
      this.#working = this.#round().finally(() => {
        this.#working = null;
      });
    } else {
      this.#again = true;
      if (this.#current !== null) this.#man(this.#current);
    }
    await this.#working;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#working?.catch(() => undefined);
  }

  #wake(): void {
    this.tick().catch((error: unknown) => this.#context.fault(this.#follower.duty, error));
  }

  #note(at: PartitionKey): boolean {
    if (!this.#follower.concerns(at.tenant, at.topic)) return false;
    this.#moved.set(keyOf(at), at);
    return true;
  }

  async #round(): Promise<void> {
    do {
      this.#again = false;
      if (!(await this.#duty.hold())) return this.#moved.clear();
      await this.#sweep();
      const untilMs = this.#context.ports.clock.monotonicMs() + renewMs;
      const round: Round = { untilMs, underWay: new Set(), runners: new Set(), failures: [] };
      this.#current = round;
      this.#man(round);
      while (round.runners.size > 0) await Promise.all(round.runners);
      this.#current = null;
      for (const { at } of round.failures) this.#moved.set(keyOf(at), at);
      const [failure] = round.failures;
      if (failure !== undefined) throw failure.error;
    } while (!this.#stopped && (this.#again || this.#moved.size > 0));
  }

  /**
   * Partitions have no order among themselves: several are visited side by side, so that their writes share commits, and one
   * that is slow or fails holds back no other. Runners that find nothing to do are gone at once.
   */
  #man(round: Round): void {
    for (let wanted = this.#moved.size; wanted > 0 && round.runners.size < partitionsAtOnce; wanted--) {
      const runner = this.#visitMoved(round).finally(() => round.runners.delete(runner));
      round.runners.add(runner);
    }
  }

  /** A partition that moves meanwhile comes again, when the runner that has it is done with it. */
  async #visitMoved({ untilMs, underWay, failures }: Round): Promise<void> {
    const { clock } = this.#context.ports;
    for (const [key, at] of this.#moved) {
      // The duty must be asked for again now and then, however much is published.
      if (this.#stopped || clock.monotonicMs() >= untilMs) return;
      if (underWay.has(key)) continue;
      // Before the look, so that what is published meanwhile counts anew.
      this.#moved.delete(key);
      underWay.add(key);
      try {
        await this.#follower.visit(at);
      } catch (error) {
        failures.push({ at, error });
      } finally {
        underWay.delete(key);
      }
    }
  }

  /** Compares heads with what is remembered: finds what was published before this server had the duty, and lost news. */
  async #sweep(): Promise<void> {
    const { store, ports } = this.#context;
    const nowMs = ports.clock.monotonicMs();
    if (nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + sweepEveryMs;
    let after: PartitionKey | null = null;
    for (;;) {
      const heads: readonly (PartitionKey & { readonly head: number })[] = await store.listPartitions({
        after,
        limit: pagePartitions,
      });
      for (const { tenant, topic, partition, head } of heads) {
        const at = { tenant, topic, partition };
        if (this.#follower.isBehind(at, head)) this.#note(at);
      }
      after = heads.at(-1) ?? null;
      if (after === null || heads.length < pagePartitions) return;
    }
  }
}

/** A partition as a key of maps. */
export function keyOf({ tenant, topic, partition }: PartitionKey): string {
  return `${tenant}/${topicStream(topic, partition)}`;
}

const none: readonly never[] = [];
/** Partitions that are visited side by side. More bring nothing: each already has many events at a time. */
const partitionsAtOnce = 8;
const pagePartitions = 500;
const sweepEveryMs = 5_000;
