/**
 * Where callers leave transitions in transactions of their own: a row each, which comes to be with their commit or never.
 * Whoever sees it carries it out as any other transition, and the row goes in the same commit.
 *
 * A caller's transaction may stay open for as long as it likes, so it must hold nothing that others wait for: it locks its
 * own new rows and the keys in them, and no counter of a partition, no row of a run, nothing of the feed.
 *
 * Invariant: a row that is gone was carried out or dropped, once.
 */
import {
  findUnstorable,
  type LeaveOutcome,
  type Outbox,
  type OutboxEntry,
  type Outcome,
  type Transition,
} from '../../store/index.js';
import { SpineError } from '../../core/errors.js';
import type { Database } from './database.js';
import type { CheckedTransition } from './requests.js';
import { int, text } from './rows.js';
import { invalid, runnerOf, type RunWithin } from './transaction-clients.js';
import { readTransition, transitionFormat, writeTransition } from './transition-text.js';

/** Text of entries that are read at once; a single one may be longer. */
const readBytesMax = 16 * 1024 * 1024;
/** How often an entry is tried to be left when the one with its key is carried out at that very moment. */
const attemptsMax = 5;

/** Tells one database from another, copies and restored ones included. */
const identitySql = `(SELECT c.system_identifier::text || '/' || d.oid::text FROM pg_control_system() c, pg_database d
  WHERE d.datname = current_database())`;

export interface OutboxParts {
  readonly database: Database;
  /** Quoted. */
  readonly schema: string;
  /** The store's clock. */
  readonly now: () => number;
  /** Hands transitions to the writer. */
  readonly apply: (items: readonly CheckedTransition[]) => Promise<Outcome[]>;
}

export class PostgresOutbox implements Outbox {
  readonly #parts: OutboxParts;
  #identity: Promise<string> | null = null;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  async leave(tx: unknown, transition: Transition): Promise<LeaveOutcome> {
    const run = runnerOf(tx);
    const reason = findUnstorable(transition);
    if (reason !== null) throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason });
    const { tenant, dedupe = [] } = transition;
    const [key] = dedupe;
    if (dedupe.length > 1) throw new Error('Invariant broken: an entry of the outbox has several keys');
    const xid = await this.#meet(run);
    const entry = writeTransition(transition);
    if (key === undefined) {
      if ((await run(this.#insertSql(false), [xid, tenant, entry])).length === 0) throw notOpen();
      return { tag: 'left' };
    }
    const keyed = [tenant, key.scope, key.key];
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const now = String(this.#parts.now());
      const left = await run(this.#insertSql(true), [
        xid,
        tenant,
        entry,
        key.scope,
        key.key,
        key.hash,
        key.reference,
        now,
      ]);
      // What was there before, or has come in its place since the statement began. Where the transaction sees only what
      // was there at its beginning this finds less, and the key is found taken when the entry is carried out.
      const own = left[0]?.['id'] ?? '0';
      const [found] = await run(this.#lookSql(), [xid, ...keyed, now, own]);
      if (found?.['open'] !== 't') throw notOpen();
      if (typeof found['hash'] === 'string' && typeof found['reference'] === 'string')
        return { tag: 'duplicate', found: { hash: found['hash'], reference: found['reference'] } };
      if (left.length > 0) return { tag: 'left' };
    }
    throw new SpineError('STORE_BUSY', {});
  }

  /** The number of the transaction. Writes nothing, and asks for nothing that may be missing, so that it cannot fail it. */
  async #meet(run: RunWithin): Promise<string> {
    const { schema } = this.#parts;
    const regclass = `to_regclass('${schema.replaceAll("'", "''")}.outbox') IS NOT NULL`;
    const [row] = await run(
      `SELECT pg_current_xact_id()::text AS xid, ${identitySql} AS place, CASE WHEN ${regclass} THEN 't' ELSE 'f' END AS known`,
      [],
    );
    if (row?.['known'] !== 't' || row['place'] !== (await this.#place()))
      throw invalid('it is not on the database of the store');
    return String(row['xid']);
  }

  #place(): Promise<string> {
    this.#identity ??= this.#parts.database
      .read([{ text: `SELECT ${identitySql}`, values: [] }])
      .then(([rows]) => text(rows?.[0]?.[0]))
      .catch((error: unknown) => {
        this.#identity = null;
        throw error;
      });
    return this.#identity;
  }

  /** Inserts only in the transaction that was met: outside of one every statement has another number. */
  #insertSql(isKeyed: boolean): string {
    const s = this.#parts.schema;
    const isOpen = 'pg_current_xact_id()::text = $1::text';
    if (!isKeyed)
      return `INSERT INTO ${s}.outbox (tenant, format, transition)
        SELECT $2::text, ${transitionFormat}, $3::text WHERE ${isOpen} RETURNING id::text AS id`;
    return `INSERT INTO ${s}.outbox (tenant, format, transition, scope, key, hash, reference)
      SELECT $2::text, ${transitionFormat}, $3::text, $4::text, $5::text, $6::text, $7::text WHERE ${isOpen}
        AND NOT EXISTS (SELECT 1 FROM ${s}.dedupe d
          WHERE d.tenant = $2::text AND d.scope = $4::text AND d.key = $5::text AND d.expires_at > $8::text::bigint)
      ON CONFLICT (tenant, scope, key) WHERE key IS NOT NULL AND refused IS NULL DO NOTHING RETURNING id::text AS id`;
  }

  /** Who has the key, if it is another. */
  #lookSql(): string {
    const s = this.#parts.schema;
    return `SELECT CASE WHEN pg_current_xact_id()::text = $1::text THEN 't' ELSE 'f' END AS open, f.hash, f.reference
      FROM (SELECT 1) AS one LEFT JOIN LATERAL (
        SELECT d.hash, d.reference FROM ${s}.dedupe d
        WHERE d.tenant = $2::text AND d.scope = $3::text AND d.key = $4::text AND d.expires_at > $5::text::bigint
        UNION ALL
        SELECT o.hash, o.reference FROM ${s}.outbox o
        WHERE o.tenant = $2::text AND o.scope = $3::text AND o.key = $4::text AND o.refused IS NULL
          AND o.id <> $6::text::bigint
        LIMIT 1) AS f ON true`;
  }

  async read(limit: number): Promise<OutboxEntry[]> {
    const s = this.#parts.schema;
    const [rows] = await this.#parts.database.read([
      {
        text: `SELECT id, transition FROM (
            SELECT id, transition, sum(octet_length(transition)) OVER (ORDER BY id) - octet_length(transition) AS before
            FROM (SELECT id, transition FROM ${s}.outbox WHERE refused IS NULL AND format <= ${transitionFormat}
              ORDER BY id LIMIT $1::bigint) o) o
          WHERE before < ${readBytesMax} ORDER BY id`,
        values: [limit],
      },
    ]);
    return (rows ?? []).map((row) => ({ id: int(row[0]), transition: readTransition(text(row[1])) }));
  }

  async settle(entries: readonly OutboxEntry[]): Promise<Outcome[]> {
    if (entries.length === 0) return [];
    return this.#parts.apply(
      entries.map(({ id, transition }) => ({ transition, unstorable: findUnstorable(transition), outbox: id })),
    );
  }

  async drop(id: number): Promise<void> {
    const statement = `DELETE FROM ${this.#parts.schema}.outbox WHERE id = $1::bigint AND refused IS NULL`;
    await this.#parts.database.once([{ text: statement, values: [id] }]);
  }

  async refuse(id: number, reason: string): Promise<void> {
    const statement = `UPDATE ${this.#parts.schema}.outbox SET refused = $2 WHERE id = $1::bigint AND refused IS NULL`;
    await this.#parts.database.once([{ text: statement, values: [id, reason] }]);
  }
}

function notOpen(): SpineError {
  return invalid('no transaction is open on it');
}
