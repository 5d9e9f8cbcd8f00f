/**
 * Failures of the units of a run with what is done about them, as their events record it.
 */
import { withRoomBeside, type Failure } from '../failure.js';
import {
  decideRemedy,
  mergedRemedies,
  tooLongFailure,
  type RemedyCase,
  type RemedyPolicy,
  type TakenRemedy,
} from '../remedies.js';
import type { RunState } from './state.js';

/** What an event tells of a failure. */
export interface ToldFailure {
  readonly failure: Failure;
  readonly remedy?: TakenRemedy;
}

/** What follows from a failure. */
export type Remedied =
  | { readonly tag: 'again'; readonly delayMs: number; readonly told: ToldFailure }
  | { readonly tag: 'over'; readonly told: ToldFailure };

/** See `decideRemedy`. About what was cancelled nothing is done. */
export function remedied(found: RemedyCase): Remedied {
  const { failure, leftMs } = found;
  if (failure.class === 'cancelled' && !failure.retryable) return { tag: 'over', told: { failure } };
  const decision = decideRemedy(found);
  const { remedy } = decision;
  if (decision.tag === 'again') return { tag: 'again', delayMs: decision.delayMs, told: told(failure, remedy) };
  const { tooLongMs } = decision;
  const cause = tooLongMs === null ? failure : tooLongFailure(failure, tooLongMs, leftMs ?? 0);
  return { tag: 'over', told: told(cause, remedy) };
}

function told(cause: Failure, remedy: TakenRemedy): ToldFailure {
  return { failure: withRoomBeside(cause, JSON.stringify(remedy).length + '"remedy":,'.length), remedy };
}

/** What is recorded of policies on top of each other: nothing where they say nothing. */
export function declaredRemedies(...policies: readonly (RemedyPolicy | undefined)[]): {
  readonly remedies?: RemedyPolicy;
} {
  const remedies = mergedRemedies(...policies);
  return Object.keys(remedies).length === 0 ? {} : { remedies };
}

/** Ms until the run has to be over, or the timer at `until` fires; null = neither is known. */
export function leftMsOf({ timeoutAt, units }: RunState, now: number, until: string | null = null): number | null {
  const timer = until === null ? undefined : units.get(until);
  const ends = [
    ...(timeoutAt === null ? [] : [timeoutAt]),
    ...(timer?.kind === 'timer' && timer.status === 'set' ? [timer.fireAt] : []),
  ];
  return ends.length === 0 ? null : Math.min(...ends) - now;
}
