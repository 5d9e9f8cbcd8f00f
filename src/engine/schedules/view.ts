/** What people and programs are shown of a schedule: its definition, what comes next, what became of the last ticks. Pure. */
import { jsonOf } from '../../core/codec.js';
import { isoOf } from '../../core/instant.js';
import type { ScheduleState, TickOutcome } from '../../core/schedule/decide.js';
import { upcoming } from '../../core/schedule/spec.js';
import type { ScheduleView, TickView } from '../../protocol/http.js';
import type { ScheduleRow } from '../../store/contract.js';

/** How many of the next ticks are shown. */
const upcomingShown = 5;

export function scheduleView({ tenant, name }: ScheduleRow, state: ScheduleState): ScheduleView {
  const { spec } = state;
  const { cadence } = spec;
  return {
    name,
    tenant,
    start: spec.workflow,
    cron: 'cron' in cadence ? cadence.cron : null,
    timeZone: 'cron' in cadence ? cadence.timeZone : null,
    everyMs: 'everyMs' in cadence ? cadence.everyMs : null,
    input: jsonOf(spec.input),
    catchUp: spec.catchUp,
    catchUpMax: spec.catchUpMax,
    jitterMs: spec.jitterMs,
    overlap: spec.overlap,
    queueMax: spec.queueMax,
    labels: spec.labels ?? {},
    priority: spec.priority,
    app: state.app?.name ?? null,
    createdAt: isoOf(state.createdAt),
    updatedAt: isoOf(state.updatedAt),
    pausedAt: state.pausedAt === null ? null : isoOf(state.pausedAt),
    pauseReason: state.pauseReason,
    next: state.pausedAt === null ? upcoming(spec, state.decidedTo, upcomingShown).map(isoOf) : [],
    waiting: state.waiting.map(isoOf),
    running: state.running,
    counts: state.counts,
    recent: state.recent.map(tickView),
  };
}

function tickView({ tick, to, at, outcome, run, reason }: TickOutcome): TickView {
  return { tick: isoOf(tick), ...(to === undefined ? {} : { to: isoOf(to) }), at: isoOf(at), outcome, run, reason };
}
