/**
 * What a schedule does now: which ticks are due, which of them start a run, wait, or are left out. Pure, like the decisions
 * of a run; the engine writes what comes out in one transition, guarded by the version of the schedule.
 *
 * Invariant: `decidedTo` never goes back, and no tick up to it is looked at again. So each tick is decided once, by
 * whoever moves the row first.
 */
import { limits } from '../limits.js';
import { isoOf } from '../instant.js';
import type { Hash } from '../ports.js';
import type { ScheduleSpec } from './spec.js';
import { ticksOf, type Ticks } from './ticks.js';

/** Definition and state of a schedule: the body of its row. */
export interface ScheduleState {
  readonly format: 1;
  readonly spec: ScheduleSpec;
  /** The app whose manifest defines it, and when that was registered; null = it was made by a request. */
  readonly app: { readonly name: string; readonly registeredAt: number } | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly pausedAt: number | null;
  readonly pauseReason: string | null;
  /** Ticks up to this instant are decided. */
  readonly decidedTo: number;
  /** The next tick; null = there is none, or it is paused. */
  readonly nextAt: number | null;
  /** Ticks that wait for the end of an earlier run, oldest first. */
  readonly waiting: readonly number[];
  readonly waitingSince: number | null;
  /** Runs that were started here and are not known to have ended. Not kept where overlap is allowed. */
  readonly running: readonly string[];
  readonly counts: { readonly started: number; readonly skipped: number; readonly missed: number };
  /** The last outcomes, newest first. */
  readonly recent: readonly TickOutcome[];
}

/** What became of a tick. */
export interface TickOutcome {
  /** Instant of the tick; for a start by hand, when that was asked for. */
  readonly tick: number;
  /** Where several were missed in a row: the last of them. */
  readonly to?: number;
  readonly at: number;
  readonly outcome: 'started' | 'waiting' | 'skipped' | 'missed' | 'failed';
  readonly run: string | null;
  readonly reason: string | null;
}

/** What a decision rests on beside the state. */
export interface TickContext {
  /** The store's clock. */
  readonly now: number;
  /** Tenant and name: makes the jitter of two schedules differ. */
  readonly seed: string;
  readonly hash: Hash;
  /** Prepares the run of a tick. The reason where it cannot be. */
  readonly start: (tick: number) => { readonly run: string } | { readonly refused: string };
}

export interface TickDecision {
  readonly state: ScheduleState;
  /** When it has to be looked at again; null = not until it is changed. */
  readonly dueAt: number | null;
  /** Earlier runs that have to go. */
  readonly cancel: readonly string[];
}

/** A schedule that begins now. */
export function newSchedule(spec: ScheduleSpec, app: ScheduleState['app'], now: number): ScheduleState {
  return {
    format: 1,
    spec,
    app,
    createdAt: now,
    updatedAt: now,
    pausedAt: null,
    pauseReason: null,
    decidedTo: now,
    nextAt: ticksOf(spec.cadence).next(now),
    waiting: [],
    waitingSince: null,
    running: [],
    counts: { started: 0, skipped: 0, missed: 0 },
    recent: [],
  };
}

/** Another definition from now on. What was started, is waiting or paused stays so; ticks that are not decided yet are dropped. */
export function redefined(
  state: ScheduleState,
  spec: ScheduleSpec,
  app: ScheduleState['app'],
  now: number,
): ScheduleState {
  const decidedTo = Math.max(state.decidedTo, now);
  const nextAt = state.pausedAt === null ? ticksOf(spec.cadence).next(decidedTo) : null;
  return { ...state, spec, app, updatedAt: now, decidedTo, nextAt };
}

/** Ticks do nothing until it is resumed; those that wait are given up. */
export function paused(state: ScheduleState, reason: string | null, now: number): ScheduleState {
  const draft = draftOf(state);
  for (const tick of draft.waiting) note(draft, now, { tick, outcome: 'skipped', reason: 'paused' });
  return {
    ...sealed(draft),
    updatedAt: now,
    pausedAt: now,
    pauseReason: reason,
    nextAt: null,
    waiting: [],
    waitingSince: null,
  };
}

/** Ticks again, from now on: those in the pause are not made up for. */
export function resumed(state: ScheduleState, now: number): ScheduleState {
  const decidedTo = Math.max(state.decidedTo, now);
  const nextAt = ticksOf(state.spec.cadence).next(decidedTo);
  return { ...state, updatedAt: now, pausedAt: null, pauseReason: null, decidedTo, nextAt };
}

/** A run that was asked for by hand: counts as one of the schedule's. */
export function startedByHand(state: ScheduleState, run: string, now: number): ScheduleState {
  const draft = draftOf(state);
  started(draft, now, now, run, 'by hand');
  return sealed(draft);
}

/** Runs that have ended do not stand in the way any more. */
export function withoutRuns(state: ScheduleState, ended: ReadonlySet<string>): ScheduleState {
  if (ended.size === 0) return state;
  return { ...state, running: state.running.filter((run) => !ended.has(run)) };
}

/** Decides everything that is due. At most `limits.scheduleStartsMax` runs are started at once; the rest is due at once again. */
export function decideTicks(before: ScheduleState, context: TickContext): TickDecision {
  if (before.pausedAt !== null) return { state: before, dueAt: null, cancel: [] };
  const { now } = context;
  const { spec } = before;
  const ticks = ticksOf(spec.cadence);
  const draft = draftOf(before);
  let starts = 0;
  const start = (tick: number): void => {
    starts += 1;
    const made = context.start(tick);
    if ('run' in made) started(draft, now, tick, made.run, null);
    else note(draft, now, { tick, outcome: 'failed', reason: made.refused });
  };
  while (draft.waiting.length > 0 && draft.running.length === 0 && starts < limits.scheduleStartsMax) {
    const tick = draft.waiting.shift();
    if (tick !== undefined) start(tick);
  }
  const { due, missed } = dueTicks(draft, ticks, context);
  if (missed !== null) note(draft, now, { ...missed, outcome: 'missed', reason: 'no server was there in time' });
  if (missed !== null) draft.decidedTo = missed.to;
  for (const tick of due) {
    if (starts >= limits.scheduleStartsMax) break;
    draft.decidedTo = tick;
    const isFree = spec.overlap === 'allow' || (draft.running.length === 0 && draft.waiting.length === 0);
    if (isFree) start(tick);
    else meet(draft, now, tick);
  }
  draft.nextAt = ticks.next(draft.decidedTo);
  const cancel = spec.overlap === 'cancel' && draft.waiting.length > 0 ? [...draft.running] : [];
  if (draft.waiting.length === 0) draft.waitingSince = null;
  else draft.waitingSince ??= now;
  return { state: sealed(draft), dueAt: lookAt(draft, ticks, context), cancel };
}

/** When the schedule has to be looked at next. */
export function dueAtOf(state: ScheduleState, context: Pick<TickContext, 'now' | 'seed' | 'hash'>): number | null {
  if (state.pausedAt !== null) return null;
  return lookAt(draftOf(state), ticksOf(state.spec.cadence), context);
}

/** A tick that meets an earlier run which goes on. */
function meet(draft: Draft, now: number, tick: number): void {
  const { overlap, queueMax } = draft.spec;
  if (overlap === 'cancel') {
    for (const earlier of draft.waiting)
      note(draft, now, { tick: earlier, outcome: 'skipped', reason: 'a later tick took its place' });
    draft.waiting = [tick];
    note(draft, now, { tick, outcome: 'waiting', reason: 'the earlier run is being cancelled' });
  } else if (overlap === 'queue' && draft.waiting.length < queueMax) {
    draft.waiting.push(tick);
    note(draft, now, { tick, outcome: 'waiting', reason: 'an earlier run goes on' });
  } else {
    const reason = overlap === 'queue' ? 'as many as may wait do' : 'an earlier run goes on';
    note(draft, now, { tick, outcome: 'skipped', reason });
  }
}

/** The ticks to see to now, oldest first, and the span of those that nobody will. */
function dueTicks(
  draft: Draft,
  ticks: Ticks,
  context: TickContext,
): { readonly due: readonly number[]; readonly missed: { readonly tick: number; readonly to: number } | null } {
  const { now } = context;
  const { catchUp, catchUpMax } = draft.spec;
  const wanted = catchUp === 'all' ? catchUpMax : 1;
  // One more, since the newest may still have its jitter before it.
  const past = ticks
    .latest(wanted + 1, draft.decidedTo, now)
    .filter((tick) => tick + jitterOf(draft.spec, ticks, tick, context) <= now);
  const first = past.length === 0 ? null : ticks.next(draft.decidedTo);
  if (first === null) return { due: [], missed: null };
  let due = past.slice(-wanted);
  const [latest] = due;
  if (catchUp === 'none' && latest !== undefined && isLate(draft.spec, ticks, latest, context)) due = [];
  const [kept] = due;
  if (kept === first) return { due, missed: null };
  const [to] = kept === undefined ? past.slice(-1) : ticks.latest(1, draft.decidedTo, kept - 1);
  return { due, missed: { tick: first, to: to ?? first } };
}

function isLate(spec: ScheduleSpec, ticks: Ticks, tick: number, context: TickContext): boolean {
  return context.now - (tick + jitterOf(spec, ticks, tick, context)) > limits.scheduleLateMs;
}

/** How much later than its instant a tick starts its run: always the same for one tick, and never as late as the next. */
function jitterOf(
  { jitterMs }: ScheduleSpec,
  ticks: Ticks,
  tick: number,
  { seed, hash }: Pick<TickContext, 'seed' | 'hash'>,
): number {
  if (jitterMs === 0) return 0;
  const gapMs = (ticks.next(tick) ?? Number.MAX_SAFE_INTEGER) - tick;
  const bound = Math.min(jitterMs, gapMs - 1);
  return Number.parseInt(hash.sha256(`${seed} ${isoOf(tick)}`).slice(0, 12), 16) % (bound + 1);
}

/** While ticks wait, the runs before them are asked after: often at first, seldom where it takes long. */
function lookAt(draft: Draft, ticks: Ticks, context: Pick<TickContext, 'now' | 'seed' | 'hash'>): number | null {
  const { now } = context;
  const tick = draft.nextAt === null ? null : draft.nextAt + jitterOf(draft.spec, ticks, draft.nextAt, context);
  if (draft.waiting.length === 0) return tick;
  const waitedMs = now - (draft.waitingSince ?? now);
  const poll =
    draft.running.length === 0 ? now : now + Math.min(pollMsMax, Math.max(pollMsMin, Math.floor(waitedMs / 10)));
  return tick === null ? poll : Math.min(tick, poll);
}

const pollMsMin = 1_000;
const pollMsMax = 30_000;

// A draft is a state that is being worked on.

type Draft = { -readonly [K in keyof ScheduleState]: ScheduleState[K] } & {
  waiting: number[];
  running: string[];
  counts: { started: number; skipped: number; missed: number };
  recent: TickOutcome[];
};

function draftOf(state: ScheduleState): Draft {
  const { waiting, running, counts, recent } = state;
  return { ...state, waiting: [...waiting], running: [...running], counts: { ...counts }, recent: [...recent] };
}

function sealed(draft: Draft): ScheduleState {
  return { ...draft, recent: draft.recent.slice(0, limits.scheduleRecentMax) };
}

function started(draft: Draft, now: number, tick: number, run: string, reason: string | null): void {
  if (draft.spec.overlap !== 'allow') draft.running = [...draft.running, run].slice(-limits.scheduleRunningMax);
  draft.counts.started += 1;
  draft.recent.unshift({ tick, at: now, outcome: 'started', run, reason });
}

/** A tick that starts nothing; one that waits is neither skipped nor started yet. */
function note(draft: Draft, now: number, outcome: Pick<TickOutcome, 'tick' | 'to' | 'outcome' | 'reason'>): void {
  if (outcome.outcome === 'skipped' || outcome.outcome === 'failed') draft.counts.skipped += 1;
  if (outcome.outcome === 'missed') draft.counts.missed += 1;
  draft.recent.unshift({ at: now, run: null, ...outcome });
}
