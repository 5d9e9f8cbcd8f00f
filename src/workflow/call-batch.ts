/**
 * Calls of a capability that are done together: many small inputs, one request of whoever does the work. Each stays a call
 * of its own, with its lease, its attempts and its outcome; only the code that does them runs once.
 *
 * Invariant: each call of a batch is settled exactly once, with its own result or with an error, whatever the code returns.
 */
import type { HeaderSource } from '../core/admission/feedback.js';
import type { Duration } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { HandlerContext } from './capability.js';
import type { OptionFaults } from './options.js';

/** How calls are put together. */
export interface BatchOptions {
  /** The most calls in a batch, 2 to 1,000. A worker gathers no more than it has slots. Default 64. */
  readonly max?: number;
  /** How long the first call of a batch waits for others, up to a minute; it is part of its time. Default 10 ms. */
  readonly wait?: Duration;
}

/** What the code of a batch is given beside the inputs. */
export interface BatchContext {
  /** Aborted when nobody wants any result of it any more. Each call has a signal of its own. */
  readonly signal: AbortSignal;
  /** What a handler of a single call is given, for each, in the order of the inputs. */
  readonly calls: readonly HandlerContext[];
  /** As `feedback` of a call, for all of them: what the answer to their one request says of limits. */
  readonly feedback: (headers: HeaderSource) => void;
}

/**
 * Does a batch: a result for each input, in their order. An `Error` in the place of a result fails that call alone; what is thrown
 * fails all of them, and each is tried again by its own policy.
 */
export type BatchHandler = (inputs: readonly unknown[], context: BatchContext) => unknown;

/** Code that does calls together, and how they are put together. */
export interface Batching {
  readonly max: number;
  readonly waitMs: number;
  readonly handle: BatchHandler;
}

/** A call on its way into a batch. */
export interface BatchedCall {
  readonly input: unknown;
  readonly context: HandlerContext;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Reads the options. */
export function readBatching(options: BatchOptions, handle: BatchHandler, faults: OptionFaults): Batching {
  faults.unknownNames(options, ['max', 'wait']);
  faults.integer('max', options.max, { min: 2, max: limits.callBatchMax });
  const waitMs = faults.duration('wait', options.wait, limits.callBatchWaitMsDefault, 0);
  if (waitMs > limits.callBatchWaitMsMax) faults.add(`wait is longer than ${limits.callBatchWaitMsMax} ms`);
  if (typeof handle !== 'function') faults.add('implementBatch() takes the function that does the work');
  return { max: options.max ?? limits.callBatchDefault, waitMs, handle };
}

/** Does the calls, and settles each of them. Never rejects. */
export async function doBatch(name: string, batching: Batching, batch: readonly BatchedCall[]): Promise<void> {
  const calls = batch.map(({ context }) => context);
  const joint = jointSignal(calls.map(({ signal }) => signal));
  try {
    const inputs = batch.map(({ input }) => input);
    const feedback = (headers: HeaderSource): void => calls.forEach((call) => call.feedback(headers));
    const results = await batching.handle(inputs, { signal: joint.signal, calls, feedback });
    if (!Array.isArray(results) || results.length !== batch.length)
      throw new SpineError('OUTPUT_INVALID', {
        name,
        faults: [`is not a list of ${batch.length} results, one for each input of the batch`],
      });
    for (const [i, call] of batch.entries()) {
      const result: unknown = results[i];
      if (result instanceof Error) call.reject(result);
      else call.resolve(result);
    }
  } catch (error) {
    for (const { reject } of batch) reject(error);
  } finally {
    joint.release();
  }
}

/** Aborted with the last of the signals. */
function jointSignal(signals: readonly AbortSignal[]): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const wanted = new Set(signals.filter(({ aborted }) => !aborted));
  const listeners = [...wanted].map((signal) => {
    const leave = (): void => {
      wanted.delete(signal);
      if (wanted.size === 0) controller.abort(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    return () => signal.removeEventListener('abort', leave);
  });
  if (wanted.size === 0) controller.abort(signals[0]?.reason);
  return {
    signal: controller.signal,
    release: () => listeners.forEach((remove) => remove()),
  };
}
