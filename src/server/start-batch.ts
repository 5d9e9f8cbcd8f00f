/**
 * Starts that come in by themselves go to the engine together: what is read from many sockets in one turn of the event
 * loop is one call, one transaction and one answer for all of them. A start that is alone waits until the end of its
 * turn and no longer; there is no timer.
 *
 * Invariant: each start is settled once, with its own outcome; a bad one harms none of its neighbours.
 */
import { limits } from '../core/limits.js';
import type { Timers } from '../core/ports.js';
import type { Engine, Origin, StartOutcome, StartRequest } from '../engine/api.js';

/**
 * So many starts go on their way before the turn ends: the store is at work on them while the rest is read. Lower pays
 * for more calls; higher leaves the store nothing to halve, and it and this thread take turns instead of going side by side.
 */
export const startsPerCallMax = 16;

/** Characters of input after which a call goes on its way, so that large inputs do not make one huge transaction. */
const textPerCallMax = limits.payloadBytesMax;

/** A start that says itself where it comes from, since a call may be made for several callers. */
export type OwnStart = StartRequest & { readonly origin: Origin };

interface Waiting {
  readonly request: OwnStart;
  readonly resolve: (outcome: StartOutcome) => void;
  readonly reject: (error: unknown) => void;
}

export class StartBatch {
  readonly #engine: Pick<Engine, 'startRuns'>;
  readonly #timers: Pick<Timers, 'turn'>;
  #waiting: Waiting[] = [];
  #textLength = 0;
  #sendDue = false;

  constructor(engine: Pick<Engine, 'startRuns'>, timers: Pick<Timers, 'turn'>) {
    this.#engine = engine;
    this.#timers = timers;
  }

  /** Starts a run. The outcome comes when it is durable; rejects where the whole call of the engine does. */
  start(request: OwnStart): Promise<StartOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      this.#textLength += 'text' in request.input ? request.input.text.length : 0;
      if (this.#waiting.length >= startsPerCallMax || this.#textLength >= textPerCallMax) void this.#send();
      else this.#sendAfterTurn();
    });
  }

  #sendAfterTurn(): void {
    if (this.#sendDue) return;
    this.#sendDue = true;
    this.#timers.turn(() => {
      this.#sendDue = false;
      void this.#send();
    });
  }

  /** Sends what is waiting, if anything is. Never rejects. */
  async #send(): Promise<void> {
    const waiting = this.#waiting;
    const [first] = waiting;
    if (first === undefined) return;
    this.#waiting = [];
    this.#textLength = 0;
    const requests = waiting.map(({ request }) => request);
    try {
      settle(waiting, await this.#engine.startRuns(first.request.origin, requests));
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}

function settle(waiting: readonly Waiting[], outcomes: readonly StartOutcome[]): void {
  for (const [i, { resolve, reject }] of waiting.entries()) {
    const outcome = outcomes[i];
    if (outcome === undefined) reject(new Error('The engine gave fewer outcomes than it was asked for'));
    else resolve(outcome);
  }
}
