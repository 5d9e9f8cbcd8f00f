export {
  openaiCompatible,
  openaiCompatibleEmbedding,
  type EndpointOptions,
  type ModelTimeouts,
  type OpenAiCompatibleEmbeddingOptions,
  type OpenAiCompatibleModel,
  type OpenAiCompatibleOptions,
} from './openai/openai-compatible.js';
export type { FetchPort } from './openai/transport.js';
export { localEmbedding, localModel, type LocalModelOptions } from './local/local-model.js';
export { splitSentences } from './local/sentences.js';
export { termsOf } from './local/terms.js';
export { isModelCallError, ModelCallError, type ModelCallFacts } from './model-call-error.js';
export type { EmbeddingModel, EmbedOptions, EmbedResult } from './embedding-model.js';
export type {
  CallOptions,
  Content,
  FileData,
  FilePart,
  FinishReason,
  FunctionTool,
  GenerateResult,
  Json,
  JsonSchema,
  LanguageModel,
  PromptMessage,
  ProviderMetadata,
  ProviderOptions,
  ProviderTool,
  ReasoningPart,
  ResponseFormat,
  ResponseMetadata,
  StreamPart,
  StreamResult,
  TextPart,
  ToolCall,
  ToolCallPart,
  ToolChoice,
  ToolOutput,
  ToolResultPart,
  Usage,
  Warning,
} from './language-model.js';
