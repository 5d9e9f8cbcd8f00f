/**
 * Rows and transitions for tests of stores, with the fields that a test does not care about filled in. A value given
 * wins over the default, so a case shows exactly what it is about.
 */
import assert from 'node:assert/strict';
import type { RunRow } from '../../core/run/state.js';
import type {
  DeadLetterRow,
  DedupeWrite,
  EntryWrite,
  EventWrite,
  LeaseKey,
  NewSession,
  NewTask,
  Outcome,
  Store,
  StoredPayload,
  TaskRow,
  TopicEventWrite,
  Transition,
} from '../../store/index.js';

export const tenant = 'acme';
export const queue = 'workflow:answer';

/** An instant in the neighbourhood of the manual clock. */
export const someTime = 1_750_000_000_000;

export function runRow(given: Partial<RunRow> = {}): RunRow {
  return {
    tenant,
    run: 'run_1',
    workflow: 'answer',
    version: null,
    status: 'active',
    head: 1,
    priority: 0,
    startedAt: someTime,
    updatedAt: someTime,
    expiresAt: null,
    cancelRequested: false,
    failureClass: null,
    failureCode: null,
    failureMessage: null,
    labels: null,
    ...given,
  };
}

export function inline(text: string): StoredPayload {
  return { salt: new Uint8Array([1, 2, 3, 4]), text };
}

export function inBlob(blob: string): StoredPayload {
  return { salt: new Uint8Array([9, 8, 7]), blob };
}

export function event(run: string, seq: number, given: Partial<EventWrite> = {}): EventWrite {
  return {
    run,
    seq,
    type: 'run.started',
    at: someTime,
    envelope: JSON.stringify({ v: 1, stream: run, seq }),
    payload: null,
    ...given,
  };
}

export function topicEvent(given: Partial<TopicEventWrite> = {}): TopicEventWrite {
  return {
    topic: 'orders',
    partition: 0,
    type: 'order.placed',
    at: someTime,
    envelope: '{"v":1}',
    payload: inline('{"order":1}'),
    ...given,
  };
}

export function newTask(given: Partial<NewTask> = {}): NewTask {
  return {
    task: 'a1',
    kind: 'activation',
    queue,
    rank: 1,
    attempt: 1,
    deadlineMs: 60_000,
    inputSeq: 1,
    dueAt: null,
    limitKey: null,
    ...given,
  };
}

export interface StartGiven {
  readonly tenant?: string;
  readonly run?: string;
  readonly row?: Partial<RunRow>;
  readonly task?: Partial<NewTask>;
  readonly payload?: StoredPayload | null;
  readonly dedupe?: readonly DedupeWrite[];
}

/** The transition that starts a run: its row, its first event and its activation. */
export function start(given: StartGiven = {}): Transition {
  const run = given.run ?? 'run_1';
  const of = given.tenant ?? tenant;
  return {
    tenant: of,
    runs: [{ expected: 0, row: runRow({ ...given.row, tenant: of, run }) }],
    ...(given.dedupe === undefined ? {} : { dedupe: given.dedupe }),
    events: [event(run, 1, { payload: given.payload === undefined ? inline('{"question":"why"}') : given.payload })],
    tasks: [{ op: 'open', run, task: newTask(given.task) }],
  };
}

export interface MoveGiven {
  readonly tenant?: string;
  readonly run?: string;
  readonly head: number;
  readonly row?: Partial<RunRow>;
  readonly type?: string;
  readonly payload?: StoredPayload | null;
}

/** A transition that adds one event to a run that is at `head`. */
export function move(given: MoveGiven): Transition {
  const run = given.run ?? 'run_1';
  const of = given.tenant ?? tenant;
  const head = given.head + 1;
  return {
    tenant: of,
    runs: [{ expected: given.head, row: runRow({ ...given.row, tenant: of, run, head }) }],
    events: [event(run, head, { type: given.type ?? 'progress.reported', payload: given.payload ?? null })],
  };
}

/** The transition that ends a run under the lease of its activation. */
export function finish(lease: LeaseKey, head: number, row: Partial<RunRow> = {}): Transition {
  return {
    ...move({
      tenant: lease.tenant,
      run: lease.run,
      head,
      row: { status: 'succeeded', ...row },
      type: 'run.succeeded',
      payload: inline('"done"'),
    }),
    lease,
    tasks: [{ op: 'close', run: lease.run, task: lease.task }],
  };
}

export function dedupe(given: Partial<DedupeWrite> = {}): DedupeWrite {
  return { scope: 'start:answer', key: 'k1', hash: 'h1', reference: 'run_1', expiresAt: someTime + 1_000, ...given };
}

export function put(given: Partial<Extract<EntryWrite, { op: 'put' }>> = {}): EntryWrite {
  return { op: 'put', space: 's', key: 'k', ref: 'r', value: '{}', run: '', at: someTime, ...given };
}

export function deadLetter(given: Partial<DeadLetterRow> = {}): DeadLetterRow {
  return {
    tenant,
    id: 'dlq_1',
    run: 'run_1',
    workflow: 'answer',
    path: null,
    class: 'timeout',
    code: 'TASK_TIMEOUT',
    message: 'too slow',
    attempts: 3,
    at: someTime,
    ...given,
  };
}

export function session(given: Partial<NewSession> = {}): NewSession {
  return {
    session: 'ses_1',
    worker: 'wrk_1',
    app: 'app',
    openedAt: someTime,
    counter: 0,
    received: 0,
    info: '{"host":"h"}',
    ...given,
  };
}

export function leaseOf(task: TaskRow): LeaseKey {
  return { tenant: task.tenant, run: task.run, task: task.task, token: task.token };
}

/** Applies one transition. */
export async function applyOne(store: Store, transition: Transition): Promise<Outcome> {
  const [outcome] = await store.apply([transition]);
  assert.ok(outcome, 'an outcome for each transition');
  return outcome;
}

/** Applies the transitions, which must all succeed. */
export async function applyAll(store: Store, ...transitions: readonly Transition[]): Promise<void> {
  for (const outcome of await store.apply(transitions)) assert.equal(outcome.tag, 'applied', JSON.stringify(outcome));
}

/** Claims up to `limit` tasks of one queue for `ses_1`, which is opened. */
export async function claimSome(store: Store, limit = 10, from = queue, assignmentFrom = 1): Promise<TaskRow[]> {
  await store.openSession(session());
  const claimed = await store.claim({
    session: 'ses_1',
    queues: [{ queue: from, limit }],
    limit,
    assignmentFrom,
  });
  return claimed.map(({ task }) => task);
}

/** Claims the one task there is. */
export async function claimOne(store: Store): Promise<TaskRow> {
  const [task] = await claimSome(store, 1);
  assert.ok(task, 'a task to claim');
  return task;
}

/** The reads that show whether anything of a transition was written. */
export async function footprint(store: Store, of: string, run: string): Promise<unknown> {
  return {
    run: await store.readRun(of, run),
    events: await store.readEvents({ tenant: of, stream: run, after: 0, limit: 100 }),
    tasks: await store.readTasks(of, run),
    timers: await store.readTimers(of, run),
    tally: await store.readTally(),
    feed: await store.feedHead(),
    topics: await store.listTopics(of),
    letters: await store.listDeadLetters({ tenant: of, limit: 100 }),
  };
}
