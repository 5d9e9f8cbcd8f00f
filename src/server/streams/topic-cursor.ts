/**
 * Cursors into a topic, as given to clients: of each partition that is read the offset of the next event, bound to tenant,
 * topic and partitions by a checksum, so that a cursor of one topic sent to another is refused instead of skipping events.
 */
import { SpineError } from '../../core/errors.js';
import { checksum } from './cursor.js';

const pattern = /^([0-9a-z]{1,11}(?:\.[0-9a-z]{1,11})*)-([0-9a-z]{1,7})$/;

/** The cursor of a reader that wants these offsets next, in the order of `partitions`. */
export function topicCursorOf(
  tenant: string,
  topic: string,
  partitions: readonly number[],
  next: readonly number[],
): string {
  const offsets = next.map((offset) => offset.toString(36)).join('.');
  return `${offsets}-${checksumOf(tenant, topic, partitions, offsets)}`;
}

/**
 * The offsets that a cursor stands for, in the order of `partitions`. A cursor from before a topic had its last partitions
 * speaks of the others only: of those all events are new. @throws CURSOR_INVALID
 */
export function offsetsOfTopicCursor(
  tenant: string,
  topic: string,
  partitions: readonly number[],
  cursor: string,
): number[] {
  const match = pattern.exec(cursor);
  const text = match?.[1] ?? '';
  const offsets = text.split('.').map((offset) => Number.parseInt(offset, 36));
  const isOurs = match?.[2] === checksumOf(tenant, topic, partitions.slice(0, offsets.length), text);
  if (!isOurs || offsets.length > partitions.length || !offsets.every(Number.isSafeInteger))
    throw new SpineError('CURSOR_INVALID', {});
  return partitions.map((_, place) => offsets[place] ?? 0);
}

function checksumOf(tenant: string, topic: string, partitions: readonly number[], offsets: string): string {
  return checksum(tenant, `${topic}\n${partitions.join(',')}`, offsets);
}
