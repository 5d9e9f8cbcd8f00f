/**
 * What `ctx.ai` gives to a program of the AI SDK, and what the body gets of it. Types of the SDK are met by their structure:
 * nothing is imported from there, and versions 6 and 7 take the same objects.
 */
import type { Duration } from '../../core/duration.js';
import type { RemedyPolicy } from '../../core/remedies.js';
import type { Effect } from '../../core/run/events.js';
import type { AmbiguityPolicy } from '../../core/run/inference.js';
import type { CacheOptions } from '../infer/cache-options.js';
import type { AnyTool } from '../infer/tool.js';
import type { Model } from '../model.js';
import type { RetryOptions } from '../retry-options.js';

/** Options of `ctx.ai`. */
export interface AiOptions {
  /**
   * Attempts of the function as a whole. Its inferences and tools have attempts of their own, and what has succeeded in it is
   * never done again. Default: 1.
   */
  readonly retry?: RetryOptions;
  /** Options for the `toUIMessageStream` of a streamed result, such as `sendReasoning` or `messageMetadata`. */
  readonly ui?: object;
  /** As for `ctx.infer`; `own`: what the inferences of this function were given. */
  readonly taint?: 'run' | 'own';
}

/** Options of `ai.model`. */
export interface AiModelOptions {
  /** Attempts of each inference. Default: 4, with pauses up to 60 s, or as long as the provider asks for. */
  readonly retry?: RetryOptions;
  /**
   * What is done about failures, by class: `wait`, `retry`, `reroute`, `quarantine` or `person`. Default: what the model says,
   * then the app, then `auto`.
   */
  readonly remedies?: RemedyPolicy;
  /** Longest time of one call of the provider. Default: none beside the deadline of the activation. */
  readonly timeout?: Duration;
  /** What to do about a call whose worker died. Default: what the model says. */
  readonly policy?: AmbiguityPolicy | readonly AmbiguityPolicy[];
  /**
   * As for `ctx.infer`. It holds for calls without tools, and for those all of whose tools were given to `ai.tools` and have no
   * external effect; others are made. Default: what the model says.
   */
  readonly cache?: CacheOptions | false;
}

/** Options of `ai.tools`, for one tool or for all of them. */
export interface AiToolOptions {
  /**
   * What may happen again after a crash in the middle of a tool. Default `idempotent`: it runs again with the same key.
   * `external`: its intent is recorded first, and a begun one whose outcome is unknown ends the function with
   * EFFECT_AMBIGUOUS, for a person to look at; the model is not told that the tool has failed.
   */
  readonly effect?: Effect;
  /** Attempts of one call. Default: 1, because the model is told what went wrong and may try another way. */
  readonly retry?: RetryOptions;
  /** Longest time of one attempt. Default: none. */
  readonly timeout?: Duration;
}

/** A language model for the functions of the AI SDK. It is for them alone: what it takes and gives is theirs. */
export interface AiModel {
  /** At run time that of the model behind it: `v2`, `v3` or `v4`. */
  readonly specificationVersion: 'v3';
  readonly provider: string;
  readonly modelId: string;
  readonly supportedUrls: Record<string, RegExp[]>;
  doGenerate(options: never): PromiseLike<never>;
  doStream(options: never): PromiseLike<never>;
}

/** Tools by their names, as the AI SDK has them, or capabilities and tools of ours (`tool`). */
export type AiTools = Readonly<Record<string, object>>;

/** A tool of ours, as the AI SDK has tools. It is for the SDK alone: what it takes and gives is the SDK's. */
export interface AiTool {
  readonly description?: string;
  readonly inputSchema: never;
  execute(input: unknown, options: unknown): Promise<unknown>;
}

/** Tools as the program hands them to the SDK. */
export type AiToolsOf<Tools> = { [Name in keyof Tools]: Tools[Name] extends AnyTool ? AiTool : Tools[Name] };

/** What the function of `ctx.ai` is given. */
export interface Ai {
  /**
   * The model for `generateText`, `streamText`, agents and whatever takes a model: each call that it gets is an inference of
   * the run, and answered from the record where that has it. The SDK's `maxRetries` has no effect on it. MODEL_UNKNOWN.
   */
  model(model: Model | string, options?: AiModelOptions): AiModel;
  /**
   * The same tools, each call of them a step of the run by its `toolCallId`. `options`: for all of them, or by name.
   * `execute` is given `idempotencyKey` beside what the SDK gives. A capability is a tool as well: each call of it is a call
   * beneath the function, with the limits, the retries and the effect of the capability, done by its own pool; `options` are
   * not for it. OPTIONS_INVALID.
   */
  tools<Tools extends AiTools>(
    tools: Tools,
    options?: AiToolOptions & { readonly each?: { readonly [Name in keyof Tools]?: AiToolOptions } },
  ): AiToolsOf<Tools>;
  /**
   * Shows a streamed result to the readers of the run, and resolves when it has ended. For functions that have several: the one
   * that is returned is shown by itself.
   */
  show(result: AiStreamed): Promise<void>;
  /** Aborted when the result is no longer wanted. */
  readonly signal: AbortSignal;
}

/** A streamed result of the AI SDK, as far as it is looked at. */
export interface AiStreamed {
  toUIMessageStream(options?: never): AsyncIterable<unknown>;
}

/** Tokens of all steps together; undefined where the provider does not say. */
export interface AiUsage {
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  readonly totalTokens: number | undefined;
}

/** A tool that was called. */
export interface AiToolCall {
  readonly toolCallId: string;
  readonly toolName: string;
  readonly input: unknown;
}

/** What is recorded of a result of the AI SDK, and what the body gets. */
export interface AiAnswer<Output = unknown> {
  /** Text of the last step. */
  readonly text: string;
  readonly reasoning: string;
  /** What an `output` was asked to be; without one, the text. */
  readonly output: Output;
  readonly finishReason: string;
  readonly usage: AiUsage;
  /** How often the model was asked. */
  readonly steps: number;
  /** Of all steps. */
  readonly toolCalls: readonly AiToolCall[];
  readonly toolResults: readonly (AiToolCall & { readonly output: unknown })[];
  /** What to add to the messages to go on with the conversation. */
  readonly messages: readonly object[];
}

/** What the body gets for what the function came to: of a result of the AI SDK an `AiAnswer`, of anything else itself. */
export type Told<T> = T extends { readonly finishReason: unknown; readonly usage: unknown; readonly warnings: unknown }
  ? T extends { readonly output: infer Output } | { readonly object: infer Output }
    ? AiAnswer<Awaited<Output>>
    : AiAnswer
  : T extends readonly unknown[]
    ? { [I in keyof T]: Told<T[I]> }
    : T;
