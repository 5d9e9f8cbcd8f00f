/**
 * The data of an event as plain JSON for who only looks into it: fields that are waited for, filters.
 *
 * Invariant: an event that nobody can read holds up none behind it. It has no fields; who is given it says that it is poison.
 */
import { jsonOf } from '../../core/codec.js';
import { hasCode } from '../../core/errors.js';
import type { InlinePayload } from '../../core/payload.js';

/** undefined = it cannot be read. */
export function readableJson(payload: InlinePayload): unknown {
  try {
    return jsonOf(payload);
  } catch (error) {
    if (hasCode(error, 'PAYLOAD_UNREADABLE')) return undefined;
    throw error;
  }
}
