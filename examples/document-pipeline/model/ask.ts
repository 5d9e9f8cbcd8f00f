/**
 * How a worker asks a model: the client of the package, streamed, with the idempotency key of its step, so that whoever counts
 * or bills at the other end can tell a repetition from a new call. What comes back is small enough to be recorded whole.
 */
import { type FunctionTool, openaiCompatible, openaiCompatibleEmbedding, type PromptMessage } from 'eventspine/models';
import type { WireToolCall } from './wire.ts';

/** A call of a chat model. */
export interface ChatCall {
  /** Base URL ending in `/v1`. */
  readonly url: string;
  readonly messages: readonly PromptMessage[];
  /** Absent: the model may not ask for tools. */
  readonly tools?: readonly FunctionTool[];
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  /** Called with each piece of text as it arrives. */
  readonly onText?: (text: string) => void;
}

/** What a chat model answered. Runs have recorded it in this form, so it keeps it. */
export interface ChatAnswer {
  readonly model: string;
  readonly text: string;
  readonly toolCalls: readonly WireToolCall[];
}

/** Asks a chat model and collects its streamed answer. Rejects with `ModelCallError`, or with the abort. */
export async function ask(call: ChatCall): Promise<ChatAnswer> {
  const { stream } = await openaiCompatible({ baseUrl: call.url, model: 'default' }).doStream({
    prompt: call.messages,
    tools: call.tools,
    abortSignal: call.signal,
    headers: { 'idempotency-key': call.idempotencyKey },
  });
  const toolCalls: WireToolCall[] = [];
  let model = 'unknown';
  let text = '';
  for await (const part of stream) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'response-metadata') model = part.modelId ?? model;
    if (part.type === 'tool-call') {
      const asked = { name: part.toolName, arguments: part.input };
      toolCalls.push({ id: part.toolCallId, type: 'function', function: asked });
    }
    if (part.type !== 'text-delta') continue;
    call.onText?.(part.delta);
    text += part.delta;
  }
  return { model, text, toolCalls };
}

/** The embedding of a text. Rejects with `ModelCallError`, or with the abort. */
export async function embedding(
  call: Pick<ChatCall, 'url' | 'idempotencyKey' | 'signal'> & { readonly text: string },
): Promise<number[]> {
  const { embeddings } = await openaiCompatibleEmbedding({ baseUrl: call.url, model: 'default' }).doEmbed({
    values: [call.text],
    abortSignal: call.signal,
    headers: { 'idempotency-key': call.idempotencyKey },
  });
  return embeddings[0] ?? [];
}
