/**
 * Opening the store on disk: a writer thread that owns the file, a read-only connection on this thread for reads that
 * take microseconds, and a reader thread, started when first needed, for those that may take longer.
 */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { SpineError, type ErrorCode } from '../../core/errors.js';
import type { Clock } from '../../core/ports.js';
import type { Store, StoreFactory } from '../../store/index.js';
import { openReader } from './connection.js';
import { loadDriver } from './driver.js';
import { GroupCommit } from './group-commit.js';
import { classifyFailure, reasonOf } from './failures.js';
import {
  callRead,
  type ReadArguments,
  type ReadLane,
  type ReadName,
  type ReadResult,
  type WriteLane,
} from './lanes.js';
import { Reads } from './reads.js';
import { SqliteStore } from './sqlite-store.js';
import { ownThreads, type StoreThread, type ThreadHost } from './thread-host.js';
import type { FromThread, ThreadError } from './thread-messages.js';

/** Options of `sqlite`. */
export interface SqliteOptions {
  /** Path of the database file; made if it is not there, its folder is not. Must be on a local disk. */
  readonly file: string;
  /** Where this server can be reached; told to whoever finds the file taken. */
  readonly url?: string;
  /** The store's clock. Default: the system's. */
  readonly clock?: Clock;
}

/** The embedded store, for `createSpine(app, { store: sqlite({ file: "app.db" }) })`. Opens nothing until it is used. */
export function sqlite(options: SqliteOptions): StoreFactory {
  return { name: 'sqlite', location: resolve(options.file), open: () => openSqliteStore(options) };
}

/**
 * Opens the file and takes ownership of it. Rejects with STORE_OWNED while another server has it, STORE_TOO_NEW for a
 * newer schema, STORE_UNSUITABLE where it cannot be made durable.
 */
export async function openSqliteStore(options: SqliteOptions, host: ThreadHost = ownThreads): Promise<Store> {
  const file = realFile(options.file);
  const clock = options.clock ?? systemClock;
  const thread = host.start();
  const opened = await openThread(thread, { type: 'openWriter', file, url: options.url ?? null });
  const write = threadWriteLane(thread, clock);
  const read = await splitReadLane(file, host, write);
  return new SqliteStore({ clock, epoch: opened.epoch, write, read });
}

const systemClock: Clock = { now: () => Date.now(), monotonicMs: () => performance.now() };

/** One name for one file, whatever links lead to it, so that there is one lock for it. */
function realFile(file: string): string {
  const absolute = resolve(file);
  try {
    return realpathSync(absolute);
  } catch {
    try {
      return join(realpathSync(dirname(absolute)), basename(absolute));
    } catch (cause) {
      throw new SpineError(
        'STORE_UNSUITABLE',
        { reason: `the folder of ${file} is not there, or cannot be opened` },
        { cause },
      );
    }
  }
}

async function openThread(
  thread: StoreThread,
  message: { type: 'openWriter'; file: string; url: string | null } | { type: 'openReader'; file: string },
): Promise<{ readonly epoch: number }> {
  try {
    return await new Promise((done, refuse) => {
      thread.setBusy(true);
      thread.listen(
        (answer) => {
          if (answer.type === 'opened') done({ epoch: answer.epoch });
          else if (answer.type === 'refused') refuse(errorFrom(answer.error));
        },
        (reason) => refuse(new SpineError('STORE_UNSUITABLE', { reason })),
      );
      thread.post(message, []);
    });
  } catch (error) {
    await thread.release();
    throw error;
  } finally {
    thread.setBusy(false);
  }
}

function errorFrom({ code, detail, message }: ThreadError): Error {
  if (code === null) return new SpineError('STORE_UNSUITABLE', { reason: message });
  // The detail was made for this code by the same build of this module, on the other side of the thread.
  return new SpineError<ErrorCode>(code, detail as never);
}

function threadWriteLane(thread: StoreThread, clock: Clock): WriteLane & Failing {
  const commits = new GroupCommit({
    now: () => clock.now(),
    send: (batch) => thread.post({ type: 'commit', batch }, [batch.bytes.buffer]),
    setBusy: (busy) => thread.setBusy(busy),
  });
  const fail = (reason: string): void => commits.fail(new SpineError('STORE_FAILED', { reason }));
  thread.listen((message) => {
    if (message.type === 'committed') commits.answered(message.answer);
  }, fail);
  return {
    failed: commits.failed,
    fail,
    failure: () => commits.failure,
    submit: (request, verdicts) => commits.submit(request, verdicts),
    close: async () => {
      await commits.drained();
      // A failed file is left alone until the process ends; ending its thread would close it, which writes.
      if (commits.failure === null) await closeThread(thread, () => undefined);
    },
  };
}

/** Closes the thread's file and gives the thread back. A thread that is dead has nothing to close. */
async function closeThread(thread: StoreThread, onOther: (message: FromThread) => void): Promise<void> {
  await new Promise<void>((done) => {
    thread.setBusy(true);
    thread.listen(
      (message) => {
        if (message.type === 'closed') done();
        else onOther(message);
      },
      () => done(),
    );
    thread.post({ type: 'close' }, []);
  });
  await thread.release();
}

/** Reads that may look at more than a few pages of the file. */
const longReads: ReadonlySet<ReadName> = new Set<ReadName>([
  'listRuns',
  'listDeadLetters',
  'readTally',
  'queueStats',
  'check',
  'readBlob',
]);
/** Events read on this thread at most; about 2 ms. */
const shortReadEventsMax = 256;

async function splitReadLane(file: string, host: ThreadHost, failing: Failing): Promise<ReadLane> {
  const { fail } = failing;
  const database = openReader(await loadDriver(), file);
  const reads = new Reads(database);
  let reader: Promise<ReaderThread> | null = null;
  const isLong = (name: ReadName, parameters: readonly unknown[]): boolean => {
    if (longReads.has(name)) return true;
    if (name === 'readEvents' || name === 'readFeed' || name === 'readEntries' || name === 'listPartitions')
      return (parameters[0] as { readonly limit: number }).limit > shortReadEventsMax;
    if (name !== 'readHistories') return false;
    return reads.countHistories((parameters as ReadArguments<'readHistories'>)[0]) > shortReadEventsMax;
  };
  return {
    read: async (name, ...parameters) => {
      const failure = failing.failure();
      if (failure !== null) throw failure;
      try {
        if (!isLong(name, parameters)) return callRead(reads, name, parameters);
      } catch (error) {
        throw readError(reasonOf(error), classifyFailure(error) === 'fatal', fail);
      }
      reader ??= startReader(file, host, fail);
      return (await reader).read(name, parameters);
    },
    close: async () => {
      database.close();
      // A reader that never came up has nothing to close; who asked for it has heard.
      await (await reader?.catch(() => null))?.close();
    },
  };
}

/** The state of the store as far as failing goes. */
interface Failing {
  readonly fail: (reason: string) => void;
  readonly failure: () => SpineError | null;
}

interface ReaderThread {
  read<N extends ReadName>(name: N, parameters: ReadArguments<N>): Promise<ReadResult<N>>;
  close(): Promise<void>;
}

async function startReader(file: string, host: ThreadHost, fail: (reason: string) => void): Promise<ReaderThread> {
  const thread = host.start();
  await openThread(thread, { type: 'openReader', file });
  const waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  let dead = false;
  const settle = (id: number, how: (entry: { resolve: (r: unknown) => void; reject: (e: Error) => void }) => void) => {
    const entry = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) thread.setBusy(false);
    if (entry !== undefined) how(entry);
  };
  const settled = (message: FromThread): void => {
    if (message.type === 'found') settle(message.id, (entry) => entry.resolve(message.result));
    if (message.type === 'readFailed')
      settle(message.id, (entry) => entry.reject(readError(message.reason, message.fatal, fail)));
  };
  thread.listen(settled, (reason) => {
    dead = true;
    fail(reason);
    for (const id of [...waiting.keys()]) settle(id, (entry) => entry.reject(readError(reason, true, fail)));
  });
  return {
    read: <N extends ReadName>(name: N, parameters: ReadArguments<N>) =>
      new Promise<ReadResult<N>>((resolveRead, reject) => {
        const id = ++lastId;
        thread.setBusy(true);
        // The thread answers a read with what its name promises.
        waiting.set(id, { resolve: (result) => resolveRead(result as ReadResult<N>), reject });
        thread.post({ type: 'read', id, name, parameters }, []);
      }),
    // The thread answers in order, so the answer to `close` comes after those of the reads before it.
    close: async () => {
      if (!dead) await closeThread(thread, settled);
    },
  };
}

/** A file that cannot be read is as broken as one that cannot be written. */
function readError(reason: string, fatal: boolean, fail: (reason: string) => void): SpineError {
  if (fatal) fail(reason);
  return new SpineError('STORE_FAILED', { reason });
}
