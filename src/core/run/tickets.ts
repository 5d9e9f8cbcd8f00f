/**
 * Tickets: what stands, in the store, for work that limits concern. A ticket is an entry of the run that wants the work; it
 * waits, is granted by admission, and is settled when it is known what came of the work. Each of these is written in the
 * transition of the run that brings it about, so that no limit ever counts what no run knows of, or the other way round.
 *
 * Invariant: at any time a ticket is in one phase at most. It is settled at most once, and only after it was granted.
 */
import type { Settlement } from '../admission/ledger.js';
import type { Failure } from '../failure.js';
import { limits } from '../limits.js';
import type { RunState, Unit } from './state.js';
import { orderedText, type WaitEntry } from './waits.js';

/** Space of tickets; their keys are the phases. */
export const ticketSpace = 'tickets';
export type TicketPhase = 'waiting' | 'granted' | 'settled';

/** How a unit that limits concern stands with them. */
export interface Hold {
  readonly phase: 'waiting' | 'granted';
  /** When it began to wait, or was granted. */
  readonly since: number;
  /** Is not wanted before this instant: a pause between two attempts. Null = at once. */
  readonly notBefore: number | null;
}

/** What the entry of a ticket that waits holds, beside what its keys say: all that admission has to know of the work. */
export interface TicketValue {
  readonly kind: 'call';
  readonly path: string;
  readonly task: string;
  readonly attempt: number;
  readonly workflow: string;
  readonly capability: string;
  /** Limits that the capability names. */
  readonly limits: readonly string[];
  /** Sorts tickets of one tenant that draw on the same counters: smaller goes first. */
  readonly order: string;
  readonly since: number;
  readonly notBefore: number | null;
}

/** What the entry of a settled ticket holds. How long the work was held is known to whoever has granted it. */
export type SettledValue = Omit<Settlement, 'heldMs'>;

/** The name of a ticket within its tenant. It begins with the run and a slash. */
export function ticketRef(run: string, task: string, attempt: number): string {
  return `${run}/${task}.${attempt}`;
}

/** The run whose ticket it is. */
export function runOfTicket(ref: string): string {
  return ref.slice(0, ref.indexOf('/'));
}

type CallUnit = Extract<Unit, { readonly kind: 'call' }>;

/** The entry of a call that waits for admission, or has it. Null = limits do not concern it, or no longer. */
export function ticketOf(
  state: Pick<RunState, 'run' | 'workflow' | 'startAt' | 'startedAt'>,
  path: string,
  unit: CallUnit,
): WaitEntry | null {
  const { hold, attempt } = unit;
  if (hold === null || (unit.status !== 'scheduled' && unit.status !== 'retrying')) return null;
  return entryOf(state, path, unit, hold.phase, attempt);
}

/** The entry of an attempt in a phase that it is or was in. */
export function entryOf(
  { run, workflow, startAt, startedAt }: Pick<RunState, 'run' | 'workflow' | 'startAt' | 'startedAt'>,
  path: string,
  { call, hold }: CallUnit,
  phase: Hold['phase'],
  attempt: number,
): WaitEntry {
  const { task, capability, limits: named, priority } = call;
  const value: TicketValue = {
    kind: 'call',
    path,
    task,
    attempt,
    workflow,
    capability,
    limits: named,
    // As tasks in a queue: the higher priority, then the run that was started first.
    order: `${limits.priorityMax - priority}/${orderedText(startAt ?? startedAt)}/${orderedText(call.inputSeq)}`,
    since: hold?.since ?? 0,
    notBefore: hold?.notBefore ?? null,
  };
  return { space: ticketSpace, key: phase, ref: ticketRef(run, task, attempt), value: JSON.stringify(value) };
}

/** What becomes of an entry of a ticket when nothing more is to come of the work: one that was granted is settled. */
export function settledEntry(entry: WaitEntry, settlement: SettledValue): WaitEntry {
  return { ...entry, key: 'settled' satisfies TicketPhase, value: JSON.stringify(settlement) };
}

/** True for the entry of a ticket that was granted. */
export function isGranted({ space, key }: Pick<WaitEntry, 'space' | 'key'>): boolean {
  return space === ticketSpace && key === 'granted';
}

/** Of work that nobody has begun. */
export const unbegun: SettledValue = {
  begun: false,
  tokens: 0,
  costMicros: 0,
  overloaded: false,
  firstPartMs: null,
  feedback: null,
};

/** Of work that was begun perhaps, and of which nobody will ever know what it has used. */
export const abandoned: SettledValue = { ...unbegun, begun: true, tokens: null, costMicros: null };

/** Of work that was done. */
export function answered(firstPartMs: number | null): SettledValue {
  return { ...abandoned, firstPartMs };
}

/** Of work that has failed, as far as its failure says anything of the other side. */
export function failedWith({ class: kind, retryAfterMs }: Failure): SettledValue {
  const overloaded = kind === 'overloaded' || kind === 'rate_limited';
  const feedback = retryAfterMs === undefined ? null : { retryAfterMs, requests: null, tokens: null };
  return { ...abandoned, overloaded, feedback };
}
