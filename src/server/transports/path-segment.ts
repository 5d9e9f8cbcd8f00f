/** A segment of a path, as the routes hand it on and as it is meant. */

/** The decoded segment; null where it is not UTF-8 in percent encoding. */
export function decodeSegment(raw: string): string | null {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    return null;
  }
}
