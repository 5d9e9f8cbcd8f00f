/**
 * What a fleet was at a position of the feed, or at an instant: the last checkpoint in front of it, and the events between
 * the two. What was deleted since is not guessed at: the answer is then what the checkpoint says, and tells of the gap.
 */
import { counterOf, othersName, type FleetCounts, type FleetKind } from '../../core/fleet/counts.js';
import { sumsOf, type FleetCheckpoint } from '../../core/fleet/checkpoint.js';
import { copyOfSums, emptySums, headKey, partitionOf, type FleetSums } from '../../core/fleet/fold.js';
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import type { FleetGap, FleetLag, FleetView } from '../../protocol/http.js';
import type { EventRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { Checkpoints, KeptCheckpoint } from './checkpoints.js';
import { foldStretch, holesIn, isOfRun, KnownStates } from './stretch.js';

/** When: a position of the feed, an instant (epoch ms on the store's clock), or null for now. */
export type FleetMoment = { readonly position: number } | { readonly instant: number } | null;

export class FleetViews {
  readonly #context: EngineContext;
  readonly #checkpoints: Checkpoints;

  constructor(context: EngineContext, checkpoints: Checkpoints) {
    this.#context = context;
    this.#checkpoints = checkpoints;
  }

  /** `tenant`: only what is of this one; null = of all together. Rejects with FLEET_PAST_GONE and FLEET_BEHIND. */
  async at(moment: FleetMoment, tenant: string | null): Promise<FleetView> {
    const base = await this.#base(moment);
    const checkpoint = base?.checkpoint ?? null;
    const sums = checkpoint === null ? emptySums() : sumsOf(checkpoint);
    const start = copyOfSums(sums);
    const gap = await this.#foldTo(sums, base, moment);
    return viewOf(gap === null ? sums : start, checkpoint, gap, tenant);
  }

  /** The last checkpoint in front of the moment; null = the fold begins with the feed. */
  async #base(moment: FleetMoment): Promise<KeptCheckpoint | null> {
    if (moment === null) return (await this.#checkpoints.end()).last;
    const base = await this.#checkpoints.last((one) => !isBehind(one, moment));
    if (base !== null) return base;
    const oldest = await this.#checkpoints.at(0);
    if (oldest !== null && oldest.checkpoint.from > 0)
      throw new SpineError('FLEET_PAST_GONE', {
        position: oldest.checkpoint.position,
        at: isoOf(oldest.checkpoint.at),
      });
    return null;
  }

  /** Moves the sums of a checkpoint on to the moment; returns what of the events in between is no longer there. */
  async #foldTo(sums: FleetSums, base: KeptCheckpoint | null, moment: FleetMoment): Promise<FleetGap | null> {
    const { store } = this.#context;
    const next = await this.#checkpoints.at(base === null ? 0 : base.offset + 1);
    const from = sums.position;
    const upTo = next?.checkpoint.position ?? Number.POSITIVE_INFINITY;
    const known = new KnownStates(limits.fleetStatesKept);
    /** Position of the first event behind the moment. */
    let past: number | null = null;
    let after = from;
    let there = 0;
    let ofRuns = 0;
    let lost = 0;
    for (let isMore = true; isMore; ) {
      const page = await store.readFeed({ after, limit: limits.fleetStretchEvents });
      const rows = page.filter((row) => row.position <= upTo);
      const end: number = past === null ? rows.findIndex((row) => isRowPast(row, moment)) : 0;
      const wanted = end < 0 ? rows : rows.slice(0, end);
      past ??= rows[end]?.position ?? null;
      if (there + wanted.length > limits.fleetFoldEventsMax)
        throw new SpineError('FLEET_BEHIND', { position: sums.position });
      lost += (await foldStretch(store, sums, wanted, known)).lost;
      there += wanted.length;
      ofRuns += rows.filter(isOfRun).length;
      after = page.at(-1)?.position ?? after;
      isMore = page.length === limits.fleetStretchEvents && after < upTo && (past === null || next !== null);
    }
    const asked = moment !== null && 'position' in moment ? Math.min(moment.position, await store.feedHead()) : null;
    const to = asked ?? (past ?? after + 1) - 1;
    const missing = holesIn(from, to, there);
    // Where the next checkpoint knows of as many events of runs, it is events of topics that are missing.
    if (lost === 0 && (missing === 0 || next?.checkpoint.folded.runs === ofRuns)) return null;
    return { from, to, missing: missing + lost };
  }
}

function isBehind({ position, at }: FleetCheckpoint, moment: Exclude<FleetMoment, null>): boolean {
  return 'position' in moment ? position > moment.position : at > moment.instant;
}

function isRowPast({ position, at }: EventRow, moment: FleetMoment): boolean {
  if (moment === null) return false;
  return 'position' in moment ? position > moment.position : at > moment.instant;
}

function viewOf(
  { position, at, counts, heads }: FleetSums,
  checkpoint: FleetCheckpoint | null,
  gap: FleetGap | null,
  tenant: string | null,
): FleetView {
  const isOf = (one: string): boolean => tenant === null || one === tenant;
  const table = tableOf(counts, isOf);
  const sums = topicSums(heads, isOf);
  const sample = checkpoint?.sample ?? null;
  return {
    position,
    at: at === 0 ? null : isoOf(at),
    checkpoint: checkpoint === null ? null : { position: checkpoint.position, at: isoOf(checkpoint.at) },
    gap,
    doubts: checkpoint?.doubts ?? 0,
    runs: table('run').flatMap(([workflow, states]) =>
      states.map(([status, count]) => ({ workflow, status: status as FleetView['runs'][number]['status'], count })),
    ),
    queues: table('task').map(([queue, states]) => ({ queue, open: of(states, 'open'), held: of(states, 'held') })),
    limits: table('limit').map(([limit, states]) => ({ limit, ...ticketsOf(states) })),
    models: table('model').map(([model, states]) => ({ model, ...ticketsOf(states) })),
    waits: table('wait').map(([kind, states]) => ({ kind, open: of(states, 'open') })),
    agents: table('agent').map(([agent, states]) => ({
      agent,
      keys: of(states, 'keys'),
      unread: of(states, 'unread'),
    })),
    topics: sums,
    lag: lagOf(sample?.cursors.filter((cursor) => isOf(cursor.tenant)) ?? [], heads),
    sample: sample === null ? null : { at: isoOf(sample.at), queues: [...sample.queues], workers: [...sample.workers] },
  };
}

type States = readonly (readonly [string, number])[];

/** Counts of one kind by name and state, in their order. */
function tableOf(
  counts: FleetCounts,
  isOf: (tenant: string) => boolean,
): (kind: FleetKind) => (readonly [string, States])[] {
  const kinds = new Map<FleetKind, Map<string, Map<string, number>>>();
  for (const [key, count] of counts) {
    const { kind, tenant, name, state } = counterOf(key);
    if (!isOf(tenant) && name !== othersName) continue;
    const names = kinds.get(kind) ?? new Map<string, Map<string, number>>();
    const states = names.get(name) ?? new Map<string, number>();
    kinds.set(kind, names.set(name, states.set(state, (states.get(state) ?? 0) + count)));
  }
  return (kind) => [...(kinds.get(kind) ?? [])].sort(byName).map(([name, states]) => [name, [...states].sort(byName)]);
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function of(states: States, state: string): number {
  return states.find(([name]) => name === state)?.[1] ?? 0;
}

function ticketsOf(states: States): { readonly waiting: number; readonly granted: number } {
  return { waiting: of(states, 'waiting'), granted: of(states, 'granted') };
}

function topicSums(heads: FleetSums['heads'], isOf: (tenant: string) => boolean): FleetView['topics'] {
  const events = new Map<string, number>();
  for (const [key, head] of heads) {
    const { tenant, topic } = partitionOf(key);
    if (isOf(tenant)) events.set(topic, (events.get(topic) ?? 0) + head);
  }
  return [...events].sort(byName).map(([topic, count]) => ({ topic, events: count }));
}

/** Cursors move with no event: they are as old as the checkpoint, and what is behind them is at most this. */
function lagOf(
  cursors: readonly {
    readonly tenant: string;
    readonly subscription: string;
    readonly partition: string;
    readonly next: number;
  }[],
  heads: FleetSums['heads'],
): FleetLag[] {
  const lags = new Map<string, FleetLag>();
  for (const { tenant, subscription, partition, next } of cursors) {
    const { topic } = partitionOf(headKey(tenant, partition));
    const key = `${subscription}\0${topic}`;
    const behind = Math.max(0, (heads.get(headKey(tenant, partition)) ?? next) - next);
    const found = lags.get(key) ?? { subscription, topic, eventsMax: 0 };
    lags.set(key, { ...found, eventsMax: found.eventsMax + behind });
  }
  return [...lags].sort(byName).map(([, lag]) => lag);
}
