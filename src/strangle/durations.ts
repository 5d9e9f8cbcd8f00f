/**
 * How long things took, in little room: counts by buckets that grow by a tenth, so that a quantile is right to about five in a
 * hundred. Two of them add up to one, which is how processes and minutes are brought together.
 */

/** Counts by bucket, as they go into an event: `[bucket, count]`, in the order of the buckets. */
export type DurationCounts = readonly (readonly [number, number])[];

/** What is said of durations, ms. */
export interface DurationView {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const growth = Math.log(1.1);

/** Durations that were seen. */
export class Durations {
  readonly #counts = new Map<number, number>();
  #count = 0;

  add(ms: number): void {
    this.#add(ms <= 1 ? 0 : Math.ceil(Math.log(ms) / growth), 1);
  }

  /** Takes in what another process, or another minute, has counted. */
  merge(counts: DurationCounts): void {
    for (const [bucket, count] of counts) this.#add(bucket, count);
  }

  counts(): DurationCounts {
    return [...this.#counts].sort(([a], [b]) => a - b);
  }

  /** The duration below which `share` of them lie; 0 where there are none. */
  quantileMs(share: number): number {
    let left = Math.ceil(share * this.#count);
    for (const [bucket, count] of this.counts()) {
      left -= count;
      if (left <= 0) return Math.round(Math.exp(bucket * growth));
    }
    return 0;
  }

  view(): DurationView {
    return {
      count: this.#count,
      p50Ms: this.quantileMs(0.5),
      p95Ms: this.quantileMs(0.95),
      p99Ms: this.quantileMs(0.99),
      maxMs: this.quantileMs(1),
    };
  }

  #add(bucket: number, count: number): void {
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
    this.#count += count;
  }
}
