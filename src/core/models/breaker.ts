/**
 * Breakers: one for each endpoint, shared by all servers. Too many failures among the last calls open it, and nobody calls;
 * after a pause one call may probe, and what comes of it closes the breaker or opens it for a longer pause. After "Release
 * It!" (M. Nygard), with doubling pauses. Pure: whoever keeps a breaker writes it with a compare-and-put.
 *
 * Invariant: of one pause there is at most one probe at a time, and nothing is called while the breaker is open.
 */
import type { FailureClass } from '../failure.js';

/** When a breaker opens, and for how long. */
export interface BreakerRule {
  /** How far back calls count, ms. */
  readonly windowMs: number;
  /** Below this many calls in the window nothing is concluded from them. */
  readonly callsMin: number;
  /** Failures among the calls of the window that open the breaker, from 0 to 1. */
  readonly failureRatio: number;
  /** The first pause; each further one is twice as long, up to the last. */
  readonly openMs: number;
  readonly openMsMax: number;
  /** A probe of which nothing is heard for so long is given up. */
  readonly probeMs: number;
}

export const defaultBreakerRule: BreakerRule = {
  windowMs: 30_000,
  callsMin: 10,
  failureRatio: 0.5,
  openMs: 5_000,
  openMsMax: 300_000,
  probeMs: 120_000,
};

/** Calls that have ended. */
export interface CallCounts {
  readonly calls: number;
  readonly failures: number;
}

/** Calls of a part of the window. */
interface Slice extends CallCounts {
  readonly at: number;
}

export type Breaker =
  | { readonly state: 'closed'; readonly slices: readonly Slice[] }
  /** Not to be called before `probeAt`. `pauses`: how many there were one after the other. */
  | { readonly state: 'open'; readonly since: number; readonly probeAt: number; readonly pauses: number }
  /** One call probes; whoever has the name `probe` makes it. */
  | {
      readonly state: 'half-open';
      readonly since: number;
      readonly probe: string;
      readonly probeUntil: number;
      readonly pauses: number;
    };

/** Of an endpoint that was never called. */
export const closedBreaker: Breaker = { state: 'closed', slices: [] };

/** Parts of a window; a breaker forgets its calls one part at a time. */
const slicesPerWindow = 10;

/** The breaker after calls that were made while it was closed. One that is not takes no notice: only its probe counts. */
export function withCalls(breaker: Breaker, counts: CallCounts, now: number, rule: BreakerRule): Breaker {
  if (breaker.state !== 'closed' || counts.calls === 0) return breaker;
  const slices = addedTo(keptSlices(breaker.slices, now, rule), counts, now, rule);
  const calls = slices.reduce((sum, slice) => sum + slice.calls, 0);
  const failures = slices.reduce((sum, slice) => sum + slice.failures, 0);
  return calls >= rule.callsMin && failures >= calls * rule.failureRatio
    ? openedBreaker(1, now, rule)
    : { state: 'closed', slices };
}

/** What lies in the window. A clock that was set back leaves slices in the future: they are as good as those of now. */
function keptSlices(slices: readonly Slice[], now: number, { windowMs }: BreakerRule): Slice[] {
  return slices
    .filter(({ at }) => at > now - windowMs)
    .map((slice) => (slice.at > now ? { ...slice, at: now } : slice));
}

function addedTo(slices: readonly Slice[], { calls, failures }: CallCounts, now: number, rule: BreakerRule): Slice[] {
  const last = slices.at(-1);
  if (last === undefined || now - last.at >= rule.windowMs / slicesPerWindow)
    return [...slices, { at: now, calls, failures }];
  return [...slices.slice(0, -1), { at: last.at, calls: last.calls + calls, failures: last.failures + failures }];
}

function openedBreaker(pauses: number, now: number, { openMs, openMsMax }: BreakerRule): Breaker {
  const pauseMs = Math.min(openMsMax, openMs * 2 ** Math.min(pauses - 1, 30));
  return { state: 'open', since: now, probeAt: now + pauseMs, pauses };
}

/** When a breaker that is not closed has its next probe; null = it is closed, and calls go through. */
export function probeTime(breaker: Breaker, now: number, { openMsMax, probeMs }: BreakerRule): number | null {
  // Bounds, in case the clock was set back since.
  if (breaker.state === 'open') return Math.min(breaker.probeAt, now + openMsMax);
  return breaker.state === 'half-open' ? Math.min(breaker.probeUntil, now + probeMs) : null;
}

/** The breaker with a probe of this name; null = there can be none now. */
export function withProbe(breaker: Breaker, probe: string, now: number, rule: BreakerRule): Breaker | null {
  const at = probeTime(breaker, now, rule);
  if (breaker.state === 'closed' || at === null || at > now) return null;
  return { state: 'half-open', since: breaker.since, probe, probeUntil: now + rule.probeMs, pauses: breaker.pauses };
}

/** The breaker after its probe; another that has been given up changes nothing. */
export function afterProbe(breaker: Breaker, probe: string, isGood: boolean, now: number, rule: BreakerRule): Breaker {
  if (breaker.state !== 'half-open' || breaker.probe !== probe) return breaker;
  return isGood ? closedBreaker : openedBreaker(breaker.pauses + 1, now, rule);
}

/** The breaker when nothing can be said of its probe: somebody else may probe at once. */
export function withoutProbe(breaker: Breaker, probe: string, now: number): Breaker {
  if (breaker.state !== 'half-open' || breaker.probe !== probe) return breaker;
  return { state: 'open', since: breaker.since, probeAt: now, pauses: breaker.pauses };
}

/** Nothing is in the window any more, so that it says nothing that an absent breaker would not. */
export function isIdle(breaker: Breaker, now: number, rule: BreakerRule): boolean {
  return breaker.state === 'closed' && keptSlices(breaker.slices, now, rule).every(({ failures }) => failures === 0);
}

/** Failures that say something of the endpoint, and not of what it was asked. */
const faults: ReadonlySet<FailureClass> = new Set(['overloaded', 'timeout', 'network', 'internal', 'dependency']);

/** What a failed call says of its endpoint: it is `bad`, or it has answered; null = nothing can be said. */
export function endpointSays(kind: FailureClass): 'bad' | 'good' | null {
  if (faults.has(kind)) return 'bad';
  return kind === 'cancelled' || kind === 'unknown' ? null : 'good';
}
