/** What a case of the suite is, and what it works with. */
import type { Store } from '../../store/index.js';
import type { ManualClock } from './manual-clock.js';

/** A place where a store can be opened, for one case. */
export interface StorePlace {
  /** Opens the store; called again after `close` where the place keeps its contents, and beside where it is shared. */
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
  /** Opens the same store once more beside the first, as another server would; the suite closes it. */
  readonly beside: () => Promise<Store>;
}

/** One behaviour that every store has. */
export interface StoreCase {
  readonly concern: string;
  /** States the behaviour. */
  readonly name: string;
  /** Needs a place that keeps its contents; elsewhere the case is skipped. */
  readonly reopens?: boolean;
  /** Speaks of stores that several servers may have open; of others it says nothing. */
  readonly neighbours?: boolean;
  readonly run: (world: StoreWorld) => Promise<void>;
}
