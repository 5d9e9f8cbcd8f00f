/**
 * A checkpoint of the fold, as it is kept in an event of the topic `eventspine.fleet`: the sums at a position, what was
 * folded since the one before, and a sample of what no event tells. Adding a field is a change of a stored format; new ones
 * are optional on read.
 */
import { boundedCounts } from './counts.js';
import type { FleetSums } from './fold.js';

export interface FleetCheckpoint {
  readonly v: 1;
  readonly position: number;
  readonly at: number;
  /** Position of the checkpoint before; 0 = it is the first, and what is behind it was folded from the beginning. */
  readonly from: number;
  /** Events between the two, of runs and of topics. Fewer are there later: those of runs and topics that were deleted. */
  readonly folded: { readonly runs: number; readonly topics: number };
  /** Runs that were deleted before they could be folded: the sums may have more than there is by as many. */
  readonly doubts: number;
  /** [counter key, count]. */
  readonly counts: readonly (readonly [string, number])[];
  /** [head key, offset of the next event]. */
  readonly heads: readonly (readonly [string, number])[];
  /** Null = nothing was sampled. */
  readonly sample: FleetSample | null;
}

/** What the rows said when the checkpoint was written: claims and cursors are rows and no events. */
export interface FleetSample {
  /** Epoch ms on the store's clock. */
  readonly at: number;
  readonly queues: readonly {
    readonly queue: string;
    readonly ready: number;
    readonly delayed: number;
    readonly leased: number;
    readonly lagMs: number;
  }[];
  /** Worker sessions by queue that they serve. */
  readonly workers: readonly { readonly queue: string; readonly sessions: number; readonly slots: number }[];
  readonly cursors: readonly SampledCursor[];
}

/** Where a subscription is in a partition. */
export interface SampledCursor {
  readonly tenant: string;
  readonly subscription: string;
  /** `topic/partition`. */
  readonly partition: string;
  readonly next: number;
}

export interface CheckpointFacts extends Pick<FleetCheckpoint, 'from' | 'folded' | 'doubts' | 'sample'> {
  readonly countersMax: number;
}

export function checkpointOf(
  sums: FleetSums,
  { from, folded, doubts, sample, countersMax }: CheckpointFacts,
): FleetCheckpoint {
  const { position, at, counts, heads } = sums;
  return {
    v: 1,
    position,
    at,
    from,
    folded,
    doubts,
    counts: [...boundedCounts(counts, countersMax)],
    heads: [...heads].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, countersMax),
    sample,
  };
}

export function sumsOf({ position, at, counts, heads }: FleetCheckpoint): FleetSums {
  return { position, at, counts: new Map(counts), heads: new Map(heads) };
}
