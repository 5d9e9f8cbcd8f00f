/**
 * From the options of `ctx.infer` to an inference that can be asked for, and from what was recorded to what the body gets.
 */
import { canonicalJson } from '../../core/canonical-json.js';
import { encodeValue } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { Hash } from '../../core/ports.js';
import type { InlinePayload } from '../../core/payload.js';
import { defaultRetry } from '../../core/retry.js';
import { ambiguityPolicies } from '../../core/run/inference.js';
import type { Model, ModelVersion } from '../model.js';
import { OptionFaults, suggestion } from '../options.js';
import type { InferenceTold } from '../replay/body-run.js';
import type { InferRequest } from '../replay/infer-work.js';
import { readRetry } from '../retry-options.js';
import type { InferOptions, InferResult } from './infer-options.js';
import { factsOf, textDelta, type RecordedAnswer } from './model-answer.js';
import { estimatedInputTokens, messagesOf, promptFor } from './model-prompt.js';
import type { ModelCall, ModelMessage } from './model-endpoint.js';

/** An inference without what the body does for it. */
export type AskedInference = Omit<InferRequest, 'askPerson'>;

/** Where models are found, and what makes fingerprints. */
export interface InferenceSurroundings {
  readonly ports: { readonly hash: Hash };
  model?(name: string): Model | null;
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
}

const optionNames: readonly (keyof InferOptions)[] = [
  'model',
  'prompt',
  'messages',
  'system',
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
];

/** Looks through the options. Fails with OPTIONS_INVALID, naming all faults, and with MODEL_UNKNOWN. */
export function questionOf(what: string, options: InferOptions, surroundings: InferenceSurroundings): Question {
  const faults = new OptionFaults(what);
  faults.unknownNames(options, optionNames);
  const { maxOutputTokens, temperature, topP, seed, stop, providerOptions, stream = false, timeout } = options;
  faults.integer('maxOutputTokens', maxOutputTokens, { min: 1, max: Number.MAX_SAFE_INTEGER });
  const deadlineMs = faults.duration('timeout', timeout, null, 1);
  const retry = readRetry(options.retry, faults, defaultRetry);
  const { policy: wanted } = options;
  const listed = wanted === undefined ? null : typeof wanted === 'string' ? [wanted] : wanted;
  for (const one of listed ?? [])
    if (!ambiguityPolicies.includes(one))
      faults.add(`policy must be of ${ambiguityPolicies.join(', ')}${suggestion(String(one), ambiguityPolicies)}`);
  faults.throwIfAny();
  const model = modelOf(options.model, surroundings);
  return {
    model,
    messages: messagesOf(what, options),
    settings: given({ maxOutputTokens, temperature, topP, seed, stopSequences: stop, providerOptions }),
    streamed: stream,
    deadlineMs,
    retry,
    policy: listed ?? model.policy,
  };
}

function modelOf(given: Model | string, surroundings: InferenceSurroundings): Model {
  if (typeof given !== 'string' && given?.kind === 'model') return given;
  const name = typeof given === 'string' ? given : typeof given;
  const found = surroundings.model?.(name) ?? null;
  if (found === null) throw new SpineError('MODEL_UNKNOWN', { name });
  return found;
}

/** The inference at `path` for a question. Fails with VALUE_UNSTORABLE where its request cannot be recorded. */
export function inferenceOf(path: string, question: Question, hash: Hash): AskedInference {
  const { model, messages, settings, streamed, deadlineMs, retry, policy } = question;
  const request = encodeValue({ prompt: messages, ...settings });
  const inputTokens = estimatedInputTokens(messages, JSON.stringify(settings.tools ?? ''));
  const outputTokens = settings.maxOutputTokens ?? limits.inferenceOutputTokensDefault;
  return {
    path,
    ask: {
      model: model.name,
      fingerprint: fingerprintOf(request, hash),
      estimate: { inputTokens, outputTokens },
      policy,
      streamed,
      deadlineMs,
    },
    request,
    call: (endpoint) => ({ ...settings, prompt: promptFor(endpoint, messages) }),
    retry,
    chunkOf: (part) => textDelta(part) ?? undefined,
    versionOf: (version) => versionOf(model, version),
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

/** What the body gets. */
export function inferResultOf(model: string, { answer, outcome, grant, hops }: InferenceTold): InferResult {
  // It was put in by `InferWork`, through the codec.
  const { text, reasoning, toolCalls, confidence } = factsOf(answer as RecordedAnswer);
  const { usage, costMicros, finish } = outcome;
  return {
    text,
    reasoning,
    toolCalls,
    usage,
    costMicros,
    finish,
    model: { name: model, version: grant?.version ?? '', arm: grant?.arm ?? '' },
    hops,
    confidence,
  };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Options that were given; an endpoint may take an `undefined` for a value. */
function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>;
}
