/**
 * An inference once more, to be asked of a shadow: the same question to another version, whose answer is compared with the one
 * that is recorded, and then forgotten.
 *
 * Invariant: nothing of it reaches the body, a stream, a tool or the history. Tools are told to the model as they were; what it
 * would have called is compared, and not done.
 */
import { compareAnswers, type ComparedAnswer } from '../../core/models/answer-comparison.js';
import { costMicrosOf } from '../../core/models/cost.js';
import { failureOf } from '../../core/failure-of.js';
import { limits } from '../../core/limits.js';
import type { InlinePayload } from '../../core/payload.js';
import type { Clock } from '../../core/ports.js';
import type { ShadowOutcome } from '../../core/models/shadow.js';
import type { InferenceAsk, TokenUsage } from '../../core/run/inference.js';
import type { ModelVersion } from '../model.js';
import { jsonIn } from './answer-schema.js';
import {
  addPart,
  errorOfPart,
  factsOf,
  generatedAnswer,
  isFinish,
  type AnswerFacts,
  type RecordedAnswer,
} from './model-answer.js';
import { partsOf, type ModelCall, type ModelCallNow, type ModelEndpoint } from './model-endpoint.js';

/** What a worker may ask of a shadow. */
export interface MirroredInference {
  readonly tenant: string;
  readonly run: string;
  readonly path: string;
  readonly attempt: number;
  readonly model: string;
  /** Characters that are kept in memory for it. */
  readonly length: number;
  /** Makes the call. Never rejects. An endpoint that takes no notice of the signal keeps it waiting. */
  call(idempotencyKey: string, signal: AbortSignal): Promise<MirroredOutcome>;
}

/** What a mirrored call came to. */
export type MirroredOutcome = ShadowOutcome & { readonly usage: TokenUsage | null };

/** What it is made of. */
export interface MirroredParts extends Pick<MirroredInference, 'tenant' | 'run' | 'path' | 'attempt'> {
  readonly ask: InferenceAsk;
  readonly request: InlinePayload;
  readonly call: (endpoint: ModelEndpoint) => ModelCall & Pick<ModelCallNow, 'headers'>;
  /** That is asked. */
  readonly version: ModelVersion;
  /** Of the version that has answered. */
  readonly answer: RecordedAnswer;
  readonly clock: Clock;
}

export function mirrored(parts: MirroredParts): MirroredInference {
  const { tenant, run, path, attempt, ask, request, answer } = parts;
  return {
    tenant,
    run,
    path,
    attempt,
    model: ask.model,
    length: request.text.length + lengthOf(answer),
    call: (idempotencyKey, signal) => outcomeOf(parts, idempotencyKey, signal),
  };
}

async function outcomeOf(parts: MirroredParts, idempotencyKey: string, signal: AbortSignal): Promise<MirroredOutcome> {
  const { ask, call, version, answer, clock } = parts;
  const startedMs = clock.monotonicMs();
  const ageMs = (): number => Math.max(0, Math.round(clock.monotonicMs() - startedMs));
  try {
    const { use } = version;
    const { headers, ...options } = call(use);
    const key = use.supportsIdempotencyKeys === true ? { 'idempotency-key': idempotencyKey } : {};
    const now: ModelCallNow = { ...options, abortSignal: signal, headers: { ...headers, ...key } };
    const shadow = factsOf(await (ask.streamed ? streamed(use, now) : generated(use, now)));
    const wantsJson = isJson(options.responseFormat);
    const comparison = compareAnswers(compared(factsOf(answer), wantsJson), compared(shadow, wantsJson));
    const { usage } = shadow;
    return { latencyMs: ageMs(), usage, costMicros: costMicrosOf(version.price, usage), failure: null, comparison };
  } catch (error) {
    const failure = signal.aborted ? failureOf(signal.reason) : failureOf(error);
    return { latencyMs: ageMs(), usage: null, costMicros: 0, failure: failure.class, comparison: null };
  }
}

async function generated(use: ModelEndpoint, options: ModelCallNow): Promise<RecordedAnswer> {
  return generatedAnswer(await use.doGenerate(options));
}

async function streamed(use: ModelEndpoint, options: ModelCallNow): Promise<RecordedAnswer> {
  const { stream } = await use.doStream(options);
  const parts: Readonly<Record<string, unknown>>[] = [];
  let finished = false;
  let length = 0;
  for await (const part of partsOf(stream)) {
    options.abortSignal?.throwIfAborted();
    const error = errorOfPart(part);
    if (error !== null) throw error;
    length += lengthOf(part);
    if (length > limits.shadowLengthMax) throw tooLong();
    addPart(parts, part);
    finished ||= isFinish(part);
  }
  if (!finished) throw cut();
  return { parts };
}

function compared({ text, toolCalls }: AnswerFacts, wantsJson: boolean): ComparedAnswer {
  return wantsJson ? { text, toolCalls, json: jsonIn(text) } : { text, toolCalls };
}

function isJson(format: unknown): boolean {
  return typeof format === 'object' && format !== null && 'type' in format && format.type === 'json';
}

/** About; what cannot be written down counts as nothing. */
function lengthOf(value: unknown): number {
  try {
    return JSON.stringify(value)?.length ?? 0;
  } catch {
    return 0;
  }
}

function tooLong(): Error {
  const error = new Error('The answer of the shadow is longer than it may be.');
  return Object.assign(error, { code: 'SHADOW_TOO_LONG', class: 'payload_too_large', retryable: false });
}

function cut(): Error {
  const error = new Error('The stream of the shadow ended before its answer did.');
  return Object.assign(error, { code: 'STREAM_CUT', class: 'network', retryable: true });
}
