/** The tool `date_diff`: days between two days of the calendar, counted in UTC so that no clock change counts. */

/** A date that is none. Trying again does not help. */
export class DateInvalid extends Error {
  readonly retryable = false;
  readonly class = 'tool_error';
  readonly code = 'DATE_INVALID';
  override readonly name = 'DateInvalid';
}

/** The time between two days; negative where `to` is the earlier one. */
export interface DateDifference {
  readonly days: number;
  /** In whole weeks and in years of 365.25 days with two decimals. */
  readonly weeks: number;
  readonly years: number;
}

const dayMs = 24 * 60 * 60 * 1_000;

/** Days from one ISO date (`YYYY-MM-DD`) to another. Throws `DateInvalid`. */
export function dateDifference(from: string, to: string): DateDifference {
  const days = (instantOf(to) - instantOf(from)) / dayMs;
  return { days, weeks: Math.trunc(days / 7), years: Math.round((days / 365.25) * 100) / 100 };
}

function instantOf(text: string): number {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  const at = found === null ? Number.NaN : Date.UTC(Number(found[1]), Number(found[2]) - 1, Number(found[3]));
  // 30 February would silently become March: only a date that reads back the same is one.
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== text) {
    throw new DateInvalid(`"${text}" is not a date of the form YYYY-MM-DD.`);
  }
  return at;
}
