/**
 * The counters of runs and tasks, as differences that are gathered over a group commit and written with it: a claim of
 * a hundred tasks moves two rows and not two hundred.
 */
import type { SqliteDatabase, SqliteStatement } from './driver.js';
import { prepare } from './driver.js';

interface Delta {
  readonly tenant: string;
  readonly kind: number;
  readonly name: string;
  readonly state: number;
  by: number;
}

export class Tally {
  readonly #upsert: SqliteStatement;
  #deltas = new Map<string, Delta>();

  constructor(database: SqliteDatabase) {
    this.#upsert = prepare(
      database,
      `INSERT INTO tally (tenant, kind, name, state, count) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant, kind, name, state) DO UPDATE SET count = count + excluded.count`,
    );
  }

  add(tenant: string, kind: number, name: string, state: number, by: number): void {
    const key = `${kind}${state}${tenant}\0${name}`;
    const found = this.#deltas.get(key);
    if (found === undefined) this.#deltas.set(key, { tenant, kind, name, state, by });
    else found.by += by;
  }

  /** Writes what was gathered. */
  flush(): void {
    for (const { tenant, kind, name, state, by } of this.#deltas.values())
      if (by !== 0) this.#upsert.run(tenant, kind, name, state, by);
    this.#deltas.clear();
  }

  /** What is gathered now, to come back to. */
  save(): () => void {
    const saved = new Map([...this.#deltas].map(([key, delta]) => [key, { ...delta }]));
    return () => {
      this.#deltas = saved;
    };
  }

  clear(): void {
    this.#deltas.clear();
  }
}
