/** Instants on the wire: ISO 8601 UTC with milliseconds. Converting a given instant reads no clock. */
export function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** The last instant that a date can show (ECMA-262, Time Values and Time Range): beyond it `isoOf` throws. Epoch ms. */
export const instantMsMax = 8.64e15;
