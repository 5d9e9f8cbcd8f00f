/**
 * Remedies: what is done about a failure, by its class and by what was declared. One decision for steps, calls and
 * inferences, so that whoever reads a history finds the same words for the same thing.
 *
 * Invariant: pure and bounded. A remedy that tries again counts in the attempts of the retry policy; what asks otherwise
 * (`reroute`, `compact`, `fallback`) is done where the failure is told, and only where whoever failed has said that it can be.
 */
import { SpineError } from './errors.js';
import { failure, failureClasses, type Failure, type FailureClass } from './failure.js';
import { decideRetry, type RetryPolicy } from './retry.js';

/** All of them, for checks. */
export const remedies = ['wait', 'retry', 'reroute', 'compact', 'fallback', 'repair', 'quarantine', 'person'] as const;

/**
 * What is done about a failure. `wait`: another attempt after exactly the pause that was asked for; `retry`: another attempt
 * after a pause that grows; `reroute`: a version of the model, or a model of the chain, with a larger window is asked;
 * `compact`: the same model is asked for less; `fallback`: the next of the chain is asked now, whatever attempts are left;
 * `repair`: the model is told what is wrong with its answer; `quarantine`: it has failed, and nobody else is asked; `person`:
 * nothing more is done without a person.
 */
export type Remedy = (typeof remedies)[number];

/** A remedy, or what suits the failure. */
export type RemedyChoice = 'auto' | Remedy;

/** All of them, for checks. */
export const remedyChoices: readonly RemedyChoice[] = ['auto', ...remedies];

/** What is declared for some classes of failures; for all others it is `auto`. */
export type RemedyPolicy = { readonly [Class in FailureClass]?: RemedyChoice };

/** Whom a larger request can be put to: a version of the same model, or another model of the chain. */
export type Rerouting = { readonly version: string } | { readonly model: string };

/** What can be done where something has failed, beside another attempt. */
export interface Remediable {
  readonly reroute?: Rerouting;
  readonly compact?: true;
  readonly fallback?: true;
}

/** A remedy as it is recorded in the event that takes it; the failure in the same event has class, confidence and reason. */
export interface TakenRemedy {
  readonly name: Remedy;
  /** Of a reroute: whom it goes to. */
  readonly version?: string;
  readonly model?: string;
  /** Of `person`, where that was declared: what would be done if a person agrees. */
  readonly proposed?: Omit<TakenRemedy, 'proposed'>;
}

/** Codes of failures of which nobody knows what has happened: a person says first what became of it, whatever is declared. */
export const ambiguousCodes: ReadonlySet<string> = new Set(['INFERENCE_AMBIGUOUS', 'EFFECT_AMBIGUOUS']);

/** A failure with all that its remedy depends on. */
export interface RemedyCase {
  readonly failure: Failure;
  readonly choice: RemedyChoice;
  readonly retry: RetryPolicy;
  /** The attempt that has failed, counted from 1. */
  readonly attempt: number;
  readonly can: Remediable;
  /** Ms until nobody wants it any more; null = that is not known. */
  readonly leftMs: number | null;
  /** In [0, 1). */
  readonly random: number;
}

export type RemedyDecision =
  | { readonly tag: 'again'; readonly delayMs: number; readonly remedy: TakenRemedy }
  /** Another attempt is not made. `tooLongMs`: since the pause that was asked for is longer than there is time. */
  | { readonly tag: 'over'; readonly remedy: TakenRemedy; readonly tooLongMs: number | null };

/** What follows from a failure: the first that can be carried out of what was declared, and of what suits it. */
export function decideRemedy(found: RemedyCase): RemedyDecision {
  const { failure: cause, choice } = found;
  if (ambiguousCodes.has(cause.code)) return over({ name: 'person' });
  if (choice === 'person') return over(asked(found));
  const suiting = suitingRemedies(cause);
  const order = choice === 'auto' ? suiting : [choice, ...suiting.filter((one) => one !== choice)];
  let tooLongMs: number | null = null;
  for (const name of order) {
    const taken = carriedOut(name, found);
    if (taken === null) continue;
    if (taken.tag === 'over') return { ...taken, tooLongMs };
    if (found.leftMs === null || taken.delayMs < found.leftMs || !isTold(cause)) return taken;
    tooLongMs = taken.delayMs;
  }
  return { tag: 'over', remedy: { name: 'person' }, tooLongMs };
}

/** What suits a failure, best first. A retry that can never succeed costs and may do harm, so it is not among them. */
function suitingRemedies({ class: kind, retryable, retryAfterMs = 0 }: Failure): readonly Remedy[] {
  const again: readonly Remedy[] = !retryable ? [] : retryAfterMs > 0 ? ['wait'] : ['retry'];
  switch (kind) {
    case 'context_length_exceeded':
      return ['reroute', 'compact', ...again, 'fallback'];
    case 'payload_too_large':
      return ['compact', ...again, 'fallback'];
    case 'poison':
      return retryable ? [...again, 'fallback'] : ['quarantine'];
    default:
      return [...again, 'fallback'];
  }
}

/** Null = it cannot be done, or no longer. */
function carriedOut(name: Remedy, found: RemedyCase): RemedyDecision | null {
  const { can } = found;
  switch (name) {
    case 'wait':
    case 'retry':
      return again(name, found);
    case 'reroute':
      return can.reroute === undefined ? null : over({ name, ...can.reroute });
    case 'compact':
      return can.compact === undefined ? null : over({ name });
    case 'fallback':
      return can.fallback === undefined ? null : over({ name });
    case 'repair':
      // That was done, where it could be, before the answer was a failure.
      return null;
    case 'quarantine':
    case 'person':
      return over({ name });
  }
}

function over(remedy: TakenRemedy): RemedyDecision {
  return { tag: 'over', remedy, tooLongMs: null };
}

/** What was declared may try again what nobody would. */
function again(name: 'wait' | 'retry', { failure: cause, retry, attempt, random }: RemedyCase): RemedyDecision | null {
  const next = decideRetry(retry, attempt, { ...cause, retryable: true }, random);
  if (next.tag === 'exhausted') return null;
  const told = cause.retryAfterMs ?? 0;
  return { tag: 'again', delayMs: name === 'wait' && told > 0 ? told : next.delayMs, remedy: { name } };
}

function isTold({ retryAfterMs = 0 }: Failure): boolean {
  return retryAfterMs > 0;
}

function asked(found: RemedyCase): TakenRemedy {
  const proposed = decideRemedy({ ...found, choice: 'auto', leftMs: null }).remedy;
  return proposed.name === 'person' ? { name: 'person' } : { name: 'person', proposed };
}

/** Why nobody waits for as long as was asked for: there is no time for that. */
export function tooLongFailure(cause: Failure, pauseMs: number, leftMs: number): Failure {
  const { code, message } = new SpineError('PAUSE_TOO_LONG', { pauseMs, leftMs, message: cause.message });
  return failure({ ...cause, code, message, retryable: false });
}

/** True for what has the shape of a policy. */
export function isRemedyPolicy(value: unknown): value is RemedyPolicy {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(
    ([name, choice]) =>
      (failureClasses as readonly string[]).includes(name) && (remedyChoices as readonly unknown[]).includes(choice),
  );
}

/** Policies on top of each other: the later ones count. */
export function mergedRemedies(...policies: readonly (RemedyPolicy | undefined)[]): RemedyPolicy {
  return Object.assign({}, ...policies) as RemedyPolicy;
}

/** What is declared for a class. */
export function choiceFor(policy: RemedyPolicy | undefined, failureClass: FailureClass): RemedyChoice {
  return policy?.[failureClass] ?? 'auto';
}

/** In words, for records and people: `reroute to large`. */
export function remedyText({ name, version, model, proposed }: TakenRemedy): string {
  const to = version ?? model;
  const said = to === undefined ? name : `${name} to ${to}`;
  return proposed === undefined ? said : `${said} (proposed: ${remedyText(proposed)})`;
}
