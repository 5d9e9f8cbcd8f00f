/**
 * What the writer knows of runs that are leased: their guards, so that a worker's commit needs no look into the tables.
 * Only the writer changes these rows, so what it remembers is what is there. A run enters with its lease and leaves with
 * its end, so there are about as many entries as there is work under way.
 *
 * Invariant: an entry equals the rows inside the transaction at hand; whoever takes writes back clears all of it.
 */
import type { RunColumns } from './wire.js';

/** What a transition needs to know of a run before it moves it. */
export type RunBefore = readonly [head: number, status: number, workflow: string, startedAt: number];

/** A task that is leased now. */
export interface LeaseSeen {
  readonly task: string;
  readonly token: number;
  readonly queue: string;
}

interface SeenRun {
  readonly tenant: string;
  before: RunBefore;
  /** The row as it was last written; null = not since the run was leased. */
  columns: RunColumns | null;
  /** The task of the run that was leased last; runs with several look up the others. */
  lease: LeaseSeen | null;
}

/** Runs remembered at most; beyond that all are forgotten, and those at work are soon there again. */
const runsMax = 10_000;
const firstFinalStatus = 2;

export class SeenRuns {
  /** By run alone: ids of two tenants hardly ever meet, and where they do, one of them is looked up. */
  readonly #runs = new Map<string, SeenRun>();

  before(tenant: string, run: string): RunBefore | null {
    return this.#find(tenant, run)?.before ?? null;
  }

  /** The row as it was last written, where that is remembered. */
  columns(tenant: string, run: string): RunColumns | null {
    return this.#find(tenant, run)?.columns ?? null;
  }

  /** The lease of the task, where it is remembered. Null says nothing about the task. */
  lease(tenant: string, run: string, task: string): LeaseSeen | null {
    const lease = this.#find(tenant, run)?.lease ?? null;
    return lease?.task === task ? lease : null;
  }

  /** The run was written so. */
  wrote(tenant: string, columns: RunColumns): void {
    const [run, workflow, status, head, , startedAt] = columns;
    const seen = this.#find(tenant, run);
    if (seen === null) return;
    seen.before = [head, status, workflow, startedAt];
    seen.columns = columns;
  }

  /** The task was leased, or seen to be, and its run is as told. */
  leased(tenant: string, run: string, before: RunBefore, lease: LeaseSeen): void {
    const seen = this.#find(tenant, run);
    if (seen !== null) {
      seen.lease = lease;
      return;
    }
    if (this.#runs.size >= runsMax) this.#runs.clear();
    this.#runs.set(run, { tenant, before, columns: null, lease });
  }

  /** The task is not leased any more. */
  unleased(tenant: string, run: string, task: string): void {
    const seen = this.#find(tenant, run);
    if (seen?.lease?.task !== task) return;
    seen.lease = null;
    if (seen.before[1] >= firstFinalStatus) this.#runs.delete(run);
  }

  clear(): void {
    this.#runs.clear();
  }

  #find(tenant: string, run: string): SeenRun | null {
    const seen = this.#runs.get(run);
    return seen?.tenant === tenant ? seen : null;
  }
}
