/**
 * The rollout of a new version in some worlds: workers are replaced by a newer build one after the other, while some may
 * stay, and old ones that die start again as what they were. In the end every version of a run has a worker that has it.
 */
import type { BuildName } from './manifest.js';
import type { Prng } from './prng.js';

/** When a worker is replaced, in world time, and by what. */
export interface Replacement {
  readonly atMs: number;
  readonly by: BuildName;
}

/** What becomes of each worker. */
export interface Rollout {
  /** What all of them are at first. */
  readonly first: BuildName;
  /** By worker; null = it stays what it is. */
  readonly replacements: readonly (Replacement | null)[];
}

/** A world without versions. */
export function noRollout(workers: number): Rollout {
  return { first: 'plain', replacements: Array.from({ length: workers }, () => null) };
}

/** A rollout between two times of the world. `bodies`: which of the workers run bodies at all. */
export function rolloutOf(
  prng: Prng,
  bodies: readonly boolean[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Rollout {
  // The old body may be left out only where a worker that has it stays.
  const staying = bodies.filter((runs) => runs).length > 1 && prng.chance(0.6) ? bodies.indexOf(true) : -1;
  const replacements = bodies.map((_, i): Replacement | null => {
    if (i === staying) return null;
    const by = staying >= 0 && prng.chance(0.5) ? 'new' : 'both';
    return { atMs: prng.between(fromMs, toMs), by };
  });
  return { first: 'old', replacements };
}
