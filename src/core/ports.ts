/**
 * The ports through which everything below the composition root reaches the outside world: time, timers,
 * randomness and ids. Production binds them to the runtime; the simulator binds them to a virtual world driven by a
 * seed. Nothing in `core/`, `engine/` or `workflow/` may read a clock, a timer or a random source in another way
 * (a lint rule refuses it).
 */

/** A clock. `now` is epoch milliseconds and may jump; `monotonicMs` never goes back and has no meaning across processes. */
export interface Clock {
  now(): number;
  monotonicMs(): number;
}

/** Cancels what a timer would do. Calling it twice, or after the timer has fired, does nothing. */
export type CancelTimer = () => void;

export interface Timers {
  /** Calls `fn` once, `ms` milliseconds (>= 0) from now. Never keeps the process alive by itself. */
  after(ms: number, fn: () => void): CancelTimer;
  /** Calls `fn` in a new turn of the event loop, when every pending micro-task has run. */
  turn(fn: () => void): void;
}

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** `length` random bytes, unpredictable in production. */
  bytes(length: number): Uint8Array;
}

/** A cryptographic digest. Pure, but every runtime has another implementation. */
export interface Hash {
  /** sha-256 over the parts one after the other (text as UTF-8), as 64 hex digits. */
  sha256(...parts: readonly (string | Uint8Array)[]): string;
}

/** The set of ports an engine, a worker or a workflow runtime is given. */
export interface Ports {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly hash: Hash;
}
