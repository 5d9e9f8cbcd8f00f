/**
 * The store contract over a lane for writes and a lane for reads. Looks at every argument before it goes on its way,
 * so that what cannot be stored is refused alike by all backends, and a key that cannot exist finds nothing.
 */
import { SpineError } from '../../core/errors.js';
import type { Clock } from '../../core/ports.js';
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
  type LeaseKey,
  type FeedKeys,
  type ManifestRow,
  type NewSession,
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
import type { ReadArguments, ReadLane, ReadName, ReadResult, WriteLane } from './lanes.js';
import type { Verdicts, WriteRequest, WriteResults } from './wire.js';

export interface SqliteStoreParts {
  readonly clock: Clock;
  readonly epoch: number;
  readonly write: WriteLane;
  readonly read: ReadLane;
}

const noVerdicts: Verdicts = new Map();

export class SqliteStore implements Store {
  readonly name = 'sqlite';
  /** The file has one owner. */
  readonly shared = false;
  readonly epoch: number;
  readonly failed: Promise<Error>;
  readonly #clock: Clock;
  readonly #write: WriteLane;
  readonly #read: ReadLane;
  #closing: Promise<void> | null = null;

  constructor(parts: SqliteStoreParts) {
    this.epoch = parts.epoch;
    this.failed = parts.write.failed;
    this.#clock = parts.clock;
    this.#write = parts.write;
    this.#read = parts.read;
  }

  now(): number {
    return this.#clock.now();
  }

  async apply(transitions: readonly Transition[]): Promise<Outcome[]> {
    if (transitions.length === 0) return this.#ifOpen([]);
    const verdicts = new Map<Transition, string>();
    for (const transition of transitions) {
      const fault = findUnstorable(transition);
      if (fault !== null) verdicts.set(transition, fault);
    }
    return this.#submit({ op: 'apply', transitions }, verdicts);
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
    // The caller may do with its bytes what it likes as soon as this returns; the batch is encoded a little later.
    await this.#submit({ op: 'putBlob', tenant, hash, bytes: bytes.slice() });
  }

  async saveManifest(row: ManifestRow): Promise<void> {
    assertColumns('manifest', row.app, row.hash, row.manifest);
    await this.#submit({ op: 'saveManifest', row });
  }

  async expire(limit: number): Promise<ExpireCounts> {
    return this.#submit({ op: 'expire', limit });
  }

  async listSessions(): Promise<SessionRow[]> {
    return this.#get('listSessions');
  }

  async listLeases(query: { readonly session?: string; readonly limit: number }): Promise<TaskRow[]> {
    return this.#get('listLeases', query);
  }

  async dueTimers(limit: number): Promise<TimerRow[]> {
    return this.#get('dueTimers', this.now(), limit);
  }

  async nextDueAt(): Promise<number | null> {
    return this.#get('nextDueAt');
  }

  async dueSchedules(limit: number): Promise<ScheduleRow[]> {
    return this.#get('dueSchedules', this.now(), limit);
  }

  async readSchedule(tenant: string, name: string): Promise<ScheduleRow | null> {
    return areColumns(tenant, name) ? this.#get('readSchedule', tenant, name) : this.#ifOpen(null);
  }

  async listSchedules(query: ScheduleQuery): Promise<Page<ScheduleRow>> {
    const after = decodeCursor('schedules', query.cursor);
    const known = areColumns(query.tenant, after?.id ?? '');
    return known ? this.#get('listSchedules', query, after) : this.#ifOpen({ items: [], next: null });
  }

  async readRun(tenant: string, run: string): Promise<RunRow | null> {
    return areColumns(tenant, run) ? this.#get('readRun', tenant, run) : this.#ifOpen(null);
  }

  async readEvents(query: EventQuery): Promise<EventRow[]> {
    return areColumns(query.tenant, query.stream) ? this.#get('readEvents', query) : this.#ifOpen([]);
  }

  async readHistories(keys: readonly RunKey[]): Promise<EventRow[][]> {
    const known = keys.filter(({ tenant, run }) => areColumns(tenant, run));
    const found = await this.#get('readHistories', known);
    if (known.length === keys.length) return found;
    return keys.map((key) => found[known.indexOf(key)] ?? []);
  }

  async listRuns(query: RunQuery): Promise<Page<RunRow>> {
    const after = decodeCursor('runs', query.cursor);
    if (!areColumns(query.tenant) || query.statuses?.length === 0) return this.#ifOpen({ items: [], next: null });
    return this.#get('listRuns', query, after);
  }

  async readTasks(tenant: string, run: string): Promise<TaskRow[]> {
    return areColumns(tenant, run) ? this.#get('readTasks', tenant, run) : this.#ifOpen([]);
  }

  async readTimers(tenant: string, run: string): Promise<TimerRow[]> {
    return areColumns(tenant, run) ? this.#get('readTimers', tenant, run) : this.#ifOpen([]);
  }

  async readEntries(query: EntryQuery): Promise<EntryRow[]> {
    const { tenant, space, key = '', after } = query;
    const known = areColumns(tenant, space, key, after?.key ?? '', after?.ref ?? '');
    return known ? this.#get('readEntries', query) : this.#ifOpen([]);
  }

  async readFeed(query: { readonly after: number; readonly limit: number }): Promise<EventRow[]> {
    return this.#get('readFeed', query);
  }

  async readFeedKeys(query: { readonly after: number; readonly limit: number }): Promise<FeedKeys> {
    return this.#get('readFeedKeys', query);
  }

  async feedHead(): Promise<number> {
    return this.#get('feedHead');
  }

  async listTopics(tenant: string): Promise<TopicHead[]> {
    return areColumns(tenant) ? this.#get('listTopics', tenant) : this.#ifOpen([]);
  }

  async listPartitions(query: {
    readonly after: PartitionKey | null;
    readonly limit: number;
  }): Promise<PartitionHead[]> {
    return this.#get('listPartitions', query);
  }

  async readDedupe(tenant: string, scope: string, key: string): Promise<DedupeRow | null> {
    const known = areColumns(tenant, scope, key);
    return known ? this.#get('readDedupe', this.now(), tenant, scope, key) : this.#ifOpen(null);
  }

  async readDedupes(tenant: string, keys: readonly DedupeKey[]): Promise<(DedupeRow | null)[]> {
    const known = keys.filter(({ scope, key }) => areColumns(tenant, scope, key));
    if (known.length === 0) return this.#ifOpen(keys.map(() => null));
    const found = await this.#get('readDedupes', this.now(), tenant, known);
    if (known.length === keys.length) return found;
    return keys.map((key) => found[known.indexOf(key)] ?? null);
  }

  async listDeadLetters(query: DeadLetterQuery): Promise<Page<DeadLetterRow>> {
    const after = decodeCursor('dead-letters', query.cursor);
    const known = areColumns(query.tenant, query.class ?? '', query.workflow ?? '');
    return known ? this.#get('listDeadLetters', query, after) : this.#ifOpen({ items: [], next: null });
  }

  async readDeadLetter(tenant: string, id: string): Promise<DeadLetterRow | null> {
    return areColumns(tenant, id) ? this.#get('readDeadLetter', tenant, id) : this.#ifOpen(null);
  }

  async readTally(): Promise<TallyRow[]> {
    return this.#get('readTally');
  }

  async queueStats(): Promise<QueueStats[]> {
    return this.#get('queueStats');
  }

  async readBlob(tenant: string, hash: string): Promise<Uint8Array | null> {
    return areColumns(tenant, hash) ? this.#get('readBlob', tenant, hash) : this.#ifOpen(null);
  }

  async listManifests(): Promise<ManifestRow[]> {
    return this.#get('listManifests');
  }

  async check(limit: number): Promise<Violation[]> {
    return this.#get('check', limit);
  }

  /** There is no other server that could have it. */
  async holdDuty(): Promise<boolean> {
    return this.#ifOpen(true);
  }

  /** There is no other server to hear of. */
  watch(_listener: StoreListener): () => void {
    return () => undefined;
  }

  async close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  /** Readers go first: the last connection to close moves the WAL into the file, and only the writer may. */
  async #shut(): Promise<void> {
    await this.#read.close();
    await this.#write.close();
  }

  async #submit<O extends WriteRequest['op']>(
    request: Extract<WriteRequest, { op: O }>,
    verdicts: Verdicts = noVerdicts,
  ): Promise<WriteResults[O]> {
    this.#assertOpen();
    const result = await this.#write.submit(request, verdicts);
    if (result.tag === 'refused') throw new SpineError('VALUE_UNSTORABLE', { path: request.op, reason: result.reason });
    // The writer answers each request in kind.
    return result.value as WriteResults[O];
  }

  async #get<N extends ReadName>(name: N, ...parameters: ReadArguments<N>): Promise<ReadResult<N>> {
    this.#assertOpen();
    return this.#read.read(name, ...parameters);
  }

  /** The answer to what needs no look at the file. */
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
