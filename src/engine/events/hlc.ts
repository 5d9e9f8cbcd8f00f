/**
 * Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): stays close to the wall clock, never goes
 * back, and orders events of one writer even where the clock stands still or jumps back.
 */
export class HybridLogicalClock {
  #ms = 0;
  #counter = 0;
  /** `#ms` as text: many events fall into one millisecond. */
  #msText = '000000000000';

  /** Goes past a stamp that another clock has given, so that what follows from an event sorts after it. */
  observe(stamp: string): void {
    const ms = Number.parseInt(stamp.slice(0, 12), 16);
    const counter = Number.parseInt(stamp.slice(12), 16);
    if (!(ms > this.#ms || (ms === this.#ms && counter > this.#counter))) return;
    this.#ms = ms;
    this.#msText = stamp.slice(0, 12);
    this.#counter = counter;
  }

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
    if (this.#counter === 0) this.#msText = this.#ms.toString(16).padStart(12, '0');
    return this.#msText + (0x10000 + this.#counter).toString(16).slice(1);
  }
}
