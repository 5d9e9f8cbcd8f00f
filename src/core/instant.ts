/** Instants on the wire: ISO 8601 UTC with milliseconds. Converting a given instant reads no clock. */
export function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** The last instant that a date can show (ECMA-262, Time Values and Time Range): beyond it `isoOf` throws. Epoch ms. */
export const instantMsMax = 8.64e15;

/** The instant that a text (ISO 8601), a `Date` or a number (epoch ms) stands for; null = none. Reads no clock. */
export function instantOf(value: unknown): number | null {
  const date = value instanceof Date || typeof value === 'string' ? new Date(value) : null;
  const ms = date === null ? value : date.getTime();
  return typeof ms === 'number' && Number.isInteger(ms) && ms >= 0 && ms <= instantMsMax ? ms : null;
}
