/**
 * Decisions over a run: `decide(state, command, context)` says which events follow, or why none may. Pure: time,
 * randomness, ids and the manifest's answers come in with the context.
 */
import { assertNever } from '../errors.js';
import type { Feedback } from '../admission/feedback.js';
import { failure, type Failure } from '../failure.js';
import { nodeOfPath, standsInFor } from '../graph/graph.js';
import type { Payload } from '../payload.js';
import { limits } from '../limits.js';
import type { RemedyPolicy } from '../remedies.js';
import { choiceFor } from '../remedies.js';
import { decideRetry, type RetryPolicy } from '../retry.js';
import { endsOrParks, type BodyCommand, type RunCommand, type TaskCommand } from './commands.js';
import { decideAdmission, decidedInstead, decideInference, type InferenceContext } from './decide-inference.js';
import { decideTool, staleVerdicts, type ToolContext } from './decide-tools.js';
import type { NewRunEvent, RunEventData } from './events.js';
import { pathOfRetryTimer, runTimers } from './effects.js';
import {
  decideCancelWait,
  decideEscalation,
  decideExpiry,
  decideGiveEvent,
  decideReview,
  decideSignal,
  decideWait,
} from './decide-waits.js';
import { already, accept, refused, type Decision } from './decision.js';
import { decideAdvance, nodesToRedo } from './decide-graph.js';
import { declaredRemedies, leftMsOf, remedied } from './remedied.js';
import { activationTask, capabilityQueue, isEnded, type RunState, type Unit } from './state.js';
import { pathOfEscalationTimer, waitOfExpiryTimer } from './waits.js';

export interface DecideContext extends InferenceContext, ToolContext {
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
  /** Token of the lease on `task`; 0 where there is none. */
  readonly token: number;
  /** Id for the run that the command may start. */
  readonly newRunId: string;
  hasWorkflow(name: string): boolean;
  hasAgent(name: string): boolean;
  /** Id of the run that is the nth of an agent key: always the same, so that two who begin it meet. */
  agentRunId(agent: string, key: string, generation: number): string;
  /** For `cancel`: nobody holds the activation, so there is no body to clean up. The transition must guard it. */
  readonly unleased: boolean;
  capability(name: string): {
    readonly retry: RetryPolicy;
    readonly deadlineMs: number;
    readonly effect: RunEventData['call.scheduled']['effect'];
    /** Absent = none. */
    readonly limits?: readonly string[];
    readonly remedies?: RemedyPolicy;
  } | null;
}

export type { Decision, Refusal } from './decision.js';

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
    case 'signal':
      return decideSignal(state, command);
    case 'giveEvent':
      return decideGiveEvent(state, command);
    case 'admitInference':
      return isEnded(state.status) ? refused('ended') : decideAdmission(state, command);
    case 'review':
    case 'delegate':
    case 'comment':
      return decideReview(state, command);
    case 'loseTask':
      return decideLost(state, command.failure, context);
    case 'admitCall':
      return decideCallAdmission(state, command);
    case 'endChild':
      return decideChildEnd(state, command);
    case 'advance':
      return decideAdvance(state, command, context);
    case 'completeTask':
    case 'failTask':
    case 'appendTask':
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
      const { path, attempt, durationMs, withInput, result, decides } = command;
      const completed = {
        type: 'step.completed',
        data: { path, attempt, durationMs, withInput },
        payload: result,
      } as const;
      const by = decides?.rule ?? '';
      const decided =
        decides === undefined ? null : decidedInstead(state, path, decides, state.head + 1, { by, comment: null });
      return decided === null ? accept(completed) : accept(completed, decided);
    }
    case 'failStep':
      return decideStepFailure(state, command, context);
    case 'call':
      return decideCall(state, command, context);
    case 'infer':
    case 'beginInference':
    case 'identifyInference':
    case 'completeInference':
    case 'failInference':
    case 'settleAmbiguity':
      return decideInference(state, command, context);
    case 'judgeTool':
      return decideTool(state, command, context);
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
    case 'putContext': {
      const { path, name, key, version, value } = command;
      const unit = state.units.get(path);
      if (unit !== undefined) return unit.kind === 'context' ? already : refused('path_in_use');
      return accept({ type: 'context.put', data: { path, name, key, version }, payload: value });
    }
    case 'useContext': {
      const { path, name, key } = command;
      const unit = state.units.get(path);
      if (unit !== undefined) return unit.kind === 'context' ? already : refused('path_in_use');
      return accept({ type: 'context.used', data: { path, name, key } });
    }
    case 'append':
      return decideAppend(state, command.path, command.attempt, command, context);
    case 'startChild':
      return decideChild(state, command, context);
    case 'cancelChild': {
      const unit = state.units.get(command.path);
      return unit?.kind === 'child' && unit.status === 'started'
        ? accept({ type: 'child.cancel_requested', data: { path: command.path, reason: command.reason } })
        : already;
    }
    case 'send': {
      const { path, to, data } = command;
      const unit = state.units.get(path);
      if (unit !== undefined) return unit.kind === 'send' ? already : refused('path_in_use');
      if (to.kind === 'agent' && !context.hasAgent(to.agent)) return refused('unknown_agent');
      return accept({ type: 'message.sent', data: { path, to, ...taintOf(state) }, payload: data });
    }
    case 'bury': {
      const { path, message, attempts, failure: cause } = command;
      const unit = state.units.get(path);
      if (unit !== undefined) return unit.kind === 'burial' ? already : refused('path_in_use');
      const { deadLetterId: deadLetter } = context;
      return accept({ type: 'message.buried', data: { path, message, attempts, failure: cause, deadLetter } });
    }
    case 'wait':
      return decideWait(state, command, context.now);
    case 'cancelWait':
      return decideCancelWait(state, command.path);
    case 'park':
      return command.seen < state.lastWakeSeq ? refused('stale') : accept({ type: 'run.parked', data: {} });
    case 'succeed':
      return accept({
        type: 'run.succeeded',
        data: state.parent === null ? {} : taintOf(state),
        payload: command.output,
      });
    case 'fail':
      return accept(failed(command.failure, command.path, context));
    case 'refuse':
      return accept({
        type: 'run.refused',
        data: { code: command.code, ...(state.parent === null ? {} : taintOf(state)) },
        ...(command.data === null ? {} : { payload: command.data }),
      });
    case 'continueAsNew':
      // One that is to end does not go on by another name.
      return state.cancel === null
        ? accept({ type: 'run.continued', data: { next: successorId(state, context) } })
        : accept({ type: 'run.cancelled', data: { reason: state.cancel.reason, forced: false } });
    case 'endCancelled':
      return accept({ type: 'run.cancelled', data: { reason: state.cancel?.reason ?? null, forced: false } });
    case 'abandon':
      return decideActivationLost(state, command.failure, context);
    default:
      return assertNever(command);
  }
}

/** What the run has read, for whoever it tells something. */
function taintOf({ taint }: RunState): { readonly taint?: readonly string[] } {
  return taint.length === 0 ? {} : { taint };
}

function successorId({ workflow, agent }: RunState, context: DecideContext): string {
  return agent === null ? context.newRunId : context.agentRunId(workflow, agent.key, agent.generation + 1);
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
  const { failure: cause, retry, choice = 'auto' } = command;
  const { now, random } = context;
  const next = remedied({ failure: cause, choice, retry, attempt, can: {}, leftMs: leftMsOf(state, now), random });
  if (next.tag === 'over') {
    const given = command.withInput === true ? ({ withInput: true } as const) : {};
    return accept({ type: 'step.failed', data: { path, attempt, ...next.told, ...given } });
  }
  return accept({ type: 'step.retrying', data: { path, attempt, retryAt: now + next.delayMs, ...next.told } });
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
      ...limitsOf(capability),
      ...declaredRemedies(capability.remedies, options.remedies),
    },
    payload: state.edits.get(path) ?? command.input,
  });
}

/** What is not limited is queued as it always was. */
function limitsOf({ limits: named = [] }: { readonly limits?: readonly string[] }): {
  readonly limits?: readonly string[];
} {
  return named.length === 0 ? {} : { limits: named };
}

/** The ticket of a call that waits is served. */
function decideCallAdmission(state: RunState, command: Extract<RunCommand, { op: 'admitCall' }>): Decision {
  if (isEnded(state.status)) return refused('ended');
  const { path, task, attempt, limits: keys, reservedAt } = command;
  const unit = state.units.get(path);
  if (unit?.kind !== 'call' || unit.call.task !== task || unit.attempt !== attempt) return already;
  if (unit.status !== 'scheduled' && unit.status !== 'retrying') return already;
  if (unit.hold?.phase !== 'waiting') return already;
  return accept({ type: 'call.admitted', data: { path, attempt, limits: keys, reservedAt } });
}

function decideSleep(state: RunState, path: string, fireAt: number): Decision {
  const unit = state.units.get(path);
  if (unit !== undefined) return unit.kind === 'timer' ? already : refused('path_in_use');
  return accept({ type: 'timer.set', data: { path, fireAt } });
}

/**
 * A batch that is repeated, or comes from an attempt that another has followed, adds nothing. An attempt that is made
 * again, since its worker died, writes other chunks than it had written by then: the stream begins anew.
 */
function decideAppend(
  state: RunState,
  path: string,
  attempt: number,
  { from, count, chunks }: { readonly from: number; readonly count: number; readonly chunks: Payload },
  { task, token }: DecideContext,
): Decision {
  const stream = state.streams.get(path);
  if (stream === undefined && state.streams.size >= limits.streamsPerRunMax) return refused('too_many_streams');
  // What the body itself writes goes on over all its activations.
  const writer = attempt === 0 ? null : { attempt, lease: `${task}.${token}` };
  const isSame = stream?.writer?.lease === writer?.lease;
  if (isSame && (stream?.writer?.attempt ?? 0) > attempt) return already;
  const goesOn = isSame && stream?.writer?.attempt === writer?.attempt;
  if (from !== (goesOn ? (stream?.written ?? 0) : 0)) return already;
  const begun = writer === null ? 0 : goesOn ? (stream?.attempt ?? 1) : (stream?.attempt ?? 0) + 1;
  return accept({
    type: 'stream.appended',
    data: { path, attempt: begun, offset: stream?.next ?? 0, count, ...(writer === null ? {} : { writer }) },
    payload: chunks,
  });
}

function decideChild(
  state: RunState,
  command: Extract<BodyCommand, { op: 'startChild' }>,
  context: DecideContext,
): Decision {
  const { path, workflow } = command;
  const unit = state.units.get(path);
  if (unit !== undefined)
    return unit.kind === 'child' && unit.status !== 'cancelled' ? already : refused('path_in_use');
  if (!context.hasWorkflow(workflow)) return refused('unknown_workflow');
  if ((state.parent?.depth ?? 0) >= limits.childDepthMax) return refused('too_deep');
  const attached = !command.options.detached;
  return accept({ type: 'child.started', data: { path, run: context.newRunId, workflow, attached } });
}

function decideChildEnd(state: RunState, command: Extract<RunCommand, { op: 'endChild' }>): Decision {
  // Nobody waits for it any more.
  if (isEnded(state.status)) return already;
  const { path, run, first, status, failure: cause, output, taint } = command;
  const unit = state.units.get(path);
  // A redrive may have started another in the place of one that was cancelled.
  if (unit?.kind !== 'child' || unit.run !== first) return already;
  if (unit.status !== 'started' && unit.status !== 'stopping') return already;
  return accept({
    type: 'child.ended',
    data: { path, run, status, failure: cause, ...(taint === undefined ? {} : { taint }) },
    ...(output === null ? {} : { payload: output }),
  });
}

function decideTask(state: RunState, command: TaskCommand, context: DecideContext): Decision {
  if (isEnded(state.status)) return refused('ended');
  const path = context.task === null ? undefined : state.callPaths.get(context.task);
  const unit = path === undefined ? undefined : state.units.get(path);
  if (path === undefined || unit?.kind !== 'call' || unit.call.task !== context.task) return refused('stale_task');
  if (unit.status === 'completed' || unit.status === 'failed') return already;
  if (unit.status === 'cancelled') return refused('stale_task');
  if (command.op === 'appendTask') {
    const stream = command.name === null ? path : `${path}/${command.name}`;
    if (!isPath(stream)) return refused('invalid_path');
    if (state.head >= limits.historyEventsMax) return refused('history_full');
    return decideAppend(state, stream, unit.attempt, command, context);
  }
  if (command.op === 'completeTask') {
    const { durationMs, result, feedback } = command;
    const said = feedback === undefined ? {} : { feedback };
    return accept({
      type: 'call.completed',
      data: { path, attempt: unit.attempt, worker: context.worker, durationMs, ...said },
      payload: result,
    });
  }
  return callFailure(state, path, unit, command, context);
}

function callFailure(
  state: RunState,
  path: string,
  { attempt, call: { retry, remedies } }: Extract<Unit, { kind: 'call' }>,
  { failure: cause, feedback }: { readonly failure: Failure; readonly feedback?: Feedback },
  { now, random }: DecideContext,
): Decision {
  const choice = choiceFor(remedies, cause.class);
  const can = standsBy(state, path) ? { fallback: true as const } : {};
  const next = remedied({ failure: cause, choice, retry, attempt, can, leftMs: leftMsOf(state, now), random });
  const said = feedback === undefined ? {} : { feedback };
  if (next.tag === 'over') return accept({ type: 'call.failed', data: { path, attempt, ...next.told, ...said } });
  return accept({ type: 'call.retrying', data: { path, attempt, retryAt: now + next.delayMs, ...next.told, ...said } });
}

/** Whether the graph has another capability called where this one has failed. */
function standsBy({ graph }: RunState, path: string): boolean {
  if (graph === null || standsInFor(path) !== null) return false;
  return graph.nodes.some(({ name, fallback }) => fallback !== undefined && name === nodeOfPath(path));
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
    const remedy = { name: 'person' } as const;
    return accept({ type: 'call.failed', data: { path, attempt: unit.attempt, failure: ambiguous, remedy } });
  }
  return callFailure(state, path, unit, { failure: cause }, context);
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
    if (unit?.kind === 'inference' && unit.status === 'retrying')
      return accept({ type: 'inference.due', data: { path: stepPath, attempt: unit.attempt + 1 } });
    return unit?.kind === 'step' && unit.status === 'retrying'
      ? accept({ type: 'step.due', data: { path: stepPath, attempt: unit.attempt + 1 } })
      : already;
  }
  const approvalPath = pathOfEscalationTimer(name);
  if (approvalPath !== null) return decideEscalation(state, approvalPath);
  const expired = waitOfExpiryTimer(name);
  if (expired !== null) return decideExpiry(state, expired.path, expired.opened);
  const unit = state.units.get(name);
  if (unit?.kind === 'wait' && unit.status === 'open') return accept({ type: 'wait.expired', data: { path: name } });
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
  // A body that never began has nothing to clean up, and a graph has none.
  if (state.graph !== null || (state.head === state.born && context.unleased)) {
    return accept(
      { type: 'run.cancel_requested', data: { reason, by, graceMs } },
      { type: 'run.cancelled', data: { reason, forced: false } },
    );
  }
  return accept({ type: 'run.cancel_requested', data: { reason, by, graceMs } });
}

function decideRedrive(state: RunState, command: RedriveCommand): Decision {
  const { by, reason, bulk, edit } = command;
  // Whatever the letter stood for was sent back before: what the run has come to since is another matter.
  if (command.deadLetter !== undefined && command.deadLetter !== state.deadLetter) return already;
  if (state.status !== 'failed' && state.status !== 'cancelled') return refused('not_redrivable');
  const deadLetter = state.deadLetter ?? '';
  const said = { ...(reason === undefined ? {} : { reason }), ...(bulk === undefined ? {} : { bulk }) };
  const edits: NewRunEvent[] = [];
  if (edit !== undefined) {
    if (!isEditable(state, edit.path)) return refused('not_editable');
    const data = { path: edit.path, by, reason: reason ?? null, deadLetter };
    edits.push({ type: 'input.edited', data, payload: edit.input });
  }
  if (state.graph !== null) {
    const data = { by, paths: nodesToRedo(state, state.graph), deadLetter, ...said };
    return accept(...edits, { type: 'run.redriven', data });
  }
  const { paths: unfinished, children } = toRedo(state);
  const paths = [...unfinished, ...staleVerdicts(state)];
  const goingOn = children.length === 0 ? {} : { children };
  return accept(...edits, { type: 'run.redriven', data: { by, paths, deadLetter, ...goingOn, ...said } });
}

type RedriveCommand = Extract<RunCommand, { readonly op: 'redrive' }>;

/** What a graph or an agent was started with is what all of it goes by; of a body, whatever is not recorded is made anew. */
function isEditable(state: RunState, path: string | null): boolean {
  if (path === null) return state.graph === null && state.agent === null;
  const unit = state.units.get(path);
  return (unit?.kind === 'call' || unit?.kind === 'step') && unit.status === 'failed';
}

function toRedo(state: RunState): { readonly paths: readonly string[]; readonly children: readonly string[] } {
  const paths: string[] = [];
  const children: string[] = [];
  const undone = undoneSagas(state);
  const mended = mendedInferences(state);
  for (const [path, unit] of state.units) {
    // What a saga has undone is not begun anew: what came before it in the saga is no longer there.
    if (undone.some((prefix) => path.startsWith(prefix))) continue;
    // What a child has paid for is kept: it goes on from its own failure, unless it was told to end.
    if (unit.kind === 'child' && (unit.status === 'failed' || unit.status === 'started')) children.push(path);
    else if (unit.kind === 'child' && (unit.status === 'cancelled' || unit.status === 'stopping')) paths.push(path);
    // It may be paid for already: what becomes of it is a question of its policy, not of the redrive.
    else if (unit.kind === 'inference' && unit.status === 'begun') continue;
    // Another was asked in its place, and has answered.
    else if (mended.has(path)) continue;
    else if ('status' in unit && unit.kind !== 'child' && isUnfinished(unit.status)) paths.push(path);
  }
  return { paths, children };
}

/** Inferences that have failed, and whose question was answered by one that was asked after them. */
function mendedInferences({ units }: RunState): ReadonlySet<string> {
  const mended = new Set<string>();
  for (const unit of units.values()) {
    if (unit.kind !== 'inference' || unit.status !== 'completed') continue;
    let after = unit.ask.chain?.after ?? null;
    while (after !== null && !mended.has(after)) {
      mended.add(after);
      const before = units.get(after);
      after = before?.kind === 'inference' ? (before.ask.chain?.after ?? null) : null;
    }
  }
  return mended;
}

/** Prefixes of the paths of what sagas that were undone had done. */
function undoneSagas({ units }: RunState): string[] {
  return [...units].flatMap(([path, unit]) => (unit.kind === 'race' && unit.winner === 'undo' ? [`${path}/do/`] : []));
}

/** The last event of a run that has ended is its end: one that has failed is redriven first, and moves then. */
function decideMigration(state: RunState, command: Extract<RunCommand, { op: 'migrate' }>): Decision {
  if (isEnded(state.status)) return refused('not_migratable');
  if (state.version === command.to) return already;
  return accept({ type: 'run.migrated', data: { by: command.by, from: state.version, to: command.to } });
}

/** Everything that did not succeed is asked for anew; a result that is there is kept. */
function isUnfinished(status: string): boolean {
  return !['completed', 'fired', 'satisfied', 'expired'].includes(status);
}

function failed(cause: Failure, path: string | null, context: DecideContext): NewRunEvent {
  return { type: 'run.failed', data: { failure: cause, path, deadLetter: context.deadLetterId } };
}
