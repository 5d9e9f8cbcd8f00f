/**
 * Inferences: what is asked of a model, what admission grants, what came of it, and how a run counts what it has spent.
 * Shared by the events and commands of a run, by admission, which grants, and by the worker, which calls the provider.
 *
 * Invariant: money is integer micro-units of one currency, tokens are integers; nothing here is a fraction of either.
 */
import { SpineError } from '../errors.js';
import { failure, type Failure, type FailureClass } from '../failure.js';
import type { TakenRemedy } from '../remedies.js';

/**
 * What to do about a call of a provider that nobody knows the outcome of, since its worker died: call again; call again
 * with the same idempotency key; ask the provider for the answer by its id; ask a person; give up and wait for a redrive.
 */
export type AmbiguityPolicy = 'retry' | 'retry-with-same-key' | 'fetch-by-id' | 'ask' | 'dead-letter';

/** All of them, for checks. */
export const ambiguityPolicies: readonly AmbiguityPolicy[] = [
  'retry',
  'retry-with-same-key',
  'fetch-by-id',
  'ask',
  'dead-letter',
];

/** Whether what is done about an ambiguous call is another call. */
export function leadsToRetry(policy: AmbiguityPolicy): boolean {
  return policy === 'retry' || policy === 'retry-with-same-key' || policy === 'ask';
}

/** Tokens that an inference is expected to take; what limits reserve until its real usage is known. */
export interface TokenEstimate {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What a provider says that an inference has taken. */
export interface TokenUsage {
  /** All tokens of the prompt, those of caches included. */
  readonly inputTokens: number;
  /** Those of the prompt that came out of a cache of the provider. */
  readonly cachedInputTokens: number;
  /** All tokens of the answer, those of its reasoning included. */
  readonly outputTokens: number;
}

/** What a body asks for, apart from the request itself. */
export interface InferenceAsk {
  /** Logical name of the model. */
  readonly model: string;
  /** sha-256 of the normalised request, in hex. */
  readonly fingerprint: string;
  readonly estimate: TokenEstimate;
  /** What to do about an ambiguous call: the first that can be done. */
  readonly policy: readonly AmbiguityPolicy[];
  /** Parts of the answer go to a stream of the run as they come. */
  readonly streamed: boolean;
  /** Longest time of one call of the provider, ms; null = as long as the activation may take. */
  readonly deadlineMs: number | null;
  /** Its place in a chain of fallbacks; absent = it stands alone. */
  readonly chain?: InferenceChain;
  /** Version that is asked whatever arm the run is in, since that of the run could not answer. Absent = that of the run. */
  readonly reroute?: string;
  /** Whether an answer from before will do, and for how long the new one is kept; absent = neither. */
  readonly cache?: CacheAsk;
  /** The prompt that the request was made by; absent = by none that has a name. */
  readonly prompt?: PromptVersion;
  /** Where untrusted text in the request has come from; absent = there is none. */
  readonly taint?: readonly string[];
}

/** What an inference has to do with answers that are kept. */
export interface CacheAsk {
  /** How old an answer of the same version may be that serves without a call, ms; null = none does. */
  readonly freshMs: number | null;
  /** How long the answer is kept for others, ms; 0 = it is not kept. */
  readonly keepMs: number;
  /** Readers of the run's stream see the text of an answer that serves. Absent = they do not. */
  readonly shown?: true;
  /** Nobody is called: the newest answer that one of these models gave serves, whatever its version, or none does. */
  readonly onlyOf?: readonly string[];
}

/** A version of a named prompt. */
export interface PromptVersion {
  readonly name: string;
  readonly version: string;
}

/** Where an answer comes from that was given before. */
export interface CachedFrom {
  readonly model: string;
  readonly version: string;
  /** The event that has the answer: run and `seq`. */
  readonly event: string;
  /** When it was given, epoch ms. */
  readonly at: number;
  /** What it cost then. */
  readonly savedMicros: number;
}

/** Whose answer stands where no model gave one: `after` is the path of the inference that was asked last. */
export interface DecidesFor {
  readonly after: string;
  /** The rule; absent = a person. */
  readonly rule?: string;
}

/** Where an inference stands among those that are asked one after the other until one of them has an answer. */
export interface InferenceChain {
  /** Path of the inference that has failed before; null = it is the first. */
  readonly after: string | null;
  /** Nobody is asked after it, so that it waits for an endpoint that is shut. */
  readonly isLast: boolean;
  /** Path of the timer that ends the time of all models of the chain; absent = they have as long as they need. */
  readonly until?: string;
}

/** Leave to call a provider one time: which version of the model, where, and what was set aside for it. */
export interface InferenceGrant {
  /** The call is a probe of an endpoint whose breaker is not closed: its name there. Absent = it is none. */
  readonly probe?: string;
  /** Version of the model, as the app names it. */
  readonly version: string;
  /** Why this version: the name of the arm that the run is in. */
  readonly arm: string;
  /** Where the version is served, as the app names it. */
  readonly endpoint: string;
  /** To be sent with the call. With the policy `retry-with-same-key` all attempts have the same. */
  readonly idempotencyKey: string;
  readonly reserved: { readonly tokens: number; readonly costMicros: number };
  /** Keys of the limits that this counts in. */
  readonly limits: readonly string[];
  /** Version that may be asked the same once the answer is recorded, to see how it would do. Absent = none. */
  readonly shadow?: string;
}

/** What a call of the provider came to. */
export interface InferenceOutcome {
  readonly usage: TokenUsage;
  /** Integer micro-units of the currency of the price list. */
  readonly costMicros: number;
  /** Why the answer ended: `stop`, `length`, `tool-calls`, `content-filter`, `error`, `other`. */
  readonly finish: string;
  readonly durationMs: number;
  /** Time to the first part of a streamed answer; null = it was not streamed. */
  readonly firstPartMs: number | null;
  /** Id of the answer at the provider; null = it gave none. */
  readonly providerId: string | null;
}

/** What else the answer could have been, with its probability where the provider says so. */
export interface DecisionAlternative {
  readonly text: string;
  /** From 0 to 1. */
  readonly probability: number;
}

/** What the worker knows of a decision beside its outcome. */
export interface DecisionNote {
  /** From 0 to 1; null = the provider says nothing of it. */
  readonly confidence: number | null;
  readonly alternatives: readonly DecisionAlternative[];
  /** Rules that took the place of the answer of the model, or had a say in it. */
  readonly rules: readonly string[];
  /** What is done about an answer that does not fit. Absent = nothing has to be. */
  readonly remedy?: TakenRemedy;
}

/** An attempt of an inference that gave no answer. */
export interface InferenceHop {
  /** Model that was asked; absent = the one that is asked now. */
  readonly model?: string;
  readonly attempt: number;
  readonly version: string;
  readonly endpoint: string;
  readonly class: FailureClass;
  readonly code: string;
  /** What was done about it. */
  readonly remedy?: TakenRemedy;
}

/** What the inferences of a run have taken so far. */
export interface Spend {
  /** Calls of providers that were begun. */
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costMicros: number;
  /** Calls among them whose outcome nobody knew. */
  readonly ambiguous: number;
  /** Answers from before that took the place of a call, and what those had cost. Absent = none did. */
  readonly cached?: number;
  readonly savedMicros?: number;
}

/** Of a run that has asked no model. */
export const nothingSpent: Spend = { calls: 0, inputTokens: 0, outputTokens: 0, costMicros: 0, ambiguous: 0 };

/** What was spent, with a call that has begun. */
export function withCall(spend: Spend): Spend {
  return { ...spend, calls: spend.calls + 1 };
}

/** What was spent, with what a call has taken. */
export function withUsage(spend: Spend, usage: TokenUsage | null, costMicros: number): Spend {
  return {
    ...spend,
    inputTokens: spend.inputTokens + (usage?.inputTokens ?? 0),
    outputTokens: spend.outputTokens + (usage?.outputTokens ?? 0),
    costMicros: spend.costMicros + costMicros,
  };
}

/** What was spent, with an answer from before that took the place of a call. */
export function withCached(spend: Spend, { savedMicros }: CachedFrom): Spend {
  return { ...spend, cached: (spend.cached ?? 0) + 1, savedMicros: (spend.savedMicros ?? 0) + savedMicros };
}

/** The hop that a failed attempt stands for. */
export function hopOf(
  attempt: number,
  asked: Pick<InferenceGrant, 'version' | 'endpoint'> | null,
  { class: kind, code }: Pick<Failure, 'class' | 'code'>,
  remedy?: TakenRemedy,
): InferenceHop {
  const taken = remedy === undefined ? {} : { remedy };
  return { attempt, version: asked?.version ?? '', endpoint: asked?.endpoint ?? '', class: kind, code, ...taken };
}

/** Why nobody is called at an endpoint: too many calls of it have failed. */
export const shutFailure: Failure = failure({
  class: 'overloaded',
  code: 'BREAKER_OPEN',
  message: 'The breaker of the endpoint is open: too many of its last calls have failed.',
  retryable: true,
});

/** Why nobody is called at an endpoint: it has asked for a pause, or has nothing left of a limit of its own. */
export const pausedFailure: Failure = failure({
  class: 'rate_limited',
  code: 'ENDPOINT_PAUSED',
  message: 'The endpoint has asked for a pause, and nobody calls it until then.',
  retryable: true,
});

/** Why nobody is called at an endpoint that is shut. */
export function shutFailureOf({ paused = false }: { readonly paused?: boolean }): Failure {
  return paused ? pausedFailure : shutFailure;
}

/** Whether this says that nobody was called, since the endpoint was shut. */
export function saysShut({ code }: Pick<Failure, 'code'>): boolean {
  return code === shutFailure.code || code === pausedFailure.code;
}

/** Why a chain goes on from where an answer from before would have done. */
export const nothingKept: Failure = failure({
  class: 'dependency',
  code: 'PREDICTION_MISSING',
  message: 'No earlier answer to this request is kept.',
  retryable: false,
});

/** Why nobody is called for a program of the AI SDK that was begun anew and asks for something else now. */
export const unwantedFailure: Failure = failure({
  class: 'cancelled',
  code: 'INFERENCE_UNWANTED',
  message: 'The program that asked for it was begun anew, and asks for something else.',
  retryable: false,
});

/** An inference that has to wait: for the coordinator of admission, or until its endpoint may be called again. */
export interface InferenceWait {
  /** Version that it will ask. */
  readonly version: string;
  readonly endpoint: string;
  /** Epoch ms; null = for the coordinator. */
  readonly until: number | null;
  /** The endpoint has asked for it. Absent = its breaker is not closed. */
  readonly paused?: true;
}

/** Nobody knows whether the provider was called, or what it said, and it is not called again. */
export function ambiguousFailure(path: string): Failure {
  const { code, message } = new SpineError('INFERENCE_AMBIGUOUS', { path });
  return failure({ class: 'unknown', code, message, retryable: false });
}

/** Whether an inference may be begun. */
export function isGranted(answer: InferenceGrant | InferenceWait): answer is InferenceGrant {
  return 'idempotencyKey' in answer;
}

/** An inference as admission sees it. */
export interface InferenceTicket {
  readonly tenant: string;
  readonly run: string;
  readonly workflow: string;
  readonly priority: number;
  readonly path: string;
  readonly attempt: number;
  /** `seq` that the first `inference.requested` of the path has or will have: what all attempts have in common. */
  readonly first: number;
  /** Version that the run has asked of the model before; null = none. */
  readonly pinned: string | null;
  readonly ask: InferenceAsk;
}
