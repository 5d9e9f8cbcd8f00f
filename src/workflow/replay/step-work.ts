/**
 * The work behind `ctx.step`: runs the user's function, attempt by attempt, and submits what it came to.
 *
 * Invariant: the intent of an external effect is committed before the function is called, and an intent of an earlier
 * activation whose outcome is unknown is never followed by another try.
 */
import { decodeValue } from '../../core/codec.js';
import { failureOf } from '../../core/failure-of.js';
import { failure, type Failure } from '../../core/failure.js';
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { InlinePayload } from '../../core/payload.js';
import type { CancelTimer } from '../../core/ports.js';
import { choiceFor, mergedRemedies, type RemedyPolicy } from '../../core/remedies.js';
import type { RetryPolicy } from '../../core/retry.js';
import type { BodyCommand } from '../../core/run/commands.js';
import type { Effect } from '../../core/run/events.js';
import type { DecidesFor } from '../../core/run/inference.js';
import { exceedsUtf8 } from '../../core/utf8.js';
import { pathOf, type PathName } from '../../core/paths.js';
import type { StepContext } from '../ctx.js';
import { makeLog, type Log } from '../log.js';
import { ChunkBatcher, type ChunkBatch, type StreamWriter } from '../stream-writer.js';
import type { ActivationHost, StepCall } from '../activation-contract.js';
import type { UnitDetail } from './asked-unit.js';
import type { PathRecord } from './path-record.js';
import type { Wait, Work } from './wait.js';

/** What a step asks of the activation that it belongs to. */
export interface StepHost {
  readonly host: ActivationHost;
  readonly tenant: string;
  readonly run: string;
  recordOf(path: string): PathRecord | undefined;
  /** The input that a person gave the step in the place of the body's; null = it has the body's. */
  editedInput(path: string): InlinePayload | null;
  /** Encodes a value within the bound that holds here. Fails with VALUE_UNSTORABLE and VALUE_TOO_LARGE. */
  encode(value: unknown): InlinePayload;
  submit(command: BodyCommand): void;
  /** Submits a command with a payload, by way of the blob store where it is large. */
  submitWith(payload: InlinePayload, command: (payload: BodyPayload) => BodyCommand): void;
  /** Submits chunks; resolves when that is answered. */
  append(path: string, attempt: number, batch: ChunkBatch): Promise<void>;
  /** User code has begun and ended to run. */
  enter(): void;
  leave(): void;
}

type BodyPayload = Extract<BodyCommand, { readonly op: 'completeStep' }>['result'];

/** A step as the body asked for it. */
export interface StepRequest {
  readonly path: string;
  /** Given the input where there is one. */
  readonly fn: (step: StepContext, input: unknown) => unknown;
  /** Recorded beside the result; null = the step has none. */
  readonly input: { readonly value: unknown } | null;
  readonly effect: Effect;
  readonly retry: RetryPolicy;
  /** What is declared about failures. */
  readonly remedies: RemedyPolicy;
  readonly timeoutMs: number | null;
  /** What its result stands for, once there is one; null = nothing but itself. */
  readonly decides?: () => DecidesFor | null;
}

/** See the top of the module. */
export class StepWork implements Work {
  #request: StepRequest;
  readonly #step: StepHost;
  #attempt: Attempt | null = null;
  /** Attempt whose intent is on its way to be committed; 0 = none. */
  #beginning = 0;
  /** Given up while it was under way: another attempt is not wanted. */
  #hastened = false;

  constructor(request: StepRequest, step: StepHost) {
    this.#request = request;
    this.#step = step;
  }

  launch(wait: Wait): void {
    const { path, effect, input } = this.#request;
    const edited = input === null ? null : this.#step.editedInput(path);
    if (edited !== null) this.#request = { ...this.#request, input: { value: decodeValue(edited) } };
    const record = this.#step.recordOf(path);
    const attempt = record?.attempt ?? 1;
    if (effect !== 'external') return this.#run(wait, attempt);
    if (record !== undefined && record.begun >= attempt) return this.#fail(attempt, ambiguous(path), 1);
    this.#beginning = attempt;
    this.#step.submit({ op: 'beginStep', path, attempt, effect });
  }

  begun(wait: Wait, attempt: number): void {
    if (this.#beginning !== attempt || wait.phase !== 'working') return;
    this.#beginning = 0;
    this.#run(wait, attempt);
  }

  abort(reason: unknown): void {
    this.#attempt?.abort(reason);
  }

  hasten(reason: unknown): void {
    this.#hastened = true;
    this.#attempt?.hasten(reason);
  }

  detail(): UnitDetail {
    const { input, effect, fn } = this.#request;
    return {
      ...(effect === 'pure' ? { pure: (step: StepContext) => fn(step, input?.value) } : {}),
      ...(input === null ? {} : { input: this.#step.encode(input.value) }),
    };
  }

  #run(wait: Wait, attempt: number): void {
    const { input } = this.#request;
    let inputText: string | null = null;
    try {
      // Now, not with the result: the function may change it, and what cannot be stored must not have run.
      if (input !== null) inputText = this.#step.encode(input.value).text;
    } catch (error) {
      return this.#fail(attempt, this.#failureOf(error), 1);
    }
    this.#attempt = new Attempt(this.#request, attempt, this.#step, {
      onValue: (value, durationMs) => this.#complete(wait, attempt, inputText, value, durationMs),
      onError: (error) => this.#fail(attempt, this.#failureOf(error)),
    });
    this.#attempt.run();
  }

  #complete(wait: Wait, attempt: number, inputText: string | null, value: unknown, durationMs: number): void {
    const { path } = this.#request;
    let stored: InlinePayload;
    try {
      const result = this.#step.encode(value);
      wait.own = result;
      stored = inputText === null ? result : pairOf(inputText, result, this.#step.host.valueBytesMax);
    } catch (error) {
      return this.#fail(attempt, this.#failureOf(error));
    }
    const withInput = inputText !== null;
    const decides = this.#request.decides?.() ?? null;
    this.#step.submitWith(stored, (result) => ({
      op: 'completeStep',
      path,
      attempt,
      durationMs,
      withInput,
      result,
      ...(decides === null ? {} : { decides }),
    }));
  }

  #fail(attempt: number, failed: Failure, attempts = this.#request.retry.attempts): void {
    const { path, retry, remedies, input } = this.#request;
    const wanted = this.#hastened ? 1 : attempts;
    const given = input === null ? {} : ({ withInput: true } as const);
    this.#step.submit({
      op: 'failStep',
      path,
      attempt,
      failure: failed,
      retry: { ...retry, attempts: wanted },
      choice: choiceFor(mergedRemedies(this.#step.host.remedies, remedies), failed.class),
      ...given,
    });
  }

  #failureOf(error: unknown): Failure {
    return failureOf(error, this.#step.host.ports.clock.now());
  }
}

/** Two encoded values are, side by side in brackets, the encoded pair. */
function pairOf(inputText: string, result: InlinePayload, bytesMax: number = limits.valueBytesMax): InlinePayload {
  const text = `[${inputText},${result.text}]`;
  if (exceedsUtf8(text, bytesMax)) throw new SpineError('VALUE_TOO_LARGE', { bytesMax });
  return { codec: result.codec, text };
}

function ambiguous(path: string): Failure {
  const error = new SpineError('EFFECT_AMBIGUOUS', { path });
  return failure({ class: 'unknown', code: error.code, message: error.message, retryable: false });
}

interface AttemptEnd {
  readonly onValue: (value: unknown, durationMs: number) => void;
  readonly onError: (error: unknown) => void;
}

/** One call of the user's function, and what it is given. The signal is made on first use: most steps ignore it. */
class Attempt implements StepContext {
  readonly attempt: number;
  readonly #request: StepRequest;
  readonly #step: StepHost;
  readonly #end: AttemptEnd;
  readonly #startedMs: number;
  #over = false;
  #controller: AbortController | null = null;
  #aborted: { readonly reason: unknown } | null = null;
  #cancelTimeout: CancelTimer | null = null;
  readonly #streams = new Map<string, ChunkBatcher>();

  constructor(request: StepRequest, attempt: number, step: StepHost, end: AttemptEnd) {
    this.#request = request;
    this.attempt = attempt;
    this.#step = step;
    this.#end = end;
    this.#startedMs = step.host.ports.clock.monotonicMs();
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== null) this.#controller.abort(this.#aborted.reason);
    return this.#controller.signal;
  }

  get idempotencyKey(): string {
    return `${this.#step.tenant}/${this.#step.run}/${this.#request.path}`;
  }

  get log(): Log {
    const { host, tenant, run } = this.#step;
    const { path } = this.#request;
    return makeLog((level, message, fields) => host.log({ level, message, fields, tenant, run, path }));
  }

  stream(name?: PathName): StreamWriter {
    const path = name === undefined ? this.#request.path : pathOf(this.#request.path, name);
    const found = this.#streams.get(path);
    if (found !== undefined) return found;
    const made = new ChunkBatcher(this.#step.host.ports, (batch) => this.#step.append(path, this.attempt, batch));
    this.#streams.set(path, made);
    return made;
  }

  run(): void {
    const { fn, timeoutMs, input } = this.#request;
    const { timers } = this.#step.host.ports;
    if (timeoutMs !== null) this.#cancelTimeout = timers.after(timeoutMs, () => this.#timeOut(timeoutMs));
    this.#step.enter();
    let result: unknown;
    try {
      const { onlooker } = this.#step.host;
      result = onlooker?.step === undefined ? fn(this, input?.value) : onlooker.step(this.#call());
    } catch (error) {
      return this.#settle(() => this.#end.onError(error));
    }
    if (!isThenable(result)) return this.#settle(() => this.#end.onValue(result, this.#durationMs()));
    result.then(
      (value) => this.#settle(() => this.#end.onValue(value, this.#durationMs())),
      (error: unknown) => this.#settle(() => this.#end.onError(error)),
    );
  }

  #call(): StepCall {
    const { path, fn, input } = this.#request;
    return { path, input: input?.value, context: this, run: () => fn(this, input?.value) };
  }

  abort(reason: unknown): void {
    this.#over = true;
    this.#cancelTimeout?.();
    this.hasten(reason);
  }

  /** Aborts the signal; whatever the function comes to still counts. */
  hasten(reason: unknown): void {
    this.#aborted ??= { reason };
    this.#controller?.abort(reason);
  }

  /** The attempt has failed now, whether or not the function takes notice of its signal. */
  #timeOut(timeoutMs: number): void {
    if (this.#over) return;
    const error = new Error(`The attempt took longer than its timeout of ${timeoutMs} ms.`);
    error.name = 'TimeoutError';
    for (const stream of this.#streams.values()) stream.flush();
    this.abort(error);
    this.#end.onError(Object.assign(error, { code: 'STEP_TIMEOUT' }));
  }

  /** The function has come to rest. */
  #settle(report: () => void): void {
    this.#cancelTimeout?.();
    const wanted = !this.#over;
    this.#over = true;
    // Before the outcome: whoever sees that the step has ended has seen all of its streams.
    if (wanted && this.#streams.size > 0)
      Promise.all([...this.#streams.values()].map((stream) => stream.end())).then(report, ignore);
    else if (wanted) report();
    this.#step.leave();
  }

  #durationMs(): number {
    return Math.max(0, Math.round(this.#step.host.ports.clock.monotonicMs() - this.#startedMs));
  }
}

function ignore(): void {}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
