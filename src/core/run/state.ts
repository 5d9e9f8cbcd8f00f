/**
 * The state of a run as a fold of its events (`applyEvent`), and the row that stores keep of it (`rowOf`). The fold is
 * the only way a state comes about: decisions emit events, and everything else follows from them.
 */
import { assertNever, SpineError } from '../errors.js';
import type { Failure } from '../failure.js';
import { fallbackPath, nodeOfPath, standsInFor, type Graph } from '../graph/graph.js';
import { forgets } from '../graph/progress.js';
import { readGraph } from '../graph/stored-graph.js';
import { limits } from '../limits.js';
import type { Payload } from '../payload.js';
import type { RemedyPolicy } from '../remedies.js';
import type { RetryPolicy } from '../retry.js';
import type { Counted } from '../tools/judge.js';
import { mergedTaint } from '../tools/taint.js';
import {
  wakes,
  type Effect,
  type ParentLink,
  type RunEvent,
  type RunEventData,
  type RunTrigger,
  type StreamWriter,
} from './events.js';
import {
  hopOf,
  leadsToRetry,
  nothingSpent,
  saysShut,
  shutFailureOf,
  withCached,
  withCall,
  withUsage,
  type InferenceAsk,
  type InferenceGrant,
  type InferenceHop,
  type Spend,
} from './inference.js';
import { mailSignal, type AgentIdentity } from './mail.js';
import { endedHold, type Hold, type PastHold } from './tickets.js';
import { eventKey, type Satisfaction, type WaitOn } from './waits.js';

/**
 * `active`: an activation exists (queued, delayed or leased). `waiting`: the body is parked. The rest are ends; one that
 * is `continued` goes on as another run.
 */
export type RunStatus = 'active' | 'waiting' | 'succeeded' | 'failed' | 'cancelled' | 'refused' | 'continued';

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
      /** How it stands with the limits that concern it; null = none does. */
      readonly hold: Hold | null;
    }
  | InferenceUnit
  | { readonly kind: 'timer'; readonly status: 'set' | 'fired' | 'cancelled'; readonly fireAt: number }
  | { readonly kind: 'emit'; readonly eventId: string }
  | { readonly kind: 'race'; readonly winner: string }
  | ToolGateUnit
  | { readonly kind: 'context'; readonly saved: boolean }
  /** A node of a graph that was never begun. */
  | { readonly kind: 'node'; readonly status: 'skipped' | 'failed' }
  | { readonly kind: 'send' }
  | { readonly kind: 'burial' }
  | {
      readonly kind: 'child';
      /** `failed`: it has ended, and not well. `cancelled`: this run was cancelled and no longer waits for it. */
      readonly status: 'started' | 'stopping' | 'succeeded' | 'failed' | 'cancelled';
      readonly run: string;
      readonly workflow: string;
      readonly attached: boolean;
    }
  | {
      readonly kind: 'wait';
      readonly status: 'open' | 'satisfied' | 'expired' | 'cancelled';
      readonly on: WaitOn;
      /** `seq` of the event that opened it. */
      readonly opened: number;
      readonly openedAt: number;
      /** `seq` of the event since which it has to look back. */
      readonly look: number;
      readonly expiresAt: number | null;
      readonly by: Satisfaction | null;
      /** Of an approval: who is asked now, and how often it was escalated. */
      readonly to: readonly string[];
      readonly level: number;
    };

/** A verdict on a call of a tool. */
export interface ToolGateUnit {
  readonly kind: 'gate';
  readonly verdict: RunEventData['tool.judged']['verdict'];
  /** Path of the work that it is about. */
  readonly of: string;
  readonly hash: string;
  readonly counted: Counted;
}

/** An inference. Whoever decides over it, grants it or settles it finds all that is known of it here. */
export interface InferenceUnit {
  readonly kind: 'inference';
  /**
   * `held`: waits for admission; `admitted`: may be begun; `begun`: the intent is recorded, and the provider may have been
   * called; `retrying`: pauses; `due`: the body is to ask for the next attempt.
   */
  readonly status: 'held' | 'admitted' | 'begun' | 'retrying' | 'due' | 'completed' | 'failed' | 'cancelled';
  /** The present attempt; of one that is `due`, the next. */
  readonly attempt: number;
  /** Attempts that have failed; ambiguous ones are not among them. */
  readonly failures: number;
  readonly ask: InferenceAsk;
  /** `seq` of the first request of the path, and of that of this attempt. */
  readonly first: number;
  readonly request: number;
  readonly grant: InferenceGrant | null;
  /** Version of the model that is asked, granted or not; null = that was left to admission. */
  readonly version: string | null;
  readonly providerId: string | null;
  /** When this attempt was asked for, as the store's clock has it. */
  readonly since: number;
  /** How the attempt stands with the limits that concern it; null = none does. */
  readonly hold: Hold | PastHold | null;
  /** While it pauses since its endpoint is shut: until when; null = it does not. */
  readonly shutUntil: number | null;
  /** Attempts of which nobody knows what became. */
  readonly ambiguous: number;
  /** The last attempts that gave no answer. */
  readonly hops: readonly InferenceHop[];
}

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
  /** Limits that each attempt has to be admitted under. */
  readonly limits: readonly string[];
  /** What is done about its failures, where that was declared. */
  readonly remedies?: RemedyPolicy;
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
  /** When the body may begin, where that was put off. */
  startAt: number | null;
  updatedAt: number;
  timeoutMs: number | null;
  /** When it fails for that. */
  timeoutAt: number | null;
  retainMs: number | null;
  completes: string | null;
  labels: Readonly<Record<string, string>> | null;
  idempotencyKey: string | null;
  correlation: string | null;
  traceparent: string | null;
  parent: ParentLink | null;
  /** The run that goes on from this one. */
  next: string | null;
  /** The graph that the run goes by; null = it has a body. `activation.n` counts the times that it was sent to work. */
  graph: Graph | null;
  activation: Activation;
  readonly units: Map<string, Unit>;
  /** Path of the call that a task stands for, by task key. */
  readonly callPaths: Map<string, string>;
  /** What was fetched and may be used again, by `contextId`. */
  readonly contexts: Map<string, ContextBundle>;
  /** `seq` of the last event that the run was born with. */
  born: number;
  /** Streams written so far, by path. */
  readonly streams: Map<string, StreamState>;
  /** Inputs that a person gave calls in the place of what they were asked with, by path. */
  readonly edits: Map<string, Payload>;
  /** The event whose payload the body is given: its start, or the last edit of it. */
  inputSeq: number;
  /** The event that started the run: no wait of it takes that one. */
  trigger: RunTrigger | null;
  /** The URL that is told of the end of the run. */
  notify: string | null;
  /** The agent key that the run stands for. */
  agent: Pick<AgentIdentity, 'key' | 'generation'> | null;
  /** Offset of the last message taken from each partition, by `topic/partition`. */
  readonly offsets: Map<string, number>;
  /** Messages that nobody has taken, by the `seq` of their signal: they go with an agent that goes on as new. */
  readonly mail: Map<number, UnreadMail>;
  /** Ids of the signals received. */
  readonly signalIds: Set<string>;
  /** Signals that no wait has, by name: their `seq` in order. */
  readonly signals: Map<string, number[]>;
  /** Topic events that a wait of this run has (`eventKey`). */
  readonly taken: Set<string>;
  /** What the inferences have taken. */
  spend: Spend;
  /** Which version of each model the run asks, from the first time that it asks it. */
  readonly arms: Map<string, string>;
  /** Where untrusted text has come from that the run has read, or whoever began or told it. */
  taint: readonly string[];
  /** `seq` of the last event that concerns a waiting body. */
  lastWakeSeq: number;
  /** Number of progress reports so far. */
  progress: number;
  cancel: { readonly reason: string | null; readonly graceMs: number; readonly at: number } | null;
  failure: Failure | null;
  deadLetter: string | null;
}

/** A value that was fetched under a name and a key. */
export interface ContextBundle {
  readonly name: string;
  readonly key: string;
  readonly version: string | null;
  readonly fetchedAt: number;
  readonly value: Payload;
}

/** A message that waits for its turn. */
export interface UnreadMail {
  readonly data: Extract<RunEvent, { type: 'signal.received' }>['data'];
  readonly payload: Payload | null;
}

export function contextId(name: string, key: string): string {
  return `${name}\0${key}`;
}

/** How far a stream is. */
export interface StreamState {
  /** How often it was begun; 0 = the body itself writes it. */
  readonly attempt: number;
  readonly writer: StreamWriter | null;
  /** Chunks of that attempt. */
  readonly written: number;
  /** Chunks of all attempts: the offset of the next. */
  readonly next: number;
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
    startAt: null,
    updatedAt: 0,
    timeoutMs: null,
    timeoutAt: null,
    retainMs: null,
    completes: null,
    labels: null,
    idempotencyKey: null,
    correlation: null,
    traceparent: null,
    parent: null,
    next: null,
    graph: null,
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
    streams: new Map(),
    edits: new Map(),
    inputSeq: 1,
    trigger: null,
    notify: null,
    agent: null,
    offsets: new Map(),
    mail: new Map(),
    signalIds: new Set(),
    signals: new Map(),
    taken: new Set(),
    contexts: new Map(),
    spend: nothingSpent,
    arms: new Map(),
    taint: [],
    born: 0,
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
      state.startAt = d.startAt ?? null;
      state.timeoutMs = d.timeoutMs;
      state.timeoutAt = d.timeoutMs === null ? null : (d.startAt ?? event.at) + d.timeoutMs;
      state.retainMs = d.retainMs;
      state.completes = d.completes;
      state.labels = d.labels;
      state.idempotencyKey = d.idempotencyKey;
      state.correlation = d.correlation;
      state.traceparent = d.traceparent;
      state.parent = d.parent ?? null;
      state.trigger = d.trigger;
      state.notify = d.notify ?? null;
      state.taint = mergedTaint(state.taint, d.taint);
      if (d.agent !== undefined) beAgent(state, d.agent);
      state.born = event.seq;
      state.activation = {
        n: 1,
        open: true,
        attempt: 1,
        since: event.seq,
        deadlineMs: d.activationDeadlineMs,
        retry: d.activationRetry,
      };
      if (d.graph === true) {
        state.graph = noGraph;
        state.activation.open = false;
        state.status = 'waiting';
      }
      break;
    }
    case 'graph.started':
      state.graph = readGraph(event.payload);
      state.born = event.seq;
      break;
    case 'node.skipped':
      units.set(event.data.path, { kind: 'node', status: 'skipped' });
      break;
    case 'node.failed':
      units.set(event.data.path, { kind: 'node', status: 'failed' });
      break;
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
      const {
        path,
        capability,
        queue,
        priority,
        deadlineMs,
        retry,
        effect,
        remedies,
        limits: named = noLimits,
      } = event.data;
      const call: Call = {
        task: `c${event.seq}`,
        capability,
        queue,
        priority,
        deadlineMs,
        retry,
        effect,
        inputSeq: event.seq,
        limits: named,
        ...(remedies === undefined ? {} : { remedies }),
      };
      units.set(path, { kind: 'call', status: 'scheduled', attempt: 1, call, hold: holdOf(call, event.at, null) });
      state.callPaths.set(call.task, path);
      break;
    }
    case 'call.admitted': {
      const { path } = event.data;
      const unit = units.get(path);
      const hold: Hold = { phase: 'granted', since: event.at, notBefore: null };
      if (unit?.kind === 'call') units.set(path, { ...unit, hold });
      noProgress(state, event.seq);
      break;
    }
    case 'call.retrying': {
      const { path, attempt, retryAt } = event.data;
      setCall(units, path, 'retrying', attempt + 1);
      const unit = units.get(path);
      if (unit?.kind === 'call' && unit.call.limits.length > 0)
        units.set(path, { ...unit, hold: holdOf(unit.call, event.at, retryAt) });
      break;
    }
    case 'call.completed':
      setCall(units, event.data.path, 'completed', event.data.attempt);
      break;
    case 'call.failed':
      setCall(units, event.data.path, 'failed', event.data.attempt);
      break;
    case 'inference.requested':
      requestInference(state, event);
      break;
    case 'inference.admitted': {
      const { path, attempt, grant } = event.data;
      const hold: Hold = { phase: 'granted', since: event.at, notBefore: null };
      setInference(units, path, { status: 'admitted', attempt, grant, hold: grant.limits.length === 0 ? null : hold });
      noProgress(state, event.seq);
      break;
    }
    case 'inference.begun':
      setInference(units, event.data.path, { status: 'begun' });
      state.spend = withCall(state.spend);
      noProgress(state, event.seq);
      break;
    case 'inference.identified':
      setInference(units, event.data.path, { providerId: event.data.providerId });
      noProgress(state, event.seq);
      break;
    case 'inference.ambiguous': {
      const { path, attempt, policy } = event.data;
      state.spend = { ...state.spend, ambiguous: state.spend.ambiguous + 1 };
      const unit = units.get(path);
      if (unit?.kind === 'inference') setInference(units, path, { ambiguous: unit.ambiguous + 1 });
      if (leadsToRetry(policy)) {
        endInferenceHold(units, path, event.seq);
        setInference(units, path, { status: 'due', attempt: attempt + 1 });
      }
      noProgress(state, event.seq);
      break;
    }
    case 'inference.completed': {
      const { path, usage, costMicros, providerId } = event.data;
      endInferenceHold(units, path, event.seq);
      setInference(units, path, { status: 'completed', providerId });
      state.spend = withUsage(state.spend, usage, costMicros);
      if (event.data.cached !== undefined) state.spend = withCached(state.spend, event.data.cached);
      break;
    }
    case 'inference.retrying':
    case 'inference.failed': {
      const { path, attempt, failure, remedy, usage, costMicros } = event.data;
      endInferenceHold(units, path, event.seq);
      const unit = units.get(path);
      if (unit?.kind === 'inference') {
        const status = event.type === 'inference.failed' ? 'failed' : 'retrying';
        // That its endpoint is shut is a hop already.
        const isShut = saysShut(failure) && unit.status === 'retrying';
        const hops = isShut ? unit.hops : withHop(unit.hops, attempt, unit.grant, failure, remedy);
        setInference(units, path, { status, failures: unit.failures + 1, hops });
      }
      state.spend = withUsage(state.spend, usage, costMicros);
      break;
    }
    case 'inference.due':
      setInference(units, event.data.path, { status: 'due', attempt: event.data.attempt });
      break;
    case 'decision.recorded':
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
    case 'tool.judged': {
      const { path, of, verdict, hash, counted = nothingCounted } = event.data;
      units.set(path, { kind: 'gate', verdict, of, hash, counted });
      noProgress(state, event.seq);
      break;
    }
    case 'race.decided':
      units.set(event.data.path, { kind: 'race', winner: event.data.winner });
      break;
    case 'progress.reported':
      state.progress = event.data.index + 1;
      break;
    case 'context.put': {
      const { path, name, key, version } = event.data;
      units.set(path, { kind: 'context', saved: false });
      keepContext(state, { name, key, version, fetchedAt: event.at, value: event.payload ?? nothing });
      break;
    }
    case 'context.used':
      units.set(event.data.path, { kind: 'context', saved: true });
      break;
    case 'context.inherited':
      keepContext(state, { ...event.data, value: event.payload ?? nothing });
      // Part of the birth, and no progress.
      state.born = event.seq;
      state.activation.since = event.seq;
      break;
    case 'stream.appended': {
      const { path, attempt, offset, count, writer = null } = event.data;
      const before = state.streams.get(path);
      const written = before?.attempt === attempt ? before.written : 0;
      state.streams.set(path, { attempt, writer, written: written + count, next: offset + count });
      // What is shown is no progress of the body: an activation that dies again after the same tokens gets nowhere.
      noProgress(state, event.seq);
      break;
    }
    case 'child.started': {
      const { path, run, workflow, attached } = event.data;
      units.set(path, { kind: 'child', status: 'started', run, workflow, attached });
      break;
    }
    case 'child.cancel_requested':
      setChild(units, event.data.path, 'stopping');
      break;
    case 'child.ended':
      setChild(units, event.data.path, event.data.status === 'succeeded' ? 'succeeded' : 'failed');
      state.taint = mergedTaint(state.taint, event.data.taint);
      break;
    case 'signal.received':
      state.signalIds.add(event.data.id);
      state.taint = mergedTaint(state.taint, event.data.taint);
      queueSignal(state, event.data.name, event.seq);
      if (event.data.mail !== undefined) receiveMail(state, event);
      break;
    case 'message.sent':
      units.set(event.data.path, { kind: 'send' });
      break;
    case 'message.buried':
      units.set(event.data.path, { kind: 'burial' });
      break;
    case 'wait.opened': {
      const { path, on, expiresAt } = event.data;
      const to = on.kind === 'approval' ? on.to : nobody;
      const { seq, at } = event;
      units.set(path, {
        kind: 'wait',
        status: 'open',
        on,
        opened: seq,
        openedAt: at,
        look: seq,
        expiresAt,
        by: null,
        to,
        level: 0,
      });
      break;
    }
    case 'wait.satisfied': {
      const { path, by } = event.data;
      setWait(units, path, { status: 'satisfied', by });
      if (by.kind === 'event') state.taken.add(eventKey(by.event));
      if (by.kind === 'signal') takeSignal(state, by.seq);
      if (by.kind === 'signal') state.mail.delete(by.seq);
      break;
    }
    case 'wait.expired':
      setWait(units, event.data.path, { status: 'expired' });
      break;
    case 'wait.cancelled': {
      const unit = units.get(event.data.path);
      if (event.data.returned && unit?.kind === 'wait' && unit.by !== null)
        giveBack(state, unit.on, unit.by, event.seq);
      setWait(units, event.data.path, { status: 'cancelled', by: null });
      break;
    }
    case 'approval.delegated':
      setWait(units, event.data.path, { to: event.data.to });
      break;
    case 'approval.escalated': {
      const { path, level, to } = event.data;
      setWait(units, path, { to, level });
      break;
    }
    case 'approval.commented':
      break;
    case 'run.parked':
      state.activation.open = false;
      state.status = 'waiting';
      break;
    case 'activation.retrying':
      state.activation.attempt = event.data.progressed ? 1 : event.data.attempt + 1;
      state.activation.since = event.seq;
      endInferenceHolds(state, 'begun');
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
    case 'run.continued':
      end(state, 'continued');
      state.next = event.data.next;
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
    case 'input.edited':
      if (event.data.path === null) state.inputSeq = event.seq;
      else if (event.payload !== undefined) state.edits.set(event.data.path, event.payload);
      break;
    case 'run.redriven':
      state.failure = null;
      state.deadLetter = null;
      state.cancel = null;
      state.status = 'waiting';
      state.timeoutAt = state.timeoutMs === null ? null : event.at + state.timeoutMs;
      if (state.graph === null) for (const path of event.data.paths) units.delete(path);
      else redriveGraph(state, state.graph, new Set(event.data.paths));
      for (const path of event.data.children ?? []) setChild(units, path, 'started');
      break;
    default:
      throw unknownEvent(state.run, event);
  }
  if (wakes(event.type)) state.lastWakeSeq = event.seq;
  if (wakes(event.type) && !state.activation.open && state.graph === null && !isEnded(state.status))
    openActivation(state);
}

const noGraph: Graph = { nodes: [] };
const nothingCounted: Counted = {};
const noLimits: readonly string[] = [];

/** Each attempt asks anew. */
function holdOf({ limits: named }: Call, since: number, notBefore: number | null): Hold | null {
  return named.length === 0 ? null : { phase: 'waiting', since, notBefore };
}

/** The nodes forget what has not come to a result. */
function redriveGraph(state: RunState, graph: Graph, names: ReadonlySet<string>): void {
  const { units } = state;
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  for (const path of forgottenPaths(units, nodes, names)) units.delete(path);
  state.activation.n += 1;
}

function forgottenPaths(
  units: ReadonlyMap<string, Unit>,
  nodes: ReadonlyMap<string, Graph['nodes'][number]>,
  names: ReadonlySet<string>,
): string[] {
  return [...units].flatMap(([path, unit]) => {
    const base = standsInFor(path) ?? path;
    const node = nodes.get(nodeOfPath(base));
    if (node === undefined || !names.has(node.name)) return [];
    if (unit.kind === 'node') return [path];
    if (unit.kind !== 'call') return [];
    const fallback = units.get(fallbackPath(base));
    return forgets(node, callEnd(units.get(base)), fallback === undefined ? null : callEnd(fallback)) ? [path] : [];
  });
}

function callEnd(unit: Unit | undefined): 'completed' | 'failed' | 'other' {
  return unit?.kind === 'call' && (unit.status === 'completed' || unit.status === 'failed') ? unit.status : 'other';
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

/** Asked for the first time, or once more. */
function requestInference(state: RunState, event: Extract<RunEvent, { type: 'inference.requested' }>): void {
  const {
    path,
    attempt,
    first = event.seq,
    version: waitsFor = null,
    shut = null,
    grant,
    recalled,
    ...ask
  } = event.data;
  const before = state.units.get(path);
  const past = before?.kind === 'inference' ? before : null;
  state.taint = mergedTaint(state.taint, ask.taint);
  const version = grant?.version ?? waitsFor;
  // The arm of the run is the one that it was given, not the one that helped it out.
  if (version !== null && ask.reroute === undefined && !state.arms.has(ask.model)) state.arms.set(ask.model, version);
  const hops = past?.hops ?? hopsBefore(state, ask.chain?.after ?? null);
  state.units.set(path, {
    kind: 'inference',
    status: shut !== null ? 'retrying' : grant === null ? 'held' : 'begun',
    attempt,
    failures: past?.failures ?? 0,
    ask,
    first,
    request: event.seq,
    grant,
    providerId: null,
    since: event.at,
    hold:
      grant === null && shut === null && recalled !== true
        ? { phase: 'waiting', since: event.at, notBefore: null }
        : null,
    version,
    hops:
      shut === null
        ? hops
        : withHop(hops, attempt, { version: version ?? '', endpoint: shut.endpoint }, shutFailureOf(shut)),
    shutUntil: shut?.until ?? null,
    ambiguous: past?.ambiguous ?? 0,
  });
  if (grant !== null) state.spend = withCall(state.spend);
  noProgress(state, event.seq);
}

const noHops: readonly InferenceHop[] = [];

/** Those of an inference that was asked before in the same chain. */
export function hopsBefore({ units }: Pick<RunState, 'units'>, path: string | null): readonly InferenceHop[] {
  const unit = path === null ? undefined : units.get(path);
  return unit?.kind === 'inference' ? unit.hops.map((hop) => ({ model: unit.ask.model, ...hop })) : noHops;
}

function withHop(hops: readonly InferenceHop[], ...hop: Parameters<typeof hopOf>): readonly InferenceHop[] {
  return [...hops, hopOf(...hop)].slice(-limits.inferenceHopsMax);
}

function setInference(units: Map<string, Unit>, path: string, change: Partial<InferenceUnit>): void {
  const unit = units.get(path);
  if (unit?.kind === 'inference') units.set(path, { ...unit, ...change });
}

/** Nothing more is to come of the attempt, as far as limits are concerned. */
function endInferenceHold(units: Map<string, Unit>, path: string, seq: number): void {
  const unit = units.get(path);
  if (unit?.kind === 'inference') setInference(units, path, { hold: endedHold(unit.hold, seq) });
}

/** The activation is lost, or the run has ended: nobody waits for what was begun. */
function endInferenceHolds({ units, head }: RunState, only: 'begun' | null): void {
  for (const [path, unit] of units) {
    if (unit.kind !== 'inference' || unit.hold?.phase !== 'granted') continue;
    if (unit.status === 'begun' || (only === null && unit.status === 'admitted')) endInferenceHold(units, path, head);
  }
}

/** What a body only intends is no progress of it: an activation that dies again after the same intent gets nowhere. */
function noProgress({ activation }: RunState, seq: number): void {
  if (activation.since === seq - 1) activation.since = seq;
}

function setChild(units: Map<string, Unit>, path: string, status: Extract<Unit, { kind: 'child' }>['status']): void {
  const unit = units.get(path);
  if (unit?.kind === 'child') units.set(path, { ...unit, status });
}

const nobody: readonly string[] = [];

function setWait(
  units: Map<string, Unit>,
  path: string,
  change: Partial<Pick<Extract<Unit, { readonly kind: 'wait' }>, 'status' | 'by' | 'to' | 'level'>>,
): void {
  const unit = units.get(path);
  if (unit?.kind === 'wait') units.set(path, { ...unit, ...change });
}

function beAgent(state: RunState, { key, generation, offsets }: AgentIdentity): void {
  state.agent = { key, generation };
  for (const [partition, offset] of Object.entries(offsets)) state.offsets.set(partition, offset);
}

function receiveMail(state: RunState, { seq, data, payload }: Extract<RunEvent, { type: 'signal.received' }>): void {
  state.mail.set(seq, { data, payload: payload ?? null });
  const from = data.mail?.from;
  if (from?.kind === 'topic') state.offsets.set(from.partition, from.offset);
  if (state.born === seq - 1) state.born = seq;
  // What comes in is no progress: an activation that dies again with more mail gets nowhere.
  if (state.activation.since === seq - 1) state.activation.since = seq;
}

/** Messages that wait for their turn. */
export function unreadMail(state: RunState): number {
  return state.signals.get(mailSignal)?.length ?? 0;
}

/** A parked agent still gets its mail: it waits for a person, who sends it back to work. */
export function takesMail(state: RunState): boolean {
  return !isEnded(state.status) || (state.agent !== null && state.status === 'failed');
}

/** Keeps the order of arrival also where a signal comes back. */
function queueSignal(state: RunState, name: string, seq: number): void {
  const queue = state.signals.get(name);
  if (queue === undefined) return void state.signals.set(name, [seq]);
  const before = queue.findLastIndex((other) => other < seq);
  queue.splice(before + 1, 0, seq);
}

function takeSignal(state: RunState, seq: number): void {
  for (const [name, queue] of state.signals) {
    const at = queue.indexOf(seq);
    if (at < 0) continue;
    if (queue.length === 1) state.signals.delete(name);
    else queue.splice(at, 1);
    return;
  }
}

function giveBack(state: RunState, on: WaitOn, by: Satisfaction, seq: number): void {
  if (by.kind === 'event') {
    state.taken.delete(eventKey(by.event));
    // It may be what another wait of the run is for.
    for (const [path, unit] of state.units) {
      if (unit.kind !== 'wait' || unit.status !== 'open' || unit.on.kind !== 'event') continue;
      if (unit.on.topic === by.event.topic) state.units.set(path, { ...unit, look: seq });
    }
  }
  if (by.kind === 'signal' && on.kind === 'signal') queueSignal(state, on.name, by.seq);
}

/** A cancelled run starts nothing that was under way; its cleanup may schedule anew. */
function cancelOpenUnits(units: Map<string, Unit>): void {
  for (const [path, unit] of units) {
    if (isOpenUnit(unit)) units.set(path, { ...unit, status: 'cancelled' } as Unit);
  }
}

/** True for a unit that something outside of the body stands for: a task, a timer, an entry, another run. */
export function isOpenUnit(unit: Unit): boolean {
  switch (unit.kind) {
    case 'step':
      return unit.status === 'retrying';
    case 'inference':
      return unit.status === 'held' || unit.status === 'retrying';
    case 'call':
      return unit.status === 'scheduled' || unit.status === 'retrying';
    case 'timer':
      return unit.status === 'set';
    case 'child':
      return unit.status === 'started' || unit.status === 'stopping';
    case 'wait':
      return unit.status === 'open';
    case 'emit':
    case 'race':
    case 'gate':
    case 'context':
    case 'node':
    case 'send':
    case 'burial':
      return false;
    default:
      return assertNever(unit);
  }
}

const nothing: Payload = { codec: 'json/1', text: 'null' };

/** A later one takes the place of an earlier one of its name and key; of too many the first to come goes. */
function keepContext({ contexts }: RunState, bundle: ContextBundle): void {
  const id = contextId(bundle.name, bundle.key);
  contexts.delete(id);
  contexts.set(id, bundle);
  const [first] = contexts.keys();
  if (contexts.size > limits.contextsPerRunMax && first !== undefined) contexts.delete(first);
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
  endInferenceHolds(state, null);
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
    expiresAt: ended && state.retainMs !== null && !takesMail(state) ? state.updatedAt + state.retainMs : null,
    cancelRequested: state.cancel !== null,
    failureClass: state.failure?.class ?? null,
    failureCode: state.failure?.code ?? null,
    failureMessage: state.failure?.message ?? null,
    labels: state.labels,
  };
}
