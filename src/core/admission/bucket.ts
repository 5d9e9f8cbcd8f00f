/**
 * A bucket of tokens, counted in integers: what is reserved is taken at once, and settled when it is known what was really
 * used. All of it is pure; the clock is the store's.
 *
 * Invariant: of what was really used, counted from when it was reserved, no window of length w has more than
 * `burst + rate * w` (or a single request larger than `burst`, which is let through alone, when the bucket is full).
 *
 * The invariant is why not all that was reserved too much comes back. Had the right amount been taken at first, the bucket
 * might have been full in between, and what flows over is lost: giving it back later would let through in one window what
 * two were meant for. So the bucket remembers its `peaks`: how near to full it has been since, and a refund is no more than
 * would have found room all the time.
 */
import { fractionOf } from './limit.js';

export interface Rate {
  readonly amount: number;
  readonly perMs: number;
  readonly burst: number;
}

export interface Bucket {
  readonly k: 'bucket';
  /** What is in it, in units of 1/`unit`; below zero where more was used than reserved. */
  readonly level: number;
  readonly unit: number;
  /** When the level was that, on the store's clock. */
  readonly at: number;
  /** Reservations so far; the number of one is its mark. */
  readonly n: number;
  /** Room that was left when later reservations were made: `[mark, room]`, both rising. */
  readonly peaks: readonly (readonly [number, number])[];
}

/** Peaks remembered. Older ones are put together, at the cost of refunds. */
const peaksMax = 24;
/** A clock that is further back than this was set back; what is less are two servers that read it differently. */
const skewMsMax = 5_000;

export function newBucket(rate: Rate, now: number): Bucket {
  const { unit } = fractionOf(rate);
  return { k: 'bucket', level: rate.burst * unit, unit, at: now, n: 0, peaks: [] };
}

/** The bucket as it is at `now`, under the rate that holds now. A clock that went back gains nothing and costs nothing. */
export function filled(bucket: Bucket, rate: Rate, now: number): Bucket {
  const { gain, unit } = fractionOf(rate);
  const known = bucket.unit === unit ? bucket : converted(bucket, unit);
  const full = rate.burst * unit;
  const isSetBack = now < known.at - skewMsMax;
  const elapsedMs = Math.min(Math.max(0, now - known.at), Math.ceil((full - known.level) / gain) + 1);
  const level = Math.min(full, known.level + Math.max(0, elapsedMs) * gain);
  return { ...known, level, at: isSetBack ? now : Math.max(known.at, now) };
}

/** Of a rate that was changed: the same amount in other units, and no more refunds for what was reserved before. */
function converted(bucket: Bucket, unit: number): Bucket {
  const whole = Math.floor(bucket.level / bucket.unit);
  const rest = bucket.level - whole * bucket.unit;
  const level = whole * unit + Math.floor((rest * unit) / bucket.unit);
  return { ...bucket, level, unit, n: bucket.n + 1, peaks: [[bucket.n + 1, 0]] };
}

/** When there is room for `amount`: `now` or earlier = at once. The bucket must be filled. */
export function roomAt(bucket: Bucket, rate: Rate, amount: number): number {
  const { gain, unit } = fractionOf(rate);
  const missing = Math.min(amount, rate.burst) * unit - bucket.level;
  return missing <= 0 ? bucket.at : bucket.at + Math.ceil(missing / gain);
}

/** Takes `amount`, whether or not there is room. The mark of the reservation is `n` of the result. */
export function taken(bucket: Bucket, rate: Rate, amount: number): Bucket {
  const room = rate.burst * bucket.unit - bucket.level;
  const n = bucket.n + 1;
  return { ...bucket, level: bucket.level - amount * bucket.unit, n, peaks: withPeak(bucket.peaks, n, room) };
}

/** Settles reservation `mark` of `reserved`, of which `used` was used: gives back, or takes what was used beyond it. */
export function settled(
  bucket: Bucket,
  rate: Rate,
  { mark, reserved, used }: { readonly mark: number; readonly reserved: number; readonly used: number },
): Bucket {
  if (used >= reserved) return { ...bucket, level: bucket.level - (used - reserved) * bucket.unit };
  const full = rate.burst * bucket.unit;
  // A mark that is not one of this bucket: nothing is known of what was in between.
  if (mark > bucket.n) return bucket;
  const since = bucket.peaks.find(([n]) => n > mark);
  const room = Math.max(0, Math.min(full - bucket.level, since?.[1] ?? Number.MAX_SAFE_INTEGER));
  const refund = Math.min((reserved - used) * bucket.unit, room);
  if (refund === 0) return bucket;
  let peaks: Bucket['peaks'] = [];
  for (const [n, left] of bucket.peaks) peaks = withPeak(peaks, n, n > mark ? left - refund : left);
  return { ...bucket, level: bucket.level + refund, peaks };
}

/** At most `most` is left: the other side has said so. */
export function lowered(bucket: Bucket, most: number): Bucket {
  const level = Math.min(bucket.level, most * bucket.unit);
  return level === bucket.level ? bucket : { ...bucket, level };
}

/** Keeps what is the least since each mark: a later peak with less room makes earlier ones with more pointless. */
function withPeak(peaks: Bucket['peaks'], n: number, room: number): (readonly [number, number])[] {
  const kept = [...peaks];
  while ((kept.at(-1)?.[1] ?? -1) >= room) kept.pop();
  kept.push([n, room]);
  if (kept.length > peaksMax) {
    const [first, second] = kept;
    // The later of the two marks with the lesser room: whoever asks for either is told of no more than there was.
    if (first !== undefined && second !== undefined) kept.splice(0, 2, [second[0], first[1]]);
  }
  return kept;
}
