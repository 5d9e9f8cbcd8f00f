/**
 * How a worker talks to a model: the OpenAI protocol over `fetch`, streamed. Every call carries the idempotency key of its
 * step, so that whoever counts or bills at the other end can tell a repetition from a new call.
 */
import type { ChatChunk, ChatMessage, WireTool, WireToolCall } from './chat.ts';

/** A call of a chat model. */
export interface ChatCall {
  /** Base URL ending in `/v1`. */
  readonly url: string;
  readonly messages: readonly ChatMessage[];
  /** Absent: the model may not ask for tools. */
  readonly tools?: readonly WireTool[];
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  /** Called with each piece of text as it arrives. */
  readonly onText?: (text: string) => void;
}

/** What a chat model answered. */
export interface ChatAnswer {
  readonly model: string;
  readonly text: string;
  readonly toolCalls: readonly WireToolCall[];
}

/** The model's end refused or broke off. `status` and `retryAfter` (seconds) decide whether another attempt helps. */
export class ModelCallFailed extends Error {
  override readonly name = 'ModelCallFailed';
  readonly code = 'MODEL_CALL_FAILED';
  readonly status: number;
  readonly retryAfter?: number;

  constructor(message: string, status: number, retryAfter: number | null) {
    super(message);
    this.status = status;
    if (retryAfter !== null) this.retryAfter = retryAfter;
  }
}

/** Asks a chat model and collects its streamed answer. Rejects with `ModelCallFailed`, or with the abort. */
export async function chat(call: ChatCall): Promise<ChatAnswer> {
  const response = await post(call, 'chat/completions', {
    model: 'default',
    stream: true,
    messages: call.messages,
    ...(call.tools === undefined ? {} : { tools: call.tools }),
  });
  const tools: { id: string; name: string; arguments: string }[] = [];
  let model = 'unknown';
  let text = '';
  let finished = false;
  for await (const chunk of chunksOf(response)) {
    model = chunk.model ?? model;
    const choice = chunk.choices[0];
    const piece = choice?.delta.content ?? '';
    if (piece !== '') call.onText?.(piece);
    text += piece;
    for (const part of choice?.delta.tool_calls ?? []) {
      const tool = (tools[part.index] ??= { id: '', name: '', arguments: '' });
      tool.id ||= part.id ?? '';
      tool.name += part.function?.name ?? '';
      tool.arguments += part.function?.arguments ?? '';
    }
    finished ||= typeof choice?.finish_reason === 'string';
  }
  // A stream that just ends was cut: half an answer must not be recorded as an answer.
  if (!finished) throw new ModelCallFailed("The model's answer broke off.", 503, null);
  return { model, text, toolCalls: tools.filter(Boolean).map(wireCall) };
}

/** The embedding of a text. Rejects with `ModelCallFailed`, or with the abort. */
export async function embedding(
  call: Pick<ChatCall, 'url' | 'idempotencyKey' | 'signal'> & { readonly text: string },
): Promise<number[]> {
  const response = await post(call, 'embeddings', { model: 'default', input: call.text });
  const body = (await response.json()) as { data?: { embedding?: number[] }[] };
  const vector = body.data?.[0]?.embedding;
  if (vector === undefined) throw new ModelCallFailed('The endpoint answered without an embedding.', 502, null);
  return vector;
}

async function post(
  call: Pick<ChatCall, 'url' | 'idempotencyKey' | 'signal'>,
  path: string,
  body: object,
): Promise<Response> {
  const response = await fetch(`${call.url}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': call.idempotencyKey },
    body: JSON.stringify(body),
    signal: call.signal,
  });
  if (response.ok) return response;
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const told = (await response.text()).slice(0, 300);
  throw new ModelCallFailed(
    `The model endpoint answered ${response.status}: ${told}`,
    response.status,
    Number.isNaN(seconds) ? null : seconds,
  );
}

/** The data of server-sent events, as the chat protocol frames them. */
async function* chunksOf(response: Response): AsyncGenerator<ChatChunk> {
  const decoder = new TextDecoder();
  let open = '';
  for await (const bytes of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    open += decoder.decode(bytes, { stream: true });
    const lines = open.split('\n');
    open = lines.pop() ?? '';
    for (const line of lines) {
      const data = /^data:\s?(.*?)\r?$/.exec(line)?.[1];
      if (data !== undefined && data !== '[DONE]') yield JSON.parse(data) as ChatChunk;
    }
  }
}

function wireCall(tool: { readonly id: string; readonly name: string; readonly arguments: string }): WireToolCall {
  return { id: tool.id, type: 'function', function: { name: tool.name, arguments: tool.arguments } };
}
