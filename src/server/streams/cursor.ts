/**
 * Cursors into the events of a run, as given to clients: opaque, and bound to tenant and run by a checksum, so that a
 * cursor of one run sent to another is refused instead of skipping events. The checksum guards against mistakes; it is
 * no secret and need not be one, since a cursor gives access to nothing.
 */
import { SpineError } from '../../core/errors.js';

const pattern = /^([0-9a-z]{1,9})-([0-9a-z]{1,7})$/;

/** The cursor after event `seq` of a run. */
export function cursorOf(tenant: string, run: string, seq: number): string {
  return `${seq.toString(36)}-${checksum(tenant, run, seq)}`;
}

/** The `seq` that a cursor stands for. @throws CURSOR_INVALID */
export function seqOfCursor(tenant: string, run: string, cursor: string): number {
  const match = pattern.exec(cursor);
  const seq = Number.parseInt(match?.[1] ?? '', 36);
  if (match === null || !Number.isSafeInteger(seq) || match[2] !== checksum(tenant, run, seq)) {
    throw new SpineError('CURSOR_INVALID', {});
  }
  return seq;
}

/** FNV-1a, 32 bits, over the three parts. */
export function checksum(tenant: string, run: string, seq: number | string): string {
  let hash = 0x811c9dc5;
  const text = `${tenant}\n${run}\n${seq}`;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(36);
}
