/**
 * Filling an empty database with all rows of another store, in one transaction that holds every table for itself: a
 * server that is started meanwhile waits, and what is not committed was never there.
 *
 * Events get the positions that they had: one row of `feed_commit` stands for each batch of them. A run and its events get
 * the week in which it began. Counters are counted anew.
 */
import { SpineError } from '../../core/errors.js';
import type { DumpBatch, DumpHead, DumpRows, DumpTarget, EventRow, Violation } from '../../store/index.js';
import { byteas, int4s, int8s, texts } from './arrays.js';
import { checksOf } from './check.js';
import { clockSql, Database, type Session } from './database.js';
import { makeDirect, makePool } from './driver.js';
import { dumpTablesOf } from './dump.js';
import { eraOfMoved, partitionSql } from './eras.js';
import { classifyFailure, reasonOf } from './failures.js';
import { bodyColumnsOf, entryValues, runColumnsOf, scheduleValues, taskColumnsOf } from './flush.js';
import { arraysOf, column, rowsStatement } from './row-statement.js';
import { migrate, quoteName } from './migrate.js';
import type { Row, Statement } from './pipeline.js';
import { int } from './rows.js';
import { writeSql, type Sql } from './sql.js';

/** Options of `openPostgresTarget`. */
export interface PostgresTargetOptions {
  /** The database, without a pooler between. */
  readonly url: string;
  /** The schema that is to hold the tables; made where it is not there. Default: `eventspine`. */
  readonly schema?: string;
}

/** Nothing here is hurried; only a server that has gone away must be noticed at some time. */
const statementMs = 6 * 60 * 60_000;
const times = { statementMs, lockMs: 10_000, queryMs: statementMs + 60_000 } as const;
const connectMs = 5_000;
const applicationName = 'eventspine move';

/** Tables that must have no row. */
const tables =
  'run, event, task, schedule, timer, entry, dedupe, dead_letter, blob, topic_head, session, manifest, tally, feed_commit'.split(
    ', ',
  );
/** Positions in one commit: its events are counted by a small integer. */
const spanMax = 2 ** 30;
const commitsPerEpoch = 2 ** 32;

/**
 * Brings the schema about and takes it, to be filled. Rejects with STORE_NOT_EMPTY where anything is stored there or a
 * server has it open, STORE_TOO_NEW, STORE_UNSUITABLE.
 */
export async function openPostgresTarget(options: PostgresTargetOptions): Promise<DumpTarget> {
  const schema = quoteName(options.schema ?? 'eventspine');
  const direct = await makeDirect({ url: options.url, name: applicationName, connectMs });
  try {
    await direct.connect();
    await migrate(direct, schema, true);
  } catch (error) {
    throw error instanceof SpineError
      ? error
      : new SpineError('STORE_UNSUITABLE', { reason: reasonOf(error) }, { cause: error });
  } finally {
    await direct.end().catch(() => undefined);
  }
  const pool = await makePool({ url: options.url, name: applicationName, connectMs, size: 1 });
  const database = new Database(pool, true, times);
  try {
    const session = await database.session();
    const target = new Target(database, session, schema);
    try {
      await target.take();
    } catch (error) {
      session.destroy();
      throw error;
    }
    return target;
  } catch (error) {
    await database.close();
    throw named(error);
  }
}

class Target implements DumpTarget {
  readonly #database: Database;
  readonly #session: Session;
  readonly #s: string;
  readonly #sql: Sql;
  readonly #eras = new Set<number>([0]);
  /** The database's clock at the beginning. */
  #now = 0;
  #epoch = 0;
  #commits = 0;
  #state: 'open' | 'committed' | 'closed' = 'open';

  constructor(database: Database, session: Session, schema: string) {
    this.#database = database;
    this.#session = session;
    this.#s = schema;
    this.#sql = writeSql(schema);
  }

  /** Begins the transaction, takes the tables, and looks whether they are empty. */
  async take(): Promise<void> {
    const s = this.#s;
    const settings = {
      statement_timeout: times.statementMs,
      lock_timeout: times.lockMs,
      idle_in_transaction_session_timeout: 0,
    };
    const locked = ['meta', 'feed', 'duty', ...tables].map((table) => `${s}.${table}`).join(', ');
    await this.#run([
      plain('BEGIN'),
      ...Object.entries(settings).map(([name, value]) => plain(`SET LOCAL ${name} = ${value}`)),
      plain(`SET LOCAL synchronous_commit = on`),
      plain(`LOCK TABLE ${locked} IN ACCESS EXCLUSIVE MODE`),
    ]);
    const [filled, duties, facts] = await this.#run([
      plain(tables.map((table) => `SELECT '${table}' WHERE EXISTS (SELECT 1 FROM ${s}.${table})`).join(' UNION ALL ')),
      plain(`SELECT duty FROM ${s}.duty WHERE until > ${clockSql}`),
      plain(
        `SELECT ${clockSql}, m.value, f.head, current_database() FROM ${s}.meta m, ${s}.feed f WHERE m.key = 'epoch'`,
      ),
    ]);
    const [now, epoch, feedHead, name] = facts?.[0] ?? [];
    const place = `schema ${s} of database "${name ?? ''}"`;
    if (duties?.length !== 0) throw new SpineError('STORE_NOT_EMPTY', { place, reason: 'a server has it open' });
    const found = filled?.map(([table]) => String(table)) ?? [];
    if (found.length > 0)
      throw new SpineError('STORE_NOT_EMPTY', { place, reason: `there are rows in ${found.join(', ')}` });
    if (int(feedHead) > 0) throw new SpineError('STORE_NOT_EMPTY', { place, reason: 'there were events in it' });
    this.#now = int(now);
    this.#epoch = int(epoch) + 1;
  }

  async write(batch: DumpBatch): Promise<void> {
    if (batch.rows.length > 0) await this.#run(await this.#statements(batch));
  }

  async #statements(batch: DumpBatch): Promise<readonly Statement[]> {
    const s = this.#s;
    const sql = this.#sql;
    switch (batch.table) {
      case 'manifests':
        return batch.rows.map(({ app, hash, manifest, registeredAt }) => ({
          text: sql.putManifest,
          values: [app, hash, manifest, registeredAt],
        }));
      case 'blobs':
        return [
          {
            text: `INSERT INTO ${s}.blob (tenant, hash, refs, created_at, bytes)
              SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[])`,
            values: [
              texts(batch.rows.map(({ tenant }) => tenant)),
              texts(batch.rows.map(({ hash }) => hash)),
              int8s(batch.rows.map(({ refs }) => refs)),
              int8s(batch.rows.map(({ createdAt }) => createdAt)),
              byteas(batch.rows.map(({ bytes }) => bytes)),
            ],
          },
        ];
      case 'runs':
        return this.#runs(batch.rows);
      case 'events':
        return this.#events(batch.rows);
      case 'topics':
        return [
          {
            text: `INSERT INTO ${s}.topic_head (tenant, topic, part, head)
              SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])`,
            values: [
              texts(batch.rows.map(({ tenant }) => tenant)),
              texts(batch.rows.map(({ topic }) => topic)),
              int8s(batch.rows.map(({ partition }) => partition)),
              int8s(batch.rows.map(({ head }) => head)),
            ],
          },
        ];
      case 'tasks':
        return [rowsStatement(sql.addTasks, taskColumnsOf(batch.rows))];
      case 'timers':
        return [
          {
            text: sql.putTimers,
            values: [
              texts(batch.rows.map(({ tenant }) => tenant)),
              texts(batch.rows.map(({ run }) => run)),
              texts(batch.rows.map(({ name }) => name)),
              int8s(batch.rows.map(({ fireAt }) => fireAt)),
            ],
          },
        ];
      case 'entries':
        return [{ text: sql.putEntries, values: entryValues(batch.rows) }];
      case 'schedules':
        return [{ text: sql.addSchedules, values: scheduleValues(batch.rows) }];
      case 'dedupe':
        return [
          {
            text: sql.addDedupe,
            values: [
              texts(batch.rows.map(({ tenant }) => tenant)),
              texts(batch.rows.map(({ scope }) => scope)),
              texts(batch.rows.map(({ key }) => key)),
              texts(batch.rows.map(({ hash }) => hash)),
              texts(batch.rows.map(({ reference }) => reference)),
              int8s(batch.rows.map(({ expiresAt }) => expiresAt)),
            ],
          },
        ];
      case 'deadLetters':
        return [
          {
            text: sql.addLetters,
            values: [
              texts(batch.rows.map(({ tenant }) => tenant)),
              texts(batch.rows.map(({ id }) => id)),
              texts(batch.rows.map(({ run }) => run)),
              texts(batch.rows.map(({ workflow }) => workflow)),
              texts(batch.rows.map(({ path }) => path)),
              texts(batch.rows.map((row) => row.class)),
              texts(batch.rows.map(({ code }) => code)),
              texts(batch.rows.map(({ message }) => message)),
              int8s(batch.rows.map(({ attempts }) => attempts)),
              int8s(batch.rows.map(({ at }) => at)),
            ],
          },
        ];
    }
  }

  async #runs(rows: readonly DumpRows['runs'][]): Promise<readonly Statement[]> {
    const eras = rows.map(({ startedAt }) => eraOfMoved(startedAt, this.#now));
    const sealed = rows.filter((row) => row.sealed !== null);
    return [
      ...this.#partitions(eras),
      rowsStatement(this.#sql.addRuns, [...runColumnsOf(rows), column(int4s, eras, (era) => era)]),
      ...(sealed.length === 0
        ? []
        : [
            {
              text: `UPDATE ${this.#s}.run r SET sealed = v.sealed
                FROM unnest($1::text[], $2::text[], $3::bytea[]) AS v (tenant, run, sealed)
                WHERE r.tenant = v.tenant AND r.run = v.run`,
              values: [
                texts(sealed.map(({ tenant }) => tenant)),
                texts(sealed.map(({ run }) => run)),
                byteas(sealed.map((row) => row.sealed)),
              ],
            },
          ]),
    ];
  }

  /** Positions may have wide gaps, where a store was restored; a commit does not go over one. */
  #events(rows: readonly EventRow[]): readonly Statement[] {
    const spans: EventRow[][] = [];
    for (const row of rows) {
      const first = spans.at(-1)?.[0];
      if (first === undefined || row.position - first.position >= spanMax) spans.push([row]);
      else spans.at(-1)?.push(row);
    }
    return spans.flatMap((span) => this.#commit(span));
  }

  /** Events of a run lie in the week of the run, which is in its row; others in that of their instant. */
  #commit(rows: readonly EventRow[]): readonly Statement[] {
    const s = this.#s;
    const first = rows[0]?.position ?? 0;
    const eras = rows.map(({ stream, at }) => (stream.includes('/') ? eraOfMoved(at, this.#now) : 0));
    this.#commits += 1;
    return [
      ...this.#partitions(eras),
      {
        text: `WITH added AS (
            INSERT INTO ${s}.event (tenant, stream, seq, type, at, payload_kind, envelope, salt, blob, payload, era, commit, n)
            SELECT e.tenant, e.stream, e.seq, e.type, e.at, e.payload_kind, e.envelope, e.salt, e.blob, e.payload,
              coalesce(r.era, e.era), $13::bigint, e.n
            FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::smallint[], $7::bytea[],
              $8::bytea[], $9::text[], $10::bytea[], $11::integer[], $12::integer[])
              AS e (tenant, stream, seq, type, at, payload_kind, envelope, salt, blob, payload, era, n)
            LEFT JOIN LATERAL (
              SELECT r.era FROM ${s}.run r WHERE r.tenant = e.tenant AND r.run = e.stream OFFSET 0) r ON true
            RETURNING era)
          INSERT INTO ${s}.feed_commit (id, at, events, era_min, era_max, first)
          SELECT $13::bigint, $14::bigint, count(*), min(era), max(era), $15::bigint FROM added`,
        values: [
          texts(rows.map(({ tenant }) => tenant)),
          texts(rows.map(({ stream }) => stream)),
          int8s(rows.map(({ seq }) => seq)),
          ...arraysOf(bodyColumnsOf(rows)),
          int4s(eras),
          int4s(rows.map(({ position }) => position - first)),
          this.#epoch * commitsPerEpoch + this.#commits,
          rows.at(-1)?.at ?? 0,
          first,
        ],
      },
    ];
  }

  #partitions(eras: readonly number[]): Statement[] {
    const missing = [...new Set(eras)].filter((era) => !this.#eras.has(era));
    for (const era of missing) this.#eras.add(era);
    return missing.map((era) => plain(partitionSql(this.#s, era)));
  }

  async finish({ epoch, feedHead }: DumpHead): Promise<void> {
    const s = this.#s;
    await this.#run([
      plain(`INSERT INTO ${s}.tally (tenant, kind, name, state, slot, count)
        SELECT tenant, 0, workflow, status, 0, count(*) FROM ${s}.run GROUP BY 1, 3, 4
        UNION ALL SELECT tenant, 1, queue, state, 0, count(*) FROM ${s}.task GROUP BY 1, 3, 4`),
      { text: `UPDATE ${s}.feed SET head = $1::bigint WHERE id = 1`, values: [feedHead] },
      {
        text: `UPDATE ${s}.meta SET value = $1::bigint WHERE key = 'epoch'`,
        values: [Math.max(epoch, this.#epoch)],
      },
      plain(`ANALYZE ${tables.map((table) => `${s}.${table}`).join(', ')}`),
    ]);
  }

  async *batches(): AsyncGenerator<DumpBatch, void> {
    try {
      yield* dumpTablesOf(this.#session, this.#s);
    } catch (error) {
      throw named(error);
    }
  }

  async check(limit: number): Promise<Violation[]> {
    const { statements, violationsOf } = checksOf(this.#s, limit);
    return violationsOf(await this.#run(statements));
  }

  async commit(): Promise<void> {
    await this.#run([plain('COMMIT')]);
    this.#state = 'committed';
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    if (this.#state === 'committed') this.#session.release();
    // The end of the connection is the end of its transaction.
    else this.#session.destroy();
    this.#state = 'closed';
    await this.#database.close();
  }

  async #run(statements: readonly Statement[]): Promise<Row[][]> {
    try {
      return await this.#session.run(statements);
    } catch (error) {
      throw named(error);
    }
  }
}

function plain(text: string): Statement {
  return { text, values: [] };
}

function named(cause: unknown): Error {
  if (cause instanceof SpineError) return cause;
  switch (classifyFailure(cause)) {
    case 'lost':
    case 'again':
      return new SpineError('STORE_UNREACHABLE', {}, { cause });
    case 'full':
      return new SpineError('STORE_FULL', {}, { cause });
    case 'item':
    case 'fault':
      return new SpineError('STORE_FAILED', { reason: reasonOf(cause) }, { cause });
  }
}
