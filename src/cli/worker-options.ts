/** What a worker offers, out of flags. */
import { SpineError } from '../core/errors.js';
import type { Manifest } from '../core/manifest.js';
import type { Flags } from './command.js';
import { didYouMean } from './suggest.js';

/** Slots of a worker, for `createWorker`. */
export function workerSlots(flags: Flags): { readonly slots?: number } {
  const slots = flags.number('slots');
  return slots === undefined ? {} : { slots };
}

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
