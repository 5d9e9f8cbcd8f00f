/**
 * The database's clock as known here: its distance from the monotonic clock of this process, measured with every batch.
 * Of the last samples the one with the shortest way is believed; a jump of the wall clock of this machine moves nothing.
 */

/** Samples that are remembered. */
const samplesMax = 16;

interface Sample {
  readonly offsetMs: number;
  readonly wayMs: number;
}

export class DatabaseClock {
  readonly #samples: Sample[] = [];
  #offsetMs = Date.now() - performance.now();
  #last = 0;

  /** The database said `databaseMs` at some moment between two of ours (monotonic). */
  seen(databaseMs: number, sentMs: number, receivedMs: number): void {
    this.#samples.push({ offsetMs: databaseMs - (sentMs + receivedMs) / 2, wayMs: receivedMs - sentMs });
    if (this.#samples.length > samplesMax) this.#samples.shift();
    const best = this.#samples.reduce((a, b) => (b.wayMs < a.wayMs ? b : a));
    this.#offsetMs = best.offsetMs;
  }

  /** Epoch ms. Never goes back by less than a correction is worth: small ones are waited out. */
  now(): number {
    const now = Math.floor(performance.now() + this.#offsetMs);
    // A better sample may set us back by a few ms; events of one run should not seem to go backwards for that.
    if (now < this.#last && this.#last - now < 1_000) return this.#last;
    this.#last = now;
    return now;
  }
}
