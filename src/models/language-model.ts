/**
 * The shape of a language model: version 3 of the AI SDK's provider interface, which versions 6 and 7 of that SDK take as it
 * is. Written down here and not imported: the models of this package work without the SDK, and with it.
 *
 * What a caller gives is typed widely and what a model answers narrowly, so that either side fits the SDK's own types.
 */

/** Options of one provider, by its name; passed through as they are. */
export type ProviderOptions = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** A JSON Schema. */
export type JsonSchema = object;

/** Bytes, base64 text, or a URL that the provider fetches by itself. */
export type FileData = Uint8Array | string | URL;

/** Text of a message. */
export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

/** What a model had said of its way to an answer. */
export interface ReasoningPart {
  readonly type: 'reasoning';
  readonly text: string;
}

/** An image, a sound, a document. */
export interface FilePart {
  readonly type: 'file';
  readonly mediaType: string;
  readonly data: FileData;
  readonly filename?: string | undefined;
}

/** A call as the model had asked for it; `input` is the parsed value. */
export interface ToolCallPart {
  readonly type: 'tool-call';
  readonly toolCallId: string;
  readonly toolName: string;
  readonly input: unknown;
}

/** The result of a call, as the model is told of it. */
export interface ToolResultPart {
  readonly type: 'tool-result';
  readonly toolCallId: string;
  readonly toolName: string;
  readonly output: ToolOutput;
}

/** What a tool gave back. */
export type ToolOutput =
  | { readonly type: 'text' | 'error-text'; readonly value: string }
  | { readonly type: 'json' | 'error-json'; readonly value: unknown }
  | { readonly type: 'content'; readonly value: readonly unknown[] }
  | { readonly type: 'execution-denied'; readonly reason?: string | undefined };

/** Parts that this package does not read, such as answers to requests for approval. */
interface OtherPart {
  readonly type: 'tool-approval-response';
}

/** One message of a conversation. */
export type PromptMessage =
  | { readonly role: 'system'; readonly content: string }
  | { readonly role: 'user'; readonly content: readonly (TextPart | FilePart)[] }
  | {
      readonly role: 'assistant';
      readonly content: readonly (TextPart | FilePart | ReasoningPart | ToolCallPart | ToolResultPart)[];
    }
  | { readonly role: 'tool'; readonly content: readonly (ToolResultPart | OtherPart)[] };

/** A tool that the model may ask for. */
export interface FunctionTool {
  readonly type: 'function';
  readonly name: string;
  readonly description?: string | undefined;
  readonly inputSchema: JsonSchema;
  readonly strict?: boolean | undefined;
}

/** A tool that a provider runs by itself; the models of this package have none and warn. */
export interface ProviderTool {
  readonly type: 'provider';
  readonly id: string;
  readonly name: string;
}

/** Whether the model may call tools, must, or must call this one. */
export type ToolChoice =
  | { readonly type: 'auto' | 'none' | 'required' }
  | { readonly type: 'tool'; readonly toolName: string };

/** Which form the answer is to have. */
export type ResponseFormat =
  | { readonly type: 'text' }
  | {
      readonly type: 'json';
      readonly schema?: JsonSchema | undefined;
      readonly name?: string | undefined;
      readonly description?: string | undefined;
    };

/** What a model is asked. */
export interface CallOptions {
  readonly prompt: readonly PromptMessage[];
  readonly maxOutputTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly topK?: number | undefined;
  readonly presencePenalty?: number | undefined;
  readonly frequencyPenalty?: number | undefined;
  readonly stopSequences?: readonly string[] | undefined;
  readonly seed?: number | undefined;
  readonly responseFormat?: ResponseFormat | undefined;
  readonly tools?: readonly (FunctionTool | ProviderTool)[] | undefined;
  readonly toolChoice?: ToolChoice | undefined;
  readonly includeRawChunks?: boolean | undefined;
  readonly abortSignal?: AbortSignal | undefined;
  /** Sent with the request; `undefined` takes a configured header away. */
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly providerOptions?: ProviderOptions | undefined;
}

/** A JSON value. */
export type Json = null | string | number | boolean | Json[] | { [name: string]: Json | undefined };

/** Facts of a provider about its answer, by the provider's name. */
export type ProviderMetadata = Record<string, { [name: string]: Json | undefined }>;

/** An asked-for option that the model does not have. */
export type Warning = { type: 'unsupported'; feature: string; details?: string } | { type: 'other'; message: string };

/** Tokens of one call; undefined where the provider does not say. Budgets go by `total`, prices by the parts. */
export type Usage = {
  inputTokens: {
    total: number | undefined;
    noCache: number | undefined;
    cacheRead: number | undefined;
    cacheWrite: number | undefined;
  };
  outputTokens: { total: number | undefined; text: number | undefined; reasoning: number | undefined };
  /** As the provider has said it. */
  raw?: { [name: string]: Json | undefined };
};

/** Why the model stopped: in the words of the SDK, and in those of the provider. */
export type FinishReason = {
  unified: 'stop' | 'length' | 'content-filter' | 'tool-calls' | 'error' | 'other';
  raw: string | undefined;
};

/** A tool call as a model asks for it: `input` is JSON text as the model wrote it. */
export type ToolCall = { type: 'tool-call'; toolCallId: string; toolName: string; input: string };

/** One part of an answer. */
export type Content = { type: 'text'; text: string } | { type: 'reasoning'; text: string } | ToolCall;

/** What a provider says of the answer itself. */
export type ResponseMetadata = { id?: string; timestamp?: Date; modelId?: string };

/** An answer in one piece. */
export type GenerateResult = {
  content: Content[];
  finishReason: FinishReason;
  usage: Usage;
  providerMetadata?: ProviderMetadata;
  request?: { body?: unknown };
  response?: ResponseMetadata & { headers?: Record<string, string>; body?: unknown };
  warnings: Warning[];
};

/** One part of an answer that comes in pieces. An answer without a `finish` is not complete. */
export type StreamPart =
  | { type: 'stream-start'; warnings: Warning[] }
  | ({ type: 'response-metadata' } & ResponseMetadata)
  | { type: 'text-start'; id: string }
  | { type: 'text-delta'; id: string; delta: string }
  | { type: 'text-end'; id: string }
  | { type: 'reasoning-start'; id: string }
  | { type: 'reasoning-delta'; id: string; delta: string }
  | { type: 'reasoning-end'; id: string }
  | { type: 'tool-input-start'; id: string; toolName: string }
  | { type: 'tool-input-delta'; id: string; delta: string }
  | { type: 'tool-input-end'; id: string }
  | ToolCall
  | { type: 'raw'; rawValue: unknown }
  | { type: 'error'; error: unknown }
  | { type: 'finish'; usage: Usage; finishReason: FinishReason; providerMetadata?: ProviderMetadata };

/** An answer that comes in pieces. */
export type StreamResult = {
  stream: ReadableStream<StreamPart>;
  request?: { body?: unknown };
  response?: { headers?: Record<string, string> };
};

/** A language model. */
export interface LanguageModel {
  readonly specificationVersion: 'v3';
  readonly provider: string;
  readonly modelId: string;
  /** Media types whose URLs the provider fetches by itself; files of others are sent as bytes. */
  readonly supportedUrls: Record<string, RegExp[]>;
  doGenerate(options: CallOptions): Promise<GenerateResult>;
  doStream(options: CallOptions): Promise<StreamResult>;
}
