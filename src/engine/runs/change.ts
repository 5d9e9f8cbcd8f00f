/**
 * From decided events to what is written: moves the state over them, derives the rows of tasks, timers, entries and dead letters
 * (`core/run/effects`), and writes the envelopes. One change belongs to one run.
 */
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import { effectsOf, openRows, sweeps, type TableEffect, type Task } from '../../core/run/effects.js';
import type { NewRunEvent, RunEvent, RunEventData } from '../../core/run/events.js';
import { applyEvent, rowOf, type RunState } from '../../core/run/state.js';
import type {
  BlobWrite,
  DeadLetterWrite,
  EntryWrite,
  EventWrite,
  NewTask,
  RunWrite,
  TaskWrite,
  TimerWrite,
} from '../../store/contract.js';
import type { EngineContext } from '../context.js';

/** What one run writes in one transition; grows with each decision that goes into it. */
export interface RunChange {
  /** Head of the run before. */
  readonly expected: number;
  readonly events: RunEvent[];
  readonly eventWrites: EventWrite[];
  readonly tasks: TaskWrite[];
  readonly timers: TimerWrite[];
  readonly entries: EntryWrite[];
  readonly deadLetters: DeadLetterWrite[];
  readonly blobs: BlobWrite[];
}

export function emptyChange(state: RunState): RunChange {
  return {
    expected: state.head,
    events: [],
    eventWrites: [],
    tasks: [],
    timers: [],
    entries: [],
    deadLetters: [],
    blobs: [],
  };
}

/** The row of the run after the change, which must be complete. */
export function writeOf(change: RunChange, state: RunState): RunWrite {
  return { expected: change.expected, row: rowOf(state) };
}

export interface Cause {
  readonly actor: string;
  /** Id of the event that made this happen; null for a request from outside. */
  readonly event: string | null;
  /** The payload of the first event is kept by another event too. */
  readonly sharedPayload?: boolean;
}

/** Adds what was decided to `change` and moves `state` in place. If the transition is refused, both must be thrown away. */
export function changeRun(
  context: EngineContext,
  change: RunChange,
  state: RunState,
  decided: readonly NewRunEvent[],
  at: number,
  cause: Cause,
): void {
  for (const fresh of decided) {
    const event = dated(fresh, state.head + 1, at);
    const before = sweeps(event) ? openRows(state) : null;
    const wasOpen = state.activation.open;
    const attemptsBefore = event.type === 'run.failed' ? attemptsOf(state, event.data.path) : 0;
    applyEvent(state, event);
    for (const effect of effectsOf(before, wasOpen, event, state)) writeEffect(effect, state, at, change);
    if (event.type === 'run.failed') change.deadLetters.push(deadLetterOf(state, event, attemptsBefore));
    if (event.type === 'message.buried') change.deadLetters.push(burialOf(state, event));
    if (event.type === 'run.redriven' && event.data.deadLetter !== '')
      change.deadLetters.push({ op: 'remove', id: event.data.deadLetter });
    const { run } = state;
    const { seq, type } = event;
    const { envelope, payload, blob } = context.envelopes.write(
      {
        tenant: state.tenant,
        stream: run,
        seq,
        id: `${run}/${seq}`,
        type,
        at,
        actor: cause.actor,
        cause: cause.event,
        correlation: state.correlation,
        traceparent: state.traceparent,
        schema: null,
        data: event.data,
      },
      event.payload ?? null,
      cause.sharedPayload === true,
    );
    change.eventWrites.push({ run, seq, type, at, envelope, payload });
    if (blob !== null) change.blobs.push(blob);
    change.events.push(event);
  }
}

/** Field by field: a spread of these many shapes of events costs more than all the rest of a change. */
function dated({ type, data, payload }: NewRunEvent, seq: number, at: number): RunEvent {
  return (payload === undefined ? { type, data, seq, at } : { type, data, payload, seq, at }) as RunEvent;
}

/** A new id for a dead letter; drawn before the decision, because decisions are pure. */
export function newDeadLetterId(context: EngineContext): string {
  return newId('deadLetter', context.ports);
}

function writeEffect(effect: TableEffect, state: RunState, at: number, change: RunChange): void {
  const { run } = state;
  const { tasks, timers, entries } = change;
  switch (effect.tag) {
    case 'openTask':
      tasks.push({ op: 'open', run, task: queued(effect.task, state) });
      break;
    case 'requeueTask':
      tasks.push({ op: 'requeue', run, task: queued(effect.task, state) });
      break;
    case 'admitTask':
      tasks.push({ op: 'admit', run, task: queued(effect.task, state) });
      break;
    case 'closeTask':
      tasks.push({ op: 'close', run, task: effect.task });
      break;
    case 'setTimer':
      timers.push({ op: 'set', run: effect.run ?? run, name: effect.name, fireAt: effect.fireAt });
      break;
    case 'clearTimer':
      timers.push({ op: 'clear', run: effect.run ?? run, name: effect.name });
      break;
    case 'putEntry':
      entries.push({ op: 'put', ...effect.entry, run: effect.run ?? run, at });
      break;
    case 'dropEntry': {
      const { space, key, ref } = effect.entry;
      entries.push({ op: 'drop', space, key, ref });
      break;
    }
  }
}

const rankPerPriority = 2 ** 44;

/**
 * Higher priority first, then the run that was started first, whatever its task: work under way is finished before
 * new work is begun.
 */
function queued(task: Task, state: RunState): NewTask {
  const { kind, queue, attempt, deadlineMs, inputSeq, dueAt, limitKey } = task;
  const rank = (limits.priorityMax - task.priority) * rankPerPriority + (state.startAt ?? state.startedAt);
  return { task: task.task, kind, queue, rank, attempt, deadlineMs, inputSeq, dueAt, limitKey };
}

function attemptsOf(state: RunState, path: string | null): number {
  const unit = path === null ? undefined : state.units.get(path);
  return unit !== undefined && 'attempt' in unit ? unit.attempt : state.activation.attempt;
}

function deadLetterOf(
  state: RunState,
  event: Extract<RunEvent, { type: 'run.failed' }>,
  attempts: number,
): DeadLetterWrite {
  return letterOf(state, event.data, attempts, event.at);
}

/** The message is found by the event that brought it. */
function burialOf(state: RunState, event: Extract<RunEvent, { type: 'message.buried' }>): DeadLetterWrite {
  return letterOf(state, event.data, event.data.attempts, event.at);
}

function letterOf(
  state: RunState,
  { failure, path, deadLetter }: Pick<RunEventData['run.failed'], 'failure' | 'path' | 'deadLetter'>,
  attempts: number,
  at: number,
): DeadLetterWrite {
  return {
    op: 'add',
    row: {
      tenant: state.tenant,
      id: deadLetter,
      run: state.run,
      workflow: state.workflow,
      path,
      class: failure.class,
      code: failure.code,
      message: failure.message,
      attempts,
      at,
    },
  };
}
