/**
 * The state of a run as a fold of its events (`applyEvent`), and the row that stores keep of it (`rowOf`). The fold is
 * the only way a state comes about: decisions emit events, and everything else follows from them.
 */
import { assertNever, SpineError } from '../errors.js';
import type { Failure } from '../failure.js';
import type { RetryPolicy } from '../retry.js';
import { wakes, type Effect, type RunEvent } from './events.js';

/** `active`: an activation exists (queued, delayed or leased). `waiting`: the body is parked. The rest are ends. */
export type RunStatus = 'active' | 'waiting' | 'succeeded' | 'failed' | 'cancelled' | 'refused';

export function isEnded(status: RunStatus): boolean {
  return status !== 'active' && status !== 'waiting';
}

/** A named thing inside a run, found by its path. */
export type Unit =
  | {
      readonly kind: 'step';
      readonly status: 'started' | 'retrying' | 'due' | 'completed' | 'failed' | 'cancelled';
      readonly attempt: number;
      readonly effect: Effect | null;
    }
  | {
      readonly kind: 'call';
      readonly status: 'scheduled' | 'retrying' | 'completed' | 'failed' | 'cancelled';
      readonly attempt: number;
      readonly call: Call;
    }
  | { readonly kind: 'timer'; readonly status: 'set' | 'fired' | 'cancelled'; readonly fireAt: number }
  | { readonly kind: 'emit'; readonly eventId: string }
  | { readonly kind: 'race'; readonly winner: string };

/** What is needed to put a capability call into its queue, again if need be. */
export interface Call {
  /** Task key; unique within the run for ever, so that fencing tokens of one task only rise. */
  readonly task: string;
  readonly capability: string;
  readonly queue: string;
  readonly priority: number;
  readonly deadlineMs: number;
  readonly retry: RetryPolicy;
  readonly effect: Effect;
  /** The event whose payload is the input. */
  readonly inputSeq: number;
}

export interface RunState {
  readonly tenant: string;
  readonly run: string;
  workflow: string;
  version: string | null;
  status: RunStatus;
  /** `seq` of the last event. */
  head: number;
  priority: number;
  startedAt: number;
  updatedAt: number;
  timeoutMs: number | null;
  retainMs: number | null;
  completes: string | null;
  labels: Readonly<Record<string, string>> | null;
  idempotencyKey: string | null;
  correlation: string | null;
  traceparent: string | null;
  activation: Activation;
  readonly units: Map<string, Unit>;
  /** Path of the call that a task stands for, by task key. */
  readonly callPaths: Map<string, string>;
  /** `seq` of the last event that concerns a waiting body. */
  lastWakeSeq: number;
  /** Number of progress reports so far. */
  progress: number;
  cancel: { readonly reason: string | null; readonly graceMs: number; readonly at: number } | null;
  failure: Failure | null;
  deadLetter: string | null;
}

/** The task that runs the body. `n` counts activations from 1; `attempt` counts tries of this one without progress. */
export interface Activation {
  n: number;
  open: boolean;
  attempt: number;
  /** Head when the present attempt began; more means it made progress. */
  since: number;
  deadlineMs: number;
  retry: RetryPolicy;
}

export function activationTask(n: number): string {
  return `a${n}`;
}

/** The queue whose workers run this workflow's bodies; a pinned version has a queue of its own. */
export function workflowQueue(workflow: string, version: string | null): string {
  return version === null ? `workflow:${workflow}` : `workflow:${workflow}@${version}`;
}

export function capabilityQueue(capability: string): string {
  return `capability:${capability}`;
}

/** A run before its first event. */
export function emptyState(tenant: string, run: string): RunState {
  return {
    tenant,
    run,
    workflow: '',
    version: null,
    status: 'active',
    head: 0,
    priority: 0,
    startedAt: 0,
    updatedAt: 0,
    timeoutMs: null,
    retainMs: null,
    completes: null,
    labels: null,
    idempotencyKey: null,
    correlation: null,
    traceparent: null,
    activation: {
      n: 0,
      open: false,
      attempt: 1,
      since: 0,
      deadlineMs: 0,
      retry: { attempts: 1, minMs: 0, maxMs: 0, factor: 1 },
    },
    units: new Map(),
    callPaths: new Map(),
    lastWakeSeq: 0,
    progress: 0,
    cancel: null,
    failure: null,
    deadLetter: null,
  };
}

/** Folds a whole history. Fails with EVENT_UNKNOWN. */
export function foldRun(tenant: string, run: string, events: Iterable<RunEvent>): RunState {
  const state = emptyState(tenant, run);
  for (const event of events) applyEvent(state, event);
  return state;
}

/**
 * Moves `state` over one event, in place: histories are long and this is the hot path of every commit. Fails with
 * EVENT_UNKNOWN for an event of a newer version; the state is then of no use.
 */
export function applyEvent(state: RunState, event: RunEvent): void {
  state.head = event.seq;
  state.updatedAt = event.at;
  const { units } = state;
  switch (event.type) {
    case 'run.started': {
      const d = event.data;
      state.workflow = d.workflow;
      state.version = d.version;
      state.priority = d.priority;
      state.startedAt = event.at;
      state.timeoutMs = d.timeoutMs;
      state.retainMs = d.retainMs;
      state.completes = d.completes;
      state.labels = d.labels;
      state.idempotencyKey = d.idempotencyKey;
      state.correlation = d.correlation;
      state.traceparent = d.traceparent;
      state.activation = {
        n: 1,
        open: true,
        attempt: 1,
        since: event.seq,
        deadlineMs: d.activationDeadlineMs,
        retry: d.activationRetry,
      };
      break;
    }
    case 'step.started':
      units.set(event.data.path, {
        kind: 'step',
        status: 'started',
        attempt: event.data.attempt,
        effect: event.data.effect,
      });
      break;
    case 'step.completed':
    case 'step.failed':
    case 'step.retrying':
    case 'step.due': {
      const { path, attempt } = event.data;
      const before = units.get(path);
      const effect = before?.kind === 'step' ? before.effect : null;
      units.set(path, { kind: 'step', status: stepStatus[event.type], attempt, effect });
      break;
    }
    case 'call.scheduled': {
      const { path, capability, queue, priority, deadlineMs, retry, effect } = event.data;
      const call = {
        task: `c${event.seq}`,
        capability,
        queue,
        priority,
        deadlineMs,
        retry,
        effect,
        inputSeq: event.seq,
      };
      units.set(path, { kind: 'call', status: 'scheduled', attempt: 1, call });
      state.callPaths.set(call.task, path);
      break;
    }
    case 'call.retrying':
      setCall(units, event.data.path, 'retrying', event.data.attempt + 1);
      break;
    case 'call.completed':
      setCall(units, event.data.path, 'completed', event.data.attempt);
      break;
    case 'call.failed':
      setCall(units, event.data.path, 'failed', event.data.attempt);
      break;
    case 'timer.set':
      units.set(event.data.path, { kind: 'timer', status: 'set', fireAt: event.data.fireAt });
      break;
    case 'timer.fired': {
      const unit = units.get(event.data.path);
      if (unit?.kind === 'timer') units.set(event.data.path, { ...unit, status: 'fired' });
      break;
    }
    case 'event.emitted':
      units.set(event.data.path, { kind: 'emit', eventId: event.data.eventId });
      break;
    case 'race.decided':
      units.set(event.data.path, { kind: 'race', winner: event.data.winner });
      break;
    case 'progress.reported':
      state.progress = event.data.index + 1;
      break;
    case 'run.parked':
      state.activation.open = false;
      state.status = 'waiting';
      break;
    case 'activation.retrying':
      state.activation.attempt = event.data.progressed ? 1 : event.data.attempt + 1;
      state.activation.since = event.seq;
      break;
    case 'run.cancel_requested':
      state.cancel = { reason: event.data.reason, graceMs: event.data.graceMs, at: event.at };
      cancelOpenUnits(units);
      break;
    case 'run.succeeded':
      end(state, 'succeeded');
      break;
    case 'run.refused':
      end(state, 'refused');
      break;
    case 'run.cancelled':
      end(state, 'cancelled');
      break;
    case 'run.failed':
      end(state, 'failed');
      state.failure = event.data.failure;
      state.deadLetter = event.data.deadLetter;
      break;
    case 'run.migrated':
      state.version = event.data.to;
      // A task keeps its queue for ever, and its holder has the old code: the body gets a new one. A parked one too, since
      // what it waits for is what the old code asked for.
      openActivation(state);
      break;
    case 'run.redriven':
      state.failure = null;
      state.deadLetter = null;
      state.cancel = null;
      state.status = 'waiting';
      for (const path of event.data.paths) units.delete(path);
      break;
    default:
      throw unknownEvent(state.run, event);
  }
  if (wakes(event.type)) state.lastWakeSeq = event.seq;
  if (wakes(event.type) && !state.activation.open && !isEnded(state.status)) openActivation(state);
}

/** What a newer version wrote cannot be guessed: a state without it would decide wrongly. */
function unknownEvent(run: string, event: never): SpineError<'EVENT_UNKNOWN'> {
  const { type } = event as { readonly type: string };
  return new SpineError('EVENT_UNKNOWN', { run, type });
}

const stepStatus = {
  'step.completed': 'completed',
  'step.failed': 'failed',
  'step.retrying': 'retrying',
  'step.due': 'due',
} as const;

function setCall(
  units: Map<string, Unit>,
  path: string,
  status: 'retrying' | 'completed' | 'failed',
  attempt: number,
): void {
  const unit = units.get(path);
  if (unit?.kind === 'call') units.set(path, { ...unit, status, attempt });
}

/** A cancelled run starts nothing that was under way; its cleanup may schedule anew. */
function cancelOpenUnits(units: Map<string, Unit>): void {
  for (const [path, unit] of units) {
    if (isOpenUnit(unit)) units.set(path, { ...unit, status: 'cancelled' } as Unit);
  }
}

/** True for a unit that a task or a timer stands for. */
export function isOpenUnit(unit: Unit): boolean {
  switch (unit.kind) {
    case 'step':
      return unit.status === 'retrying';
    case 'call':
      return unit.status === 'scheduled' || unit.status === 'retrying';
    case 'timer':
      return unit.status === 'set';
    case 'emit':
    case 'race':
      return false;
    default:
      return assertNever(unit);
  }
}

function openActivation(state: RunState): void {
  const { activation } = state;
  activation.n += 1;
  activation.open = true;
  activation.attempt = 1;
  activation.since = state.head;
  state.status = 'active';
}

function end(state: RunState, status: RunStatus): void {
  state.status = status;
  state.activation.open = false;
}

/** The run as stores keep it: what lists, filters and guards need. A projection of the fold, checked by `doctor`. */
export interface RunRow {
  readonly tenant: string;
  readonly run: string;
  readonly workflow: string;
  readonly version: string | null;
  readonly status: RunStatus;
  readonly head: number;
  readonly priority: number;
  readonly startedAt: number;
  readonly updatedAt: number;
  /** When the ended run may be deleted; null while it runs and where it is kept for ever. */
  readonly expiresAt: number | null;
  readonly cancelRequested: boolean;
  readonly failureClass: string | null;
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
  readonly labels: Readonly<Record<string, string>> | null;
}

export function rowOf(state: RunState): RunRow {
  const ended = isEnded(state.status);
  return {
    tenant: state.tenant,
    run: state.run,
    workflow: state.workflow,
    version: state.version,
    status: state.status,
    head: state.head,
    priority: state.priority,
    startedAt: state.startedAt,
    updatedAt: state.updatedAt,
    // A dead run waits for a person; it is kept until somebody redrives or discards it, within its retention.
    expiresAt: ended && state.retainMs !== null ? state.updatedAt + state.retainMs : null,
    cancelRequested: state.cancel !== null,
    failureClass: state.failure?.class ?? null,
    failureCode: state.failure?.code ?? null,
    failureMessage: state.failure?.message ?? null,
    labels: state.labels,
  };
}
