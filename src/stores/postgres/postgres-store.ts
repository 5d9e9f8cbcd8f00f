/**
 * The store contract over PostgreSQL. Looks at every argument before it goes on its way, so that what cannot be stored
 * is refused alike by all backends, and a key that cannot exist finds nothing.
 */
import { SpineError } from '../../core/errors.js';
import type { RunRow } from '../../core/run/state.js';
import {
  decodeCursor,
  findUnstorable,
  isColumnText,
  type ClaimedTask,
  type ClaimRequest,
  type DeadLetterQuery,
  type DeadLetterRow,
  type DedupeKey,
  type DedupeRow,
  type EntryQuery,
  type EntryRow,
  type EventQuery,
  type EventRow,
  type ExpireCounts,
  type FeedKeys,
  type LeaseKey,
  type ManifestRow,
  type NewSession,
  type Outbox,
  type Outcome,
  type Page,
  type PartitionHead,
  type PartitionKey,
  type QueueStats,
  type RunKey,
  type RunQuery,
  type ScheduleQuery,
  type ScheduleRow,
  type SessionBeat,
  type SessionRow,
  type Store,
  type StoreListener,
  type TallyRow,
  type TaskRow,
  type TimerRow,
  type TopicHead,
  type Transition,
  type Violation,
} from '../../store/index.js';
import { checkDatabase } from './check.js';
import type { DatabaseClock } from './clock.js';
import type { Database } from './database.js';
import type { Duties } from './duties.js';
import { classifyFailure, reasonOf } from './failures.js';
import type { Feed } from './feed.js';
import type { GroupCommit } from './group-commit.js';
import type { Neighbours } from './neighbours.js';
import { PostgresOutbox } from './outbox.js';
import type { Reads } from './reads.js';
import type { WriteRequest, WriteResults } from './requests.js';
import type { Upkeep } from './upkeep.js';
import type { Witness } from './witness.js';

export interface PostgresStoreParts {
  readonly epoch: number;
  readonly schema: string;
  readonly now: () => number;
  readonly database: Database;
  readonly commits: GroupCommit;
  readonly reads: Reads;
  readonly feed: Feed;
  readonly upkeep: Upkeep;
  readonly duties: Duties;
  readonly neighbours: Neighbours;
  readonly witness: Witness;
  readonly clock: DatabaseClock;
}

/** A read that failed for want of a connection is tried again after these, ms. */
const readPausesMs = [20, 100, 400] as const;

export class PostgresStore implements Store {
  readonly name = 'postgres';
  readonly shared = true;
  readonly epoch: number;
  /** A server that is not to be had may be back at any moment; one that is back without what it had acknowledged is another. */
  readonly failed: Promise<Error>;
  readonly outbox: Outbox;
  readonly #parts: PostgresStoreParts;
  #closing: Promise<void> | null = null;

  constructor(parts: PostgresStoreParts) {
    this.#parts = parts;
    this.epoch = parts.epoch;
    this.failed = parts.witness.lost;
    const { database, schema, now } = parts;
    const outbox = new PostgresOutbox({
      database,
      schema,
      now,
      apply: (items) => this.#submit({ op: 'apply', items }),
    });
    this.outbox = {
      leave: async (tx, transition) => {
        this.#assertOpen();
        return outbox.leave(tx, transition);
      },
      read: (limit) => this.#read(() => outbox.read(limit)),
      settle: (entries) => outbox.settle(entries),
      drop: (id) => this.#read(() => outbox.drop(id)),
      refuse: (id, reason) => this.#read(() => outbox.refuse(id, reason)),
    };
  }

  now(): number {
    return this.#parts.now();
  }

  async apply(transitions: readonly Transition[]): Promise<Outcome[]> {
    if (transitions.length === 0) return this.#ifOpen([]);
    const items = transitions.map((transition) => ({ transition, unstorable: findUnstorable(transition) }));
    return this.#submit({ op: 'apply', items });
  }

  async claim(request: ClaimRequest): Promise<ClaimedTask[]> {
    const queues = request.queues.filter(({ queue, limit }) => limit > 0 && isColumnText(queue));
    if (queues.length === 0 || request.limit <= 0 || !isColumnText(request.session)) return this.#ifOpen([]);
    return this.#submit({ op: 'claim', claim: { ...request, queues } });
  }

  async release(leases: readonly LeaseKey[]): Promise<number> {
    const known = leases.filter(({ tenant, run, task }) => areColumns(tenant, run, task));
    if (known.length === 0) return this.#ifOpen(0);
    return this.#submit({ op: 'release', leases: known });
  }

  async promoteDue(limit: number): Promise<number> {
    return this.#submit({ op: 'promoteDue', limit });
  }

  async openSession(session: NewSession): Promise<void> {
    assertColumns('session', session.session, session.worker, session.app, session.info);
    await this.#submit({ op: 'openSession', session });
  }

  async takeSession(session: string): Promise<SessionRow | null> {
    return isColumnText(session) ? this.#submit({ op: 'takeSession', session }) : this.#ifOpen(null);
  }

  async beat(beats: readonly SessionBeat[]): Promise<string[]> {
    if (beats.length === 0) return this.#ifOpen([]);
    return this.#submit({ op: 'beat', beats });
  }

  async closeSession(session: string): Promise<void> {
    if (isColumnText(session)) await this.#submit({ op: 'closeSession', session });
  }

  async putBlob(tenant: string, hash: string, bytes: Uint8Array): Promise<void> {
    assertColumns('blob', tenant, hash);
    // The caller may do with its bytes what it likes as soon as this returns; the batch is written a little later.
    await this.#submit({ op: 'putBlob', tenant, hash, bytes: bytes.slice() });
  }

  async saveManifest(row: ManifestRow): Promise<void> {
    assertColumns('manifest', row.app, row.hash, row.manifest);
    await this.#submit({ op: 'saveManifest', row });
  }

  async expire(limit: number): Promise<ExpireCounts> {
    return this.#read(() => this.#parts.upkeep.expire(limit));
  }

  async listSessions(): Promise<SessionRow[]> {
    return this.#read(() => this.#parts.reads.listSessions());
  }

  async listLeases(query: { readonly session?: string; readonly limit: number }): Promise<TaskRow[]> {
    if (!areColumns(query.session ?? '')) return this.#ifOpen([]);
    return this.#read(() => this.#parts.reads.listLeases(query));
  }

  async dueTimers(limit: number): Promise<TimerRow[]> {
    const due = await this.#read(() => this.#parts.reads.dueTimers(limit));
    // The database has looked at its own clock: whatever is dated from here on is dated no earlier.
    for (const { fireAt } of due) this.#parts.clock.reached(fireAt);
    return due;
  }

  async nextDueAt(): Promise<number | null> {
    return this.#read(() => this.#parts.reads.nextDueAt());
  }

  async readRun(tenant: string, run: string): Promise<RunRow | null> {
    return areColumns(tenant, run) ? this.#read(() => this.#parts.reads.readRun(tenant, run)) : this.#ifOpen(null);
  }

  async readEvents(query: EventQuery): Promise<EventRow[]> {
    if (!areColumns(query.tenant, query.stream)) return this.#ifOpen([]);
    return this.#read(() => this.#parts.reads.readEvents(query));
  }

  async readHistories(keys: readonly RunKey[]): Promise<EventRow[][]> {
    const known = keys.filter(({ tenant, run }) => areColumns(tenant, run));
    const found = await this.#read(() => this.#parts.reads.readHistories(known));
    if (known.length === keys.length) return found;
    return keys.map((key) => found[known.indexOf(key)] ?? []);
  }

  async listRuns(query: RunQuery): Promise<Page<RunRow>> {
    const after = decodeCursor('runs', query.cursor);
    const known = areColumns(query.tenant, after?.id ?? '') && query.statuses?.length !== 0;
    return known ? this.#read(() => this.#parts.reads.listRuns(query, after)) : this.#ifOpen({ items: [], next: null });
  }

  async readTasks(tenant: string, run: string): Promise<TaskRow[]> {
    return areColumns(tenant, run) ? this.#read(() => this.#parts.reads.readTasks(tenant, run)) : this.#ifOpen([]);
  }

  async readTimers(tenant: string, run: string): Promise<TimerRow[]> {
    return areColumns(tenant, run) ? this.#read(() => this.#parts.reads.readTimers(tenant, run)) : this.#ifOpen([]);
  }

  async readEntries(query: EntryQuery): Promise<EntryRow[]> {
    const { tenant, space, key = '', after } = query;
    const known = areColumns(tenant, space, key, after?.key ?? '', after?.ref ?? '');
    return known ? this.#read(() => this.#parts.reads.readEntries(query)) : this.#ifOpen([]);
  }

  async readFeed({ after, limit }: { readonly after: number; readonly limit: number }): Promise<EventRow[]> {
    return this.#read(() => this.#parts.feed.read(after, limit));
  }

  async readFeedKeys({ after, limit }: { readonly after: number; readonly limit: number }): Promise<FeedKeys> {
    return this.#read(() => this.#parts.feed.keys(after, limit));
  }

  async feedHead(): Promise<number> {
    return this.#read(() => this.#parts.feed.head());
  }

  async dueSchedules(limit: number): Promise<ScheduleRow[]> {
    return this.#read(() => this.#parts.reads.dueSchedules(limit));
  }

  async readSchedule(tenant: string, name: string): Promise<ScheduleRow | null> {
    return areColumns(tenant, name)
      ? this.#read(() => this.#parts.reads.readSchedule(tenant, name))
      : this.#ifOpen(null);
  }

  async listSchedules(query: ScheduleQuery): Promise<Page<ScheduleRow>> {
    const after = decodeCursor('schedules', query.cursor);
    if (!areColumns(query.tenant, after?.id ?? '')) return this.#ifOpen({ items: [], next: null });
    return this.#read(() => this.#parts.reads.listSchedules(query, after));
  }

  async listTopics(tenant: string): Promise<TopicHead[]> {
    return areColumns(tenant) ? this.#read(() => this.#parts.reads.listTopics(tenant)) : this.#ifOpen([]);
  }

  async listPartitions(query: {
    readonly after: PartitionKey | null;
    readonly limit: number;
  }): Promise<PartitionHead[]> {
    return this.#read(() => this.#parts.reads.listPartitions(query));
  }

  async readDedupe(tenant: string, scope: string, key: string): Promise<DedupeRow | null> {
    if (!areColumns(tenant, scope, key)) return this.#ifOpen(null);
    return this.#read(() => this.#parts.reads.readDedupe(tenant, scope, key));
  }

  async readDedupes(tenant: string, keys: readonly DedupeKey[]): Promise<(DedupeRow | null)[]> {
    const known = keys.filter(({ scope, key }) => areColumns(tenant, scope, key));
    if (known.length === 0) return this.#ifOpen(keys.map(() => null));
    const found = await this.#read(() => this.#parts.reads.readDedupes(tenant, known));
    if (known.length === keys.length) return found;
    return keys.map((key) => found[known.indexOf(key)] ?? null);
  }

  async listDeadLetters(query: DeadLetterQuery): Promise<Page<DeadLetterRow>> {
    const after = decodeCursor('dead-letters', query.cursor);
    if (!areColumns(query.tenant, query.class ?? '', query.workflow ?? '', after?.id ?? ''))
      return this.#ifOpen({ items: [], next: null });
    return this.#read(() => this.#parts.reads.listDeadLetters(query, after));
  }

  async readDeadLetter(tenant: string, id: string): Promise<DeadLetterRow | null> {
    return areColumns(tenant, id) ? this.#read(() => this.#parts.reads.readDeadLetter(tenant, id)) : this.#ifOpen(null);
  }

  async readTally(): Promise<TallyRow[]> {
    return this.#read(() => this.#parts.reads.readTally());
  }

  async queueStats(): Promise<QueueStats[]> {
    return this.#read(() => this.#parts.reads.queueStats());
  }

  async readBlob(tenant: string, hash: string): Promise<Uint8Array | null> {
    return areColumns(tenant, hash) ? this.#read(() => this.#parts.reads.readBlob(tenant, hash)) : this.#ifOpen(null);
  }

  async listManifests(): Promise<ManifestRow[]> {
    return this.#read(() => this.#parts.reads.listManifests());
  }

  async check(limit: number): Promise<Violation[]> {
    return this.#read(() => checkDatabase(this.#parts.database, this.#parts.schema, limit));
  }

  async holdDuty(duty: string, ttlMs: number): Promise<boolean> {
    return this.#read(() => this.#parts.duties.hold(duty, ttlMs));
  }

  watch(listener: StoreListener): () => void {
    this.#assertOpen();
    return this.#parts.neighbours.watch(listener);
  }

  async close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async #shut(): Promise<void> {
    const { commits, feed, duties, neighbours, database } = this.#parts;
    await commits.drained();
    await neighbours.close();
    await feed.close();
    await duties.giveUp();
    await database.close();
  }

  async #submit<O extends WriteRequest['op']>(request: Extract<WriteRequest, { op: O }>): Promise<WriteResults[O]> {
    this.#assertOpen();
    const result = await this.#parts.commits.submit(request);
    if (result.tag === 'refused') throw new SpineError('VALUE_UNSTORABLE', { path: request.op, reason: result.reason });
    if (result.tag === 'unknown') throw new SpineError('STORE_UNREACHABLE', {});
    // The writer answers each request in kind.
    return result.value as WriteResults[O];
  }

  /** What may be done twice is done again where the connection was at fault. Rejects with STORE_UNREACHABLE. */
  async #read<T>(read: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      this.#assertOpen();
      try {
        return await read();
      } catch (error) {
        if (error instanceof SpineError) throw error;
        const kind = classifyFailure(error);
        const pauseMs = readPausesMs[attempt];
        if (kind === 'item' || kind === 'fault')
          throw new SpineError('STORE_FAILED', { reason: reasonOf(error) }, { cause: error });
        if (kind === 'full') throw new SpineError('STORE_FULL', {}, { cause: error });
        if (pauseMs === undefined) throw new SpineError('STORE_UNREACHABLE', {}, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  /** The answer to what needs no look at the database. */
  #ifOpen<T>(value: T): T {
    this.#assertOpen();
    return value;
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new SpineError('STORE_CLOSED', {});
  }
}

function areColumns(...texts: readonly string[]): boolean {
  return texts.every(isColumnText);
}

function assertColumns(path: string, ...texts: readonly string[]): void {
  if (!areColumns(...texts))
    throw new SpineError('VALUE_UNSTORABLE', { path, reason: 'it holds NUL or a lone surrogate' });
}
