/**
 * Where calls wait for others, so that they are done together: one gathering for each handler that takes batches.
 *
 * Invariant: a call that has come in is in one batch, or has left with the reason for which its signal was aborted.
 */
import type { CancelTimer, Timers } from '../core/ports.js';
import { doBatch, type BatchedCall, type Batching } from '../workflow/call-batch.js';
import type { Handler, HandlerContext } from '../workflow/capability.js';

interface Gathering {
  readonly calls: Set<BatchedCall>;
  readonly cancelTimer: CancelTimer;
}

/** See the top of the module. */
export class CallBatches {
  readonly #timers: Timers;
  readonly #gatherings = new Map<Handler, Gathering>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Does one call, together with others where its handler takes batches. */
  do(handler: Handler, input: unknown, context: HandlerContext): unknown {
    const { batching } = handler;
    return batching === null ? handler.handle(input, context) : this.#join(handler, batching, input, context);
  }

  #join(handler: Handler, batching: Batching, input: unknown, context: HandlerContext): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { signal } = context;
      const call: BatchedCall = { input, context, resolve, reject };
      const { calls } = this.#gatheringOf(handler, batching);
      calls.add(call);
      signal.addEventListener(
        'abort',
        () => {
          // Once it is being done its own work ends it.
          if (calls.delete(call)) call.reject(signal.reason);
        },
        { once: true },
      );
      if (calls.size >= batching.max) this.#begin(handler, batching);
    });
  }

  #gatheringOf(handler: Handler, batching: Batching): Gathering {
    const found = this.#gatherings.get(handler);
    if (found !== undefined) return found;
    const cancelTimer = this.#timers.after(batching.waitMs, () => this.#begin(handler, batching));
    const made = { calls: new Set<BatchedCall>(), cancelTimer };
    this.#gatherings.set(handler, made);
    return made;
  }

  #begin(handler: Handler, batching: Batching): void {
    const gathering = this.#gatherings.get(handler);
    if (gathering === undefined) return;
    this.#gatherings.delete(handler);
    gathering.cancelTimer();
    const batch = [...gathering.calls];
    gathering.calls.clear();
    if (batch.length > 0) void doBatch(handler.capability.name, batching, batch);
  }
}
