/**
 * What an error of the driver means. Three things can follow: the item is refused, the batch is refused and may be
 * tried again, or the store has failed for ever. What is not known to be harmless is a failure: fsync errors, for one,
 * are reported once and never again, so nothing may be written after them.
 */

/** `item`: this item cannot be stored. `full`, `busy`: nothing of the batch was stored. `fatal`: never touch the file again. */
export type FailureKind = 'item' | 'full' | 'busy' | 'fatal';

/** Primary result codes, https://sqlite.org/rescode.html */
const kinds: Readonly<Record<number, FailureKind>> = {
  1: 'item', // ERROR: the statement is wrong for these values
  5: 'busy', // BUSY: another process holds the write lock
  6: 'busy', // LOCKED
  13: 'full', // FULL
  18: 'item', // TOOBIG
  19: 'item', // CONSTRAINT
  20: 'item', // MISMATCH
  25: 'item', // RANGE
};

/** Classifies what was thrown while an item was applied. */
export function classifyFailure(error: unknown): FailureKind {
  const code = resultCode(error);
  // Without a result code it was thrown by JavaScript or by the binding, and says nothing about the file.
  if (code === null) return 'item';
  return kinds[code & 0xff] ?? 'fatal';
}

function resultCode(error: unknown): number | null {
  const code = typeof error === 'object' && error !== null ? (error as { errcode?: unknown }).errcode : undefined;
  return typeof code === 'number' ? code : null;
}

/** The message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
