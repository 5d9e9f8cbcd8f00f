/** Rows of the tables as the contract has them, from the texts that the driver hands over. */
import type { RunRow } from '../../core/run/state.js';
import {
  type DeadLetterRow,
  type EntryRow,
  type ScheduleRow,
  type EventRow,
  nameOf,
  payloadKind,
  runStatuses,
  type SessionRow,
  type StoredPayload,
  taskKinds,
  type TaskRow,
  taskStates,
  type TimerRow,
} from '../../store/index.js';
import type { Row } from './pipeline.js';

type Column = string | null | undefined;

/** A text that is never null in its table. */
export function text(value: Column): string {
  if (value === null || value === undefined) throw new Error('Invariant broken: a column is missing');
  return value;
}

export function int(value: Column): number {
  return Number(text(value));
}

export function intOrNull(value: Column): number | null {
  return value === null || value === undefined ? null : Number(value);
}

export function textOrNull(value: Column): string | null {
  return value ?? null;
}

/** Bytes, which come as `\x` and hexadecimal digits. */
export function bytes(value: Column): Buffer {
  return Buffer.from(text(value).slice(2), 'hex');
}

export const runColumns = `tenant, run, workflow, version, status, head, priority, started_at, updated_at, expires_at,
  cancel_requested, failure_class, failure_code, failure_message, labels`;

export function runRow(row: Row): RunRow {
  const labels = textOrNull(row[14]);
  return {
    tenant: text(row[0]),
    run: text(row[1]),
    workflow: text(row[2]),
    version: textOrNull(row[3]),
    status: nameOf(runStatuses, int(row[4])),
    head: int(row[5]),
    priority: int(row[6]),
    startedAt: int(row[7]),
    updatedAt: int(row[8]),
    expiresAt: intOrNull(row[9]),
    cancelRequested: row[10] === 't',
    failureClass: textOrNull(row[11]),
    failureCode: textOrNull(row[12]),
    failureMessage: textOrNull(row[13]),
    labels: labels === null ? null : (JSON.parse(labels) as Record<string, string>),
  };
}

/** Columns of an event; `position` is put before them. */
export const eventColumns = 'tenant, stream, seq, type, at, payload_kind, envelope, salt, blob, payload';

/** An event from its position and `eventColumns`, which begin at `from`. */
export function eventRow(row: Row, from = 0): EventRow {
  return {
    position: int(row[from]),
    tenant: text(row[from + 1]),
    stream: text(row[from + 2]),
    seq: int(row[from + 3]),
    type: text(row[from + 4]),
    at: int(row[from + 5]),
    envelope: bytes(row[from + 7]).toString('utf8'),
    payload: payloadOf(int(row[from + 6]), row[from + 8], row[from + 9], row[from + 10]),
  };
}

function payloadOf(kind: number, salt: Column, blob: Column, payload: Column): StoredPayload | null {
  if (kind === payloadKind.none) return null;
  const stored = new Uint8Array(bytes(salt));
  if (kind === payloadKind.blob) return { salt: stored, blob: text(blob) };
  return { salt: stored, text: bytes(payload).toString('utf8') };
}

export const taskColumns = `tenant, run, task, kind, queue, rank, state, attempt, token, deadline_ms, input_seq, due_at,
  limit_key, session, assignment, leased_at, ready_at`;
export const taskColumnCount = 17;

export function taskRow(row: Row): TaskRow {
  return {
    tenant: text(row[0]),
    run: text(row[1]),
    task: text(row[2]),
    kind: nameOf(taskKinds, int(row[3])),
    queue: text(row[4]),
    rank: int(row[5]),
    state: nameOf(taskStates, int(row[6])),
    attempt: int(row[7]),
    token: int(row[8]),
    deadlineMs: int(row[9]),
    inputSeq: int(row[10]),
    dueAt: intOrNull(row[11]),
    limitKey: textOrNull(row[12]),
    session: textOrNull(row[13]),
    assignment: intOrNull(row[14]),
    leasedAt: intOrNull(row[15]),
    readyAt: int(row[16]),
  };
}

export const timerColumns = 'tenant, run, name, fire_at';

export function timerRow(row: Row): TimerRow {
  return { tenant: text(row[0]), run: text(row[1]), name: text(row[2]), fireAt: int(row[3]) };
}

export const entryColumns = 'tenant, space, key, ref, value, run, at';

export function entryRow(row: Row): EntryRow {
  return {
    tenant: text(row[0]),
    space: text(row[1]),
    key: text(row[2]),
    ref: text(row[3]),
    value: text(row[4]),
    run: text(row[5]),
    at: int(row[6]),
  };
}

export const scheduleColumns = 'tenant, name, version, due_at, body';

export function scheduleRow(row: Row): ScheduleRow {
  return {
    tenant: text(row[0]),
    name: text(row[1]),
    version: int(row[2]),
    dueAt: intOrNull(row[3]),
    body: text(row[4]),
  };
}

export const deadLetterColumns = 'tenant, id, run, workflow, path, class, code, message, attempts, at';

export function deadLetterRow(row: Row): DeadLetterRow {
  return {
    tenant: text(row[0]),
    id: text(row[1]),
    run: text(row[2]),
    workflow: text(row[3]),
    path: textOrNull(row[4]),
    class: text(row[5]),
    code: text(row[6]),
    message: text(row[7]),
    attempts: int(row[8]),
    at: int(row[9]),
  };
}

export const sessionColumns = 'session, owner, worker, app, opened_at, counter, received, info';

export function sessionRow(row: Row): SessionRow {
  return {
    session: text(row[0]),
    owner: int(row[1]),
    worker: text(row[2]),
    app: text(row[3]),
    openedAt: int(row[4]),
    counter: int(row[5]),
    received: int(row[6]),
    info: text(row[7]),
  };
}
