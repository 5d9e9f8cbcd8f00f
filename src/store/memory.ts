/**
 * The reference store: plain maps and ordered sets, everything decided and applied in the call itself, promises
 * already settled when they are handed out. Deterministic, so the simulator runs on it; complete, so the conformance
 * suite runs on it. Nothing survives the process.
 */
import { SpineError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import type { RunRow } from '../core/run/state.js';
import {
  dutyTtlFactor,
  entryConflict,
  topicStream,
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
  type FeedKey,
  type FeedKeys,
  type LeaseKey,
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
  type StoredPayload,
  type TallyRow,
  type TaskRow,
  type TaskWrite,
  type TimerRow,
  type TopicHead,
  type Transition,
  type Violation,
} from './contract.js';
import { decodeCursor, encodeCursor } from './cursor.js';
import type { StoreFactory } from './factory.js';
import { checkMemory } from './memory-check.js';
import { MemoryData, keyOf } from './memory-data.js';
import { newTaskRow } from './new-task-row.js';
import { matchesRunQuery, runScanItemsMax } from './run-query.js';
import { findUnstorable, isColumnText } from './storable.js';
import { compareText } from './text-order.js';

export interface MemoryStoreOptions {
  /** The store's clock; tests and the simulator bind it to a virtual one. */
  readonly clock: Clock;
  /** Epoch of this owner. Default: one more than the last owner of `data`, or 1. */
  readonly epoch?: number;
  /** What an earlier store left (`store.data`): opening it again is a restart. Default: empty. */
  readonly data?: MemoryData;
  /** Whether those who opened the data before keep it: several servers on one store. Default: false. */
  readonly shared?: boolean;
}

export interface MemoryStore extends Store {
  /** The contents, for a later store to take over. */
  readonly data: MemoryData;
}

/** How long a blob without references is kept, ms. */
export const idleBlobKeptMs = 60 * 60_000;

/** Opens an in-memory store. Unless they are `shared`, a store opened later on the same data shuts this one out (STORE_CLOSED). */
export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  return new Memory(options);
}

/** The in-memory store as `createSpine` takes it. Opening it again finds what was left, as a file would. */
export function memory(options: { readonly clock: Clock }): StoreFactory {
  const data = new MemoryData();
  return { name: 'memory', open: async () => createMemoryStore({ clock: options.clock, data }) };
}

class Memory implements MemoryStore {
  readonly name = 'memory';
  readonly shared: boolean;
  readonly epoch: number;
  readonly data: MemoryData;
  /** Memory does not fail. */
  readonly failed = new Promise<Error>(() => undefined);
  readonly #clock: Clock;
  readonly #listeners = new Set<StoreListener>();
  #closed = false;

  constructor({ clock, data = new MemoryData(), epoch = data.epoch + 1, shared = false }: MemoryStoreOptions) {
    this.#clock = clock;
    this.data = data;
    this.shared = shared;
    this.epoch = epoch;
    data.epoch = epoch;
  }

  now(): number {
    return this.#clock.now();
  }

  async apply(transitions: readonly Transition[]): Promise<Outcome[]> {
    this.#assertOpen();
    const outcomes = transitions.map((transition) => this.#apply(transition));
    if (this.data.watchers.size > 0) this.#tellOthers(transitions.filter((_, i) => outcomes[i]?.tag === 'applied'));
    return outcomes;
  }

  #tellOthers(applied: readonly Transition[]): void {
    if (applied.length === 0) return;
    const queues = applied.flatMap(({ tasks = [] }) => tasks.filter(isReady).map((write) => write.task.queue));
    this.#tellOfWork(queues);
    for (const listener of this.#others()) listener.moved();
  }

  #tellOfWork(queues: readonly string[]): void {
    if (queues.length === 0) return;
    const work = new Map<string, number>();
    for (const queue of queues) work.set(queue, (work.get(queue) ?? 0) + 1);
    for (const listener of this.#others()) listener.work(work);
  }

  #others(): StoreListener[] {
    return [...this.data.watchers].filter(([, epoch]) => epoch !== this.epoch).map(([listener]) => listener);
  }

  #apply(transition: Transition): Outcome {
    const fault = findUnstorable(transition);
    if (fault !== null) return { tag: 'unstorable', reason: fault };
    return this.#refusal(transition) ?? this.#write(transition);
  }

  /** The guards in the order of the contract, then what only the data can tell to be unstorable. Changes nothing. */
  #refusal(transition: Transition): Outcome | null {
    const {
      tenant,
      runs = [],
      schedules = [],
      lease,
      leases = [],
      unleased,
      dedupe = [],
      tasks = [],
      entries = [],
    } = transition;
    for (const { expected, row } of runs) {
      const head = this.data.run(tenant, row.run)?.head ?? 0;
      if (head !== expected) return { tag: 'conflict', run: row.run, head };
    }
    for (const { name, expected } of schedules) {
      const head = this.data.schedule(tenant, name)?.version ?? 0;
      if (head !== expected) return { tag: 'conflict', run: name, head };
    }
    for (const write of entries) {
      const value = this.data.entry(tenant, write)?.value ?? null;
      if (write.expected !== undefined && write.expected !== value) return entryConflict(write, value);
    }
    if (lease !== undefined && !this.#isHeld(lease)) return { tag: 'fenced' };
    if (!leases.every((held) => this.#isHeld(held))) return { tag: 'fenced' };
    if (unleased !== undefined && this.data.task(unleased)?.state === 'leased') return { tag: 'fenced' };
    for (const write of tasks) {
      if (write.op !== 'requeue' && write.op !== 'admit') continue;
      const state = write.op === 'requeue' ? 'leased' : 'held';
      if (this.data.task({ tenant, run: write.run, task: write.task.task })?.state !== state) return { tag: 'fenced' };
    }
    for (const { scope, key } of dedupe) {
      const found = this.data.dedupeAt(this.now(), tenant, scope, key);
      if (found !== undefined) return { tag: 'duplicate', found };
    }
    const reason = this.#clash(transition);
    return reason === null ? null : { tag: 'unstorable', reason };
  }

  #isHeld(lease: LeaseKey): boolean {
    const row = this.data.task(lease);
    return row?.state === 'leased' && row.token === lease.token;
  }

  #clash({ tenant, events = [], publishes = [], tasks = [], deadLetters = [], blobs = [] }: Transition): string | null {
    for (const { payload } of [...events, ...publishes]) {
      if (payload === null || !('blob' in payload)) continue;
      const known = this.data.blob(tenant, payload.blob) !== undefined || blobs.some((b) => b.hash === payload.blob);
      if (!known) return `there is no blob ${payload.blob}`;
    }
    const changed = new Map<string, boolean>();
    for (const write of tasks) {
      const task = write.op === 'close' ? write.task : write.task.task;
      const key = keyOf(write.run, task);
      const exists = changed.get(key) ?? this.data.task({ tenant, run: write.run, task }) !== undefined;
      if (write.op === 'open' && exists) return `task ${task} is there already`;
      if (write.op !== 'open' && write.op !== 'close' && !exists) return `task ${task} is not there any more`;
      changed.set(key, write.op !== 'close');
    }
    const letters = new Map<string, boolean>();
    for (const write of deadLetters) {
      const id = write.op === 'add' ? write.row.id : write.id;
      const exists = letters.get(id) ?? this.data.deadLetter(tenant, id) !== undefined;
      if (write.op === 'add' && exists) return `dead letter ${id} is there already`;
      letters.set(id, write.op === 'add');
    }
    return null;
  }

  /** Cannot fail: everything that could was looked at before. */
  #write(transition: Transition): Outcome {
    const { data } = this;
    const { tenant, runs = [], dedupe = [], events = [], publishes = [], trims = [] } = transition;
    const { tasks = [], timers = [] } = transition;
    for (const { hash, bytes } of transition.blobs ?? []) data.putBlob(tenant, hash, bytes, this.now());
    for (const { row } of runs) data.putRun(copyRun(row));
    for (const { name, row } of transition.schedules ?? []) {
      if (row === null) data.dropSchedule(tenant, name);
      else data.putSchedule({ ...row });
    }
    for (const { scope, key, hash, reference, expiresAt } of dedupe)
      data.putDedupe({ tenant, scope, key, hash, reference, expiresAt });
    const positions: number[] = [];
    const offsets: number[] = [];
    for (const { run, seq, type, at, envelope, payload } of events)
      positions.push(
        data.appendEvent({ tenant, stream: run, seq, type, at, envelope, payload: copyPayload(payload) }, this.epoch),
      );
    for (const { topic, partition, type, at, envelope, payload } of publishes) {
      const seq = data.nextOffset(tenant, topic, partition);
      const stream = topicStream(topic, partition);
      offsets.push(seq);
      positions.push(
        data.appendEvent({ tenant, stream, seq, type, at, envelope, payload: copyPayload(payload) }, this.epoch),
      );
    }
    for (const trim of trims) data.trimTopic(tenant, trim);
    for (const write of tasks) this.#writeTask(tenant, write);
    for (const write of timers) {
      const { run, name } = write;
      const before = data.timer({ tenant, run }, name);
      if (write.op === 'set') data.putTimer({ tenant, run, name, fireAt: write.fireAt });
      else if (before !== undefined) data.dropTimer(before);
    }
    for (const write of transition.entries ?? []) {
      const { space, key, ref } = write;
      if (write.op === 'drop') data.dropEntry(tenant, write);
      else data.putEntry({ tenant, space, key, ref, value: write.value, run: write.run, at: write.at });
    }
    for (const write of transition.deadLetters ?? []) {
      if (write.op === 'add') data.putDeadLetter({ ...write.row });
      else data.dropDeadLetter(tenant, write.id);
    }
    return { tag: 'applied', positions, offsets };
  }

  #writeTask(tenant: string, write: TaskWrite): void {
    const { run } = write;
    if (write.op === 'close') {
      const row = this.data.task({ tenant, run, task: write.task });
      if (row !== undefined) this.data.dropTask(row);
      return;
    }
    const token = this.data.task({ tenant, run, task: write.task.task })?.token ?? 0;
    this.data.putTask(newTaskRow(tenant, run, write.task, token, this.now()));
  }

  async claim(request: ClaimRequest): Promise<ClaimedTask[]> {
    this.#assertOpen();
    const claimed: ClaimedTask[] = [];
    if (this.data.sessions.get(request.session)?.owner !== this.epoch) return claimed;
    for (const { queue, limit } of request.queues) {
      const wanted = Math.min(limit, request.limit - claimed.length);
      for (const found of this.#startable(queue, wanted)) {
        const task: TaskRow = {
          ...found.task,
          state: 'leased',
          token: found.task.token + 1,
          session: request.session,
          assignment: request.assignmentFrom + claimed.length,
          leasedAt: this.now(),
        };
        this.data.putTask(task);
        claimed.push({ ...found, task });
      }
    }
    return claimed;
  }

  /** The first ready tasks of a queue whose run and input are there; the others are for `check` to report. */
  #startable(queue: string, wanted: number): ClaimedTask[] {
    const found: ClaimedTask[] = [];
    if (wanted <= 0) return found;
    for (const task of this.data.ready.of(queue)) {
      const run = this.data.run(task.tenant, task.run);
      const input = this.data.event(task.tenant, task.run, task.inputSeq);
      if (run === undefined || input === undefined) continue;
      found.push({ task, head: run.head, input });
      if (found.length === wanted) break;
    }
    return found;
  }

  async release(leases: readonly LeaseKey[]): Promise<number> {
    this.#assertOpen();
    let released = 0;
    const queues: string[] = [];
    for (const lease of leases) {
      const row = this.data.task(lease);
      if (row === undefined || !this.#isHeld(lease)) continue;
      this.data.putTask({
        ...row,
        state: 'ready',
        session: null,
        assignment: null,
        leasedAt: null,
        readyAt: this.now(),
      });
      queues.push(row.queue);
      released += 1;
    }
    this.#tellOfWork(queues);
    return released;
  }

  async promoteDue(limit: number): Promise<number> {
    this.#assertOpen();
    const now = this.now();
    let promoted = 0;
    const queues: string[] = [];
    while (promoted < limit) {
      const row = this.data.delayed.first();
      if (row === undefined || (row.dueAt ?? 0) > now) break;
      this.data.putTask({ ...row, state: 'ready', dueAt: null, readyAt: now });
      queues.push(row.queue);
      promoted += 1;
    }
    this.#tellOfWork(queues);
    return promoted;
  }

  async openSession(session: NewSession): Promise<void> {
    this.#assertOpen();
    assertColumns('session', session.session, session.worker, session.app, session.info);
    this.data.sessions.set(session.session, { ...session, owner: this.epoch });
  }

  async takeSession(session: string): Promise<SessionRow | null> {
    this.#assertOpen();
    const row = this.data.sessions.get(session);
    if (row === undefined) return null;
    const taken = { ...row, owner: this.epoch };
    this.data.sessions.set(session, taken);
    return taken;
  }

  async beat(beats: readonly SessionBeat[]): Promise<string[]> {
    this.#assertOpen();
    const missing: string[] = [];
    for (const { session, counter, received } of beats) {
      const row = this.data.sessions.get(session);
      if (row?.owner !== this.epoch) missing.push(session);
      if (row === undefined) continue;
      const raised = { counter: Math.max(row.counter, counter), received: Math.max(row.received, received) };
      this.data.sessions.set(session, { ...row, ...raised });
    }
    return missing;
  }

  async closeSession(session: string): Promise<void> {
    this.#assertOpen();
    this.data.sessions.delete(session);
  }

  async listSessions(): Promise<SessionRow[]> {
    this.#assertOpen();
    return [...this.data.sessions.values()].sort((a, b) => compareText(a.session, b.session));
  }

  async listLeases(query: { readonly session?: string; readonly limit: number }): Promise<TaskRow[]> {
    this.#assertOpen();
    const found: TaskRow[] = [];
    for (const row of this.data.leased) {
      if (found.length >= query.limit) break;
      if (query.session === undefined || row.session === query.session) found.push(row);
    }
    return found;
  }

  async dueTimers(limit: number): Promise<TimerRow[]> {
    this.#assertOpen();
    const now = this.now();
    const due: TimerRow[] = [];
    for (const timer of this.data.timers) {
      if (timer.fireAt > now || due.length >= limit) break;
      due.push(timer);
    }
    return due;
  }

  async nextDueAt(): Promise<number | null> {
    this.#assertOpen();
    const timer = this.data.timers.first()?.fireAt ?? null;
    const task = this.data.delayed.first()?.dueAt ?? null;
    const schedule = this.data.schedulesByDue.first()?.dueAt ?? null;
    const due = [timer, task, schedule].filter((at) => at !== null);
    return due.length === 0 ? null : Math.min(...due);
  }

  async dueSchedules(limit: number): Promise<ScheduleRow[]> {
    this.#assertOpen();
    const now = this.now();
    const due: ScheduleRow[] = [];
    for (const row of this.data.schedulesByDue) {
      if ((row.dueAt ?? 0) > now || due.length >= limit) break;
      due.push(row);
    }
    return due;
  }

  async readSchedule(tenant: string, name: string): Promise<ScheduleRow | null> {
    this.#assertOpen();
    return this.data.schedule(tenant, name) ?? null;
  }

  async listSchedules(query: ScheduleQuery): Promise<Page<ScheduleRow>> {
    this.#assertOpen();
    const after = decodeCursor('schedules', query.cursor);
    const from = after === null ? null : ({ name: after.id } as ScheduleRow);
    const items: ScheduleRow[] = [];
    for (const row of this.data.schedulesOfTenant.of(query.tenant).walk(from, 'up')) {
      const last = items.at(-1);
      if (last !== undefined && items.length >= query.limit)
        return { items, next: encodeCursor('schedules', { at: 0, id: last.name }) };
      items.push(row);
    }
    return { items, next: null };
  }

  async readRun(tenant: string, run: string): Promise<RunRow | null> {
    this.#assertOpen();
    return this.data.run(tenant, run) ?? null;
  }

  async readEvents(query: EventQuery): Promise<EventRow[]> {
    this.#assertOpen();
    const start = this.data.indexAfter(query.tenant, query.stream, query.after);
    const events = this.data.streams.get(keyOf(query.tenant, query.stream)) ?? [];
    return events.slice(start, start + Math.max(0, query.limit));
  }

  async readHistories(keys: readonly RunKey[]): Promise<EventRow[][]> {
    this.#assertOpen();
    return keys.map(({ tenant, run }) => this.data.streams.get(keyOf(tenant, run))?.slice() ?? []);
  }

  async listRuns(query: RunQuery): Promise<Page<RunRow>> {
    this.#assertOpen();
    const after = decodeCursor('runs', query.cursor);
    const from = after === null ? null : ({ startedAt: after.at, run: after.id } as RunRow);
    const items: RunRow[] = [];
    let scanned = 0;
    let last: RunRow | null = null;
    for (const row of this.data.runsByStart.of(query.tenant).walk(from, query.order === 'oldest' ? 'up' : 'down')) {
      if (last !== null && (items.length >= query.limit || scanned >= runScanItemsMax))
        return { items, next: encodeCursor('runs', { at: last.startedAt, id: last.run }) };
      if (matchesRunQuery(row, query)) items.push(row);
      last = row;
      scanned += 1;
    }
    return { items, next: null };
  }

  async readTasks(tenant: string, run: string): Promise<TaskRow[]> {
    this.#assertOpen();
    const rows = this.data.tasksOfRun.get(keyOf(tenant, run))?.values() ?? [];
    return [...rows].sort((a, b) => compareText(a.task, b.task));
  }

  async readTimers(tenant: string, run: string): Promise<TimerRow[]> {
    this.#assertOpen();
    const rows = this.data.timersOfRun.get(keyOf(tenant, run))?.values() ?? [];
    return [...rows].sort((a, b) => compareText(a.name, b.name));
  }

  async readEntries({ tenant, space, key, after, limit }: EntryQuery): Promise<EntryRow[]> {
    this.#assertOpen();
    const rows: EntryRow[] = [];
    // No text comes before the empty one; an entry whose key and ref are both empty is looked up by itself.
    const from = { space, key: after?.key ?? key ?? '', ref: after?.ref ?? '' };
    const first = after === undefined ? this.data.entry(tenant, from) : undefined;
    if (first !== undefined && limit > 0) rows.push(first);
    for (const row of this.data.entries.of(tenant).walk(from as EntryRow, 'up')) {
      if (rows.length >= limit || row.space !== space) break;
      if (key !== undefined && row.key !== key) {
        if (compareText(row.key, key) > 0) break;
        continue;
      }
      rows.push(row);
    }
    return rows;
  }

  async readFeed(query: { readonly after: number; readonly limit: number }): Promise<EventRow[]> {
    this.#assertOpen();
    const rows: EventRow[] = [];
    for (let i = Math.max(0, query.after); i < this.data.feed.length && rows.length < query.limit; i++) {
      const row = this.data.feed[i];
      if (row !== undefined) rows.push(row);
    }
    return rows;
  }

  async readFeedKeys({ after, limit }: { readonly after: number; readonly limit: number }): Promise<FeedKeys> {
    this.#assertOpen();
    const { feed, writers } = this.data;
    const keys: FeedKey[] = [];
    let upTo = Math.max(0, after);
    for (; upTo < feed.length && keys.length < limit; upTo++) {
      const row = feed[upTo];
      if (row === undefined || writers[upTo] === this.epoch) continue;
      const { position, tenant, stream, seq } = row;
      keys.push({ position, tenant, stream, seq });
    }
    return { keys, upTo };
  }

  async feedHead(): Promise<number> {
    this.#assertOpen();
    return this.data.feed.length;
  }

  async listTopics(tenant: string): Promise<TopicHead[]> {
    this.#assertOpen();
    const heads: TopicHead[] = [];
    for (const [topic, partitions] of this.data.topics.get(tenant) ?? [])
      for (const [partition, head] of partitions) heads.push({ topic, partition, head });
    return heads.sort((a, b) => compareText(a.topic, b.topic) || a.partition - b.partition);
  }

  async listPartitions(query: {
    readonly after: PartitionKey | null;
    readonly limit: number;
  }): Promise<PartitionHead[]> {
    this.#assertOpen();
    const heads: PartitionHead[] = [];
    for (const [tenant, topics] of this.data.topics)
      for (const [topic, partitions] of topics)
        for (const [partition, head] of partitions) heads.push({ tenant, topic, partition, head });
    const { after } = query;
    return heads
      .filter((head) => after === null || comparePartitions(head, after) > 0)
      .sort(comparePartitions)
      .slice(0, query.limit);
  }

  async readDedupe(tenant: string, scope: string, key: string): Promise<DedupeRow | null> {
    this.#assertOpen();
    return this.data.dedupeAt(this.now(), tenant, scope, key) ?? null;
  }

  async readDedupes(tenant: string, keys: readonly DedupeKey[]): Promise<(DedupeRow | null)[]> {
    this.#assertOpen();
    return keys.map(({ scope, key }) => this.data.dedupeAt(this.now(), tenant, scope, key) ?? null);
  }

  async listDeadLetters(query: DeadLetterQuery): Promise<Page<DeadLetterRow>> {
    this.#assertOpen();
    const after = decodeCursor('dead-letters', query.cursor);
    const from = after === null ? null : ({ at: after.at, id: after.id } as DeadLetterRow);
    const items: DeadLetterRow[] = [];
    for (const row of this.data.deadLettersOfTenant.of(query.tenant).walk(from, 'down')) {
      if (query.class !== undefined && row.class !== query.class) continue;
      if (query.workflow !== undefined && row.workflow !== query.workflow) continue;
      const last = items.at(-1);
      if (last !== undefined && items.length >= query.limit)
        return { items, next: encodeCursor('dead-letters', { at: last.at, id: last.id }) };
      items.push(row);
    }
    return { items, next: null };
  }

  async readDeadLetter(tenant: string, id: string): Promise<DeadLetterRow | null> {
    this.#assertOpen();
    return this.data.deadLetter(tenant, id) ?? null;
  }

  async readTally(): Promise<TallyRow[]> {
    this.#assertOpen();
    return this.data
      .tally()
      .sort(
        (a, b) =>
          compareText(a.tenant, b.tenant) ||
          compareText(a.kind, b.kind) ||
          compareText(a.name, b.name) ||
          compareText(a.state, b.state),
      );
  }

  async queueStats(): Promise<QueueStats[]> {
    this.#assertOpen();
    const stats = new Map<string, { -readonly [K in keyof QueueStats]: QueueStats[K] }>();
    for (const { kind, name, state, count } of this.data.tally()) {
      if (kind !== 'task') continue;
      const row = stats.get(name) ?? { queue: name, ready: 0, delayed: 0, held: 0, leased: 0, oldestReadyAt: null };
      row[state as TaskRow['state']] += count;
      stats.set(name, row);
    }
    for (const row of stats.values())
      for (const { readyAt } of this.data.ready.of(row.queue))
        row.oldestReadyAt = Math.min(row.oldestReadyAt ?? readyAt, readyAt);
    return [...stats.values()].sort((a, b) => compareText(a.queue, b.queue));
  }

  async putBlob(tenant: string, hash: string, bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    assertColumns('blob', tenant, hash);
    this.data.putBlob(tenant, hash, bytes, this.now());
  }

  async readBlob(tenant: string, hash: string): Promise<Uint8Array | null> {
    this.#assertOpen();
    return this.data.blob(tenant, hash)?.bytes.slice() ?? null;
  }

  async saveManifest(row: ManifestRow): Promise<void> {
    this.#assertOpen();
    assertColumns('manifest', row.app, row.hash, row.manifest);
    this.data.manifests.set(keyOf(row.app, row.hash), { ...row });
  }

  async listManifests(): Promise<ManifestRow[]> {
    this.#assertOpen();
    return [...this.data.manifests.values()].sort(
      (a, b) => a.registeredAt - b.registeredAt || compareText(a.app, b.app) || compareText(a.hash, b.hash),
    );
  }

  async expire(limit: number): Promise<ExpireCounts> {
    this.#assertOpen();
    const now = this.now();
    const { data } = this;
    return {
      runs: takeWhile(
        limit,
        data.runsByExpiry,
        (row) => (row.expiresAt ?? 0) <= now,
        (row) => data.dropRun(row),
      ),
      dedupe: takeWhile(
        limit,
        data.dedupeByExpiry,
        (row) => row.expiresAt <= now,
        (row) => data.dropDedupe(row),
      ),
      blobs: takeWhile(
        limit,
        data.idleBlobs,
        (row) => row.createdAt < now - idleBlobKeptMs,
        (row) => data.dropBlob(row),
      ),
    };
  }

  async check(limit: number): Promise<Violation[]> {
    this.#assertOpen();
    return checkMemory(this.data, limit);
  }

  async holdDuty(duty: string, ttlMs: number): Promise<boolean> {
    this.#assertOpen();
    const now = this.now();
    const held = this.data.duties.get(duty);
    const isHeld = held !== undefined && held.until > now && held.until <= now + dutyTtlFactor * ttlMs;
    if (isHeld && held.owner !== this.epoch) return false;
    this.data.duties.set(duty, { owner: this.epoch, until: now + ttlMs });
    return true;
  }

  watch(listener: StoreListener): () => void {
    // Who has the data alone has nobody to hear of.
    if (this.shared) this.data.watchers.set(listener, this.epoch);
    this.#listeners.add(listener);
    return () => {
      this.data.watchers.delete(listener);
      this.#listeners.delete(listener);
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const listener of this.#listeners) this.data.watchers.delete(listener);
    for (const [duty, { owner }] of this.data.duties) if (owner === this.epoch) this.data.duties.delete(duty);
  }

  /** A store that was taken over by a newer owner of its data is as good as closed. */
  #assertOpen(): void {
    if (this.#closed || (!this.shared && this.data.epoch !== this.epoch)) throw new SpineError('STORE_CLOSED', {});
  }
}

function comparePartitions(a: PartitionKey, b: PartitionKey): number {
  return compareText(a.tenant, b.tenant) || compareText(a.topic, b.topic) || a.partition - b.partition;
}

function isReady(write: TaskWrite): write is Exclude<TaskWrite, { op: 'close' }> {
  return write.op !== 'close' && write.task.dueAt === null && write.task.limitKey === null;
}

/** Removes from the front of the set while `isPast`; returns how many. */
function takeWhile<T>(
  limit: number,
  set: { first(): T | undefined },
  isPast: (row: T) => boolean,
  drop: (row: T) => void,
): number {
  for (let taken = 0; taken < limit; taken++) {
    const row = set.first();
    if (row === undefined || !isPast(row)) return taken;
    drop(row);
  }
  return limit;
}

function copyRun(row: RunRow): RunRow {
  return { ...row, labels: row.labels === null ? null : { ...row.labels } };
}

function copyPayload(payload: StoredPayload | null): StoredPayload | null {
  if (payload === null) return null;
  const salt = payload.salt.slice();
  return 'blob' in payload ? { salt, blob: payload.blob } : { salt, text: payload.text };
}

function assertColumns(path: string, ...texts: readonly string[]): void {
  if (!texts.every(isColumnText))
    throw new SpineError('VALUE_UNSTORABLE', { path, reason: 'it holds NUL or a lone surrogate' });
}
