/**
 * What models answer, read as data: whole or in parts, in the shapes of the AI SDK specifications v2 to v4. Out of it come
 * the value that is recorded, and what the rest of the system needs to know of it.
 *
 * Invariant: total. Whatever an endpoint gives, reading it does not throw.
 */
import type { DecisionAlternative, TokenUsage } from '../../core/run/inference.js';
import { limits } from '../../core/limits.js';

type Shape = Readonly<Record<string, unknown>>;

/** An answer as it is recorded: the parts that it came in, or its content. */
export type RecordedAnswer = GeneratedAnswer | StreamedAnswer;

/** An answer that came whole. */
export interface GeneratedAnswer {
  readonly content: readonly unknown[];
  readonly finishReason: unknown;
  readonly usage: unknown;
  readonly warnings: readonly unknown[];
  readonly providerMetadata?: unknown;
  readonly response?: { readonly id?: unknown; readonly timestamp?: unknown; readonly modelId?: unknown };
}

/** An answer that came in parts; deltas that followed one another are one. */
export interface StreamedAnswer {
  readonly parts: readonly Shape[];
}

/** What is to be known of an answer. */
export interface AnswerFacts {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  /** The content as parts of a message of the assistant, for what is asked next. */
  readonly content: readonly Shape[];
  readonly finish: string;
  readonly usage: TokenUsage;
  readonly providerId: string | null;
  readonly confidence: number | null;
  readonly alternatives: readonly DecisionAlternative[];
}

/** A tool that the model wants to be called. `input` is what its JSON says, or the text where it is none. */
export interface ToolCall {
  readonly toolCallId: string;
  readonly toolName: string;
  readonly input: unknown;
}

/** What is kept of an answer that came whole: without the request and the bodies of HTTP. */
export function generatedAnswer(result: unknown): GeneratedAnswer {
  const { content, finishReason, usage, warnings, providerMetadata, response } = shapeOf(result);
  const { id, timestamp, modelId } = shapeOf(response);
  return {
    content: listOf(content),
    finishReason,
    usage,
    warnings: listOf(warnings),
    ...(providerMetadata === undefined ? {} : { providerMetadata }),
    ...(response === undefined ? {} : { response: { id, timestamp, modelId } }),
  };
}

/** Adds a part to those that came before; what continues the last one becomes one with it. */
export function addPart(parts: Shape[], given: unknown): void {
  const part = shapeOf(given);
  const last = parts.at(-1);
  const more = part['delta'];
  const before = last?.['delta'];
  const isMore =
    typeof more === 'string' &&
    typeof before === 'string' &&
    last?.['type'] === part['type'] &&
    last?.['id'] === part['id'];
  if (isMore) parts[parts.length - 1] = { ...last, ...part, delta: before + more };
  else parts.push(part);
}

/** The error that a part stands for; null = it is none. */
export function errorOfPart(part: unknown): Error | null {
  const { type, error } = shapeOf(part);
  if (type !== 'error') return null;
  return error instanceof Error ? error : new Error('The stream of the model broke off.', { cause: error });
}

/** Whether the part ends its answer: a stream without one was cut. */
export function isFinish(part: unknown): boolean {
  return shapeOf(part)['type'] === 'finish';
}

/** Id of the answer at the provider, where the part tells it. */
export function providerIdOf(part: unknown): string | null {
  const { type, id } = shapeOf(part);
  return type === 'response-metadata' ? idOf(id) : null;
}

/** The piece of text that a part adds to the answer; null = it adds none. */
export function textDelta(part: unknown): string | null {
  const { type, delta } = shapeOf(part);
  return type === 'text-delta' && typeof delta === 'string' ? delta : null;
}

/** What an answer says of itself; of none (a replay that assumes one) nothing. */
export function factsOf(answer: RecordedAnswer | null): AnswerFacts {
  const { parts } = shapeOf(answer);
  const whole = Array.isArray(parts) ? assembled(parts.map(shapeOf)) : generatedAnswer(answer);
  const content = listOf(whole.content).map(shapeOf);
  const text = textsOf(content, 'text');
  return {
    text,
    reasoning: textsOf(content, 'reasoning'),
    toolCalls: content.flatMap((part) => (isOwnToolCall(part) ? [toolCallOf(part)] : [])),
    content,
    finish: finishOf(whole.finishReason),
    usage: usageOf(whole.usage),
    providerId: idOf(whole.response?.id),
    ...certainty(whole.providerMetadata),
  };
}

/** The content that parts come to. */
function assembled(parts: readonly Shape[]): GeneratedAnswer {
  const content: Shape[] = [];
  const open = new Map<string, number>();
  let finish: Shape = {};
  let response: GeneratedAnswer['response'];
  let warnings: readonly unknown[] = [];
  for (const part of parts) {
    const { type } = part;
    const [, kind] = typeof type === 'string' ? (/^(text|reasoning)-(?:start|delta|end)$/.exec(type) ?? []) : [];
    if (kind !== undefined) {
      const key = `${kind}\0${textOf(part['id'])}`;
      const at = open.get(key) ?? content.push({ type: kind, text: '' }) - 1;
      open.set(key, at);
      const { providerMetadata = content[at]?.['providerMetadata'] } = part;
      const text = textOf(content[at]?.['text']) + textOf(part['delta']);
      content[at] = { type: kind, text, ...(providerMetadata === undefined ? {} : { providerMetadata }) };
    } else if (type === 'tool-call' || type === 'tool-result' || type === 'file' || type === 'source')
      content.push(part);
    else if (type === 'finish') finish = part;
    else if (type === 'stream-start') warnings = listOf(part['warnings']);
    else if (type === 'response-metadata') {
      const { id, timestamp, modelId } = part;
      response = { ...response, id, timestamp, modelId };
    }
  }
  const { finishReason, usage, providerMetadata } = finish;
  return { content, finishReason, usage, warnings, providerMetadata, ...(response === undefined ? {} : { response }) };
}

function textsOf(content: readonly Shape[], type: 'text' | 'reasoning'): string {
  return content.map((part) => (part['type'] === type ? textOf(part['text']) : '')).join('');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What the provider runs itself is none of ours. */
function isOwnToolCall({ type, providerExecuted }: Shape): boolean {
  return type === 'tool-call' && providerExecuted !== true;
}

function toolCallOf(part: Shape): ToolCall {
  const { toolCallId, toolName, input } = part;
  return { toolCallId: String(toolCallId), toolName: String(toolName), input: jsonOr(input) };
}

/** Input of a tool comes as JSON; a text that is none is what the model has said. */
function jsonOr(input: unknown): unknown {
  if (typeof input !== 'string') return input;
  if (input.trim() === '') return {};
  try {
    return JSON.parse(input) as unknown;
  } catch {
    return input;
  }
}

/** v2 gives a word, v3 and v4 one with what the provider has said. */
function finishOf(finishReason: unknown): string {
  const word = typeof finishReason === 'string' ? finishReason : shapeOf(finishReason)['unified'];
  return typeof word === 'string' && word !== '' ? word.slice(0, limits.nameLengthMax) : 'other';
}

/** v2 gives numbers, v3 and v4 totals with their parts. */
function usageOf(usage: unknown): TokenUsage {
  const { inputTokens, outputTokens, cachedInputTokens } = shapeOf(usage);
  return {
    inputTokens: tokens(typeof inputTokens === 'number' ? inputTokens : shapeOf(inputTokens)['total']),
    cachedInputTokens: tokens(cachedInputTokens ?? shapeOf(inputTokens)['cacheRead']),
    outputTokens: tokens(typeof outputTokens === 'number' ? outputTokens : shapeOf(outputTokens)['total']),
  };
}

function tokens(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
}

function idOf(id: unknown): string | null {
  return typeof id === 'string' && id !== '' && id.length <= limits.keyLengthMax ? id : null;
}

/**
 * How sure the model was, where the provider gives log probabilities: the geometric mean over the tokens of the answer,
 * and what the first token could have been instead, which for a label or a yes is the decision itself.
 */
function certainty(metadata: unknown): Pick<AnswerFacts, 'confidence' | 'alternatives'> {
  const logprobs = Object.values(shapeOf(metadata)).flatMap((of) =>
    listOf(shapeOf(of)['logprobs']).flat().map(shapeOf),
  );
  const values = logprobs.flatMap(({ logprob }) => (typeof logprob === 'number' && logprob <= 0 ? [logprob] : []));
  if (values.length === 0) return { confidence: null, alternatives: [] };
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const { token, top_logprobs, topLogprobs } = logprobs[0] ?? {};
  const alternatives = listOf(top_logprobs ?? topLogprobs)
    .map(shapeOf)
    .flatMap((other) =>
      typeof other['token'] === 'string' && other['token'] !== token && typeof other['logprob'] === 'number'
        ? [{ text: other['token'].slice(0, limits.decisionTextLengthMax), probability: ratio(other['logprob']) }]
        : [],
    );
  return { confidence: ratio(mean), alternatives: alternatives.slice(0, limits.decisionAlternativesMax) };
}

function ratio(logprob: number): number {
  return Math.min(1, Math.max(0, Math.round(Math.exp(logprob) * 10_000) / 10_000));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function shapeOf(value: unknown): Shape {
  return typeof value === 'object' && value !== null ? (value as Shape) : {};
}
