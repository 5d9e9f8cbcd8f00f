/**
 * Decisions over a run: `decide(state, command, context)` says which events follow, or why none may. Pure: time,
 * randomness, ids and the manifest's answers come in with the context.
 */
import { assertNever } from '../errors.js';
import { failure, type Failure } from '../failure.js';
import { limits } from '../limits.js';
import { decideRetry, type RetryPolicy } from '../retry.js';
import type { BodyCommand, RunCommand, TaskCommand } from './commands.js';
import type { NewRunEvent, RunEventData } from './events.js';
import { pathOfRetryTimer, runTimers } from './effects.js';
import { activationTask, capabilityQueue, isEnded, type RunState, type Unit } from './state.js';

export interface DecideContext {
  /** The store's clock. */
  readonly now: number;
  /** In [0, 1); used for jitter. */
  readonly random: number;
  /** Id for the dead letter that the command may create. */
  readonly deadLetterId: string;
  /** Worker that sent the command, as text for the record; empty for others. */
  readonly worker: string;
  /** The task under whose lease the command comes; null for clients, timers and the reaper's sweep. */
  readonly task: string | null;
  /** For `cancel`: nobody holds the activation, so there is no body to clean up. The transition must guard it. */
  readonly unleased: boolean;
  capability(name: string): {
    readonly retry: RetryPolicy;
    readonly deadlineMs: number;
    readonly effect: RunEventData['call.scheduled']['effect'];
  } | null;
}

export type Refusal =
  /** The run has ended; `status` says how. */
  | 'ended'
  /** The task is not (or no longer) the one that may speak for the run. */
  | 'stale_task'
  /** `park` came too late: something after `seen` concerns the body. Or a timer was set anew since. */
  | 'stale'
  | 'unknown_capability'
  | 'history_full'
  | 'path_in_use'
  | 'not_redrivable'
  | 'not_migratable'
  | 'invalid_path';

export type Decision =
  | { readonly tag: 'accepted'; readonly events: readonly NewRunEvent[] }
  /** What was asked for is already recorded; nothing to do. */
  | { readonly tag: 'already' }
  | { readonly tag: 'refused'; readonly reason: Refusal };

const already: Decision = { tag: 'already' };
const refused = (reason: Refusal): Decision => ({ tag: 'refused', reason });
const accept = (...events: NewRunEvent[]): Decision => ({ tag: 'accepted', events });

export function decide(state: RunState, command: RunCommand, context: DecideContext): Decision {
  switch (command.op) {
    case 'cancel':
      return decideCancel(state, command, context);
    case 'redrive':
      return decideRedrive(state, command);
    case 'migrate':
      return decideMigration(state, command);
    case 'fireTimer':
      return decideTimer(state, command, context);
    case 'loseTask':
      return decideLost(state, command.failure, context);
    case 'completeTask':
    case 'failTask':
      return decideTask(state, command, context);
    default:
      return decideBody(state, command, context);
  }
}

function decideBody(state: RunState, command: BodyCommand, context: DecideContext): Decision {
  if (isEnded(state.status)) return refused('ended');
  if (!state.activation.open || context.task !== activationTask(state.activation.n)) return refused('stale_task');
  if (state.head >= limits.historyEventsMax && !endsOrParks(command)) return refused('history_full');
  if ('path' in command && command.path !== null && !isPath(command.path)) return refused('invalid_path');
  switch (command.op) {
    case 'beginStep':
      return decideStepBegin(state, command);
    case 'completeStep': {
      const unit = state.units.get(command.path);
      if (unit !== undefined && unit.kind !== 'step') return refused('path_in_use');
      // P4: the first recorded outcome of a step never changes.
      if (unit?.status === 'completed' || unit?.status === 'failed') return already;
      const { path, attempt, durationMs, withInput, result } = command;
      return accept({ type: 'step.completed', data: { path, attempt, durationMs, withInput }, payload: result });
    }
    case 'failStep':
      return decideStepFailure(state, command, context);
    case 'call':
      return decideCall(state, command, context);
    case 'sleep':
      return decideSleep(state, command.path, context.now + command.ms);
    case 'sleepUntil':
      return decideSleep(state, command.path, command.at);
    case 'emit': {
      const unit = state.units.get(command.path);
      if (unit !== undefined) return unit.kind === 'emit' ? already : refused('path_in_use');
      const eventId = command.event.id ?? `${state.run}/${command.path}`;
      return accept({ type: 'event.emitted', data: { path: command.path, topic: command.topic, eventId } });
    }
    case 'progress':
      return command.index < state.progress
        ? already
        : accept({ type: 'progress.reported', data: { index: state.progress }, payload: command.value });
    case 'decideRace': {
      const unit = state.units.get(command.path);
      if (unit !== undefined) return unit.kind === 'race' ? already : refused('path_in_use');
      return accept({ type: 'race.decided', data: { path: command.path, winner: command.winner } });
    }
    case 'park':
      return command.seen < state.lastWakeSeq ? refused('stale') : accept({ type: 'run.parked', data: {} });
    case 'succeed':
      return accept({ type: 'run.succeeded', data: {}, payload: command.output });
    case 'fail':
      return accept(failed(command.failure, command.path, context));
    case 'refuse':
      return accept({
        type: 'run.refused',
        data: { code: command.code },
        ...(command.data === null ? {} : { payload: command.data }),
      });
    case 'endCancelled':
      return accept({ type: 'run.cancelled', data: { reason: state.cancel?.reason ?? null, forced: false } });
    case 'abandon':
      return decideActivationLost(state, command.failure, context);
    default:
      return assertNever(command);
  }
}

function endsOrParks(command: BodyCommand): boolean {
  return ['park', 'succeed', 'fail', 'refuse', 'endCancelled', 'abandon'].includes(command.op);
}

function isPath(path: string): boolean {
  return path.length > 0 && path.length <= limits.pathLengthMax && !path.startsWith(':');
}

function decideStepBegin(state: RunState, command: Extract<BodyCommand, { op: 'beginStep' }>): Decision {
  const unit = state.units.get(command.path);
  if (unit !== undefined && unit.kind !== 'step') return refused('path_in_use');
  if (unit?.status === 'completed' || unit?.status === 'failed') return already;
  // A repeat that comes late: the step has moved on since.
  if (unit !== undefined && isBehind(unit, command.attempt)) return already;
  if (unit?.status === 'started' && unit.attempt === command.attempt) return already;
  const { path, attempt, effect } = command;
  return accept({ type: 'step.started', data: { path, attempt, effect } });
}

/** True where `attempt` is one whose outcome is recorded. */
function isBehind(unit: Extract<Unit, { kind: 'step' }>, attempt: number): boolean {
  return unit.attempt > attempt || (unit.status === 'retrying' && unit.attempt === attempt);
}

function decideStepFailure(
  state: RunState,
  command: Extract<BodyCommand, { op: 'failStep' }>,
  context: DecideContext,
): Decision {
  const unit = state.units.get(command.path);
  if (unit !== undefined && unit.kind !== 'step') return refused('path_in_use');
  if (unit?.status === 'completed' || unit?.status === 'failed') return already;
  // A repeat of what was answered before.
  if (unit !== undefined && isBehind(unit, command.attempt)) return already;
  const { path, attempt } = command;
  const next = decideRetry(command.retry, attempt, command.failure, context.random);
  if (next.tag === 'exhausted' || state.cancel !== null) {
    return accept({ type: 'step.failed', data: { path, attempt, failure: command.failure } });
  }
  return accept({
    type: 'step.retrying',
    data: { path, attempt, retryAt: context.now + next.delayMs, failure: command.failure },
  });
}

function decideCall(state: RunState, command: Extract<BodyCommand, { op: 'call' }>, context: DecideContext): Decision {
  const unit = state.units.get(command.path);
  if (unit !== undefined) return unit.kind === 'call' && unit.status !== 'cancelled' ? already : refused('path_in_use');
  const capability = context.capability(command.capability);
  if (capability === null) return refused('unknown_capability');
  const { path, options } = command;
  return accept({
    type: 'call.scheduled',
    data: {
      path,
      capability: command.capability,
      queue: capabilityQueue(command.capability),
      deadlineMs: options.deadlineMs ?? capability.deadlineMs,
      retry: options.retry ?? capability.retry,
      effect: capability.effect,
      priority: options.priority ?? state.priority,
    },
    payload: command.input,
  });
}

function decideSleep(state: RunState, path: string, fireAt: number): Decision {
  const unit = state.units.get(path);
  if (unit !== undefined) return unit.kind === 'timer' ? already : refused('path_in_use');
  return accept({ type: 'timer.set', data: { path, fireAt } });
}

function decideTask(state: RunState, command: TaskCommand, context: DecideContext): Decision {
  if (isEnded(state.status)) return refused('ended');
  const path = context.task === null ? undefined : state.callPaths.get(context.task);
  const unit = path === undefined ? undefined : state.units.get(path);
  if (path === undefined || unit?.kind !== 'call' || unit.call.task !== context.task) return refused('stale_task');
  if (unit.status === 'completed' || unit.status === 'failed') return already;
  if (unit.status === 'cancelled') return refused('stale_task');
  if (command.op === 'completeTask') {
    const { durationMs, result } = command;
    return accept({
      type: 'call.completed',
      data: { path, attempt: unit.attempt, worker: context.worker, durationMs },
      payload: result,
    });
  }
  return callFailure(path, unit.attempt, unit.call.retry, command.failure, context);
}

function callFailure(
  path: string,
  attempt: number,
  retry: RetryPolicy,
  cause: Failure,
  context: DecideContext,
): Decision {
  const next = decideRetry(retry, attempt, cause, context.random);
  if (next.tag === 'exhausted') return accept({ type: 'call.failed', data: { path, attempt, failure: cause } });
  return accept({
    type: 'call.retrying',
    data: { path, attempt, retryAt: context.now + next.delayMs, failure: cause },
  });
}

/** The worker died or hung: a crash claim counts as an attempt (P9), or a poison task would circle for ever. */
function decideLost(state: RunState, cause: Failure, context: DecideContext): Decision {
  if (isEnded(state.status)) return refused('ended');
  if (context.task === activationTask(state.activation.n)) {
    return state.activation.open ? decideActivationLost(state, cause, context) : refused('stale_task');
  }
  const path = context.task === null ? undefined : state.callPaths.get(context.task);
  const unit = path === undefined ? undefined : state.units.get(path);
  if (path === undefined || unit?.kind !== 'call' || unit.call.task !== context.task) return refused('stale_task');
  if (unit.status !== 'scheduled' && unit.status !== 'retrying') return refused('stale_task');
  // Nobody knows whether the effect happened: to try again could do it twice. A person decides.
  if (unit.call.effect === 'external') {
    const ambiguous = failure({
      class: 'unknown',
      code: 'EFFECT_AMBIGUOUS',
      message: `${cause.message} The effect may or may not have happened.`,
      retryable: false,
    });
    return accept({ type: 'call.failed', data: { path, attempt: unit.attempt, failure: ambiguous } });
  }
  return callFailure(path, unit.attempt, unit.call.retry, cause, context);
}

/** Only an activation that got nowhere uses up an attempt: replay is free, so progress earns a fresh count. */
function decideActivationLost(state: RunState, cause: Failure, context: DecideContext): Decision {
  const { activation } = state;
  const progressed = state.head > activation.since;
  const attempt = progressed ? 1 : activation.attempt;
  const next = decideRetry(activation.retry, attempt, cause, context.random);
  if (next.tag === 'exhausted' && !progressed) {
    return state.cancel === null
      ? accept(failed(cause, null, context))
      : accept({ type: 'run.cancelled', data: { reason: state.cancel.reason, forced: true } });
  }
  // With progress the run moves on at once; a delay would punish long runs for the death of a worker.
  const retryAt = progressed || next.tag === 'exhausted' ? context.now : context.now + next.delayMs;
  return accept({
    type: 'activation.retrying',
    data: { attempt: activation.attempt, retryAt, progressed, failure: cause },
  });
}

function decideTimer(
  state: RunState,
  { name, fireAt }: Extract<RunCommand, { op: 'fireTimer' }>,
  context: DecideContext,
): Decision {
  if (isEnded(state.status)) return already;
  if (name === runTimers.cancelGrace) {
    const { cancel } = state;
    if (cancel === null) return already;
    // That of an earlier cancellation, after which the run was redriven and cancelled once more.
    if (fireAt !== undefined && fireAt !== cancel.at + cancel.graceMs) return refused('stale');
    return accept({ type: 'run.cancelled', data: { reason: cancel.reason, forced: true } });
  }
  if (name === runTimers.timeout) {
    const cause = failure({
      class: 'timeout',
      code: 'RUN_TIMEOUT',
      message: `The run took longer than ${state.timeoutMs} ms.`,
      retryable: false,
    });
    return accept(failed(cause, null, context));
  }
  const stepPath = pathOfRetryTimer(name);
  if (stepPath !== null) {
    const unit = state.units.get(stepPath);
    return unit?.kind === 'step' && unit.status === 'retrying'
      ? accept({ type: 'step.due', data: { path: stepPath, attempt: unit.attempt + 1 } })
      : already;
  }
  const unit = state.units.get(name);
  return unit?.kind === 'timer' && unit.status === 'set'
    ? accept({ type: 'timer.fired', data: { path: name } })
    : already;
}

function decideCancel(
  state: RunState,
  command: Extract<RunCommand, { op: 'cancel' }>,
  context: DecideContext,
): Decision {
  if (isEnded(state.status)) return already;
  if (state.cancel !== null) return already;
  const { reason, by, graceMs } = command;
  // A body that never began has nothing to clean up.
  if (state.head === 1 && context.unleased) {
    return accept(
      { type: 'run.cancel_requested', data: { reason, by, graceMs } },
      { type: 'run.cancelled', data: { reason, forced: false } },
    );
  }
  return accept({ type: 'run.cancel_requested', data: { reason, by, graceMs } });
}

function decideRedrive(state: RunState, command: Extract<RunCommand, { op: 'redrive' }>): Decision {
  if (state.status !== 'failed' && state.status !== 'cancelled') return refused('not_redrivable');
  const paths: string[] = [];
  for (const [path, unit] of state.units) {
    if ((unit.kind === 'step' || unit.kind === 'call' || unit.kind === 'timer') && isUnfinished(unit.status))
      paths.push(path);
  }
  return accept({ type: 'run.redriven', data: { by: command.by, paths, deadLetter: state.deadLetter ?? '' } });
}

/** The last event of a run that has ended is its end: one that has failed is redriven first, and moves then. */
function decideMigration(state: RunState, command: Extract<RunCommand, { op: 'migrate' }>): Decision {
  if (isEnded(state.status)) return refused('not_migratable');
  if (state.version === command.to) return already;
  return accept({ type: 'run.migrated', data: { by: command.by, from: state.version, to: command.to } });
}

/** Everything that did not succeed is asked for anew; a result that is there is kept. */
function isUnfinished(status: string): boolean {
  return status !== 'completed' && status !== 'fired';
}

function failed(cause: Failure, path: string | null, context: DecideContext): NewRunEvent {
  return { type: 'run.failed', data: { failure: cause, path, deadLetter: context.deadLetterId } };
}
