/**
 * Tickets: what stands, in the store, for work that limits concern. A ticket is an entry of the run that wants the work; it
 * waits, is granted by admission, and is settled when it is known what came of the work. Each of these is written in the
 * transition of the run that brings it about, so that no limit ever counts what no run knows of, or the other way round.
 *
 * Invariant: at any time a ticket is in one phase at most. It is settled at most once, and only after it was granted.
 */
import type { Feedback } from '../admission/feedback.js';
import type { Settlement } from '../admission/ledger.js';
import type { Failure } from '../failure.js';
import { limits } from '../limits.js';
import type { InferenceAsk, TokenUsage } from './inference.js';
import type { InferenceUnit, RunState, Unit } from './state.js';
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

/** A hold that is over since event `ended`, and what it was. */
export interface PastHold {
  readonly phase: 'ended';
  readonly was: Hold['phase'];
  readonly ended: number;
}

/** What the entry of a ticket that waits holds, beside what its keys say: all that admission has to know of the work. */
export type TicketValue = {
  readonly path: string;
  readonly attempt: number;
  readonly workflow: string;
  /** Sorts tickets of one tenant that draw on the same counters: smaller goes first. */
  readonly order: string;
  readonly since: number;
  readonly notBefore: number | null;
} & (
  | {
      readonly kind: 'call';
      readonly task: string;
      readonly capability: string;
      /** Limits that the capability names. */
      readonly limits: readonly string[];
    }
  | {
      readonly kind: 'inference';
      readonly priority: number;
      /** `seq` of the first request of the path. */
      readonly first: number;
      /** Version of the model that is asked; null = what admission finds. */
      readonly pinned: string | null;
      readonly ask: InferenceAsk;
    }
);

/** What the entry of a settled ticket holds. How long the work was held is known to whoever has granted it. */
export type SettledValue = Omit<Settlement, 'heldMs'>;

/** The name of a ticket within its tenant. It begins with the run and a slash. */
export function ticketRef(run: string, name: string): string {
  return `${run}/${name}`;
}

/** The run whose ticket it is. */
export function runOfTicket(ref: string): string {
  return ref.slice(0, ref.indexOf('/'));
}

/** As tasks in a queue: the higher priority, then the run that was started first. */
function orderOf(priority: number, startedAt: number, seq: number): string {
  return `${limits.priorityMax - priority}/${orderedText(startedAt)}/${orderedText(seq)}`;
}

/** What of a run its tickets are made of. */
type Owner = Pick<RunState, 'run' | 'workflow' | 'priority' | 'startAt' | 'startedAt'>;
type CallUnit = Extract<Unit, { readonly kind: 'call' }>;

/** The entry of a call that waits for admission, or has it. Null = limits do not concern it, or no longer. */
export function ticketOf(state: Owner, path: string, unit: CallUnit): WaitEntry | null {
  const { hold, attempt } = unit;
  if (hold === null || (unit.status !== 'scheduled' && unit.status !== 'retrying')) return null;
  return entryOf(state, path, unit, hold.phase, attempt);
}

/** Tickets of the run that wait, with the paths of their units. */
export function waitingTickets(state: RunState): { readonly path: string; readonly entry: WaitEntry }[] {
  const found: { readonly path: string; readonly entry: WaitEntry }[] = [];
  for (const [path, unit] of state.units) {
    const entry =
      unit.kind === 'call'
        ? ticketOf(state, path, unit)
        : unit.kind === 'inference'
          ? inferenceTicketOf(state, path, unit)
          : null;
    if (entry?.key === 'waiting') found.push({ path, entry });
  }
  return found;
}

/** The entry of an attempt in a phase that it is or was in. */
export function entryOf(
  { run, workflow, startAt, startedAt }: Owner,
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
    order: orderOf(priority, startAt ?? startedAt, call.inputSeq),
    since: hold?.since ?? 0,
    notBefore: hold?.notBefore ?? null,
  };
  return { space: ticketSpace, key: phase, ref: ticketRef(run, `${task}.${attempt}`), value: JSON.stringify(value) };
}

/** The entry of an inference that waits for admission, or has it. Null = limits do not concern it, or no longer. */
export function inferenceTicketOf(state: Owner, path: string, unit: InferenceUnit): WaitEntry | null {
  const { hold, status } = unit;
  if (hold === null || hold.phase === 'ended') return null;
  const isOpen = hold.phase === 'waiting' ? status === 'held' : status === 'admitted' || status === 'begun';
  return isOpen ? inferenceEntry(state, path, unit, hold.phase, hold.since) : null;
}

/** The entry of the present attempt of an inference, in a phase that it is or was in. */
export function inferenceEntry(
  { run, workflow, priority, startAt, startedAt }: Owner,
  path: string,
  { attempt, first, request, version, ask }: InferenceUnit,
  phase: Hold['phase'],
  since: number,
): WaitEntry {
  const value: TicketValue = {
    kind: 'inference',
    path,
    attempt,
    workflow,
    order: orderOf(priority, startAt ?? startedAt, request),
    since,
    notBefore: null,
    priority,
    first,
    pinned: version,
    ask,
  };
  return { space: ticketSpace, key: phase, ref: ticketRef(run, `i${request}`), value: JSON.stringify(value) };
}

/** The hold as it is when nothing more is to come of the attempt, by event `seq`. */
export function endedHold(hold: InferenceUnit['hold'], seq: number): InferenceUnit['hold'] {
  return hold === null || hold.phase === 'ended' ? hold : { phase: 'ended', was: hold.phase, ended: seq };
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
export function answered(firstPartMs: number | null, feedback: Feedback | null): SettledValue {
  return { ...abandoned, firstPartMs, feedback };
}

/** Of an inference that has given an answer. */
export function answeredWith(
  usage: TokenUsage,
  costMicros: number,
  firstPartMs: number | null,
  feedback: Feedback | null,
): SettledValue {
  return { ...answered(firstPartMs, feedback), tokens: usage.inputTokens + usage.outputTokens, costMicros };
}

/** Of an inference that has failed. What was refused has used nothing; of all else it is known, or nobody knows. */
export function inferenceFailedWith(
  failure: Failure,
  usage: TokenUsage | null,
  costMicros: number,
  feedback: Feedback | null,
): SettledValue {
  const failed = failedWith(failure, feedback);
  if (usage !== null) return { ...failed, tokens: usage.inputTokens + usage.outputTokens, costMicros };
  return failed.overloaded ? { ...failed, tokens: 0, costMicros: 0 } : failed;
}

/** Of work that has failed, as far as its failure says anything of the other side. */
export function failedWith(failure: Failure, feedback: Feedback | null): SettledValue {
  return { ...abandoned, overloaded: isRefusal(failure), feedback: saidWith(failure, feedback) };
}

/** Whether the other side had no room for it. */
export function isRefusal({ class: kind }: Pick<Failure, 'class'>): boolean {
  return kind === 'overloaded' || kind === 'rate_limited';
}

/** What was said by headers, or in the words of the failure. */
export function saidWith({ retryAfterMs }: Failure, feedback: Feedback | null): Feedback | null {
  const said = feedback ?? { retryAfterMs: null, requests: null, tokens: null };
  if (retryAfterMs === undefined || said.retryAfterMs !== null) return feedback;
  return { ...said, retryAfterMs };
}
