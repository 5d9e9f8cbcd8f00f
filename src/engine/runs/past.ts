/**
 * A run as it was after one of its events, out of its history alone. What workers held then is no event: an activation
 * that had said something counts as running, one that had not as queued.
 */
import { callTask, activationOf } from '../../core/run/effects.js';
import type { RunEvent } from '../../core/run/events.js';
import { isEnded, rowOf, type RunState } from '../../core/run/state.js';
import type { RunFold } from '../../protocol/http.js';
import type { TaskRow, TaskState } from '../../store/contract.js';
import { runView } from './views.js';

/** Which of its events: by its `seq`, or the last up to an instant (epoch ms on the store's clock). */
export type RunMoment = { readonly seq: number } | { readonly instant: number };

/** The events up to the moment. */
export function eventsUpTo<E extends Pick<RunEvent, 'seq' | 'at'>>(events: readonly E[], moment: RunMoment): E[] {
  const past = events.findIndex(({ seq, at }) => ('seq' in moment ? seq > moment.seq : at > moment.instant));
  return past < 0 ? [...events] : events.slice(0, past);
}

/** `state` is what the history up to the moment folds to. */
export function pastView(state: RunState, progress: unknown): RunFold {
  return runView(rowOf(state), state, {
    tasks: tasksOf(state),
    progress,
    served: null,
    limits: new Map(),
    unservedQueues: new Set(),
  });
}

/** The tasks that stood for the state, as far as they can be told. */
function tasksOf(state: RunState): TaskRow[] {
  if (isEnded(state.status)) return [];
  const { tenant, run, activation, head, startAt, updatedAt } = state;
  const tasks: TaskRow[] = [];
  const add = (task: ReturnType<typeof callTask>, shown: TaskState): void => {
    tasks.push({
      ...task,
      tenant,
      run,
      state: shown,
      rank: 0,
      token: 0,
      session: null,
      assignment: null,
      leasedAt: null,
      readyAt: updatedAt,
    });
  };
  if (activation.open) {
    const hasSpoken = head > activation.since;
    const isPutOff = startAt !== null && head === 1;
    const isRetried = activation.attempt > 1;
    add(activationOf(state, startAt), hasSpoken ? 'leased' : isPutOff || isRetried ? 'delayed' : 'ready');
  }
  for (const unit of state.units.values()) {
    if (unit.kind !== 'call' || (unit.status !== 'scheduled' && unit.status !== 'retrying')) continue;
    const task = callTask(unit, null);
    add(task, task.limitKey === null ? 'ready' : 'held');
  }
  return tasks;
}
