/**
 * The tables of the in-memory store and their indexes: every row that is put or removed goes through here, so that
 * an index never disagrees with its table. No guards and no decisions; those are in `memory.ts`.
 */
import { isEnded, type RunRow } from '../core/run/state.js';
import {
  topicStream,
  type DeadLetterRow,
  type DedupeRow,
  type EntryKey,
  type EntryRow,
  type EventRow,
  type ManifestRow,
  type RunKey,
  type ScheduleRow,
  type SessionRow,
  type StoreListener,
  type TallyRow,
  type TaskKey,
  type TaskRow,
  type TimerRow,
  type TopicTrim,
} from './contract.js';
import { OrderedSet } from './ordered-set.js';
import { compareText } from './text-order.js';

/** A blob and how many stored events refer to it. */
export interface BlobRow {
  readonly tenant: string;
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly refs: number;
  /** When it was last put; an unreferenced one is deleted an hour later. */
  readonly createdAt: number;
}

/** Everything an in-memory store holds. Outlives a store handle, as a file does. */
export class MemoryData {
  /** Epoch of the newest owner. */
  epoch = 0;
  /** Events by position; positions below `feedStart` are gone. */
  readonly feed: (EventRow | undefined)[] = [];
  /** Which opening wrote the event of each position. */
  readonly writers: number[] = [];
  readonly runs = new Map<string, RunRow>();
  readonly runsByStart = new PerName<RunRow>((a, b) => a.startedAt - b.startedAt || compareText(a.run, b.run));
  readonly runsByExpiry = new OrderedSet<RunRow>(
    (a, b) => (a.expiresAt ?? 0) - (b.expiresAt ?? 0) || compareText(a.tenant, b.tenant) || compareText(a.run, b.run),
  );
  /** Events of each stream in the order of `seq`. Those of a run have no gap; of a partition, some may be gone. */
  readonly streams = new Map<string, EventRow[]>();
  readonly tasks = new Map<string, TaskRow>();
  readonly tasksOfRun = new Map<string, Map<string, TaskRow>>();
  readonly ready = new PerName<TaskRow>(
    (a, b) =>
      a.rank - b.rank || compareText(a.run, b.run) || compareText(a.task, b.task) || compareText(a.tenant, b.tenant),
  );
  readonly delayed = new OrderedSet<TaskRow>((a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0) || compareTasks(a, b));
  readonly leased = new OrderedSet<TaskRow>(
    (a, b) =>
      compareText(a.session ?? '', b.session ?? '') || (a.assignment ?? 0) - (b.assignment ?? 0) || compareTasks(a, b),
  );
  readonly timersOfRun = new Map<string, Map<string, TimerRow>>();
  readonly timers = new OrderedSet<TimerRow>(
    (a, b) =>
      a.fireAt - b.fireAt ||
      compareText(a.tenant, b.tenant) ||
      compareText(a.run, b.run) ||
      compareText(a.name, b.name),
  );
  /** By tenant. */
  readonly entries = new PerName<EntryRow>(compareEntries);
  readonly entriesOfRun = new Map<string, Map<string, EntryRow>>();
  readonly schedules = new Map<string, ScheduleRow>();
  readonly schedulesOfTenant = new PerName<ScheduleRow>((a, b) => compareText(a.name, b.name));
  readonly schedulesByDue = new OrderedSet<ScheduleRow>(
    (a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0) || compareText(a.tenant, b.tenant) || compareText(a.name, b.name),
  );
  readonly dedupe = new Map<string, DedupeRow>();
  readonly dedupeByExpiry = new OrderedSet<DedupeRow>(
    (a, b) =>
      a.expiresAt - b.expiresAt ||
      compareText(a.tenant, b.tenant) ||
      compareText(a.scope, b.scope) ||
      compareText(a.key, b.key),
  );
  readonly deadLetters = new Map<string, DeadLetterRow>();
  readonly deadLettersOfTenant = new PerName<DeadLetterRow>((a, b) => a.at - b.at || compareText(a.id, b.id));
  readonly deadLettersOfRun = new Map<string, Set<string>>();
  readonly blobs = new Map<string, BlobRow>();
  readonly idleBlobs = new OrderedSet<BlobRow>(
    (a, b) => a.createdAt - b.createdAt || compareText(a.tenant, b.tenant) || compareText(a.hash, b.hash),
  );
  /** Offset of the next event, by tenant, then topic, then partition. */
  readonly topics = new Map<string, Map<string, Map<number, number>>>();
  readonly sessions = new Map<string, SessionRow>();
  /** Who has each duty, and until when. */
  readonly duties = new Map<string, { readonly owner: number; readonly until: number }>();
  /** Listeners of the stores that have this data open, with their epochs. */
  readonly watchers = new Map<StoreListener, number>();
  readonly manifests = new Map<string, ManifestRow>();
  readonly #entries = new Map<string, EntryRow>();
  readonly #tally = new Map<string, { row: TallyRow; count: number }>();

  run(tenant: string, run: string): RunRow | undefined {
    return this.runs.get(keyOf(tenant, run));
  }

  putRun(row: RunRow): void {
    const key = keyOf(row.tenant, row.run);
    const before = this.runs.get(key);
    if (before !== undefined) this.#unindexRun(before);
    this.runs.set(key, row);
    this.runsByStart.of(row.tenant).add(row);
    if (row.expiresAt !== null && isEnded(row.status)) this.runsByExpiry.add(row);
    this.#count(row.tenant, 'run', row.workflow, row.status, 1);
  }

  /** Deletes the run and everything that belongs to it. */
  dropRun(row: RunRow): void {
    const key = keyOf(row.tenant, row.run);
    this.#unindexRun(row);
    this.runs.delete(key);
    const stream = this.streams.get(key);
    for (const event of stream ?? []) this.#dropEvent(event);
    this.streams.delete(key);
    for (const task of [...(this.tasksOfRun.get(key)?.values() ?? [])]) this.dropTask(task);
    for (const timer of [...(this.timersOfRun.get(key)?.values() ?? [])]) this.dropTimer(timer);
    for (const entry of [...(this.entriesOfRun.get(key)?.values() ?? [])]) this.dropEntry(entry.tenant, entry);
    for (const id of [...(this.deadLettersOfRun.get(key) ?? [])]) this.dropDeadLetter(row.tenant, id);
  }

  #unindexRun(row: RunRow): void {
    this.runsByStart.of(row.tenant).delete(row);
    if (row.expiresAt !== null && isEnded(row.status)) this.runsByExpiry.delete(row);
    this.#count(row.tenant, 'run', row.workflow, row.status, -1);
  }

  /** Adds the event, which the opening `writer` wrote, at the end of the feed and of its stream. Returns its position. */
  appendEvent(event: Omit<EventRow, 'position'>, writer: number): number {
    const row: EventRow = { position: this.feed.length + 1, ...event };
    this.feed.push(row);
    this.writers.push(writer);
    const key = keyOf(row.tenant, row.stream);
    const stream = this.streams.get(key);
    if (stream === undefined) this.streams.set(key, [row]);
    else stream.push(row);
    if (row.payload !== null && 'blob' in row.payload) this.addReference(row.tenant, row.payload.blob, 1);
    return row.position;
  }

  event(tenant: string, stream: string, seq: number): EventRow | undefined {
    const found = this.streams.get(keyOf(tenant, stream))?.[this.indexAfter(tenant, stream, seq - 1)];
    return found?.seq === seq ? found : undefined;
  }

  /** Where in the stream the events with a higher `seq` begin. */
  indexAfter(tenant: string, stream: string, seq: number): number {
    const events = this.streams.get(keyOf(tenant, stream)) ?? [];
    const [first] = events;
    if (first === undefined) return 0;
    // Where nothing is gone, the place follows from the number.
    const guess = Math.max(0, seq + 1 - first.seq);
    if (guess === 0 || events[guess - 1]?.seq === seq) return guess;
    let [low, high] = [0, Math.min(guess, events.length)];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((events[middle]?.seq ?? 0) <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Deletes events of a partition; the offset of the next one stays. */
  trimTopic(tenant: string, { topic, partition, offsets }: TopicTrim): void {
    const key = keyOf(tenant, topicStream(topic, partition));
    const gone = new Set(offsets);
    const kept: EventRow[] = [];
    for (const event of this.streams.get(key) ?? []) {
      if (gone.has(event.seq)) this.#dropEvent(event);
      else kept.push(event);
    }
    this.streams.set(key, kept);
  }

  #dropEvent({ tenant, position, payload }: EventRow): void {
    this.feed[position - 1] = undefined;
    if (payload !== null && 'blob' in payload) this.addReference(tenant, payload.blob, -1);
  }

  /** Takes the next offset of a partition. */
  nextOffset(tenant: string, topic: string, partition: number): number {
    const topics = within(this.topics, tenant, () => new Map<string, Map<number, number>>());
    const partitions = within(topics, topic, () => new Map<number, number>());
    const offset = partitions.get(partition) ?? 0;
    partitions.set(partition, offset + 1);
    return offset;
  }

  task(key: TaskKey): TaskRow | undefined {
    return this.tasks.get(keyOf(key.tenant, key.run, key.task));
  }

  putTask(row: TaskRow): void {
    const before = this.task(row);
    if (before !== undefined) this.#unindexTask(before);
    this.tasks.set(keyOf(row.tenant, row.run, row.task), row);
    within(this.tasksOfRun, keyOf(row.tenant, row.run), () => new Map<string, TaskRow>()).set(row.task, row);
    if (row.state === 'ready') this.ready.of(row.queue).add(row);
    if (row.state === 'delayed') this.delayed.add(row);
    if (row.state === 'leased') this.leased.add(row);
    this.#count(row.tenant, 'task', row.queue, row.state, 1);
  }

  dropTask(row: TaskRow): void {
    this.#unindexTask(row);
    this.tasks.delete(keyOf(row.tenant, row.run, row.task));
    dropWithin(this.tasksOfRun, keyOf(row.tenant, row.run), row.task);
  }

  #unindexTask(row: TaskRow): void {
    if (row.state === 'ready') this.ready.of(row.queue).delete(row);
    if (row.state === 'delayed') this.delayed.delete(row);
    if (row.state === 'leased') this.leased.delete(row);
    this.#count(row.tenant, 'task', row.queue, row.state, -1);
  }

  putTimer(row: TimerRow): void {
    const timers = within(this.timersOfRun, keyOf(row.tenant, row.run), () => new Map<string, TimerRow>());
    const before = timers.get(row.name);
    if (before !== undefined) this.timers.delete(before);
    timers.set(row.name, row);
    this.timers.add(row);
  }

  timer(key: RunKey, name: string): TimerRow | undefined {
    return this.timersOfRun.get(keyOf(key.tenant, key.run))?.get(name);
  }

  dropTimer(row: TimerRow): void {
    this.timers.delete(row);
    dropWithin(this.timersOfRun, keyOf(row.tenant, row.run), row.name);
  }

  entry(tenant: string, { space, key, ref }: EntryKey): EntryRow | undefined {
    return this.#entries.get(keyOf(tenant, space, key, ref));
  }

  putEntry(row: EntryRow): void {
    this.dropEntry(row.tenant, row);
    const key = keyOf(row.tenant, row.space, row.key, row.ref);
    this.#entries.set(key, row);
    this.entries.of(row.tenant).add(row);
    if (row.run !== '')
      within(this.entriesOfRun, keyOf(row.tenant, row.run), () => new Map<string, EntryRow>()).set(key, row);
  }

  dropEntry(tenant: string, entry: EntryKey): void {
    const row = this.entry(tenant, entry);
    if (row === undefined) return;
    const key = keyOf(tenant, row.space, row.key, row.ref);
    this.#entries.delete(key);
    this.entries.of(tenant).delete(row);
    if (row.run !== '') dropWithin(this.entriesOfRun, keyOf(tenant, row.run), key);
  }

  schedule(tenant: string, name: string): ScheduleRow | undefined {
    return this.schedules.get(keyOf(tenant, name));
  }

  putSchedule(row: ScheduleRow): void {
    this.dropSchedule(row.tenant, row.name);
    this.schedules.set(keyOf(row.tenant, row.name), row);
    this.schedulesOfTenant.of(row.tenant).add(row);
    if (row.dueAt !== null) this.schedulesByDue.add(row);
  }

  dropSchedule(tenant: string, name: string): void {
    const row = this.schedule(tenant, name);
    if (row === undefined) return;
    this.schedules.delete(keyOf(tenant, name));
    this.schedulesOfTenant.of(tenant).delete(row);
    if (row.dueAt !== null) this.schedulesByDue.delete(row);
  }

  /** The key if it is taken at `now`; an expired one counts as absent. */
  dedupeAt(now: number, tenant: string, scope: string, key: string): DedupeRow | undefined {
    const row = this.dedupe.get(keyOf(tenant, scope, key));
    return row === undefined || row.expiresAt <= now ? undefined : row;
  }

  putDedupe(row: DedupeRow): void {
    const key = keyOf(row.tenant, row.scope, row.key);
    const before = this.dedupe.get(key);
    if (before !== undefined) this.dedupeByExpiry.delete(before);
    this.dedupe.set(key, row);
    this.dedupeByExpiry.add(row);
  }

  dropDedupe(row: DedupeRow): void {
    this.dedupe.delete(keyOf(row.tenant, row.scope, row.key));
    this.dedupeByExpiry.delete(row);
  }

  deadLetter(tenant: string, id: string): DeadLetterRow | undefined {
    return this.deadLetters.get(keyOf(tenant, id));
  }

  putDeadLetter(row: DeadLetterRow): void {
    this.deadLetters.set(keyOf(row.tenant, row.id), row);
    this.deadLettersOfTenant.of(row.tenant).add(row);
    within(this.deadLettersOfRun, keyOf(row.tenant, row.run), () => new Set<string>()).add(row.id);
  }

  dropDeadLetter(tenant: string, id: string): void {
    const row = this.deadLetter(tenant, id);
    if (row === undefined) return;
    this.deadLetters.delete(keyOf(tenant, id));
    this.deadLettersOfTenant.of(tenant).delete(row);
    dropWithin(this.deadLettersOfRun, keyOf(tenant, row.run), id);
  }

  blob(tenant: string, hash: string): BlobRow | undefined {
    return this.blobs.get(keyOf(tenant, hash));
  }

  /** Stores the bytes unless they are there; either way the hour of an unreferenced blob begins anew. */
  putBlob(tenant: string, hash: string, bytes: Uint8Array, now: number): void {
    const before = this.blob(tenant, hash);
    this.#setBlob(before, {
      tenant,
      hash,
      bytes: before?.bytes ?? bytes.slice(),
      refs: before?.refs ?? 0,
      createdAt: now,
    });
  }

  addReference(tenant: string, hash: string, by: 1 | -1): void {
    const before = this.blob(tenant, hash);
    if (before !== undefined) this.#setBlob(before, { ...before, refs: before.refs + by });
  }

  dropBlob(row: BlobRow): void {
    this.blobs.delete(keyOf(row.tenant, row.hash));
    this.idleBlobs.delete(row);
  }

  #setBlob(before: BlobRow | undefined, row: BlobRow): void {
    if (before?.refs === 0) this.idleBlobs.delete(before);
    this.blobs.set(keyOf(row.tenant, row.hash), row);
    if (row.refs === 0) this.idleBlobs.add(row);
  }

  /** Counters other than zero. */
  tally(): TallyRow[] {
    const rows: TallyRow[] = [];
    for (const { row, count } of this.#tally.values()) if (count !== 0) rows.push({ ...row, count });
    return rows;
  }

  #count(tenant: string, kind: TallyRow['kind'], name: string, state: string, by: 1 | -1): void {
    const key = keyOf(tenant, kind, name, state);
    const found = within(this.#tally, key, () => ({ row: { tenant, kind, name, state, count: 0 }, count: 0 }));
    found.count += by;
  }
}

/** One ordered set per name (queue, tenant), made on first use. */
export class PerName<T> {
  readonly #sets = new Map<string, OrderedSet<T>>();
  readonly #compare: (a: T, b: T) => number;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  of(name: string): OrderedSet<T> {
    return within(this.#sets, name, () => new OrderedSet(this.#compare));
  }
}

/** The key of a row in a map. Stored text holds no NUL, so the parts cannot run into each other. */
export function keyOf(...parts: readonly string[]): string {
  return parts.join('\0');
}

/** The order of entries of one tenant. */
export function compareEntries(a: EntryKey, b: EntryKey): number {
  return compareText(a.space, b.space) || compareText(a.key, b.key) || compareText(a.ref, b.ref);
}

export function compareTasks(a: TaskKey, b: TaskKey): number {
  return compareText(a.tenant, b.tenant) || compareText(a.run, b.run) || compareText(a.task, b.task);
}

function within<V>(map: Map<string, V>, key: string, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

function dropWithin(
  map: Map<string, { delete(key: string): boolean; readonly size: number }>,
  key: string,
  inner: string,
): void {
  const found = map.get(key);
  found?.delete(inner);
  if (found?.size === 0) map.delete(key);
}
