/**
 * The feed: gives positions to events after their commit, so that a reader who goes by position never passes an event
 * whose commit comes late. A commit leaves a row (`feed_commit`) with the number of its events and a number drawn after
 * all its locks were had; whoever numbers takes the one row of `feed` first and then gives the commits that are there
 * the next positions, in the order of those numbers.
 *
 * Why nothing is skipped: positions are given only under the lock of that row, to what is committed, and the head moves
 * in the same transaction; a commit that comes later gets later positions. Why causes come before effects: who has waited
 * for a row lock of a commit, or was told of it, draws its number after it. The row lock is the fenced lease of the
 * sequencer: it is held for one round trip, and it cannot outlive its holder's connection nor be taken for still held.
 */
import type { EventRow, FeedKeys } from '../../store/index.js';
import type { Database } from './database.js';
import type { Statement } from './pipeline.js';
import { eventColumns, eventRow, int, text } from './rows.js';
import { prefixed } from './sql.js';
import type { Witness } from './witness.js';

/** Commits numbered in one go. */
const commitsMax = 20_000;
/** Numbering follows a commit after this, so that many commits are numbered together; before neighbours are told of it. */
const numberAfterMs = 15;

export class Feed {
  readonly #database: Database;
  readonly #schema: string;
  readonly #own: { readonly first: number; readonly last: number };
  readonly #witness: Witness;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #closed = false;

  /** The commits of this opening are the ids from `first` up to and with `last`. */
  constructor(
    database: Database,
    schema: string,
    own: { readonly first: number; readonly last: number },
    witness: Witness,
  ) {
    this.#database = database;
    this.#schema = schema;
    this.#own = own;
    this.#witness = witness;
  }

  /** Events were committed: they are numbered soon. */
  poke(): void {
    if (this.#timer !== null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      // Who reads numbers what is left; and the next commit tries again.
      this.number().catch(() => undefined);
    }, numberAfterMs);
    this.#timer.unref();
  }

  /** Numbers everything that is committed by now. */
  async number(): Promise<void> {
    // One that is under way may have looked before our commit.
    await this.#running?.catch(() => undefined);
    this.#running ??= this.#numberAll().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #numberAll(): Promise<void> {
    const s = this.#schema;
    for (;;) {
      const [, rows] = await this.#database.once([
        { text: `SELECT head FROM ${s}.feed WHERE id = 1 FOR UPDATE`, values: [] },
        {
          text: `WITH pending AS MATERIALIZED (
              SELECT id, ord, events FROM ${s}.feed_commit WHERE first IS NULL AND events > 0 ORDER BY ord LIMIT $1),
            numbered AS (SELECT id, (sum(events) OVER (ORDER BY ord) - events)::bigint AS before FROM pending),
            given AS (
              INSERT INTO ${s}.feed_commit (id, at, events, era_min, era_max, first)
              SELECT n.id, 0, 0, 0, 0, f.head + 1 + n.before FROM numbered n CROSS JOIN ${s}.feed f WHERE f.id = 1
              ON CONFLICT (id) DO UPDATE SET first = excluded.first),
            moved AS (
              UPDATE ${s}.feed SET head = head + (SELECT sum(events) FROM pending)
              WHERE id = 1 AND EXISTS (SELECT 1 FROM pending) RETURNING head)
            SELECT count(*) FROM pending`,
          values: [commitsMax],
        },
      ]);
      if (int(rows?.[0]?.[0]) < commitsMax) return;
    }
  }

  async head(): Promise<number> {
    const { schema: s } = { schema: this.#schema };
    const [rows] = await this.#numbered([{ text: `SELECT head FROM ${s}.feed WHERE id = 1`, values: [] }]);
    return int(rows?.[0]?.[0]);
  }

  async read(after: number, limit: number): Promise<EventRow[]> {
    if (limit <= 0) return [];
    const [rows] = await this.#numbered([feedPage(this.#schema, eventColumns, after, limit)]);
    return (rows ?? []).map((row) => eventRow(row));
  }

  /** Events of other openings. */
  async keys(after: number, limit: number): Promise<FeedKeys> {
    if (limit <= 0) return { keys: [], upTo: after };
    const ofOthers = `NOT (f.id BETWEEN ${this.#own.first} AND ${this.#own.last})`;
    const [heads, rows] = await this.#numbered(
      [
        // Read first: what is numbered between the two is in the page, or comes with the next.
        { text: `SELECT head FROM ${this.#schema}.feed WHERE id = 1`, values: [] },
        feedPage(this.#schema, 'tenant, stream, seq', after, limit, ofOthers),
      ],
      ofOthers,
    );
    const keys = (rows ?? []).map((row) => ({
      position: int(row[0]),
      tenant: text(row[1]),
      stream: text(row[2]),
      seq: int(row[3]),
    }));
    const last = keys.at(-1)?.position ?? after;
    const upTo = keys.length < limit ? Math.max(int(heads?.[0]?.[0]), last) : last;
    this.#witness.reached(upTo);
    return { keys, upTo };
  }

  /** Reads from a feed that has everything that was committed before the call, by those that `filter` lets pass. */
  async #numbered(statements: readonly Statement[], filter = 'true') {
    const pending: Statement = {
      text: `SELECT 1 FROM ${this.#schema}.feed_commit f WHERE ${filter} AND first IS NULL AND events > 0 LIMIT 1`,
      values: [],
    };
    const [left, ...results] = await this.#database.read([pending, ...statements]);
    if (left?.length === 0) return results;
    await this.number();
    return this.#database.read(statements);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running?.catch(() => undefined);
  }
}

/**
 * The next events of the feed, as position and columns. Begins with the commit that holds the position after `after`, and
 * walks commits in order, and events in them. `filter` is a condition on the commit `f`.
 */
export function feedPage(s: string, columns: string, after: number, limit: number, filter = 'true'): Statement {
  return {
    text: `SELECT f.first + e.n, ${prefixed('e', columns)} FROM ${s}.feed_commit f
        CROSS JOIN LATERAL (
          SELECT n, ${columns} FROM ${s}.event e
          WHERE e.commit = f.id AND e.era BETWEEN f.era_min AND f.era_max AND f.first + e.n > $1::bigint
          ORDER BY e.n OFFSET 0) e
        WHERE ${filter} AND f.first IS NOT NULL AND f.first >= coalesce(
          (SELECT max(b.first) FROM ${s}.feed_commit b WHERE b.first IS NOT NULL AND b.first <= $1::bigint + 1), 0)
        ORDER BY f.first, e.n LIMIT $2::bigint`,
    values: [after, limit],
  };
}
