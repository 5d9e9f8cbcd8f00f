/**
 * The simulated world: virtual time and the heap of what is going to happen. One event runs, then all micro-tasks drain
 * behind a real turn of the event loop, then the invariants are looked at, then the next event runs.
 *
 * Invariant: what happens depends on the seed alone. Everything that would go through the event loop or a thread pool
 * goes through the heap instead; promises may stay, because the order of micro-tasks is fixed by the language.
 */
import type { CancelTimer } from '../../core/ports.js';
import { EventHeap, type HeapKey } from './event-heap.js';
import { Prng } from './prng.js';
import { TraceHash } from './trace-hash.js';

/** Whom events happen to. */
export interface WorldProcess {
  /** Counts its lives; what was planned in another life does not happen. */
  readonly life: number;
  /** Nothing happens to it now. */
  readonly paused: boolean;
  /** What became due while it was paused; each entry plans its event anew. */
  readonly backlog: (() => void)[];
}

interface WorldEvent extends HeapKey {
  atMs: number;
  tie: number;
  id: number;
  readonly label: string;
  /** Whom it happens to; null = the world itself (disk, network, nemesis). */
  readonly process: WorldProcess | null;
  /** Life of the process for which it was planned; in another life it does not happen. */
  readonly life: number;
  readonly fn: () => void;
  cancelled: boolean;
}

/** When `run` stops, and what it does between events. */
export interface RunOptions {
  /** Virtual time at which to stop, epoch ms. */
  readonly untilMs: number;
  /** Most events in all; a world that needs more is stuck in a storm. */
  readonly stepsMax: number;
  /** Called after each event and its micro-tasks. Returns true to stop here. */
  readonly afterStep: () => boolean | Promise<boolean>;
}

/** Where the world's time begins, epoch ms. Far from 0, so that durations and instants are not mistaken for each other. */
export const worldBirthMs = 1_750_000_000_000;

/** Virtual time, the heap of events and the root of all randomness of one simulation. */
export class World {
  readonly prng: Prng;
  readonly trace = new TraceHash();
  /** Epoch ms; never goes back. */
  nowMs = worldBirthMs;
  /** Events that have happened. */
  steps = 0;
  /** Called with each event, for `--verbose`. */
  onEvent: ((label: string) => void) | null = null;
  /** What code of the world threw, outside of any promise. */
  readonly crashes: { readonly label: string; readonly error: unknown }[] = [];

  readonly #heap = new EventHeap<WorldEvent>();
  readonly #ties: Prng;
  #nextId = 1;

  constructor(seed: string) {
    this.prng = new Prng(seed);
    this.#ties = this.prng.fork('ties');
  }

  /** Plans `fn` for `delayMs` from now. It happens to `process`: not while that is paused, and never in its next life. */
  after(process: WorldProcess | null, delayMs: number, label: string, fn: () => void): CancelTimer {
    const event: WorldEvent = {
      atMs: this.nowMs + Math.max(0, delayMs),
      tie: this.#ties.next(),
      id: this.#nextId++,
      label,
      process,
      life: process?.life ?? 0,
      fn,
      cancelled: false,
    };
    this.#heap.push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Lets events happen until time, steps or `afterStep` say stop. */
  async run(options: RunOptions): Promise<'time' | 'steps' | 'stopped'> {
    for (;;) {
      const next = this.#heap.peek();
      if (next === undefined || next.atMs > options.untilMs) {
        this.nowMs = Math.max(this.nowMs, options.untilMs);
        return 'time';
      }
      if (this.steps >= options.stepsMax) return 'steps';
      this.#heap.pop();
      if (!this.#happen(next)) continue;
      await drained();
      if (await options.afterStep()) return 'stopped';
    }
  }

  #happen(event: WorldEvent): boolean {
    const { process } = event;
    if (event.cancelled || (process !== null && process.life !== event.life)) return false;
    if (process?.paused === true) {
      // It happens as soon as the process goes on; what was overdue happens in the order in which it was due.
      process.backlog.push(() => {
        event.atMs = this.nowMs;
        event.tie = -1;
        event.id = this.#nextId++;
        this.#heap.push(event);
      });
      return false;
    }
    this.nowMs = Math.max(this.nowMs, event.atMs);
    this.steps += 1;
    this.trace.number(this.nowMs);
    this.trace.text(event.label);
    this.onEvent?.(event.label);
    try {
      event.fn();
    } catch (error) {
      this.crashes.push({ label: event.label, error });
    }
    return true;
  }
}

/** A real turn of the event loop: when it comes, every micro-task has run, however many generations there were. */
function drained(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
