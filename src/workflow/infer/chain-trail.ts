/** A chain of fallbacks on its way: what was said and what has failed so far, and what stands for an answer in the end. */
import { failure, type Failure } from '../../core/failure.js';
import { ambiguousCodes } from '../../core/remedies.js';
import type { InferenceHop } from '../../core/run/inference.js';
import type { StepError } from '../step-error.js';
import type { InferResult } from './infer-options.js';
import type { ModelMessage } from './model-endpoint.js';

/** Handed on from one of a chain to the next. */
export interface ChainTrail {
  /** Of the inference. */
  readonly path: string;
  /** The conversation so far. */
  readonly messages: ModelMessage[];
  readonly hops: InferenceHop[];
  /** Path of the inference that was asked last. */
  last: string;
  /** Why the last of them has no answer. */
  cause: StepError | null;
}

/** An answer that is not of a model. */
export interface Said {
  /** The rule, or the person. */
  readonly by: string;
  readonly arm: 'rule' | 'person';
  readonly value: unknown;
}

/** Failures after which nobody else is asked: a person has to say first what became of the call. */
export const endsChain: ReadonlySet<string> = ambiguousCodes;

/** Why models are given up whose time is over. */
export function chainTimedOut(withinMs: number): Failure {
  return failure({
    class: 'timeout',
    code: 'INFERENCE_TIMEOUT',
    message: `No model has answered within ${withinMs} ms.`,
    retryable: false,
  });
}

/** The result of an inference that a rule or a person has answered. `object`: as the schema gives it back. */
export function saidInstead({ by, arm, value }: Said, object: unknown, hops: readonly InferenceHop[]): InferResult {
  return {
    text: typeof value === 'string' ? value : JSON.stringify(value),
    object,
    reasoning: '',
    toolCalls: [],
    usage: { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 },
    costMicros: 0,
    finish: 'stop',
    model: { name: by, version: '', arm },
    hops,
    confidence: null,
  };
}
