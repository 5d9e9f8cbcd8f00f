import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filled, newBucket, roomAt, settled, taken, type Bucket, type Rate } from './bucket.js';

interface Used {
  readonly at: number;
  readonly reserved: number;
  used: number;
  readonly mark: number;
  open: boolean;
}

type Move =
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'take'; readonly amount: number }
  | { readonly do: 'settle'; readonly which: number; readonly share: number };

const rates = fc.record({
  amount: fc.integer({ min: 1, max: 50 }),
  perMs: fc.integer({ min: 1, max: 200 }),
  burst: fc.integer({ min: 1, max: 100 }),
});

const moves = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 300 }) }),
    fc.record({ do: fc.constant('take' as const), amount: fc.integer({ min: 0, max: 120 }) }),
    fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat(30),
      share: fc.integer({ min: 0, max: 100 }),
    }),
  ),
  { maxLength: 120 },
);

/** Everything that was let through, by a caller who always asks first. */
function played(rate: Rate, script: readonly Move[]): { readonly used: readonly Used[]; readonly bucket: Bucket } {
  let now = 1_000;
  let bucket = newBucket(rate, now);
  const used: Used[] = [];
  for (const move of script) {
    if (move.do === 'wait') now += move.ms;
    bucket = filled(bucket, rate, now);
    if (move.do === 'take' && roomAt(bucket, rate, move.amount) <= now) {
      bucket = taken(bucket, rate, move.amount);
      used.push({ at: now, reserved: move.amount, used: move.amount, mark: bucket.n, open: true });
    }
    if (move.do === 'settle') {
      const open = used.filter((one) => one.open);
      const one = open[move.which % Math.max(1, open.length)];
      if (one === undefined) continue;
      one.open = false;
      one.used = Math.floor((one.reserved * move.share) / 100);
      bucket = settled(bucket, rate, { mark: one.mark, reserved: one.reserved, used: one.used });
    }
  }
  return { used, bucket };
}

function worstExcess(rate: Rate, used: readonly Used[]): number {
  const burst = Math.max(rate.burst, ...used.map((one) => one.reserved));
  let worst = Number.NEGATIVE_INFINITY;
  for (let from = 0; from < used.length; from++) {
    let sum = 0;
    for (let to = from; to < used.length; to++) {
      sum += used[to]?.used ?? 0;
      const ms = (used[to]?.at ?? 0) - (used[from]?.at ?? 0);
      worst = Math.max(worst, sum - burst - (ms * rate.amount) / rate.perMs);
    }
  }
  return worst;
}

describe('a bucket', () => {
  it('lets no window of length w have more than burst + rate * w, whatever is given back', () => {
    fc.assert(
      fc.property(rates, moves, (rate, script) => {
        expect(worstExcess(rate, played(rate, script).used)).toBeLessThanOrEqual(1e-9);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is never above full, and full again after long enough, whatever happened', () => {
    fc.assert(
      fc.property(rates, moves, (rate, script) => {
        const { bucket } = played(rate, script);
        expect(bucket.level).toBeLessThanOrEqual(rate.burst * bucket.unit);
        const later = filled(bucket, rate, bucket.at + 10_000_000);
        expect(later.level).toBe(rate.burst * bucket.unit);
      }),
      { numRuns: 500 },
    );
  });

  it('gives back all that was reserved too much while it was not full', () => {
    const rate = { amount: 10, perMs: 1_000, burst: 100 };
    const first = taken(newBucket(rate, 0), rate, 80);
    expect(settled(first, rate, { mark: first.n, reserved: 80, used: 30 }).level).toBe(70 * first.unit);
    const second = taken(first, rate, 10);
    expect(settled(second, rate, { mark: first.n, reserved: 80, used: 30 }).level).toBe(60 * first.unit);
  });

  it('gives nothing back once it was full again in between', () => {
    const rate = { amount: 10, perMs: 1_000, burst: 100 };
    const first = taken(newBucket(rate, 0), rate, 50);
    const full = filled(first, rate, 5_000);
    const second = taken(full, rate, 100);
    expect(settled(second, rate, { mark: first.n, reserved: 50, used: 0 }).level).toBe(0);
  });

  it('takes what was used beyond the reservation, and owes it', () => {
    const rate = { amount: 10, perMs: 1_000, burst: 100 };
    const bucket = taken(newBucket(rate, 0), rate, 100);
    const owing = settled(bucket, rate, { mark: 1, reserved: 100, used: 150 });
    expect(owing.level).toBe(-50 * owing.unit);
    expect(roomAt(owing, rate, 10)).toBe(6_000);
  });

  it('lets a request that is larger than the burst through alone', () => {
    const rate = { amount: 1, perMs: 1_000, burst: 10 };
    const bucket = newBucket(rate, 0);
    expect(roomAt(bucket, rate, 25)).toBe(0);
    expect(roomAt(taken(bucket, rate, 25), rate, 1)).toBe(16_000);
    expect(roomAt(taken(bucket, rate, 1), rate, 25)).toBe(1_000);
  });

  it('gains nothing and loses nothing by a clock that is set back or read late', () => {
    const rate = { amount: 1, perMs: 100, burst: 10 };
    const empty = taken(newBucket(rate, 100_000), rate, 10);
    const back = filled(empty, rate, 10_000);
    expect(back.level).toBe(0);
    expect(filled(back, rate, 10_100).level).toBe(back.unit);
    const late = filled(empty, rate, 99_950);
    expect(filled(late, rate, 100_000).level).toBe(0);
  });

  it('keeps what is in it when the rate is changed', () => {
    const before = { amount: 60, perMs: 60_000, burst: 60 };
    const after = { amount: 7, perMs: 3_000, burst: 30 };
    const bucket = filled(taken(newBucket(before, 0), before, 40), after, 0);
    expect(bucket.level / bucket.unit).toBe(20);
    expect(settled(bucket, after, { mark: 1, reserved: 40, used: 0 }).level).toBe(bucket.level);
  });

  it('counts exactly over a long time', () => {
    const rate = { amount: 7, perMs: 86_400_000, burst: 7 };
    let bucket = taken(newBucket(rate, 0), rate, 7);
    for (let now = 0; now <= 86_400_000; now += 86_399) bucket = filled(bucket, rate, now);
    expect(filled(bucket, rate, 86_400_000).level).toBe(7 * bucket.unit);
  });
});
