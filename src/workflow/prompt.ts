/**
 * Prompts as values: a name with the versions that its text has had. A run stays with the version that it has asked by first,
 * whatever is deployed while it lives. Text and code stay in the worker; servers know names and versions by the manifest.
 */
import { limits } from '../core/limits.js';
import type { PromptManifest } from '../core/manifest.js';
import { shareOf, versionOf } from '../core/models/arms.js';
import type { Hash } from '../core/ports.js';
import { SpineError } from '../core/errors.js';
import type { PromptMessage } from './infer/infer-options.js';
import { OptionFaults, suggestion } from './options.js';

/** What a version of a prompt writes: a text, or messages. */
export type PromptText = string | readonly PromptMessage[];

/** Versions by their names. What they are given is checked by `with`. */
export type PromptVersions = Readonly<Record<string, (vars: never) => PromptText>>;

/** What all versions together are to be given: a run may ask by any of them. */
export type PromptVars<Versions extends PromptVersions> = (
  Versions[keyof Versions] extends infer Write
    ? Write extends (vars: infer Vars) => unknown
      ? (vars: Vars) => void
      : never
    : never
) extends (vars: infer All) => void
  ? All
  : never;

/** Options of `prompt`. */
export interface PromptOptions<Versions extends PromptVersions> {
  /** Each writes what is asked, of what `with` is given and nothing else: it is called again in every replay. */
  readonly versions: Versions;
  /** The version of new runs, or how they are shared between versions. Default: the last version. */
  readonly use?: keyof Versions | { readonly [V in keyof Versions]?: number };
}

/** A prompt, whatever it has to be given. */
export interface AnyPrompt {
  readonly kind: 'prompt';
  readonly name: string;
  readonly versions: readonly PromptVersionEntry[];
}

/** A version of a prompt as workers have it. */
export interface PromptVersionEntry {
  readonly version: string;
  readonly weight: number;
  readonly write: (vars: never) => PromptText;
}

/** A prompt by its name, with its versions. */
export interface Prompt<Name extends string = string, Vars = never> extends AnyPrompt {
  readonly name: Name;
  /** The prompt with what it is about, for `ctx.infer(..., { prompt })`. */
  with(...vars: unknown extends Vars ? [] : [vars: Vars]): FilledPrompt;
}

/** A prompt with what it is about. Which version writes it is up to the run. */
export interface FilledPrompt {
  readonly kind: 'filled-prompt';
  readonly prompt: AnyPrompt;
  readonly vars: unknown;
}

/** Defines a prompt. Fails with OPTIONS_INVALID, naming all faults. */
export function prompt<const Name extends string, const Versions extends PromptVersions>(
  name: Name,
  options: PromptOptions<Versions>,
): Prompt<Name, PromptVars<Versions>> {
  const faults = new OptionFaults(`prompt "${name}"`);
  faults.name(name);
  faults.unknownNames(options, ['versions', 'use']);
  const given = Object.entries(options.versions ?? {});
  const names = given.map(([version]) => version);
  if (given.length === 0) faults.add('versions must name at least one version');
  if (given.length > limits.promptVersionsMax) faults.add(`there are more than ${limits.promptVersionsMax} versions`);
  for (const [version, write] of given) {
    if (typeof write !== 'function') faults.add(`versions["${version}"] must be a function`);
    if (version === '' || version.length > limits.nameLengthMax)
      faults.add(`versions["${version}"]: a version needs a short name`);
  }
  const weights = weightsOf(options.use ?? names.at(-1) ?? '', names, faults);
  faults.throwIfAny();
  const made: AnyPrompt = {
    kind: 'prompt',
    name,
    versions: given.map(([version, write]) => ({ version, write, weight: weights[version] ?? 0 })),
  };
  const filled = (vars?: unknown): FilledPrompt => ({ kind: 'filled-prompt', prompt: made, vars });
  return { ...made, name, with: filled };
}

function weightsOf(use: unknown, names: readonly string[], faults: OptionFaults): Readonly<Record<string, number>> {
  const weights = (typeof use === 'string' ? { [use]: 1 } : use) as Readonly<Record<string, number>>;
  for (const [version, weight] of Object.entries(weights)) {
    if (!names.includes(version)) faults.add(`use: there is no version "${version}"${suggestion(version, names)}`);
    if (!(Number.isInteger(weight) && weight >= 0 && weight <= weightMax))
      faults.add(`use["${version}"] must be an integer from 0 to ${weightMax}`);
  }
  if (Object.values(weights).every((weight) => weight === 0)) faults.add('use gives no version a weight above 0');
  return weights;
}

const weightMax = 1_000_000;

/** The prompt as data, without its text. */
export function promptManifest({ name, versions }: AnyPrompt): PromptManifest {
  return { name, versions: versions.map(({ version, weight }) => ({ version, weight })) };
}

/** The version that a new run asks by: always the same for a run, by its weights. */
export function chosenVersion({ name, versions }: AnyPrompt, tenant: string, run: string, hash: Hash): string {
  const lines = versions.map(({ version, weight }) => ({
    version,
    weight,
    endpoint: '',
    windowTokens: null,
    outputTokensMax: null,
    price: null,
  }));
  // Apart from the arms of models, so that the two are not of one mind.
  const share = shareOf({ tenant, run, model: `prompt/${name}` }, hash);
  return versionOf({ versions: lines }, share)?.version ?? '';
}

/** What a version writes. Fails with PROMPT_VERSION_MISSING. */
export function textOfPrompt({ prompt: { name, versions }, vars }: FilledPrompt, version: string): PromptText {
  const found = versions.find((one) => one.version === version);
  if (found === undefined)
    throw new SpineError('PROMPT_VERSION_MISSING', {
      prompt: name,
      version,
      known: versions.map((one) => one.version),
    });
  // They have come through the type of `with`.
  return found.write(vars as never);
}

/** True for what `with` makes. */
export function isFilledPrompt(value: unknown): value is FilledPrompt {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'filled-prompt';
}
