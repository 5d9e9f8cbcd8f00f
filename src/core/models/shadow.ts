/**
 * Shadows: a version of a model that is asked beside the one that answers, with what that one was asked, so that it is known
 * how it would have done. Here is whom it is asked for, how much of it there may be, and what has come of it. Pure: whoever
 * keeps a state writes it with a compare-and-put.
 *
 * Invariant: a call holds its place, and the money that it may cost, from before it is made until its outcome is known or it
 * is given up for lost; so that no bound is exceeded by more than what calls cost beyond what was estimated of them.
 */
import type { FailureClass } from '../failure.js';
import { isoOf } from '../instant.js';
import { limits } from '../limits.js';
import type { ModelManifest, ShadowRule } from '../manifest.js';
import type { Hash } from '../ports.js';
import { boundedInterval, meanInterval, noSamples, withSample, type Interval, type Moments } from './evidence.js';
import type { AnswerComparison } from './answer-comparison.js';

/** What holds of a rule where nothing else is said. */
export const shadowDefaults: Omit<ShadowRule, 'version'> = { share: 0.1, concurrency: 2, perDayMicros: null };

/** Why there cannot be such a rule for a model; empty = there can. */
export function shadowFaults(
  { version, share, concurrency, perDayMicros }: ShadowRule,
  { versions }: Pick<ModelManifest, 'versions'>,
): string[] {
  const faults: string[] = [];
  const found = versions.find((one) => one.version === version);
  if (found === undefined)
    faults.push(`there is no version "${version}"; there are ${versions.map((one) => one.version).join(', ')}`);
  if (!(share > 0 && share <= 1)) faults.push('the share of a shadow is not above 0 and up to 1');
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= limits.shadowConcurrencyMax))
    faults.push(`the concurrency of a shadow is not an integer from 1 to ${limits.shadowConcurrencyMax}`);
  if (perDayMicros === null) return faults;
  if (!(Number.isSafeInteger(perDayMicros) && perDayMicros >= 0))
    faults.push('what a shadow may cost a day is not an amount of money');
  if (found?.price === null) faults.push(`version "${version}" has no price, so that no money can be counted of it`);
  return faults;
}

/** Whom a shadow may be asked for: an inference, whatever attempt of it is answered. */
export interface ShadowKey {
  readonly tenant: string;
  readonly run: string;
  readonly path: string;
}

/** The version that is asked beside `version`, where the inference is of the share; null = none. Always the same for these. */
export function shadowOf(
  { shadow }: Pick<ModelManifest, 'shadow'>,
  version: string,
  { tenant, run, path }: ShadowKey,
  hash: Hash,
): string | null {
  if (shadow === undefined || shadow.version === version) return null;
  const point = Number.parseInt(hash.sha256('shadow\0', tenant, '\0', run, '\0', path).slice(0, 8), 16) / 2 ** 32;
  return point < shadow.share ? shadow.version : null;
}

/** An answer that a shadow is asked beside. */
export interface ShadowedAnswer extends ShadowKey {
  readonly version: string;
  readonly attempt: number;
  /** `seq` of the answer in the history of its run. */
  readonly answer: number;
  readonly latencyMs: number;
  readonly costMicros: number;
}

/** A call that holds its place. */
export interface ShadowTicket {
  readonly id: string;
  readonly version: string;
  readonly of: ShadowedAnswer;
  /** What is set aside for it. */
  readonly costMicros: number;
  /** It is lost when nothing was heard of it until then, epoch ms. */
  readonly until: number;
}

/** Why there is no answer: `lost` where nothing was heard, `cancelled` where the worker was leaving. */
export type ShadowFailure = FailureClass | 'lost';

/** What a call of a shadow came to. */
export interface ShadowOutcome {
  readonly latencyMs: number;
  readonly costMicros: number;
  /** Null = there is an answer. */
  readonly failure: ShadowFailure | null;
  /** With what was answered; null = there is no answer. */
  readonly comparison: AnswerComparison | null;
}

interface Ratio {
  readonly n: number;
  readonly sum: number;
}

/** The same quantity of the shadow and of what it was asked beside, and their difference call by call. */
interface Paired {
  readonly shadow: Moments;
  readonly primary: Moments;
  readonly difference: Moments;
}

/** What the calls of one version have come to, beside one other. */
export interface ShadowTally {
  readonly version: string;
  readonly against: string;
  readonly answers: number;
  /** By class, with `lost`, and `cancelled` for what a worker gave up that was leaving. */
  readonly failures: Readonly<Record<string, number>>;
  /** What all of its calls have cost. */
  readonly spentMicros: number;
  readonly exact: Ratio;
  readonly json: Ratio;
  readonly similarity: Ratio;
  readonly tools: Ratio;
  readonly latency: Paired;
  readonly cost: Paired;
}

/** What is kept of the shadows of a model. */
export interface ShadowState {
  /** The day (UTC) that `spentMicros` is of. */
  readonly day: string;
  readonly spentMicros: number;
  readonly underWay: readonly ShadowTicket[];
  /** Those that were added to last, last. */
  readonly tallies: readonly ShadowTally[];
}

/** Of a model that never had a shadow. */
export const noShadow: ShadowState = { day: '', spentMicros: 0, underWay: [], tallies: [] };

/** What was spent on the day of `now`. A day never goes back to one before. */
export function spentOn({ day, spentMicros }: ShadowState, now: number): number {
  return dayOf(now) > day ? 0 : spentMicros;
}

function dayOf(now: number): string {
  return isoOf(now).slice(0, 'YYYY-MM-DD'.length);
}

/** With a call more; null = there is no room for it, or it was let in before. */
export function withTicket(
  state: ShadowState,
  ticket: ShadowTicket,
  { concurrency, perDayMicros }: ShadowRule,
  now: number,
): ShadowState | null {
  const { underWay } = state;
  if (underWay.length >= concurrency || underWay.some(({ id }) => id === ticket.id)) return null;
  const reserved = underWay.reduce((sum, { costMicros }) => sum + costMicros, 0);
  const spent = spentOn(state, now);
  if (perDayMicros !== null && spent + reserved + ticket.costMicros > perDayMicros) return null;
  return { ...state, underWay: [...underWay, ticket] };
}

/** After the outcome of a call that is under way. */
export function withOutcome(
  state: ShadowState,
  ticket: ShadowTicket,
  outcome: ShadowOutcome,
  now: number,
): ShadowState {
  const isOfPair = ({ version, against }: ShadowTally): boolean =>
    version === ticket.version && against === ticket.of.version;
  const tally = state.tallies.find(isOfPair) ?? emptyTally(ticket.version, ticket.of.version);
  const others = state.tallies.filter((one) => !isOfPair(one));
  const today = dayOf(now);
  return {
    day: today > state.day ? today : state.day,
    spentMicros: spentOn(state, now) + outcome.costMicros,
    underWay: state.underWay.filter(({ id }) => id !== ticket.id),
    tallies: [...others, added(tally, ticket.of, outcome)].slice(-limits.shadowTalliesMax),
  };
}

/** Whether nothing was heard of a call for too long. Also where the clock was set back since. */
export function isOverdue({ until }: ShadowTicket, now: number): boolean {
  return until <= now || until - now > patienceMs;
}

/** Longest time from the leave to call until it counts as lost: the call itself, and for its report to come in. */
const patienceMs = limits.shadowMsMax + limits.shadowReportMs;

/** Of a call of which nothing was heard. */
export const lostOutcome: ShadowOutcome = { latencyMs: 0, costMicros: 0, failure: 'lost', comparison: null };

/** The outcome with what is counted as its cost: where nobody knows whether it was paid, all that was set aside for it. */
export function settledOutcome(ticket: ShadowTicket, outcome: ShadowOutcome): ShadowOutcome {
  const { failure, costMicros } = outcome;
  if (failure === null || !maybePaid.has(failure)) return outcome;
  return { ...outcome, costMicros: Math.max(costMicros, ticket.costMicros) };
}

/** The provider may have answered all the same. */
const maybePaid: ReadonlySet<ShadowFailure> = new Set(['lost', 'cancelled', 'timeout', 'network']);

/** Where a share lies, and its interval at all times at once; null = nothing is known. */
export interface ShadowRatio {
  readonly n: number;
  readonly mean: number;
  readonly interval: Interval;
}

/** Means of both, and where the difference of the shadow from the other lies; null = too little is known. */
export interface ShadowDifference {
  readonly shadow: number;
  readonly primary: number;
  readonly difference: number;
  readonly interval: Interval | null;
}

/** What the calls of one version beside one other show. */
export interface ShadowEvidence
  extends Pick<ShadowTally, 'version' | 'against' | 'answers' | 'failures' | 'spentMicros'> {
  readonly exact: ShadowRatio | null;
  readonly json: ShadowRatio | null;
  readonly similarity: ShadowRatio | null;
  readonly tools: ShadowRatio | null;
  readonly latencyMs: ShadowDifference | null;
  readonly costMicros: ShadowDifference | null;
}

/** Each interval is wrong, at whatever time one looks, in at most `alpha` of all cases. */
export function evidenceOf(tally: ShadowTally, alpha: number): ShadowEvidence {
  const ratio = ({ n, sum }: Ratio): ShadowRatio | null =>
    n === 0 ? null : { n, mean: sum / n, interval: boundedInterval(n, sum, alpha) };
  const pair = ({ shadow, primary, difference }: Paired): ShadowDifference | null =>
    difference.n === 0
      ? null
      : {
          shadow: shadow.mean,
          primary: primary.mean,
          difference: difference.mean,
          interval: meanInterval(difference, alpha),
        };
  const { version, against, answers, failures, spentMicros, exact, json, similarity, tools, latency, cost } = tally;
  return {
    version,
    against,
    answers,
    failures,
    spentMicros,
    exact: ratio(exact),
    json: ratio(json),
    similarity: ratio(similarity),
    tools: ratio(tools),
    latencyMs: pair(latency),
    costMicros: pair(cost),
  };
}

const noRatio: Ratio = { n: 0, sum: 0 };
const noPairs: Paired = { shadow: noSamples, primary: noSamples, difference: noSamples };

function emptyTally(version: string, against: string): ShadowTally {
  const nothing = { answers: 0, failures: {}, spentMicros: 0, latency: noPairs, cost: noPairs };
  return { version, against, ...nothing, exact: noRatio, json: noRatio, similarity: noRatio, tools: noRatio };
}

function added(tally: ShadowTally, of: ShadowedAnswer, outcome: ShadowOutcome): ShadowTally {
  const { latencyMs, costMicros, failure, comparison } = outcome;
  const spentMicros = tally.spentMicros + costMicros;
  if (failure !== null || comparison === null) {
    const kind = failure ?? 'unknown';
    return { ...tally, spentMicros, failures: { ...tally.failures, [kind]: (tally.failures[kind] ?? 0) + 1 } };
  }
  const { exact, json, similarity, tools } = comparison;
  return {
    ...tally,
    spentMicros,
    answers: tally.answers + 1,
    exact: withRatio(tally.exact, exact),
    json: withRatio(tally.json, json),
    similarity: withRatio(tally.similarity, similarity),
    tools: withRatio(tally.tools, tools),
    latency: withPair(tally.latency, latencyMs, of.latencyMs),
    cost: withPair(tally.cost, costMicros, of.costMicros),
  };
}

function withRatio(ratio: Ratio, value: boolean | number | null): Ratio {
  return value === null ? ratio : { n: ratio.n + 1, sum: ratio.sum + Number(value) };
}

function withPair({ shadow, primary, difference }: Paired, a: number, b: number): Paired {
  return {
    shadow: withSample(shadow, a),
    primary: withSample(primary, b),
    difference: withSample(difference, a - b),
  };
}
