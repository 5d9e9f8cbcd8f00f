/**
 * Natural group commit: what arrives while a commit is under way forms the next one, in order of arrival and across
 * kinds of requests. No timers. While one commit is in flight a large one may be sent behind it, on the same connection, so
 * that the database has work while this process reads answers and makes the next batch; the database carries them out one
 * after the other, and refuses the second where the first has failed.
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
import type { Beliefs } from './known.js';
import { BatchError, type Place } from './writer.js';

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

/** Commits in flight. */
const commitsMax = 2;
/** Items that are not split up into two commits in flight. */
const splitItemsMin = 32;
/** Fewer wait for the end of the commit in flight: what a batch of its own costs the database is not made up for. */
const followItemsMin = 16;

export interface GroupCommitOptions {
  /** Stores a batch. Rejects with a `BatchError`. `place`: behind which commit; null = none is in flight. */
  readonly commit: (requests: readonly WriteRequest[], place: Place | null) => Promise<WriteResult[]>;
  /** What a batch needs to be sent behind the commit that is in flight; null = it must wait. */
  readonly follow: (requests: readonly WriteRequest[]) => Beliefs | null;
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
  #inFlight = 0;
  /** Resolves when the newest batch in flight is settled, one way or the other. */
  #newest: Promise<void> = Promise.resolve();
  /** What waits cannot be sent behind what is in flight. */
  #mustWait = false;
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

  /** What is in flight can be followed now. */
  canFollow(): void {
    if (!this.#mustWait) return;
    this.#mustWait = false;
    this.#schedule();
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
    return this.#next === this.#waiting.length && this.#inFlight === 0;
  }

  /** Once per turn of micro-tasks, so that calls made together are committed together. */
  #schedule(): void {
    if (this.#pumpDue || this.#mustWait || this.#inFlight >= commitsMax) return;
    this.#pumpDue = true;
    queueMicrotask(() => {
      this.#pumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#next < this.#waiting.length && this.#inFlight < commitsMax && !this.#mustWait) {
      if (this.#inFlight > 0 && this.#waitingItems < followItemsMin) return;
      const batch = this.#nextBatch();
      let place: Place | null = null;
      if (this.#inFlight > 0) {
        const beliefs = this.#options.follow(batch.map(({ request }) => request));
        this.#mustWait = beliefs === null;
        if (beliefs === null) return;
        place = { beliefs, before: this.#newest };
      }
      this.#take(batch);
      this.#inFlight += 1;
      this.#newest = this.#commit(batch, place).then(() => this.#settled());
    }
  }

  #settled(): void {
    this.#inFlight -= 1;
    this.#mustWait = false;
    this.#pump();
    if (this.#isIdle()) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Never rejects. */
  async #commit(batch: readonly Entry[], place: Place | null): Promise<void> {
    const requests = batch.map(({ request }) => request);
    const until = performance.now() + this.#options.patienceMs;
    for (let pauseMs = retryMsMin; ; pauseMs = Math.min(retryMsMax, pauseMs * 2)) {
      try {
        settle(batch, await this.#options.commit(requests, pauseMs === retryMsMin ? place : null));
        return;
      } catch (error) {
        await place?.before;
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

  /**
   * The oldest requests, whole, as many as fit into one commit; at least one. Of many about a half while nothing is in
   * flight, so that the other half can be made ready while the first is carried out.
   */
  #nextBatch(): Entry[] {
    const batch: Entry[] = [];
    const itemsMax =
      this.#inFlight === 0
        ? Math.min(limits.commitItemsMax, Math.max(splitItemsMin, Math.ceil(this.#waitingItems / 2)))
        : limits.commitItemsMax;
    let items = 0;
    let bytes = 0;
    for (let at = this.#next; at < this.#waiting.length; at++) {
      const entry = this.#waiting[at];
      if (entry === undefined) break;
      const fits = items + entry.items <= itemsMax && bytes + entry.bytes <= commitBytesMax;
      if (batch.length > 0 && !fits) break;
      batch.push(entry);
      items += entry.items;
      bytes += entry.bytes;
    }
    return batch;
  }

  /** These do not wait any more. */
  #take(batch: readonly Entry[]): void {
    this.#next += batch.length;
    for (const { items, bytes } of batch) {
      this.#waitingItems -= items;
      this.#waitingBytes -= bytes;
    }
    if (this.#next === this.#waiting.length) {
      this.#waiting = [];
      this.#next = 0;
    }
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
