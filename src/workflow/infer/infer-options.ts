/**
 * What a body gives to `ctx.infer`, and what it gets.
 */
import type { Duration } from '../../core/duration.js';
import type { RemedyPolicy } from '../../core/remedies.js';
import type { AmbiguityPolicy, InferenceHop, TokenUsage } from '../../core/run/inference.js';
import type { Model } from '../model.js';
import type { RetryOptions } from '../retry-options.js';
import type { FilledPrompt } from '../prompt.js';
import type { AnySchema } from './answer-schema.js';
import type { CacheOptions } from './cache-options.js';
import type { Compact } from './compact.js';
import type { Fallback } from './fallback.js';
import type { ToolCall } from './model-answer.js';
import type { AnyTool } from './tool.js';

/** A part of a message. Bytes are stored beside the history, however large the bound of a value lets them be. */
export type PromptPart =
  | { readonly type: 'text'; readonly text: string }
  /** Bytes, base64, or the address (https or data) of an image. */
  | { readonly type: 'image'; readonly image: Uint8Array | string | URL; readonly mediaType?: string }
  | {
      readonly type: 'file';
      readonly data: Uint8Array | string | URL;
      readonly mediaType: string;
      readonly filename?: string;
    };

/** A message of a conversation. */
export type PromptMessage =
  | { readonly role: 'system'; readonly content: string }
  | { readonly role: 'user' | 'assistant'; readonly content: string | readonly PromptPart[] };

/** Options of `ctx.infer`. `S` is the schema of the answer, where it has one. */
export interface InferOptions<S extends AnySchema | undefined = AnySchema | undefined> {
  /** The model, or its name where the app has it under `models`. */
  readonly model: Model | string;
  /** What is asked: a text, parts, or a prompt with what it is about (`prompt(...).with(...)`). Or `messages`. */
  readonly prompt?: string | readonly PromptPart[] | FilledPrompt;
  readonly messages?: readonly PromptMessage[];
  /** Goes before everything else. */
  readonly system?: string;
  /**
   * What the answer has to be: a schema of a library that speaks Standard Schema, or JSON Schema. The model is told, and its
   * answer is read and checked; `object` of the result is what fits. Default: text.
   */
  readonly schema?: S;
  /** How often a model whose answer does not fit is told why and asked again. Default 1; then the inference fails with class `invalid_output`. */
  readonly repairs?: number;
  /** What the model may ask to be done, by name: `tool(...)`, or a capability. Each call is a step or call beneath the inference. */
  readonly tools?: Readonly<Record<string, AnyTool>>;
  /** How often the model is asked, with the results of its tools, until it has to be done. Default 8; then what it still asks for is left to the body, in `toolCalls`. */
  readonly rounds?: number;
  /** Longest answer. Default: as the provider has it; limits reserve this much until the answer is there. */
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  /** Options of one provider, as the AI SDK has them. */
  readonly providerOptions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /**
   * Readers of the run's stream see the text of the answer as it comes, under the name of the inference. Default false:
   * one event more for each piece of text.
   */
  readonly stream?: boolean;
  /** Longest time of one call of the provider. Default: none beside the deadline of the activation. */
  readonly timeout?: Duration;
  /** Default: 4 attempts, pauses up to 60 s, or as long as the provider asks for. */
  readonly retry?: RetryOptions;
  /**
   * Who is asked when the model gives no answer, one after the other: models, then `cached(...)`, `rule(...)`s and `person(...)`s. A model
   * whose endpoint is shut is passed over at once. Tools that have run are not run again: the next model goes on from there.
   */
  readonly fallback?: readonly Fallback[];
  /** Longest time of all models of the chain together; then what is left of it has its turn, or the inference fails. Default: none. */
  readonly within?: Duration;
  /**
   * An answer to the same request, of the same version of the model and in the same tenant, takes the place of the call where
   * it is not older than this. Not with tools that have external effects. Default: what the model says; `false` = none does.
   */
  readonly cache?: CacheOptions | false;
  /** What is done about failures, by class. Default: what the model says, then the app, then `auto`. */
  readonly remedies?: RemedyPolicy;
  /**
   * Makes the request smaller where it was too long or too large; the model is asked again with what it gives, which is
   * recorded, up to 3 times. Default: that of the model.
   */
  readonly compact?: Compact;
  /**
   * What counts as untrusted where the calls of tools are judged. `run` (default): all that the run has read so far; `own`: what is
   * in this conversation, for one that is given nothing of the rest.
   */
  readonly taint?: 'run' | 'own';
  /** What to do about a call whose worker died. Default: what the model says. */
  readonly policy?: AmbiguityPolicy | readonly AmbiguityPolicy[];
}

/** What an inference came to; the same in every replay. */
export interface InferResult<Out = unknown> {
  /** The last thing that the model has said. */
  readonly text: string;
  /** The answer, as `schema` gives it back; undefined where there is none. */
  readonly object: Out;
  /** What the model has said of its way to the answer; empty where it says nothing. */
  readonly reasoning: string;
  /** Tools that the model wanted to be called, and were not: those of the last round. */
  readonly toolCalls: readonly ToolCall[];
  /** Tokens of all rounds and repairs together. */
  readonly usage: TokenUsage;
  /** Cost by the price list of the model, integer micro-units of its currency. */
  readonly costMicros: number;
  /** Why the answer ended: `stop`, `length`, `tool-calls`, `content-filter`, `error` or `other`. */
  readonly finish: string;
  /** Who has answered. Of a rule or a person `arm` is `rule` or `person`, and `name` the rule or whoever it was. */
  readonly model: { readonly name: string; readonly version: string; readonly arm: string };
  /** Calls of providers that failed, how, and what was done about them (`remedy`); those of other models of the chain have their name in `model`. */
  readonly hops: readonly InferenceHop[];
  /** From 0 to 1, where the provider gives log probabilities; else null. */
  readonly confidence: number | null;
  /** The answer (of several rounds, the last) was given before, at this time (epoch ms), and what it cost then. Absent = it was not. */
  readonly cached?: { readonly at: number; readonly savedMicros: number };
}
