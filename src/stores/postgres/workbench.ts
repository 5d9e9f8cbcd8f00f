/**
 * A batch being worked out: what was found in the tables, under locks, and what the items so far have made of it. Guards
 * are decided here, one item after the other, exactly as the in-memory store does; what comes out is written set by set.
 * Nothing here touches the database.
 *
 * Invariant: an item that is refused has changed nothing.
 */
import type { RunRow } from '../../core/run/state.js';
import {
  entryConflict,
  type DeadLetterRow,
  type DedupeRow,
  type EntryKey,
  type EntryRow,
  type LeaseKey,
  newTaskRow,
  type Outcome,
  type ScheduleRow,
  stateCode,
  statusCode,
  type StoredPayload,
  tallyKind,
  type TaskKey,
  type TaskRow,
  type TaskWrite,
  type Transition,
  leasesOf,
  topicStream,
} from '../../store/index.js';

/** What is known of a run before it is moved. */
export interface RunBefore {
  readonly head: number;
  readonly status: number;
  readonly workflow: string;
  readonly era: number;
}

/** A run in the batch: whether its table has it, where it is, and its row where that is to be written. */
export interface RunEntry {
  readonly tenant: string;
  readonly run: string;
  stored: boolean;
  /** Its head as its table has it. */
  found: number;
  head: number;
  status: number;
  workflow: string;
  era: number;
  write: RunRow | null;
}

/** A task in the batch: as its table has it, as it is now, and whether the two differ. */
export interface TaskEntry {
  readonly key: TaskKey;
  stored: boolean;
  /** State and token as its table has them, where it has it. */
  found: { readonly state: number; readonly token: number };
  now: TaskRow | null;
  dirty: boolean;
}

export interface ScheduleEntry {
  readonly tenant: string;
  readonly name: string;
  stored: boolean;
  now: ScheduleRow | null;
  dirty: boolean;
}

export interface DedupeEntry {
  /** There, though perhaps expired. */
  stored: boolean;
  now: DedupeRow | null;
  dirty: boolean;
}

export interface LetterEntry {
  readonly tenant: string;
  readonly id: string;
  stored: boolean;
  exists: boolean;
  write: DeadLetterRow | null;
}

export interface BlobEntry {
  readonly tenant: string;
  readonly hash: string;
  exists: boolean;
  write: Uint8Array | null;
  refs: number;
}

export interface TimerEntry {
  readonly tenant: string;
  readonly run: string;
  readonly name: string;
  readonly fireAt: number | null;
}

/** An entry of a secondary index: as it is to be, or gone. */
export interface IndexEntry {
  readonly tenant: string;
  readonly key: EntryKey;
  readonly row: EntryRow | null;
}

/** An entry that the batch has looked at for its value: whether its table has it, and its value now; null = none. */
export interface GuardedEntry {
  stored: boolean;
  value: string | null;
}

export interface EventEntry {
  readonly tenant: string;
  readonly stream: string;
  readonly seq: number;
  readonly type: string;
  readonly at: number;
  readonly envelope: string;
  readonly payload: StoredPayload | null;
  readonly era: number;
  /** Place within the commit. */
  readonly n: number;
}

export interface TopicEventEntry extends Omit<EventEntry, 'stream' | 'seq' | 'era'> {
  readonly topic: string;
  readonly partition: number;
  /** Place among the events of its partition in this batch, from 0. */
  readonly index: number;
  /** Where its offset goes when it is known. */
  readonly offsets: number[];
}

export interface TallyEntry {
  readonly tenant: string;
  readonly kind: number;
  readonly name: string;
  readonly state: number;
  count: number;
}

export interface TopicEntry {
  readonly tenant: string;
  readonly topic: string;
  readonly partition: number;
  events: number;
}

/** Events of a partition that go. */
export interface TrimEntry {
  readonly tenant: string;
  readonly stream: string;
  readonly offsets: readonly number[];
}

export class Workbench {
  /** The database's clock at the beginning of the batch. */
  readonly now: number;
  readonly era: number;
  readonly runs = new Map<string, RunEntry>();
  readonly tasks = new Map<string, TaskEntry>();
  readonly schedules = new Map<string, ScheduleEntry>();
  readonly dedupe = new Map<string, DedupeEntry>();
  readonly letters = new Map<string, LetterEntry>();
  readonly blobs = new Map<string, BlobEntry>();
  /** Entries of the outbox that are there, and those that were carried out and go. */
  readonly outbox = new Set<number>();
  outboxDone: number[] = [];
  timers = new Map<string, TimerEntry>();
  entries = new Map<string, IndexEntry>();
  /** Entries whose values items name, by key. */
  readonly guarded = new Map<string, GuardedEntry>();
  events: EventEntry[] = [];
  readonly topicEvents: TopicEventEntry[] = [];
  readonly topics = new Map<string, TopicEntry>();
  readonly trims: TrimEntry[] = [];
  readonly tally = new Map<string, TallyEntry>();
  /** Ready tasks that came about, by queue: news for neighbours. */
  readonly work = new Map<string, number>();
  /** Items that were applied, and events among them. */
  applied = 0;
  eventCount = 0;
  eraMin = Number.MAX_SAFE_INTEGER;
  eraMax = 0;

  constructor(now: number, era: number) {
    this.now = now;
    this.era = era;
  }

  /** `outbox`: the entry that the transition carries out. */
  apply(transition: Transition, outbox?: number): Outcome {
    if (outbox !== undefined && !this.outbox.has(outbox)) return { tag: 'fenced' };
    const refusal = this.#refusal(transition);
    if (refusal !== null) return refusal;
    if (outbox !== undefined) {
      this.outbox.delete(outbox);
      this.outboxDone.push(outbox);
    }
    return this.#write(transition);
  }

  /** Puts a leased task back. False when it is not leased so. */
  release(lease: LeaseKey): boolean {
    const entry = this.tasks.get(keyOf(lease.tenant, lease.run, lease.task));
    if (entry?.now === null || entry === undefined || !this.#isHeld(lease)) return false;
    const back = { session: null, assignment: null, leasedAt: null };
    this.#putTask(entry, { ...entry.now, ...back, state: 'ready', readyAt: this.now });
    return true;
  }

  /** True when a claim or a promotion may change one of these tasks. */
  hasTaskIn(state: TaskRow['state'], keys: Iterable<string>): boolean {
    for (const key of keys) if (this.tasks.get(key)?.now?.state === state) return true;
    return false;
  }

  /** Takes over how a task is now in its table. */
  setTask(row: TaskRow): void {
    const { tenant, run, task } = row;
    const entry = within(this.tasks, keyOf(tenant, run, task), () => ({
      key: { tenant, run, task },
      stored: true,
      found: foundOf(row),
      now: row,
      dirty: false,
    }));
    entry.found = foundOf(row);
    entry.now = row;
    entry.stored = true;
    entry.dirty = false;
  }

  /** Takes over how a run was found in its table, unless the batch speaks of it. */
  setRun(tenant: string, run: string, before: RunBefore): void {
    within(this.runs, keyOf(tenant, run), () => {
      return { tenant, run, stored: true, found: before.head, ...before, write: null };
    });
  }

  count(tenant: string, kind: number, name: string, state: number, by: number): void {
    const key = keyOf(tenant, String(kind), name, String(state));
    const found = this.tally.get(key);
    if (found === undefined) this.tally.set(key, { tenant, kind, name, state, count: by });
    else found.count += by;
  }

  isReadyNow(queue: string, by = 1): void {
    this.work.set(queue, (this.work.get(queue) ?? 0) + by);
  }

  /** The guards in the order of the contract, then what only the data can tell to be unstorable. Changes nothing. */
  #refusal(t: Transition): Outcome | null {
    const { tenant, runs = [], schedules = [], unleased, dedupe = [], tasks = [], entries = [] } = t;
    for (const { expected, row } of runs) {
      const head = this.runs.get(keyOf(tenant, row.run))?.head ?? 0;
      if (head !== expected) return { tag: 'conflict', run: row.run, head };
    }
    for (const { name, expected } of schedules) {
      const head = this.schedules.get(keyOf(tenant, name))?.now?.version ?? 0;
      if (head !== expected) return { tag: 'conflict', run: name, head };
    }
    for (const write of entries) {
      if (write.expected === undefined) continue;
      const value = this.guarded.get(keyOf(tenant, write.space, write.key, write.ref))?.value ?? null;
      if (value !== write.expected) return entryConflict(write, value);
    }
    if (!leasesOf(t).every((lease) => this.#isHeld(lease))) return { tag: 'fenced' };
    if (unleased !== undefined && this.#stateOf(unleased) === 'leased') return { tag: 'fenced' };
    for (const write of tasks) {
      if (write.op !== 'requeue' && write.op !== 'admit') continue;
      const state = write.op === 'requeue' ? 'leased' : 'held';
      if (this.#stateOf({ tenant, run: write.run, task: write.task.task }) !== state) return { tag: 'fenced' };
    }
    for (const { scope, key } of dedupe) {
      const found = this.dedupe.get(keyOf(tenant, scope, key))?.now ?? null;
      if (found !== null && found.expiresAt > this.now) return { tag: 'duplicate', found };
    }
    const reason = this.#clash(t);
    return reason === null ? null : { tag: 'unstorable', reason };
  }

  #isHeld(lease: LeaseKey): boolean {
    const row = this.tasks.get(keyOf(lease.tenant, lease.run, lease.task))?.now ?? null;
    return row?.state === 'leased' && row.token === lease.token;
  }

  #stateOf({ tenant, run, task }: TaskKey): TaskRow['state'] | null {
    return this.tasks.get(keyOf(tenant, run, task))?.now?.state ?? null;
  }

  #clash({ tenant, events = [], publishes = [], tasks = [], deadLetters = [], blobs = [] }: Transition): string | null {
    for (const list of [events, publishes]) {
      for (const { payload } of list) {
        if (payload === null || !('blob' in payload)) continue;
        const known =
          this.blobs.get(keyOf(tenant, payload.blob))?.exists === true || blobs.some((b) => b.hash === payload.blob);
        if (!known) return `there is no blob ${payload.blob}`;
      }
    }
    if (tasks.length > 0) {
      const changed = new Map<string, boolean>();
      for (const write of tasks) {
        const task = write.op === 'close' ? write.task : write.task.task;
        const key = keyOf(tenant, write.run, task);
        const exists = changed.get(key) ?? (this.tasks.get(key)?.now ?? null) !== null;
        if (write.op === 'open' && exists) return `task ${task} is there already`;
        if (write.op !== 'open' && write.op !== 'close' && !exists) return `task ${task} is not there any more`;
        changed.set(key, write.op !== 'close');
      }
    }
    const letters = new Map<string, boolean>();
    for (const write of deadLetters) {
      const id = write.op === 'add' ? write.row.id : write.id;
      const exists = letters.get(id) ?? this.letters.get(keyOf(tenant, id))?.exists === true;
      if (write.op === 'add' && exists) return `dead letter ${id} is there already`;
      letters.set(id, write.op === 'add');
    }
    return null;
  }

  /** Cannot fail: everything that could was looked at before. */
  #write(t: Transition): Outcome {
    const { tenant } = t;
    for (const { hash, bytes } of t.blobs ?? []) {
      const entry = this.#blob(tenant, hash);
      entry.exists = true;
      entry.write ??= bytes;
    }
    for (const { row } of t.runs ?? []) this.#writeRun(row);
    for (const { name, row } of t.schedules ?? []) {
      const entry = within(this.schedules, keyOf(tenant, name), () => newSchedule(tenant, name));
      entry.now = row;
      entry.dirty = true;
    }
    for (const { scope, key, hash, reference, expiresAt } of t.dedupe ?? []) {
      const entry = this.dedupe.get(keyOf(tenant, scope, key)) ?? { stored: false, now: null, dirty: false };
      entry.now = { tenant, scope, key, hash, reference, expiresAt };
      entry.dirty = true;
      this.dedupe.set(keyOf(tenant, scope, key), entry);
    }
    for (const event of t.events ?? []) {
      const era = this.runs.get(keyOf(tenant, event.run))?.era ?? this.era;
      const { type, at, envelope, payload } = event;
      const n = this.#nextPlace(era);
      this.events.push({ tenant, stream: event.run, seq: event.seq, type, at, envelope, payload, era, n });
      this.#refer(tenant, payload);
    }
    const offsets: number[] = [];
    for (const event of t.publishes ?? []) {
      const { topic, partition, type, at, envelope, payload } = event;
      const n = this.#nextPlace(this.era);
      const index = this.#topic(tenant, topic, partition).events++;
      this.topicEvents.push({ tenant, topic, partition, index, type, at, envelope, payload, n, offsets });
      this.#refer(tenant, payload);
    }
    for (const { topic, partition, offsets } of t.trims ?? [])
      this.trims.push({ tenant, stream: topicStream(topic, partition), offsets });
    for (const write of t.tasks ?? []) this.#writeTask(tenant, write);
    for (const write of t.timers ?? []) {
      const { run, name } = write;
      const fireAt = write.op === 'set' ? write.fireAt : null;
      this.timers.set(keyOf(tenant, run, name), { tenant, run, name, fireAt });
    }
    for (const write of t.entries ?? []) {
      const { space, key, ref } = write;
      const row =
        write.op === 'drop' ? null : { tenant, space, key, ref, value: write.value, run: write.run, at: write.at };
      const name = keyOf(tenant, space, key, ref);
      this.entries.set(name, { tenant, key: { space, key, ref }, row });
      const guarded = this.guarded.get(name);
      if (guarded !== undefined) guarded.value = row?.value ?? null;
    }
    for (const write of t.deadLetters ?? []) {
      const id = write.op === 'add' ? write.row.id : write.id;
      const entry = this.#letter(tenant, id);
      entry.exists = write.op === 'add';
      entry.write = write.op === 'add' ? write.row : null;
    }
    this.applied += 1;
    return { tag: 'applied', positions: [], offsets };
  }

  #writeRun(row: RunRow): void {
    const key = keyOf(row.tenant, row.run);
    const status = statusCode[row.status];
    const entry = this.runs.get(key);
    if (entry === undefined || entry.head === 0) {
      this.runs.set(key, {
        tenant: row.tenant,
        run: row.run,
        stored: entry?.stored ?? false,
        found: entry?.found ?? 0,
        head: row.head,
        status,
        workflow: row.workflow,
        era: entry?.stored === true ? entry.era : this.era,
        write: row,
      });
      this.count(row.tenant, tallyKind.run, row.workflow, status, 1);
      return;
    }
    if (entry.status !== status || entry.workflow !== row.workflow) {
      this.count(row.tenant, tallyKind.run, entry.workflow, entry.status, -1);
      this.count(row.tenant, tallyKind.run, row.workflow, status, 1);
    }
    entry.head = row.head;
    entry.status = status;
    entry.workflow = row.workflow;
    entry.write = row;
  }

  #writeTask(tenant: string, write: TaskWrite): void {
    const { run } = write;
    const task = write.op === 'close' ? write.task : write.task.task;
    const key = keyOf(tenant, run, task);
    let entry = this.tasks.get(key);
    if (entry === undefined) {
      entry = { key: { tenant, run, task }, stored: false, found: absent, now: null, dirty: false };
      this.tasks.set(key, entry);
    }
    this.#putTask(
      entry,
      write.op === 'close' ? null : newTaskRow(tenant, run, write.task, entry.now?.token ?? 0, this.now),
    );
  }

  #putTask(entry: TaskEntry, row: TaskRow | null): void {
    const before = entry.now;
    if (before !== null) this.count(before.tenant, tallyKind.task, before.queue, stateCode[before.state], -1);
    if (row !== null) {
      this.count(row.tenant, tallyKind.task, row.queue, stateCode[row.state], 1);
      if (row.state === 'ready') this.isReadyNow(row.queue);
    }
    entry.now = row;
    entry.dirty = true;
  }

  #nextPlace(era: number): number {
    this.eraMin = Math.min(this.eraMin, era);
    this.eraMax = Math.max(this.eraMax, era);
    return this.eventCount++;
  }

  #refer(tenant: string, payload: StoredPayload | null): void {
    if (payload !== null && 'blob' in payload) this.#blob(tenant, payload.blob).refs += 1;
  }

  #blob(tenant: string, hash: string): BlobEntry {
    return within(this.blobs, keyOf(tenant, hash), () => ({ tenant, hash, exists: false, write: null, refs: 0 }));
  }

  #letter(tenant: string, id: string): LetterEntry {
    return within(this.letters, keyOf(tenant, id), () => ({ tenant, id, stored: false, exists: false, write: null }));
  }

  #topic(tenant: string, topic: string, partition: number): TopicEntry {
    return within(this.topics, keyOf(tenant, topic, String(partition)), () => ({
      tenant,
      topic,
      partition,
      events: 0,
    }));
  }
}

function newSchedule(tenant: string, name: string): ScheduleEntry {
  return { tenant, name, stored: false, now: null, dirty: false };
}

/** The key of a row in a map. Stored text holds no NUL, so the parts cannot run into each other. */
export function keyOf(...parts: readonly string[]): string {
  return parts.join('\0');
}

const absent = { state: -1, token: -1 };

/** What of a task is compared with its table. */
export function foundOf({ state, token }: TaskRow): TaskEntry['found'] {
  return { state: stateCode[state], token };
}

function within<V>(map: Map<string, V>, key: string, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
