/**
 * Whether a commit ends an assignment: decided from the committed events alone, without a look at the store.
 *
 * Invariant: an event up to the head at the claim led to the lease and never ends it.
 */
import type { RunEvent } from '../../core/run/events.js';
import { isEnded, type RunState } from '../../core/run/state.js';
import type { AbortReason } from '../../protocol/worker.js';
import type { CommittedChange } from '../runs/committed.js';
import type { Held } from './session.js';

/** Why and by which event an assignment is over after this commit; null = it goes on. */
export function endOf(
  change: CommittedChange,
  held: Held,
): { readonly reason: AbortReason; readonly seq: number } | null {
  const { state, events } = change;
  for (const event of events) {
    // The answer to a claim may overtake that to the commit which made the task ready.
    if (event.seq <= held.claimHead) continue;
    const reason = endReason(state, event, held);
    if (reason !== null) return { reason, seq: event.seq };
  }
  return isEnded(state.status) ? { reason: 'ended', seq: Number.MAX_SAFE_INTEGER } : null;
}

function endReason(state: RunState, event: RunEvent, held: Held): AbortReason | null {
  switch (event.type) {
    case 'run.succeeded':
    case 'run.failed':
    case 'run.cancelled':
    case 'run.refused':
    case 'run.continued':
      return 'ended';
    case 'run.parked':
      return held.kind === 'activation' ? 'ended' : null;
    case 'activation.retrying':
    case 'run.migrated':
      return held.kind === 'activation' ? 'lease_lost' : null;
    case 'run.cancel_requested':
      return held.kind === 'call' ? 'cancelled' : null;
    case 'call.completed':
    case 'call.failed':
    case 'call.retrying':
      return held.kind === 'call' && state.callPaths.get(held.lease.task) === event.data.path ? 'ended' : null;
    default:
      return null;
  }
}
