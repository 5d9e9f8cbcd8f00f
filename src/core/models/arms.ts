/**
 * Which version of a model a run asks: by a stable hash of tenant, run and model, so that a run stays with its arm whatever
 * it asks, on whichever server, and after a crash.
 */
import type { ModelManifest, ModelVersionManifest } from '../manifest.js';
import type { Hash } from '../ports.js';

/** What a run is told apart by. */
export interface ArmKey {
  readonly tenant: string;
  readonly run: string;
  readonly model: string;
}

/** A number in [0, 1) that is always the same for these. */
export function shareOf({ tenant, run, model }: ArmKey, hash: Hash): number {
  return Number.parseInt(hash.sha256('arm\0', tenant, '\0', run, '\0', model).slice(0, 8), 16) / 2 ** 32;
}

/** The version whose part of the line from 0 to 1 has `share` in it; lines are divided by weight. */
export function versionOf({ versions }: Pick<ModelManifest, 'versions'>, share: number): ModelVersionManifest | null {
  const [first = null] = versions;
  const whole = versions.reduce((sum, { weight }) => sum + weight, 0);
  if (whole <= 0) return first;
  let at = share * whole;
  let last = first;
  for (const version of versions) {
    if (version.weight <= 0) continue;
    if (at < version.weight) return version;
    at -= version.weight;
    last = version;
  }
  return last;
}
