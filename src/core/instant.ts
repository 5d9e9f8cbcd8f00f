/** Instants on the wire: ISO 8601 UTC with milliseconds. Converting a given instant reads no clock. */
export function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
