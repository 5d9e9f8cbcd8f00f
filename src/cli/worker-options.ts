/** What a worker offers, out of flags. */
import { type Duration, parseDuration } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Manifest } from '../core/manifest.js';
import type { Flags } from './command.js';
import { didYouMean } from './suggest.js';

/** Slots of a worker, for `createWorker`. */
export function workerSlots(flags: Flags): { readonly slots?: number } {
  const slots = flags.number('slots');
  return slots === undefined ? {} : { slots };
}

/** How long a drain may take in all, of `--drain`. Fails with DURATION_INVALID. */
export function drainMsOf(flags: Flags): number {
  return parseDuration((flags.text('drain') ?? '30s') as Duration);
}

/** The part of a drain in which work may still be finished; the rest is for the last answers and the goodbye. */
export function drainGraceOf(drainMs: number): number {
  return Math.max(Math.floor(drainMs / 2), drainMs - drainEndMs);
}

/** Three last parts of a drain, each bounded, and some air. */
const drainEndMs = 3 * limits.drainAnswerMs + 1_000;

/** The subset of an app that a worker offers. Without names it is everything; unknown names are COMMAND_INVALID. */
export function offeredNames(
  names: readonly string[],
  manifest: Manifest,
): { readonly workflows?: readonly string[]; readonly capabilities?: readonly string[] } {
  if (names.length === 0) return {};
  const workflows = manifest.workflows.map((workflow) => workflow.name);
  const capabilities = manifest.capabilities.filter((one) => one.implemented).map((one) => one.name);
  const known = [...workflows, ...capabilities];
  for (const name of names) {
    if (known.includes(name)) continue;
    const reason = `The app "${manifest.app}" implements no "${name}"; there are ${known.join(', ')}.${didYouMean(name, known)}`;
    throw new SpineError('COMMAND_INVALID', { reason });
  }
  return {
    workflows: workflows.filter((name) => names.includes(name)),
    capabilities: capabilities.filter((name) => names.includes(name)),
  };
}
