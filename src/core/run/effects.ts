/**
 * What an event does to the tables beside the log: tasks, timers and entries. Derived from the event and the states around it,
 * never decided apart, so that every row of these tables can be rebuilt from the log (invariant P12).
 */
import { assertNever } from '../errors.js';
import type { RunEvent } from './events.js';
import {
  agentSpace,
  answerKey,
  answerSpace,
  sendTimer,
  seqOfSendTimer,
  type AgentAddress,
  type AnswerAddress,
} from './mail.js';
import {
  entriesOf,
  escalationTimer,
  expiryTimer,
  isWorkTimer,
  lookTimer,
  nextEscalation,
  timersOf,
  type WaitEntry,
} from './waits.js';
import { activationTask, isOpenUnit, workflowQueue, type InferenceUnit, type RunState, type Unit } from './state.js';
import {
  abandoned,
  answered,
  entryOf,
  answeredWith,
  failedWith,
  inferenceEntry,
  inferenceFailedWith,
  inferenceTicketOf,
  isGranted,
  settledEntry,
  ticketOf,
  unbegun,
  type SettledValue,
} from './tickets.js';

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
  /** Stays out of its queue until admission lets it in: the first of the limits that concern it. Null = none does. */
  readonly limitKey: string | null;
}

export type TableEffect =
  | { readonly tag: 'openTask'; readonly task: Task }
  /** Puts a task back that is leased now: it keeps its token and is ready at `dueAt`. */
  | { readonly tag: 'requeueTask'; readonly task: Task }
  /** Lets a task into its queue that is held now. */
  | { readonly tag: 'admitTask'; readonly task: Task }
  | { readonly tag: 'closeTask'; readonly task: string }
  /** `run`: of another run, which is to see to something. Default: the run itself. */
  | { readonly tag: 'setTimer'; readonly name: string; readonly fireAt: number; readonly run?: string }
  | { readonly tag: 'clearTimer'; readonly name: string; readonly run?: string }
  /** `run`: the run that waits for it, where it is not this one; empty = none. */
  | { readonly tag: 'putEntry'; readonly entry: WaitEntry; readonly run?: string }
  | { readonly tag: 'dropEntry'; readonly entry: WaitEntry };

/** Timers of the run itself; the names cannot clash with paths, which never begin with a colon. */
export const runTimers = { timeout: ':timeout', cancelGrace: ':cancel-grace' } as const;
const retryPrefix = ':retry:';
/** Of a run of a graph: somebody must look what comes next. Who does at once leaves it: it is set anew with each cause. */
export const advanceTimer = ':advance';
/** The server that has committed the cause plans at once; others do where that one has died. */
const advanceAfterMs = 2_000;

/** True for a timer of work that may be done by now: whether it is there says nothing of the run. */
export function isOfWork(name: string): boolean {
  return name === advanceTimer || isWorkTimer(name);
}

/**
 * Errands: timers that are due at once and stand for something that has to be done between two runs. They are set in the
 * transition that makes it necessary, so that a crash before it is done loses nothing.
 */
export const errands = {
  /** At a child: its parent no longer wants it. */
  cancelChild: ':parent:cancel',
  /** At a child: its parent was sent back to work and waits for it again. */
  redriveChild: ':parent:redrive',
  /** At a parent: the child has ended, under the id that it was started with (`first`) or another in which it went on. */
  childEnded: (child: string, first: string, path: string): string =>
    `${childPrefix}${child === first ? child : `${child}/${first}`}:${path}`,
} as const;
const childPrefix = ':child:';
/** Space of children that have not ended. Key: the run that waits. Ref: the child. Value: its path. */
export const childSpace = 'children';

/** The child, and its path in the run, that the timer is about; null = it is about something else. */
export function childOfErrand(
  name: string,
): { readonly child: string; readonly first: string; readonly path: string } | null {
  if (!name.startsWith(childPrefix)) return null;
  const colon = name.indexOf(':', childPrefix.length);
  const [child = '', first = child] = name.slice(childPrefix.length, colon).split('/');
  return { child, first, path: name.slice(colon + 1) };
}

/** True for a timer that stands for an errand: something to be done between two runs, and nothing of its own run. */
export function isErrand(name: string): boolean {
  const isFamily = name === errands.cancelChild || name === errands.redriveChild || name.startsWith(childPrefix);
  return isFamily || seqOfSendTimer(name) !== null;
}

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
    inputSeq: state.inputSeq,
    dueAt,
    limitKey: null,
  };
}

/** A task that waits for admission waits there for its time, too. */
export function callTask({ call, attempt, hold }: CallUnit, dueAt: number | null): Task {
  const { task, queue, priority, deadlineMs, inputSeq } = call;
  const limitKey = hold?.phase === 'waiting' ? (call.limits[0] ?? null) : null;
  const due = limitKey === null ? dueAt : null;
  return { task, kind: 'call', queue, priority, attempt, deadlineMs, inputSeq, dueAt: due, limitKey };
}

type CallUnit = Extract<Unit, { readonly kind: 'call' }>;

/** What was open before the event: `before` must be taken by `openRows` before the fold moves the state in place. */
export interface OpenRows {
  readonly activation: string | null;
  readonly tasks: readonly string[];
  readonly timers: readonly string[];
  /** Children that have not ended. */
  readonly children: readonly { readonly run: string; readonly attached: boolean }[];
  readonly entries: readonly WaitEntry[];
  /** Timers of work that may be done by now (`isOfWork`). */
  readonly work: readonly string[];
}

/** The tasks, timers and entries that stand for the state, by key. Only events that sweep need it. */
export function openRows(state: RunState): OpenRows {
  const tasks: string[] = [];
  const timers: string[] = [];
  const children: OpenRows['children'][number][] = [];
  const entries: WaitEntry[] = [];
  const work: string[] = [];
  for (const [path, unit] of state.units) {
    if (!isOpenUnit(unit)) continue;
    if (unit.kind === 'call') {
      tasks.push(unit.call.task);
      const ticket = ticketOf(state, path, unit);
      if (ticket !== null) entries.push(ticket);
    }
    if (unit.kind === 'timer') timers.push(path);
    if (unit.kind === 'step') timers.push(retryTimer(path));
    if (unit.kind === 'inference') {
      if (unit.status === 'retrying') timers.push(retryTimer(path));
      const ticket = inferenceTicketOf(state, path, unit);
      if (ticket !== null) entries.push(ticket);
    }
    if (unit.kind === 'child') children.push(unit);
    if (unit.kind !== 'wait') continue;
    timers.push(...timersOf(path, unit));
    entries.push(...entriesOf(state, path, unit));
    if (unit.on.kind === 'event') work.push(lookTimer(unit));
  }
  if (state.timeoutMs !== null) timers.push(runTimers.timeout);
  if (state.cancel !== null) timers.push(runTimers.cancelGrace);
  if (state.graph !== null) work.push(advanceTimer);
  const activation = state.activation.open ? activationTask(state.activation.n) : null;
  return { activation, tasks, timers, entries, work, children };
}

const nothing: OpenRows = { activation: null, tasks: [], timers: [], entries: [], work: [], children: [] };

/** True for events whose effects need the rows that were open before. */
export function sweeps(event: Pick<RunEvent, 'type'>): boolean {
  switch (event.type) {
    case 'run.succeeded':
    case 'run.failed':
    case 'run.cancelled':
    case 'run.refused':
    case 'run.continued':
    case 'run.cancel_requested':
    case 'wait.cancelled':
    // Whom an approval was put to must be known to take it away from them.
    case 'approval.delegated':
    case 'approval.escalated':
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
      if (after.graph === null) effects.push({ tag: 'openTask', task: activationOf(after, after.startAt) });
      if (after.agent !== null) {
        const { key, generation } = after.agent;
        const value: AgentAddress = { run: after.run, generation };
        const entry = { space: agentSpace(after.workflow), key, ref: '', value: JSON.stringify(value) };
        effects.push({ tag: 'putEntry', entry, run: '' });
      }
      if (after.timeoutMs !== null)
        effects.push({
          tag: 'setTimer',
          name: runTimers.timeout,
          fireAt: (after.startAt ?? after.startedAt) + after.timeoutMs,
        });
      return effects;
    case 'step.retrying':
      effects.push({ tag: 'setTimer', name: retryTimer(event.data.path), fireAt: event.data.retryAt });
      break;
    case 'step.due':
      effects.push({ tag: 'clearTimer', name: retryTimer(event.data.path) });
      break;
    case 'inference.requested': {
      const { path } = event.data;
      const unit = after.units.get(path);
      const entry = unit?.kind === 'inference' ? inferenceTicketOf(after, path, unit) : null;
      if (entry !== null) effects.push({ tag: 'putEntry', entry });
      const until = event.data.shut?.until ?? null;
      if (until !== null) effects.push({ tag: 'setTimer', name: retryTimer(path), fireAt: until });
      break;
    }
    case 'inference.admitted': {
      const { path } = event.data;
      const unit = after.units.get(path);
      if (unit?.kind !== 'inference') break;
      effects.push({ tag: 'dropEntry', entry: inferenceEntry(after, path, unit, 'waiting', 0) });
      const entry = inferenceTicketOf(after, path, unit);
      if (entry !== null) effects.push({ tag: 'putEntry', entry });
      break;
    }
    case 'inference.retrying':
      effects.push({ tag: 'setTimer', name: retryTimer(event.data.path), fireAt: event.data.retryAt });
      effects.push(...inferenceSettling(after, event, event.data.path));
      break;
    case 'inference.completed':
    case 'inference.ambiguous':
      effects.push(...inferenceSettling(after, event, event.data.path));
      break;
    case 'inference.due':
      effects.push({ tag: 'clearTimer', name: retryTimer(event.data.path) });
      break;
    case 'inference.failed': {
      // Given up while it paused or waited for admission: what stood for that goes. To clear what is not there does nothing.
      const { path } = event.data;
      effects.push({ tag: 'clearTimer', name: retryTimer(path) });
      effects.push(...inferenceSettling(after, event, path));
      break;
    }
    case 'call.scheduled': {
      const unit = after.units.get(event.data.path);
      if (unit?.kind === 'call')
        effects.push({ tag: 'openTask', task: callTask(unit, null) }, ...ticketing(after, event.data.path, unit));
      break;
    }
    case 'call.admitted': {
      const { path, attempt } = event.data;
      const unit = after.units.get(path);
      if (unit?.kind !== 'call') break;
      effects.push({ tag: 'admitTask', task: callTask(unit, null) });
      effects.push({ tag: 'dropEntry', entry: entryOf(after, path, unit, 'waiting', attempt) });
      effects.push(...ticketing(after, path, unit));
      break;
    }
    case 'call.retrying': {
      const unit = after.units.get(event.data.path);
      if (unit?.kind !== 'call') break;
      effects.push({ tag: 'requeueTask', task: callTask(unit, event.data.retryAt) });
      effects.push(...settling(after, event.data, unit, failedWith(event.data.failure, event.data.feedback ?? null)));
      effects.push(...ticketing(after, event.data.path, unit));
      break;
    }
    case 'call.completed':
    case 'call.failed': {
      const unit = after.units.get(event.data.path);
      if (unit?.kind === 'call') {
        effects.push({ tag: 'closeTask', task: unit.call.task });
        const { type, data } = event;
        const feedback = data.feedback ?? null;
        const came = type === 'call.failed' ? failedWith(data.failure, feedback) : answered(data.durationMs, feedback);
        effects.push(...settling(after, data, unit, came));
      }
      if (after.graph !== null) effects.push(advanceSoon(event));
      break;
    }
    case 'graph.started':
      effects.push(advanceSoon(event));
      break;
    case 'timer.set':
      effects.push({ tag: 'setTimer', name: event.data.path, fireAt: event.data.fireAt });
      break;
    case 'timer.fired':
      effects.push({ tag: 'clearTimer', name: event.data.path });
      break;
    case 'activation.retrying':
      effects.push({ tag: 'requeueTask', task: activationOf(after, event.data.retryAt) });
      effects.push(...inferenceSettlings(after, event));
      break;
    case 'run.cancel_requested':
      // The body lives on to clean up: its activation and the run's own timeout stay.
      for (const task of open.tasks) effects.push({ tag: 'closeTask', task });
      for (const name of open.timers) if (name !== runTimers.timeout) effects.push({ tag: 'clearTimer', name });
      leaveChildren(effects, open, event, after);
      effects.push(...closing(open));
      effects.push({ tag: 'setTimer', name: runTimers.cancelGrace, fireAt: event.at + event.data.graceMs });
      if (after.parent !== null) effects.push({ tag: 'clearTimer', name: errands.cancelChild });
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
    case 'run.continued':
      if (open.activation !== null) effects.push({ tag: 'closeTask', task: open.activation });
      for (const task of open.tasks) effects.push({ tag: 'closeTask', task });
      for (const name of open.timers) effects.push({ tag: 'clearTimer', name });
      leaveChildren(effects, open, event, after);
      // The end of one that goes on as another is not the end that its parent waits for.
      if (after.parent !== null && event.type !== 'run.continued')
        effects.push({
          tag: 'setTimer',
          run: after.parent.run,
          name: errands.childEnded(after.run, after.parent.first ?? after.run, after.parent.path),
          fireAt: event.at,
        });
      effects.push(...closing(open));
      effects.push(...inferenceSettlings(after, event));
      return effects;
    case 'run.redriven':
      if (after.graph !== null) effects.push(advanceSoon(event));
      if (after.timeoutMs !== null)
        effects.push({ tag: 'setTimer', name: runTimers.timeout, fireAt: event.at + after.timeoutMs });
      // Else the errand would find the child failed again, and send it back to work a second time.
      if (after.parent !== null) effects.push({ tag: 'clearTimer', name: errands.redriveChild });
      for (const path of event.data.children ?? []) {
        const unit = after.units.get(path);
        if (unit?.kind === 'child')
          effects.push(...tellChild(unit.run, event.at, 'redrive'), childEntry('putEntry', after.run, unit.run, path));
      }
      break;
    case 'child.cancel_requested': {
      const unit = after.units.get(event.data.path);
      if (unit?.kind === 'child') effects.push(...tellChild(unit.run, event.at, 'cancel'));
      break;
    }
    case 'child.ended':
      endChild(effects, event.data, after);
      break;
    case 'child.started':
      effects.push(childEntry('putEntry', after.run, event.data.run, event.data.path));
      break;
    case 'wait.opened':
      effects.push(...openingOf(event.data.path, after));
      break;
    case 'wait.satisfied':
    case 'wait.expired':
    case 'wait.cancelled':
      effects.push(...closingOf(event, open, after));
      break;
    case 'approval.delegated':
    case 'approval.escalated':
      effects.push(...addressing(event.data.path, open, after));
      break;
    case 'message.sent': {
      const { to } = event.data;
      if (to.kind !== 'caller') effects.push({ tag: 'setTimer', name: sendTimer(event.seq), fireAt: event.at });
      else if (after.agent !== null) {
        const value: AnswerAddress = { run: after.run, seq: event.seq };
        const key = answerKey(after.workflow, after.agent.key, to.id);
        effects.push({ tag: 'putEntry', entry: { space: answerSpace, key, ref: '', value: JSON.stringify(value) } });
      }
      break;
    }
    case 'input.edited':
    case 'message.buried':
    case 'signal.received':
    case 'approval.commented':
    case 'step.started':
    case 'step.completed':
    case 'step.failed':
    case 'inference.begun':
    case 'inference.identified':
    case 'decision.recorded':
    case 'event.emitted':
    case 'progress.reported':
    case 'stream.appended':
    case 'context.put':
    case 'context.used':
    case 'context.inherited':
    case 'race.decided':
    case 'tool.judged':
    case 'node.skipped':
    case 'node.failed':
      break;
    default:
      assertNever(event);
  }
  if (!wasOpen && after.activation.open) effects.push({ tag: 'openTask', task: activationOf(after, null) });
  return effects;
}

function advanceSoon({ at }: RunEvent): TableEffect {
  return { tag: 'setTimer', name: advanceTimer, fireAt: at + advanceAfterMs };
}

/** Of two words that have not reached the child yet, the later holds. */
function tellChild(run: string, at: number, word: 'cancel' | 'redrive'): TableEffect[] {
  const [said, unsaid] =
    word === 'cancel' ? [errands.cancelChild, errands.redriveChild] : [errands.redriveChild, errands.cancelChild];
  return [
    { tag: 'clearTimer', run, name: unsaid },
    { tag: 'setTimer', run, name: said, fireAt: at },
  ];
}

/** The run no longer waits for its children, and those that belong to it are told. */
function leaveChildren(effects: TableEffect[], open: OpenRows, event: RunEvent, { run }: RunState): void {
  for (const child of open.children) {
    if (child.attached) effects.push(...tellChild(child.run, event.at, 'cancel'));
    effects.push(childEntry('dropEntry', run, child.run, ''));
  }
}

/** The child is known by the id that it had at its start: it may have ended under another. */
function endChild(
  effects: TableEffect[],
  { run: ended, path }: { readonly run: string; readonly path: string },
  { run, units }: RunState,
): void {
  const unit = units.get(path);
  if (unit?.kind !== 'child') return;
  effects.push({ tag: 'clearTimer', name: errands.childEnded(ended, unit.run, path) });
  effects.push(childEntry('dropEntry', run, unit.run, path));
}

function childEntry(tag: 'putEntry' | 'dropEntry', run: string, child: string, path: string): TableEffect {
  return { tag, entry: { space: childSpace, key: run, ref: child, value: JSON.stringify(path) } };
}

/** What stands for a call that limits concern. */
function ticketing(after: RunState, path: string, unit: CallUnit): TableEffect[] {
  const entry = ticketOf(after, path, unit);
  return entry === null ? [] : [{ tag: 'putEntry', entry }];
}

/** The attempt, which was admitted, has come to an end. */
function settling(
  after: RunState,
  { path, attempt }: { readonly path: string; readonly attempt: number },
  unit: CallUnit,
  came: SettledValue,
): TableEffect[] {
  if (unit.hold === null) return [];
  const entry = entryOf(after, path, unit, 'granted', attempt);
  return [{ tag: 'dropEntry', entry }, settled(entry, came)];
}

/** What the event has ended of an inference, as far as limits are concerned. */
function inferenceSettling(after: RunState, event: RunEvent, path: string): TableEffect[] {
  const unit = after.units.get(path);
  if (unit?.kind !== 'inference' || unit.hold?.phase !== 'ended' || unit.hold.ended !== event.seq) return [];
  const { was } = unit.hold;
  // The unit may be about to be asked for once more, but the ticket is that of the request that it has.
  const entry = inferenceEntry(after, path, unit, was, 0);
  const dropped: TableEffect = { tag: 'dropEntry', entry };
  return was === 'waiting' ? [dropped] : [dropped, settled(entry, inferenceCame(unit, event))];
}

function inferenceSettlings(after: RunState, event: RunEvent): TableEffect[] {
  return [...after.units].flatMap(([path, unit]) =>
    unit.kind === 'inference' ? inferenceSettling(after, event, path) : [],
  );
}

function inferenceCame({ status }: InferenceUnit, event: RunEvent): SettledValue {
  switch (event.type) {
    case 'inference.completed': {
      const { usage, costMicros, firstPartMs, feedback = null } = event.data;
      return answeredWith(usage, costMicros, firstPartMs, feedback);
    }
    case 'inference.retrying':
    case 'inference.failed': {
      const { failure, usage, costMicros, feedback = null } = event.data;
      return inferenceFailedWith(failure, usage, costMicros, feedback);
    }
    default:
      return status === 'admitted' ? unbegun : abandoned;
  }
}

/** The limits have to know of it though the run may be gone by then. */
function settled(entry: WaitEntry, came: SettledValue): TableEffect {
  return { tag: 'putEntry', entry: settledEntry(entry, came), run: '' };
}

/** Entries and work that go with everything else that was open. */
function closing(open: OpenRows): TableEffect[] {
  return [
    ...open.entries.flatMap((entry) => [
      { tag: 'dropEntry', entry } as const,
      ...(isGranted(entry) ? [settled(entry, abandoned)] : []),
    ]),
    ...open.work.map((name) => ({ tag: 'clearTimer', name }) as const),
  ];
}

function openingOf(path: string, after: RunState): TableEffect[] {
  const unit = after.units.get(path);
  if (unit?.kind !== 'wait') return [];
  const effects: TableEffect[] = entriesOf(after, path, unit).map((entry) => ({ tag: 'putEntry', entry }));
  if (unit.expiresAt !== null) effects.push({ tag: 'setTimer', name: expiryTimer(path, unit), fireAt: unit.expiresAt });
  if (unit.on.kind === 'event')
    effects.push({ tag: 'setTimer', name: lookTimer(unit), fireAt: unit.openedAt + lookAfterMs });
  const escalation = nextEscalation(unit);
  if (escalation !== null) effects.push({ tag: 'setTimer', name: escalationTimer(path), fireAt: escalation.at });
  return effects;
}

/** The server that has opened a wait looks back at once; others do where that one has died. */
const lookAfterMs = 2_000;

function closingOf(
  event: Extract<RunEvent, { readonly type: 'wait.satisfied' | 'wait.expired' | 'wait.cancelled' }>,
  before: OpenRows,
  after: RunState,
): TableEffect[] {
  const { path } = event.data;
  const unit = after.units.get(path);
  if (unit?.kind !== 'wait') return [];
  const effects: TableEffect[] = [
    ...entriesOf(after, path, unit).map((entry) => ({ tag: 'dropEntry', entry }) as const),
    ...timersOf(path, unit).map((name) => ({ tag: 'clearTimer', name }) as const),
  ];
  if (unit.on.kind !== 'event') return effects;
  effects.push({ tag: 'clearTimer', name: lookTimer(unit) });
  if (event.type === 'wait.cancelled' && event.data.returned)
    effects.push(...lookAgain(event.seq, event.at, before, after));
  return effects;
}

/** The others look for what came back. What they had to look for before is part of it. */
function lookAgain(seq: number, at: number, before: OpenRows, after: RunState): TableEffect[] {
  const effects: TableEffect[] = [];
  for (const unit of after.units.values()) {
    if (unit.kind !== 'wait' || unit.status !== 'open' || unit.on.kind !== 'event' || unit.look !== seq) continue;
    const prefix = lookTimer({ opened: unit.opened, look: 0 }).slice(0, -1);
    for (const name of before.work) if (name.startsWith(prefix)) effects.push({ tag: 'clearTimer', name });
    effects.push({ tag: 'setTimer', name: lookTimer(unit), fireAt: at });
  }
  return effects;
}

/** Takes an approval from those who had it, and puts it to those who have it now. */
function addressing(path: string, before: OpenRows, after: RunState): TableEffect[] {
  const unit = after.units.get(path);
  if (unit?.kind !== 'wait') return [];
  const entries = entriesOf(after, path, unit);
  const isOf = (entry: WaitEntry): boolean => entry.ref === entries[0]?.ref;
  const effects: TableEffect[] = [
    ...before.entries.filter(isOf).map((entry) => ({ tag: 'dropEntry', entry }) as const),
    ...entries.map((entry) => ({ tag: 'putEntry', entry }) as const),
  ];
  const escalation = nextEscalation(unit);
  if (escalation !== null) effects.push({ tag: 'setTimer', name: escalationTimer(path), fireAt: escalation.at });
  else if (before.timers.includes(escalationTimer(path)))
    effects.push({ tag: 'clearTimer', name: escalationTimer(path) });
  return effects;
}
