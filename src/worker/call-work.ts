/**
 * A capability call at work: decodes and checks the input, runs the handler under its deadline, checks, encodes and
 * submits what it returns.
 *
 * Invariant: at most one outcome is submitted for an assignment, whatever the handler does after its end.
 */
import {
  agedFeedback,
  feedbackOfError,
  readFeedback,
  type Feedback,
  type HeaderSource,
} from '../core/admission/feedback.js';
import { decodeValue, encodeValue } from '../core/codec.js';
import { SpineError } from '../core/errors.js';
import { failureOf } from '../core/failure-of.js';
import { failure, type Failure } from '../core/failure.js';
import { pathOf, type PathName } from '../core/paths.js';
import { isBlobPayload, type InlinePayload } from '../core/payload.js';
import type { CancelTimer } from '../core/ports.js';
import type { CallAssignment, Submission, SubmissionResult } from '../protocol/worker.js';
import type { Handler } from '../workflow/capability.js';
import { makeLog } from '../workflow/log.js';
import { ChunkBatcher, type StreamWriter } from '../workflow/stream-writer.js';
import type { CallBatches } from './call-batches.js';
import { checkedValue } from './checked-value.js';
import { leaseIsGone, type StopReason, type Work, type WorkHost } from './work.js';

/** Part of the deadline kept for the way back: the server's own clock of the lease started earlier than ours. */
const deadlineMargin = 0.05;
const deadlineMarginMsMax = 500;

/** Begins in a later micro-task, so that the caller can register it first. `batches`: where it meets others; null = it is alone. */
export function beginCall(
  assignment: CallAssignment,
  handler: Handler,
  host: WorkHost,
  batches: CallBatches | null,
): Work {
  return new CallWork(assignment, handler, host, batches);
}

class CallWork implements Work {
  readonly kind = 'call';
  readonly seen = 0;
  readonly waiting = false;
  readonly idle: Promise<void>;
  readonly #assignment: CallAssignment;
  readonly #handler: Handler;
  readonly #host: WorkHost;
  readonly #batches: CallBatches | null;
  readonly #abort = new AbortController();
  readonly #startedMs: number;
  readonly #cancelDeadline: CancelTimer;
  #submitted = false;
  #failed = false;
  #dead = false;
  /** What the handler has heard of the limits of others, and when. */
  #said: { readonly feedback: Feedback | null; readonly atMs: number } | null = null;
  readonly #streams = new Map<string | null, ChunkBatcher>();
  /** Batches of chunks that were not answered yet, by their submission. */
  readonly #onAnswer = new Map<number, () => void>();

  constructor(assignment: CallAssignment, handler: Handler, host: WorkHost, batches: CallBatches | null) {
    this.#batches = batches;
    this.#assignment = assignment;
    this.#handler = handler;
    this.#host = host;
    const { clock, timers } = host.ports;
    this.#startedMs = clock.monotonicMs();
    this.#cancelDeadline = timers.after(timeoutMs(assignment, handler), () => this.#timeOut());
    this.idle = Promise.resolve().then(() => this.#run());
  }

  get dead(): boolean {
    return this.#dead;
  }

  deliver(): void {
    // The events of its run are of no concern to a call.
  }

  settle(submission: Submission, result: SubmissionResult): void {
    this.#onAnswer.get(submission.i)?.();
    this.#onAnswer.delete(submission.i);
    if (result.ok || this.#dead) return;
    if (leaseIsGone(result.code)) {
      this.stop('lease_lost');
      return;
    }
    // The server will not take the result itself: say so, or the lease would hang until its deadline.
    if (!this.#failed) return this.#fail(refusedBy(result));
    this.#host.log('error', 'the failure of a call was refused; the task waits for its deadline', {
      run: this.#assignment.run,
      task: this.#assignment.task,
      submission: submission.i,
      code: result.code,
    });
    this.#dead = true;
  }

  stop(reason: StopReason): void {
    if (this.#dead) return;
    this.#cancelDeadline();
    const error = this.#errorOf(reason);
    if (reason === 'drain') {
      // The attempt was made and counts; released without a count, a call that never ends would circle for ever.
      if (!this.#submitted) this.#fail(this.#failureOf(error));
    } else this.#dead = true;
    for (const resolve of this.#onAnswer.values()) resolve();
    this.#onAnswer.clear();
    this.#abort.abort(error);
  }

  async #run(): Promise<void> {
    try {
      const outcome = await this.#call();
      if (this.#submitted || this.#dead) return;
      // Before the outcome: whoever sees that the call has ended has seen all of its streams.
      await Promise.all([...this.#streams.values()].map((stream) => stream.end()));
      if (this.#submitted || this.#dead) return;
      this.#submitted = true;
      const durationMs = Math.round(this.#host.ports.clock.monotonicMs() - this.#startedMs);
      this.#host.submit([{ op: 'completeTask', result: outcome, durationMs, ...this.#feedback(null) }]);
    } catch (error) {
      if (!this.#submitted && !this.#dead) this.#fail(this.#failureOf(error), error);
    } finally {
      this.#cancelDeadline();
    }
  }

  async #call() {
    const { input, attempt, idempotencyKey, tenant, run, capability } = this.#assignment;
    const text = isBlobPayload(input) ? await this.#host.load(input) : input;
    const handler = this.#handler;
    const defined = handler.capability;
    const value = await checkedValue(defined.input, decodeValue(text), capability, 'INPUT_INVALID');
    // Aborted while it was being fetched: the handler need not begin.
    this.#abort.signal.throwIfAborted();
    const log = makeLog((level, message, fields) =>
      this.#host.log(level, message, { ...fields, tenant, run, capability, attempt }),
    );
    const context = {
      signal: this.#abort.signal,
      attempt,
      idempotencyKey,
      log,
      run: { id: run, tenant },
      stream: (name?: PathName) => this.#stream(name === undefined ? null : pathOf('', name)),
      feedback: (headers: HeaderSource) => {
        const { clock } = this.#host.ports;
        this.#said = { feedback: readFeedback(headers, clock.now()), atMs: clock.monotonicMs() };
      },
    };
    const returned = await (this.#batches === null
      ? handler.handle(value, context)
      : this.#batches.do(handler, value, context));
    const output = await checkedValue(defined.output, returned, capability, 'OUTPUT_INVALID');
    return this.#host.fit(encodeValue(output, this.#host.valueBytesMax));
  }

  #timeOut(): void {
    if (this.#submitted || this.#dead) return;
    const error = new SpineError('TASK_TIMEOUT', { deadlineMs: this.#assignment.deadlineMs });
    // A handler that does not heed its signal must not hold up the retry.
    this.#fail(this.#failureOf(error));
    this.#abort.abort(error);
  }

  #stream(name: string | null): StreamWriter {
    const found = this.#streams.get(name);
    if (found !== undefined) return found;
    const made = new ChunkBatcher(this.#host.ports, ({ from, count, chunks }) =>
      this.#append(name, from, count, chunks),
    );
    this.#streams.set(name, made);
    return made;
  }

  #append(name: string | null, from: number, count: number, chunks: InlinePayload): Promise<void> {
    // A handler that goes on after its end writes to nobody.
    if (this.#submitted || this.#dead) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onAnswer.set(this.#host.submit([{ op: 'appendTask', name, from, count, chunks }]), resolve);
    });
  }

  #flushStreams(): void {
    for (const stream of this.#streams.values()) stream.flush();
  }

  #failureOf(error: unknown): Failure {
    return failureOf(error, this.#host.ports.clock.now());
  }

  #fail(cause: Failure, thrown: unknown = null): void {
    this.#flushStreams();
    this.#submitted = true;
    this.#failed = true;
    this.#host.submit([{ op: 'failTask', failure: cause, ...this.#feedback(thrown) }]);
  }

  /** What the error says by its headers, else what the handler has reported. */
  #feedback(thrown: unknown): { readonly feedback?: Feedback } {
    const { clock } = this.#host.ports;
    const { feedback: reported, atMs } = this.#said ?? { feedback: null, atMs: 0 };
    const found =
      feedbackOfError(thrown, clock.now()) ??
      (reported === null ? null : agedFeedback(reported, clock.monotonicMs() - atMs));
    return found === null ? {} : { feedback: found };
  }

  #errorOf(reason: StopReason): Error {
    const { run, task, deadlineMs } = this.#assignment;
    switch (reason) {
      case 'cancelled':
        return new SpineError('RUN_CANCELLED', { reason: null });
      case 'deadline':
        return new SpineError('TASK_TIMEOUT', { deadlineMs });
      case 'drain':
      case 'stop':
        return new SpineError('WORKER_STOPPED', {});
      case 'lease_lost':
      case 'ended':
      case 'session_lost':
        return new SpineError('LEASE_LOST', { run, task });
    }
  }
}

/** The timeout of the capability; where the caller gave the call a time of its own, that alone counts. */
function timeoutMs(assignment: CallAssignment, { capability }: Handler): number {
  const { deadlineMs } = assignment;
  const localMs = deadlineMs - Math.min(deadlineMarginMsMax, deadlineMs * deadlineMargin);
  return deadlineMs === capability.deadlineMs ? Math.min(capability.timeoutMs, localMs) : localMs;
}

function refusedBy(result: { readonly code: string; readonly message: string }): Failure {
  const { code, message } = result;
  return failure({ class: 'internal', code, message, retryable: code === 'INTERNAL' });
}
