/**
 * What the writer has last written of runs at work: their guards, so that a worker's commit needs no look into the
 * tables. Only the writer changes these rows, so what it remembers is what is there.
 *
 * Invariant: an entry equals the rows inside the transaction at hand; whoever takes writes back clears all of it.
 */

/** What a transition needs to know of a run before it moves it. */
export type RunBefore = readonly [head: number, status: number, workflow: string, startedAt: number];

/** A task that is leased now. */
export interface LeaseSeen {
  readonly task: string;
  readonly token: number;
  readonly queue: string;
}

interface SeenRun {
  before: RunBefore | null;
  /** The task of the run that was leased last; runs with several look up the others. */
  lease: LeaseSeen | null;
}

/** Runs remembered at most; beyond that all are forgotten, and those at work are soon there again. */
const runsMax = 10_000;

export class SeenRuns {
  readonly #runs = new Map<string, SeenRun>();

  before(tenant: string, run: string): RunBefore | null {
    return this.#runs.get(`${tenant}/${run}`)?.before ?? null;
  }

  /** The lease of the task, where it is remembered. Null says nothing about the task. */
  lease(tenant: string, run: string, task: string): LeaseSeen | null {
    const lease = this.#runs.get(`${tenant}/${run}`)?.lease ?? null;
    return lease?.task === task ? lease : null;
  }

  /** The run was written so. */
  wrote(tenant: string, run: string, before: RunBefore): void {
    this.#entry(tenant, run).before = before;
  }

  /** The task was leased, or seen to be. */
  leased(tenant: string, run: string, lease: LeaseSeen): void {
    this.#entry(tenant, run).lease = lease;
  }

  /** The task is not leased any more. */
  unleased(tenant: string, run: string, task: string): void {
    const seen = this.#runs.get(`${tenant}/${run}`);
    if (seen?.lease?.task === task) seen.lease = null;
  }

  clear(): void {
    this.#runs.clear();
  }

  #entry(tenant: string, run: string): SeenRun {
    const key = `${tenant}/${run}`;
    const found = this.#runs.get(key);
    if (found !== undefined) return found;
    if (this.#runs.size >= runsMax) this.#runs.clear();
    const seen: SeenRun = { before: null, lease: null };
    this.#runs.set(key, seen);
    return seen;
  }
}
