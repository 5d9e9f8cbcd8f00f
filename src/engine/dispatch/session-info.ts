/** What a worker has said of itself, as the store keeps it with its session. Older servers have kept less. */
import type { SessionRow } from '../../store/contract.js';
import type { SessionDescription } from './session.js';

/** The description of a stored session, as far as it is known. */
export function sessionInfo({ info }: Pick<SessionRow, 'info'>): Partial<SessionDescription> {
  return JSON.parse(info) as Partial<SessionDescription>;
}
