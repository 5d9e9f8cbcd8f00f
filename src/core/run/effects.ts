/**
 * What an event does to the tables beside the log: tasks and timers. Derived from the event and the states around it,
 * never decided apart, so that every row of these tables can be rebuilt from the log (invariant P12).
 */
import { assertNever } from '../errors.js';
import type { RunEvent } from './events.js';
import { activationTask, isOpenUnit, workflowQueue, type Call, type RunState } from './state.js';

/** A unit of work for a worker, as the store's queue keeps it. */
export interface Task {
  readonly task: string;
  readonly kind: 'activation' | 'call';
  readonly queue: string;
  readonly priority: number;
  /** Attempt this task is for, from 1. */
  readonly attempt: number;
  /** Longest time under one lease. */
  readonly deadlineMs: number;
  /** Event whose payload is the input: 1 for an activation. */
  readonly inputSeq: number;
  /** Not before this instant; null = at once. */
  readonly dueAt: number | null;
}

export type TableEffect =
  | { readonly tag: 'openTask'; readonly task: Task }
  /** Puts a task back that is leased now: it keeps its token and is ready at `dueAt`. */
  | { readonly tag: 'requeueTask'; readonly task: Task }
  | { readonly tag: 'closeTask'; readonly task: string }
  | { readonly tag: 'setTimer'; readonly name: string; readonly fireAt: number }
  | { readonly tag: 'clearTimer'; readonly name: string };

/** Timers of the run itself; the names cannot clash with paths, which never begin with a colon. */
export const runTimers = { timeout: ':timeout', cancelGrace: ':cancel-grace' } as const;
const retryPrefix = ':retry:';

/** The timer that ends the pause before the next attempt of a step. */
export function retryTimer(path: string): string {
  return retryPrefix + path;
}

export function pathOfRetryTimer(name: string): string | null {
  return name.startsWith(retryPrefix) ? name.slice(retryPrefix.length) : null;
}

export function activationOf(state: RunState, dueAt: number | null): Task {
  const { activation } = state;
  return {
    task: activationTask(activation.n),
    kind: 'activation',
    queue: workflowQueue(state.workflow, state.version),
    priority: state.priority,
    attempt: activation.attempt,
    deadlineMs: activation.deadlineMs,
    inputSeq: 1,
    dueAt,
  };
}

export function callTask(call: Call, attempt: number, dueAt: number | null): Task {
  const { task, queue, priority, deadlineMs, inputSeq } = call;
  return { task, kind: 'call', queue, priority, attempt, deadlineMs, inputSeq, dueAt };
}

/** What was open before the event: `before` must be taken by `openRows` before the fold moves the state in place. */
export interface OpenRows {
  readonly activation: string | null;
  readonly tasks: readonly string[];
  readonly timers: readonly string[];
}

/** The tasks and timers that stand for the state, by key. Only events that sweep need it. */
export function openRows(state: RunState): OpenRows {
  const tasks: string[] = [];
  const timers: string[] = [];
  for (const [path, unit] of state.units) {
    if (!isOpenUnit(unit)) continue;
    if (unit.kind === 'call') tasks.push(unit.call.task);
    if (unit.kind === 'timer') timers.push(path);
    if (unit.kind === 'step') timers.push(retryTimer(path));
  }
  if (state.timeoutMs !== null) timers.push(runTimers.timeout);
  if (state.cancel !== null) timers.push(runTimers.cancelGrace);
  return { activation: state.activation.open ? activationTask(state.activation.n) : null, tasks, timers };
}

const nothing: OpenRows = { activation: null, tasks: [], timers: [] };

/** True for events whose effects need the rows that were open before. */
export function sweeps(event: Pick<RunEvent, 'type'>): boolean {
  switch (event.type) {
    case 'run.succeeded':
    case 'run.failed':
    case 'run.cancelled':
    case 'run.refused':
    case 'run.cancel_requested':
      return true;
    default:
      return false;
  }
}

/** `before` may be `null` for an event that does not sweep. `after` is the state after the event. */
export function effectsOf(before: OpenRows | null, wasOpen: boolean, event: RunEvent, after: RunState): TableEffect[] {
  const open = before ?? nothing;
  const effects: TableEffect[] = [];
  switch (event.type) {
    case 'run.started':
      effects.push({ tag: 'openTask', task: activationOf(after, null) });
      if (after.timeoutMs !== null)
        effects.push({ tag: 'setTimer', name: runTimers.timeout, fireAt: after.startedAt + after.timeoutMs });
      return effects;
    case 'step.retrying':
      effects.push({ tag: 'setTimer', name: retryTimer(event.data.path), fireAt: event.data.retryAt });
      break;
    case 'step.due':
      effects.push({ tag: 'clearTimer', name: retryTimer(event.data.path) });
      break;
    case 'call.scheduled': {
      const unit = after.units.get(event.data.path);
      if (unit?.kind === 'call') effects.push({ tag: 'openTask', task: callTask(unit.call, 1, null) });
      break;
    }
    case 'call.retrying': {
      const unit = after.units.get(event.data.path);
      if (unit?.kind === 'call')
        effects.push({ tag: 'requeueTask', task: callTask(unit.call, unit.attempt, event.data.retryAt) });
      break;
    }
    case 'call.completed':
    case 'call.failed': {
      const unit = after.units.get(event.data.path);
      if (unit?.kind === 'call') effects.push({ tag: 'closeTask', task: unit.call.task });
      break;
    }
    case 'timer.set':
      effects.push({ tag: 'setTimer', name: event.data.path, fireAt: event.data.fireAt });
      break;
    case 'timer.fired':
      effects.push({ tag: 'clearTimer', name: event.data.path });
      break;
    case 'activation.retrying':
      effects.push({ tag: 'requeueTask', task: activationOf(after, event.data.retryAt) });
      break;
    case 'run.cancel_requested':
      // The body lives on to clean up: its activation and the run's own timeout stay.
      for (const task of open.tasks) effects.push({ tag: 'closeTask', task });
      for (const name of open.timers) if (name !== runTimers.timeout) effects.push({ tag: 'clearTimer', name });
      effects.push({ tag: 'setTimer', name: runTimers.cancelGrace, fireAt: event.at + event.data.graceMs });
      break;
    case 'run.parked':
      effects.push({ tag: 'closeTask', task: activationTask(after.activation.n) });
      break;
    case 'run.migrated':
      if (!wasOpen) break;
      effects.push({ tag: 'closeTask', task: activationTask(after.activation.n - 1) });
      effects.push({ tag: 'openTask', task: activationOf(after, null) });
      return effects;
    case 'run.succeeded':
    case 'run.failed':
    case 'run.cancelled':
    case 'run.refused':
      if (open.activation !== null) effects.push({ tag: 'closeTask', task: open.activation });
      for (const task of open.tasks) effects.push({ tag: 'closeTask', task });
      for (const name of open.timers) effects.push({ tag: 'clearTimer', name });
      return effects;
    case 'run.redriven':
      if (after.timeoutMs !== null)
        effects.push({ tag: 'setTimer', name: runTimers.timeout, fireAt: event.at + after.timeoutMs });
      break;
    case 'step.started':
    case 'step.completed':
    case 'step.failed':
    case 'event.emitted':
    case 'progress.reported':
    case 'race.decided':
      break;
    default:
      assertNever(event);
  }
  if (!wasOpen && after.activation.open) effects.push({ tag: 'openTask', task: activationOf(after, null) });
  return effects;
}
