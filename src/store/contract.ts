/**
 * The contract between the engine and its store. One way to write (`apply`), a few narrow ways to claim and to read.
 * Stores move rows and bytes; they know nothing of workflows. Every backend passes `testing/conformance`.
 *
 * Rules that hold for all backends:
 * - A transition is atomic: all of it or nothing. Transitions of one batch succeed or are refused singly.
 * - Items are applied in the order in which they were handed over, across `apply`, `claim` and the session calls.
 * - When a promise resolves, its effect is durable.
 * - Keys begin with the tenant; the only exceptions are the claim order (by queue) and sessions (of workers, who serve all).
 */
import type { RunRow, RunStatus } from '../core/run/state.js';

export interface Store {
  readonly name: string;
  /** Whether other servers may have the store open at the same time. Where they may not, opening it shuts others out. */
  readonly shared: boolean;
  /** Number of this opening, higher than that of every earlier one; part of every envelope, and the name of a node. */
  readonly epoch: number;
  /** The store's clock as best known here, epoch ms. The only clock for leases, timers and dates of events. */
  now(): number;

  /** Applies each transition or refuses it singly. Rejects only where nothing is known to be durable (STORE_*). */
  apply(transitions: readonly Transition[]): Promise<Outcome[]>;

  // Work
  /** Nothing for a session that this opening does not own. */
  claim(request: ClaimRequest): Promise<ClaimedTask[]>;
  /** Puts leased tasks back to their queues without counting an attempt. Returns how many were still leased so. */
  release(leases: readonly LeaseKey[]): Promise<number>;
  /** Moves delayed tasks that are due to their queues. Returns how many. */
  promoteDue(limit: number): Promise<number>;
  /** Adds a session, owned by this opening. */
  openSession(session: NewSession): Promise<void>;
  /** Makes this opening the owner of a session; its old one gets no more claims for it. Null = there is no such session. */
  takeSession(session: string): Promise<SessionRow | null>;
  /** Raises the counters, whoever owns the session; returns those that do not exist (any more) or have another owner. */
  beat(beats: readonly SessionBeat[]): Promise<string[]>;
  /** Ends a session; from then on it gets no claims. Its leases stay until they are released or lost. */
  closeSession(session: string): Promise<void>;
  listSessions(): Promise<SessionRow[]>;
  /** Live leases, of one session or of all. */
  listLeases(query: { readonly session?: string; readonly limit: number }): Promise<TaskRow[]>;

  // Timers
  /** Timers due on the store's clock, oldest first. They stay until a transition clears them. */
  dueTimers(limit: number): Promise<TimerRow[]>;
  /** When the next timer, delayed task or schedule is due; null = none. */
  nextDueAt(): Promise<number | null>;

  // Schedules
  /** Schedules due on the store's clock, oldest first. They stay due until a transition moves them. */
  dueSchedules(limit: number): Promise<ScheduleRow[]>;
  readSchedule(tenant: string, name: string): Promise<ScheduleRow | null>;
  /** In the order of their names, by code point. */
  listSchedules(query: ScheduleQuery): Promise<Page<ScheduleRow>>;

  // Reads
  readRun(tenant: string, run: string): Promise<RunRow | null>;
  /** Events of a stream with seq > after, in order. */
  readEvents(query: EventQuery): Promise<EventRow[]>;
  /** Whole histories of several runs, in one round trip. */
  readHistories(keys: readonly RunKey[]): Promise<EventRow[][]>;
  listRuns(query: RunQuery): Promise<Page<RunRow>>;
  readTasks(tenant: string, run: string): Promise<TaskRow[]>;
  readTimers(tenant: string, run: string): Promise<TimerRow[]>;
  /** Entries of a space in the order of key and ref: of one key, or of all; those after `after`. */
  readEntries(query: EntryQuery): Promise<EntryRow[]>;
  /** Events of all streams in commit order, position > after. */
  readFeed(query: { readonly after: number; readonly limit: number }): Promise<EventRow[]>;
  /** The same without the events themselves, and without those that this opening wrote: what others have moved. */
  readFeedKeys(query: { readonly after: number; readonly limit: number }): Promise<FeedKeys>;
  /** Position of the newest event of the feed; 0 when empty. */
  feedHead(): Promise<number>;
  listTopics(tenant: string): Promise<TopicHead[]>;
  /** Partitions of all tenants in the order of tenant, topic and partition, those after `after`. */
  listPartitions(query: { readonly after: PartitionKey | null; readonly limit: number }): Promise<PartitionHead[]>;
  readDedupe(tenant: string, scope: string, key: string): Promise<DedupeRow | null>;
  /** The same for several keys in one round trip, in their order. Whoever takes them afterwards may still find one taken. */
  readDedupes(tenant: string, keys: readonly DedupeKey[]): Promise<(DedupeRow | null)[]>;
  listDeadLetters(query: DeadLetterQuery): Promise<Page<DeadLetterRow>>;
  readDeadLetter(tenant: string, id: string): Promise<DeadLetterRow | null>;
  /** Counters kept by the write path: runs by workflow and status, tasks by queue and state. */
  readTally(): Promise<TallyRow[]>;
  /** Depth and age of each queue. */
  queueStats(): Promise<QueueStats[]>;

  // Blobs
  /** Stores bytes under (tenant, hash). Storing the same twice is one blob. */
  putBlob(tenant: string, hash: string, bytes: Uint8Array): Promise<void>;
  readBlob(tenant: string, hash: string): Promise<Uint8Array | null>;

  // Definitions
  saveManifest(row: ManifestRow): Promise<void>;
  listManifests(): Promise<ManifestRow[]>;

  // Neighbours: other servers on the same store
  /**
   * Takes a duty that one server at a time should see to, or keeps it, for `ttlMs` from now on the store's clock. False
   * = another has it. Two servers may believe to have it for a moment: what is done under it must be safe to do twice.
   * A duty whose time is more than `dutyTtlFactor` times `ttlMs` away was taken before the store's clock went back, and is
   * free; whoever asks for the same duty asks for about the same time.
   */
  holdDuty(duty: string, ttlMs: number): Promise<boolean>;
  /** Tells of what other servers have committed, soon but not at once, once or more often. Returns what ends it. */
  watch(listener: StoreListener): () => void;

  /** For transactions of callers. Absent where nobody but the store can have one. */
  readonly outbox?: Outbox;

  // Upkeep
  /** Deletes runs past their retention, dedupe keys past their time, blobs without references. Bounded by `limit` per kind. */
  expire(limit: number): Promise<ExpireCounts>;
  /** Checks cheap invariants inside the store (see RELIABILITY 2). Empty = all hold. */
  check(limit: number): Promise<Violation[]>;
  /** Resolves when everything handed over before is durable or refused, then releases the store. Idempotent. */
  close(): Promise<void>;
  /** Resolves with the reason when the store has failed for ever (I/O error, corruption). */
  readonly failed: Promise<Error>;
}

export interface RunKey {
  readonly tenant: string;
  readonly run: string;
}

/** What changes, all or nothing. Lists are applied in the order of the fields. */
export interface Transition {
  readonly tenant: string;
  /** Runs to create or move on. A run whose head is not `expected` refuses the whole transition. */
  readonly runs?: readonly RunWrite[];
  /** Schedules to add, move on or remove. One whose version is not `expected` refuses the whole transition. */
  readonly schedules?: readonly ScheduleWrite[];
  /** The lease under which the command came; must be held exactly so. */
  readonly lease?: LeaseKey;
  /** Further leases, as the one above: of calls of one run whose results are written together. */
  readonly leases?: readonly LeaseKey[];
  /** A task that nobody may hold. */
  readonly unleased?: TaskKey;
  /** Keys to take. One that is taken refuses the whole transition. */
  readonly dedupe?: readonly DedupeWrite[];
  readonly events?: readonly EventWrite[];
  /** Events of topics; offsets are given by the store, dense from 0 per partition. */
  readonly publishes?: readonly TopicEventWrite[];
  /** Events of topics that go for good. Their offsets are never given again, and no counter changes. */
  readonly trims?: readonly TopicTrim[];
  readonly tasks?: readonly TaskWrite[];
  readonly timers?: readonly TimerWrite[];
  readonly entries?: readonly EntryWrite[];
  readonly deadLetters?: readonly DeadLetterWrite[];
  readonly blobs?: readonly BlobWrite[];
}

/** The leases that a transition comes under. */
export function leasesOf({ lease, leases = [] }: Pick<Transition, 'lease' | 'leases'>): readonly LeaseKey[] {
  return lease === undefined ? leases : [lease, ...leases];
}

/**
 * Transitions that callers leave in transactions of their own. What has committed is there to be read, by any server;
 * what was rolled back never was. Entries of one transaction keep their order, and so do those of two of which one
 * began after the other had committed.
 */
export interface Outbox {
  /**
   * Leaves the transition in `tx`, the transaction of a client that the backend knows (TRANSACTION_INVALID). It may take
   * at most one key. What the database throws comes through as it is, since the transaction is then the caller's to mend.
   */
  leave(tx: unknown, transition: Transition): Promise<LeaveOutcome>;
  /** Committed entries, oldest first. */
  read(limit: number): Promise<OutboxEntry[]>;
  /**
   * Applies each, with which its entry goes; where it is refused, the entry stays. `fenced` = the entry is gone: another
   * was quicker. Whoever reads and settles at the same time does nothing twice and changes no order.
   */
  settle(entries: readonly OutboxEntry[]): Promise<Outcome[]>;
  /** Removes an entry that is not to be applied. */
  drop(id: number): Promise<void>;
  /** Sets an entry aside for people to see: it can never be applied. `check` tells of it. */
  refuse(id: number, reason: string): Promise<void>;
}

export type LeaveOutcome =
  | { readonly tag: 'left' }
  /** The key is taken, here or in the outbox. Nothing was left. */
  | { readonly tag: 'duplicate'; readonly found: Pick<DedupeRow, 'hash' | 'reference'> };

export interface OutboxEntry {
  readonly id: number;
  readonly transition: Transition;
}

export interface RunWrite {
  /** Head of the run before; 0 = must not exist. */
  readonly expected: number;
  readonly row: RunRow;
}

export type Outcome =
  | {
      readonly tag: 'applied';
      /** Feed position of each event written, run events first, then topic events. Empty where a store numbers them after the commit. */
      readonly positions: readonly number[];
      /** Offset of each topic event. */
      readonly offsets: readonly number[];
    }
  /**
   * A run, or a schedule of that name, is not where it was expected; `head` is where it is (0 = absent). Of an entry, `run`
   * is its key and `head` is 1 where there is one.
   */
  | { readonly tag: 'conflict'; readonly run: string; readonly head: number }
  /** The lease is not held (any more), or the unleased task is. */
  | { readonly tag: 'fenced' }
  | { readonly tag: 'duplicate'; readonly found: DedupeRow }
  /** The backend cannot store this item (and only this one). */
  | { readonly tag: 'unstorable'; readonly reason: string };

export interface EventWrite {
  readonly run: string;
  readonly seq: number;
  readonly type: string;
  readonly at: number;
  /** Serialised `core/envelope`. Text is stored as its UTF-8 bytes. */
  readonly envelope: string;
  readonly payload: StoredPayload | null;
}

/** Payload as stored: salt for the commitment, and the encoded bytes inline or in a blob (which gains a reference). */
export type StoredPayload =
  | { readonly salt: Uint8Array; readonly text: string }
  | { readonly salt: Uint8Array; readonly blob: string };

export interface TopicEventWrite {
  readonly topic: string;
  readonly partition: number;
  readonly type: string;
  readonly at: number;
  readonly envelope: string;
  readonly payload: StoredPayload | null;
}

/**
 * Offsets of a partition whose events go, with their hold on blobs. One that is gone already is passed over. Whoever trims
 * has read what it names: an event that is not durable when the transition is handed over may stay.
 */
export interface TopicTrim {
  readonly topic: string;
  readonly partition: number;
  /** At most `trimOffsetsMax` in all trims of a transition. */
  readonly offsets: readonly number[];
}

/** An event as read. `stream` is a run id, or `topic/partition`; `seq` is the run's seq, or the offset. */
export interface EventRow {
  /** Place in the feed; 0 = not numbered yet (never so in the feed itself). */
  readonly position: number;
  readonly tenant: string;
  readonly stream: string;
  readonly seq: number;
  readonly type: string;
  readonly at: number;
  readonly envelope: string;
  readonly payload: StoredPayload | null;
}

export function topicStream(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

export interface EventQuery {
  readonly tenant: string;
  readonly stream: string;
  readonly after: number;
  readonly limit: number;
}

export type TaskState = 'ready' | 'delayed' | 'held' | 'leased';

export interface TaskKey {
  readonly tenant: string;
  readonly run: string;
  readonly task: string;
}

export interface LeaseKey extends TaskKey {
  /** Fencing token; rises with each claim of the task. */
  readonly token: number;
}

export interface TaskRow extends TaskKey {
  readonly kind: 'activation' | 'call';
  readonly queue: string;
  /** Place in the queue; smaller goes first. Opaque: made of priority, fairness and time by the engine. */
  readonly rank: number;
  readonly state: TaskState;
  readonly attempt: number;
  readonly token: number;
  readonly deadlineMs: number;
  readonly inputSeq: number;
  /** For `delayed`: when it becomes ready. */
  readonly dueAt: number | null;
  /** For `held`: the limit that blocks it. */
  readonly limitKey: string | null;
  /** For `leased`: who has it, the number of the assignment within the session, and since when. */
  readonly session: string | null;
  readonly assignment: number | null;
  readonly leasedAt: number | null;
  /** When the task entered the state it is in, except that a claim does not move it. */
  readonly readyAt: number;
}

export type TaskWrite =
  /** A new task; ready at once, or delayed where `dueAt` is set, or held where `limitKey` is. */
  | { readonly op: 'open'; readonly run: string; readonly task: NewTask }
  /** The task, leased now, goes back; its token stays. */
  | { readonly op: 'requeue'; readonly run: string; readonly task: NewTask }
  /** The task, held now, is admitted: it is as `task` says; its token stays. */
  | { readonly op: 'admit'; readonly run: string; readonly task: NewTask }
  /** Removes the task in whatever state it is. */
  | { readonly op: 'close'; readonly run: string; readonly task: string };

export type NewTask = Pick<
  TaskRow,
  'task' | 'kind' | 'queue' | 'rank' | 'attempt' | 'deadlineMs' | 'inputSeq' | 'dueAt' | 'limitKey'
>;

export interface TimerRow {
  readonly tenant: string;
  readonly run: string;
  readonly name: string;
  readonly fireAt: number;
}

export type TimerWrite =
  | { readonly op: 'set'; readonly run: string; readonly name: string; readonly fireAt: number }
  | { readonly op: 'clear'; readonly run: string; readonly name: string };

/**
 * A row of a secondary index: what is found by `key` within `space`, in the order of `ref`. What the texts stand for is
 * the engine's business.
 */
export interface EntryRow extends EntryKey {
  readonly tenant: string;
  /** Small JSON of the engine's. */
  readonly value: string;
  /** The run that waits for what the entry stands for: its next cause, and deleted with it. Empty = none. */
  readonly run: string;
  readonly at: number;
}

export interface EntryKey {
  readonly space: string;
  readonly key: string;
  readonly ref: string;
}

export type EntryWrite = (
  | /** Adds the entry, or replaces the one that has its key. */
  ({ readonly op: 'put' } & Omit<EntryRow, 'tenant'>)
  /** Removes the entry where it is there. */
  | ({ readonly op: 'drop' } & EntryKey)
) & {
  /**
   * The value before the transition; null = must not be there. An entry that has another refuses the whole transition.
   * Absent = whatever it is. Who writes a key with it should always do so.
   */
  readonly expected?: string | null;
};

/** The refusal of a transition because of an entry that has another value. */
export function entryConflict({ space, key, ref }: EntryKey, value: string | null): Outcome {
  return { tag: 'conflict', run: `${space}/${key}/${ref}`, head: value === null ? 0 : 1 };
}

export interface EntryQuery {
  readonly tenant: string;
  readonly space: string;
  /** Only entries of this key. */
  readonly key?: string;
  readonly after?: Pick<EntryKey, 'key' | 'ref'>;
  readonly limit: number;
}
/** What starts runs again and again: one small row, which moves with each of its ticks. */
export interface ScheduleRow {
  readonly tenant: string;
  readonly name: string;
  /** Above 0; another with each write. A name that is taken again goes on above what it had before. */
  readonly version: number;
  /** When somebody has to look at it; null = not until it is written again. */
  readonly dueAt: number | null;
  /** Definition and state as JSON; the engine's. */
  readonly body: string;
}

export interface ScheduleWrite {
  readonly name: string;
  /** Version before; 0 = must not be there. */
  readonly expected: number;
  /** Null = it is removed. */
  readonly row: ScheduleRow | null;
}

export interface ScheduleQuery {
  readonly tenant: string;
  readonly cursor?: string;
  readonly limit: number;
}

export interface DedupeKey {
  /** `start:<workflow>`, `topic:<name>`. */
  readonly scope: string;
  readonly key: string;
}

export interface DedupeWrite extends DedupeKey {
  /** Fingerprint of the request, to tell a repeat from a clash. */
  readonly hash: string;
  /** What the key stands for: a run id, an event id. */
  readonly reference: string;
  readonly expiresAt: number;
}

export interface DedupeRow extends DedupeWrite {
  readonly tenant: string;
}

export interface DeadLetterRow {
  readonly tenant: string;
  readonly id: string;
  readonly run: string;
  readonly workflow: string;
  /** The step that failed; null = the body. */
  readonly path: string | null;
  readonly class: string;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
  readonly at: number;
}

export type DeadLetterWrite =
  | { readonly op: 'add'; readonly row: DeadLetterRow }
  | { readonly op: 'remove'; readonly id: string };

export interface BlobWrite {
  readonly hash: string;
  readonly bytes: Uint8Array;
}

export interface ClaimRequest {
  readonly session: string;
  /** Queues in order of preference, with the most tasks wanted of each. */
  readonly queues: readonly { readonly queue: string; readonly limit: number }[];
  /** The most tasks in all. */
  readonly limit: number;
  /** Number of the first assignment; each further one is one higher. */
  readonly assignmentFrom: number;
}

export interface ClaimedTask {
  readonly task: TaskRow;
  /** Head of the run at the claim. */
  readonly head: number;
  /** The event whose payload is the input. */
  readonly input: EventRow;
}

export interface SessionRow {
  readonly session: string;
  /** Epoch of the opening that claims for the session. */
  readonly owner: number;
  readonly worker: string;
  readonly app: string;
  readonly openedAt: number;
  /** Heartbeat counter; only its movement means something. */
  readonly counter: number;
  /** Highest assignment that the worker has received. */
  readonly received: number;
  /** What the worker said of itself (host, pid, queues, slots), as JSON. */
  readonly info: string;
}

export type NewSession = Omit<SessionRow, 'owner'>;

/** Where an event is in the feed. */
export type FeedKey = Pick<EventRow, 'position' | 'tenant' | 'stream' | 'seq'>;

/** Part of the feed. */
export interface FeedKeys {
  readonly keys: readonly FeedKey[];
  /** Position up to which there are no others: where to go on from. */
  readonly upTo: number;
}

export interface StoreListener {
  /** Other servers have put work into these queues: about how many tasks each. */
  work(queues: ReadonlyMap<string, number>): void;
  /** The feed has grown. */
  moved(): void;
}

export interface SessionBeat {
  readonly session: string;
  readonly counter: number;
  readonly received: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; null = no more. */
  readonly next: string | null;
}

export interface RunQuery {
  readonly tenant: string;
  readonly statuses?: readonly RunStatus[];
  readonly workflow?: string;
  /** Of this version; null = pinned to none. */
  readonly version?: string | null;
  readonly failureClass?: string;
  readonly label?: { readonly name: string; readonly value: string };
  readonly startedFrom?: number;
  readonly startedBefore?: number;
  /** Newest first by default. */
  readonly order?: 'newest' | 'oldest';
  readonly cursor?: string;
  readonly limit: number;
}

export interface DeadLetterQuery {
  readonly tenant: string;
  readonly class?: string;
  readonly workflow?: string;
  readonly cursor?: string;
  readonly limit: number;
}

export interface TopicHead {
  readonly topic: string;
  readonly partition: number;
  /** Offset of the next event. */
  readonly head: number;
}

export interface PartitionKey {
  readonly tenant: string;
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionHead extends TopicHead {
  readonly tenant: string;
}

export interface TallyRow {
  readonly tenant: string;
  readonly kind: 'run' | 'task';
  /** Workflow of a run, queue of a task. */
  readonly name: string;
  readonly state: string;
  readonly count: number;
}

export interface QueueStats {
  readonly queue: string;
  readonly ready: number;
  readonly delayed: number;
  readonly held: number;
  readonly leased: number;
  /** `readyAt` of the oldest ready task; null = none. */
  readonly oldestReadyAt: number | null;
}

export interface ManifestRow {
  readonly app: string;
  readonly hash: string;
  readonly manifest: string;
  readonly registeredAt: number;
}

export interface ExpireCounts {
  readonly runs: number;
  readonly dedupe: number;
  readonly blobs: number;
}

export interface Violation {
  /** `P3`, `P7` ... */
  readonly property: string;
  readonly tenant: string;
  readonly subject: string;
  readonly detail: string;
}

/** How much longer than what is asked for a duty may be held before that is taken for a clock that went back. */
export const dutyTtlFactor = 2;

/** Offsets that one transition may trim: what a store deletes beside the work of a batch has a bound. */
export const trimOffsetsMax = 1_000;

/** Tenant, space, key and ref of an entry together, as UTF-8: they are the key of an index, and PostgreSQL bounds those. */
export const entryKeyBytesMax = 2_000;
