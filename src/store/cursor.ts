/**
 * Cursors of lists: the key of the last item seen, so that inserts and deletes between two pages neither repeat nor
 * skip anything. Opaque to callers, checked when they come back.
 */
import { SpineError } from '../core/errors.js';

/** Which list a cursor belongs to. */
export type CursorKind = 'runs' | 'dead-letters' | 'schedules';

/** Key of an item in a list ordered by instant and id. */
export interface ListKey {
  readonly at: number;
  readonly id: string;
}

/** Makes the cursor that continues after `key`. */
export function encodeCursor(kind: CursorKind, key: ListKey): string {
  return `${kind}.${key.at.toString(36)}.${key.id}`;
}

/** Reads a cursor back; `undefined` stands for the beginning. Throws CURSOR_INVALID for what we did not make. */
export function decodeCursor(kind: CursorKind, cursor: string | undefined): ListKey | null {
  if (cursor === undefined) return null;
  const match = /^([a-z-]+)\.(-?[0-9a-z]+)\.([^]+)$/.exec(cursor);
  const at = Number.parseInt(match?.[2] ?? '', 36);
  const id = match?.[3];
  if (match?.[1] !== kind || !Number.isSafeInteger(at) || id === undefined) throw new SpineError('CURSOR_INVALID', {});
  return { at, id };
}
