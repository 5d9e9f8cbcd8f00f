/**
 * From the options of `ctx.infer` to a question, and from there to an inference that can be asked for.
 */
import { canonicalJson } from '../../core/canonical-json.js';
import { encodeValue } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { Hash } from '../../core/ports.js';
import type { InlinePayload } from '../../core/payload.js';
import { mergedRemedies, type RemedyPolicy } from '../../core/remedies.js';
import { defaultRetry } from '../../core/retry.js';
import type { ToolPolicy } from '../../core/tools/policy.js';
import { parseDuration } from '../../core/duration.js';
import { ambiguityPolicies, type CacheAsk, type InferenceChain, type PromptVersion } from '../../core/run/inference.js';
import type { Model, ModelVersion } from '../model.js';
import { OptionFaults, suggestion } from '../options.js';
import { isFilledPrompt, textOfPrompt, type AnyPrompt } from '../prompt.js';
import type { InferRequest } from '../replay/infer-work.js';
import { taintOf } from '../replay/tool-gate.js';
import { readRemedies } from '../remedy-options.js';
import { readRetry } from '../retry-options.js';
import { schemaForModel, type AnswerCheck, type AnySchema } from './answer-schema.js';
import { externalTool, readCache } from './cache-options.js';
import { chainOf, type Cached, type FallbackChain } from './fallback.js';
import { readCompact, type Compact } from './compact.js';
import type { InferOptions } from './infer-options.js';
import type { Can } from './mended-inference.js';
import { textDelta } from './model-answer.js';
import { estimatedInputTokens, messagesOf, promptFor } from './model-prompt.js';
import type { ModelCall, ModelMessage } from './model-endpoint.js';
import { toolOf, type Tool } from './tool.js';

/** An inference without what the body does for it. */
export type AskedInference = Omit<InferRequest, 'askPerson'>;

/** Where models are found, and what makes fingerprints. */
export interface InferenceSurroundings {
  readonly ports: { readonly hash: Hash };
  model?(name: string): Model | null;
  /** The version by which the run asks. */
  promptVersion(prompt: AnyPrompt): string;
  /** What the app declares about failures; absent = nothing. */
  readonly remedies?: RemedyPolicy;
  /** What the app says of tools; null = nothing. */
  readonly tools: ToolPolicy | null;
}

/** What is asked, once it was looked through. */
export interface Question {
  readonly model: Model;
  readonly messages: readonly ModelMessage[];
  /** Options of the call apart from the prompt. */
  readonly settings: Omit<ModelCall, 'prompt'>;
  readonly streamed: boolean;
  readonly deadlineMs: number | null;
  readonly retry: InferRequest['retry'];
  readonly policy: InferRequest['ask']['policy'];
  /** Of the answer; null = it is text. */
  readonly schema: AnySchema | null;
  readonly tools: ReadonlyMap<string, Tool>;
  /** How often the model may be asked, and told that its answer does not fit. */
  readonly rounds: number;
  readonly repairs: number;
  /** Where it stands in a chain; null = it stands alone. */
  readonly chain: InferenceChain | null;
  /** Null = nothing is kept, and nothing that was. */
  readonly cache: CacheAsk | null;
  readonly prompt: PromptVersion | null;
  /** Models that come after it in the chain. */
  readonly later: readonly Model[];
  /** Version that is asked in the place of the one that the run has; null = that one. */
  readonly reroute: string | null;
  readonly remedies: RemedyPolicy;
  /** Makes the request smaller; null = nobody does. */
  readonly compact: Compact | null;
  /** Of what the run has read, only what is in the request counts for the calls of its tools. */
  readonly ownTaint: boolean;
}

/** A question with those who are asked when the model gives no answer. */
export interface ChainedQuestion {
  readonly question: Question;
  /** Models that are asked after it. */
  readonly models: readonly Model[];
  readonly others: FallbackChain['others'];
  /** How long answers are kept for those of the chain that take answers from before, ms; 0 = none does. */
  readonly keepMs: number;
  /** Longest time of all models together; null = none. */
  readonly withinMs: number | null;
}

const optionNames: readonly (keyof InferOptions)[] = [
  'model',
  'prompt',
  'messages',
  'system',
  'schema',
  'repairs',
  'tools',
  'rounds',
  'maxOutputTokens',
  'temperature',
  'topP',
  'seed',
  'stop',
  'providerOptions',
  'stream',
  'timeout',
  'retry',
  'policy',
  'cache',
  'fallback',
  'within',
  'remedies',
  'compact',
  'taint',
];

/** Looks through the options. Fails with OPTIONS_INVALID, naming all faults, and with MODEL_UNKNOWN. */
export function questionOf(what: string, options: InferOptions, surroundings: InferenceSurroundings): ChainedQuestion {
  const faults = new OptionFaults(what);
  faults.unknownNames(options, optionNames);
  const { maxOutputTokens, temperature, topP, seed, stop, providerOptions, stream = false, timeout } = options;
  faults.integer('maxOutputTokens', maxOutputTokens, { min: 1, max: Number.MAX_SAFE_INTEGER });
  const { schema = null, repairs = limits.inferenceRepairsDefault, rounds = limits.inferenceRoundsDefault } = options;
  faults.integer('repairs', repairs, { min: 0, max: limits.inferenceRepairsMax });
  faults.integer('rounds', rounds, { min: 1, max: limits.inferenceRoundsMax });
  const responseFormat = schema === null ? undefined : formatOf(schema, faults);
  const tools = toolsOf(options.tools ?? {}, faults);
  const deadlineMs = faults.duration('timeout', timeout, null, 1);
  const withinMs = faults.duration('within', options.within, null, 1);
  const chain = chainOf(options.fallback ?? [], faults);
  const retry = readRetry(options.retry, faults, defaultRetry);
  const ownCache = readCache(options.cache, faults, null);
  const external = externalTool(tools);
  if (external !== null && (ownCache !== null || chain.keepMs > 0))
    faults.add(
      `${ownCache === null ? 'cached(...)' : 'cache'}: tool "${external}" has an external effect, which an answer from before would ask for again`,
    );
  const { policy: wanted } = options;
  const listed = wanted === undefined ? null : typeof wanted === 'string' ? [wanted] : wanted;
  for (const one of listed ?? [])
    if (!ambiguityPolicies.includes(one))
      faults.add(`policy must be of ${ambiguityPolicies.join(', ')}${suggestion(String(one), ambiguityPolicies)}`);
  const remedies = readRemedies(options.remedies, faults);
  const compact = readCompact(options.compact, faults);
  if (options.taint !== undefined && options.taint !== 'run' && options.taint !== 'own')
    faults.add('taint must be "run" or "own"');
  faults.throwIfAny();
  const model = modelOf(options.model, surroundings);
  const models = chain.models.map((one) => modelOf(one, surroundings));
  const standsAlone = models.length + chain.others.length === 0;
  const { version: prompt, said } = saidBy(options, surroundings);
  const question: Question = {
    model,
    messages: messagesOf(what, said),
    settings: given({
      maxOutputTokens,
      temperature,
      topP,
      seed,
      stopSequences: stop,
      responseFormat,
      tools: tools.size === 0 ? undefined : [...tools].map(toolForModel),
      toolChoice: tools.size === 0 ? undefined : { type: 'auto' },
      providerOptions,
    }),
    streamed: stream,
    deadlineMs,
    retry,
    policy: listed ?? model.policy,
    schema,
    tools,
    rounds,
    repairs,
    chain: standsAlone ? null : { after: null, isLast: false },
    cache: cacheOf(options, model, external === null, chain.keepMs),
    prompt,
    later: models,
    reroute: null,
    remedies: mergedRemedies(surroundings.remedies, model.remedies, remedies),
    compact: compact ?? model.compact,
    ownTaint: options.taint === 'own',
  };
  return { question, models, others: chain.others, withinMs, keepMs: chain.keepMs };
}

/** What is asked, as it is given or as a prompt writes it in the version of the run. Fails with PROMPT_VERSION_MISSING. */
function saidBy(
  { prompt, messages, system }: Pick<InferOptions, 'prompt' | 'messages' | 'system'>,
  surroundings: InferenceSurroundings,
): { readonly version: PromptVersion | null; readonly said: Parameters<typeof messagesOf>[1] } {
  if (!isFilledPrompt(prompt)) return { version: null, said: { prompt, messages, system } };
  const version = { name: prompt.prompt.name, version: surroundings.promptVersion(prompt.prompt) };
  const text = textOfPrompt(prompt, version.version);
  // Messages that are given beside it are a fault, which is found later.
  if (messages !== undefined) return { version, said: { prompt: '', messages, system } };
  return { version, said: typeof text === 'string' ? { prompt: text, system } : { messages: text, system } };
}

/**
 * What an inference has to do with kept answers. What a model says for all of its inferences is left aside where a tool has an
 * external effect; and where a chain takes answers from before, they are kept for it.
 */
function cacheOf(
  { cache }: Pick<InferOptions, 'cache'>,
  model: Model,
  mayKeep: boolean,
  keepMs: number,
): CacheAsk | null {
  const wanted = mayKeep ? readCache(cache, new OptionFaults('cache'), model.cache) : null;
  if (keepMs === 0 || !mayKeep) return wanted;
  return { freshMs: wanted?.freshMs ?? null, keepMs: Math.max(wanted?.keepMs ?? 0, keepMs) };
}

/** The question to those who have answered before: nobody is called. */
export function questionOfMemory(
  question: Question,
  models: readonly Model[],
  { maxAge }: Cached,
  after: string,
): Question {
  const onlyOf = [...new Set([question.model, ...models].map(({ name }) => name))];
  const freshMs = parseDuration(maxAge);
  return { ...question, repairs: 0, chain: { after, isLast: false }, cache: { freshMs, keepMs: 0, onlyOf } };
}

/** The question to another model of a chain, from where the one at `after` has failed. */
export function nextQuestion(
  question: Question,
  options: Pick<InferOptions, 'policy' | 'cache' | 'remedies' | 'compact'>,
  surroundings: Pick<InferenceSurroundings, 'remedies'>,
  { model, later, after, messages, isLast, keepMs }: NextInChain,
): Question {
  return {
    ...question,
    model,
    later,
    messages,
    policy: options.policy === undefined ? model.policy : question.policy,
    remedies: mergedRemedies(surroundings.remedies, model.remedies, options.remedies),
    compact: options.compact ?? model.compact,
    cache: cacheOf(options, model, externalTool(question.tools) === null, keepMs),
    chain: { ...question.chain, after, isLast },
  };
}

/** Who is asked next, and where. */
export interface NextInChain {
  readonly model: Model;
  readonly later: readonly Model[];
  /** Path of the inference that has failed. */
  readonly after: string;
  readonly messages: readonly ModelMessage[];
  readonly isLast: boolean;
  /** How long its answers are kept for the chain, ms. */
  readonly keepMs: number;
}

/** A schema that no library can say to a model is a fault: it would never be met. */
function formatOf(schema: AnySchema, faults: OptionFaults): unknown {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) {
    faults.add('schema must be a schema');
    return null;
  }
  const said = schemaForModel(schema);
  if (said === null) faults.add('schema cannot be said as JSON Schema; give it as one');
  return { type: 'json', schema: said };
}

function toolsOf(given: NonNullable<InferOptions['tools']>, faults: OptionFaults): ReadonlyMap<string, Tool> {
  const entries = Object.entries(given);
  if (entries.length > limits.inferenceToolsMax) faults.add(`there are more than ${limits.inferenceToolsMax} tools`);
  return new Map(
    entries.flatMap(([name, one]) => {
      if (one?.kind === 'tool' || one?.kind === 'capability') return [[name, toolOf(one)] as const];
      faults.add(`tools.${name} is no tool: use tool({ ... }), or a capability`);
      return [];
    }),
  );
}

function toolForModel([name, { description, parameters }]: readonly [string, Tool]): unknown {
  return { type: 'function', name, ...(description === null ? {} : { description }), inputSchema: parameters };
}

/** As the app has it now, whichever value the body holds: that is the one whose versions the server knows. */
function modelOf(given: Model | string, surroundings: InferenceSurroundings): Model {
  const isModel = typeof given !== 'string' && given?.kind === 'model';
  const name = isModel ? given.name : typeof given === 'string' ? given : typeof given;
  const found = surroundings.model?.(name) ?? (isModel ? given : null);
  if (found === null) throw new SpineError('MODEL_UNKNOWN', { name });
  return found;
}

/** The inference at `path` for a question. Fails with VALUE_UNSTORABLE where its request cannot be recorded. */
export function inferenceOf(
  path: string,
  question: Question,
  check: AnswerCheck | null,
  can: Can,
  hash: Hash,
  tools: ToolPolicy | null,
): AskedInference {
  const { model, messages, settings, streamed, deadlineMs, retry, policy, chain, reroute, remedies } = question;
  const { cache, prompt } = question;
  const request = encodeValue({ prompt: messages, ...settings });
  const inputTokens = estimatedInputTokens(messages, JSON.stringify(settings.tools ?? ''));
  const outputTokens = settings.maxOutputTokens ?? limits.inferenceOutputTokensDefault;
  const taint = taintOf(request.text, messages, tools);
  return {
    path,
    ask: {
      model: model.name,
      fingerprint: fingerprintOf(request, hash),
      estimate: { inputTokens, outputTokens },
      policy,
      streamed,
      deadlineMs,
      ...(chain === null ? {} : { chain }),
      ...(cache === null ? {} : { cache: streamed ? { ...cache, shown: true as const } : cache }),
      ...(prompt === null ? {} : { prompt }),
      ...(reroute === null ? {} : { reroute }),
      ...(taint.length === 0 ? {} : { taint }),
    },
    request,
    call: (endpoint) => ({ ...settings, prompt: promptFor(endpoint, messages) }),
    retry,
    remedies,
    can,
    chunkOf: (part) => textDelta(part) ?? undefined,
    versionOf: (version) => versionOf(model, version),
    check,
  };
}

/** The same for the same request, in whatever order its options were written. */
export function fingerprintOf({ text }: InlinePayload, hash: Hash): string {
  return hash.sha256(canonicalJson(JSON.parse(text)));
}

/** A version by its name; null = the model has none of it here. */
export function versionOf({ versions }: Model, name: string): ModelVersion | null {
  return versions.find(({ version }) => version === name) ?? null;
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Options that were given; an endpoint may take an `undefined` for a value. */
function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>;
}
