/**
 * The conformance suite of stores: one list of cases, run against every backend. Written against the contract alone,
 * with the assertions of the runtime, so that any test runner can host it.
 */
import type { Clock } from '../../core/ports.js';
import type { Store } from '../../store/index.js';
import { applyCases } from './cases/apply.js';
import { blobCases } from './cases/blobs.js';
import { claimCases } from './cases/claims.js';
import { dedupeCases } from './cases/dedupe.js';
import { eventCases } from './cases/events.js';
import { lifecycleCases } from './cases/lifecycle.js';
import { listCases } from './cases/lists.js';
import { sessionCases } from './cases/sessions.js';
import { tallyCases } from './cases/tally.js';
import { taskCases } from './cases/tasks.js';
import { timerCases } from './cases/timers.js';
import { topicCases } from './cases/topics.js';
import { upkeepCases } from './cases/upkeep.js';
import { valueCases } from './cases/values.js';

/** A clock that stands still until it is told otherwise. */
export interface ManualClock extends Clock {
  advance(ms: number): void;
}

/** A place where a store can be opened, for one case. */
export interface StorePlace {
  /** Opens the store; called again after `close` where the place keeps its contents. */
  open(): Promise<Store>;
  /** Whether a store that is closed and opened again finds what it had. */
  readonly keeps: boolean;
  /** Removes what the place left behind; the store is closed by then. */
  dispose(): Promise<void>;
}

/** What a case works with. */
export interface StoreWorld {
  readonly store: Store;
  readonly clock: ManualClock;
  /** Closes the store and opens it again. */
  readonly reopen: () => Promise<Store>;
}

/** One behaviour that every store has. */
export interface StoreCase {
  readonly concern: string;
  /** States the behaviour. */
  readonly name: string;
  /** Needs a place that keeps its contents; elsewhere the case is skipped. */
  readonly reopens?: boolean;
  readonly run: (world: StoreWorld) => Promise<void>;
}

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
  ...dedupeCases,
  ...taskCases,
  ...claimCases,
  ...sessionCases,
  ...timerCases,
  ...listCases,
  ...tallyCases,
  ...blobCases,
  ...upkeepCases,
  ...lifecycleCases,
  ...valueCases,
];

/** Registers the suite for one backend. Each case gets a place of its own, made by `makePlace` on the given clock. */
export function exerciseStore(
  name: string,
  makePlace: (clock: ManualClock) => Promise<StorePlace>,
  runner: SuiteRunner,
  options: { readonly keeps: boolean },
): void {
  runner.describe(name, () => {
    for (const concern of new Set(storeCases.map((storeCase) => storeCase.concern))) {
      runner.describe(concern, () => {
        for (const storeCase of storeCases.filter((candidate) => candidate.concern === concern)) {
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
  try {
    const reopen = async (): Promise<Store> => {
      await store.close();
      store = await place.open();
      return store;
    };
    await storeCase.run({ store, clock, reopen });
  } finally {
    await store.close();
    await place.dispose();
  }
}

/** A manual clock, standing at an instant of the year 2025. */
export function manualClock(): ManualClock {
  let now = 1_750_000_000_000;
  let monotonic = 0;
  return {
    now: () => now,
    monotonicMs: () => monotonic,
    advance: (ms) => {
      now += ms;
      monotonic += ms;
    },
  };
}
