/**
 * The clocks of publishers. An event may carry the stamp of the hybrid logical clock of whoever made it (`hlc`, as our own
 * envelopes have it); ours then goes past it, so that the event, and all that follows from it, sorts after its causes even
 * where the publisher's clock is ahead. A stamp that is too far ahead is not believed: one wrong clock would take all
 * others along.
 */
import { limits } from '../../core/limits.js';
import type { EngineContext } from '../context.js';
import type { PublishRequest } from '../api.js';

const stamp = /^[0-9a-f]{16}$/;

/** Takes in the publisher's stamp before the event is given its own. */
export function observePublisher(
  { envelopes }: EngineContext,
  { attributes }: Pick<PublishRequest, 'attributes'>,
  at: number,
): void {
  const hlc = attributes?.['hlc'];
  if (typeof hlc !== 'string' || !stamp.test(hlc)) return;
  if (Number.parseInt(hlc.slice(0, 12), 16) > at + limits.hlcAheadMsMax) return;
  envelopes.observe(hlc);
}
