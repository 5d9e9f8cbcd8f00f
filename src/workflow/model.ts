/**
 * Models as values: a logical name with the versions that may stand behind it. Servers know names, weights and prices by
 * the manifest; what calls the provider stays in the worker.
 */
import { limits } from '../core/limits.js';
import type { ModelManifest, ModelPrice, ModelVersionManifest, ShadowRule } from '../core/manifest.js';
import { shadowDefaults, shadowFaults } from '../core/models/shadow.js';
import type { RemedyPolicy } from '../core/remedies.js';
import { ambiguityPolicies, type AmbiguityPolicy, type CacheAsk } from '../core/run/inference.js';
import { readCache, type CacheOptions } from './infer/cache-options.js';
import { readCompact, type Compact } from './infer/compact.js';
import { isModelEndpoint, type ModelEndpoint } from './infer/model-endpoint.js';
import { readLimits, type Limit } from './limit.js';
import { OptionFaults, suggestion } from './options.js';
import { readRemedies } from './remedy-options.js';

/** Prices for a million tokens, in units of one currency (USD, unless limits say otherwise), e.g. `{ input: 2.5, output: 10 }`. */
export interface PriceOptions {
  readonly input: number;
  readonly output: number;
  /** Of tokens that come out of a cache of the provider. Default: as `input`. */
  readonly cachedInput?: number;
}

/** One version of a model. */
export interface ModelVersionOptions {
  /** What calls the provider: a model of the AI SDK, `openaiCompatible(...)`, or any object of that form. */
  readonly use: ModelEndpoint;
  /** Where it is served; what shares limits and accounts has one name. Default: `provider/modelId`. */
  readonly endpoint?: string;
  /** Share of the runs that ask it, against the other weights. Default: all go to the first version. */
  readonly weight?: number;
  /** Tokens that prompt and answer may have together. Default: not known. */
  readonly window?: number;
  /** Tokens that an answer may have. Default: not known. */
  readonly maxOutput?: number;
  /** Default: it counts as costing nothing. */
  readonly price?: PriceOptions;
}

/** Which version is asked beside the others, and how much of it there may be. */
export interface ShadowOptions {
  readonly version: string;
  /** Of the inferences that other versions answer, above 0 and up to 1. Default 0.1. */
  readonly share?: number;
  /** Calls under way at one time, on all workers together. Default 2. */
  readonly concurrency?: number;
  /** What its calls of one day (UTC) may cost, in units of the currency of prices. Default: there is no bound. */
  readonly perDay?: number;
}

/** Options of `model`. */
export interface ModelOptions {
  readonly versions: Readonly<Record<string, ModelVersionOptions>>;
  /**
   * What to do about a call whose worker died before its answer was recorded; of several the first that can be done.
   * `retry`: call again, and perhaps pay twice. `retry-with-same-key`: call again with the same idempotency key.
   * `fetch-by-id`: ask the provider for the answer, where it had named it and the endpoint can. `ask`: a person says
   * whether to call again. `dead-letter`: the inference fails with INFERENCE_AMBIGUOUS. Default: `retry-with-same-key`
   * where every endpoint honours such keys, else `retry`.
   */
  readonly policy?: AmbiguityPolicy | readonly AmbiguityPolicy[];
  /**
   * A version that is asked the same as the others were, once their answer is recorded, to see how it would do; nobody gets its
   * answers. Operators may set another. Default: none.
   */
  readonly shadow?: ShadowOptions;
  /** What each attempt has to find room in, beside the limits of all inferences. It waits where there is none. */
  readonly limits?: readonly Limit[];
  /**
   * Answers are kept, and take the place of calls where the same is asked again in the same tenant. It does not hold for
   * inferences whose tools have external effects. Default: none is kept.
   */
  readonly cache?: CacheOptions | false;
  /** What is done about its failures, by class. Default: what the app says, then `auto`. */
  readonly remedies?: RemedyPolicy;
  /** Makes a request smaller that was too long or too large for it. Default: nobody does. */
  readonly compact?: Compact;
}

/** A version as workers have it. */
export interface ModelVersion {
  readonly version: string;
  readonly use: ModelEndpoint;
  readonly endpoint: string;
  readonly weight: number;
  readonly window: number | null;
  readonly maxOutput: number | null;
  readonly price: ModelPrice | null;
}

/** A model by its logical name, with the versions behind it. */
export interface Model<Name extends string = string> {
  readonly kind: 'model';
  readonly name: Name;
  readonly versions: readonly ModelVersion[];
  readonly policy: readonly AmbiguityPolicy[];
  readonly limits: readonly Limit[];
  readonly shadow: ShadowRule | null;
  /** What its inferences have to do with kept answers unless they say otherwise; null = nothing. */
  readonly cache: CacheAsk | null;
  readonly remedies: RemedyPolicy;
  readonly compact: Compact | null;
}

/** Defines a model. Fails with OPTIONS_INVALID, naming all faults. */
export function model<const Name extends string>(name: Name, options: ModelOptions): Model<Name> {
  const faults = new OptionFaults(`model "${name}"`);
  faults.name(name);
  faults.unknownNames(options, ['versions', 'policy', 'shadow', 'limits', 'cache', 'remedies', 'compact']);
  const given = Object.entries(options.versions ?? {});
  if (given.length === 0) faults.add('versions must name at least one version');
  if (given.length > limits.modelVersionsMax) faults.add(`there are more than ${limits.modelVersionsMax} versions`);
  const isWeighted = given.some(([, { weight }]) => weight !== undefined);
  const versions = given.flatMap(([version, one], i) => {
    const read = readVersion(version, one, faults);
    const weight = isWeighted ? (one.weight ?? 0) : i === 0 ? 1 : 0;
    return read === null ? [] : [{ ...read, weight }];
  });
  if (isWeighted && versions.every(({ weight }) => weight === 0)) faults.add('no version has a weight above 0');
  const policy = readPolicy(options.policy, versions, faults);
  const named = readLimits(options.limits, faults);
  const shadow = options.shadow === undefined ? null : readShadow(options.shadow, versions, faults);
  const cache = readCache(options.cache, faults, null);
  const remedies = readRemedies(options.remedies, faults);
  const compact = readCompact(options.compact, faults);
  faults.throwIfAny();
  return { kind: 'model', name, versions, policy, limits: named, remedies, compact, shadow, cache };
}

/** The model as data. */
export function modelManifest({ name, versions, policy, limits: named, shadow }: Model): ModelManifest {
  return {
    name,
    policy,
    versions: versions.map(versionManifest),
    ...(shadow === null ? {} : { shadow }),
    ...(named.length === 0 ? {} : { limits: named.map((one) => one.name).sort() }),
  };
}

function versionManifest({ version, endpoint, weight, window, maxOutput, price }: ModelVersion): ModelVersionManifest {
  return { version, endpoint, weight, windowTokens: window, outputTokensMax: maxOutput, price };
}

const microsPerUnit = 1_000_000;

function readVersion(
  version: string,
  options: ModelVersionOptions,
  outer: OptionFaults,
): Omit<ModelVersion, 'weight'> | null {
  const what = `versions["${version}"]`;
  const { use, endpoint, weight, window, maxOutput, price } = options;
  const known = ['use', 'endpoint', 'weight', 'window', 'maxOutput', 'price'];
  for (const option of Object.keys(options))
    if (!known.includes(option)) outer.add(`${what}: "${option}" is not an option${suggestion(option, known)}`);
  if (version === '' || version.length > limits.nameLengthMax) outer.add(`${what}: a version needs a short name`);
  const tokens = { min: 1, max: Number.MAX_SAFE_INTEGER };
  outer.integer(`${what}.window`, window, tokens);
  outer.integer(`${what}.maxOutput`, maxOutput, tokens);
  outer.integer(`${what}.weight`, weight, { min: 0, max: 1_000_000 });
  for (const amount of Object.values(price ?? {}))
    if (!(typeof amount === 'number' && amount >= 0 && amount <= priceMax))
      outer.add(`${what}.price: prices are for a million tokens, from 0 to ${priceMax}`);
  if (!isModelEndpoint(use)) {
    outer.add(`${what}.use is not a model: it needs provider, modelId, doGenerate and doStream`);
    return null;
  }
  return {
    version,
    use,
    endpoint: (endpoint ?? `${use.provider}/${use.modelId}`).slice(0, limits.nameLengthMax),
    window: window ?? null,
    maxOutput: maxOutput ?? null,
    price: price === undefined ? null : priceOf(price),
  };
}

/** Of a million tokens; more than anybody asks for them. */
const priceMax = 1_000_000;

function priceOf({ input, output, cachedInput = input }: PriceOptions): ModelPrice {
  return {
    inputMicros: Math.round(input * microsPerUnit),
    outputMicros: Math.round(output * microsPerUnit),
    cachedInputMicros: Math.round(cachedInput * microsPerUnit),
  };
}

function readShadow(options: ShadowOptions, versions: readonly ModelVersion[], faults: OptionFaults): ShadowRule {
  const known: readonly string[] = ['version', 'share', 'concurrency', 'perDay'];
  for (const option of Object.keys(options))
    if (!known.includes(option)) faults.add(`shadow: "${option}" is not an option${suggestion(option, known)}`);
  const { version, perDay, share = shadowDefaults.share, concurrency = shadowDefaults.concurrency } = options;
  const perDayMicros = perDay === undefined ? shadowDefaults.perDayMicros : Math.round(perDay * microsPerUnit);
  const rule = { version, share, concurrency, perDayMicros };
  for (const fault of shadowFaults(rule, { versions: versions.map(versionManifest) })) faults.add(fault);
  return rule;
}

function readPolicy(
  given: ModelOptions['policy'],
  versions: readonly Pick<ModelVersion, 'use'>[],
  faults: OptionFaults,
): readonly AmbiguityPolicy[] {
  if (given === undefined)
    return versions.every(({ use }) => use.supportsIdempotencyKeys === true) ? ['retry-with-same-key'] : ['retry'];
  const list = typeof given === 'string' ? [given] : given;
  for (const one of list)
    if (!ambiguityPolicies.includes(one))
      faults.add(`policy must be of ${ambiguityPolicies.join(', ')}${suggestion(String(one), ambiguityPolicies)}`);
  if (list.length === 0) faults.add('policy names nothing to do');
  return list;
}
