/**
 * The two ways to the file as the store sees them, and how both are walked within one thread. The lane in the same
 * thread serves tests, the simulator and `:memory:`; the one over threads is in `thread-lanes.ts`.
 */
import { SpineError } from '../../core/errors.js';
import type { SqliteDatabase } from './driver.js';
import { classifyFailure, reasonOf } from './failures.js';
import type { Reads } from './reads.js';
import {
  decodeBatch,
  decodeResults,
  encodeBatch,
  encodeResults,
  type Verdicts,
  type WireBatch,
  type WriteRequest,
  type WriteResult,
} from './wire.js';
import type { Writer } from './writer.js';

/** Takes requests in order and answers each when it is durable. */
export interface WriteLane {
  submit(request: WriteRequest, verdicts: Verdicts): Promise<WriteResult>;
  /** Resolves when everything submitted before is answered and the file is closed. */
  close(): Promise<void>;
  /** Resolves with the reason when the file must not be touched any more. */
  readonly failed: Promise<SpineError>;
}

/** The names of reads with their arguments and results. */
export type ReadName = Exclude<keyof Reads, 'countHistories'>;
export type ReadArguments<N extends ReadName> = Parameters<Reads[N]>;
export type ReadResult<N extends ReadName> = ReturnType<Reads[N]>;

export interface ReadLane {
  read<N extends ReadName>(name: N, ...parameters: ReadArguments<N>): Promise<ReadResult<N>>;
  close(): Promise<void>;
}

/** What became of a batch. */
export type CommitAnswer =
  | { readonly tag: 'done'; readonly results: WireBatch }
  /** Nothing was stored; the same may be tried again. */
  | { readonly tag: 'rejected'; readonly code: 'STORE_FULL' | 'STORE_BUSY' }
  /** Nothing more may ever be written to the file. */
  | { readonly tag: 'failed'; readonly reason: string };

/** Carries out a batch; every error has become an answer. */
export function commitBatch(writer: Writer, batch: WireBatch): CommitAnswer {
  try {
    const { now, requests } = decodeBatch(batch);
    return { tag: 'done', results: encodeResults(writer.commit(now, requests)) };
  } catch (error) {
    switch (classifyFailure(error)) {
      case 'full':
        return { tag: 'rejected', code: 'STORE_FULL' };
      case 'busy':
        return { tag: 'rejected', code: 'STORE_BUSY' };
      default:
        // An error that no single item could be blamed for: what the transaction did is not known any more.
        return { tag: 'failed', reason: reasonOf(error) };
    }
  }
}

/** The error that callers of a rejected batch get. */
export function errorOf(answer: Exclude<CommitAnswer, { tag: 'done' }>): SpineError {
  if (answer.tag === 'failed') return new SpineError('STORE_FAILED', { reason: answer.reason });
  return new SpineError(answer.code, {});
}

/** A promise together with what settles it. */
export function settleable<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Lanes within this thread: each request is a commit of its own, done when `submit` returns. */
export function inlineLanes(
  database: SqliteDatabase,
  writer: Writer,
  reads: Reads,
  now: () => number,
): { readonly write: WriteLane; readonly read: ReadLane } {
  const { promise: failed, resolve: fail } = settleable<SpineError>();
  let failure: SpineError | null = null;
  const failWith = (reason: string): SpineError => {
    failure ??= new SpineError('STORE_FAILED', { reason });
    fail(failure);
    return failure;
  };
  const write: WriteLane = {
    failed,
    submit: async (request, verdicts) => {
      if (failure !== null) throw failure;
      const answer = commitBatch(writer, encodeBatch(now(), [request], verdicts));
      if (answer.tag === 'failed') throw failWith(answer.reason);
      if (answer.tag === 'rejected') throw errorOf(answer);
      const [result] = decodeResults(answer.results);
      if (result === undefined) throw failWith('the writer gave no answer');
      return result;
    },
    // A failed file is not closed either: closing moves the WAL into it.
    close: async () => {
      if (failure === null) database.close();
    },
  };
  const read: ReadLane = {
    read: async (name, ...parameters) => {
      if (failure !== null) throw failure;
      try {
        return callRead(reads, name, parameters);
      } catch (error) {
        if (classifyFailure(error) === 'fatal') throw failWith(reasonOf(error));
        throw error;
      }
    },
    close: async () => undefined,
  };
  return { write, read };
}

/** Calls a read by its name. */
export function callRead<N extends ReadName>(reads: Reads, name: N, parameters: ReadArguments<N>): ReadResult<N> {
  // The compiler cannot follow a method picked by a type parameter; the signature above ties name and arguments.
  const method = reads[name] as (this: Reads, ...parameters: ReadArguments<N>) => ReadResult<N>;
  return method.apply(reads, parameters);
}
