/**
 * The one writer: carries out a batch of requests in one transaction, in their order. Guards are looked at before
 * anything of a transition is written, so that the common refusals need no way back. What SQL itself refuses takes the
 * whole transaction back, and the batch is run again with a savepoint round each item; then only the bad items are
 * refused. Statements are prepared once and run per row (docs/adr/0002).
 *
 * What it has written of runs at work it remembers (`seen-runs.ts`), and writes go by `get`, which unlike `run` makes no
 * object of counts that nobody reads.
 *
 * Invariant: after `commit` returns or throws, no transaction is open and nothing is left in the caches of a batch
 * that was not committed.
 */
import {
  entryConflict,
  type DedupeRow,
  type ExpireCounts,
  type LeaseKey,
  nameOf,
  type Outcome,
  type SessionBeat,
  tallyKind,
  taskKinds,
  type TaskRow,
  type TopicTrim,
} from '../../store/index.js';
import { prepare, type SqliteDatabase, type SqliteStatement } from './driver.js';
import { expireRows, prepareExpiry, type ExpiryStatements } from './expiry.js';
import { classifyFailure, reasonOf } from './failures.js';
import { sessionColumns, sessionRow, type SessionColumns } from './session-columns.js';
import { feedHeadSql } from './feed-head.js';
import { SeenRuns, type RunBefore } from './seen-runs.js';
import { Tally } from './tally.js';
import type {
  RareRunColumns,
  RawClaim,
  RawEvent,
  RawRequest,
  RawResult,
  RawTaskWrite,
  RawTransition,
  RunColumns,
  TaskColumns,
  Unstorable,
} from './wire.js';

const ready = 0;
const delayed = 1;
const held = 2;
const leased = 3;

export class Writer {
  readonly #database: SqliteDatabase;
  readonly #sql: Statements;
  readonly #expiry: ExpiryStatements;
  readonly #tally: Tally;
  /** Position of the newest event there ever was: no position is given twice. */
  #feedHead: number;
  #feedHeadCommitted: number;
  /** Of this opening: the owner of the sessions that it opens or takes. */
  readonly #epoch: number;
  #now = 0;
  readonly #seen = new SeenRuns();
  /** Whether each item is wrapped into a savepoint: only after one of the batch has failed. */
  #guarded = false;

  constructor(database: SqliteDatabase) {
    this.#database = database;
    this.#sql = prepareStatements(database);
    this.#expiry = prepareExpiry(database);
    this.#tally = new Tally(database);
    const [head] = prepare(database, feedHeadSql).get() as [number];
    this.#feedHead = head;
    this.#feedHeadCommitted = head;
    [this.#epoch] = prepare(database, "SELECT value FROM meta WHERE key = 'epoch'").get() as [number];
  }

  /** Carries out the requests and makes them durable. Throws what is not the fault of a single item. */
  commit(now: number, requests: readonly RawRequest[]): RawResult[] {
    this.#now = now;
    try {
      return this.#run(requests, false);
    } catch (error) {
      if (classifyFailure(error) !== 'item') throw error;
      return this.#run(requests, true);
    }
  }

  #run(requests: readonly RawRequest[], guarded: boolean): RawResult[] {
    this.#guarded = guarded;
    this.#sql.begin.run();
    try {
      const results = requests.map((request) => this.#request(request));
      this.#tally.flush();
      this.#sql.commit.run();
      this.#feedHeadCommitted = this.#feedHead;
      return results;
    } catch (error) {
      this.#feedHead = this.#feedHeadCommitted;
      this.#tally.clear();
      this.#seen.clear();
      if (classifyFailure(error) !== 'fatal') this.#rollback();
      throw error;
    }
  }

  /** SQLite ends the transaction by itself on some errors; ours is then nothing to end. */
  #rollback(): void {
    try {
      this.#database.exec('ROLLBACK');
    } catch (error) {
      if (classifyFailure(error) === 'fatal') throw error;
    }
  }

  #request(request: RawRequest): RawResult {
    if (request.op === 'apply') return { tag: 'applied', outcomes: request.transitions.map((t) => this.#item(t)) };
    return this.#attempt<RawResult>(
      () => this.#other(request),
      (reason) => ({ tag: 'refused', reason }),
    );
  }

  #item(transition: RawTransition | Unstorable): Outcome {
    if ('unstorable' in transition) return { tag: 'unstorable', reason: transition.unstorable };
    return this.#attempt<Outcome>(
      () => this.#transition(transition),
      (reason) => ({ tag: 'unstorable', reason }),
    );
  }

  #attempt<T>(body: () => T, refuse: (reason: string) => T): T {
    if (!this.#guarded) return body();
    const feedHead = this.#feedHead;
    const restoreTally = this.#tally.save();
    this.#database.exec('SAVEPOINT item');
    try {
      const result = body();
      this.#database.exec('RELEASE item');
      return result;
    } catch (error) {
      if (classifyFailure(error) !== 'item') throw error;
      this.#database.exec('ROLLBACK TO item; RELEASE item');
      this.#feedHead = feedHead;
      this.#seen.clear();
      restoreTally();
      return refuse(reasonOf(error));
    }
  }

  #other(request: Exclude<RawRequest, { op: 'apply' }>): RawResult {
    const sql = this.#sql;
    switch (request.op) {
      case 'claim':
        return { tag: 'claimed', claims: this.#claim(request.claim) };
      case 'release':
        return { tag: 'done', value: this.#release(request.leases) };
      case 'promoteDue':
        return { tag: 'done', value: this.#promoteDue(request.limit) };
      case 'openSession': {
        const { session, worker, app, openedAt, counter, received, info } = request.session;
        sql.putSession.run(session, this.#epoch, worker, app, openedAt, counter, received, info);
        return { tag: 'done', value: null };
      }
      case 'takeSession': {
        const row = sql.takeSession.get(this.#epoch, request.session) as SessionColumns | undefined;
        return { tag: 'done', value: row === undefined ? null : sessionRow(row) };
      }
      case 'beat':
        return {
          tag: 'done',
          value: request.beats.filter((beat) => !this.#beat(beat)).map(({ session }) => session),
        };
      case 'closeSession':
        sql.dropSession.run(request.session);
        return { tag: 'done', value: null };
      case 'putBlob':
        this.#putBlob(request.tenant, request.hash, request.bytes);
        return { tag: 'done', value: null };
      case 'saveManifest': {
        const { app, hash, manifest, registeredAt } = request.row;
        sql.putManifest.run(app, hash, manifest, registeredAt);
        return { tag: 'done', value: null };
      }
      case 'expire':
        return { tag: 'done', value: this.#expire(request.limit) };
    }
  }

  /** Whether the session is there and owned by this opening. */
  #beat({ session, counter, received }: SessionBeat): boolean {
    const row = this.#sql.beat.get(counter, received, session) as [owner: number] | undefined;
    return row?.[0] === this.#epoch;
  }

  #expire(limit: number): ExpireCounts {
    this.#seen.clear();
    // The newest event may go: from then on only this tells how far the feed has come.
    this.#sql.setFeedHead.run(this.#feedHead);
    return expireRows(this.#expiry, this.#tally, this.#now, limit);
  }

  // Transitions

  #transition(t: RawTransition): Outcome {
    if (isPlainBirth(t)) return this.#bear(t);
    const before = this.#lookAtRuns(t);
    if ('tag' in before) return before;
    return this.#refusal(t) ?? this.#write(t, before);
  }

  /** A new run with no other guard: the insert itself is the look whether it is there. */
  #bear(t: RawTransition): Outcome {
    const [first] = t.runs;
    if (first === undefined) throw new Error('Invariant broken: a birth without a run');
    const { columns } = first;
    if (!this.#addRun(t.tenant, columns)) {
      const [head] = this.#sql.lookAtRun.get(t.tenant, columns[0]) as RunBefore;
      return { tag: 'conflict', run: columns[0], head };
    }
    return this.#writeRest(t);
  }

  /** The runs as they are, or the refusal when one is not where it was expected. */
  #lookAtRuns(t: RawTransition): readonly RunBefore[] | Outcome {
    const found: RunBefore[] = [];
    for (const { expected, columns } of t.runs) {
      const row = this.#lookAtRun(t, columns[0]) ?? absent;
      if (row[0] !== expected) return { tag: 'conflict', run: columns[0], head: row[0] };
      found.push(row);
    }
    return found;
  }

  /** The run; where the lease is one of its tasks, that task too, in the same look: the common case of a worker's commit. */
  #lookAtRun(t: RawTransition, run: string): RunBefore | undefined {
    const { tenant, lease } = t;
    const seen = this.#seen.before(tenant, run);
    if (seen !== null) return seen;
    if (lease === null || lease.run !== run) return this.#sql.lookAtRun.get(tenant, run) as RunBefore | undefined;
    const row = this.#sql.lookAtRunAndTask.get(lease.task, tenant, run) as RunAndTaskBefore | undefined;
    if (row === undefined) return undefined;
    const [head, status, workflow, startedAt, state, token, queue] = row;
    const before: RunBefore = [head, status, workflow, startedAt];
    if (state === leased && token !== null && queue !== null)
      this.#seen.leased(tenant, run, before, { task: lease.task, token, queue });
    return before;
  }

  /** The other guards, in the order of the contract. */
  #refusal(t: RawTransition): Outcome | null {
    for (const { name, expected } of t.schedules) {
      const [head] = (this.#sql.lookAtSchedule.get(t.tenant, name) as [number] | undefined) ?? [0];
      if (head !== expected) return { tag: 'conflict', run: name, head };
    }
    for (const write of t.entries) {
      if (write.expected === undefined) continue;
      const [value] = (this.#sql.lookAtEntry.get(t.tenant, write.space, write.key, write.ref) as
        | [string]
        | undefined) ?? [null];
      if (value !== write.expected) return entryConflict(write, value);
    }
    if (t.lease !== null && !this.#isHeld(t.lease)) return { tag: 'fenced' };
    for (const lease of t.leases) if (!this.#isHeld(lease)) return { tag: 'fenced' };
    if (t.unleased !== null && this.#stateOf(t.tenant, t.unleased.run, t.unleased.task) === leased)
      return { tag: 'fenced' };
    for (const write of t.tasks) {
      if (write[0] !== 'requeue' && write[0] !== 'admit') continue;
      const state = this.#stateOf(t.tenant, write[1], write[2][0]);
      if (state !== (write[0] === 'requeue' ? leased : held)) return { tag: 'fenced' };
    }
    for (const { scope, key } of t.dedupe) {
      const found = this.#sql.lookAtDedupe.get(t.tenant, scope, key, this.#now) as [string, string, number] | undefined;
      if (found !== undefined) return { tag: 'duplicate', found: dedupeRow(t.tenant, scope, key, found) };
    }
    const missing = this.#missingBlob(t);
    return missing === null ? null : { tag: 'unstorable', reason: `there is no blob ${missing}` };
  }

  #isHeld({ tenant, run, task, token }: LeaseKey): boolean {
    const seen = this.#seen.lease(tenant, run, task);
    if (seen !== null) return seen.token === token;
    const row = this.#sql.lookAtTask.get(tenant, run, task) as TaskBefore | undefined;
    return row !== undefined && row[0] === leased && row[1] === token;
  }

  #stateOf(tenant: string, run: string, task: string): number | null {
    const row = this.#sql.lookAtTask.get(tenant, run, task) as TaskBefore | undefined;
    return row?.[0] ?? null;
  }

  #missingBlob(t: RawTransition): string | null {
    for (const events of [t.events, t.publishes]) {
      for (const { blob } of events) {
        if (blob === null || t.blobs.some(({ hash }) => hash === blob)) continue;
        if (this.#sql.lookAtBlob.get(t.tenant, blob) === undefined) return blob;
      }
    }
    return null;
  }

  #write(t: RawTransition, before: readonly RunBefore[]): Outcome {
    const { tenant } = t;
    for (const { hash, bytes } of t.blobs) this.#putBlob(tenant, hash, bytes);
    t.runs.forEach(({ columns }, index) => this.#writeRun(tenant, before[index] ?? absent, columns));
    return this.#writeRest(t);
  }

  /** All but blobs and runs. */
  #writeRest(t: RawTransition): Outcome {
    const { tenant } = t;
    for (const { name, row } of t.schedules) {
      if (row === null) this.#sql.dropSchedule.run(tenant, name);
      else this.#sql.putSchedule.run(tenant, name, row.version, row.dueAt, row.body);
    }
    for (const { scope, key, hash, reference, expiresAt } of t.dedupe)
      this.#sql.putDedupe.run(tenant, scope, key, hash, reference, expiresAt);
    const positions: number[] = [];
    const offsets: number[] = [];
    for (const event of t.events) positions.push(this.#appendEvent(tenant, event.run, event.seq, event));
    for (const event of t.publishes) {
      const [offset] = this.#sql.nextOffset.get(tenant, event.topic, event.partition) as [number];
      offsets.push(offset);
      positions.push(this.#appendEvent(tenant, `${event.topic}/${event.partition}`, offset, event));
    }
    for (const trim of t.trims) this.#trim(tenant, trim);
    for (const write of t.tasks) this.#writeTask(tenant, write);
    for (const write of t.timers) {
      if (write.op === 'set') this.#sql.putTimer.run(tenant, write.run, write.name, write.fireAt);
      else this.#sql.dropTimer.run(tenant, write.run, write.name);
    }
    for (const write of t.entries) {
      const { space, key, ref } = write;
      if (write.op === 'drop') this.#sql.dropEntry.run(tenant, space, key, ref);
      else this.#sql.putEntry.run(tenant, space, key, ref, write.value, write.run, write.at);
    }
    for (const write of t.deadLetters) {
      if (write.op === 'remove') this.#sql.dropDeadLetter.run(tenant, write.id);
      else {
        const { id, run, workflow, path, message, attempts, at } = write.row;
        this.#sql.addDeadLetter.run(
          tenant,
          id,
          run,
          workflow,
          path,
          write.row.class,
          write.row.code,
          message,
          attempts,
          at,
        );
      }
    }
    return { tag: 'applied', positions, offsets };
  }

  #writeRun(tenant: string, before: RunBefore, columns: RunColumns): void {
    const [headBefore, statusBefore, workflowBefore, startedBefore] = before;
    if (headBefore === 0) {
      this.#addRun(tenant, columns);
      return;
    }
    const [run, workflow, status, head, priority, startedAt, updatedAt, expiresAt, rare] = columns;
    // A column named in SET has its indexes looked at, changed or not; most steps only move the head, and the instant
    // of the start hardly ever changes.
    if (isOnlyMoved(this.#seen.columns(tenant, run), columns)) this.#sql.moveRunHead.get(head, updatedAt, tenant, run);
    else if (startedAt === startedBefore && rare === 0)
      this.#sql.movePlainRun.get(workflow, status, head, priority, updatedAt, expiresAt, tenant, run);
    else {
      const values = [workflow, status, head, priority, updatedAt, expiresAt, ...(rare || emptyColumns)] as const;
      if (startedAt === startedBefore) this.#sql.moveRun.get(...values, tenant, run);
      else this.#sql.replaceRun.get(startedAt, ...values, tenant, run);
    }
    this.#seen.wrote(tenant, columns);
    if (status === statusBefore && workflow === workflowBefore) return;
    this.#tally.add(tenant, tallyKind.run, workflowBefore, statusBefore, -1);
    this.#tally.add(tenant, tallyKind.run, workflow, status, 1);
  }

  /** False when there is such a run. */
  #addRun(tenant: string, columns: RunColumns): boolean {
    const [run, workflow, status, head, priority, startedAt, updatedAt, expiresAt, rare] = columns;
    const added =
      rare === 0
        ? this.#sql.addPlainRun.run(tenant, run, workflow, status, head, priority, startedAt, updatedAt, expiresAt)
        : this.#sql.addRun.run(tenant, run, workflow, status, head, priority, startedAt, updatedAt, expiresAt, ...rare);
    if (changesOf(added) === 0) return false;
    this.#tally.add(tenant, tallyKind.run, workflow, status, 1);
    return true;
  }

  #appendEvent(tenant: string, stream: string, seq: number, { body, blob }: RawEvent): number {
    const position = this.#feedHead + 1;
    if (blob === null) this.#sql.addEvent.get(position, tenant, stream, seq, body);
    else {
      this.#sql.addBlobEvent.get(position, tenant, stream, seq, body, blob);
      this.#sql.referBlob.get(tenant, blob);
    }
    this.#feedHead = position;
    return position;
  }

  #trim(tenant: string, { topic, partition, offsets }: TopicTrim): void {
    // The newest event may go: from then on only this tells how far the feed has come.
    this.#sql.setFeedHead.run(this.#feedHead);
    for (const offset of offsets) {
      const gone = this.#sql.dropEvent.get(tenant, `${topic}/${partition}`, offset) as
        | [blob: string | null]
        | undefined;
      if (gone !== undefined && gone[0] !== null) this.#sql.releaseBlob.get(tenant, gone[0]);
    }
  }

  #writeTask(tenant: string, write: RawTaskWrite): void {
    const [op, run] = write;
    if (op === 'close') return this.#closeTask(tenant, run, write[2]);
    const columns: TaskColumns = write[2];
    const [task, kind, queue, rank, attempt, deadlineMs, inputSeq, dueAt, limitKey] = columns;
    const state = dueAt !== null ? delayed : limitKey !== null ? held : ready;
    if (op === 'open' && state === ready)
      this.#sql.addReadyTask.get(tenant, run, task, kind, queue, rank, attempt, deadlineMs, inputSeq, this.#now);
    else {
      const values = [kind, queue, rank, state, attempt, deadlineMs, inputSeq, dueAt, limitKey, this.#now] as const;
      if (op === 'open') this.#sql.addTask.get(tenant, run, task, ...values);
      else {
        const found = this.#sql.placeOf.get(tenant, run, task) as [queue: string, state: number] | undefined;
        if (found === undefined) throw new Error(`task ${task} is not there any more`);
        this.#sql.requeueTask.get(...values, tenant, run, task);
        this.#seen.unleased(tenant, run, task);
        this.#tally.add(tenant, tallyKind.task, found[0], found[1], -1);
      }
    }
    this.#tally.add(tenant, tallyKind.task, queue, state, 1);
  }

  #closeTask(tenant: string, run: string, task: string): void {
    const seen = this.#seen.lease(tenant, run, task);
    if (seen !== null) {
      this.#sql.closeTask.get(tenant, run, task);
      this.#seen.unleased(tenant, run, task);
      this.#tally.add(tenant, tallyKind.task, seen.queue, leased, -1);
      return;
    }
    const dropped = this.#sql.dropTask.get(tenant, run, task) as [string, number] | undefined;
    if (dropped !== undefined) this.#tally.add(tenant, tallyKind.task, dropped[0], dropped[1], -1);
  }

  #putBlob(tenant: string, hash: string, bytes: Uint8Array): void {
    if (changesOf(this.#sql.touchBlob.run(this.#now, tenant, hash)) > 0) return;
    const [id] = this.#sql.addBlob.get(tenant, hash, this.#now) as [number];
    this.#sql.addBlobData.run(id, bytes);
  }

  // Work

  #claim(request: {
    session: string;
    queues: readonly { queue: string; limit: number }[];
    limit: number;
    assignmentFrom: number;
  }): RawClaim[] {
    const claims: RawClaim[] = [];
    if (this.#sql.lookAtSession.get(request.session, this.#epoch) === undefined) return claims;
    for (const { queue, limit } of request.queues) {
      const wanted = Math.min(limit, request.limit - claims.length);
      if (wanted <= 0) continue;
      const rows = this.#sql.startable.all(queue, wanted) as StartableRow[];
      for (const row of rows) {
        const claim = claimOf(row, queue, request.session, request.assignmentFrom + claims.length, this.#now);
        const { tenant, run, task, token, assignment } = claim.task;
        this.#sql.lease.get(token, request.session, assignment, this.#now, tenant, run, task);
        this.#seen.leased(tenant, run, runBeforeClaim(row), { task, token, queue });
        claims.push(claim);
      }
      if (rows.length === 0) continue;
      for (const [tenant, count] of countBy(rows, ([tenant]) => tenant)) {
        this.#tally.add(tenant, tallyKind.task, queue, ready, -count);
        this.#tally.add(tenant, tallyKind.task, queue, leased, count);
      }
    }
    return claims;
  }

  #release(leases: readonly { tenant: string; run: string; task: string; token: number }[]): number {
    let released = 0;
    for (const { tenant, run, task, token } of leases) {
      const row = this.#sql.release.get(this.#now, tenant, run, task, token) as [string] | undefined;
      if (row === undefined) continue;
      released += 1;
      this.#seen.unleased(tenant, run, task);
      this.#tally.add(tenant, tallyKind.task, row[0], leased, -1);
      this.#tally.add(tenant, tallyKind.task, row[0], ready, 1);
    }
    return released;
  }

  #promoteDue(limit: number): number {
    const rows = this.#sql.promote.all(this.#now, this.#now, limit) as [string, string][];
    for (const [tenant, queue] of rows) {
      this.#tally.add(tenant, tallyKind.task, queue, delayed, -1);
      this.#tally.add(tenant, tallyKind.task, queue, ready, 1);
    }
    return rows.length;
  }
}

type RunAndTaskBefore = readonly [...RunBefore, state: number | null, token: number | null, queue: string | null];
type TaskBefore = readonly [state: number, token: number];
type StartableRow = readonly [
  tenant: string,
  run: string,
  task: string,
  kind: number,
  rank: number,
  attempt: number,
  token: number,
  deadlineMs: number,
  inputSeq: number,
  dueAt: number | null,
  limitKey: string | null,
  readyAt: number,
  head: number,
  status: number,
  workflow: string,
  startedAt: number,
  position: number,
  blob: string | null,
  body: Uint8Array,
];

/** A new run, guarded by nothing but its absence. */
function isPlainBirth(t: RawTransition): boolean {
  return (
    t.runs.length === 1 &&
    t.runs[0]?.expected === 0 &&
    t.lease === null &&
    t.leases.length === 0 &&
    t.unleased === null &&
    t.schedules.length === 0 &&
    t.dedupe.length === 0 &&
    t.publishes.length === 0 &&
    t.blobs.length === 0 &&
    t.events.every(({ blob }) => blob === null) &&
    t.entries.every(({ expected }) => expected === undefined) &&
    t.tasks.every(([op]) => op === 'open' || op === 'close')
  );
}

/** Whether the row differs from what was last written in its head and its instant alone. */
function isOnlyMoved(last: RunColumns | null, next: RunColumns): boolean {
  if (last === null) return false;
  const [, workflow, status, , priority, startedAt, , expiresAt, rare] = last;
  const [, nextWorkflow, nextStatus, , nextPriority, nextStartedAt, , nextExpiresAt, nextRare] = next;
  return (
    status === nextStatus &&
    workflow === nextWorkflow &&
    priority === nextPriority &&
    startedAt === nextStartedAt &&
    expiresAt === nextExpiresAt &&
    rare === 0 &&
    nextRare === 0
  );
}

const emptyColumns: RareRunColumns = [null, 0, null, null, null, null];

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}

const absent: RunBefore = [0, 0, '', 0];

function changesOf(result: { readonly changes: number | bigint }): number {
  return Number(result.changes);
}

function dedupeRow(
  tenant: string,
  scope: string,
  key: string,
  [hash, reference, expiresAt]: readonly [string, string, number],
): DedupeRow {
  return { tenant, scope, key, hash, reference, expiresAt };
}

function claimOf(row: StartableRow, queue: string, session: string, assignment: number, now: number): RawClaim {
  const [tenant, run, task, kind, rank, attempt, token, deadlineMs, inputSeq, dueAt, limitKey, readyAt] = row;
  const [, , , , , , , , , , , , head, , , , position, blob, body] = row;
  const claimed: TaskRow = {
    tenant,
    run,
    task,
    kind: nameOf(taskKinds, kind),
    queue,
    rank,
    state: 'leased',
    attempt,
    token: token + 1,
    deadlineMs,
    inputSeq,
    dueAt,
    limitKey,
    session,
    assignment,
    leasedAt: now,
    readyAt,
  };
  return { task: claimed, head, position, input: { body, blob } };
}

function runBeforeClaim([, , , , , , , , , , , , head, status, workflow, startedAt]: StartableRow): RunBefore {
  return [head, status, workflow, startedAt];
}

type Statements = ReturnType<typeof prepareStatements>;

function prepareStatements(database: SqliteDatabase) {
  const sql = (text: string): SqliteStatement => prepare(database, text);
  const runSet = `workflow = ?, status = ?, head = ?, priority = ?, updated_at = ?, expires_at = ?,
    version = ?, cancel_requested = ?, failure_class = ?, failure_code = ?, failure_message = ?, labels = ?`;
  return {
    begin: sql('BEGIN IMMEDIATE'),
    commit: sql('COMMIT'),
    setFeedHead: sql("UPDATE meta SET value = ? WHERE key = 'feed_head'"),

    lookAtRun: sql('SELECT head, status, workflow, started_at FROM run WHERE tenant = ? AND run = ?'),
    lookAtRunAndTask: sql(`SELECT r.head, r.status, r.workflow, r.started_at, t.state, t.token, t.queue
      FROM run r LEFT JOIN task t ON t.tenant = r.tenant AND t.run = r.run AND t.task = ?
      WHERE r.tenant = ? AND r.run = ?`),
    addRun: sql(`INSERT INTO run (tenant, run, workflow, status, head, priority, started_at, updated_at, expires_at,
      version, cancel_requested, failure_class, failure_code, failure_message, labels)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, run) DO NOTHING`),
    addPlainRun: sql(`INSERT INTO run (tenant, run, workflow, status, head, priority, started_at, updated_at,
      expires_at, cancel_requested) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (tenant, run) DO NOTHING`),
    moveRunHead: sql('UPDATE run SET head = ?, updated_at = ? WHERE tenant = ? AND run = ?'),
    movePlainRun: sql(`UPDATE run SET workflow = ?, version = NULL, status = ?, head = ?, priority = ?, updated_at = ?,
      expires_at = ?, cancel_requested = 0, failure_class = NULL, failure_code = NULL, failure_message = NULL,
      labels = NULL WHERE tenant = ? AND run = ?`),
    moveRun: sql(`UPDATE run SET ${runSet} WHERE tenant = ? AND run = ?`),
    replaceRun: sql(`UPDATE run SET started_at = ?, ${runSet} WHERE tenant = ? AND run = ?`),

    addEvent: sql('INSERT INTO event (position, tenant, stream, seq, body) VALUES (?, ?, ?, ?, ?)'),
    addBlobEvent: sql('INSERT INTO event (position, tenant, stream, seq, body, blob) VALUES (?, ?, ?, ?, ?, ?)'),
    nextOffset: sql(`INSERT INTO topic_head (tenant, topic, part, head) VALUES (?, ?, ?, 1)
      ON CONFLICT (tenant, topic, part) DO UPDATE SET head = head + 1 RETURNING head - 1`),

    dropEvent: sql('DELETE FROM event WHERE tenant = ? AND stream = ? AND seq = ? RETURNING blob'),

    lookAtTask: sql('SELECT state, token FROM task WHERE tenant = ? AND run = ? AND task = ?'),
    placeOf: sql('SELECT queue, state FROM task WHERE tenant = ? AND run = ? AND task = ?'),
    addTask: sql(`INSERT INTO task (tenant, run, task, kind, queue, rank, state, attempt, token, deadline_ms, input_seq,
      due_at, limit_key, ready_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)`),
    addReadyTask: sql(`INSERT INTO task (tenant, run, task, kind, queue, rank, state, attempt, token, deadline_ms,
      input_seq, ready_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, 0, ?, ?, ?)`),
    requeueTask: sql(`UPDATE task SET kind = ?, queue = ?, rank = ?, state = ?, attempt = ?, deadline_ms = ?,
      input_seq = ?, due_at = ?, limit_key = ?, ready_at = ?, session = NULL, assignment = NULL, leased_at = NULL
      WHERE tenant = ? AND run = ? AND task = ?`),
    closeTask: sql('DELETE FROM task WHERE tenant = ? AND run = ? AND task = ?'),
    dropTask: sql('DELETE FROM task WHERE tenant = ? AND run = ? AND task = ? RETURNING queue, state'),
    startable: sql(`SELECT t.tenant, t.run, t.task, t.kind, t.rank, t.attempt, t.token, t.deadline_ms, t.input_seq,
      t.due_at, t.limit_key, t.ready_at, r.head, r.status, r.workflow, r.started_at, e.position, e.blob, e.body
      FROM task t INDEXED BY task_ready
      CROSS JOIN run r ON r.tenant = t.tenant AND r.run = t.run
      CROSS JOIN event e ON e.tenant = t.tenant AND e.stream = t.run AND e.seq = t.input_seq
      WHERE t.queue = ? AND t.state = 0 ORDER BY t.rank, t.run, t.task, t.tenant LIMIT ?`),
    lease: sql(`UPDATE task SET state = 3, token = ?, session = ?, assignment = ?, leased_at = ?
      WHERE tenant = ? AND run = ? AND task = ?`),
    release: sql(`UPDATE task SET state = 0, session = NULL, assignment = NULL, leased_at = NULL, ready_at = ?
      WHERE tenant = ? AND run = ? AND task = ? AND token = ? AND state = 3 RETURNING queue`),
    promote: sql(`UPDATE task SET state = 0, due_at = NULL, ready_at = ?
      WHERE (tenant, run, task) IN (SELECT tenant, run, task FROM task INDEXED BY task_delayed
        WHERE state = 1 AND due_at <= ? ORDER BY due_at, tenant, run, task LIMIT ?)
      RETURNING tenant, queue`),

    putTimer: sql(`INSERT INTO timer (tenant, run, name, fire_at) VALUES (?, ?, ?, ?)
      ON CONFLICT (tenant, run, name) DO UPDATE SET fire_at = excluded.fire_at`),
    dropTimer: sql('DELETE FROM timer WHERE tenant = ? AND run = ? AND name = ?'),

    lookAtEntry: sql('SELECT value FROM entry WHERE tenant = ? AND space = ? AND key = ? AND ref = ?'),
    putEntry: sql(`INSERT INTO entry (tenant, space, key, ref, value, run, at) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (tenant, space, key, ref) DO UPDATE
      SET value = excluded.value, run = excluded.run, at = excluded.at`),
    dropEntry: sql('DELETE FROM entry WHERE tenant = ? AND space = ? AND key = ? AND ref = ?'),
    lookAtSchedule: sql('SELECT version FROM schedule WHERE tenant = ? AND name = ?'),
    putSchedule: sql(`INSERT INTO schedule (tenant, name, version, due_at, body) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (tenant, name) DO UPDATE
      SET version = excluded.version, due_at = excluded.due_at, body = excluded.body`),
    dropSchedule: sql('DELETE FROM schedule WHERE tenant = ? AND name = ?'),

    lookAtDedupe: sql(`SELECT hash, reference, expires_at FROM dedupe
      WHERE tenant = ? AND scope = ? AND key = ? AND expires_at > ?`),
    putDedupe: sql(`INSERT INTO dedupe (tenant, scope, key, hash, reference, expires_at) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (tenant, scope, key) DO UPDATE
      SET hash = excluded.hash, reference = excluded.reference, expires_at = excluded.expires_at`),

    addDeadLetter: sql(`INSERT INTO dead_letter
      (tenant, id, run, workflow, path, class, code, message, attempts, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    dropDeadLetter: sql('DELETE FROM dead_letter WHERE tenant = ? AND id = ?'),

    lookAtBlob: sql('SELECT 1 FROM blob WHERE tenant = ? AND hash = ?'),
    touchBlob: sql('UPDATE blob SET created_at = ? WHERE tenant = ? AND hash = ?'),
    addBlob: sql('INSERT INTO blob (tenant, hash, refs, created_at) VALUES (?, ?, 0, ?) RETURNING id'),
    addBlobData: sql('INSERT INTO blob_data (id, bytes) VALUES (?, ?)'),
    releaseBlob: sql('UPDATE blob SET refs = refs - 1 WHERE tenant = ? AND hash = ?'),
    referBlob: sql('UPDATE blob SET refs = refs + 1 WHERE tenant = ? AND hash = ?'),

    lookAtSession: sql('SELECT 1 FROM session WHERE session = ? AND owner = ?'),
    putSession: sql(`INSERT OR REPLACE INTO session (session, owner, worker, app, opened_at, counter, received, info)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
    takeSession: sql(`UPDATE session SET owner = ? WHERE session = ? RETURNING ${sessionColumns}`),
    beat: sql(`UPDATE session SET counter = max(counter, ?), received = max(received, ?) WHERE session = ?
      RETURNING owner`),
    dropSession: sql('DELETE FROM session WHERE session = ?'),

    putManifest: sql('INSERT OR REPLACE INTO manifest (app, hash, manifest, registered_at) VALUES (?, ?, ?, ?)'),
  } satisfies Record<string, SqliteStatement>;
}
