/** All reads but those of the feed: one round trip each, on any connection of the pool. */
import type { RunRow } from '../../core/run/state.js';
import {
  compareText,
  type DeadLetterQuery,
  type DeadLetterRow,
  type DedupeKey,
  type DedupeRow,
  encodeCursor,
  type EntryQuery,
  type EntryRow,
  type EventQuery,
  type EventRow,
  type ListKey,
  type ManifestRow,
  matchesRunQuery,
  nameOf,
  type Page,
  type PartitionHead,
  type PartitionKey,
  type QueueStats,
  type RunKey,
  type RunQuery,
  type ScheduleQuery,
  type ScheduleRow,
  runScanItemsMax,
  runStatuses,
  type SessionRow,
  statusCode,
  tallyKinds,
  type TallyRow,
  type TaskRow,
  type TaskState,
  taskStates,
  type TimerRow,
  type TopicHead,
} from '../../store/index.js';
import { texts } from './arrays.js';
import { clockSql, type Database } from './database.js';
import type { Row, Statement, Value } from './pipeline.js';
import {
  bytes,
  deadLetterColumns,
  deadLetterRow,
  entryColumns,
  entryRow,
  eventColumns,
  eventRow,
  int,
  intOrNull,
  runColumns,
  runRow,
  scheduleColumns,
  scheduleRow,
  sessionColumns,
  sessionRow,
  taskColumns,
  taskRow,
  text,
  timerColumns,
  timerRow,
} from './rows.js';
import { positionSql, prefixed } from './sql.js';

/** Rows fetched at a time while a list looks for matches. */
const chunkItems = 500;

/** Bytes of a blob that one statement reads. */
const blobPieceBytes = 4 * 1024 * 1024;
const empty = Buffer.alloc(0);

/** The clock as SQL: the database's, unless a test brings its own. */
export interface SqlClock {
  /** An instant to compare with, or null for the database's now. */
  readonly now: () => number | null;
}

export class Reads {
  readonly #database: Database;
  readonly #s: string;
  readonly #clock: SqlClock;

  constructor(database: Database, schema: string, clock: SqlClock) {
    this.#database = database;
    this.#s = schema;
    this.#clock = clock;
  }

  async readRun(tenant: string, run: string): Promise<RunRow | null> {
    const sql = `SELECT ${runColumns} FROM ${this.#s}.run WHERE tenant = $1 AND run = $2`;
    const [row] = await this.#rows(sql, [tenant, run]);
    return row === undefined ? null : runRow(row);
  }

  /** The row of a run names the era of its events; a partition of a topic goes through all eras. */
  async readEvents({ tenant, stream, after, limit }: EventQuery): Promise<EventRow[]> {
    const era = stream.includes('/') ? '' : `AND era = (SELECT era FROM ${this.#s}.run WHERE tenant = $1 AND run = $2)`;
    const rows = await this.#rows(
      `SELECT ${positionSql}, ${prefixed('e', eventColumns)} FROM (
         SELECT * FROM ${this.#s}.event WHERE tenant = $1 AND stream = $2 AND seq > $3::bigint ${era}
         ORDER BY seq LIMIT $4::bigint) e
       LEFT JOIN ${this.#s}.feed_commit f ON f.id = e.commit ORDER BY e.seq`,
      [tenant, stream, after, Math.max(0, limit)],
    );
    return rows.map((row) => eventRow(row));
  }

  async readHistories(keys: readonly RunKey[]): Promise<EventRow[][]> {
    if (keys.length === 0) return [];
    const rows = await this.#rows(
      `SELECT k.i, ${positionSql}, ${prefixed('e', eventColumns)}
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (tenant, run, i)
       CROSS JOIN LATERAL (
         SELECT r.era FROM ${this.#s}.run r WHERE r.tenant = k.tenant AND r.run = k.run OFFSET 0) r
       CROSS JOIN LATERAL (
         SELECT * FROM ${this.#s}.event e
         WHERE e.tenant = k.tenant AND e.stream = k.run AND e.era = r.era OFFSET 0) e
       LEFT JOIN ${this.#s}.feed_commit f ON f.id = e.commit
       ORDER BY k.i, e.seq`,
      [texts(keys.map(({ tenant }) => tenant)), texts(keys.map(({ run }) => run))],
    );
    const histories: EventRow[][] = keys.map(() => []);
    for (const row of rows) histories[int(row[0]) - 1]?.push(eventRow(row, 1));
    return histories;
  }

  async listRuns(query: RunQuery, after: ListKey | null): Promise<Page<RunRow>> {
    const items: RunRow[] = [];
    let from = after;
    let scanned = 0;
    for (;;) {
      const rows = (await this.#rows(...this.#runsFrom(query, from))).map(runRow);
      for (const row of rows) {
        // One more than the page holds was found, or enough was looked at: the page ends before this row.
        if (from !== null && (items.length >= query.limit || scanned >= runScanItemsMax) && scanned > 0)
          return { items, next: encodeCursor('runs', from) };
        if (matchesRunQuery(row, query)) items.push(row);
        from = { at: row.startedAt, id: row.run };
        scanned += 1;
      }
      if (rows.length < chunkItems) return { items, next: null };
    }
  }

  #runsFrom(query: RunQuery, from: ListKey | null): [sql: string, values: Value[]] {
    const oldest = query.order === 'oldest';
    const conditions = ['tenant = $1'];
    const values: Value[] = [query.tenant];
    if (query.statuses?.length === 1 && query.statuses[0] === 'failed')
      conditions.push(`status = ${statusCode.failed} AND failure_class IS NOT NULL`);
    if (query.startedFrom !== undefined) conditions.push(`started_at >= $${values.push(query.startedFrom)}::bigint`);
    if (query.startedBefore !== undefined) conditions.push(`started_at < $${values.push(query.startedBefore)}::bigint`);
    if (from !== null) {
      const at = values.push(from.at);
      const id = values.push(from.id);
      conditions.push(`(started_at, run) ${oldest ? '>' : '<'} ($${at}::bigint, $${id}::text)`);
    }
    const direction = oldest ? 'ASC' : 'DESC';
    return [
      `SELECT ${runColumns} FROM ${this.#s}.run WHERE ${conditions.join(' AND ')}
       ORDER BY started_at ${direction}, run ${direction} LIMIT ${chunkItems}`,
      values,
    ];
  }

  async readTasks(tenant: string, run: string): Promise<TaskRow[]> {
    const sql = `SELECT ${taskColumns} FROM ${this.#s}.task WHERE tenant = $1 AND run = $2 ORDER BY task`;
    return (await this.#rows(sql, [tenant, run])).map(taskRow);
  }

  async listLeases({ session, limit }: { readonly session?: string; readonly limit: number }): Promise<TaskRow[]> {
    const ofSession = session === undefined ? '' : 'AND session = $2';
    const sql = `SELECT ${taskColumns} FROM ${this.#s}.task WHERE state = 3 ${ofSession}
      ORDER BY session, assignment, tenant, run, task LIMIT $1::bigint`;
    return (await this.#rows(sql, session === undefined ? [limit] : [limit, session])).map(taskRow);
  }

  async readTimers(tenant: string, run: string): Promise<TimerRow[]> {
    const sql = `SELECT ${timerColumns} FROM ${this.#s}.timer WHERE tenant = $1 AND run = $2 ORDER BY name`;
    return (await this.#rows(sql, [tenant, run])).map(timerRow);
  }

  async dueTimers(limit: number): Promise<TimerRow[]> {
    const sql = `SELECT ${timerColumns} FROM ${this.#s}.timer WHERE fire_at <= ${nowSql(1)}
      ORDER BY fire_at, tenant, run, name LIMIT $2::bigint`;
    return (await this.#rows(sql, [this.#clock.now(), limit])).map(timerRow);
  }

  async nextDueAt(): Promise<number | null> {
    const [row] = await this.#rows(
      `SELECT least((SELECT min(fire_at) FROM ${this.#s}.timer),
        (SELECT min(due_at) FROM ${this.#s}.task WHERE state = 1),
        (SELECT min(due_at) FROM ${this.#s}.schedule WHERE due_at IS NOT NULL))`,
      [],
    );
    return intOrNull(row?.[0]);
  }

  async readEntries({ tenant, space, key, after, limit }: EntryQuery): Promise<EntryRow[]> {
    const conditions = ['tenant = $1', 'space = $2'];
    const values: Value[] = [tenant, space, limit];
    if (key !== undefined) conditions.push(`key = $${values.push(key)}`);
    if (after !== undefined) conditions.push(`(key, ref) > ($${values.push(after.key)}, $${values.push(after.ref)})`);
    const sql = `SELECT ${entryColumns} FROM ${this.#s}.entry WHERE ${conditions.join(' AND ')}
      ORDER BY key, ref LIMIT $3::bigint`;
    return (await this.#rows(sql, values)).map(entryRow);
  }

  async listPartitions(query: {
    readonly after: PartitionKey | null;
    readonly limit: number;
  }): Promise<PartitionHead[]> {
    const { after, limit } = query;
    const from = after === null ? '' : 'WHERE (tenant, topic, part) > ($2, $3, $4::bigint)';
    const sql = `SELECT tenant, topic, part, head FROM ${this.#s}.topic_head ${from}
      ORDER BY tenant, topic, part LIMIT $1::bigint`;
    const rows = await this.#rows(sql, after === null ? [limit] : [limit, after.tenant, after.topic, after.partition]);
    return rows.map((row) => ({
      tenant: text(row[0]),
      topic: text(row[1]),
      partition: int(row[2]),
      head: int(row[3]),
    }));
  }

  async dueSchedules(limit: number): Promise<ScheduleRow[]> {
    const sql = `SELECT ${scheduleColumns} FROM ${this.#s}.schedule WHERE due_at <= ${nowSql(1)}
      ORDER BY due_at, tenant, name LIMIT $2::bigint`;
    return (await this.#rows(sql, [this.#clock.now(), limit])).map(scheduleRow);
  }

  async readSchedule(tenant: string, name: string): Promise<ScheduleRow | null> {
    const sql = `SELECT ${scheduleColumns} FROM ${this.#s}.schedule WHERE tenant = $1 AND name = $2`;
    const [row] = await this.#rows(sql, [tenant, name]);
    return row === undefined ? null : scheduleRow(row);
  }

  async listSchedules({ tenant, limit }: ScheduleQuery, after: ListKey | null): Promise<Page<ScheduleRow>> {
    const sql = `SELECT ${scheduleColumns} FROM ${this.#s}.schedule WHERE tenant = $1 AND name > $2
      ORDER BY name LIMIT $3::bigint`;
    const found = (await this.#rows(sql, [tenant, after?.id ?? '', limit + 1])).map(scheduleRow);
    const items = found.slice(0, limit);
    const last = items.at(-1);
    const more = found.length > items.length && last !== undefined;
    return { items, next: more ? encodeCursor('schedules', { at: 0, id: last.name }) : null };
  }

  async listTopics(tenant: string): Promise<TopicHead[]> {
    const sql = `SELECT topic, part, head FROM ${this.#s}.topic_head WHERE tenant = $1 ORDER BY topic, part`;
    const rows = await this.#rows(sql, [tenant]);
    return rows.map((row) => ({ topic: text(row[0]), partition: int(row[1]), head: int(row[2]) }));
  }

  async readDedupe(tenant: string, scope: string, key: string): Promise<DedupeRow | null> {
    const [row] = await this.#rows(
      `SELECT hash, reference, expires_at FROM ${this.#s}.dedupe
       WHERE tenant = $2 AND scope = $3 AND key = $4 AND expires_at > ${nowSql(1)}`,
      [this.#clock.now(), tenant, scope, key],
    );
    if (row === undefined) return null;
    return { tenant, scope, key, hash: text(row[0]), reference: text(row[1]), expiresAt: int(row[2]) };
  }

  async readDedupes(tenant: string, keys: readonly DedupeKey[]): Promise<(DedupeRow | null)[]> {
    const rows = await this.#rows(
      `SELECT k.i, d.hash, d.reference, d.expires_at
       FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS k (scope, key, i)
       CROSS JOIN LATERAL (
         SELECT * FROM ${this.#s}.dedupe d
         WHERE d.tenant = $2 AND d.scope = k.scope AND d.key = k.key AND d.expires_at > ${nowSql(1)} OFFSET 0) d`,
      [this.#clock.now(), tenant, texts(keys.map(({ scope }) => scope)), texts(keys.map(({ key }) => key))],
    );
    const found: (DedupeRow | null)[] = keys.map(() => null);
    for (const row of rows) {
      const i = int(row[0]) - 1;
      const known = keys[i];
      if (known === undefined) continue;
      const { scope, key } = known;
      found[i] = { tenant, scope, key, hash: text(row[1]), reference: text(row[2]), expiresAt: int(row[3]) };
    }
    return found;
  }

  async listDeadLetters(query: DeadLetterQuery, after: ListKey | null): Promise<Page<DeadLetterRow>> {
    const conditions = ['tenant = $1'];
    const values: Value[] = [query.tenant];
    if (query.class !== undefined) conditions.push(`class = $${values.push(query.class)}`);
    if (query.workflow !== undefined) conditions.push(`workflow = $${values.push(query.workflow)}`);
    if (after !== null) {
      const at = values.push(after.at);
      const id = values.push(after.id);
      conditions.push(`(at, id) < ($${at}::bigint, $${id}::text)`);
    }
    const limit = values.push(query.limit + 1);
    const rows = await this.#rows(
      `SELECT ${deadLetterColumns} FROM ${this.#s}.dead_letter WHERE ${conditions.join(' AND ')}
       ORDER BY at DESC, id DESC LIMIT $${limit}::bigint`,
      values,
    );
    const found = rows.map(deadLetterRow);
    const items = found.slice(0, query.limit);
    const last = items.at(-1);
    const more = found.length > items.length && last !== undefined;
    return { items, next: more ? encodeCursor('dead-letters', { at: last.at, id: last.id }) : null };
  }

  async readDeadLetter(tenant: string, id: string): Promise<DeadLetterRow | null> {
    const sql = `SELECT ${deadLetterColumns} FROM ${this.#s}.dead_letter WHERE tenant = $1 AND id = $2`;
    const [row] = await this.#rows(sql, [tenant, id]);
    return row === undefined ? null : deadLetterRow(row);
  }

  async readTally(): Promise<TallyRow[]> {
    const rows = await this.#rows(
      `SELECT tenant, kind, name, state, sum(count) FROM ${this.#s}.tally
       GROUP BY tenant, kind, name, state HAVING sum(count) <> 0`,
      [],
    );
    return rows
      .map((row): TallyRow => {
        const kind = nameOf(tallyKinds, int(row[1]));
        const state = int(row[3]);
        return {
          tenant: text(row[0]),
          kind,
          name: text(row[2]),
          state: kind === 'run' ? nameOf(runStatuses, state) : nameOf(taskStates, state),
          count: int(row[4]),
        };
      })
      .sort(compareTally);
  }

  async queueStats(): Promise<QueueStats[]> {
    const rows = await this.#rows(
      `SELECT q.name, q.state, q.count,
         CASE WHEN q.state = 0 THEN (SELECT min(t.ready_at) FROM ${this.#s}.task t WHERE t.queue = q.name AND t.state = 0) END
       FROM (SELECT name, state, sum(count) AS count FROM ${this.#s}.tally WHERE kind = 1
             GROUP BY name, state HAVING sum(count) <> 0) q
       ORDER BY q.name`,
      [],
    );
    const stats = new Map<string, { counts: Record<TaskState, number>; oldestReadyAt: number | null }>();
    for (const row of rows) {
      const queue = text(row[0]);
      const found = stats.get(queue) ?? { counts: { ready: 0, delayed: 0, held: 0, leased: 0 }, oldestReadyAt: null };
      found.counts[nameOf(taskStates, int(row[1]))] = int(row[2]);
      found.oldestReadyAt ??= intOrNull(row[3]);
      stats.set(queue, found);
    }
    return [...stats].map(([queue, { counts, oldestReadyAt }]) => ({ queue, ...counts, oldestReadyAt }));
  }

  async listSessions(): Promise<SessionRow[]> {
    return (await this.#rows(`SELECT ${sessionColumns} FROM ${this.#s}.session ORDER BY session`, [])).map(sessionRow);
  }

  async readBlob(tenant: string, hash: string): Promise<Uint8Array | null> {
    // In pieces: the wire has two characters for a byte, and one text of all of it would be held many times over.
    const sql = `SELECT substring(bytes FROM $3::int FOR $4::int), octet_length(bytes) FROM ${this.#s}.blob
      WHERE tenant = $1 AND hash = $2`;
    const pieces: Buffer[] = [];
    for (let read = 0, size = 1; read < size; ) {
      const [row] = await this.#rows(sql, [tenant, hash, read + 1, blobPieceBytes]);
      if (row === undefined) return null;
      const piece = bytes(row[0]);
      size = int(row[1]);
      // Bytes that are there never change; what is empty has been read with this.
      if (piece.length === 0) break;
      pieces.push(piece);
      read += piece.length;
    }
    return new Uint8Array(pieces.length === 1 ? (pieces[0] ?? empty) : Buffer.concat(pieces));
  }

  async listManifests(): Promise<ManifestRow[]> {
    const sql = `SELECT app, hash, manifest, registered_at FROM ${this.#s}.manifest ORDER BY registered_at, app, hash`;
    return (await this.#rows(sql, [])).map((row) => ({
      app: text(row[0]),
      hash: text(row[1]),
      manifest: text(row[2]),
      registeredAt: int(row[3]),
    }));
  }

  async #rows(sql: string, values: readonly Value[]): Promise<readonly Row[]> {
    const statement: Statement = { text: sql, values };
    const [rows] = await this.#database.read([statement]);
    return rows ?? [];
  }
}

/** The instant of the parameter of that number, or the database's clock where it is null. */
export function nowSql(parameter: number): string {
  return `coalesce($${parameter}::bigint, ${clockSql})`;
}

function compareTally(a: TallyRow, b: TallyRow): number {
  return (
    compareText(a.tenant, b.tenant) ||
    compareText(a.kind, b.kind) ||
    compareText(a.name, b.name) ||
    compareText(a.state, b.state)
  );
}
