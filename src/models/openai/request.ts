/** From what a caller asks to the body of `POST /chat/completions`. Pure. */
import { fromBase64, toBase64 } from '../../core/base64.js';
import type {
  CallOptions,
  FilePart,
  FunctionTool,
  PromptMessage,
  ToolChoice,
  ToolOutput,
  Warning,
} from '../language-model.js';
import { ModelCallError } from '../model-call-error.js';

/** How an endpoint differs from others. */
export interface Dialect {
  readonly url: string;
  readonly model: string;
  /** Name under which options and facts of this endpoint go. */
  readonly name: string;
  /** Whether answers can be bound to a JSON Schema. */
  readonly structuredOutputs: boolean;
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens';
  /** Ask for the probability of each token, with that many alternatives; null = do not ask. */
  readonly logprobs: number | null;
}

/** A body, and what of the options it leaves out. */
export interface ChatBody {
  readonly body: Readonly<Record<string, unknown>>;
  readonly warnings: Warning[];
}

/** Names of `providerOptions` that stand for fields with other names. */
const renamed: Readonly<Record<string, string>> = { reasoningEffort: 'reasoning_effort', textVerbosity: 'verbosity' };

/** The body of a call. Options of the provider go through under their own names. */
export function chatBody(options: CallOptions, dialect: Dialect): ChatBody {
  const warnings: Warning[] = [];
  if (options.topK !== undefined) warnings.push({ type: 'unsupported', feature: 'topK' });
  const tools = toolsOf(options, warnings);
  const body: Record<string, unknown> = {
    model: dialect.model,
    messages: options.prompt.flatMap((message) => wireMessages(message, dialect)),
    [dialect.maxTokensField]: options.maxOutputTokens,
    temperature: options.temperature,
    top_p: options.topP,
    frequency_penalty: options.frequencyPenalty,
    presence_penalty: options.presencePenalty,
    stop: options.stopSequences,
    seed: options.seed,
    response_format: responseFormat(options, dialect, warnings),
    tools,
    tool_choice: tools === undefined ? undefined : toolChoice(options.toolChoice),
    ...(dialect.logprobs === null ? {} : { logprobs: true, top_logprobs: dialect.logprobs }),
    ...ownOptions(options, dialect),
  };
  return { body: Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)), warnings };
}

function ownOptions(options: CallOptions, dialect: Dialect): Record<string, unknown> {
  const given = { ...options.providerOptions?.['openaiCompatible'], ...options.providerOptions?.[dialect.name] };
  const { strictJsonSchema: _, ...rest } = given;
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [renamed[name] ?? name, value]));
}

function responseFormat(options: CallOptions, dialect: Dialect, warnings: Warning[]): unknown {
  const wanted = options.responseFormat;
  if (wanted?.type !== 'json') return undefined;
  if (wanted.schema === undefined) return { type: 'json_object' };
  if (!dialect.structuredOutputs) {
    warnings.push({
      type: 'unsupported',
      feature: 'responseFormat',
      details: 'This endpoint does not bind answers to a schema; it is asked for any JSON.',
    });
    return { type: 'json_object' };
  }
  const strict = options.providerOptions?.[dialect.name]?.['strictJsonSchema'] ?? true;
  const { schema, name = 'response', description } = wanted;
  return {
    type: 'json_schema',
    json_schema: { schema, strict, name, ...(description === undefined ? {} : { description }) },
  };
}

function toolsOf(options: CallOptions, warnings: Warning[]): unknown[] | undefined {
  const offered = options.tools ?? [];
  for (const tool of offered) {
    if (tool.type === 'provider') warnings.push({ type: 'unsupported', feature: `provider-defined tool ${tool.id}` });
  }
  const functions = offered.filter((tool) => tool.type === 'function');
  return functions.length === 0 ? undefined : functions.map(wireTool);
}

function wireTool({ name, description, inputSchema, strict }: FunctionTool): unknown {
  return {
    type: 'function',
    function: {
      name,
      ...(description === undefined ? {} : { description }),
      parameters: inputSchema,
      ...(strict === undefined ? {} : { strict }),
    },
  };
}

function toolChoice(choice: ToolChoice | undefined): unknown {
  return choice?.type === 'tool' ? { type: 'function', function: { name: choice.toolName } } : choice?.type;
}

function wireMessages(message: PromptMessage, dialect: Dialect): unknown[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: message.content }];
    case 'user':
      return [{ role: 'user', content: userContent(message.content, dialect) }];
    case 'assistant':
      return [assistantMessage(message.content)];
    case 'tool':
      return message.content.flatMap((part) =>
        part.type === 'tool-result'
          ? [{ role: 'tool', tool_call_id: part.toolCallId, content: outputText(part.output) }]
          : [],
      );
  }
}

type Content<Role extends PromptMessage['role']> = Extract<PromptMessage, { readonly role: Role }>['content'];

function userContent(content: Content<'user'>, dialect: Dialect): unknown {
  const [only] = content;
  if (content.length === 1 && only?.type === 'text') return only.text;
  return content.map((part) => (part.type === 'text' ? { type: 'text', text: part.text } : filePart(part, dialect)));
}

function assistantMessage(content: Content<'assistant'>): unknown {
  const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('');
  const reasoning = content.map((part) => (part.type === 'reasoning' ? part.text : '')).join('');
  const calls = content.flatMap((part) =>
    part.type === 'tool-call'
      ? [
          {
            id: part.toolCallId,
            type: 'function',
            function: { name: part.toolName, arguments: JSON.stringify(part.input) },
          },
        ]
      : [],
  );
  return {
    role: 'assistant',
    content: calls.length > 0 ? text || null : text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

function outputText(output: ToolOutput): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value;
    case 'execution-denied':
      return output.reason ?? 'Tool call execution denied.';
    case 'json':
    case 'error-json':
    case 'content':
      return JSON.stringify(output.value);
  }
}

const audioFormats: Readonly<Record<string, string>> = { 'audio/wav': 'wav', 'audio/mp3': 'mp3', 'audio/mpeg': 'mp3' };

function filePart(part: FilePart, dialect: Dialect): unknown {
  const { mediaType, data } = part;
  if (mediaType.startsWith('image/')) {
    const type = mediaType === 'image/*' ? 'image/jpeg' : mediaType;
    const url = data instanceof URL ? data.toString() : `data:${type};base64,${base64Of(data)}`;
    return { type: 'image_url', image_url: { url } };
  }
  if (mediaType.startsWith('text/') && !(data instanceof URL)) {
    const bytes = typeof data === 'string' ? fromBase64(data) : data;
    if (bytes === null) throw unsupported('text that is not base64', dialect);
    return { type: 'text', text: new TextDecoder().decode(bytes) };
  }
  if (data instanceof URL) throw unsupported(`a URL of ${mediaType}`, dialect);
  const format = audioFormats[mediaType];
  if (format !== undefined) return { type: 'input_audio', input_audio: { data: base64Of(data), format } };
  if (mediaType === 'application/pdf') {
    const file_data = `data:application/pdf;base64,${base64Of(data)}`;
    return { type: 'file', file: { filename: part.filename ?? 'document.pdf', file_data } };
  }
  throw unsupported(`a file of ${mediaType}`, dialect);
}

function base64Of(data: Uint8Array | string): string {
  return typeof data === 'string' ? data : toBase64(data);
}

function unsupported(what: string, { url }: Dialect): ModelCallError {
  return new ModelCallError({
    message: `The chat protocol has no form for ${what}.`,
    code: 'MODEL_UNSUPPORTED',
    class: 'invalid_request',
    url,
    isRetryable: false,
  });
}
