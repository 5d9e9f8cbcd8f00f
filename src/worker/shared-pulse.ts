/**
 * The two numbers of a heartbeat, in memory that the heart's thread shares with the main one: the beat counter, which
 * both raise, and the highest assignment received, which only the main thread writes.
 *
 * Invariant: no two beats of a session carry the same number, whichever thread sent them.
 */
const received = 0;
const counter = 1;
const cells = 2;

/** The pulse of one session. Handing `buffer` to another thread shares it. */
export class SharedPulse {
  readonly buffer: SharedArrayBuffer;
  // 64 bits: a busy session passes 2^31 assignments within a day.
  readonly #cells: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(cells * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#cells = new BigInt64Array(buffer);
  }

  /** Highest assignment that has reached the main thread; 0 = none. */
  get received(): number {
    return Number(Atomics.load(this.#cells, received));
  }

  /** Never lowers. Only the main thread may call it. */
  raiseReceived(assignment: number): void {
    if (assignment > this.received) Atomics.store(this.#cells, received, BigInt(assignment));
  }

  /** The number of the next beat, from 1. */
  nextBeat(): number {
    return Number(Atomics.add(this.#cells, counter, 1n)) + 1;
  }
}
