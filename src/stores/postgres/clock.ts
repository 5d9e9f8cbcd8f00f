/**
 * The database's clock as known here: its distance from the monotonic clock of this process, measured with every batch.
 * The database looked at its clock at some moment between sending and answer: early where the batch was alone, late where
 * it waited behind another. So the distance lies where what all of the last samples allow overlaps; where nothing does, the
 * one with the shortest way is believed. A jump of the wall clock of this machine moves nothing, and
 * a jump of the database's is followed at the first sample that no error of measurement explains.
 */

/** Samples that are remembered. */
const samplesMax = 16;
/** More than two clocks drift apart while samples are remembered. */
const driftMs = 1_000;

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
    const sample = { offsetMs: databaseMs - (sentMs + receivedMs) / 2, wayMs: receivedMs - sentMs };
    // What was measured before the database's clock was set is true no more.
    if (this.#samples.some((older) => isJump(older, sample))) this.#samples.length = 0;
    this.#samples.push(sample);
    if (this.#samples.length > samplesMax) this.#samples.shift();
    const least = Math.max(...this.#samples.map(({ offsetMs, wayMs }) => offsetMs - wayMs / 2));
    const most = Math.min(...this.#samples.map(({ offsetMs, wayMs }) => offsetMs + wayMs / 2));
    const best = this.#samples.reduce((a, b) => (b.wayMs < a.wayMs ? b : a));
    this.#offsetMs = least <= most ? (least + most) / 2 : best.offsetMs;
  }

  /** The database's own clock has shown this instant: an estimate that is behind by a little waits for it. */
  reached(databaseMs: number): void {
    const now = this.now();
    if (databaseMs > now && databaseMs - now < driftMs) this.#last = databaseMs;
  }

  /** Epoch ms. Never goes back by less than a correction is worth: small ones are waited out. */
  now(): number {
    const now = Math.floor(performance.now() + this.#offsetMs);
    // A better sample may set us back by a few ms; events of one run should not seem to go backwards for that.
    if (now < this.#last && this.#last - now < driftMs) return this.#last;
    this.#last = now;
    return now;
  }
}

/** Whether both cannot be true of one clock: each is right to half of its way. */
function isJump(a: Sample, b: Sample): boolean {
  return Math.abs(a.offsetMs - b.offsetMs) > (a.wayMs + b.wayMs) / 2 + driftMs;
}
