/**
 * Retention: what has outlived its time is deleted oldest first, bounded per kind, each kind in a transaction of its own
 * in the one order of locks. Weeks of events whose runs are all gone are dropped as tables.
 */
import { idleBlobKeptMs, type ExpireCounts } from '../../store/index.js';
import { texts } from './arrays.js';
import type { Database } from './database.js';
import { eraOf, partitionsSql } from './eras.js';
import { migrationLock } from './migrate.js';
import { nowSql, type SqlClock } from './reads.js';
import { int, intOrNull, text } from './rows.js';
import { tallySlots } from './writer.js';

/** Marks of commits without events are only asked for right after a broken connection. */
const bareCommitKeptMs = 60 * 60_000;
/** Marks of commits whose events are gone may go after this. */
const emptyCommitKeptMs = 24 * 60 * 60_000;
/** Marks are small, and there is one for each commit: so many for each of the caller's limit. */
const marksEach = 25;
/** Marks and counters are walked through this often where there is always something else to delete. */
const walkEveryMs = 5_000;
/** Counters looked at for each of the caller's limit. */
const talliesEach = 10;
/** Runs that are moved aside at a time so that their week can be dropped. */
const asideRunsMax = 200;
/** Weeks are looked at this often by each node, and dropped this long after their end at the earliest. */
const turnEveryMs = 60 * 60_000;
const weekKeptMs = 14 * 24 * 60 * 60_000;

export interface TurnOptions {
  readonly now: number;
  readonly keptMs: number;
  readonly topics: 'keep' | 'drop';
}

/** Tenant, kind, name, state and slot. */
type TallyKey = readonly [string, number, string, number, number];
/** Before all of them. */
const firstTally: TallyKey = ['', 0, '', 0, 0];

export class Upkeep {
  readonly #database: Database;
  readonly #s: string;
  readonly #clock: SqlClock;
  readonly #slot: number;
  #preparedEra = 0;
  #lastTurnMs = -Infinity;
  #lastWalkMs = -Infinity;
  /** Up to where the commits were looked through for such as have no events any more. */
  #emptyAfter = 0;
  /** Up to where the counters were looked through for such as can be put together. */
  #tallyAfter: TallyKey = firstTally;

  constructor(database: Database, schema: string, clock: SqlClock, slot: number) {
    this.#database = database;
    this.#s = schema;
    this.#clock = clock;
    // Not the slot of the writer of the same node: the two would wait for each other, each with rows the other wants.
    this.#slot = (slot + tallySlots / 2) % tallySlots;
  }

  async expire(limit: number): Promise<ExpireCounts> {
    const runs = await this.#expireRuns(limit);
    const dedupe = await this.#expireDedupe(limit);
    const blobs = await this.#expireBlobs(limit);
    await this.#walk(limit, runs < limit && dedupe < limit && blobs < limit);
    await this.#turnNowAndThen();
    return { runs, dedupe, blobs };
  }

  /** What costs as much where there is nothing to do: not with every bite of a caller that has much to delete. */
  async #walk(limit: number, isLastBite: boolean): Promise<void> {
    if (!isLastBite && performance.now() - this.#lastWalkMs < walkEveryMs) return;
    this.#lastWalkMs = performance.now();
    await this.#expireMarks(limit * marksEach);
    await this.#expireEmpty(limit * marksEach);
    await this.#foldTallies(limit * talliesEach);
  }

  /** One statement: who redrives a run at this moment holds its row, and it is passed over. */
  async #expireRuns(limit: number): Promise<number> {
    const s = this.#s;
    const [rows] = await this.#database.once([
      {
        text: `WITH past AS MATERIALIZED (
            SELECT tenant, run, era, workflow, status FROM ${s}.run
            WHERE expires_at IS NOT NULL AND status >= 2 AND expires_at <= ${nowSql(1)}
            ORDER BY expires_at, tenant, run LIMIT $2::bigint FOR UPDATE SKIP LOCKED),
          tasks AS (DELETE FROM ${s}.task t USING past p WHERE t.tenant = p.tenant AND t.run = p.run
            RETURNING t.tenant, t.queue, t.state),
          timers AS (DELETE FROM ${s}.timer m USING past p WHERE m.tenant = p.tenant AND m.run = p.run),
          entries AS (DELETE FROM ${s}.entry n USING past p
            WHERE n.tenant = p.tenant AND n.run = p.run AND n.run <> ''),
          letters AS (DELETE FROM ${s}.dead_letter l USING past p WHERE l.tenant = p.tenant AND l.run = p.run),
          events AS (DELETE FROM ${s}.event e USING past p
            WHERE e.tenant = p.tenant AND e.stream = p.run AND e.era = p.era
            RETURNING e.tenant, e.blob, e.payload_kind),
          released AS (
            UPDATE ${s}.blob b SET refs = b.refs - v.refs
            FROM (SELECT tenant, blob, count(*) AS refs FROM events WHERE payload_kind = 2 GROUP BY 1, 2) v
            WHERE b.tenant = v.tenant AND b.hash = v.blob),
          gone AS (DELETE FROM ${s}.run r USING past p WHERE r.tenant = p.tenant AND r.run = p.run),
          counted AS (
            INSERT INTO ${s}.tally AS t (tenant, kind, name, state, slot, count)
            SELECT c.tenant, c.kind, c.name, c.state, $3::smallint, sum(c.by) FROM (
              SELECT tenant, 0::smallint AS kind, workflow AS name, status AS state, -1 AS by FROM past
              UNION ALL SELECT tenant, 1::smallint, queue, state, -1 FROM tasks) c
            GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
            ON CONFLICT (tenant, kind, name, state, slot) DO UPDATE SET count = t.count + excluded.count)
          SELECT count(*) FROM past`,
        values: [this.#clock.now(), limit, this.#slot],
      },
    ]);
    return int(rows?.[0]?.[0]);
  }

  async #expireDedupe(limit: number): Promise<number> {
    const s = this.#s;
    const [rows] = await this.#database.once([
      {
        text: `WITH past AS MATERIALIZED (
            SELECT tenant, scope, key FROM ${s}.dedupe WHERE expires_at <= ${nowSql(1)}
            ORDER BY expires_at, tenant, scope, key LIMIT $2::bigint FOR UPDATE SKIP LOCKED),
          gone AS (DELETE FROM ${s}.dedupe d USING past p
            WHERE d.tenant = p.tenant AND d.scope = p.scope AND d.key = p.key)
          SELECT count(*) FROM past`,
        values: [this.#clock.now(), limit],
      },
    ]);
    return int(rows?.[0]?.[0]);
  }

  async #expireBlobs(limit: number): Promise<number> {
    const s = this.#s;
    const [rows] = await this.#database.once([
      {
        text: `WITH idle AS MATERIALIZED (
            SELECT tenant, hash FROM ${s}.blob WHERE refs = 0 AND created_at < ${nowSql(1)} - ${idleBlobKeptMs}
            ORDER BY created_at, tenant, hash LIMIT $2::bigint FOR UPDATE SKIP LOCKED),
          gone AS (DELETE FROM ${s}.blob b USING idle i WHERE b.tenant = i.tenant AND b.hash = i.hash)
          SELECT count(*) FROM idle`,
        values: [this.#clock.now(), limit],
      },
    ]);
    return int(rows?.[0]?.[0]);
  }

  async #expireMarks(limit: number): Promise<void> {
    const s = this.#s;
    await this.#database.once([
      {
        text: `DELETE FROM ${s}.feed_commit WHERE id IN (
            SELECT id FROM ${s}.feed_commit WHERE events = 0 AND at < ${nowSql(1)} - ${bareCommitKeptMs}
            ORDER BY at LIMIT $2::bigint FOR UPDATE SKIP LOCKED)`,
        values: [this.#clock.now(), limit],
      },
    ]);
  }

  /** Walks through the commits, round and round, a bounded way at each call. */
  async #expireEmpty(limit: number): Promise<void> {
    const s = this.#s;
    const [rows] = await this.#database.once([
      {
        text: `WITH old AS MATERIALIZED (
            SELECT id, first, era_min, era_max FROM ${s}.feed_commit
            WHERE first IS NOT NULL AND first > $2::bigint AND at < ${nowSql(1)} - ${emptyCommitKeptMs}
            ORDER BY first LIMIT $3::bigint),
          gone AS (DELETE FROM ${s}.feed_commit c USING old o WHERE c.id = o.id AND NOT EXISTS (
            SELECT 1 FROM ${s}.event e WHERE e.commit = o.id AND e.era BETWEEN o.era_min AND o.era_max))
          SELECT max(first) FROM old`,
        values: [this.#clock.now(), this.#emptyAfter, limit],
      },
    ]);
    this.#emptyAfter = intOrNull(rows?.[0]?.[0]) ?? 0;
  }

  /**
   * Walks through the counters, round and round. Each node counts in a row of its own, so that each opening would leave rows
   * behind, and each tenant that was ever there some that say zero; who looks for work reads all of them. Rows of one counter
   * become one, and none where nothing is left. Writers are not waited for; what they hold is folded another time.
   */
  async #foldTallies(limit: number): Promise<void> {
    const s = this.#s;
    const key = 'tenant, kind, name, state';
    const page = `page AS MATERIALIZED (
      SELECT ${key}, slot, count FROM ${s}.tally
      WHERE (${key}, slot) > ($1, $2::smallint, $3, $4::smallint, $5::smallint) ORDER BY ${key}, slot LIMIT $6::bigint)`;
    const same =
      't.tenant = p.tenant AND t.kind = p.kind AND t.name = p.name AND t.state = p.state AND t.slot = p.slot';
    const values = [...this.#tallyAfter, limit, this.#slot];
    const [rows] = await this.#database.once([
      {
        text: `WITH ${page},
          loose AS MATERIALIZED (
            SELECT ${key} FROM page GROUP BY ${key} HAVING count(*) > 1 OR bool_or(count = 0)),
          past AS MATERIALIZED (
            SELECT t.tenant, t.kind, t.name, t.state, t.slot, t.count FROM ${s}.tally t JOIN loose USING (${key})
            WHERE t.slot <> $7::smallint ORDER BY ${key}, slot FOR UPDATE OF t SKIP LOCKED),
          gone AS (DELETE FROM ${s}.tally t USING past p WHERE ${same}),
          folded AS (
            INSERT INTO ${s}.tally AS t (${key}, slot, count)
            SELECT ${key}, $7::smallint, sum(count) FROM past GROUP BY ${key} HAVING sum(count) <> 0 ORDER BY ${key}
            ON CONFLICT (${key}, slot) DO UPDATE SET count = t.count + excluded.count)
          SELECT ${key}, slot FROM page ORDER BY tenant DESC, kind DESC, name DESC, state DESC, slot DESC LIMIT 1`,
        values,
      },
      {
        text: `WITH ${page},
          zero AS MATERIALIZED (
            SELECT ${key}, slot FROM ${s}.tally t JOIN page USING (${key}, slot)
            WHERE t.slot = $7::smallint AND t.count = 0 ORDER BY ${key}, slot FOR UPDATE OF t SKIP LOCKED)
          DELETE FROM ${s}.tally t USING zero p WHERE ${same}`,
        values,
      },
    ]);
    const last = rows?.[0];
    this.#tallyAfter =
      last === undefined ? firstTally : [text(last[0]), int(last[1]), text(last[2]), int(last[3]), int(last[4])];
  }

  async #turnNowAndThen(): Promise<void> {
    if (performance.now() - this.#lastTurnMs < turnEveryMs) return;
    this.#lastTurnMs = performance.now();
    const [rows] = await this.#database.read([{ text: `SELECT ${nowSql(1)}`, values: [this.#clock.now()] }]);
    try {
      await this.turnEras({ now: int(rows?.[0]?.[0]), keptMs: weekKeptMs, topics: 'keep' });
    } catch {
      // A role that may not make tables: the default partition takes what comes, until one that may opens the store.
    }
  }

  /**
   * Makes the partitions of coming weeks and drops one that is over and whose runs have ended and expired, save a few
   * that are moved aside first. Needs the right to create tables; without it the default partition takes what comes.
   * Returns the partition that was dropped. `keptMs` = how long a week is kept at the least; `topics` = whether one that
   * has events of topics may go, and they with it.
   */
  async turnEras({ now, keptMs, topics }: TurnOptions): Promise<string | null> {
    if (this.#preparedEra < eraOf(now)) {
      await this.#underLock(
        partitionsSql(this.#s, now)
          .split(';')
          .filter((sql) => sql.trim() !== ''),
      );
      this.#preparedEra = eraOf(now);
    }
    const era = await this.#oldestEra(eraOf(now - keptMs));
    if (era === null) return null;
    const name = `${this.#s}.event_${era}`;
    const [left, published] = await this.#database.read([
      {
        text: `SELECT tenant, run FROM ${this.#s}.run WHERE era = $1::integer LIMIT ${asideRunsMax + 1}`,
        values: [era],
      },
      { text: `SELECT 1 FROM ${name} WHERE strpos(stream, '/') > 0 LIMIT 1`, values: [] },
    ]);
    if (left === undefined || left.length > asideRunsMax) return null;
    if (topics === 'keep' && published?.length !== 0) return null;
    const values = [texts(left.map((row) => text(row[0]))), texts(left.map((row) => text(row[1])))];
    const s = this.#s;
    const keys = 'unnest($1::text[], $2::text[]) AS k (tenant, run)';
    await this.#underLock([
      {
        text: `SELECT 1 FROM ${keys} JOIN ${s}.run r ON r.tenant = k.tenant AND r.run = k.run
        ORDER BY r.tenant, r.run FOR UPDATE OF r`,
        values,
      },
      {
        text: `UPDATE ${s}.event e SET era = 0 FROM ${keys}
        WHERE e.tenant = k.tenant AND e.stream = k.run AND e.era = ${era}`,
        values,
      },
      { text: `UPDATE ${s}.run r SET era = 0 FROM ${keys} WHERE r.tenant = k.tenant AND r.run = k.run`, values },
      {
        text: `UPDATE ${s}.feed_commit c SET era_min = 0 WHERE c.id IN (
          SELECT e.commit FROM ${s}.event e JOIN ${keys} ON e.tenant = k.tenant AND e.stream = k.run AND e.era = 0)`,
        values,
      },
      `ALTER TABLE ${s}.event DETACH PARTITION ${name}`,
      `DROP TABLE ${name}`,
    ]);
    return name;
  }

  async #oldestEra(before: number): Promise<number | null> {
    const [rows] = await this.#database.read([
      {
        text: `SELECT min(substring(c.relname FROM '^event_([0-9]+)$')::integer) FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '${this.#s.replaceAll("'", "''")}.event'::regclass
          AND c.relname ~ '^event_[0-9]+$'`,
        values: [],
      },
    ]);
    const era = rows?.[0]?.[0] ?? null;
    return era === null || Number(era) >= before ? null : Number(era);
  }

  async #underLock(statements: readonly (string | { text: string; values: readonly Buffer[] })[]): Promise<void> {
    await this.#database.once([
      { text: migrationLock(this.#s), values: [] },
      ...statements.map((sql) => (typeof sql === 'string' ? { text: sql, values: [] } : sql)),
    ]);
  }
}
