/**
 * The work behind an inference: asks for leave, calls the provider, writes the parts of its answer to the run's stream, and
 * submits what it came to.
 *
 * Invariant: the provider is called after the intent of the attempt is committed, one time for each intent; an intent of an
 * earlier activation whose outcome is unknown is settled by the declared policy and in no other way.
 */
import {
  agedFeedback,
  feedbackOfAnswer,
  feedbackOfError,
  pausesOf,
  type Feedback,
} from '../../core/admission/feedback.js';
import { encodeValue } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { failureOf } from '../../core/failure-of.js';
import { failure, type Failure } from '../../core/failure.js';
import { costMicrosOf } from '../../core/models/cost.js';
import { limits } from '../../core/limits.js';
import type { InlinePayload } from '../../core/payload.js';
import type { CancelTimer } from '../../core/ports.js';
import { choiceFor, type RemedyPolicy } from '../../core/remedies.js';
import type { RetryPolicy } from '../../core/retry.js';
import { ambiguousFailure } from '../../core/run/inference.js';
import type {
  AmbiguityPolicy,
  CachedFrom,
  InferenceAsk,
  InferenceGrant,
  InferenceHop,
  InferenceOutcome,
  TokenUsage,
} from '../../core/run/inference.js';
import { isCancelled } from '../cancelled.js';
import { doesNotFit, type AnswerCheck } from '../infer/answer-schema.js';
import type { Can } from '../infer/mended-inference.js';
import {
  addPart,
  errorOfPart,
  factsOf,
  generatedAnswer,
  isFinish,
  providerIdOf,
  type RecordedAnswer,
} from '../infer/model-answer.js';
import { mirrored } from '../infer/mirrored-inference.js';
import { partsOf, type ModelCall, type ModelCallNow, type ModelEndpoint } from '../infer/model-endpoint.js';
import type { ModelVersion } from '../model.js';
import { ChunkBatcher } from '../stream-writer.js';
import type { UnitDetail } from './asked-unit.js';
import type { OutcomeEntry } from './path-record.js';
import type { StepHost } from './step-work.js';
import type { Wait, Work } from './wait.js';

/** An inference as the body asked for it. */
export interface InferRequest {
  readonly path: string;
  readonly ask: InferenceAsk;
  /** What is recorded of the request. */
  readonly request: InlinePayload;
  /** The options of the call, in the form that this endpoint takes. */
  readonly call: (endpoint: ModelEndpoint) => ModelCall & Pick<ModelCallNow, 'headers'>;
  readonly retry: RetryPolicy;
  /** What is declared about failures, and what can be done about one of a version beside another attempt. */
  readonly remedies: RemedyPolicy;
  readonly can: Can;
  /** What readers of the run's stream are to see of a part; undefined = nothing. */
  readonly chunkOf: (part: unknown) => unknown;
  /** Hears the parts of a streamed answer while they come. A later attempt begins anew. */
  readonly onPart?: (part: unknown, attempt: number) => void;
  /** The version of the model as this worker has it; null = it does not. */
  readonly versionOf: (version: string) => ModelVersion | null;
  /** Looks at an answer before it is recorded; null = nobody does. */
  readonly check: AnswerCheck | null;
  /** Whether a person says that the provider is to be called again. */
  readonly askPerson: (attempt: number) => Promise<boolean>;
}

/** An inference as its body is told of it. */
export interface InferenceTold {
  /** As it was recorded: a `RecordedAnswer`. */
  readonly answer: unknown;
  readonly attempt: number;
  readonly outcome: InferenceOutcome & { readonly cached?: CachedFrom };
  readonly grant: InferenceGrant | null;
  readonly hops: readonly InferenceHop[];
}

/** See the top of the module. */
export class InferWork implements Work {
  readonly #request: InferRequest;
  readonly #host: StepHost;
  #call: ProviderCall | null = null;
  /** Attempt whose intent is on its way to be committed; 0 = none. */
  #beginning = 0;
  #launched = false;
  /** What was answered to a call that was made here, while its outcome is on its way to be recorded. */
  #answered: { readonly attempt: number; readonly answer: RecordedAnswer } | null = null;

  constructor(request: InferRequest, host: StepHost) {
    this.#request = request;
    this.#host = host;
  }

  launch(wait: Wait): void {
    this.#launched = true;
    const { path } = this.#request;
    const record = this.#host.recordOf(path);
    const attempt = record?.attempt ?? 1;
    if (record !== undefined && record.begun >= attempt) {
      this.#settle(wait, attempt).catch((error: unknown) => this.#fail(wait, attempt, this.#failureOf(error)));
      return;
    }
    if (record?.inference?.grant === undefined || record.inference.grant === null) return this.#ask(attempt);
    this.#beginning = attempt;
    this.#host.submit({ op: 'beginInference', path, attempt });
  }

  begun(wait: Wait, attempt: number): void {
    if (this.#beginning !== attempt || wait.phase !== 'working') return;
    this.#beginning = 0;
    const { path, versionOf, ask } = this.#request;
    const grant = this.#host.recordOf(path)?.inference?.grant ?? null;
    const version = grant === null ? null : versionOf(grant.version);
    if (grant === null || version === null) {
      const missing = new SpineError('MODEL_VERSION_MISSING', { model: ask.model, version: grant?.version ?? '' });
      return this.#fail(wait, attempt, this.#failureOf(missing));
    }
    this.#run(wait, attempt, grant, version);
  }

  /** An answer of another activation is not ours, so that nothing is mirrored twice. */
  recorded({ type, data }: OutcomeEntry): void {
    const answered = this.#answered;
    this.#answered = null;
    if (answered === null || type !== 'inference.completed' || data.attempt !== answered.attempt) return;
    const { host, tenant, run } = this.#host;
    const { path, ask, call, versionOf, request } = this.#request;
    const { shadow } = this.#host.recordOf(path)?.inference?.grant ?? {};
    const version = shadow === undefined ? null : versionOf(shadow);
    if (version === null || host.mirror === undefined) return;
    const { attempt, answer } = answered;
    const { clock } = host.ports;
    host.mirror(mirrored({ tenant, run, path, attempt, ask, request, call, version, answer, clock }));
  }

  abort(reason: unknown): void {
    this.#call?.abort(reason);
    // The server ends everything itself where the run has ended, or the lease is gone.
    if (!isCancelled(reason)) return;
    const { path } = this.#request;
    const record = this.#host.recordOf(path);
    if (record === undefined ? !this.#launched : record.outcome !== null) return;
    const cause = failure({ ...this.#failureOf(reason), class: 'cancelled', retryable: false });
    this.#submitFailure(record?.attempt ?? 1, cause, null, 0);
  }

  detail(): UnitDetail {
    const { request, ask } = this.#request;
    return { input: request, model: ask.model };
  }

  #ask(attempt: number): void {
    const { path, ask, request } = this.#request;
    this.#beginning = attempt;
    this.#host.submitWith(request, (stored) => ({ op: 'infer', path, attempt, ask, request: stored }));
  }

  // ---------------------------------------------------------------- a call of the provider

  #run(wait: Wait, attempt: number, grant: InferenceGrant, version: ModelVersion): void {
    const call = new ProviderCall(this.#request, attempt, grant, version, this.#host);
    this.#call = call;
    this.#host.enter();
    call
      .run()
      .then(
        async (answered) => {
          if (call.over) return;
          if (grant.shadow !== undefined) this.#answered = { attempt, answer: answered.answer };
          await this.#complete(wait, attempt, version, answered);
        },
        (error: unknown) => {
          if (!call.over) this.#fail(wait, attempt, this.#failureOf(error), null, 0, call.saidBy(error));
        },
      )
      .finally(() => this.#host.leave());
  }

  async #complete(wait: Wait, attempt: number, { price }: ModelVersion, answered: Answered): Promise<void> {
    const { path, ask, check } = this.#request;
    const { answer, durationMs, firstPartMs, feedback } = answered;
    const { usage, finish, providerId, confidence, alternatives } = factsOf(answer);
    const costMicros = costMicrosOf(price, usage);
    try {
      const stored = encodeValue(answer);
      const fault = check === null ? null : await check(answer);
      if (wait.phase !== 'working') return;
      if (fault?.isFinal === true)
        return this.#fail(wait, attempt, doesNotFit(ask.model, fault.faults), usage, costMicros, feedback);
      wait.own = stored;
      const outcome = { usage, costMicros, finish, durationMs, firstPartMs, providerId };
      const rules = fault === null ? [] : [`does not fit: ${fault.faults.join('; ')}`.slice(0, ruleLengthMax)];
      const repair = fault === null ? {} : { remedy: { name: 'repair' } as const };
      const note = { confidence, alternatives, rules, ...repair };
      const common = { op: 'completeInference', path, attempt, outcome, note, ...told(feedback) } as const;
      this.#host.submitWith(stored, (result) => ({ ...common, result }));
    } catch (error) {
      this.#fail(wait, attempt, this.#failureOf(error), usage, costMicros, feedback);
    }
  }

  #failureOf(error: unknown): Failure {
    return failureOf(error, this.#host.host.ports.clock.now());
  }

  #fail(
    wait: Wait,
    attempt: number,
    cause: Failure,
    usage: TokenUsage | null = null,
    costMicros = 0,
    feedback: Feedback | null = null,
  ): void {
    if (wait.phase === 'working') this.#submitFailure(attempt, cause, usage, costMicros, feedback);
  }

  #submitFailure(
    attempt: number,
    cause: Failure,
    usage: TokenUsage | null,
    costMicros: number,
    feedback: Feedback | null = null,
  ): void {
    const { path, retry, remedies, can: canDo } = this.#request;
    const choice = choiceFor(remedies, cause.class);
    const can = canDo(cause, this.#host.recordOf(path)?.inference?.grant?.version ?? null);
    const common = {
      op: 'failInference',
      path,
      attempt,
      failure: cause,
      usage,
      costMicros,
      retry,
      choice,
      can,
    } as const;
    this.#host.submit({ ...common, ...told(feedback) });
  }

  // ---------------------------------------------------------------- a call of an earlier activation

  /** What is done about an attempt that was begun and has no outcome: the first of the policies that can be carried out. */
  async #settle(wait: Wait, attempt: number): Promise<void> {
    for (const policy of [...this.#request.ask.policy, 'dead-letter'] as const)
      if (await this.#carriedOut(wait, attempt, policy)) return;
  }

  async #carriedOut(wait: Wait, attempt: number, policy: AmbiguityPolicy): Promise<boolean> {
    switch (policy) {
      case 'retry':
      case 'retry-with-same-key':
        this.#settled(attempt, policy);
        this.#ask(attempt + 1);
        return true;
      case 'fetch-by-id':
        return await this.#fetch(wait, attempt);
      case 'ask':
        return await this.#askPerson(wait, attempt);
      case 'dead-letter':
        this.#settled(attempt, policy);
        this.#fail(wait, attempt, ambiguousFailure(this.#request.path));
        return true;
    }
  }

  #settled(attempt: number, policy: AmbiguityPolicy): void {
    this.#host.submit({ op: 'settleAmbiguity', path: this.#request.path, attempt, policy });
  }

  /** False where the provider has named no answer, cannot be asked for it, or does not have it. */
  async #fetch(wait: Wait, attempt: number): Promise<boolean> {
    const { path, versionOf } = this.#request;
    const { grant, providerId } = this.#host.recordOf(path)?.inference ?? { grant: null, providerId: null };
    const version = grant === null ? null : versionOf(grant.version);
    if (grant === null || providerId === null || version?.use.fetch === undefined) return false;
    const call = new ProviderCall(this.#request, attempt, grant, version, this.#host);
    this.#call = call;
    this.#host.enter();
    try {
      const answered = await call.fetch(providerId);
      if (answered === null) return wait.phase !== 'working';
      if (call.over) return true;
      this.#settled(attempt, 'fetch-by-id');
      await this.#complete(wait, attempt, version, answered);
      return true;
    } catch {
      // Then the next policy has its turn.
      return call.over;
    } finally {
      this.#host.leave();
    }
  }

  async #askPerson(wait: Wait, attempt: number): Promise<boolean> {
    // Until somebody answers the body may leave memory.
    wait.phase = 'hosting';
    const again = await this.#request.askPerson(attempt);
    if (this.#hasEnded(wait)) return true;
    wait.phase = 'working';
    if (!again) return false;
    this.#settled(attempt, 'ask');
    this.#ask(attempt + 1);
    return true;
  }

  #hasEnded({ phase }: Wait): boolean {
    return phase === 'ended';
  }
}

const ruleLengthMax = limits.decisionTextLengthMax;

function told(feedback: Feedback | null): { readonly feedback?: Feedback } {
  return feedback === null ? {} : { feedback };
}

interface Answered {
  readonly answer: RecordedAnswer;
  readonly durationMs: number;
  readonly firstPartMs: number | null;
  /** What the provider has said of its limits; null = nothing that matters here. */
  readonly feedback: Feedback | null;
}

/** One call of the provider. */
class ProviderCall {
  /** Given up: what it comes to is of no interest. */
  over = false;
  readonly #request: InferRequest;
  readonly #attempt: number;
  readonly #grant: InferenceGrant;
  readonly #use: ModelEndpoint;
  readonly #host: StepHost;
  readonly #controller = new AbortController();
  readonly #startedMs: number;
  #reject: (error: unknown) => void = ignore;

  constructor(request: InferRequest, attempt: number, grant: InferenceGrant, { use }: ModelVersion, host: StepHost) {
    this.#request = request;
    this.#attempt = attempt;
    this.#grant = grant;
    this.#use = use;
    this.#host = host;
    this.#startedMs = host.host.ports.clock.monotonicMs();
  }

  abort(reason: unknown): void {
    this.over = true;
    this.#controller.abort(reason);
    this.#reject(reason);
  }

  /** Calls it for the answer. Rejects with whatever it throws, and when its time is up. */
  run(): Promise<Answered> {
    return this.#within(() => (this.#request.ask.streamed ? this.#stream() : this.#generate()));
  }

  /** Asks it for the answer to an earlier call; null = it has none. */
  async fetch(providerId: string): Promise<Answered | null> {
    const { abortSignal } = { abortSignal: this.#controller.signal };
    const found: unknown = await this.#within(async () => await this.#use.fetch?.(providerId, { abortSignal }));
    if (found === null || found === undefined) return null;
    return { answer: generatedAnswer(found), durationMs: this.#ageMs(), firstPartMs: null, feedback: null };
  }

  /** An endpoint that takes no notice of its signal is left alone when its time is up. */
  #within<T>(work: () => Promise<T>): Promise<T> {
    const { deadlineMs } = this.#request.ask;
    return new Promise((resolve, reject) => {
      let cancelTimeout: CancelTimer | null = null;
      this.#reject = reject;
      if (deadlineMs !== null)
        cancelTimeout = this.#host.host.ports.timers.after(deadlineMs, () => {
          const error = timedOut(deadlineMs);
          this.#controller.abort(error);
          reject(error);
        });
      Promise.resolve()
        .then(work)
        .then(resolve, reject)
        .finally(() => cancelTimeout?.());
    });
  }

  async #generate(): Promise<Answered> {
    const found: unknown = await this.#use.doGenerate(this.#options());
    const feedback = this.#ofUse(feedbackOfAnswer(found, this.#now()));
    return { answer: generatedAnswer(found), durationMs: this.#ageMs(), firstPartMs: null, feedback };
  }

  async #stream(): Promise<Answered> {
    const { path, chunkOf, onPart } = this.#request;
    const opened = await this.#use.doStream(this.#options());
    const { stream } = opened;
    const [said, saidMs] = [feedbackOfAnswer(opened, this.#now()), this.#ageMs()];
    const chunks = new ChunkBatcher(this.#host.host.ports, (batch) => this.#host.append(path, this.#attempt, batch));
    const parts: Readonly<Record<string, unknown>>[] = [];
    let firstPartMs: number | null = null;
    let finished = false;
    for await (const part of partsOf(stream)) {
      this.#controller.signal.throwIfAborted();
      const error = errorOfPart(part);
      if (error !== null) throw error;
      firstPartMs ??= this.#ageMs();
      addPart(parts, part);
      finished ||= isFinish(part);
      this.#identify(part);
      onPart?.(part, this.#attempt);
      const chunk = chunkOf(part);
      if (chunk !== undefined) await chunks.write(chunk);
    }
    if (!finished) throw streamCut();
    // Before the outcome: whoever sees that the inference has ended has seen all of its stream.
    await chunks.end();
    const durationMs = this.#ageMs();
    const feedback = said === null ? null : this.#ofUse(agedFeedback(said, durationMs - saidMs));
    return { answer: { parts }, durationMs, firstPartMs, feedback };
  }

  /** What the answer that an error stands for has said. */
  saidBy(error: unknown): Feedback | null {
    return this.#ofUse(feedbackOfError(error, this.#now()));
  }

  /** What is left of limits is of use to those of ours that the call draws on; a pause is to everybody. */
  #ofUse(feedback: Feedback | null): Feedback | null {
    return feedback === null || this.#grant.limits.length > 0 ? feedback : pausesOf(feedback);
  }

  #now(): number {
    return this.#host.host.ports.clock.now();
  }

  /** Told early only where somebody may look for it: the answer has it too. */
  #identify(part: unknown): void {
    const providerId = providerIdOf(part);
    const { path, ask } = this.#request;
    if (providerId === null || !ask.policy.some((policy) => lookingPolicies.has(policy))) return;
    this.#host.submit({ op: 'identifyInference', path, attempt: this.#attempt, providerId });
  }

  #options(): ModelCallNow {
    const { idempotencyKey } = this.#grant;
    const call = this.#request.call(this.#use);
    const key = this.#use.supportsIdempotencyKeys === true ? { 'idempotency-key': idempotencyKey } : {};
    return { ...call, abortSignal: this.#controller.signal, headers: { ...call.headers, ...key } };
  }

  #ageMs(): number {
    return Math.max(0, Math.round(this.#host.host.ports.clock.monotonicMs() - this.#startedMs));
  }
}

/** With these somebody asks the provider for the answer. */
const lookingPolicies: ReadonlySet<AmbiguityPolicy> = new Set(['fetch-by-id', 'ask', 'dead-letter']);

function timedOut(deadlineMs: number): Error {
  const error = new Error(`The model took longer than the timeout of ${deadlineMs} ms.`);
  error.name = 'TimeoutError';
  return Object.assign(error, { code: 'INFERENCE_TIMEOUT' });
}

function streamCut(): Error {
  const error = new Error('The stream of the model ended before its answer did.');
  return Object.assign(error, { code: 'STREAM_CUT', class: 'network', retryable: true });
}

function ignore(): void {}
