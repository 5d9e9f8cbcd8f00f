/**
 * Folds a stretch of the feed into the sums of a fleet: groups it by runs, fetches the state that each was in before, and
 * leaves the rest to `core/fleet`. A run that begins and ends within the stretch, as most do, is not folded at all.
 */
import { fleetTopic } from '../../core/manifest.js';
import type { RunEvent, RunEventType } from '../../core/run/events.js';
import { endOf, foldRunEvents, foldTopicEvent, foldWholeRun, type FleetSums } from '../../core/fleet/fold.js';
import { foldRun, type RunState } from '../../core/run/state.js';
import { topicStream, type EventRow, type RunKey, type Store } from '../../store/contract.js';
import { restoreJump } from '../../store/restore-jump.js';
import { parseEnvelope } from '../events/envelope-writer.js';
import { readRunEvent } from '../events/rows.js';
import { systemTenant } from '../system-tenant.js';

/** What a stretch had in it. */
export interface Folded {
  readonly runs: number;
  readonly topics: number;
  /** Positions without an event: it was deleted before it was read. */
  readonly holes: number;
  /** Runs of which what was before is no longer there; their events were left out. */
  readonly lost: number;
}

/** States of runs as they were after the last stretch, so that their histories need not be read again. */
export class KnownStates {
  readonly #states = new Map<string, RunState>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** Takes the state out, if it is the one after event `head`. */
  take(key: string, head: number): RunState | null {
    const state = this.#states.get(key);
    this.#states.delete(key);
    return state?.head === head ? state : null;
  }

  keep(key: string, state: RunState): void {
    this.#states.set(key, state);
    const [oldest] = this.#states.keys();
    if (this.#states.size > this.#max && oldest !== undefined) this.#states.delete(oldest);
  }
}

/** Events of one run in a stretch, in order. */
type RunRows = readonly [EventRow, ...EventRow[]];

/** True for an event that tells of the fold itself: it is in no sum, or an idle fleet would never be at rest. */
export function isOwnEvent({ tenant, stream }: Pick<EventRow, 'tenant' | 'stream'>): boolean {
  return tenant === systemTenant && stream === ownStream;
}

const ownStream = topicStream(fleetTopic.name, 0);

/** True for an event of a run; ids of runs have no slash, streams of topics have. */
export function isOfRun({ stream }: Pick<EventRow, 'stream'>): boolean {
  return !stream.includes('/');
}

/** How many of the events at the positions from behind `from` up to `to` are no longer there, where `there` of them are. */
export function holesIn(from: number, to: number, there: number): number {
  // Positions have no gaps but those of what was deleted, and one where a store was put back from a backup.
  return Math.max(0, ((to - from) % restoreJump.positions) - there);
}

/** Moves the sums over `rows`, the next of the feed. Fails with EVENT_UNKNOWN. */
export async function foldStretch(
  store: Pick<Store, 'readHistories'>,
  sums: FleetSums,
  rows: readonly EventRow[],
  known: KnownStates,
): Promise<Folded> {
  const runs = new Map<string, [EventRow, ...EventRow[]]>();
  const holes = holesIn(sums.position, rows.at(-1)?.position ?? sums.position, rows.length);
  let topics = 0;
  let ofRuns = 0;
  for (const row of rows) {
    sums.position = row.position;
    if (isOwnEvent(row)) continue;
    sums.at = Math.max(sums.at, row.at);
    if (!isOfRun(row)) {
      topics += 1;
      foldTopicEvent(sums, row.tenant, row.stream, row.seq);
      continue;
    }
    ofRuns += 1;
    const key = keyOf(row);
    const same = runs.get(key);
    if (same === undefined) runs.set(key, [row]);
    else same.push(row);
  }
  let lost = 0;
  const late: { readonly key: string; readonly rows: RunRows }[] = [];
  for (const [key, events] of runs) {
    if (foldWhole(sums, events)) continue;
    const before = events[0].seq === 1 ? null : known.take(key, events[0].seq - 1);
    if (before === null && events[0].seq > 1) late.push({ key, rows: events });
    else known.keep(key, foldRows(sums, events, before));
  }
  for (let i = 0; i < late.length; i += historiesAtOnce) {
    const some = late.slice(i, i + historiesAtOnce);
    const befores = await statesBefore(
      store,
      some.map(({ rows: [first] }) => first),
    );
    for (const [at, { key, rows: events }] of some.entries()) {
      const before = befores[at] ?? null;
      if (before === null) lost += 1;
      else known.keep(key, foldRows(sums, events, before));
    }
  }
  return { runs: ofRuns, topics, holes, lost };
}

/** A run that was born in the stretch and has ended in it. */
function foldWhole(sums: FleetSums, rows: RunRows): boolean {
  const [first] = rows;
  const status = first.seq === 1 ? endOf((rows.at(-1) ?? first).type as RunEventType) : null;
  if (status === null) return false;
  const { workflow } = parseEnvelope(first.envelope).data as { readonly workflow: string };
  foldWholeRun(sums, { tenant: first.tenant, workflow, status });
  return true;
}

function foldRows(sums: FleetSums, rows: RunRows, before: RunState | null): RunState {
  const [{ tenant, stream }] = rows;
  return foldRunEvents(sums, { tenant, run: stream, before, events: eventsOf(rows) });
}

function eventsOf(rows: readonly EventRow[]): RunEvent[] {
  return rows.map((row) => readRunEvent(row).event);
}

/** The states in front of these events; null = the history is not there from its beginning. */
async function statesBefore(
  store: Pick<Store, 'readHistories'>,
  firsts: readonly EventRow[],
): Promise<(RunState | null)[]> {
  const keys: RunKey[] = firsts.map(({ tenant, stream }) => ({ tenant, run: stream }));
  const histories = await store.readHistories(keys);
  return firsts.map(({ tenant, stream, seq }, i) => {
    const before = (histories[i] ?? []).filter((row) => row.seq < seq);
    return before.length === seq - 1 ? foldRun(tenant, stream, eventsOf(before)) : null;
  });
}

function keyOf({ tenant, stream }: EventRow): string {
  return `${tenant}\0${stream}`;
}

/** Histories may be long. */
const historiesAtOnce = 20;
