/**
 * From a workbench to statements: one for each table that has changed, in the one order of locks. Each part is written
 * once; what was flushed before a claim is not written again after it.
 */
import type { RunRow } from '../../core/run/state.js';
import {
  type EntryRow,
  kindCode,
  payloadKind,
  type ScheduleRow,
  stateCode,
  statusCode,
  type StoredPayload,
  type TaskRow,
} from '../../store/index.js';
import { bools, byteas, float8s, int2s, int4s, int8s, texts, utf8Byteas } from './arrays.js';
import type { Statement, Value } from './pipeline.js';
import { arraysOf, column, type Column, rowsStatement } from './row-statement.js';
import type { Sql } from './sql.js';
import { foundOf, type EventEntry, type TaskEntry, type TopicEventEntry, type Workbench } from './workbench.js';

/** What locks and compares rows that are not written, so that they are locked where those of their table are. */
export interface Checks {
  readonly runs: readonly Statement[];
  readonly leases: readonly Statement[];
}

/** What must be in the tables before a claim looks at them: runs, events and tasks. */
export function flushWork(sql: Sql, bench: Workbench, commit: number, checks: Checks | null = null): Statement[] {
  const runs = runStatements(sql, bench);
  const tasks = taskStatements(sql, bench);
  const events = eventStatements(sql, bench, commit);
  return checks === null
    ? [...runs, ...tasks, ...events]
    : [...checks.runs, ...runs, ...checks.leases, ...tasks, ...events];
}

/** Everything else but what is locked last. */
export function flushRest(sql: Sql, bench: Workbench): Statement[] {
  return [
    ...outboxStatements(sql, bench),
    ...scheduleStatements(sql, bench),
    ...timerStatements(sql, bench),
    ...entryStatements(sql, bench),
    ...dedupeStatements(sql, bench),
    ...letterStatements(sql, bench),
    ...blobStatements(sql, bench),
    ...trimStatements(sql, bench),
  ];
}

function runStatements(sql: Sql, bench: Workbench): Statement[] {
  const added: { row: RunRow; era: number; found: number }[] = [];
  const moved: typeof added = [];
  for (const entry of bench.runs.values()) {
    if (entry.write === null) continue;
    (entry.stored ? moved : added).push({ row: entry.write, era: entry.era, found: entry.found });
    entry.found = entry.write.head;
    entry.write = null;
    entry.stored = true;
  }
  const statements: Statement[] = [];
  const columnsOf = (entries: typeof added): Column[] => [
    ...runColumnsOf(entries.map(({ row }) => row)),
    column(int4s, entries, ({ era }) => era),
  ];
  if (moved.length > 0) {
    const found = column(int8s, moved, (entry) => entry.found);
    statements.push(rowsStatement(sql.moveRuns, [...columnsOf(moved), found], moved.length));
  }
  if (added.length > 0) statements.push(rowsStatement(sql.addRuns, columnsOf(added)));
  return statements;
}

/** The columns of runs, but for `era` and `sealed`. */
export function runColumnsOf(rows: readonly RunRow[]): Column[] {
  return [
    column(texts, rows, (row) => row.tenant),
    column(texts, rows, (row) => row.run),
    column(texts, rows, (row) => row.workflow),
    column(texts, rows, (row) => row.version),
    column(int2s, rows, (row) => statusCode[row.status]),
    column(int8s, rows, (row) => row.head),
    column(int8s, rows, (row) => row.priority),
    column(int8s, rows, (row) => row.startedAt),
    column(int8s, rows, (row) => row.updatedAt),
    column(int8s, rows, (row) => row.expiresAt),
    column(bools, rows, (row) => row.cancelRequested),
    column(texts, rows, (row) => row.failureClass),
    column(texts, rows, (row) => row.failureCode),
    column(texts, rows, (row) => row.failureMessage),
    column(texts, rows, (row) => (row.labels === null ? null : JSON.stringify(row.labels))),
  ];
}

function taskStatements(sql: Sql, bench: Workbench): Statement[] {
  const dropped: (TaskEntry['key'] & TaskEntry['found'])[] = [];
  const added: TaskRow[] = [];
  const moved: TaskRow[] = [];
  for (const entry of bench.tasks.values()) {
    if (!entry.dirty) continue;
    if (entry.now === null) {
      if (entry.stored) dropped.push({ ...entry.key, ...entry.found });
    } else if (entry.stored) moved.push(entry.now);
    else added.push(entry.now);
    entry.dirty = false;
    entry.stored = entry.now !== null;
    if (entry.now !== null) entry.found = foundOf(entry.now);
  }
  const statements: Statement[] = [];
  if (dropped.length > 0) statements.push(rowsStatement(sql.dropTasks, droppedColumns(dropped), dropped.length));
  if (moved.length > 0) statements.push(rowsStatement(sql.moveTasks, taskColumnsOf(moved)));
  if (added.length > 0) statements.push(rowsStatement(sql.addTasks, taskColumnsOf(added)));
  return statements;
}

/** Keys of tasks that are to go, with what they are believed to be. */
function droppedColumns(dropped: readonly (TaskEntry['key'] & TaskEntry['found'])[]): Column[] {
  return [
    column(texts, dropped, (key) => key.tenant),
    column(texts, dropped, (key) => key.run),
    column(texts, dropped, (key) => key.task),
    column(int2s, dropped, ({ state }) => state),
    column(int8s, dropped, ({ token }) => token),
  ];
}

/** The columns of tasks. */
export function taskColumnsOf(rows: readonly TaskRow[]): Column[] {
  return [
    column(texts, rows, (row) => row.tenant),
    column(texts, rows, (row) => row.run),
    column(texts, rows, (row) => row.task),
    column(int2s, rows, (row) => kindCode[row.kind]),
    column(texts, rows, (row) => row.queue),
    column(float8s, rows, (row) => row.rank),
    column(int2s, rows, (row) => stateCode[row.state]),
    column(int8s, rows, (row) => row.attempt),
    column(int8s, rows, (row) => row.token),
    column(int8s, rows, (row) => row.deadlineMs),
    column(int8s, rows, (row) => row.inputSeq),
    column(int8s, rows, (row) => row.dueAt),
    column(texts, rows, (row) => row.limitKey),
    column(texts, rows, (row) => row.session),
    column(int8s, rows, (row) => row.assignment),
    column(int8s, rows, (row) => row.leasedAt),
    column(int8s, rows, (row) => row.readyAt),
  ];
}

function eventStatements(sql: Sql, bench: Workbench, commit: number): Statement[] {
  const { events } = bench;
  if (events.length === 0) return [];
  bench.events = [];
  const columns = [
    column(texts, events, (event) => event.tenant),
    column(texts, events, (event) => event.stream),
    column(int8s, events, (event) => event.seq),
    ...bodyColumnsOf(events),
    column(int4s, events, (event) => event.era),
    column(int4s, events, (event) => event.n),
  ];
  return [rowsStatement(sql.addEvents, columns, commit)];
}

/** Topic events, with as many offsets before the head that the counter comes to as follow each in its partition. */
export function publishStatement(sql: Sql, bench: Workbench, commit: number): Statement | null {
  const events = bench.topicEvents;
  if (events.length === 0) return null;
  const topics = [...bench.topics.values()];
  return {
    text: sql.publish,
    values: [
      texts(events.map((event) => event.tenant)),
      texts(events.map((event) => event.topic)),
      int8s(events.map((event) => event.partition)),
      ...arraysOf(bodyColumnsOf(events)),
      int8s(events.map((event) => eventsFrom(bench, event))),
      int4s(events.map((event) => event.n)),
      commit,
      texts(topics.map((topic) => topic.tenant)),
      texts(topics.map((topic) => topic.topic)),
      int8s(topics.map((topic) => topic.partition)),
      int8s(topics.map((topic) => topic.events)),
      bench.era,
    ],
  };
}

/** How many events of its partition there are in the batch from this one on: its offset is that far below the new head. */
export function eventsFrom(bench: Workbench, event: TopicEventEntry): number {
  const topic = bench.topics.get([event.tenant, event.topic, String(event.partition)].join('\0'));
  return (topic?.events ?? 0) - event.index;
}

type Body = Pick<EventEntry, 'type' | 'at' | 'envelope' | 'payload'>;

/** What an event holds beside its keys: type, instant, kind of payload, envelope, salt, blob, payload. */
export function bodyColumnsOf(events: readonly Body[]): Column[] {
  return [
    column(texts, events, (event) => event.type),
    column(int8s, events, (event) => event.at),
    column(int2s, events, (event) => kindOf(event.payload)),
    column(utf8Byteas, events, (event) => event.envelope, utf8Bytes),
    column(byteas, events, (event) => event.payload?.salt ?? null),
    column(texts, events, ({ payload }) => (payload !== null && 'blob' in payload ? payload.blob : null)),
    column(
      utf8Byteas,
      events,
      ({ payload }) => (payload !== null && 'text' in payload ? payload.text : null),
      utf8Bytes,
    ),
  ];
}

function utf8Bytes(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

function kindOf(payload: StoredPayload | null): number {
  if (payload === null) return payloadKind.none;
  return 'blob' in payload ? payloadKind.blob : payloadKind.inline;
}

function outboxStatements(sql: Sql, bench: Workbench): Statement[] {
  const ids = bench.outboxDone;
  bench.outboxDone = [];
  return ids.length === 0 ? [] : [{ text: sql.dropOutbox, values: [int8s(ids)] }];
}

/** One that is new is added as a new row, so that who adds it at the same time elsewhere makes this fail and be worked out anew. */
function scheduleStatements(sql: Sql, bench: Workbench): Statement[] {
  const dropped: { readonly tenant: string; readonly name: string }[] = [];
  const added: ScheduleRow[] = [];
  const moved: ScheduleRow[] = [];
  for (const { tenant, name, stored, now, dirty } of bench.schedules.values()) {
    if (!dirty) continue;
    if (now !== null) (stored ? moved : added).push(now);
    else if (stored) dropped.push({ tenant, name });
  }
  const statements: Statement[] = [];
  if (dropped.length > 0)
    statements.push({
      text: sql.dropSchedules,
      values: [texts(dropped.map(({ tenant }) => tenant)), texts(dropped.map(({ name }) => name))],
    });
  if (moved.length > 0) statements.push({ text: sql.moveSchedules, values: scheduleValues(moved) });
  if (added.length > 0) statements.push({ text: sql.addSchedules, values: scheduleValues(added) });
  return statements;
}

/** The columns of schedules. */
export function scheduleValues(rows: readonly ScheduleRow[]): Value[] {
  return [
    texts(rows.map(({ tenant }) => tenant)),
    texts(rows.map(({ name }) => name)),
    int8s(rows.map(({ version }) => version)),
    int8s(rows.map(({ dueAt }) => dueAt)),
    texts(rows.map(({ body }) => body)),
  ];
}

function timerStatements(sql: Sql, bench: Workbench): Statement[] {
  const cleared = [...bench.timers.values()].filter(({ fireAt }) => fireAt === null);
  const set = [...bench.timers.values()].filter(({ fireAt }) => fireAt !== null);
  bench.timers = new Map();
  const keys = (timers: typeof cleared): Value[] => [
    texts(timers.map((timer) => timer.tenant)),
    texts(timers.map((timer) => timer.run)),
    texts(timers.map((timer) => timer.name)),
  ];
  const statements: Statement[] = [];
  if (cleared.length > 0) statements.push({ text: sql.dropTimers, values: keys(cleared) });
  if (set.length > 0)
    statements.push({ text: sql.putTimers, values: [...keys(set), int8s(set.map(({ fireAt }) => fireAt))] });
  return statements;
}

function entryStatements(sql: Sql, bench: Workbench): Statement[] {
  const named = [...bench.entries];
  const entries = named.map(([, entry]) => entry);
  bench.entries = new Map();
  const dropped = entries.filter(({ row }) => row === null);
  const put: EntryRow[] = [];
  const added: EntryRow[] = [];
  for (const [name, { row }] of named) {
    const guarded = bench.guarded.get(name);
    if (row !== null) (guarded?.stored === false ? added : put).push(row);
    if (guarded !== undefined) guarded.stored = row !== null;
  }
  const statements: Statement[] = [];
  if (dropped.length > 0)
    statements.push({
      text: sql.dropEntries,
      values: [
        texts(dropped.map((entry) => entry.tenant)),
        texts(dropped.map((entry) => entry.key.space)),
        texts(dropped.map((entry) => entry.key.key)),
        texts(dropped.map((entry) => entry.key.ref)),
      ],
    });
  if (put.length > 0) statements.push({ text: sql.putEntries, values: entryValues(put) });
  // Who adds one of them at the same time elsewhere makes this fail, and it is worked out anew.
  if (added.length > 0) statements.push({ text: sql.addEntries, values: entryValues(added) });
  return statements;
}

/** The columns of entries. */
export function entryValues(rows: readonly EntryRow[]): Value[] {
  return [
    texts(rows.map((row) => row.tenant)),
    texts(rows.map((row) => row.space)),
    texts(rows.map((row) => row.key)),
    texts(rows.map((row) => row.ref)),
    texts(rows.map((row) => row.value)),
    texts(rows.map((row) => row.run)),
    int8s(rows.map((row) => row.at)),
  ];
}

/** A key is added as a new row, so that who takes it at the same time elsewhere makes this fail and be worked out anew. */
function dedupeStatements(sql: Sql, bench: Workbench): Statement[] {
  const entries = [...bench.dedupe.values()].filter(({ dirty }) => dirty);
  const rows = entries.flatMap(({ now }) => (now === null ? [] : [now]));
  const expired = entries.flatMap(({ stored, now }) => (stored && now !== null ? [now] : []));
  const keys = (of: typeof rows): Value[] => [
    texts(of.map((row) => row.tenant)),
    texts(of.map((row) => row.scope)),
    texts(of.map((row) => row.key)),
  ];
  const statements: Statement[] = [];
  if (expired.length > 0) statements.push({ text: sql.dropDedupe, values: keys(expired) });
  if (rows.length > 0)
    statements.push({
      text: sql.addDedupe,
      values: [
        ...keys(rows),
        texts(rows.map((row) => row.hash)),
        texts(rows.map((row) => row.reference)),
        int8s(rows.map((row) => row.expiresAt)),
      ],
    });
  return statements;
}

function letterStatements(sql: Sql, bench: Workbench): Statement[] {
  const entries = [...bench.letters.values()];
  const dropped = entries.filter(({ stored, exists, write }) => stored && (!exists || write !== null));
  const added = entries.flatMap(({ write }) => (write === null ? [] : [write]));
  const statements: Statement[] = [];
  if (dropped.length > 0)
    statements.push({
      text: sql.dropLetters,
      values: [texts(dropped.map((entry) => entry.tenant)), texts(dropped.map((entry) => entry.id))],
    });
  if (added.length > 0)
    statements.push({
      text: sql.addLetters,
      values: [
        texts(added.map((row) => row.tenant)),
        texts(added.map((row) => row.id)),
        texts(added.map((row) => row.run)),
        texts(added.map((row) => row.workflow)),
        texts(added.map((row) => row.path)),
        texts(added.map((row) => row.class)),
        texts(added.map((row) => row.code)),
        texts(added.map((row) => row.message)),
        int8s(added.map((row) => row.attempts)),
        int8s(added.map((row) => row.at)),
      ],
    });
  return statements;
}

function blobStatements(sql: Sql, bench: Workbench): Statement[] {
  const entries = [...bench.blobs.values()];
  const added = entries.filter(({ write }) => write !== null);
  const referred = entries.filter(({ refs }) => refs > 0);
  const statements: Statement[] = [];
  if (added.length > 0)
    statements.push({
      text: sql.putBlobs,
      values: [
        texts(added.map((entry) => entry.tenant)),
        texts(added.map((entry) => entry.hash)),
        byteas(added.map((entry) => entry.write)),
        bench.now,
      ],
    });
  if (referred.length > 0)
    statements.push({
      text: sql.referBlobs,
      values: [
        texts(referred.map((entry) => entry.tenant)),
        texts(referred.map((entry) => entry.hash)),
        int8s(referred.map((entry) => entry.refs)),
      ],
    });
  return statements;
}

/** With those of blobs, which lose a reference: what was trimmed before is there to be read, so its blob is, too. */
function trimStatements(sql: Sql, bench: Workbench): Statement[] {
  return bench.trims.map(({ tenant, stream, offsets }) => ({
    text: sql.trim,
    values: [tenant, stream, int8s(offsets)],
  }));
}

/** The counters that have moved. */
export function tallyStatement(sql: Sql, bench: Workbench, slot: number): Statement | null {
  const moved = [...bench.tally.values()].filter(({ count }) => count !== 0);
  if (moved.length === 0) return null;
  return {
    text: sql.count,
    values: [
      texts(moved.map((entry) => entry.tenant)),
      int2s(moved.map((entry) => entry.kind)),
      texts(moved.map((entry) => entry.name)),
      int2s(moved.map((entry) => entry.state)),
      int8s(moved.map((entry) => entry.count)),
      slot,
    ],
  };
}
