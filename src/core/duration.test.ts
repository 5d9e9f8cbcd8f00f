import { describe, expect, it } from 'vitest';
import { type Duration, durationMs, durationMsMax, parseDuration } from './duration.js';
import { hasCode } from './errors.js';

describe('parseDuration', () => {
  it.each<[Duration, number]>([
    [0, 0],
    [250, 250],
    [1.2, 2],
    ['0s', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['1h30m', 5_400_000],
    ['1d12h', 129_600_000],
    ['2w', 1_209_600_000],
    ['1m500ms', 60_500],
  ])('reads %s as %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each<unknown>([
    '',
    '30',
    '30 s',
    '-1s',
    '1s1h',
    '5m5m',
    '1e3s',
    's',
    '1y',
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    durationMsMax + 1,
    '99999w',
    null,
    {},
  ])('refuses %o with a mend', (value) => {
    expect(durationMs(value)).toBeNull();
    let thrown: unknown;
    try {
      parseDuration(value as Duration);
    } catch (error) {
      thrown = error;
    }
    expect(hasCode(thrown, 'DURATION_INVALID') && thrown.mend).toContain('1h30m');
  });
});
