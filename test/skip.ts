/**
 * How a test leaves a suite out: loudly. A suite that cannot run here (no root, no browser, no shared data) calls
 * `skipSuite` with the reason instead of passing silently; the runner (`scripts/test.mjs`) names it at the end.
 * Invariant: whatever did not run is counted as skipped and its reason is printed.
 */
import { describe, it } from 'vitest';

/**
 * Registers a suite that is left out. Call it while tests are collected, in place of `describe`:
 *
 *     if (process.getuid?.() !== 0) skipSuite('needs root for block devices', 'power loss');
 *     else describe('power loss', () => { ... });
 *
 * `reason` is for a reader who wants the suite to run: say what is missing. `name` defaults to "suite" and stands
 * beside the file name in the report. Counts as one skipped test, however many tests the suite would have had.
 */
export function skipSuite(reason: string, name = 'suite'): void {
  describe(name, () => {
    it.skip(`left out: ${reason}`, () => undefined);
  });
  console.warn(`LEFT OUT ${name}: ${reason}`);
}

/** `describe` where `missing` is null, else `skipSuite` with `missing` as the reason. */
export function describeUnless(missing: string | null, name: string, body: () => void): void {
  if (missing === null) describe(name, body);
  else skipSuite(missing, name);
}
