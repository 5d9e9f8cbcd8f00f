/**
 * Results of the AI SDK, by their structure: those of `generateText`, `streamText` and agents, and those of the functions for
 * objects. A streamed one is read to its end here, and shown while it comes.
 *
 * Invariant: what is recorded is plain, and the same whether the program streamed or not.
 */
import type { AiAnswer, AiStreamed, AiToolCall, AiUsage } from './ai-options.js';
import { storable } from './sdk-values.js';

type Shape = Readonly<Record<string, unknown>>;

/** Shows a streamed result to whoever reads it; resolves when it has ended. */
export type Show = (result: AiStreamed) => Promise<void>;

/** What is recorded of what the function came to. Rejects as the result does. */
export async function recordedOf(value: unknown, show: Show): Promise<unknown> {
  if (Array.isArray(value)) return await Promise.all(value.map((one: unknown) => recordedOf(one, show)));
  if (!isSdkResult(value)) return value;
  await ended(value, show);
  const { steps, object } = value;
  if (steps !== undefined) return await answerOf(value);
  const [output, usage, finishReason] = await Promise.all([object, value['usage'], value['finishReason']]);
  const text = JSON.stringify(output) ?? '';
  const end = { finishReason: textOf(finishReason), usage: usageOf(usage), steps: 1 };
  const none = { reasoning: '', toolCalls: [], toolResults: [], messages: [] };
  return { text, output: storable(output), ...end, ...none } satisfies AiAnswer;
}

/** Whether the functions of the SDK give such things. Fields may be getters that throw; those named here do not. */
function isSdkResult(value: unknown): value is Shape {
  if (typeof value !== 'object' || value === null) return false;
  return 'finishReason' in value && 'usage' in value && 'warnings' in value && ('steps' in value || 'object' in value);
}

async function ended(result: Shape, show: Show): Promise<void> {
  if (typeof result['toUIMessageStream'] === 'function') return await show(result as unknown as AiStreamed);
  const stream = 'fullStream' in result ? result['fullStream'] : undefined;
  if (typeof stream !== 'object' || stream === null || !(Symbol.asyncIterator in stream)) return;
  for await (const part of stream as AsyncIterable<unknown>) {
    const { type, error } = shapeOf(part);
    if (type === 'error') throw error;
  }
}

async function answerOf(result: Shape): Promise<AiAnswer> {
  const steps = listOf(await result['steps']).map(shapeOf);
  const [text, reasoning, usage, finishReason, response, messages] = await Promise.all([
    result['text'],
    result['reasoningText'],
    result['totalUsage'] ?? result['usage'],
    result['finishReason'],
    result['response'],
    'responseMessages' in result ? result['responseMessages'] : undefined,
  ]);
  return {
    text: textOf(text),
    reasoning: textOf(reasoning),
    output: storable(await outputOf(result, text)),
    finishReason: textOf(finishReason),
    usage: usageOf(usage),
    steps: steps.length,
    toolCalls: steps.flatMap(({ toolCalls }) => listOf(toolCalls).map(callOf)),
    toolResults: steps.flatMap(({ toolResults }) =>
      listOf(toolResults).map((one) => ({ ...callOf(one), output: storable(shapeOf(one)['output']) })),
    ),
    messages: listOf(storable(messages ?? shapeOf(response)['messages'])).map(shapeOf),
  };
}

/** There is none where the program ended before its answer: in the middle of its tools, say. */
async function outputOf(result: Shape, text: unknown): Promise<unknown> {
  try {
    return (await result['output']) ?? text;
  } catch (error) {
    if (shapeOf(error)['name'] === 'AI_NoOutputGeneratedError') return text;
    throw error;
  }
}

function callOf(given: unknown): AiToolCall {
  const { toolCallId, toolName, input } = shapeOf(given);
  return { toolCallId: textOf(toolCallId), toolName: textOf(toolName), input: storable(input) };
}

function usageOf(given: unknown): AiUsage {
  const { inputTokens, outputTokens, totalTokens } = shapeOf(given);
  const count = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
  return {
    inputTokens: count(inputTokens),
    outputTokens: count(outputTokens),
    totalTokens: count(totalTokens),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function shapeOf(value: unknown): Shape {
  return typeof value === 'object' && value !== null ? (value as Shape) : {};
}
