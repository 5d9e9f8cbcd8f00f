/**
 * Folds the feed as it grows, and leaves checkpoints behind: one server at a time does it. What it holds in memory can be
 * thrown away at any time, since the last checkpoint and the feed behind it come to the same.
 */
import { checkpointOf, sumsOf, type FleetSample } from '../../core/fleet/checkpoint.js';
import { emptySums, type FleetSums } from '../../core/fleet/fold.js';
import { limits } from '../../core/limits.js';
import { subscriptionCursorSpace, type Cursor } from '../../core/topics/subscription.js';
import type { EngineContext, FleetPace } from '../context.js';
import { sessionInfo } from '../dispatch/session-info.js';
import { HeldDuty } from '../upkeep/held-duty.js';
import type { Checkpoints } from './checkpoints.js';
import { recounted } from './recount.js';
import { foldStretch, KnownStates } from './stretch.js';

/** What was folded since the last checkpoint. */
interface Standing {
  readonly sums: FleetSums;
  readonly known: KnownStates;
  /** Of the last checkpoint: its position, and the guard of the chain. */
  from: number;
  entry: string | null;
  runs: number;
  topics: number;
  doubts: number;
  /** Position at which what is unfinished was last to be counted anew, and whether that came to something. */
  healedAt: number;
  isHealed: boolean;
  /** On this process's own clock. */
  sinceMs: number;
}

export const usualPace: FleetPace = {
  everyMs: 1_000,
  checkpointEvents: limits.fleetCheckpointEvents,
  checkpointEveryMs: limits.fleetCheckpointEveryMs,
  keptMs: limits.fleetKeptMs,
};

export class FleetDuty {
  readonly #context: EngineContext;
  readonly #checkpoints: Checkpoints;
  readonly #pace: FleetPace;
  readonly #duty: HeldDuty;
  #standing: Standing | null = null;
  #restUntilMs = Number.NEGATIVE_INFINITY;

  constructor(context: EngineContext, checkpoints: Checkpoints, pace: FleetPace) {
    this.#context = context;
    this.#checkpoints = checkpoints;
    this.#pace = pace;
    this.#duty = new HeldDuty(context, 'fleet', () => {
      this.#standing = null;
    });
  }

  /** One bounded round: folds what has come, and leaves a checkpoint where enough has. */
  async tick(): Promise<void> {
    // After a failure another has a chance: it may know events that this version does not.
    if (this.#context.ports.clock.monotonicMs() < this.#restUntilMs) return;
    if (!(await this.#duty.hold())) {
      this.#standing = null;
      return;
    }
    const { clock } = this.#context.ports;
    const untilMs = clock.monotonicMs() + roundMs;
    try {
      this.#standing ??= await this.#begin();
      const standing = this.#standing;
      let isMore = true;
      while (isMore && clock.monotonicMs() < untilMs) {
        isMore = await this.#foldSome(standing);
        if (!isMore) await this.#heal(standing);
        if (!(await this.#leaveWhereDue(standing))) {
          this.#standing = null;
          return;
        }
      }
    } catch (error) {
      // Sums that were moved in part are of no use.
      this.#standing = null;
      this.#restUntilMs = clock.monotonicMs() + restMs;
      throw error;
    }
  }

  async #begin(): Promise<Standing> {
    const { entry, last } = await this.#checkpoints.end();
    return {
      sums: last === null ? emptySums() : sumsOf(last.checkpoint),
      known: new KnownStates(limits.fleetStatesKept),
      from: last?.checkpoint.position ?? 0,
      entry,
      runs: 0,
      topics: 0,
      doubts: last?.checkpoint.doubts ?? 0,
      healedAt: -1,
      isHealed: false,
      sinceMs: this.#context.ports.clock.monotonicMs(),
    };
  }

  get #stretch(): number {
    return Math.min(limits.fleetStretchEvents, this.#pace.checkpointEvents);
  }

  /** Whether there may be more. */
  async #foldSome(standing: Standing): Promise<boolean> {
    const { store } = this.#context;
    const rows = await store.readFeed({ after: standing.sums.position, limit: this.#stretch });
    if (rows.length === 0) return false;
    const { runs, topics, holes, lost } = await foldStretch(store, standing.sums, rows, standing.known);
    standing.runs += runs;
    standing.topics += topics;
    standing.doubts += holes + lost;
    return rows.length === this.#stretch;
  }

  /** Runs were deleted before they could be folded, and nothing moves now: what is unfinished is counted anew. */
  async #heal(standing: Standing): Promise<void> {
    const { store } = this.#context;
    const { sums, doubts } = standing;
    if (doubts === 0 || standing.healedAt === sums.position) return;
    standing.healedAt = sums.position;
    if ((await store.feedHead()) !== sums.position) return;
    const counts = await recounted(store, sums);
    if (counts === null) return;
    sums.counts.clear();
    for (const [key, count] of counts) sums.counts.set(key, count);
    standing.doubts = 0;
    // Worth a checkpoint, though nothing has happened.
    standing.isHealed = true;
  }

  /** False = another server has gone on with the chain. */
  async #leaveWhereDue(standing: Standing): Promise<boolean> {
    const { clock } = this.#context.ports;
    const { sums, from, runs, topics, doubts, sinceMs, entry } = standing;
    const events = runs + topics;
    const isDue =
      standing.isHealed ||
      events >= this.#pace.checkpointEvents ||
      (events > 0 && clock.monotonicMs() - sinceMs >= this.#pace.checkpointEveryMs);
    if (!isDue) return true;
    const checkpoint = checkpointOf(sums, {
      from,
      folded: { runs, topics },
      doubts,
      sample: await this.#sample(),
      countersMax: limits.fleetCountersMax,
    });
    const next = await this.#checkpoints.add(checkpoint, entry, this.#pace.keptMs);
    if (next === null) return false;
    Object.assign(standing, {
      from: sums.position,
      entry: next,
      runs: 0,
      topics: 0,
      isHealed: false,
      sinceMs: clock.monotonicMs(),
    });
    return true;
  }

  /** What the rows say now; that is a little later than the position. */
  async #sample(): Promise<FleetSample> {
    const { store } = this.#context;
    const at = store.now();
    const [stats, sessions, tally] = await Promise.all([store.queueStats(), store.listSessions(), store.readTally()]);
    const served = new Map<string, { queue: string; sessions: number; slots: number }>();
    for (const session of sessions) {
      const { queues = [], slots = 0 } = sessionInfo(session);
      for (const queue of queues) {
        const found = served.get(queue) ?? { queue, sessions: 0, slots: 0 };
        served.set(queue, { queue, sessions: found.sessions + 1, slots: found.slots + slots });
      }
    }
    return {
      at,
      queues: stats.slice(0, limits.fleetSampleMax).map(({ queue, ready, delayed, leased, oldestReadyAt }) => ({
        queue,
        ready,
        delayed,
        leased,
        lagMs: oldestReadyAt === null ? 0 : Math.max(0, at - oldestReadyAt),
      })),
      workers: [...served.values()].slice(0, limits.fleetSampleMax),
      cursors: await this.#cursors(new Set(tally.map(({ tenant }) => tenant))),
    };
  }

  async #cursors(tenants: ReadonlySet<string>): Promise<FleetSample['cursors']> {
    const found: FleetSample['cursors'][number][] = [];
    for (const tenant of tenants) {
      const limit = limits.fleetSampleMax - found.length;
      if (limit <= 0) break;
      const rows = await this.#context.store.readEntries({ tenant, space: subscriptionCursorSpace, limit });
      for (const { key, ref, value } of rows) {
        const { next } = JSON.parse(value) as Cursor;
        found.push({ tenant, subscription: key, partition: ref, next });
      }
    }
    return found;
  }
}

/** Time of one round: a feed that was never folded must not take the server away from its work. */
const roundMs = 100;
/** Longer than a duty is held. */
const restMs = 10_000;
