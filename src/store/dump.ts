/**
 * Everything that a store holds, as rows of the contract, on its way from one store into another. A backend that can be
 * read gives a `DumpSource`, one that can be filled a `DumpTarget`; `moveStore` knows nothing of either.
 *
 * What does not move: sessions and duties, which belong to openings of the old store. A task that is leased moves as
 * leased, by a session that is not there any more: the server that opens the new store loses the lease as it loses
 * any lease of a dead session, with the event that says so. So whether the attempt counts is decided in one place.
 *
 * Invariant: what a target has committed was read back from it and is equal to the source, row by row.
 */
import { SpineError } from '../core/errors.js';
import type { RunRow } from '../core/run/state.js';
import type {
  DeadLetterRow,
  DedupeRow,
  EntryRow,
  EventRow,
  ManifestRow,
  ScheduleRow,
  TaskRow,
  TimerRow,
  TopicHead,
  Violation,
} from './contract.js';
import type { BlobRow } from './memory-data.js';

/** The rows of each table. */
export interface DumpRows {
  readonly manifests: ManifestRow;
  readonly blobs: BlobRow;
  /** A run with the seal of its events, which is reserved for the ledger. */
  readonly runs: RunRow & { readonly sealed: Uint8Array | null };
  /** In the order of the feed. */
  readonly events: EventRow;
  readonly topics: TopicHead & { readonly tenant: string };
  readonly tasks: TaskRow;
  readonly timers: TimerRow;
  readonly entries: EntryRow;
  readonly schedules: ScheduleRow;
  readonly dedupe: DedupeRow;
  readonly deadLetters: DeadLetterRow;
}

export type DumpTable = keyof DumpRows;

/** The tables in the order in which they are moved: what others refer to comes first. */
export const dumpTables: readonly DumpTable[] = [
  'manifests',
  'blobs',
  'runs',
  'events',
  'topics',
  'tasks',
  'timers',
  'entries',
  'schedules',
  'dedupe',
  'deadLetters',
];

/** Some rows of one table. Each table is in one order in all stores: its key, text by code point; events by position. */
export type DumpBatch = {
  [T in DumpTable]: { readonly table: T; readonly rows: readonly DumpRows[T][] };
}[DumpTable];

/** Batches hold at most so many rows; of blobs, which are large, fewer. */
export const dumpBatchRowsMax = 500;
export const dumpBatchBlobsMax = 4;

/** What is no row. */
export interface DumpHead {
  /** The highest number of an opening. */
  readonly epoch: number;
  /** Position of the newest event there ever was. */
  readonly feedHead: number;
}

/** A store that nobody writes to, to be read as a whole. */
export interface DumpSource {
  readonly head: DumpHead;
  /** All rows, table by table in the order of `dumpTables`. May be read more than once. */
  batches(): AsyncIterable<DumpBatch>;
  /** As `check` of the contract. */
  check(limit: number): Promise<Violation[]>;
  close(): Promise<void>;
}

/** An empty store that nobody else sees while it is filled. */
export interface DumpTarget {
  write(batch: DumpBatch): Promise<void>;
  /** Sets what follows from the rows (counters, the head of the feed, an epoch above that of the source). Once, after all rows. */
  finish(head: DumpHead): Promise<void>;
  /** As of a source: what is there now. */
  batches(): AsyncIterable<DumpBatch>;
  /** As `check` of the contract. */
  check(limit: number): Promise<Violation[]>;
  /** Makes everything durable, and seen by others. */
  commit(): Promise<void>;
  /** Gives the target back. What was not committed was never there. */
  close(): Promise<void>;
}

/** What was moved. */
export interface MoveSummary {
  /** Rows of each table. */
  readonly rows: Readonly<Record<DumpTable, number>>;
  /** Runs that have not ended. */
  readonly unfinishedRuns: number;
  /** Tasks that a worker held: the first server on the new store loses them, which counts as an attempt. */
  readonly leases: number;
  readonly feedHead: number;
}

/** Rows moved so far, told after each batch. `checking` = they are being read back. */
export type MoveListener = (progress: {
  readonly table: DumpTable;
  readonly rows: number;
  readonly checking: boolean;
}) => void;

/**
 * Copies everything from one store to the other, reads it back, compares each row, checks the invariants, and only then
 * commits. All or nothing: whatever goes wrong, the target stays empty. Fails with MOVE_DIFFERS where what was read back
 * is not what was written or breaks an invariant that the source keeps.
 */
export async function moveStore(
  source: DumpSource,
  target: DumpTarget,
  onProgress: MoveListener = () => undefined,
): Promise<MoveSummary> {
  const rows = emptyCounts();
  let unfinishedRuns = 0;
  let leases = 0;
  for await (const batch of source.batches()) {
    await target.write(batch);
    rows[batch.table] += batch.rows.length;
    if (batch.table === 'runs')
      unfinishedRuns += batch.rows.filter(({ status }) => status === 'active' || status === 'waiting').length;
    if (batch.table === 'tasks') leases += batch.rows.filter(({ state }) => state === 'leased').length;
    onProgress({ table: batch.table, rows: rows[batch.table], checking: false });
  }
  await target.finish(source.head);
  const difference = await findDifference(source, target, onProgress);
  if (difference !== null) throw new SpineError('MOVE_DIFFERS', { reason: difference });
  const violation = await findNewViolation(source, target);
  if (violation !== null) throw new SpineError('MOVE_DIFFERS', { reason: violation });
  await target.commit();
  return { rows, unfinishedRuns, leases, feedHead: source.head.feedHead };
}

/** The first difference between two stores, in words; null = they hold the same rows. */
export async function findDifference(
  source: Pick<DumpSource, 'batches'>,
  target: Pick<DumpSource, 'batches'>,
  onProgress: MoveListener = () => undefined,
): Promise<string | null> {
  const counts = emptyCounts();
  const copies = flat(target.batches());
  try {
    for await (const { table, row } of flat(source.batches())) {
      const copy = await copies.next();
      counts[table] += 1;
      if (copy.done === true) return `row ${counts[table]} of ${table} is missing`;
      if (copy.value.table !== table)
        return `row ${counts[table]} of ${table} is missing; there is one of ${copy.value.table}`;
      if (!isEqual(row, copy.value.row)) return `row ${counts[table]} of ${table} is another: ${nameOfRow(row)}`;
      if (counts[table] % dumpBatchRowsMax === 0) onProgress({ table, rows: counts[table], checking: true });
    }
    const left = await copies.next();
    return left.done === true ? null : `there is a row of ${left.value.table} that was not written`;
  } finally {
    await copies.return(undefined);
  }
}

/** Compared this far: a store with more faults than that is not one to be judged here. */
const violationsMax = 1_000;

/** An invariant that holds in the source and not in the target. What was broken before is moved as it is. */
async function findNewViolation(source: DumpSource, target: DumpTarget): Promise<string | null> {
  const found = await target.check(violationsMax);
  if (found.length === 0) return null;
  const nameOf = ({ property, tenant, subject }: Violation): string => [property, tenant, subject].join('\0');
  const known = new Set((await source.check(violationsMax)).map(nameOf));
  const news = found.find((violation) => !known.has(nameOf(violation)));
  if (news === undefined) return null;
  return `${news.property} does not hold for ${news.subject} of ${news.tenant}: ${news.detail}`;
}

async function* flat(
  batches: AsyncIterable<DumpBatch>,
): AsyncGenerator<{ readonly table: DumpTable; readonly row: object }, void> {
  for await (const { table, rows } of batches) for (const row of rows) yield { table, row };
}

function emptyCounts(): Record<DumpTable, number> {
  return Object.fromEntries(dumpTables.map((table) => [table, 0])) as Record<DumpTable, number>;
}

/** Rows are trees of plain values and bytes. */
function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    if (!(a instanceof Uint8Array && b instanceof Uint8Array) || a.length !== b.length) return false;
    return a.every((byte, i) => byte === b[i]);
  }
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  const [left, right] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>];
  return names.every((name) => name in right && isEqual(left[name], right[name]));
}

/** The parts of a row's key that it has, for messages; never its contents. */
function nameOfRow(row: object): string {
  const values = row as Readonly<Record<string, unknown>>;
  const names = [
    'tenant',
    'run',
    'stream',
    'seq',
    'task',
    'name',
    'scope',
    'space',
    'key',
    'ref',
    'id',
    'hash',
    'app',
    'topic',
    'partition',
  ];
  return names.flatMap((name) => (name in values ? [`${name} ${String(values[name])}`] : [])).join(', ');
}
