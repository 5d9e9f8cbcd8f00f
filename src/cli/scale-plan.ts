/**
 * How many workers a machine should run, over time. Up at once, down only when nothing has asked for as many during a
 * whole window: the answer is the most that was wanted within the window. Pure; the supervisor feeds it with what it
 * measures. Invariant: the answer is one of the numbers wanted lately, so it lies within the bounds that they lie in,
 * and a demand that swings faster than the window moves it only up.
 */

/** What was wanted, and when. Instants never go back. */
export interface Wanted {
  readonly atMs: number;
  readonly workers: number;
}

/** What a plan remembers: instants rise, numbers fall, because whatever is older and smaller can never be the most. */
export type WantedLately = readonly Wanted[];

/** Takes a number in. `windowMs` 0 forgets everything before. */
export function remember(lately: WantedLately, now: Wanted, windowMs: number): WantedLately {
  const kept = lately.filter(({ atMs, workers }) => now.atMs - atMs < windowMs && workers > now.workers);
  return [...kept, now];
}

/** The most that was wanted lately: how many should run now. */
export function planned(lately: WantedLately): number {
  return lately[0]?.workers ?? 0;
}
