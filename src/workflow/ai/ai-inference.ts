/**
 * Calls that the AI SDK makes of a model, as inferences: what is asked, under which name, and what the SDK gets of what was
 * recorded.
 */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { InlinePayload } from '../../core/payload.js';
import type { Hash } from '../../core/ports.js';
import { mergedRemedies, type RemedyPolicy } from '../../core/remedies.js';
import { defaultRetry } from '../../core/retry.js';
import type { Effect } from '../../core/run/events.js';
import { ambiguityPolicies, type AmbiguityPolicy, type CacheAsk } from '../../core/run/inference.js';
import { fingerprintOf, versionOf, type AskedInference } from '../infer/ask-inference.js';
import { readCache } from '../infer/cache-options.js';
import type { GeneratedAnswer, RecordedAnswer } from '../infer/model-answer.js';
import { estimatedInputTokens } from '../infer/model-prompt.js';
import type { ModelCall, ModelCallNow } from '../infer/model-endpoint.js';
import type { Model } from '../model.js';
import { OptionFaults, suggestion } from '../options.js';
import { readRemedies } from '../remedy-options.js';
import { readRetry } from '../retry-options.js';
import type { AiModelOptions } from './ai-options.js';
import { storable } from './sdk-values.js';

/** How the calls of one `ai.model` are made. */
export interface AiModelSetting {
  readonly model: Model;
  readonly policy: readonly AmbiguityPolicy[];
  readonly retry: AskedInference['retry'];
  readonly remedies: RemedyPolicy;
  readonly deadlineMs: number | null;
  /** Null = nothing is kept. */
  readonly cache: CacheAsk | null;
  /** That of the models of all versions. */
  readonly specificationVersion: string;
}

/** What calls of a model have in common. Fails with OPTIONS_INVALID, naming all faults, and with MODEL_UNKNOWN. */
export function aiModelSetting(
  model: Model | null,
  name: string,
  options: AiModelOptions,
  declared: RemedyPolicy = {},
): AiModelSetting {
  if (model === null) throw new SpineError('MODEL_UNKNOWN', { name });
  const faults = new OptionFaults(`ai.model "${name}"`);
  faults.unknownNames(options, ['retry', 'timeout', 'policy', 'cache', 'remedies']);
  const cache = readCache(options.cache, faults, model.cache);
  const retry = readRetry(options.retry, faults, defaultRetry);
  const own = readRemedies(options.remedies, faults);
  const deadlineMs = faults.duration('timeout', options.timeout, null, 1);
  const { policy } = options;
  const listed = policy === undefined ? model.policy : typeof policy === 'string' ? [policy] : policy;
  for (const one of listed)
    if (!ambiguityPolicies.includes(one))
      faults.add(`policy must be of ${ambiguityPolicies.join(', ')}${suggestion(String(one), ambiguityPolicies)}`);
  const [specificationVersion = '', ...others] = new Set(model.versions.map(({ use }) => use.specificationVersion));
  // The SDK is told once which form answers have.
  if (others.length > 0) faults.add('its versions are of different specification versions');
  faults.throwIfAny();
  const remedies = mergedRemedies(declared, model.remedies, own);
  return { model, policy: listed, retry, remedies, deadlineMs, cache, specificationVersion };
}

/**
 * A call as an inference. Its fingerprint is of everything that the SDK asks for, apart from signal and headers, which say
 * nothing of the answer, and from the order of results of tools. Fails with VALUE_UNSTORABLE and VALUE_TOO_LARGE where the
 * request cannot be recorded. `effects`: of the tools that the program has given to `ai.tools`.
 */
export function aiInference(
  { model, policy, retry, remedies, deadlineMs, cache }: AiModelSetting,
  options: ModelCallNow,
  streamed: boolean,
  effects: ReadonlyMap<string, Effect>,
  hash: Hash,
  encode: (value: unknown) => InlinePayload,
): Omit<AskedInference, 'path' | 'can'> {
  const { abortSignal: _, headers, ...call } = options;
  const stored = storable(call);
  const request = encode(stored);
  return {
    ask: {
      model: model.name,
      fingerprint: fingerprintOf(encode(inOneOrder(stored as ModelCall)), hash),
      estimate: {
        inputTokens: estimatedInputTokens(call.prompt, JSON.stringify(call.tools ?? '')),
        outputTokens: call.maxOutputTokens ?? limits.inferenceOutputTokensDefault,
      },
      policy,
      streamed,
      deadlineMs,
      ...(cache === null || !mayRepeat(call, effects) ? {} : { cache }),
    },
    request,
    call: () => ({ ...call, ...(headers === undefined ? {} : { headers }) }),
    retry,
    remedies,
    check: null,
    // Readers are shown what the program makes of the parts.
    chunkOf: () => undefined,
    versionOf: (version) => versionOf(model, version),
  };
}

/** Whether an answer from before will do: what it may ask for has no external effect. */
function mayRepeat({ tools = [] }: ModelCall, effects: ReadonlyMap<string, Effect>): boolean {
  return tools.every((tool) => {
    const { type, name } = tool as { readonly type?: unknown; readonly name?: unknown };
    const effect = type === 'function' && typeof name === 'string' ? effects.get(name) : undefined;
    return effect !== undefined && effect !== 'external';
  });
}

/**
 * The same whatever the order in which tools that ran side by side came to their ends: the SDK tells the model of them in that
 * order, and another life of the program may have another one.
 */
function inOneOrder(call: ModelCall): ModelCall {
  const prompt = call.prompt.map((message) =>
    message.role === 'tool' && Array.isArray(message.content)
      ? { ...message, content: (message.content as readonly unknown[]).toSorted(byCall) }
      : message,
  );
  return { ...call, prompt };
}

function byCall(a: unknown, b: unknown): number {
  const [x, y] = [callIdOf(a), callIdOf(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function callIdOf(part: unknown): string {
  return typeof part === 'object' && part !== null && 'toolCallId' in part ? String(part.toolCallId) : '';
}

/** The parts that `doStream` gives: those of the answer, or what an answer that came whole would have come in. */
export function partsOf(answer: RecordedAnswer): readonly unknown[] {
  if ('parts' in answer) return answer.parts;
  const { content, finishReason, usage, warnings, providerMetadata, response } = answer;
  return [
    { type: 'stream-start', warnings },
    ...(response === undefined ? [] : [{ type: 'response-metadata', ...response }]),
    ...content.flatMap(partsOfContent),
    { type: 'finish', finishReason, usage, ...(providerMetadata === undefined ? {} : { providerMetadata }) },
  ];
}

function partsOfContent(content: GeneratedAnswer['content'][number], i: number): readonly object[] {
  const { type, text } = content as Readonly<Record<string, unknown>>;
  if (type !== 'text' && type !== 'reasoning') return [content as object];
  const id = `${type}-${i}`;
  return [
    { type: `${type}-start`, id },
    { type: `${type}-delta`, id, delta: text },
    { type: `${type}-end`, id },
  ];
}
