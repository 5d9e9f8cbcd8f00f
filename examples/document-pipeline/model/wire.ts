/**
 * The part of the OpenAI chat protocol that the endpoint of this example serves, and how it is put to a model of the package:
 * messages become a prompt, parts of the answer become chunks. Field names are those of the wire.
 */
import type { FunctionTool, LanguageModel, PromptMessage, StreamPart } from 'eventspine/models';

/** A message of a conversation. */
export type WireMessage =
  | { readonly role: 'system' | 'user'; readonly content: string }
  | { readonly role: 'assistant'; readonly content: string | null; readonly tool_calls?: readonly WireToolCall[] }
  | { readonly role: 'tool'; readonly tool_call_id: string; readonly content: string };

/** A tool call as it is sent; `arguments` is JSON text. */
export interface WireToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

/** Body of `POST /v1/chat/completions`. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly WireMessage[];
  readonly tools?: readonly {
    readonly type: 'function';
    readonly function: { readonly name: string; readonly description?: string; readonly parameters: object };
  }[];
}

/** One event of a streamed answer. */
export interface ChatChunk {
  readonly model: string;
  readonly choices: readonly { readonly delta: object; readonly finish_reason: string | null }[];
}

/** Has a model answer a request, chunk by chunk. */
export async function* answered(model: LanguageModel, request: ChatRequest): AsyncGenerator<ChatChunk, void> {
  const tools = request.tools?.map(({ function: { parameters, ...rest } }): FunctionTool => {
    return { type: 'function', ...rest, inputSchema: parameters };
  });
  const { stream } = await model.doStream({ prompt: promptFrom(request.messages), tools });
  let calls = 0;
  for await (const part of stream) {
    const choice = choiceOf(part, calls);
    if (part.type === 'tool-call') calls += 1;
    if (choice !== null) yield { model: model.modelId, choices: [choice] };
  }
}

function choiceOf(part: StreamPart, index: number): ChatChunk['choices'][number] | null {
  switch (part.type) {
    case 'text-delta':
      return { delta: { content: part.delta }, finish_reason: null };
    case 'tool-call': {
      const asked = { name: part.toolName, arguments: part.input };
      const call = { index, id: part.toolCallId, type: 'function', function: asked };
      return { delta: { tool_calls: [call] }, finish_reason: null };
    }
    case 'finish':
      return { delta: {}, finish_reason: part.finishReason.raw ?? 'stop' };
    default:
      return null;
  }
}

function promptFrom(messages: readonly WireMessage[]): PromptMessage[] {
  const names = new Map<string, string>();
  return messages.map((message): PromptMessage => {
    switch (message.role) {
      case 'system':
        return { role: 'system', content: message.content };
      case 'user':
        return { role: 'user', content: [{ type: 'text', text: message.content }] };
      case 'assistant': {
        const calls = message.tool_calls ?? [];
        for (const { id, function: asked } of calls) names.set(id, asked.name);
        return {
          role: 'assistant',
          content: [
            ...(message.content === null ? [] : [{ type: 'text' as const, text: message.content }]),
            ...calls.map(({ id, function: asked }) => ({
              type: 'tool-call' as const,
              toolCallId: id,
              toolName: asked.name,
              input: JSON.parse(asked.arguments) as unknown,
            })),
          ],
        };
      }
      case 'tool': {
        const toolCallId = message.tool_call_id;
        const output = { type: 'text' as const, value: message.content };
        const toolName = names.get(toolCallId) ?? 'tool';
        return { role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName, output }] };
      }
    }
  });
}
