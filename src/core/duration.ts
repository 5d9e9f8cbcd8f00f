/**
 * Durations as people write them: `"30s"`, `"1h30m"`, `"2d"`, or a number of milliseconds. Everything inside works with
 * milliseconds; this is where the two meet.
 */
import { clientError } from './client-errors.js';
import { shown } from './shown.js';

/** Milliseconds, seconds, minutes, hours, days (24 h) and weeks. */
export type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd' | 'w';
type Part = `${number}${DurationUnit}`;

/** A number of milliseconds, or up to three amounts with units, the largest first: `"500ms"`, `"1.5h"`, `"1d12h"`. */
export type Duration = number | Part | `${Part}${Part}` | `${Part}${Part}${Part}`;

const unitMs: Readonly<Record<DurationUnit, number>> = {
  w: 7 * 24 * 60 * 60_000,
  d: 24 * 60 * 60_000,
  h: 60 * 60_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
};

/** The longest duration, a hundred years: sums with an instant stay exact integers and valid dates. */
export const durationMsMax = 36_525 * unitMs.d;

const whole = /^(?:(?:\d+(?:\.\d+)?)(?:ms|s|m|h|d|w))+$/;
const part = /(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g;

/** A duration in ms, rounded up to a whole one. Fails with DURATION_INVALID. */
export function parseDuration(value: Duration): number {
  const ms = durationMs(value);
  if (ms === null) throw clientError('DURATION_INVALID', { value: shown(value) });
  return ms;
}

/** Like `parseDuration`, for callers that collect faults: null = not a duration. */
export function durationMs(value: unknown): number | null {
  const ms = typeof value === 'number' ? value : typeof value === 'string' ? sum(value) : null;
  if (ms === null || !(ms >= 0 && ms <= durationMsMax)) return null;
  return Math.ceil(ms);
}

function sum(text: string): number | null {
  if (text.length > 64 || !whole.test(text)) return null;
  let total = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (const [, amount, unit] of text.matchAll(part)) {
    const size = unitMs[unit as DurationUnit];
    // Each unit once, the largest first: "5m5m" and "5s1h" are slips of the pen.
    if (size >= smallest) return null;
    smallest = size;
    total += Number(amount) * size;
  }
  return total;
}
