/** Requests of a simulated program to some server of the installation, over connections that lose requests and answers. */
import { isSpineError } from '../../core/errors.js';
import type { Engine } from '../../engine/api.js';
import type { Cluster } from './cluster.js';
import type { Prng } from './prng.js';
import type { SimProcess } from './process.js';

export interface LossyRequestsOptions {
  readonly cluster: Cluster;
  readonly prng: Prng;
  /** Probability that a request or its answer is lost, as it is now. */
  readonly loss: () => number;
}

/** How long an answer is waited for. */
const answerMsMax = 4_000;

/** See the head of this file. */
export class LossyRequests {
  readonly #options: LossyRequestsOptions;

  constructor(options: LossyRequestsOptions) {
    this.#options = options;
  }

  /** One request. `then` is told null where there was no answer, and null with a code where it was refused. */
  ask<T>(
    process: SimProcess,
    send: (engine: Engine) => Promise<T>,
    then: (answer: T | null, code?: string) => void,
  ): void {
    const { cluster, prng } = this.#options;
    let isOpen = true;
    const settle = (answer: T | null, code?: string): void => {
      if (!isOpen) return;
      isOpen = false;
      cancel();
      then(answer, code);
    };
    const cancel = process.after(answerMsMax, 'request timeout', () => settle(null));
    if (this.#isLost()) return;
    const server = cluster.any(prng);
    const { life } = process;
    server.process.after(prng.next() * 20, 'request', () => {
      const { engine } = server;
      if (engine === null) return;
      const back = (answer: T | null, code?: string): void => {
        if (this.#isLost() || process.life !== life) return;
        process.after(prng.next() * 20, 'answer', () => settle(answer, code));
      };
      send(engine).then(
        (answer) => back(answer),
        (error: unknown) => back(null, isSpineError(error) ? error.code : String(error)),
      );
    });
  }

  #isLost(): boolean {
    const loss = this.#options.loss();
    return loss > 0 && this.#options.prng.chance(loss);
  }
}
