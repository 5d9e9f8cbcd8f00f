/** How long an endpoint asks to be left alone: `retry-after-ms`, then `retry-after` in seconds or as a date (RFC 9110). */

/** The pause in ms, exactly as told and however long; null = none was told. Names are in lower case. */
export function retryAfterMsOf(headers: Readonly<Record<string, string>>, nowMs: number): number | null {
  const ms = amount(headers['retry-after-ms']);
  if (ms !== null) return Math.ceil(ms);
  const told = headers['retry-after'];
  const seconds = amount(told);
  if (seconds !== null) return Math.ceil(seconds * 1_000);
  const at = told === undefined ? Number.NaN : Date.parse(told);
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs);
}

function amount(text: string | undefined): number | null {
  const value = text === undefined || !/^\s*\d+(\.\d+)?\s*$/.test(text) ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}
