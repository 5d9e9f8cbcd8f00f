/**
 * Which model of triage an installation goes by, as operators have set it: the one in force, the one in its shadow, and those that
 * were in force before. Pure.
 *
 * Invariant: the version of the model in the shadow is no other's that is known here, so that two verdicts can be told apart.
 */
import { fromBase64 } from '../base64.js';
import { failureClasses } from '../failure.js';
import { limits } from '../limits.js';
import { bucketCount } from './features.js';
import { modelData } from './model-data.js';
import type { ModelData } from './model.js';

/** A model by its name: what is the same has the same hash. */
export interface TriageModelName {
  readonly version: number;
  /** sha-256 of its data, in hex. */
  readonly hash: string;
}

/** What operators have said last; null = the model that is shipped, and none in the shadow. */
export interface TriageSetting {
  readonly inForce: TriageModelName | null;
  readonly shadow: TriageModelName | null;
  /** In force before, the last of them last. */
  readonly past: readonly (TriageModelName | null)[];
  readonly by: string;
  /** Epoch ms. */
  readonly at: number;
}

/** What operators do. */
export type TriageChange =
  /** A model is asked beside the one in force, or none is. */
  | { readonly change: 'shadow'; readonly model: TriageModelName | null }
  /** The model in the shadow is in force from now on. */
  | { readonly change: 'promote' }
  /** What was in force before the last promotion is again. */
  | { readonly change: 'rollback' };

/** Of an installation in which nobody has set anything. */
export const shippedTriage: TriageSetting = { inForce: null, shadow: null, past: [], by: '', at: 0 };

/** The setting after a change; a text = why it cannot be made. */
export function changedTriage(
  setting: TriageSetting,
  order: TriageChange,
  by: string,
  at: number,
): TriageSetting | string {
  const { inForce, shadow, past } = setting;
  switch (order.change) {
    case 'shadow': {
      const { model } = order;
      if (model === null) return { ...setting, shadow: null, by, at };
      if (model.hash === inForce?.hash) return `version ${model.version} is in force already`;
      const others = [
        { version: modelData.version },
        ...past.filter((one) => one !== null),
        ...(inForce === null ? [] : [inForce]),
      ];
      if (others.some((one) => one.version === model.version && !('hash' in one && one.hash === model.hash)))
        return `there is another model of version ${model.version}; train this one with another --version`;
      return { ...setting, shadow: model, by, at };
    }
    case 'promote':
      return shadow === null
        ? 'no model is in the shadow'
        : { inForce: shadow, shadow: null, past: [...past, inForce].slice(-limits.triagePastMax), by, at };
    case 'rollback': {
      const before = past.at(-1);
      return before === undefined
        ? 'there is nothing to go back to'
        : { ...setting, inForce: before, past: past.slice(0, -1), by, at };
    }
  }
}

/** Models that a setting speaks of. */
export function modelsOf({ inForce, shadow, past }: TriageSetting): TriageModelName[] {
  return [inForce, shadow, ...past].filter((one) => one !== null);
}

/** What is wrong with data that is to be a model; null = nothing. */
export function modelDataFault(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the model is no object';
  const { version, labels, biases, scales, mix, weights } = value as Readonly<Record<string, unknown>>;
  if (!Number.isSafeInteger(version) || Number(version) < 1) return 'its version is no integer from 1';
  if (!Array.isArray(labels) || labels.length === 0 || new Set(labels).size < labels.length) return 'it has no labels';
  const unknown = (labels as readonly unknown[]).find((one) => !(failureClasses as readonly unknown[]).includes(one));
  if (unknown !== undefined) return `${JSON.stringify(unknown)} is no class of failure`;
  for (const [name, list] of Object.entries({ biases, scales }))
    if (!isNumbers(list, labels.length)) return `its ${name} are not ${labels.length} numbers`;
  const { rules, model } = (mix ?? {}) as Readonly<Record<string, unknown>>;
  if (!isNumbers([rules, model], 2)) return 'its mix has no numbers for rules and model';
  const bytes = typeof weights === 'string' ? fromBase64(weights) : null;
  if (bytes?.length !== labels.length * bucketCount) return `its weights are not ${bucketCount} bytes for each label`;
  return null;
}

function isNumbers(value: unknown, count: number): boolean {
  return Array.isArray(value) && value.length === count && value.every((one) => Number.isFinite(one));
}

/** The data of a model and nothing else, so that what is the same has one text. */
export function plainModel({ version, labels, biases, scales, mix, weights }: ModelData): ModelData {
  return { version, labels, biases, scales, mix: { rules: mix.rules, model: mix.model }, weights };
}
