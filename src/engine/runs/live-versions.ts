/**
 * Which versions of which workflows unfinished runs have. Asked for seldom (a deployment, the doctor), so that no index
 * is kept for it: the lists of runs are walked from the newest on until all that the counters promise were found.
 */
import { limits } from '../../core/limits.js';
import type { Store } from '../../store/contract.js';

/** Unfinished runs of one version. */
export interface LiveVersion {
  readonly tenant: string;
  readonly workflow: string;
  readonly version: string | null;
  readonly runs: number;
  /** One of them. */
  readonly example: string;
}

export interface LiveVersions {
  readonly versions: readonly LiveVersion[];
  /** False where there were too many runs to look at all of them. */
  readonly complete: boolean;
}

/** Pages of a tenant's runs that are looked at. */
const pagesMax = 200;

/** Counts unfinished runs by version, of these workflows. */
export async function liveVersions(
  store: Pick<Store, 'readTally' | 'listRuns'>,
  isOfInterest: (workflow: string) => boolean,
): Promise<LiveVersions> {
  const expected = new Map<string, number>();
  for (const { tenant, kind, name, state, count } of await store.readTally())
    if (kind === 'run' && (state === 'active' || state === 'waiting') && isOfInterest(name))
      expected.set(tenant, (expected.get(tenant) ?? 0) + count);
  const found = new Map<
    string,
    { tenant: string; workflow: string; version: string | null; runs: number; example: string }
  >();
  let complete = true;
  for (const [tenant, count] of expected) {
    let seen = 0;
    let cursor: string | null = null;
    for (let page = 0; seen < count && (page === 0 || cursor !== null); page++) {
      if (page === pagesMax) {
        complete = false;
        break;
      }
      const { items, next } = await store.listRuns({
        tenant,
        statuses: ['active', 'waiting'],
        limit: limits.pageItemsMax,
        ...(cursor === null ? {} : { cursor }),
      });
      for (const { run, workflow, version } of items) {
        if (!isOfInterest(workflow)) continue;
        seen += 1;
        const key = JSON.stringify([tenant, workflow, version]);
        const group = found.get(key);
        if (group === undefined) found.set(key, { tenant, workflow, version, runs: 1, example: run });
        else group.runs += 1;
      }
      cursor = next;
    }
  }
  return { versions: [...found.values()], complete };
}
