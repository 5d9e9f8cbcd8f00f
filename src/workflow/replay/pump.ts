/**
 * The pump: gives bodies their results, one at a time, a turn of the event loop apart, so that every micro-task that a
 * result sets off has run before the next one comes. One turn serves all bodies of a process; a turn of its own for each
 * would cost more than the work.
 */
import type { Timers } from '../../core/ports.js';

/** Something that does a bounded piece of work in a turn. */
export interface Pumped {
  /** Owned by the pump. */
  queued: boolean;
  /** Must not throw. */
  tick(): void;
}

/** See the top of the module. */
export class Pump {
  readonly #timers: Timers;
  #queue: Pumped[] = [];

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Has `tick` called in the next turn, once however often it is asked for. */
  wake(pumped: Pumped): void {
    if (pumped.queued) return;
    pumped.queued = true;
    this.#queue.push(pumped);
    if (this.#queue.length === 1) this.#timers.turn(() => this.#turn());
  }

  #turn(): void {
    const batch = this.#queue;
    this.#queue = [];
    for (const pumped of batch) {
      pumped.queued = false;
      pumped.tick();
    }
  }
}

const pumps = new WeakMap<Timers, Pump>();

/** The pump of a set of timers; there is one for each. */
export function pumpOf(timers: Timers): Pump {
  let pump = pumps.get(timers);
  if (pump === undefined) pumps.set(timers, (pump = new Pump(timers)));
  return pump;
}
