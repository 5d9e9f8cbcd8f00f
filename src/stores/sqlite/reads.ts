/**
 * All reads, over any connection: the writer's own for a store in memory, a read-only one on the main thread for short
 * reads, one in the reader thread for long ones. Stateless but for prepared statements.
 */
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
  type FeedKeys,
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
  taskKinds,
  type TaskRow,
  type TaskState,
  taskStates,
  type TimerRow,
  type TopicHead,
  type Violation,
} from '../../store/index.js';
import { checkFile } from './check.js';
import { prepare, type SqliteDatabase, type SqliteStatement } from './driver.js';
import { unpackEvent } from './event-body.js';
import { feedHeadSql } from './feed-head.js';
import { sessionColumns, sessionRow, type SessionColumns } from './session-columns.js';

/** Rows fetched at a time while a list looks for matches. */
const chunkItems = 500;

/** The reads by name; arguments and results survive structured clone. */
export class Reads {
  readonly #database: SqliteDatabase;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  readRun(tenant: string, run: string): RunRow | null {
    const row = this.#sql(`SELECT ${runColumns} FROM run WHERE tenant = ? AND run = ?`).get(tenant, run);
    return row === undefined ? null : runOf(row as RunTuple);
  }

  readEvents({ tenant, stream, after, limit }: EventQuery): EventRow[] {
    const sql = `SELECT ${eventColumns} FROM event WHERE tenant = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT ?`;
    return this.#events(sql, tenant, stream, after, Math.max(0, limit));
  }

  readHistories(keys: readonly RunKey[]): EventRow[][] {
    return keys.map(({ tenant, run }) =>
      this.#events(`SELECT ${eventColumns} FROM event WHERE tenant = ? AND stream = ? ORDER BY seq`, tenant, run),
    );
  }

  /** Events in the histories of these runs, as their rows say; tells a short read from a long one. */
  countHistories(keys: readonly RunKey[]): number {
    let events = 0;
    for (const { tenant, run } of keys) {
      const row = this.#sql('SELECT head FROM run WHERE tenant = ? AND run = ?').get(tenant, run);
      if (row !== undefined) events += (row as [number])[0];
    }
    return events;
  }

  readFeed({ after, limit }: { readonly after: number; readonly limit: number }): EventRow[] {
    return this.#events(
      `SELECT ${eventColumns} FROM event WHERE position > ? ORDER BY position LIMIT ?`,
      after,
      Math.max(0, limit),
    );
  }

  /** A file has one owner at a time: there are no others, and nothing that they have moved. */
  readFeedKeys({ after }: { readonly after: number }): FeedKeys {
    return { keys: [], upTo: Math.max(after, this.feedHead()) };
  }

  #events(sql: string, ...parameters: (string | number)[]): EventRow[] {
    return (this.#sql(sql).all(...parameters) as EventTuple[]).map(eventOf);
  }

  feedHead(): number {
    return this.#number(feedHeadSql) ?? 0;
  }

  listRuns(query: RunQuery, after: ListKey | null): Page<RunRow> {
    const items: RunRow[] = [];
    let from = after;
    let scanned = 0;
    for (;;) {
      const rows = this.#runsFrom(query, from);
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

  #runsFrom(query: RunQuery, from: ListKey | null): RunRow[] {
    const oldest = query.order === 'oldest';
    const onlyFailed = query.statuses?.length === 1 && query.statuses[0] === 'failed';
    const conditions = ['tenant = ?'];
    const parameters: (string | number)[] = [query.tenant];
    if (onlyFailed) conditions.push(`status = ${statusCode.failed}`);
    if (query.startedFrom !== undefined) {
      conditions.push('started_at >= ?');
      parameters.push(query.startedFrom);
    }
    if (query.startedBefore !== undefined) {
      conditions.push('started_at < ?');
      parameters.push(query.startedBefore);
    }
    if (from !== null) {
      conditions.push(`(started_at, run) ${oldest ? '>' : '<'} (?, ?)`);
      parameters.push(from.at, from.id);
    }
    const direction = oldest ? 'ASC' : 'DESC';
    const rows = this.#sql(
      `SELECT ${runColumns} FROM run INDEXED BY ${onlyFailed ? 'run_failed' : 'run_started'}
       WHERE ${conditions.join(' AND ')} ORDER BY started_at ${direction}, run ${direction} LIMIT ${chunkItems}`,
    ).all(...parameters);
    return (rows as RunTuple[]).map(runOf);
  }

  readTasks(tenant: string, run: string): TaskRow[] {
    return this.#tasks(`SELECT ${taskColumns} FROM task WHERE tenant = ? AND run = ? ORDER BY task`, tenant, run);
  }

  listLeases({ session, limit }: { readonly session?: string; readonly limit: number }): TaskRow[] {
    const order = 'ORDER BY session, assignment, tenant, run, task LIMIT ?';
    if (session === undefined)
      return this.#tasks(`SELECT ${taskColumns} FROM task INDEXED BY task_leased WHERE state = 3 ${order}`, limit);
    const sql = `SELECT ${taskColumns} FROM task INDEXED BY task_leased WHERE state = 3 AND session = ? ${order}`;
    return this.#tasks(sql, session, limit);
  }

  #tasks(sql: string, ...parameters: (string | number)[]): TaskRow[] {
    return (this.#sql(sql).all(...parameters) as TaskTuple[]).map(taskOf);
  }

  readTimers(tenant: string, run: string): TimerRow[] {
    const sql = 'SELECT tenant, run, name, fire_at FROM timer WHERE tenant = ? AND run = ? ORDER BY name';
    return (this.#sql(sql).all(tenant, run) as TimerTuple[]).map(timerOf);
  }

  dueTimers(now: number, limit: number): TimerRow[] {
    const sql = `SELECT tenant, run, name, fire_at FROM timer WHERE fire_at <= ?
      ORDER BY fire_at, tenant, run, name LIMIT ?`;
    return (this.#sql(sql).all(now, limit) as TimerTuple[]).map(timerOf);
  }

  nextDueAt(): number | null {
    const timer = this.#number('SELECT min(fire_at) FROM timer');
    const task = this.#number('SELECT min(due_at) FROM task INDEXED BY task_delayed WHERE state = 1');
    const schedule = this.#number('SELECT min(due_at) FROM schedule INDEXED BY schedule_due WHERE due_at IS NOT NULL');
    const due = [timer, task, schedule].filter((at) => at !== null);
    return due.length === 0 ? null : Math.min(...due);
  }

  dueSchedules(now: number, limit: number): ScheduleRow[] {
    const sql = `SELECT ${scheduleColumns} FROM schedule INDEXED BY schedule_due WHERE due_at <= ?
      ORDER BY due_at, tenant, name LIMIT ?`;
    return (this.#sql(sql).all(now, limit) as ScheduleTuple[]).map(scheduleOf);
  }

  readSchedule(tenant: string, name: string): ScheduleRow | null {
    const row = this.#sql(`SELECT ${scheduleColumns} FROM schedule WHERE tenant = ? AND name = ?`).get(tenant, name);
    return row === undefined ? null : scheduleOf(row as ScheduleTuple);
  }

  listSchedules({ tenant, limit }: ScheduleQuery, after: ListKey | null): Page<ScheduleRow> {
    const sql = `SELECT ${scheduleColumns} FROM schedule WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?`;
    const found = (this.#sql(sql).all(tenant, after?.id ?? '', limit + 1) as ScheduleTuple[]).map(scheduleOf);
    const items = found.slice(0, limit);
    const last = items.at(-1);
    const more = found.length > items.length && last !== undefined;
    return { items, next: more ? encodeCursor('schedules', { at: 0, id: last.name }) : null };
  }

  readEntries({ tenant, space, key, after, limit }: EntryQuery): EntryRow[] {
    const conditions = ['tenant = ?', 'space = ?'];
    const parameters: (string | number)[] = [tenant, space];
    if (key !== undefined) {
      conditions.push('key = ?');
      parameters.push(key);
    }
    if (after !== undefined) {
      conditions.push('(key, ref) > (?, ?)');
      parameters.push(after.key, after.ref);
    }
    const sql = `SELECT ${entryColumns} FROM entry WHERE ${conditions.join(' AND ')} ORDER BY key, ref LIMIT ?`;
    return (this.#sql(sql).all(...parameters, limit) as EntryTuple[]).map(entryOf);
  }

  listPartitions({ after, limit }: { readonly after: PartitionKey | null; readonly limit: number }): PartitionHead[] {
    const from = after === null ? '' : 'WHERE (tenant, topic, part) > (?, ?, ?)';
    const parameters = after === null ? [] : [after.tenant, after.topic, after.partition];
    const sql = `SELECT tenant, topic, part, head FROM topic_head ${from} ORDER BY tenant, topic, part LIMIT ?`;
    const rows = this.#sql(sql).all(...parameters, limit) as [string, string, number, number][];
    return rows.map(([tenant, topic, partition, head]) => ({ tenant, topic, partition, head }));
  }

  listTopics(tenant: string): TopicHead[] {
    const sql = 'SELECT topic, part, head FROM topic_head WHERE tenant = ? ORDER BY topic, part';
    const rows = this.#sql(sql).all(tenant) as [topic: string, partition: number, head: number][];
    return rows.map(([topic, partition, head]) => ({ topic, partition, head }));
  }

  readDedupe(now: number, tenant: string, scope: string, key: string): DedupeRow | null {
    const sql = `SELECT hash, reference, expires_at FROM dedupe
      WHERE tenant = ? AND scope = ? AND key = ? AND expires_at > ?`;
    const row = this.#sql(sql).get(tenant, scope, key, now) as [string, string, number] | undefined;
    if (row === undefined) return null;
    const [hash, reference, expiresAt] = row;
    return { tenant, scope, key, hash, reference, expiresAt };
  }

  readDedupes(now: number, tenant: string, keys: readonly DedupeKey[]): (DedupeRow | null)[] {
    return keys.map(({ scope, key }) => this.readDedupe(now, tenant, scope, key));
  }

  listDeadLetters(query: DeadLetterQuery, after: ListKey | null): Page<DeadLetterRow> {
    const conditions = ['tenant = ?'];
    const parameters: (string | number)[] = [query.tenant];
    if (query.class !== undefined) {
      conditions.push('class = ?');
      parameters.push(query.class);
    }
    if (query.workflow !== undefined) {
      conditions.push('workflow = ?');
      parameters.push(query.workflow);
    }
    if (after !== null) {
      conditions.push('(at, id) < (?, ?)');
      parameters.push(after.at, after.id);
    }
    const rows = this.#sql(
      `SELECT ${deadLetterColumns} FROM dead_letter INDEXED BY dead_letter_at
       WHERE ${conditions.join(' AND ')} ORDER BY at DESC, id DESC LIMIT ?`,
    ).all(...parameters, query.limit + 1);
    const found = (rows as DeadLetterTuple[]).map(deadLetterOf);
    const items = found.slice(0, query.limit);
    const last = items.at(-1);
    const more = found.length > items.length && last !== undefined;
    return { items, next: more ? encodeCursor('dead-letters', { at: last.at, id: last.id }) : null };
  }

  readDeadLetter(tenant: string, id: string): DeadLetterRow | null {
    const row = this.#sql(`SELECT ${deadLetterColumns} FROM dead_letter WHERE tenant = ? AND id = ?`).get(tenant, id);
    return row === undefined ? null : deadLetterOf(row as DeadLetterTuple);
  }

  readTally(): TallyRow[] {
    const rows = this.#sql('SELECT tenant, kind, name, state, count FROM tally WHERE count <> 0').all();
    return (rows as [tenant: string, kind: number, name: string, state: number, count: number][])
      .map(([tenant, code, name, state, count]) => {
        const kind = nameOf(tallyKinds, code);
        return {
          tenant,
          kind,
          name,
          state: kind === 'run' ? nameOf(runStatuses, state) : nameOf(taskStates, state),
          count,
        };
      })
      .sort(compareTally);
  }

  queueStats(): QueueStats[] {
    const rows = this.#sql(
      'SELECT name, state, sum(count) FROM tally WHERE kind = 1 AND count <> 0 GROUP BY name, state ORDER BY name',
    ).all() as [queue: string, state: number, count: number][];
    const counts = new Map<string, Record<TaskState, number>>();
    for (const [queue, state, count] of rows) {
      const found = counts.get(queue) ?? { ready: 0, delayed: 0, held: 0, leased: 0 };
      found[nameOf(taskStates, state)] = count;
      counts.set(queue, found);
    }
    return [...counts].map(([queue, of]) => ({
      queue,
      ...of,
      oldestReadyAt: of.ready === 0 ? null : this.#oldestReadyAt(queue),
    }));
  }

  /** Reads the ready part of the index, which holds the instant; the table itself is not touched. */
  #oldestReadyAt(queue: string): number | null {
    return this.#number('SELECT min(ready_at) FROM task INDEXED BY task_ready WHERE queue = ? AND state = 0', queue);
  }

  listSessions(): SessionRow[] {
    const rows = this.#sql(`SELECT ${sessionColumns} FROM session ORDER BY session`).all() as SessionColumns[];
    return rows.map(sessionRow);
  }

  readBlob(tenant: string, hash: string): Uint8Array | null {
    const sql = 'SELECT d.bytes FROM blob b JOIN blob_data d ON d.id = b.id WHERE b.tenant = ? AND b.hash = ?';
    const row = this.#sql(sql).get(tenant, hash) as [Uint8Array | null] | undefined;
    if (row === undefined) return null;
    // It was made for this call.
    return row[0] ?? new Uint8Array(0);
  }

  listManifests(): ManifestRow[] {
    const sql = 'SELECT app, hash, manifest, registered_at FROM manifest ORDER BY registered_at, app, hash';
    const rows = this.#sql(sql).all() as [app: string, hash: string, manifest: string, registeredAt: number][];
    return rows.map(([app, hash, manifest, registeredAt]) => ({ app, hash, manifest, registeredAt }));
  }

  check(limit: number): Violation[] {
    return checkFile(this.#database, limit);
  }

  #number(sql: string, ...parameters: (string | number)[]): number | null {
    const row = this.#sql(sql).get(...parameters) as [number | null] | undefined;
    return row?.[0] ?? null;
  }

  #sql(text: string): SqliteStatement {
    const found = this.#statements.get(text);
    if (found !== undefined) return found;
    const made = prepare(this.#database, text);
    this.#statements.set(text, made);
    return made;
  }
}

export const runColumns = `tenant, run, workflow, version, status, head, priority, started_at, updated_at, expires_at,
  cancel_requested, failure_class, failure_code, failure_message, labels`;
export type RunTuple = readonly [
  string,
  string,
  string,
  string | null,
  number,
  number,
  number,
  number,
  number,
  number | null,
  number,
  string | null,
  string | null,
  string | null,
  string | null,
];

export function runOf(row: RunTuple): RunRow {
  const [tenant, run, workflow, version, status, head, priority, startedAt, updatedAt, expiresAt, cancel, ...rest] =
    row;
  const [failureClass, failureCode, failureMessage, labels] = rest;
  return {
    tenant,
    run,
    workflow,
    version,
    status: nameOf(runStatuses, status),
    head,
    priority,
    startedAt,
    updatedAt,
    expiresAt,
    cancelRequested: cancel === 1,
    failureClass,
    failureCode,
    failureMessage,
    labels: labels === null ? null : (JSON.parse(labels) as Record<string, string>),
  };
}

export const eventColumns = 'position, tenant, stream, seq, blob, body';
export type EventTuple = readonly [number, string, string, number, string | null, Uint8Array];

export function eventOf([position, tenant, stream, seq, blob, body]: EventTuple): EventRow {
  return { position, tenant, stream, seq, ...unpackEvent(body, blob) };
}

export const taskColumns = `tenant, run, task, kind, queue, rank, state, attempt, token, deadline_ms, input_seq, due_at, limit_key,
  session, assignment, leased_at, ready_at`;
export type TaskTuple = readonly [
  string,
  string,
  string,
  number,
  string,
  number,
  number,
  number,
  number,
  number,
  number,
  number | null,
  string | null,
  string | null,
  number | null,
  number | null,
  number,
];

export function taskOf(row: TaskTuple): TaskRow {
  const [tenant, run, task, kind, queue, rank, state, attempt, token, deadlineMs, inputSeq, dueAt, limitKey, ...rest] =
    row;
  const [session, assignment, leasedAt, readyAt] = rest;
  return {
    tenant,
    run,
    task,
    kind: nameOf(taskKinds, kind),
    queue,
    rank,
    state: nameOf(taskStates, state),
    attempt,
    token,
    deadlineMs,
    inputSeq,
    dueAt,
    limitKey,
    session,
    assignment,
    leasedAt,
    readyAt,
  };
}

export type TimerTuple = readonly [tenant: string, run: string, name: string, fireAt: number];

export function timerOf([tenant, run, name, fireAt]: TimerTuple): TimerRow {
  return { tenant, run, name, fireAt };
}

export const entryColumns = 'tenant, space, key, ref, value, run, at';
export type EntryTuple = readonly [string, string, string, string, value: string, run: string, at: number];

export function entryOf([tenant, space, key, ref, value, run, at]: EntryTuple): EntryRow {
  return { tenant, space, key, ref, value, run, at };
}

export const scheduleColumns = 'tenant, name, version, due_at, body';
export type ScheduleTuple = readonly [
  tenant: string,
  name: string,
  version: number,
  dueAt: number | null,
  body: string,
];

export function scheduleOf([tenant, name, version, dueAt, body]: ScheduleTuple): ScheduleRow {
  return { tenant, name, version, dueAt, body };
}

export const deadLetterColumns = 'tenant, id, run, workflow, path, class, code, message, attempts, at';
export type DeadLetterTuple = readonly [
  string,
  string,
  string,
  string,
  string | null,
  string,
  string,
  string,
  number,
  number,
];

export function deadLetterOf(row: DeadLetterTuple): DeadLetterRow {
  const [tenant, id, run, workflow, path, failureClass, code, message, attempts, at] = row;
  return { tenant, id, run, workflow, path, class: failureClass, code, message, attempts, at };
}

function compareTally(a: TallyRow, b: TallyRow): number {
  return (
    compareText(a.tenant, b.tenant) ||
    compareText(a.kind, b.kind) ||
    compareText(a.name, b.name) ||
    compareText(a.state, b.state)
  );
}
