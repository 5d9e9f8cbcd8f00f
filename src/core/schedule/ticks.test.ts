import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronFault, isTimeZone, ticksOf, type Cadence } from './ticks.js';

const iso = (at: number | null): string => (at === null ? 'never' : new Date(at).toISOString().replace('.000Z', 'Z'));

/** The first `count` ticks after an instant. */
function after(cadence: Cadence, from: string, count: number): string[] {
  const ticks = ticksOf(cadence);
  const found: string[] = [];
  let at: number | null = Date.parse(from);
  while (found.length < count && (at = ticks.next(at)) !== null) found.push(iso(at));
  return found;
}

const berlin = (cron: string): Cadence => ({ cron, timeZone: 'Europe/Berlin' });

describe('a cron expression where the clocks go forward', () => {
  it('ticks when the clock has jumped over a time of day that the day does not have', () => {
    expect(after(berlin('30 2 * * *'), '2025-03-28T12:00:00Z', 3)).toEqual([
      '2025-03-29T01:30:00Z',
      '2025-03-30T01:00:00Z',
      '2025-03-31T00:30:00Z',
    ]);
  });

  it('keeps the time of day of the others, which is another instant', () => {
    expect(after(berlin('0 9 * * *'), '2025-03-28T12:00:00Z', 3)).toEqual([
      '2025-03-29T08:00:00Z',
      '2025-03-30T07:00:00Z',
      '2025-03-31T07:00:00Z',
    ]);
  });

  it('leaves out what falls into the gap where it is an interval', () => {
    expect(after(berlin('*/30 * * * *'), '2025-03-30T00:00:00Z', 3)).toEqual([
      '2025-03-30T00:30:00Z',
      '2025-03-30T01:00:00Z',
      '2025-03-30T01:30:00Z',
    ]);
  });

  it('ticks once where two times of day come to the same instant', () => {
    expect(after(berlin('0,30 2,3 * * *'), '2025-03-29T12:00:00Z', 3)).toEqual([
      '2025-03-30T01:00:00Z',
      '2025-03-30T01:30:00Z',
      '2025-03-31T00:00:00Z',
    ]);
  });

  it('goes by the zone: where midnight itself is missing, and where the gap is half an hour', () => {
    expect(after({ cron: '0 0 * * *', timeZone: 'America/Sao_Paulo' }, '2018-11-03T12:00:00Z', 2)).toEqual([
      '2018-11-04T03:00:00Z',
      '2018-11-05T02:00:00Z',
    ]);
    expect(after({ cron: '15 2 * * *', timeZone: 'Australia/Lord_Howe' }, '2025-10-03T16:00:00Z', 2)).toEqual([
      '2025-10-04T15:30:00Z',
      '2025-10-05T15:15:00Z',
    ]);
  });

  it('passes over a day that a zone has left out', () => {
    expect(after({ cron: '0 12 * * *', timeZone: 'Pacific/Apia' }, '2011-12-29T00:00:00Z', 2)).toEqual([
      '2011-12-29T22:00:00Z',
      '2011-12-30T22:00:00Z',
    ]);
  });
});

describe('a cron expression where the clocks go back', () => {
  it('ticks the first time that a repeated time of day comes, and not again', () => {
    expect(after(berlin('30 2 * * *'), '2025-10-25T12:00:00Z', 2)).toEqual([
      '2025-10-26T00:30:00Z',
      '2025-10-27T01:30:00Z',
    ]);
    expect(after(berlin('15 2-3 * * *'), '2025-10-25T12:00:00Z', 2)).toEqual([
      '2025-10-26T00:15:00Z',
      '2025-10-26T02:15:00Z',
    ]);
  });

  it('ticks in both hours where it is an interval', () => {
    expect(after(berlin('0 * * * *'), '2025-10-25T23:30:00Z', 4)).toEqual([
      '2025-10-26T00:00:00Z',
      '2025-10-26T01:00:00Z',
      '2025-10-26T02:00:00Z',
      '2025-10-26T03:00:00Z',
    ]);
  });
});

describe('a cron expression', () => {
  it('ticks on leap days', () => {
    expect(after({ cron: '0 0 29 2 *', timeZone: 'UTC' }, '2025-01-01T00:00:00Z', 2)).toEqual([
      '2028-02-29T00:00:00Z',
      '2032-02-29T00:00:00Z',
    ]);
    expect(after({ cron: '0 0 29 2 *', timeZone: 'UTC' }, '2096-03-01T00:00:00Z', 1)).toEqual(['2104-02-29T00:00:00Z']);
  });

  it('may have seconds, and nicknames', () => {
    expect(after({ cron: '*/20 * * * * *', timeZone: 'UTC' }, '2025-01-01T00:00:05.250Z', 2)).toEqual([
      '2025-01-01T00:00:20Z',
      '2025-01-01T00:00:40Z',
    ]);
    expect(after(berlin('@daily'), '2025-01-01T00:00:00Z', 1)).toEqual(['2025-01-01T23:00:00Z']);
  });

  it.each([
    ['', 'five fields'],
    ['* * * *', 'five fields'],
    ['0 0 0 1 1 * 2030', 'five fields'],
    ['2030-01-01T00:00:00', 'five fields'],
    ['61 * * * *', 'minute'],
    ['a b c d e', 'a'],
    ['0 0 31 2 *', 'never'],
    ['@reboot', '@reboot'],
  ])('%j is refused', (cron, reason) => {
    expect(cronFault(cron)).toContain(reason);
  });

  it('knows time zones by name', () => {
    expect(['Europe/Berlin', 'UTC', 'Asia/Kathmandu'].map(isTimeZone)).toEqual([true, true, true]);
    expect(['Europe/Atlantis', '', '+25:00'].map(isTimeZone)).toEqual([false, false, false]);
  });
});

describe('an interval', () => {
  it('counts from 1970, so that it does not matter when it was made', () => {
    expect(after({ everyMs: 15 * 60_000 }, '2025-01-01T10:07:00Z', 2)).toEqual([
      '2025-01-01T10:15:00Z',
      '2025-01-01T10:30:00Z',
    ]);
    expect(after({ everyMs: 60_000 }, '2025-01-01T10:07:00Z', 1)).toEqual(['2025-01-01T10:08:00Z']);
  });
});

const field = (min: number, max: number): fc.Arbitrary<string> => {
  const value = fc.integer({ min, max });
  return fc.oneof(
    fc.constant('*'),
    value.map(String),
    fc.integer({ min: 1, max: max - min }).map((step) => `*/${step}`),
    fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    fc.tuple(value, value).map(([a, b]) => `${a},${b}`),
  );
};
const anyCadence: fc.Arbitrary<Cadence> = fc.oneof(
  fc.integer({ min: 1_000, max: 90 * 24 * 3_600_000 }).map((everyMs) => ({ everyMs })),
  fc.record({
    cron: fc
      .tuple(
        field(0, 59),
        field(0, 23),
        fc.constantFrom('*', '1', '15', '28'),
        fc.constantFrom('*', '*', '3', '10'),
        fc.constantFrom('*', '*', '0', '1-5'),
      )
      .map((parts) => parts.join(' ')),
    timeZone: fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/Sao_Paulo',
      'Australia/Lord_Howe',
      'America/St_Johns',
      'Africa/Casablanca',
    ),
  }),
);

describe('the ticks of any rule', () => {
  it('go forward, and are the same from wherever they are asked for and in whichever direction', () => {
    const from = fc.integer({ min: Date.UTC(2010, 0), max: Date.UTC(2030, 0) });
    fc.assert(
      fc.property(anyCadence, from, fc.integer({ min: 1, max: 12 }), (cadence, start, count) => {
        const ticks = ticksOf(cadence);
        const found: number[] = [];
        let at: number | null = start;
        while (found.length < 12 && (at = ticks.next(at)) !== null) found.push(at);
        const [first = 0] = found;
        const last = found.at(-1) ?? 0;
        expect(found.every((tick, i) => tick > (found[i - 1] ?? start))).toBe(true);
        expect(ticks.next(start + Math.floor((first - start) / 2))).toBe(first);
        expect(ticks.latest(count, start, last)).toEqual(found.slice(-count));
        expect(ticks.latest(count, start, last - 1)).toEqual(found.slice(0, -1).slice(-count));
        expect(ticks.latest(count, last, last)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('can be asked for from the end of a long time', () => {
    const week = { cron: '* * * * * *', timeZone: 'Europe/Berlin' };
    const to = Date.parse('2025-03-31T00:00:00Z');
    const latest = ticksOf(week).latest(3, to - 7 * 24 * 3_600_000, to);
    expect(latest.map((at) => to - at)).toEqual([2_000, 1_000, 0]);
  });
});
