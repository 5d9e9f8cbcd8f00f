/**
 * Natural group commit: what arrives while a commit is under way forms the next one, in order of arrival and across
 * kinds of requests. No timers. One commit is in flight at a time, so that what was handed over first is seen by what
 * comes after it.
 *
 * A batch that could not be stored because the database was not to be had is tried again, with growing pauses, before
 * its callers hear of it: a restart of the server passes unnoticed.
 *
 * Invariant: requests are answered in the order in which they were submitted, each after its commit.
 */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { reasonOf } from './failures.js';
import type { WriteRequest, WriteResult } from './requests.js';
import { BatchError } from './writer.js';

/** Bytes in one commit. A single request may be larger. */
const commitBytesMax = 16 * 1024 * 1024;
/** Bytes waiting for the store before STORE_BUSY. */
const queueBytesMax = 256 * 1024 * 1024;
/** Pause before a batch is tried again: doubles from min to max, drawn from the upper half. */
const retryMsMin = 25;
const retryMsMax = 1_000;

interface Entry {
  readonly request: WriteRequest;
  readonly items: number;
  readonly bytes: number;
  readonly resolve: (result: WriteResult) => void;
  readonly reject: (error: SpineError) => void;
}

export interface GroupCommitOptions {
  /** Stores a batch. Rejects with a `BatchError`. */
  readonly commit: (requests: readonly WriteRequest[]) => Promise<WriteResult[]>;
  /** How long a batch is tried again while the database is not to be had, ms. */
  readonly patienceMs: number;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #waiting: Entry[] = [];
  /** Index of the first entry of `#waiting` that is not yet taken. */
  #next = 0;
  #waitingItems = 0;
  #waitingBytes = 0;
  #isCommitting = false;
  #pumpDue = false;
  #impatient = false;
  #onIdle: (() => void)[] = [];

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Queues the request. Rejects with STORE_BUSY, STORE_FULL, STORE_FAILED (nothing was stored) or STORE_UNREACHABLE (unknown). */
  submit(request: WriteRequest): Promise<WriteResult> {
    const items = request.op === 'apply' ? request.items.length : 1;
    const bytes = bytesOf(request);
    if (this.#isOverloaded(request, items, bytes)) return Promise.reject(new SpineError('STORE_BUSY', {}));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, items, bytes, resolve, reject });
      this.#waitingItems += items;
      this.#waitingBytes += bytes;
      this.#schedule();
    });
  }

  /** Resolves when nothing is waiting or under way; what cannot be stored at once is refused from now on. */
  drained(): Promise<void> {
    this.#impatient = true;
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Only what brings new work may be turned away: to refuse heartbeats would make a busy store lose its workers. */
  #isOverloaded(request: WriteRequest, items: number, bytes: number): boolean {
    if (this.#waitingItems === 0 || (request.op !== 'apply' && request.op !== 'putBlob')) return false;
    return this.#waitingItems + items > limits.storeQueueItemsMax || this.#waitingBytes + bytes > queueBytesMax;
  }

  #isIdle(): boolean {
    return this.#next === this.#waiting.length && !this.#isCommitting;
  }

  /** Once per turn of micro-tasks, so that calls made together are committed together. */
  #schedule(): void {
    if (this.#pumpDue || this.#isCommitting) return;
    this.#pumpDue = true;
    queueMicrotask(() => {
      this.#pumpDue = false;
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    if (this.#isCommitting) return;
    this.#isCommitting = true;
    while (this.#next < this.#waiting.length) await this.#commit(this.#takeBatch());
    this.#isCommitting = false;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  async #commit(batch: readonly Entry[]): Promise<void> {
    const requests = batch.map(({ request }) => request);
    const until = performance.now() + this.#options.patienceMs;
    for (let pauseMs = retryMsMin; ; pauseMs = Math.min(retryMsMax, pauseMs * 2)) {
      try {
        settle(batch, await this.#options.commit(requests));
        return;
      } catch (error) {
        const kind = error instanceof BatchError ? error.kind : 'unknown';
        if (kind !== 'busy' || this.#impatient || performance.now() + pauseMs > until) {
          const refusal = refusalOf(kind, error);
          for (const entry of batch) entry.reject(refusal);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random() / 2)));
      }
    }
  }

  /** The oldest requests, whole, as many as fit into one commit; at least one. */
  #takeBatch(): Entry[] {
    const batch: Entry[] = [];
    let items = 0;
    let bytes = 0;
    for (;;) {
      const entry = this.#waiting[this.#next];
      if (entry === undefined) break;
      const fits = items + entry.items <= limits.commitItemsMax && bytes + entry.bytes <= commitBytesMax;
      if (batch.length > 0 && !fits) break;
      batch.push(entry);
      items += entry.items;
      bytes += entry.bytes;
      this.#next += 1;
    }
    this.#waitingItems -= items;
    this.#waitingBytes -= bytes;
    if (this.#next === this.#waiting.length) {
      this.#waiting = [];
      this.#next = 0;
    }
    return batch;
  }
}

function refusalOf(kind: BatchError['kind'], cause: unknown): SpineError {
  switch (kind) {
    case 'busy':
      return new SpineError('STORE_BUSY', {}, { cause });
    case 'full':
      return new SpineError('STORE_FULL', {}, { cause });
    case 'fault':
      return new SpineError('STORE_FAILED', { reason: reasonOf(cause) }, { cause });
    case 'unknown':
      return new SpineError('STORE_UNREACHABLE', {}, { cause });
  }
}

function settle(batch: readonly Entry[], results: readonly WriteResult[]): void {
  for (const [index, entry] of batch.entries()) {
    const result = results[index];
    if (result === undefined || result.tag === 'unknown') entry.reject(new SpineError('STORE_UNREACHABLE', {}));
    else entry.resolve(result);
  }
}

/** About how many bytes the request will be, counted in UTF-16 units: enough to keep commits bounded. */
function bytesOf(request: WriteRequest): number {
  if (request.op === 'putBlob') return request.bytes.length;
  if (request.op !== 'apply') return 0;
  let bytes = 0;
  for (const { transition } of request.items) {
    for (const list of [transition.events ?? [], transition.publishes ?? []])
      for (const { envelope, payload } of list) bytes += envelope.length + textLength(payload);
    for (const blob of transition.blobs ?? []) bytes += blob.bytes.length;
  }
  return bytes;
}

function textLength(payload: { readonly text: string } | { readonly blob: string } | null): number {
  return payload !== null && 'text' in payload ? payload.text.length : 0;
}
