/**
 * Shadows as one worker asks them: beside its work, and after it. An inference whose answer is recorded is kept until the server
 * gives leave, is asked of the shadow, and is reported.
 *
 * Invariants: nothing here holds a slot, delays an answer or fails a run; there are bounds on how many there are, how long they
 * take and how much is kept for them, beyond which an inference is left alone; and from `stop` on nothing is called.
 */
import { limits } from '../core/limits.js';
import type { Ports } from '../core/ports.js';
import type { ShadowEnd, ShadowLeave, ShadowMessage } from '../protocol/worker.js';
import type { MirroredInference, MirroredOutcome } from '../workflow/infer/mirrored-inference.js';

export interface ShadowCallsOptions {
  readonly ports: Pick<Ports, 'timers' | 'clock'>;
  /** Sends a message; false where nobody would receive it. */
  readonly tell: (message: ShadowMessage) => boolean;
}

/** A call that has leave. */
interface Call {
  readonly inference: MirroredInference;
  readonly ticket: string;
  readonly controller: AbortController;
  /** Reports what it came to; what comes later is of no interest. */
  readonly end: (outcome: MirroredOutcome) => void;
}

export class ShadowCalls {
  readonly #options: ShadowCallsOptions;
  /** Those that wait for leave, by the number of the question. */
  readonly #asked = new Map<number, MirroredInference>();
  /** Also those that were given up, while their endpoints take no notice of it. */
  readonly #calls = new Set<Call>();
  /** Reports that found no line. */
  #unsent: ShadowEnd[] = [];
  #length = 0;
  #questions = 0;
  #stopped = false;

  constructor(options: ShadowCallsOptions) {
    this.#options = options;
  }

  /** Asks for leave, where there is room. */
  offer(inference: MirroredInference): void {
    if (this.#stopped || this.#asked.size + this.#calls.size >= limits.shadowsPerWorkerMax) return;
    if (this.#length + inference.length > limits.shadowLengthMax) return;
    const { tenant, run, path, attempt } = inference;
    const n = ++this.#questions;
    if (!this.#options.tell({ t: 'shadow', asks: [{ n, tenant, run, path, attempt }], ends: [] })) return;
    this.#asked.set(n, inference);
    this.#length += inference.length;
  }

  /** The server has answered. */
  lent({ n, ticket, ms }: ShadowLeave): void {
    const inference = this.#asked.get(n);
    if (inference === undefined) return;
    this.#asked.delete(n);
    if (ticket === null) this.#length -= inference.length;
    else this.#call(inference, ticket, ms);
  }

  /** A line stands: what was asked on an earlier one is not answered any more, and what found none is reported. */
  connected(): void {
    this.#forget();
    const ends = this.#unsent;
    this.#unsent = [];
    for (const end of ends) this.#report(end);
  }

  /** Gives everything up. Idempotent. */
  stop(): void {
    this.#stopped = true;
    this.#forget();
    for (const call of this.#calls) {
      call.end(given('cancelled', 0));
      call.controller.abort(new Error('The worker is leaving.'));
    }
  }

  #forget(): void {
    for (const { length } of this.#asked.values()) this.#length -= length;
    this.#asked.clear();
  }

  #call(inference: MirroredInference, ticket: string, ms: number): void {
    const { timers, clock } = this.#options.ports;
    const controller = new AbortController();
    const startedMs = clock.monotonicMs();
    let ended = false;
    const end = (outcome: MirroredOutcome): void => {
      if (ended) return;
      ended = true;
      cancel();
      this.#report({ ...outcome, model: inference.model, ticket });
    };
    const cancel = timers.after(Math.min(ms, limits.shadowMsMax), () => {
      end(given('timeout', clock.monotonicMs() - startedMs));
      controller.abort(new Error('The shadow took too long.'));
    });
    const call: Call = { inference, ticket, controller, end };
    this.#calls.add(call);
    void inference
      .call(ticket, controller.signal)
      .then(end)
      .finally(() => {
        this.#calls.delete(call);
        this.#length -= inference.length;
      });
  }

  #report(end: ShadowEnd): void {
    if (this.#options.tell({ t: 'shadow', asks: [], ends: [end] })) return;
    // What finds no room counts as lost.
    if (this.#unsent.length < limits.shadowsPerMessageMax) this.#unsent.push(end);
  }
}

function given(failure: 'cancelled' | 'timeout', latencyMs: number): MirroredOutcome {
  return { latencyMs, usage: null, costMicros: 0, failure, comparison: null };
}
