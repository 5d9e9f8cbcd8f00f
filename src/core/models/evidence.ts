/**
 * Evidence of a difference between two arms that may be looked at as often as one likes: confidence sequences, which hold at
 * all sample sizes at once, so that whoever looks after each sample and stops when it pleases is wrong no more often than
 * whoever looks one time. Two of them:
 *
 * - of quantities from 0 to 1 (failures, scores): the mixture SPRT of H. Robbins ("Statistical methods related to the law of
 *   the iterated logarithm", 1970) with a beta mixture, by Ville's inequality; exact at any number of samples, also for
 *   quantities between 0 and 1 (S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic
 *   confidence sequences", 2021).
 * - of others (latency, cost): the asymptotic confidence sequence of I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy and
 *   A. Ramdas ("Time-uniform central limit theory and asymptotic confidence sequences", 2021); nothing is said before
 *   `samplesMin`.
 *
 * A difference is shown when the sequences of both arms, each at half of alpha, lie apart (use in tests of products: R. Johari,
 * P. Koomen, L. Pekelis, D. Walsh, "Always Valid Inference", 2015).
 */

/** What is kept of samples of any size: how many, their mean, and the sum of squared deviations from it. */
export interface Moments {
  readonly n: number;
  readonly mean: number;
  readonly m2: number;
}

export const noSamples: Moments = { n: 0, mean: 0, m2: 0 };

/** With one sample more (B. Welford, 1962). */
export function withSample({ n, mean, m2 }: Moments, x: number): Moments {
  const delta = x - mean;
  const next = mean + delta / (n + 1);
  return { n: n + 1, mean: next, m2: m2 + delta * (x - next) };
}

/** Both together (T. Chan, G. Golub, R. LeVeque, 1979). */
export function mergedMoments(a: Moments, b: Moments): Moments {
  const n = a.n + b.n;
  if (n === 0) return noSamples;
  const delta = b.mean - a.mean;
  return { n, mean: a.mean + (delta * b.n) / n, m2: a.m2 + b.m2 + (delta * delta * a.n * b.n) / n };
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Where the mean of quantities from 0 to 1 lies: of `n` of them with this sum. */
export function boundedInterval(n: number, sum: number, alpha: number): Interval {
  if (n === 0) return { low: 0, high: 1 };
  const mean = Math.min(1, Math.max(0, sum / n));
  const bound = evidenceBound(n, sum, alpha);
  const isOut = (p: number): boolean => sum * Math.log(p) + (n - sum) * Math.log(1 - p) < bound;
  return { low: edge(0, mean, isOut), high: edge(1, mean, isOut) };
}

/** Log of the likelihood below which a mean is ruled out: that of the beta(1/2, 1/2) mixture, times alpha. */
function evidenceBound(n: number, sum: number, alpha: number): number {
  return logBeta(sum + 0.5, n - sum + 0.5) - logBeta(0.5, 0.5) + Math.log(alpha);
}

/** Between a bound and the mean, which is never ruled out: the last that is. The likelihood rises towards the mean. */
function edge(bound: number, mean: number, isOut: (p: number) => boolean): number {
  let [out, inside] = [bound, mean];
  for (let i = 0; i < halvings; i++) {
    const middle = (out + inside) / 2;
    if (isOut(middle)) out = middle;
    else inside = middle;
  }
  return out;
}

const halvings = 40;

/** Samples before which nothing is said of a mean without bounds. */
export const samplesMin = 50;

/** Where the mean of quantities of any size lies; null = there are too few of them. */
export function meanInterval({ n, mean, m2 }: Moments, alpha: number): Interval | null {
  if (n < samplesMin) return null;
  const variance = m2 / (n - 1);
  // Tightest at `tightestAt` samples (Waudby-Smith et al., appendix), and wider before and after.
  const rho2 = (-2 * Math.log(alpha) + Math.log(-2 * Math.log(alpha)) + 1) / tightestAt;
  const spread = n * rho2 + 1;
  const radius = Math.sqrt(variance) * Math.sqrt((2 * spread * Math.log(Math.sqrt(spread) / alpha)) / (n * n * rho2));
  return { low: mean - radius, high: mean + radius };
}

const tightestAt = 500;

/** Where the difference of two means lies, from where each of them lies. */
export function differenceInterval(a: Interval, b: Interval): Interval {
  return { low: a.low - b.high, high: a.high - b.low };
}

/** Whether an interval of a difference shows that there is one. */
export function isShown({ low, high }: Interval): boolean {
  return low > 0 || high < 0;
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** Stirling's series (Abramowitz and Stegun 6.1.41), above 8 good to ten digits; below by the recurrence. */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  while (z < 8) {
    shift += Math.log(z);
    z += 1;
  }
  const series = 1 / (12 * z) - 1 / (360 * z ** 3) + 1 / (1_260 * z ** 5) - 1 / (1_680 * z ** 7);
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
