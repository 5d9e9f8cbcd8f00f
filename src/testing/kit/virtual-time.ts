/**
 * Virtual time: a clock that stands still until it is moved, the timers on it, and the turns of the event loop. Whoever
 * drives it says when a round of turns is made and when the clock goes on to the next timer.
 *
 * Invariant: everything that engine and worker do happens in a micro-task, in a turn or in a timer; so with no turn
 * waiting, and no user code at work, nothing happens before the clock moves.
 */
import { setImmediate, setTimeout } from 'node:timers';
import type { CancelTimer, Ports } from '../../core/ports.js';
import { nodePorts } from '../../runtime/index.js';
import { EventHeap, type HeapKey } from '../simulator/event-heap.js';
import { Prng } from '../simulator/prng.js';

interface VirtualTimer extends HeapKey {
  readonly fn: () => void;
  cancelled: boolean;
}

/** See the top of the module. */
export class VirtualTime {
  /** Ports on this time; chance comes from the seed. */
  readonly ports: Ports;
  readonly #bornMs: number;
  readonly #timers = new EventHeap<VirtualTimer>();
  #nowMs: number;
  #turns: (() => void)[] = [];
  #timersSet = 0;

  /** `nowMs` is where the clock begins, epoch ms. */
  constructor(nowMs: number, seed: string) {
    this.#nowMs = nowMs;
    this.#bornMs = nowMs;
    this.ports = {
      clock: { now: () => this.#nowMs, monotonicMs: () => this.#nowMs - this.#bornMs + 1 },
      timers: {
        after: (ms, fn) => this.after(ms, fn),
        turn: (fn) => void this.#turns.push(fn),
      },
      random: new Prng(seed),
      hash: nodePorts.hash,
    };
  }

  /** Epoch ms. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** A round of turns is wanted. */
  get hasTurns(): boolean {
    return this.#turns.length > 0;
  }

  /** When the next timer is due, epoch ms; null = none is set. */
  get nextAt(): number | null {
    for (;;) {
      const next = this.#timers.peek();
      if (next === undefined) return null;
      if (!next.cancelled) return next.atMs;
      this.#timers.pop();
    }
  }

  /** Calls `fn` when the clock has moved on by `ms`, whole milliseconds, as Node does. */
  after(ms: number, fn: () => void): CancelTimer {
    const atMs = this.#nowMs + Math.max(0, Math.ceil(ms));
    const timer: VirtualTimer = { atMs, tie: 0, id: ++this.#timersSet, fn, cancelled: false };
    this.#timers.push(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  /** Makes the turns that wait, each a real one with the micro-tasks that it sets off; without any, one empty turn. */
  turnRound(): Promise<void> {
    const turns = this.#turns;
    this.#turns = [];
    return new Promise((resolve) => {
      for (const turn of turns) setImmediate(turn);
      setImmediate(resolve);
    });
  }

  /** Moves the clock to the next timer and calls it. */
  fireNext(): void {
    const { nextAt } = this;
    if (nextAt === null) return;
    this.#nowMs = Math.max(this.#nowMs, nextAt);
    this.#timers.pop()?.fn();
  }

  /** Moves the clock. Timers on the way must have been called before. */
  moveTo(atMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, atMs);
  }
}

/** A pause in real time, for user code that is at work in real time. */
export function realPause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
