/**
 * The counters of runs and tasks, as differences that are gathered over a group commit and written with it: a claim of
 * a hundred tasks moves two rows and not two hundred.
 */
import type { SqliteDatabase, SqliteStatement } from './driver.js';
import { prepare } from './driver.js';

/** Runs have the most states. */
const statesMax = 6;

interface Delta {
  readonly tenant: string;
  readonly kind: number;
  readonly name: string;
  /** Differences by state. */
  readonly by: number[];
}

export class Tally {
  readonly #upsert: SqliteStatement;
  #deltas = new Map<string, Delta>();
  /** The one that was moved last: the next is likely to be of the same name. */
  #last: Delta | null = null;

  constructor(database: SqliteDatabase) {
    this.#upsert = prepare(
      database,
      `INSERT INTO tally (tenant, kind, name, state, count) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant, kind, name, state) DO UPDATE SET count = count + excluded.count`,
    );
  }

  add(tenant: string, kind: number, name: string, state: number, by: number): void {
    const delta = this.#of(tenant, kind, name);
    delta.by[state] = (delta.by[state] ?? 0) + by;
  }

  #of(tenant: string, kind: number, name: string): Delta {
    const last = this.#last;
    if (last !== null && last.kind === kind && last.name === name && last.tenant === tenant) return last;
    const key = `${kind}${tenant}\0${name}`;
    let found = this.#deltas.get(key);
    if (found === undefined) {
      found = { tenant, kind, name, by: new Array<number>(statesMax).fill(0) };
      this.#deltas.set(key, found);
    }
    this.#last = found;
    return found;
  }

  /** Writes what was gathered. */
  flush(): void {
    for (const { tenant, kind, name, by } of this.#deltas.values())
      by.forEach((count, state) => {
        if (count !== 0) this.#upsert.run(tenant, kind, name, state, count);
      });
    this.clear();
  }

  /** What is gathered now, to come back to. */
  save(): () => void {
    const saved = new Map([...this.#deltas].map(([key, delta]) => [key, { ...delta, by: [...delta.by] }]));
    return () => {
      this.#deltas = saved;
      this.#last = null;
    };
  }

  clear(): void {
    this.#deltas.clear();
    this.#last = null;
  }
}
