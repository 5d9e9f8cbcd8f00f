import { describe, expect, it } from 'vitest';
import { DatabaseClock } from './clock.js';

describe('the clock of the database as known here', () => {
  it('follows the sample with the shortest way', () => {
    const clock = new DatabaseClock();
    const now = performance.now();
    clock.seen(9_000_150, now - 400, now);
    clock.seen(9_000_000, now - 2, now);
    clock.seen(8_999_900, now - 300, now);
    expect(Math.abs(clock.now() - 9_000_000)).toBeLessThan(100);
  });

  it('forgets a good sample after a while, since clocks drift', () => {
    const clock = new DatabaseClock();
    const now = performance.now();
    clock.seen(9_000_000, now - 1, now);
    for (let i = 0; i < 16; i++) clock.seen(9_000_400, now - 20, now);
    expect(Math.abs(clock.now() - 9_000_400)).toBeLessThan(100);
  });

  it('follows at once when the clock of the database is set', () => {
    const clock = new DatabaseClock();
    const now = performance.now();
    for (let i = 0; i < 16; i++) clock.seen(9_000_000, now - 1, now);
    for (const setTo of [16_200_000, 9_000_000]) {
      clock.seen(setTo, now - 20, now);
      expect(Math.abs(clock.now() - setTo)).toBeLessThan(100);
    }
  });

  it('does not take an answer that was long under way for a clock that was set', () => {
    const clock = new DatabaseClock();
    const now = performance.now();
    clock.seen(9_000_000, now - 2, now);
    clock.seen(8_990_000, now - 30_000, now);
    expect(Math.abs(clock.now() - 9_000_000)).toBeLessThan(100);
  });

  it('is not behind what the database has shown', () => {
    const clock = new DatabaseClock();
    const now = performance.now();
    clock.seen(9_000_000, now, now);
    clock.reached(9_000_500);
    expect(clock.now()).toBeGreaterThanOrEqual(9_000_500);
    clock.reached(16_200_000);
    expect(clock.now()).toBeLessThan(9_010_000);
  });

  it('waits out a small correction instead of going back', () => {
    const clock = new DatabaseClock();
    const now = performance.now();
    clock.seen(9_000_000, now - 8, now);
    const before = clock.now();
    clock.seen(8_999_990, now - 2, now);
    expect(clock.now()).toBeGreaterThanOrEqual(before);
  });

  it('is between what an early look and a late look at the clock allow', () => {
    const clock = new DatabaseClock();
    const now = performance.now();
    // Both ways take 40 ms; one looked as it set out, the other as it came back.
    clock.seen(9_000_000 - 39, now - 40, now);
    clock.seen(9_000_000 - 1, now - 40, now);
    expect(Math.abs(clock.now() - 9_000_000)).toBeLessThanOrEqual(8);
  });
});
