/** The shape of an embedding model: version 3 of the AI SDK's provider interface (see language-model.ts). */
import type { ProviderOptions, Warning } from './language-model.js';

/** What an embedding model is asked. */
export interface EmbedOptions {
  readonly values: readonly string[];
  readonly abortSignal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly providerOptions?: ProviderOptions | undefined;
}

/** One vector for each value, in their order. */
export type EmbedResult = {
  embeddings: number[][];
  usage?: { tokens: number };
  response?: { headers?: Record<string, string>; body?: unknown };
  warnings: Warning[];
};

/** An embedding model. */
export interface EmbeddingModel {
  readonly specificationVersion: 'v3';
  readonly provider: string;
  readonly modelId: string;
  /** Values that one call may hold. */
  readonly maxEmbeddingsPerCall: number;
  readonly supportsParallelCalls: boolean;
  doEmbed(options: EmbedOptions): Promise<EmbedResult>;
}
