/**
 * Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): stays close to the wall clock, never goes
 * back, and orders events of one writer even where the clock stands still or jumps back.
 */
export class HybridLogicalClock {
  #ms = 0;
  #counter = 0;

  /** The next stamp: 12 hex digits of ms and 4 of counter; sorts as text. */
  next(now: number): string {
    if (now > this.#ms) {
      this.#ms = now;
      this.#counter = 0;
    } else if (this.#counter < 0xffff) {
      this.#counter += 1;
    } else {
      this.#ms += 1;
      this.#counter = 0;
    }
    return this.#ms.toString(16).padStart(12, '0') + this.#counter.toString(16).padStart(4, '0');
  }
}
