/** Pauses of what is tried again and again: each longer than the one before, up to a bound, and ended early by a stop. */
import type { Ports } from '../../core/ports.js';

export class Pauses {
  readonly #ports: Pick<Ports, 'timers' | 'random'>;
  #failures = 0;
  #end: (() => void) | null = null;
  #stopped = false;

  constructor(ports: Pick<Ports, 'timers' | 'random'>) {
    this.#ports = ports;
  }

  /** Something went well: the next pause is short again. */
  reset(): void {
    this.#failures = 0;
  }

  /** How long the next pause is: doubling, with half of it by chance, so that those who failed together come back apart. */
  nextMs(): number {
    const ceilingMs = Math.min(pauseMsMax, pauseMsMin * 2 ** this.#failures);
    this.#failures += 1;
    return ceilingMs / 2 + this.#ports.random.next() * (ceilingMs / 2);
  }

  /** Resolves after `ms`, or when all is over. */
  async wait(ms: number): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#ports.timers.after(ms, resolve);
      this.#end = () => {
        cancel();
        resolve();
      };
    });
    this.#end = null;
  }

  stop(): void {
    this.#stopped = true;
    this.#end?.();
  }
}

const pauseMsMin = 200;
const pauseMsMax = 30_000;
