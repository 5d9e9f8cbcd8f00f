/**
 * A file read as a whole, in this thread, page by page along the keys of its tables. The file is owned meanwhile, so that
 * no server has it; nothing in it changes but the number of its openings.
 */
import { realpathSync } from 'node:fs';
import { SpineError } from '../../core/errors.js';
import {
  dumpBatchBlobsMax,
  dumpBatchRowsMax,
  type DumpBatch,
  type DumpHead,
  type DumpSource,
  type Violation,
} from '../../store/index.js';
import { checkFile } from './check.js';
import { openWriter } from './connection.js';
import { loadDriver, prepare, readValue, type SqlValue, type SqliteDatabase } from './driver.js';
import { feedHeadSql } from './feed-head.js';
import { takeOwnership, type Ownership } from './owner.js';
import { mark } from './provenance.js';
import {
  deadLetterColumns,
  deadLetterOf,
  entryColumns,
  entryOf,
  eventColumns,
  eventOf,
  runColumns,
  runOf,
  scheduleColumns,
  scheduleOf,
  taskColumns,
  taskOf,
  timerOf,
  type DeadLetterTuple,
  type EntryTuple,
  type EventTuple,
  type RunTuple,
  type ScheduleTuple,
  type TaskTuple,
  type TimerTuple,
} from './reads.js';

/** A file that is being read as a whole. */
export interface SqliteDump extends DumpSource {
  /** Marks the file as moved: no server opens it any more (STORE_UNSUITABLE). It can still be moved once more. */
  retire(now: number): void;
}

/**
 * Opens a file to read all of it. Rejects with STORE_OWNED while a server has it, STORE_TOO_NEW, STORE_UNSUITABLE. A file
 * that was moved before is opened all the same.
 */
export async function openSqliteDump(options: { readonly file: string }): Promise<SqliteDump> {
  const driver = await loadDriver();
  let file: string;
  try {
    file = realpathSync(options.file);
  } catch (cause) {
    throw new SpineError('STORE_UNSUITABLE', { reason: `${options.file} cannot be opened` }, { cause });
  }
  const ownership = takeOwnership(driver, file, null);
  try {
    return new Dump(openWriter(driver, file, { evenMoved: true }).database, ownership);
  } catch (error) {
    ownership.release();
    throw error;
  }
}

/** All rows of an open connection, table by table. */
export function* dumpTablesOf(database: SqliteDatabase): Generator<DumpBatch, void> {
  type Manifest = readonly [app: string, hash: string, manifest: string, registeredAt: number];
  for (const rows of pages<Manifest>(database, 'app, hash, manifest, registered_at', 'manifest', ['app', 'hash']))
    yield {
      table: 'manifests',
      rows: rows.map(([app, hash, manifest, registeredAt]) => ({ app, hash, manifest, registeredAt })),
    };
  type Blob = readonly [tenant: string, hash: string, refs: number, createdAt: number, bytes: Uint8Array | null];
  const bytes = '(SELECT bytes FROM blob_data d WHERE d.id = blob.id)';
  const blobs = pages<Blob>(
    database,
    `tenant, hash, refs, created_at, ${bytes}`,
    'blob',
    ['tenant', 'hash'],
    dumpBatchBlobsMax,
  );
  for (const rows of blobs)
    yield {
      table: 'blobs',
      rows: rows.map(([tenant, hash, refs, createdAt, stored]) => ({
        tenant,
        hash,
        bytes: new Uint8Array(stored ?? []),
        refs,
        createdAt,
      })),
    };
  type Run = readonly [...RunTuple, sealed: Uint8Array | null];
  for (const rows of pages<Run>(database, `${runColumns}, sealed`, 'run', ['tenant', 'run']))
    yield {
      table: 'runs',
      rows: rows.map((row) => ({ ...runOf(row.slice(0, -1) as unknown as RunTuple), sealed: sealOf(row.at(-1)) })),
    };
  for (const rows of pages<EventTuple>(database, eventColumns, 'event', ['position']))
    yield { table: 'events', rows: rows.map(eventOf) };
  type Head = readonly [tenant: string, topic: string, partition: number, head: number];
  for (const rows of pages<Head>(database, 'tenant, topic, part, head', 'topic_head', ['tenant', 'topic', 'part']))
    yield {
      table: 'topics',
      rows: rows.map(([tenant, topic, partition, head]) => ({ tenant, topic, partition, head })),
    };
  for (const rows of pages<TaskTuple>(database, taskColumns, 'task', ['tenant', 'run', 'task']))
    yield { table: 'tasks', rows: rows.map(taskOf) };
  for (const rows of pages<TimerTuple>(database, 'tenant, run, name, fire_at', 'timer', ['tenant', 'run', 'name']))
    yield { table: 'timers', rows: rows.map(timerOf) };
  for (const rows of pages<EntryTuple>(database, entryColumns, 'entry', ['tenant', 'space', 'key', 'ref']))
    yield { table: 'entries', rows: rows.map(entryOf) };
  for (const rows of pages<ScheduleTuple>(database, scheduleColumns, 'schedule', ['tenant', 'name']))
    yield { table: 'schedules', rows: rows.map(scheduleOf) };
  type Dedupe = readonly [string, string, string, hash: string, reference: string, expiresAt: number];
  const dedupeKey = ['tenant', 'scope', 'key'];
  for (const rows of pages<Dedupe>(database, 'tenant, scope, key, hash, reference, expires_at', 'dedupe', dedupeKey))
    yield {
      table: 'dedupe',
      rows: rows.map(([tenant, scope, key, hash, reference, expiresAt]) => ({
        tenant,
        scope,
        key,
        hash,
        reference,
        expiresAt,
      })),
    };
  for (const rows of pages<DeadLetterTuple>(database, deadLetterColumns, 'dead_letter', ['tenant', 'id']))
    yield { table: 'deadLetters', rows: rows.map(deadLetterOf) };
}

/** Pages of a table in the order of its key. */
function* pages<T extends readonly unknown[]>(
  database: SqliteDatabase,
  columns: string,
  table: string,
  key: readonly string[],
  rowsMax = dumpBatchRowsMax,
): Generator<readonly T[], void> {
  const order = `ORDER BY ${key.join(', ')} LIMIT ${rowsMax}`;
  const first = prepare(database, `SELECT ${key.join(', ')}, ${columns} FROM ${table} ${order}`);
  const after = `WHERE (${key.join(', ')}) > (${key.map(() => '?').join(', ')})`;
  const next = prepare(database, `SELECT ${key.join(', ')}, ${columns} FROM ${table} ${after} ${order}`);
  let rows = first.all() as (readonly unknown[])[];
  for (;;) {
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map((row) => row.slice(key.length) as unknown as T);
    if (rows.length < rowsMax) return;
    rows = next.all(...(last.slice(0, key.length) as SqlValue[])) as (readonly unknown[])[];
  }
}

function sealOf(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? new Uint8Array(value) : null;
}

class Dump implements SqliteDump {
  readonly head: DumpHead;
  readonly #database: SqliteDatabase;
  readonly #ownership: Ownership;
  #closed = false;

  constructor(database: SqliteDatabase, ownership: Ownership) {
    this.#database = database;
    this.#ownership = ownership;
    this.head = {
      epoch: Number(readValue(database, "SELECT value FROM meta WHERE key = 'epoch'")),
      feedHead: Number(readValue(database, feedHeadSql)),
    };
  }

  async *batches(): AsyncGenerator<DumpBatch, void> {
    yield* dumpTablesOf(this.#database);
  }

  async check(limit: number): Promise<Violation[]> {
    return checkFile(this.#database, limit);
  }

  retire(now: number): void {
    mark(this.#database, 'moved_at', now);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#database.close();
    this.#ownership.release();
  }
}
