/** What models and inferences say of answers that are kept, and when they may be kept at all. */
import type { Duration } from '../../core/duration.js';
import type { CacheAsk } from '../../core/run/inference.js';
import type { OptionFaults } from '../options.js';
import type { Tool } from './tool.js';

/** For how long an answer serves again, where the same is asked in the same tenant. */
export interface CacheOptions {
  /** How old an answer may be that takes the place of a call, and how long a new one is kept. */
  readonly ttl: Duration;
}

/** Longest time that an answer is kept: 400 days, ms. */
const keepMsMax = 400 * 24 * 60 * 60_000;

/** Reads the option; `fallback` where it is absent, null where it is `false`. */
export function readCache(
  given: CacheOptions | false | undefined,
  faults: OptionFaults,
  fallback: CacheAsk | null,
): CacheAsk | null {
  if (given === undefined) return fallback;
  if (given === false) return null;
  if (typeof given !== 'object' || given === null) {
    faults.add('cache must be { ttl: ... }, or false');
    return null;
  }
  for (const name of Object.keys(given)) if (name !== 'ttl') faults.add(`cache: "${name}" is not an option`);
  if (given.ttl === undefined) faults.add('cache needs a ttl, such as "1h"');
  const ttlMs = readAge(faults, 'cache.ttl', given.ttl);
  return { freshMs: ttlMs, keepMs: ttlMs };
}

/** An age up to which answers serve, ms. */
export function readAge(faults: OptionFaults, option: string, given: Duration | undefined): number {
  const ms = faults.duration(option, given, 0, 1);
  if (ms > keepMsMax) faults.add(`${option} must be 400 days at most`);
  return ms;
}

/** The first tool that has an external effect: an answer from before would ask for it once more. */
export function externalTool(tools: ReadonlyMap<string, Tool>): string | null {
  for (const [name, { work }] of tools) {
    const effect = work.kind === 'step' ? work.effect : work.capability.effect;
    if (effect === 'external') return name;
  }
  return null;
}
