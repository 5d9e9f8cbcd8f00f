/**
 * What operators set of a model while it runs, over what its app declares: how new runs are shared between its versions, and
 * which version is asked beside them. Each change of the first keeps what it replaces, so that it can be taken back.
 *
 * Invariant: what is set names versions that the app had when it was set, at least one of them with a weight above 0; of
 * versions that have gone since nothing is left in force.
 */
import { limits } from '../limits.js';
import type { ModelManifest, ShadowRule } from '../manifest.js';
import { shadowFaults } from './shadow.js';

/** Weights by version; a version that is not named has none. */
export type ModelWeights = Readonly<Record<string, number>>;

/** What operators have said last of a model. */
export interface ModelSetting {
  /** Null = as its app declares. */
  readonly weights: ModelWeights | null;
  /** The version that is asked beside the others; null = none is. Absent = as its app declares. */
  readonly shadow?: ShadowRule | null;
  /** What was in force before, the last of them last. */
  readonly past: readonly (ModelWeights | null)[];
  readonly by: string;
  /** Epoch ms. */
  readonly at: number;
}

/** What operators do to a model. */
export type ModelChange =
  /** New runs are shared by these weights. */
  | { readonly change: 'weights'; readonly weights: ModelWeights }
  /** All new runs ask this version. */
  | { readonly change: 'promote'; readonly version: string }
  /** What was in force before the last change is in force again. */
  | { readonly change: 'rollback' }
  /** A version is asked beside the others, or none is (null). */
  | { readonly change: 'shadow'; readonly shadow: ShadowRule | null }
  /** What the app declares is in force again. */
  | { readonly change: 'reset' };

/** Of a model that nobody has changed. */
export const unchanged: ModelSetting = { weights: null, past: [], by: '', at: 0 };

const weightMax = 1_000_000;

/** The setting after a change; texts = why it cannot be made. */
export function changedSetting(
  setting: ModelSetting,
  change: ModelChange,
  { versions }: Pick<ModelManifest, 'versions'>,
  by: string,
  at: number,
): ModelSetting | readonly string[] {
  const known = versions.map(({ version }) => version);
  const { shadow: _, ...withoutShadow } = setting;
  const replaced = (weights: ModelWeights | null): ModelSetting => ({
    ...setting,
    weights,
    past: [...setting.past, setting.weights].slice(-limits.modelPastMax),
    by,
    at,
  });
  switch (change.change) {
    case 'weights': {
      const faults = weightFaults(change.weights, known);
      return faults.length > 0 ? faults : replaced(change.weights);
    }
    case 'promote':
      return known.includes(change.version)
        ? replaced({ [change.version]: 1 })
        : [unknownVersion(change.version, known)];
    case 'rollback': {
      const before = setting.past.at(-1);
      return before === undefined
        ? ['there is nothing to go back to']
        : { ...setting, weights: before, past: setting.past.slice(0, -1), by, at };
    }
    case 'shadow': {
      const faults = change.shadow === null ? [] : shadowFaults(change.shadow, { versions });
      return faults.length > 0 ? faults : { ...setting, shadow: change.shadow, by, at };
    }
    case 'reset': {
      const { past } = replaced(null);
      return { ...withoutShadow, weights: null, past, by, at };
    }
  }
}

function weightFaults(weights: ModelWeights, known: readonly string[]): string[] {
  const faults: string[] = [];
  for (const [version, weight] of Object.entries(weights)) {
    if (!known.includes(version)) faults.push(unknownVersion(version, known));
    if (!Number.isInteger(weight) || weight < 0 || weight > weightMax)
      faults.push(`the weight of "${version}" is not an integer from 0 to ${weightMax}`);
  }
  if (faults.length === 0 && Object.values(weights).every((weight) => weight === 0))
    faults.push('no version has a weight above 0');
  return faults;
}

function unknownVersion(version: string, known: readonly string[]): string {
  return `there is no version "${version}"; there are ${known.join(', ')}`;
}

/** The model as it is in force. What is set for versions that are all gone says nothing any more. */
export function inForce(model: ModelManifest, setting: Pick<ModelSetting, 'weights' | 'shadow'> | null): ModelManifest {
  return withShadow(withWeights(model, setting?.weights ?? null), setting?.shadow);
}

function withWeights(model: ModelManifest, weights: ModelWeights | null): ModelManifest {
  if (weights === null) return model;
  const versions = model.versions.map((one) => ({ ...one, weight: weightOf(weights, one.version) }));
  return versions.some(({ weight }) => weight > 0) ? { ...model, versions } : model;
}

function withShadow(model: ModelManifest, set: ShadowRule | null | undefined): ModelManifest {
  const { shadow: declared, ...plain } = model;
  const shadow = set === undefined ? (declared ?? null) : set;
  if (shadow === null || shadowFaults(shadow, model).length > 0) return plain;
  return { ...plain, shadow };
}

function weightOf(weights: ModelWeights, version: string): number {
  return Object.hasOwn(weights, version) ? (weights[version] ?? 0) : 0;
}
