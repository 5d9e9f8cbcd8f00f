/** Fields that an answer in one piece and one in chunks have in common. Pure; total on whatever an endpoint sends. */
import type { Content, FinishReason, Json, ResponseMetadata, Usage } from '../language-model.js';
import { isRecord } from './transport.js';

/** Tokens, as the SDK counts them: a provider that leaves a count out has counted none. */
export function usageOf(raw: unknown): Usage {
  if (!isRecord(raw)) {
    return {
      inputTokens: { total: undefined, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: undefined, text: undefined, reasoning: undefined },
    };
  }
  const input = count(raw, 'prompt_tokens');
  const output = count(raw, 'completion_tokens');
  const cacheRead = count(raw['prompt_tokens_details'], 'cached_tokens');
  const reasoning = count(raw['completion_tokens_details'], 'reasoning_tokens');
  return {
    inputTokens: { total: input, noCache: Math.max(0, input - cacheRead), cacheRead, cacheWrite: undefined },
    outputTokens: { total: output, text: Math.max(0, output - reasoning), reasoning },
    raw: raw as { [name: string]: Json | undefined },
  };
}

function count(from: unknown, name: string): number {
  const value = isRecord(from) ? from[name] : undefined;
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : 0;
}

/** Why the model stopped. */
export function finishOf(raw: unknown): FinishReason {
  const said = typeof raw === 'string' ? raw : undefined;
  return { unified: unified[said ?? ''] ?? 'other', raw: said };
}

const unified: Readonly<Record<string, FinishReason['unified']>> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content-filter',
  function_call: 'tool-calls',
  tool_calls: 'tool-calls',
};

/** Id, time and model of an answer, where it says them. */
export function metadataOf(from: Readonly<Record<string, unknown>>): ResponseMetadata {
  const { id, model, created } = from;
  return {
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof model === 'string' ? { modelId: model } : {}),
    ...(typeof created === 'number' && Number.isFinite(created) ? { timestamp: new Date(created * 1_000) } : {}),
  };
}

/** Text and reasoning of a `content`, which is a text or a list of parts. */
export function contentOf(content: unknown): Content[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  if (!Array.isArray(content)) return [];
  return content.flatMap((part: unknown): Content[] => {
    if (!isRecord(part)) return [];
    if (part['type'] === 'text' && typeof part['text'] === 'string') return contentOf(part['text']);
    const thinking = part['type'] === 'thinking' ? contentOf(part['thinking']) : [];
    const text = thinking.map((one) => (one.type === 'text' ? one.text : '')).join('');
    return text === '' ? [] : [{ type: 'reasoning', text }];
  });
}

/** Reasoning that stands beside the content, under either of its names. */
export function reasoningOf(message: Readonly<Record<string, unknown>>): string {
  const told = message['reasoning_content'] ?? message['reasoning'];
  return typeof told === 'string' ? told : '';
}

/** What a provider says about its answer beyond its parts. */
export class AnswerFacts {
  readonly #facts: { [name: string]: Json | undefined } = {};
  readonly #logprobs: Json[] = [];
  #refusal = '';

  /** Reads the choice of an answer or of one chunk. */
  read(choice: Readonly<Record<string, unknown>>, message: unknown): void {
    const { logprobs } = choice;
    if (isRecord(logprobs) && Array.isArray(logprobs['content']))
      this.#logprobs.push(...(logprobs['content'] as Json[]));
    if (isRecord(message) && typeof message['refusal'] === 'string') this.#refusal += message['refusal'];
  }

  /** Whether the model has refused: then its text is the refusal. */
  get refused(): boolean {
    return this.#refusal !== '';
  }

  /** Under the provider's name. */
  under(name: string, usage: unknown): Record<string, { [name: string]: Json | undefined }> {
    const details = isRecord(usage) ? usage['completion_tokens_details'] : undefined;
    if (isRecord(details)) {
      for (const [field, as] of predictions) {
        if (typeof details[field] === 'number') this.#facts[as] = details[field];
      }
    }
    if (this.#logprobs.length > 0) this.#facts['logprobs'] = this.#logprobs;
    if (this.refused) this.#facts['refusal'] = this.#refusal;
    return { [name]: this.#facts };
  }
}

const predictions = [
  ['accepted_prediction_tokens', 'acceptedPredictionTokens'],
  ['rejected_prediction_tokens', 'rejectedPredictionTokens'],
] as const;
