/** Instants and spans as people read them. */

/** How long ago an instant was: `12s`, `3m`, `5h`, `2d`. */
export function ago(iso: string | null, now: number): string {
  return iso === null ? '-' : span(Math.max(0, now - Date.parse(iso)));
}

/** A span in its largest unit; below ten of it, with one decimal. */
export function span(ms: number): string {
  for (const [unit, size] of units) {
    if (ms >= size) return `${ms / size >= 10 ? Math.floor(ms / size) : Math.floor((ms / size) * 10) / 10}${unit}`;
  }
  return `${Math.floor(ms)}ms`;
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;
