/**
 * Natural group commit: what arrives while a commit is under way forms the next one, in order of arrival and across
 * kinds of requests. No timers. A second commit is handed to the thread while the first is at work only when it is
 * large enough to be worth it, so that the thread does not wait for us under load and small commits do not multiply.
 * A few dozen callers who all wait for their answers are answered in two halves: while one half is written, the other
 * calls again, and the two threads work side by side instead of in turn.
 *
 * Invariant: requests are answered in the order in which they were submitted, each after its commit.
 */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { errorOf, settleable, type CommitAnswer, type WriteLane } from './lanes.js';
import {
  decodeResults,
  encodeBatch,
  type Verdicts,
  type WireBatch,
  type WriteRequest,
  type WriteResult,
} from './wire.js';

/** Bytes in one commit. A single request may be larger. */
const commitBytesMax = 16 * 1024 * 1024;
/** Bytes waiting for the store before STORE_BUSY. */
const queueBytesMax = 256 * 1024 * 1024;
/** Items that are worth a commit of their own while another is at work. */
const pipelineItemsMin = 24;
/** More than this is a backlog, where fewer and larger commits are worth more. */
const splitItemsMax = 128;
const inFlightMax = 2;
/** What an event takes beside its envelope and payload, generously. */
const eventRoomBytes = 128;

interface Entry {
  readonly request: WriteRequest;
  readonly verdicts: Verdicts;
  readonly items: number;
  readonly bytes: number;
  readonly resolve: (result: WriteResult) => void;
  readonly reject: (error: SpineError) => void;
}

export interface GroupCommitOptions {
  /** The store's clock, read once per commit. */
  readonly now: () => number;
  /** Hands a batch to the writer, which answers batches in order through `answered`. */
  readonly send: (batch: WireBatch) => void;
  /** Called when work begins and when all of it is answered. */
  readonly setBusy: (busy: boolean) => void;
}

export class GroupCommit implements Omit<WriteLane, 'close'> {
  readonly failed: Promise<SpineError>;
  readonly #fail: (error: SpineError) => void;
  readonly #options: GroupCommitOptions;
  #waiting: Entry[] = [];
  /** Index of the first entry of `#waiting` that is not yet sent. */
  #next = 0;
  #waitingItems = 0;
  #waitingBytes = 0;
  readonly #inFlight: Entry[][] = [];
  #pumpDue = false;
  #failure: SpineError | null = null;
  #onIdle: (() => void)[] = [];

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    const { promise, resolve } = settleable<SpineError>();
    this.failed = promise;
    this.#fail = resolve;
  }

  /** Why the store has given up; null = it has not. */
  get failure(): SpineError | null {
    return this.#failure;
  }

  /** Queues the request. Rejects with STORE_BUSY, STORE_FULL or STORE_FAILED; then nothing of it was stored. */
  submit(request: WriteRequest, verdicts: Verdicts): Promise<WriteResult> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const items = itemsOf(request);
    const bytes = bytesOf(request);
    if (this.#isOverloaded(request, items, bytes)) return Promise.reject(new SpineError('STORE_BUSY', {}));
    return new Promise((resolve, reject) => {
      if (this.#isIdle()) this.#options.setBusy(true);
      this.#waiting.push({ request, verdicts, items, bytes, resolve, reject });
      this.#waitingItems += items;
      this.#waitingBytes += bytes;
      this.#schedule();
    });
  }

  /** Resolves when nothing is waiting or under way. */
  drained(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Takes the writer's answer to the oldest batch under way. */
  answered(answer: CommitAnswer): void {
    const batch = this.#inFlight.shift() ?? [];
    if (answer.tag === 'done') settle(batch, decodeResults(answer.results));
    else {
      const error = errorOf(answer);
      for (const entry of batch) entry.reject(error);
      if (answer.tag === 'failed') this.fail(error);
    }
    this.#pump();
    this.#reportIdle();
  }

  /** Gives up for ever: everything under way and waiting is rejected. */
  fail(error: SpineError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const entry of [...this.#inFlight.flat(), ...this.#waiting.slice(this.#next)]) entry.reject(error);
    this.#inFlight.length = 0;
    this.#waiting = [];
    this.#next = 0;
    this.#waitingItems = 0;
    this.#waitingBytes = 0;
    this.#fail(error);
    this.#reportIdle();
  }

  /** Only what brings new work may be turned away: to refuse heartbeats would make a busy store lose its workers. */
  #isOverloaded(request: WriteRequest, items: number, bytes: number): boolean {
    if (this.#waitingItems === 0 || (request.op !== 'apply' && request.op !== 'putBlob')) return false;
    return this.#waitingItems + items > limits.storeQueueItemsMax || this.#waitingBytes + bytes > queueBytesMax;
  }

  #isIdle(): boolean {
    return this.#waitingItems === 0 && this.#inFlight.length === 0;
  }

  /** Once per turn of micro-tasks, so that calls made together are committed together. */
  #schedule(): void {
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    queueMicrotask(() => {
      this.#pumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#waitingItems > 0 && this.#mayCommit()) {
      const batch = this.#takeBatch();
      this.#inFlight.push(batch);
      const verdicts = mergeVerdicts(batch);
      const requests = batch.map(({ request }) => request);
      this.#options.send(encodeBatch(this.#options.now(), requests, verdicts, bytesExpected(batch)));
    }
  }

  #mayCommit(): boolean {
    if (this.#inFlight.length === 0) return true;
    return this.#inFlight.length < inFlightMax && this.#waitingItems >= pipelineItemsMin;
  }

  /** The oldest requests, whole, as many as fit into one commit; at least one. */
  #takeBatch(): Entry[] {
    const itemsMax = this.#batchItemsMax();
    const batch: Entry[] = [];
    let items = 0;
    let bytes = 0;
    for (;;) {
      const entry = this.#waiting[this.#next];
      if (entry === undefined) break;
      const fits = items + entry.items <= itemsMax && bytes + entry.bytes <= commitBytesMax;
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

  /** Half of what waits where the thread is idle and two commits are worth it; from then on two are under way. */
  #batchItemsMax(): number {
    const waiting = this.#waitingItems;
    const isWorthTwo = this.#inFlight.length === 0 && waiting >= 2 * pipelineItemsMin && waiting <= splitItemsMax;
    return isWorthTwo ? Math.ceil(waiting / 2) : limits.commitItemsMax;
  }

  #reportIdle(): void {
    if (!this.#isIdle()) return;
    this.#options.setBusy(false);
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

function settle(batch: readonly Entry[], results: readonly WriteResult[]): void {
  for (const [index, entry] of batch.entries()) {
    const result = results[index];
    if (result === undefined) entry.reject(new SpineError('STORE_FAILED', { reason: 'the writer gave no answer' }));
    else entry.resolve(result);
  }
}

const noVerdicts: Verdicts = new Map();

function mergeVerdicts(batch: readonly Entry[]): Verdicts {
  const found = batch.filter(({ verdicts }) => verdicts.size > 0);
  return found.length === 0 ? noVerdicts : new Map(found.flatMap(({ verdicts }) => [...verdicts]));
}

function itemsOf(request: WriteRequest): number {
  return request.op === 'apply' ? request.transitions.length : 1;
}

/** What the batch's bytes will take, with room for what each event has beside its texts. */
function bytesExpected(batch: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of batch) bytes += entry.bytes + entry.items * eventRoomBytes;
  return bytes;
}

/** About how many bytes the request will be, counted in UTF-16 units: enough to keep commits bounded. */
function bytesOf(request: WriteRequest): number {
  if (request.op === 'putBlob') return request.bytes.length;
  if (request.op !== 'apply') return 0;
  let bytes = 0;
  for (const { events = [], publishes = [], blobs = [] } of request.transitions) {
    for (const { envelope, payload } of events) bytes += envelope.length + textLength(payload);
    for (const { envelope, payload } of publishes) bytes += envelope.length + textLength(payload);
    for (const blob of blobs) bytes += blob.bytes.length;
  }
  return bytes;
}

function textLength(payload: { readonly text: string } | { readonly blob: string } | null): number {
  return payload !== null && 'text' in payload ? payload.text.length : 0;
}
