/**
 * Decisions over waits: what opens, satisfies, ends and returns them. Pure, as all of `decide`.
 */
import { jsonOf } from '../codec.js';
import { limits } from '../limits.js';
import { isBlobPayload, type Payload } from '../payload.js';
import { decidedInstead } from './decide-inference.js';
import type { BodyCommand, ReviewCommand, RunCommand } from './commands.js';
import { accept, already, refused, type Decision } from './decision.js';
import type { NewRunEvent } from './events.js';
import { isEnded, takesMail, type RunState } from './state.js';
import { eventKey, isAddressed, nextEscalation, signalWait, type WaitUnit } from './waits.js';

/** A signal that is there satisfies the wait in the same decision. */
export function decideWait(state: RunState, command: Extract<BodyCommand, { op: 'wait' }>, now: number): Decision {
  const { path, on, timeoutMs, request } = command;
  const unit = state.units.get(path);
  if (unit !== undefined) return unit.kind === 'wait' ? already : refused('path_in_use');
  const opened: NewRunEvent = {
    type: 'wait.opened',
    data: { path, on, expiresAt: timeoutMs === null ? null : now + timeoutMs },
    ...(request === null ? {} : { payload: request }),
  };
  const [seq] = on.kind === 'signal' ? (state.signals.get(on.name) ?? []) : [];
  return seq === undefined ? accept(opened) : accept(opened, satisfiedBySignal(path, seq));
}

function satisfiedBySignal(path: string, seq: number): NewRunEvent {
  return { type: 'wait.satisfied', data: { path, by: { kind: 'signal', seq } } };
}

/** What was not handed over goes back, and on to the wait that has been open for longest. */
export function decideCancelWait(state: RunState, path: string): Decision {
  const unit = state.units.get(path);
  if (unit === undefined) return already;
  if (unit.kind !== 'wait') return refused('path_in_use');
  if (unit.status === 'expired' || unit.status === 'cancelled') return already;
  const { by } = unit;
  const cancelled: NewRunEvent = { type: 'wait.cancelled', data: { path, returned: by !== null } };
  if (by?.kind !== 'signal' || unit.on.kind !== 'signal') return accept(cancelled);
  const next = signalWait(state, unit.on.name);
  return next === null ? accept(cancelled) : accept(cancelled, satisfiedBySignal(next, by.seq));
}

/** Kept, whether or not somebody waits for it; one that meets a wait satisfies it. */
export function decideSignal(state: RunState, command: Extract<RunCommand, { op: 'signal' }>): Decision {
  const { id, name, by, data, mail, failure, taint } = command;
  if (state.signalIds.has(id)) return already;
  if (mail === undefined ? isEnded(state.status) : !takesMail(state)) return refused('ended');
  const from = mail?.from;
  // What a partition has brought before it brings again after a crash, in the same order.
  if (from?.kind === 'topic' && from.offset <= (state.offsets.get(from.partition) ?? -1)) return already;
  if (state.head >= limits.historyEventsMax) return refused('history_full');
  const received: NewRunEvent = {
    type: 'signal.received',
    data: {
      id,
      name,
      by,
      ...(mail === undefined ? {} : { mail }),
      ...(failure === undefined ? {} : { failure }),
      ...(taint === undefined ? {} : { taint }),
    },
    ...(data === null ? {} : { payload: data }),
  };
  const path = signalWait(state, name);
  return path === null ? accept(received) : accept(received, satisfiedBySignal(path, state.head + 1));
}

/** `already`: another wait of the run has the event; whoever gives goes on to the next. */
export function decideGiveEvent(state: RunState, command: Extract<RunCommand, { op: 'giveEvent' }>): Decision {
  const { path, opened, event, data } = command;
  if (isEnded(state.status)) return refused('ended');
  const unit = state.units.get(path);
  if (unit?.kind !== 'wait' || unit.status !== 'open' || unit.opened !== opened || unit.on.kind !== 'event')
    return refused('not_open');
  if (unit.on.topic !== event.topic || state.taken.has(eventKey(event))) return already;
  return accept({
    type: 'wait.satisfied',
    data: { path, by: { kind: 'event', event } },
    ...(data === null ? {} : { payload: data }),
  });
}

/** A repeat of the word that was given is no mistake; another word comes too late. */
export function decideReview(state: RunState, command: ReviewCommand): Decision {
  const { path, opened, by } = command;
  const unit = state.units.get(path);
  if (unit?.kind !== 'wait' || unit.on.kind !== 'approval' || unit.opened !== opened) return refused('not_open');
  if (!isAddressed(unit.to, by)) return refused('not_addressed');
  if (unit.status !== 'open' || isEnded(state.status)) return settled(unit, command);
  if (command.op !== 'review' && state.head >= limits.historyEventsMax) return refused('history_full');
  switch (command.op) {
    case 'review': {
      const satisfied: NewRunEvent = {
        type: 'wait.satisfied',
        data: { path, by: { kind: 'approval', outcome: command.outcome, by: by.name } },
        ...(command.answer === null ? {} : { payload: command.answer }),
      };
      const { decides } = unit.on;
      const decided =
        decides === undefined || command.outcome !== 'approved'
          ? null
          : decidedInstead(state, path, decides, state.head + 1, { by: by.name, comment: commentIn(command.answer) });
      return decided === null ? accept(satisfied) : accept(satisfied, decided);
    }
    case 'delegate':
      return accept({ type: 'approval.delegated', data: { path, by: by.name, to: command.to } });
    case 'comment':
      return accept({ type: 'approval.commented', data: { path, by: by.name }, payload: command.text });
  }
}

/** What is too large to be at hand is not looked into. */
function commentIn(answer: Payload | null): string | null {
  if (answer === null || isBlobPayload(answer)) return null;
  const { comment } = (jsonOf(answer) ?? {}) as { readonly comment?: unknown };
  return typeof comment === 'string' && comment !== '' ? comment : null;
}

function settled(unit: WaitUnit, command: ReviewCommand): Decision {
  const same =
    command.op === 'review' &&
    unit.by?.kind === 'approval' &&
    unit.by.outcome === command.outcome &&
    unit.by.by === command.by.name;
  return same ? already : refused('not_open');
}

/** Those who were asked before may still decide. */
export function decideEscalation(state: RunState, path: string): Decision {
  const unit = state.units.get(path);
  if (unit?.kind !== 'wait' || unit.status !== 'open') return already;
  const next = nextEscalation(unit);
  if (next === null) return already;
  const to = [...new Set([...unit.to, ...next.to])];
  return accept({ type: 'approval.escalated', data: { path, level: unit.level + 1, to } });
}

/** The time of a wait for an event is up. */
export function decideExpiry(state: RunState, path: string, opened: number): Decision {
  const unit = state.units.get(path);
  const isOpen = unit?.kind === 'wait' && unit.status === 'open' && unit.opened === opened;
  return isOpen ? accept({ type: 'wait.expired', data: { path } }) : already;
}
