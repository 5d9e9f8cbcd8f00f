/**
 * What the runs of an arm have come to, in numbers that can be added up, and what they say of one arm against another.
 *
 * Invariant: adding up tallies in any order gives the tally of all their samples.
 */
import {
  boundedInterval,
  differenceInterval,
  isShown,
  meanInterval,
  mergedMoments,
  noSamples,
  withSample,
  type Interval,
  type Moments,
} from './evidence.js';

/** Of one version of a model. */
export interface ArmTally {
  /** Inferences that have ended: with an answer, or for good without one. */
  readonly inferences: number;
  readonly failures: number;
  /** Of answers, ms and micro-units. */
  readonly latency: Moments;
  readonly cost: Moments;
  /** What users and bodies made of it, from 0 to 1. */
  readonly scores: { readonly n: number; readonly sum: number };
}

export const emptyTally: ArmTally = {
  inferences: 0,
  failures: 0,
  latency: noSamples,
  cost: noSamples,
  scores: { n: 0, sum: 0 },
};

export function withAnswer(tally: ArmTally, durationMs: number, costMicros: number): ArmTally {
  return {
    ...tally,
    inferences: tally.inferences + 1,
    latency: withSample(tally.latency, durationMs),
    cost: withSample(tally.cost, costMicros),
  };
}

export function withFailure(tally: ArmTally): ArmTally {
  return { ...tally, inferences: tally.inferences + 1, failures: tally.failures + 1 };
}

/** `score` from 0 to 1. */
export function withScore(tally: ArmTally, score: number): ArmTally {
  return { ...tally, scores: { n: tally.scores.n + 1, sum: tally.scores.sum + score } };
}

export function mergedTally(a: ArmTally, b: ArmTally): ArmTally {
  return {
    inferences: a.inferences + b.inferences,
    failures: a.failures + b.failures,
    latency: mergedMoments(a.latency, b.latency),
    cost: mergedMoments(a.cost, b.cost),
    scores: { n: a.scores.n + b.scores.n, sum: a.scores.sum + b.scores.sum },
  };
}

/** A quantity of one arm less that of the one it is compared with. */
export interface Comparison {
  readonly of: 'failures' | 'score' | 'latencyMs' | 'costMicros';
  readonly difference: number;
  /** Where the difference lies, however often one has looked; null = too little is known. */
  readonly interval: Interval | null;
  /** Whether there is a difference at all, with this much evidence. */
  readonly isShown: boolean;
}

/** What is known of an arm against another. Quantities of which either arm has nothing are left out. */
export function compareArms(arm: ArmTally, against: ArmTally, alpha: number): Comparison[] {
  const half = alpha / 2;
  const bounded = (n: number, sum: number): Sampled => ({ n, mean: sum / n, interval: boundedInterval(n, sum, half) });
  const free = (moments: Moments): Sampled => ({ ...moments, interval: meanInterval(moments, half) });
  const failures = ({ inferences, failures: sum }: ArmTally): Sampled => bounded(inferences, sum);
  const scores = ({ scores: { n, sum } }: ArmTally): Sampled => bounded(n, sum);
  return [
    comparison('failures', failures(arm), failures(against)),
    comparison('score', scores(arm), scores(against)),
    comparison('latencyMs', free(arm.latency), free(against.latency)),
    comparison('costMicros', free(arm.cost), free(against.cost)),
  ].filter((one) => one !== null);
}

interface Sampled {
  readonly n: number;
  readonly mean: number;
  readonly interval: Interval | null;
}

function comparison(of: Comparison['of'], a: Sampled, b: Sampled): Comparison | null {
  if (a.n === 0 || b.n === 0) return null;
  const interval = a.interval === null || b.interval === null ? null : differenceInterval(a.interval, b.interval);
  return { of, difference: a.mean - b.mean, interval, isShown: interval !== null && isShown(interval) };
}
