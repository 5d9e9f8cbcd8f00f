/**
 * A process of the simulated world: it can be killed, started again, stopped (SIGSTOP) and continued, and its wall clock
 * can jump. Invariant: whatever a process planned in one life never happens in another, as if its memory was gone.
 */
import type { CancelTimer, Hash, Ports } from '../../core/ports.js';
import { nodePorts } from '../../runtime/index.js';
import type { World, WorldProcess } from './world.js';

/** Digests are pure functions of their input, so the real ones may be used. */
const hash: Hash = nodePorts.hash;

/** Whether it runs, and its ports. */
export class SimProcess implements WorldProcess {
  readonly name: string;
  readonly world: World;
  /** Counts its lives; an even number means that it is down. */
  life = 0;
  paused = false;
  backlog: (() => void)[] = [];
  readonly #wallSkewMs: number;
  #wallOffsetMs: number;
  #lives = 0;

  /** `wallSkewMs` is how wrong its wall clock is at its best. */
  constructor(world: World, name: string, wallSkewMs = 0) {
    this.world = world;
    this.name = name;
    this.#wallSkewMs = wallSkewMs;
    this.#wallOffsetMs = wallSkewMs;
  }

  get up(): boolean {
    return this.life % 2 === 1;
  }

  /** Begins a life and returns its ports. They go dead with it. */
  start(): Ports {
    if (this.up) throw new Error(`Invariant broken: ${this.name} runs already`);
    this.life += 1;
    this.#lives += 1;
    return this.#ports();
  }

  /** Ends its life at once. */
  kill(): void {
    if (!this.up) return;
    this.life += 1;
    this.paused = false;
    this.backlog = [];
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.up) this.paused = true;
  }

  /** SIGCONT: everything overdue happens now, in order. */
  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    const overdue = this.backlog;
    this.backlog = [];
    for (const plan of overdue) plan();
  }

  /** Moves its wall clock; the monotonic one stays. */
  jumpClock(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Takes back what `jumpClock` did. */
  healClock(): void {
    this.#wallOffsetMs = this.#wallSkewMs;
  }

  /** Plans something for this life of the process. */
  after(ms: number, what: string, fn: () => void): CancelTimer {
    return this.world.after(this, ms, `${this.name} ${what}`, fn);
  }

  #ports(): Ports {
    const { world } = this;
    const bornMs = world.nowMs;
    const { life } = this;
    const random = world.prng.fork(`${this.name}/${this.#lives}`);
    const turnDelays = random.fork('turns');
    const turns: (() => void)[] = [];
    const alive = (): boolean => this.life === life;
    return {
      clock: {
        now: () => Math.floor(world.nowMs + this.#wallOffsetMs),
        monotonicMs: () => world.nowMs - bornMs + 1,
      },
      timers: {
        // As in Node: whole milliseconds, and never less than one.
        after: (ms, fn) => (alive() ? this.after(Math.max(1, Math.trunc(ms)), 'timer', fn) : () => undefined),
        turn: (fn) => {
          if (!alive()) return;
          // Turns of one process come in order; how they fall between those of others is up to the seed.
          turns.push(fn);
          this.after(turnDelays.next() * turnMsMax, 'turn', () => turns.shift()?.());
        },
      },
      random,
      hash,
    };
  }
}

/** The longest time until a process comes round to its next turn, ms. */
const turnMsMax = 0.2;
