/**
 * What the history says about a path: how far it has come and what it came to. A small fold of journal entries, kept for
 * the paths of one activation.
 */
import { assertNever } from '../../core/errors.js';
import type { RunEventData } from '../../core/run/events.js';
import {
  hopOf,
  leadsToRetry,
  saysShut,
  shutFailureOf,
  type InferenceGrant,
  type InferenceHop,
} from '../../core/run/inference.js';
import type { JournalEntry } from '../../core/run/journal.js';

/** What kind of thing a path names. */
export type UnitKind =
  | 'step'
  | 'call'
  | 'inference'
  | 'timer'
  | 'emit'
  | 'race'
  | 'gate'
  | 'child'
  | 'start'
  | 'context'
  | 'wait'
  | 'approval'
  | 'message';

type OutcomeType =
  | 'step.completed'
  | 'step.failed'
  | 'call.completed'
  | 'call.failed'
  | 'inference.completed'
  | 'inference.failed'
  | 'timer.fired'
  | 'event.emitted'
  | 'child.started'
  | 'context.put'
  | 'context.used'
  | 'child.ended'
  | 'race.decided'
  | 'tool.judged'
  | 'wait.satisfied'
  | 'wait.expired'
  | 'message.sent'
  | 'message.buried';

/** An entry that a body is told of; each path has at most one. */
export type OutcomeEntry = Extract<JournalEntry, { readonly type: OutcomeType }>;

/** An entry that belongs to a path. */
export type PathEntry = Exclude<
  JournalEntry,
  { readonly type: 'run.cancel_requested' | 'signal.received' | 'context.inherited' | 'input.edited' }
>;

/** True where the entry says something about a path. */
export function isOfPath(entry: JournalEntry): entry is PathEntry {
  switch (entry.type) {
    case 'run.cancel_requested':
    case 'signal.received':
    case 'context.inherited':
    case 'input.edited':
      return false;
    default:
      return true;
  }
}

/** See the top of the module. */
export interface PathRecord {
  readonly kind: UnitKind;
  outcome: OutcomeEntry | null;
  /** Highest attempt of a step or inference whose intent is recorded; 0 = none. */
  begun: number;
  /** Attempt of a step or inference that runs next; above 1 once a pause is over. */
  attempt: number;
  /** `seq` since which the outside owes the outcome (call scheduled, timer set, pause begun); 0 = it does not. */
  waitingSince: number;
  /** A wait that was given up: nothing will ever come of it. */
  closed: boolean;
  /** What is known of an inference beside that; null = it is something else. */
  inference: InferenceRecord | null;
}

/** See `PathRecord.inference`. */
export interface InferenceRecord {
  /** Of the present attempt; null = it was not admitted yet. */
  grant: InferenceGrant | null;
  providerId: string | null;
  /** Attempts that gave no answer. */
  readonly hops: InferenceHop[];
}

const startSuffix = '/:start';

/**
 * The path under which a body waits for the start of a child, beside that of the child itself, under which it waits for
 * its end. No name begins with a colon, so that no other path is like it.
 */
export function startOf(path: string): string {
  return path + startSuffix;
}

/** The path of the child whose start is waited for under `path`. */
export function childOf(path: string): string {
  return path.slice(0, -startSuffix.length);
}

/** The start of a child as an outcome of its own. */
export function startRecord(entry: Extract<JournalEntry, { readonly type: 'child.started' }>): PathRecord {
  return { ...newRecord('start'), outcome: entry };
}

function newRecord(kind: UnitKind): PathRecord {
  const inference = kind === 'inference' ? { grant: null, providerId: null, hops: [] } : null;
  return { kind, outcome: null, begun: 0, attempt: 1, waitingSince: 0, closed: false, inference };
}

/** Moves the record of a path over one entry. */
export function noteEntry(before: PathRecord | undefined, entry: PathEntry): PathRecord {
  const record = before ?? newRecord(kindOf(entry));
  switch (entry.type) {
    case 'step.started':
      record.begun = entry.data.attempt;
      break;
    case 'step.retrying':
    case 'call.scheduled':
    case 'child.started':
    case 'timer.set':
    case 'wait.opened':
      record.waitingSince = entry.seq;
      break;
    case 'wait.cancelled':
      // Whatever had satisfied it is for others now; here it was never handed over.
      record.outcome = null;
      record.waitingSince = entry.seq;
      record.closed = true;
      break;
    case 'step.due':
      record.attempt = entry.data.attempt;
      record.waitingSince = 0;
      break;
    case 'call.retrying':
      break;
    case 'inference.requested': {
      const { attempt, version = '', shut, grant } = entry.data;
      record.attempt = attempt;
      if (grant !== null) record.begun = attempt;
      record.waitingSince = grant === null ? entry.seq : 0;
      if (record.inference !== null) Object.assign(record.inference, { grant, providerId: null });
      if (shut !== undefined) record.inference?.hops.push(hopOf(attempt, { version, ...shut }, shutFailureOf(shut)));
      break;
    }
    case 'inference.admitted':
      record.waitingSince = 0;
      if (record.inference !== null) record.inference.grant = entry.data.grant;
      break;
    case 'inference.begun':
      record.begun = entry.data.attempt;
      break;
    case 'inference.identified':
      if (record.inference !== null) record.inference.providerId = entry.data.providerId;
      break;
    case 'inference.ambiguous': {
      const { attempt, policy } = entry.data;
      if (leadsToRetry(policy)) moveOn(record, attempt + 1);
      break;
    }
    case 'inference.retrying':
      record.waitingSince = entry.seq;
      noteHop(record, entry.data);
      break;
    case 'inference.due':
      record.waitingSince = 0;
      moveOn(record, entry.data.attempt);
      break;
    case 'inference.failed':
      noteHop(record, entry.data);
      record.outcome = entry;
      record.waitingSince = 0;
      break;
    case 'step.completed':
    case 'step.failed':
    case 'call.completed':
    case 'call.failed':
    case 'inference.completed':
    case 'timer.fired':
    case 'event.emitted':
    case 'race.decided':
    case 'tool.judged':
    case 'child.ended':
    case 'context.put':
    case 'context.used':
    case 'wait.satisfied':
    case 'wait.expired':
    case 'message.sent':
    case 'message.buried':
      record.outcome = entry;
      record.waitingSince = 0;
      break;
    default:
      assertNever(entry);
  }
  return record;
}

/** The next attempt has no grant yet. */
function moveOn(record: PathRecord, attempt: number): void {
  record.attempt = attempt;
  if (record.inference !== null) record.inference.grant = null;
}

type FailedAttempt = Pick<RunEventData['inference.failed'], 'attempt' | 'failure' | 'remedy'>;

function noteHop({ inference }: PathRecord, { attempt, failure: cause, remedy }: FailedAttempt): void {
  // That the endpoint is shut was noted with the request.
  if (saysShut(cause) && inference?.grant === null) return;
  inference?.hops.push(hopOf(attempt, inference.grant, cause, remedy));
}

function kindOf(entry: PathEntry): UnitKind {
  switch (entry.type) {
    case 'step.started':
    case 'step.retrying':
    case 'step.due':
    case 'step.completed':
    case 'step.failed':
      return 'step';
    case 'call.scheduled':
    case 'call.retrying':
    case 'call.completed':
    case 'call.failed':
      return 'call';
    case 'inference.requested':
    case 'inference.admitted':
    case 'inference.begun':
    case 'inference.identified':
    case 'inference.ambiguous':
    case 'inference.retrying':
    case 'inference.due':
    case 'inference.completed':
    case 'inference.failed':
      return 'inference';
    case 'timer.set':
    case 'timer.fired':
      return 'timer';
    case 'child.started':
    case 'child.ended':
      return 'child';
    case 'context.put':
    case 'context.used':
      return 'context';
    case 'event.emitted':
      return 'emit';
    case 'race.decided':
      return 'race';
    case 'tool.judged':
      return 'gate';
    case 'message.sent':
    case 'message.buried':
      return 'message';
    case 'wait.opened':
      return entry.data.on.kind === 'approval' ? 'approval' : 'wait';
    case 'wait.satisfied':
    case 'wait.expired':
    case 'wait.cancelled':
      return 'wait';
    default:
      return assertNever(entry);
  }
}
