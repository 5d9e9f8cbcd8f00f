/**
 * Duties that one node at a time sees to: a row each, with an end on the database's clock, given up at closing. An end
 * that is further away than any that could be asked for was written before the clock went back: it counts for nothing, or
 * nobody would have the duty until the clock is there again.
 */
import type { Database } from './database.js';
import { dutyTtlFactor } from '../../store/index.js';
import { nowSql, type SqlClock } from './reads.js';

export class Duties {
  readonly #database: Database;
  readonly #s: string;
  readonly #clock: SqlClock;
  readonly #epoch: number;
  #isHolding = false;

  constructor(database: Database, schema: string, clock: SqlClock, epoch: number) {
    this.#database = database;
    this.#s = schema;
    this.#clock = clock;
    this.#epoch = epoch;
  }

  /** Takes the duty or keeps it. False = another has it. */
  async hold(duty: string, ttlMs: number): Promise<boolean> {
    const [rows] = await this.#database.once([
      {
        text: `INSERT INTO ${this.#s}.duty AS d (duty, owner, until) VALUES ($2, $3::bigint, ${nowSql(1)} + $4::bigint)
          ON CONFLICT (duty) DO UPDATE SET owner = excluded.owner, until = excluded.until
          WHERE d.owner = excluded.owner OR d.until <= ${nowSql(1)}
            OR d.until > ${nowSql(1)} + ${dutyTtlFactor} * $4::bigint RETURNING duty`,
        values: [this.#clock.now(), duty, this.#epoch, ttlMs],
      },
    ]);
    const held = rows?.length === 1;
    this.#isHolding ||= held;
    return held;
  }

  /** Gives up what is held, so that others need not wait. */
  async giveUp(): Promise<void> {
    if (!this.#isHolding) return;
    const statement = { text: `DELETE FROM ${this.#s}.duty WHERE owner = $1::bigint`, values: [this.#epoch] };
    // If nobody is told, the duties end by themselves.
    await this.#database.once([statement]).catch(() => undefined);
  }
}
