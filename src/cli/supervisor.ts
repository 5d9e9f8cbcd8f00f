/**
 * Keeps a number of worker processes alive: starts them, starts them again with a growing pause when they crash, and
 * replaces all of them when the code has changed. What a process is comes in as a function, so that tests need none.
 * Invariant: at most one generation of processes takes work; `stop` resolves when none is left.
 */
import type { Ports } from '../core/ports.js';

/** A started process, as the supervisor sees it. */
export interface Child {
  /** Asks it to finish its work and end. */
  drain(): void;
  /** Ends it at once. */
  kill(): void;
  /** How it ended. Never rejects. */
  readonly exited: Promise<ChildExit>;
}

/** How a process ended. */
export interface ChildExit {
  /** The process itself said that starting it again is of no use until the code changes. */
  readonly hopeless: boolean;
  /** In words: `exit code 1`, `signal SIGKILL`. */
  readonly how: string;
}

/** What a supervisor is made of. */
export interface SupervisorOptions {
  readonly workers: number;
  readonly ports: Pick<Ports, 'clock' | 'timers'>;
  /** Starts the process of a place (0, 1 ...). */
  readonly spawn: (place: number) => Child;
  /** Tells the person at the terminal. */
  readonly tell: (text: string) => void;
  /** How long a drain may take before the process is killed. Default 25 s. */
  readonly drainMs?: number;
}

const pauseMsMin = 250;
const pauseMsMax = 15_000;
/** A process that has lived for so long did not crash because of how it starts. */
export const settledMs = 10_000;

/** The pause before a process is started again that has crashed `crashes` times in a row before. */
export function restartPauseMs(crashes: number): number {
  return Math.min(pauseMsMax, pauseMsMin * 2 ** crashes);
}

/** See the top of the module. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #places: Place[] = [];
  #replacing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Starts the processes. */
  start(): void {
    for (let place = 0; place < this.#options.workers; place++) {
      this.#places.push({ place, child: null, crashes: 0, cancelPause: null });
    }
    for (const place of this.#places) this.#launch(place);
  }

  /** Drains every process, then starts new ones. A replacement under way is finished first. */
  replace(): Promise<void> {
    this.#replacing = this.#replacing.then(async () => {
      if (this.#stopped) return;
      await this.#end();
      // Stopping may have begun while the old ones were draining.
      if (this.#isStopped()) return;
      for (const place of this.#places) {
        place.crashes = 0;
        this.#launch(place);
      }
    });
    return this.#replacing;
  }

  /** Drains every process and starts none again. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#end();
    await this.#replacing;
  }

  /** Ends every process at once, for whoever cannot wait any longer. */
  kill(): void {
    this.#stopped = true;
    for (const place of this.#places) place.child?.kill();
  }

  #isStopped(): boolean {
    return this.#stopped;
  }

  #launch(place: Place): void {
    if (this.#stopped || place.child !== null) return;
    place.cancelPause = null;
    const { clock } = this.#options.ports;
    const startedMs = clock.monotonicMs();
    const child = this.#options.spawn(place.place);
    place.child = child;
    void child.exited.then((exit) => {
      // One that was asked to end has been let go of already.
      if (place.child !== child) return;
      place.child = null;
      if (clock.monotonicMs() - startedMs >= settledMs) place.crashes = 0;
      this.#crashed(place, exit);
    });
  }

  #crashed(place: Place, exit: ChildExit): void {
    if (this.#stopped) return;
    if (exit.hopeless) {
      this.#options.tell(`worker ${place.place + 1} waits for a change of the code`);
      return;
    }
    const pauseMs = restartPauseMs(place.crashes);
    place.crashes++;
    this.#options.tell(`worker ${place.place + 1} ended (${exit.how}); starting it again in ${pauseMs} ms`);
    place.cancelPause = this.#options.ports.timers.after(pauseMs, () => this.#launch(place));
  }

  /** Ends what runs now and waits for it. */
  async #end(): Promise<void> {
    const ending = this.#places.flatMap((place) => {
      place.cancelPause?.();
      place.cancelPause = null;
      const { child } = place;
      place.child = null;
      return child === null ? [] : [this.#drained(child)];
    });
    await Promise.all(ending);
  }

  async #drained(child: Child): Promise<void> {
    const { ports, drainMs = 25_000 } = this.#options;
    child.drain();
    const cancel = ports.timers.after(drainMs, () => {
      this.#options.tell(`a worker did not drain within ${drainMs} ms and is killed; its work goes to others`);
      child.kill();
    });
    await child.exited;
    cancel();
  }
}

interface Place {
  readonly place: number;
  child: Child | null;
  /** In a row. */
  crashes: number;
  cancelPause: (() => void) | null;
}
