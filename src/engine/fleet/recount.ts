/**
 * Counts what is unfinished anew, from the runs as they are: what a fold comes to that has seen everything. For a fold
 * that has not, since runs were deleted before it came to them.
 */
import { addCount, addRun, counterOf, type FleetCounts } from '../../core/fleet/counts.js';
import type { FleetSums } from '../../core/fleet/fold.js';
import { foldRun, isEnded, type RunStatus } from '../../core/run/state.js';
import type { RunRow } from '../../core/run/state.js';
import { limits } from '../../core/limits.js';
import type { Store } from '../../store/contract.js';
import { readRunEvent } from '../events/rows.js';

/**
 * The counts at the position of `sums`; those of ended runs are left as they are. Null = something has moved meanwhile, or
 * there are too many runs.
 */
export async function recounted(store: Store, sums: FleetSums): Promise<FleetCounts | null> {
  const counts: FleetCounts = new Map();
  for (const [key, count] of sums.counts) if (isOfEnded(key)) addCount(counts, key, count);
  const tenants = new Set((await store.readTally()).map(({ tenant }) => tenant));
  let runs = 0;
  for (const tenant of tenants) {
    let cursor: string | null = null;
    do {
      const page: { readonly items: readonly RunRow[]; readonly next: string | null } = await store.listRuns({
        tenant,
        statuses: ['active', 'waiting'],
        limit: limits.pageItemsMax,
        ...(cursor === null ? {} : { cursor }),
      });
      runs += page.items.length;
      if (runs > limits.fleetRecountRunsMax) return null;
      for (let i = 0; i < page.items.length; i += historiesAtOnce) {
        const some = page.items.slice(i, i + historiesAtOnce);
        const histories = await store.readHistories(some.map(({ run }) => ({ tenant, run })));
        for (const [at, { run }] of some.entries()) {
          const events = (histories[at] ?? []).map((row) => readRunEvent(row).event);
          if (events.length > 0) addRun(counts, foldRun(tenant, run, events), 1);
        }
      }
      cursor = page.next;
    } while (cursor !== null);
  }
  return (await store.feedHead()) === sums.position ? counts : null;
}

function isOfEnded(key: string): boolean {
  const { kind, state } = counterOf(key);
  return kind === 'run' && isEnded(state as RunStatus);
}

/** Histories may be long. */
const historiesAtOnce = 20;
