/**
 * A database read as a whole, within one transaction that somebody else has begun: page by page along the keys of its
 * tables, and events by their position in the feed.
 */
import { dumpBatchBlobsMax, dumpBatchRowsMax, type DumpBatch } from '../../store/index.js';
import type { Session } from './database.js';
import { feedPage } from './feed.js';
import type { Row, Value } from './pipeline.js';
import {
  bytes,
  deadLetterColumns,
  deadLetterRow,
  entryColumns,
  entryRow,
  eventColumns,
  eventRow,
  int,
  runColumns,
  runRow,
  scheduleColumns,
  scheduleRow,
  taskColumns,
  taskRow,
  text,
  timerColumns,
  timerRow,
} from './rows.js';

/** All rows as the transaction of the session sees them. Events that have no position yet are not among them. */
export async function* dumpTablesOf(session: Session, s: string): AsyncGenerator<DumpBatch, void> {
  const pages = (columns: string, table: string, key: readonly string[], rowsMax = dumpBatchRowsMax) =>
    pagesOf(session, { columns, from: `${s}.${table}`, key, rowsMax });
  for await (const rows of pages('app, hash, manifest, registered_at', 'manifest', ['app', 'hash']))
    yield {
      table: 'manifests',
      rows: rows.map((row) => ({
        app: text(row[0]),
        hash: text(row[1]),
        manifest: text(row[2]),
        registeredAt: int(row[3]),
      })),
    };
  for await (const rows of pages(
    'tenant, hash, refs, created_at, bytes',
    'blob',
    ['tenant', 'hash'],
    dumpBatchBlobsMax,
  ))
    yield {
      table: 'blobs',
      rows: rows.map((row) => ({
        tenant: text(row[0]),
        hash: text(row[1]),
        refs: int(row[2]),
        createdAt: int(row[3]),
        bytes: new Uint8Array(bytes(row[4])),
      })),
    };
  for await (const rows of pages(`${runColumns}, sealed`, 'run', ['tenant', 'run']))
    yield {
      table: 'runs',
      rows: rows.map((row) => {
        const sealed = row.at(-1) ?? null;
        return { ...runRow(row), sealed: sealed === null ? null : new Uint8Array(bytes(sealed)) };
      }),
    };
  yield* events(session, s);
  for await (const rows of pages('tenant, topic, part, head', 'topic_head', ['tenant', 'topic', 'part::bigint']))
    yield {
      table: 'topics',
      rows: rows.map((row) => ({
        tenant: text(row[0]),
        topic: text(row[1]),
        partition: int(row[2]),
        head: int(row[3]),
      })),
    };
  for await (const rows of pages(taskColumns, 'task', ['tenant', 'run', 'task']))
    yield { table: 'tasks', rows: rows.map(taskRow) };
  for await (const rows of pages(timerColumns, 'timer', ['tenant', 'run', 'name']))
    yield { table: 'timers', rows: rows.map(timerRow) };
  for await (const rows of pages(entryColumns, 'entry', ['tenant', 'space', 'key', 'ref']))
    yield { table: 'entries', rows: rows.map(entryRow) };
  for await (const rows of pages(scheduleColumns, 'schedule', ['tenant', 'name']))
    yield { table: 'schedules', rows: rows.map(scheduleRow) };
  for await (const rows of pages('tenant, scope, key, hash, reference, expires_at', 'dedupe', [
    'tenant',
    'scope',
    'key',
  ]))
    yield {
      table: 'dedupe',
      rows: rows.map((row) => ({
        tenant: text(row[0]),
        scope: text(row[1]),
        key: text(row[2]),
        hash: text(row[3]),
        reference: text(row[4]),
        expiresAt: int(row[5]),
      })),
    };
  for await (const rows of pages(deadLetterColumns, 'dead_letter', ['tenant', 'id']))
    yield { table: 'deadLetters', rows: rows.map(deadLetterRow) };
}

async function* events(session: Session, s: string): AsyncGenerator<DumpBatch, void> {
  let after = 0;
  for (;;) {
    const [rows = []] = await session.run([feedPage(s, eventColumns, after, dumpBatchRowsMax)]);
    if (rows.length === 0) return;
    const read = rows.map((row) => eventRow(row));
    yield { table: 'events', rows: read };
    after = read.at(-1)?.position ?? after;
  }
}

interface Pages {
  readonly columns: string;
  readonly from: string;
  /** Columns of the key, text unless a type follows. */
  readonly key: readonly string[];
  readonly rowsMax: number;
}

/** Pages in the order of the key. */
async function* pagesOf(
  session: Session,
  { columns, from, key, rowsMax }: Pages,
): AsyncGenerator<readonly Row[], void> {
  const names = key.map((column) => column.split('::')[0] ?? column).join(', ');
  const values = key.map((column, i) => `$${i + 1}::${column.split('::')[1] ?? 'text'}`).join(', ');
  let last: readonly Value[] | null = null;
  for (;;) {
    const after: string = last === null ? '' : `WHERE (${names}) > (${values})`;
    const text = `SELECT ${names}, ${columns} FROM ${from} ${after} ORDER BY ${names} LIMIT ${rowsMax}`;
    const [rows = []]: Row[][] = await session.run([{ text, values: last ?? [] }]);
    const end = rows.at(-1);
    if (end === undefined) return;
    yield rows.map((row) => row.slice(key.length));
    if (rows.length < rowsMax) return;
    last = end.slice(0, key.length);
  }
}
