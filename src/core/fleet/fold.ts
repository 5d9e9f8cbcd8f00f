/**
 * Folds the feed into sums: from a base, over whatever events come after it, to the sums at a later position. Who reads the
 * feed groups a stretch of it by runs and brings the state that each run was in before; nothing is read here.
 */
import type { RunEvent, RunEventType } from '../run/events.js';
import { applyEvent, emptyState, type RunState, type RunStatus } from '../run/state.js';
import { addEnded, addRun, separator, type FleetCounts } from './counts.js';

/** Sums at a position of the feed. */
export interface FleetSums {
  /** Everything up to here is in, and nothing behind it. */
  position: number;
  /** The latest date of an event that is in, epoch ms on the store's clock; 0 = none is. */
  at: number;
  readonly counts: FleetCounts;
  /** Offset of the next event of each partition, by `headKey`. */
  readonly heads: Map<string, number>;
}

export function emptySums(): FleetSums {
  return { position: 0, at: 0, counts: new Map(), heads: new Map() };
}

export function copyOfSums({ position, at, counts, heads }: FleetSums): FleetSums {
  return { position, at, counts: new Map(counts), heads: new Map(heads) };
}

/** A partition; `stream` is `topic/partition`. */
export function headKey(tenant: string, stream: string): string {
  return `${tenant}${separator}${stream}`;
}

export function partitionOf(key: string): {
  readonly tenant: string;
  readonly topic: string;
  readonly partition: number;
} {
  const [tenant = '', stream = ''] = key.split(separator);
  const slash = stream.lastIndexOf('/');
  return { tenant, topic: stream.slice(0, slash), partition: Number(stream.slice(slash + 1)) };
}

/** The status that a run has for good when the event is its last; null = it is none that ends a run. */
export function endOf(type: RunEventType): RunStatus | null {
  switch (type) {
    case 'run.succeeded':
      return 'succeeded';
    case 'run.failed':
      return 'failed';
    case 'run.cancelled':
      return 'cancelled';
    case 'run.refused':
      return 'refused';
    case 'run.continued':
      return 'continued';
    default:
      return null;
  }
}

/**
 * Moves the sums over the events of one run. `before`: its state in front of the first of them, which is moved along; null =
 * they are its first. Returns the state after them. Fails with EVENT_UNKNOWN.
 */
export function foldRunEvents({ counts }: FleetSums, { tenant, run, before, events }: RunStretch): RunState {
  const state = before ?? emptyState(tenant, run);
  if (before !== null) addRun(counts, before, -1);
  for (const event of events) applyEvent(state, event);
  addRun(counts, state, 1);
  return state;
}

/** Events of one run, in a row. */
export interface RunStretch {
  readonly tenant: string;
  readonly run: string;
  readonly before: RunState | null;
  readonly events: Iterable<RunEvent>;
}

/** The same for a run that begins and ends in the stretch: what came in between leaves nothing. */
export function foldWholeRun(
  { counts }: FleetSums,
  { tenant, workflow, status }: { readonly tenant: string; readonly workflow: string; readonly status: RunStatus },
): void {
  addEnded(counts, tenant, workflow, status);
}

/** Moves the sums over an event of a topic. */
export function foldTopicEvent({ heads }: FleetSums, tenant: string, stream: string, offset: number): void {
  const key = headKey(tenant, stream);
  heads.set(key, Math.max(heads.get(key) ?? 0, offset + 1));
}
