/**
 * The body of a store thread: the only place where a connection to a store's file lives, as the writer or as a
 * reader. Answers one message after the other; has no clock and no timer of its own.
 */
import { parentPort, type TransferListItem } from 'node:worker_threads';
import { isSpineError } from '../../core/errors.js';
import { openReader, openWriter } from './connection.js';
import { loadDriver, type SqliteDatabase } from './driver.js';
import { classifyFailure, reasonOf } from './failures.js';
import { callRead, commitBatch, type CommitAnswer, type ReadArguments, type ReadName } from './lanes.js';
import { takeOwnership, type Ownership } from './owner.js';
import { Reads } from './reads.js';
import type { FromThread, ToThread } from './thread-messages.js';
import type { WireBatch } from './wire.js';
import { WalSpace } from './wal-space.js';
import { Writer } from './writer.js';

interface Open {
  readonly database: SqliteDatabase;
  readonly writer: Writer | null;
  readonly reads: Reads;
  readonly ownership: Ownership | null;
  /** Of the writer. */
  readonly space: WalSpace | null;
}

const driver = await loadDriver();
let open: Open | null = null;
/** Set by the first failure; from then on the file is not touched, not even to close it. */
let failed: string | null = null;

function handle(message: ToThread): void {
  switch (message.type) {
    case 'openWriter':
      return tryOpen(() => openAsWriter(message.file, message.url));
    case 'openReader':
      return tryOpen(() => openAsReader(message.file));
    case 'commit':
      answerCommit(commit(message.batch));
      // After the answer: who waits for this commit does not wait for the room of later ones.
      if (failed === null) open?.space?.keepAhead();
      return;
    case 'read':
      return read(message.id, message.name, message.parameters);
    case 'close':
      return close();
  }
}

function tryOpen(opening: () => number): void {
  try {
    failed = null;
    send({ type: 'opened', epoch: opening() });
  } catch (error) {
    const [code, detail] = isSpineError(error) ? [error.code, error.detail] : [null, null];
    send({ type: 'refused', error: { code, detail, message: reasonOf(error) } });
  }
}

function openAsWriter(file: string, url: string | null): number {
  const ownership = takeOwnership(driver, file, url);
  try {
    const { database, epoch } = openWriter(driver, file);
    open = { database, writer: new Writer(database), reads: new Reads(database), ownership, space: new WalSpace(file) };
    return epoch;
  } catch (error) {
    ownership.release();
    throw error;
  }
}

function openAsReader(file: string): number {
  const database = openReader(driver, file);
  open = { database, writer: null, reads: new Reads(database), ownership: null, space: null };
  return 0;
}

function commit(batch: WireBatch): CommitAnswer {
  if (failed !== null) return { tag: 'failed', reason: failed };
  const writer = open?.writer;
  if (writer === null || writer === undefined) return { tag: 'failed', reason: 'the file is not open for writing' };
  const answer = commitBatch(writer, batch);
  if (answer.tag === 'failed') failed = answer.reason;
  return answer;
}

function answerCommit(answer: CommitAnswer): void {
  send({ type: 'committed', answer }, answer.tag === 'done' ? [answer.results.bytes.buffer] : []);
}

function read(id: number, name: ReadName, parameters: readonly unknown[]): void {
  if (open === null) return send({ type: 'readFailed', id, fatal: true, reason: 'the file is not open' });
  try {
    // The asking side has typed name and parameters as one.
    send({ type: 'found', id, result: callRead(open.reads, name, parameters as ReadArguments<ReadName>) });
  } catch (error) {
    send({ type: 'readFailed', id, fatal: classifyFailure(error) === 'fatal', reason: reasonOf(error) });
  }
}

function close(): void {
  if (open !== null && failed === null) {
    open.space?.close();
    open.database.close();
    open.ownership?.release();
  }
  open = null;
  send({ type: 'closed' });
}

function send(message: FromThread, transfer: readonly TransferListItem[] = []): void {
  parentPort?.postMessage(message, transfer);
}

parentPort?.on('message', handle);
