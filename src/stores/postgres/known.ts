/**
 * What this node believes to be in the tables: runs that it wrote and leases that it took. A batch that speaks of nothing
 * else needs no look before it is decided; it says what it believed in the round trip that writes, and the whole is
 * undone where one row is otherwise.
 *
 * Invariant: nothing follows from a belief that its transaction has not found true under row locks.
 */
import { type LeaseKey, leasesOf, runStatuses, type TaskRow, type Transition } from '../../store/index.js';
import type { WriteRequest } from './requests.js';
import { keyOf, type RunBefore, type Workbench } from './workbench.js';

/** Runs, and leases, that are remembered. The one that was touched longest ago goes first. */
const knownMax = 50_000;

/** A run with what is believed of it. */
export interface KnownRun extends RunBefore {
  readonly tenant: string;
  readonly run: string;
}

/** The rows that a batch rests on. */
export interface Beliefs {
  readonly runs: ReadonlyMap<string, KnownRun>;
  /** Leased, every one. */
  readonly tasks: ReadonlyMap<string, TaskRow>;
}

export class KnownRows {
  readonly #runs = new Map<string, KnownRun>();
  readonly #leases = new Map<string, TaskRow>();

  /**
   * What the requests rest on, if all of it is known; rows that are to be added are believed to be absent. Null = they
   * speak of a row that is not known, so that somebody has to look.
   */
  beliefsOf(requests: readonly WriteRequest[]): Beliefs | null {
    const runs = new Map<string, KnownRun>();
    const tasks = new Map<string, TaskRow>();
    const isLease = (tenant: string, run: string, task: string): boolean => {
      const key = keyOf(tenant, run, task);
      const known = this.#leases.get(key);
      if (known !== undefined) tasks.set(key, known);
      return known !== undefined;
    };
    const isKnown = (t: Transition): boolean => {
      const { tenant } = t;
      const born = new Set<string>();
      for (const { expected, row } of t.runs ?? []) {
        if (expected === 0) {
          born.add(row.run);
          continue;
        }
        const key = keyOf(tenant, row.run);
        const known = this.#runs.get(key);
        if (known?.head !== expected) return false;
        runs.set(key, known);
      }
      for (const { run, task } of leasesOf(t)) if (!isLease(tenant, run, task)) return false;
      if (t.schedules !== undefined) return false;
      if (t.entries?.some(({ expected }) => expected !== undefined) === true) return false;
      if (t.unleased !== undefined || (t.blobs?.length ?? 0) > 0) return false;
      for (const write of t.tasks ?? []) {
        // One that is there already makes the addition fail; one that only may be there has to be looked for.
        const isNew = write.op === 'open' && (born.has(write.run) || runs.has(keyOf(tenant, write.run)));
        const task = write.op === 'close' ? write.task : write.task.task;
        if (!isNew && !isLease(tenant, write.run, task)) return false;
      }
      for (const write of t.deadLetters ?? []) if (write.op !== 'add') return false;
      for (const list of [t.events ?? [], t.publishes ?? []])
        for (const { payload } of list) if (payload !== null && 'blob' in payload) return false;
      return true;
    };
    for (const request of requests) {
      if (request.op === 'release') {
        if (!request.leases.every(({ tenant, run, task }) => isLease(tenant, run, task))) return null;
      } else if (request.op === 'apply') {
        for (const { transition, unstorable, outbox } of request.items)
          if (outbox !== undefined || (unstorable === null && !isKnown(transition))) return null;
      }
    }
    return { runs, tasks };
  }

  /** How a batch leaves its rows is how they are, as far as this node knows. */
  learn(bench: Workbench): void {
    for (const [key, { head, status, workflow, era, tenant, run }] of bench.runs) {
      this.#runs.delete(key);
      if (head > 0 && !isOver(status)) this.#runs.set(key, { tenant, run, head, status, workflow, era });
    }
    for (const [key, { now }] of bench.tasks) {
      this.#leases.delete(key);
      if (now?.state === 'leased') this.#leases.set(key, now);
    }
    trim(this.#runs);
    trim(this.#leases);
  }

  /** Tasks that a batch, which was committed, has leased, with their runs as it found them. */
  learnClaims(bench: Workbench, claimed: readonly TaskRow[]): void {
    for (const task of claimed) {
      const { tenant, run } = task;
      this.#leases.set(keyOf(tenant, run, task.task), task);
      const key = keyOf(tenant, run);
      const found = bench.runs.get(key);
      // What was sent behind the claim may have moved the run on: that is newer.
      if (found === undefined || this.#runs.has(key) || isOver(found.status)) continue;
      const { head, status, workflow, era } = found;
      this.#runs.set(key, { tenant, run, head, status, workflow, era });
    }
    trim(this.#runs);
    trim(this.#leases);
  }

  /** What these requests speak of may be otherwise. */
  forget(requests: readonly WriteRequest[]): void {
    const forgetLease = ({ tenant, run, task }: Omit<LeaseKey, 'token'>): void => {
      this.#leases.delete(keyOf(tenant, run, task));
    };
    for (const request of requests) {
      if (request.op === 'release') request.leases.forEach(forgetLease);
      if (request.op !== 'apply') continue;
      for (const { transition: t } of request.items) {
        for (const { row } of t.runs ?? []) this.#runs.delete(keyOf(t.tenant, row.run));
        leasesOf(t).forEach(forgetLease);
        for (const write of t.tasks ?? [])
          forgetLease({ tenant: t.tenant, run: write.run, task: write.op === 'close' ? write.task : write.task.task });
      }
    }
  }
}

function isOver(status: number): boolean {
  const name = runStatuses[status];
  return name !== 'active' && name !== 'waiting';
}

function trim(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= knownMax) return;
    map.delete(key);
  }
}
