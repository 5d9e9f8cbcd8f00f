/**
 * The conformance suite of stores: one list of cases, run against every backend. Written against the contract alone,
 * with the assertions of the runtime, so that any test runner can host it.
 */
import type { Store } from '../../store/index.js';
import { applyCases } from './cases/apply.js';
import { blobCases } from './cases/blobs.js';
import { claimCases } from './cases/claims.js';
import { dedupeCases } from './cases/dedupe.js';
import { entryCases } from './cases/entries.js';
import { eventCases } from './cases/events.js';
import { lifecycleCases } from './cases/lifecycle.js';
import { neighbourCases } from './cases/neighbours.js';
import { listCases } from './cases/lists.js';
import { scheduleCases } from './cases/schedules.js';
import { sessionCases } from './cases/sessions.js';
import { tallyCases } from './cases/tally.js';
import { taskCases } from './cases/tasks.js';
import { timerCases } from './cases/timers.js';
import { topicCases } from './cases/topics.js';
import { trimCases } from './cases/trims.js';
import { upkeepCases } from './cases/upkeep.js';
import { valueCases } from './cases/values.js';
import { manualClock, type ManualClock } from './manual-clock.js';
import type { StoreCase, StorePlace } from './store-case.js';

/** What the suite needs of a test runner; vitest, jest and node:test all fit. */
export interface SuiteRunner {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: ((name: string, body: () => Promise<void>) => unknown) & {
    readonly skip: (name: string, body: () => Promise<void>) => unknown;
  };
}

/** Every case, by concern. */
export const storeCases: readonly StoreCase[] = [
  ...applyCases,
  ...eventCases,
  ...topicCases,
  ...trimCases,
  ...dedupeCases,
  ...taskCases,
  ...claimCases,
  ...sessionCases,
  ...timerCases,
  ...entryCases,
  ...scheduleCases,
  ...listCases,
  ...tallyCases,
  ...blobCases,
  ...upkeepCases,
  ...lifecycleCases,
  ...neighbourCases,
  ...valueCases,
];

/** Registers the suite for one backend. Each case gets a place of its own, made by `makePlace` on the given clock. */
export function exerciseStore(
  name: string,
  makePlace: (clock: ManualClock) => Promise<StorePlace>,
  runner: SuiteRunner,
  options: { readonly keeps: boolean; readonly shared: boolean },
): void {
  // A store with one owner has no neighbours: of it these cases say nothing.
  const cases = storeCases.filter(({ neighbours }) => neighbours !== true || options.shared);
  runner.describe(name, () => {
    for (const concern of new Set(cases.map((storeCase) => storeCase.concern))) {
      runner.describe(concern, () => {
        for (const storeCase of cases.filter((candidate) => candidate.concern === concern)) {
          if (storeCase.reopens === true && !options.keeps)
            runner.it.skip(`${storeCase.name} (skipped: nothing outlives this store)`, async () => undefined);
          else runner.it(storeCase.name, async () => runCase(storeCase, makePlace));
        }
      });
    }
  });
}

async function runCase(storeCase: StoreCase, makePlace: (clock: ManualClock) => Promise<StorePlace>): Promise<void> {
  const clock = manualClock();
  const place = await makePlace(clock);
  let store = await place.open();
  const others: Store[] = [];
  try {
    const reopen = async (): Promise<Store> => {
      await store.close();
      store = await place.open();
      return store;
    };
    const beside = async (): Promise<Store> => {
      const other = await place.open();
      others.push(other);
      return other;
    };
    await storeCase.run({ store, clock, reopen, beside });
  } finally {
    await Promise.all(others.map((other) => other.close()));
    await store.close();
    await place.dispose();
  }
}
