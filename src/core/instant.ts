/** Instants on the wire: ISO 8601 UTC with milliseconds. Converting a given instant reads no clock. */
export function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** The last instant that a date can show (ECMA-262, Time Values and Time Range): beyond it `isoOf` throws. Epoch ms. */
export const instantMsMax = 8.64e15;

/** The instant of an RFC 3339 text, epoch ms; null = it is none. */
export function msOfIso(text: string): number | null {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}
