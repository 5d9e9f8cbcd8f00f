/**
 * The one writer: carries out a batch of requests in one transaction, in their order. Guards are looked at before
 * anything of a transition is written, so that the common refusals need no way back. What SQL itself refuses takes the
 * whole transaction back, and the batch is run again with a savepoint round each item; then only the bad items are
 * refused. Statements are prepared once and run per row (docs/adr/0002).
 *
 * Invariant: after `commit` returns or throws, no transaction is open and nothing is left in the caches of a batch
 * that was not committed.
 */
import type { DedupeRow, ExpireCounts, LeaseKey, Outcome, TaskRow } from '../../store/index.js';
import { nameOf, payloadKind, taskKinds, tallyKind } from './codes.js';
import { prepare, type SqliteDatabase, type SqliteStatement } from './driver.js';
import { expireRows, prepareExpiry, type ExpiryStatements } from './expiry.js';
import { classifyFailure, reasonOf } from './failures.js';
import { Tally } from './tally.js';
import type {
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
  /** Position of the newest event, kept in `meta` so that a position is never given twice. */
  #feedHead: number;
  #feedHeadStored: number;
  #now = 0;
  /** The lease of the transition at hand, where it was seen together with its run. */
  #leaseSeen: { readonly transition: RawTransition; readonly isHeld: boolean; readonly queue: string } | null = null;
  /** Whether each item is wrapped into a savepoint: only after one of the batch has failed. */
  #guarded = false;

  constructor(database: SqliteDatabase) {
    this.#database = database;
    this.#sql = prepareStatements(database);
    this.#expiry = prepareExpiry(database);
    this.#tally = new Tally(database);
    const [head] = prepare(database, "SELECT value FROM meta WHERE key = 'feed_head'").get() as [number];
    this.#feedHead = head;
    this.#feedHeadStored = head;
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
      if (this.#feedHead !== this.#feedHeadStored) this.#sql.setFeedHead.run(this.#feedHead);
      this.#sql.commit.run();
      this.#feedHeadStored = this.#feedHead;
      return results;
    } catch (error) {
      this.#feedHead = this.#feedHeadStored;
      this.#tally.clear();
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
    if (request.op === 'apply') return { tag: 'done', value: request.transitions.map((t) => this.#item(t)) };
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
        sql.putSession.run(session, worker, app, openedAt, counter, received, info);
        return { tag: 'done', value: null };
      }
      case 'beat':
        return {
          tag: 'done',
          value: request.beats
            .filter(({ session, counter, received }) => changesOf(sql.beat.run(counter, received, session)) === 0)
            .map(({ session }) => session),
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

  #expire(limit: number): ExpireCounts {
    return expireRows(this.#expiry, this.#tally, this.#now, limit);
  }

  // Transitions

  #transition(t: RawTransition): Outcome {
    const before = this.#lookAtRuns(t);
    if ('tag' in before) return before;
    return this.#refusal(t) ?? this.#write(t, before);
  }

  /** The runs as they are, or the refusal when one is not where it was expected. */
  #lookAtRuns(t: RawTransition): readonly RunBefore[] | Outcome {
    const found: RunBefore[] = [];
    for (const { expected, columns } of t.runs) {
      const row = this.#lookAtRun(t, columns[0]);
      const head = row?.[0] ?? 0;
      if (head !== expected) return { tag: 'conflict', run: columns[0], head };
      found.push(row ?? absent);
    }
    return found;
  }

  /** The run; where the lease is one of its tasks, that task too, in the same look: the common case of a worker's commit. */
  #lookAtRun(t: RawTransition, run: string): RunBefore | undefined {
    if (t.lease === null || t.lease.run !== run) return this.#sql.lookAtRun.get(t.tenant, run) as RunBefore | undefined;
    const row = this.#sql.lookAtRunAndTask.get(t.lease.task, t.tenant, run) as RunAndTaskBefore | undefined;
    if (row === undefined) return undefined;
    const [head, status, workflow, startedAt, state, token, queue] = row;
    this.#leaseSeen = { transition: t, isHeld: state === leased && token === t.lease.token, queue: queue ?? '' };
    return [head, status, workflow, startedAt];
  }

  /** The other guards, in the order of the contract. */
  #refusal(t: RawTransition): Outcome | null {
    if (t.lease !== null && !this.#isHeld(t, t.lease)) return { tag: 'fenced' };
    if (t.unleased !== null && this.#stateOf(t.tenant, t.unleased.run, t.unleased.task) === leased)
      return { tag: 'fenced' };
    for (const write of t.tasks)
      if (write[0] === 'requeue' && this.#stateOf(t.tenant, write[1], write[2][0]) !== leased) return { tag: 'fenced' };
    for (const { scope, key } of t.dedupe) {
      const found = this.#sql.lookAtDedupe.get(t.tenant, scope, key, this.#now) as [string, string, number] | undefined;
      if (found !== undefined) return { tag: 'duplicate', found: dedupeRow(t.tenant, scope, key, found) };
    }
    const missing = this.#missingBlob(t);
    return missing === null ? null : { tag: 'unstorable', reason: `there is no blob ${missing}` };
  }

  #isHeld(t: RawTransition, { tenant, run, task, token }: LeaseKey): boolean {
    if (this.#leaseSeen?.transition === t) return this.#leaseSeen.isHeld;
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
    for (const [index, { columns }] of t.runs.entries()) this.#writeRun(tenant, before[index] ?? absent, columns);
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
    for (const [index, write] of t.tasks.entries())
      if (index > 0 || !this.#closesLease(t, write)) this.#writeTask(tenant, write);
    for (const write of t.timers) {
      if (write.op === 'set') this.#sql.putTimer.run(tenant, write.run, write.name, write.fireAt);
      else this.#sql.dropTimer.run(tenant, write.run, write.name);
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
    const [run, workflow, version, status, head, priority, startedAt, updatedAt, ...rest] = columns;
    if (headBefore === 0) {
      this.#sql.addRun.run(tenant, ...columns);
      this.#tally.add(tenant, tallyKind.run, workflow, status, 1);
      return;
    }
    // A column named in SET has its indexes rewritten, changed or not; the instant of the start hardly ever changes.
    if (startedAt === startedBefore)
      this.#sql.moveRun.run(workflow, version, status, head, priority, updatedAt, ...rest, tenant, run);
    else
      this.#sql.replaceRun.run(startedAt, workflow, version, status, head, priority, updatedAt, ...rest, tenant, run);
    if (status === statusBefore && workflow === workflowBefore) return;
    this.#tally.add(tenant, tallyKind.run, workflowBefore, statusBefore, -1);
    this.#tally.add(tenant, tallyKind.run, workflow, status, 1);
  }

  #appendEvent(tenant: string, stream: string, seq: number, event: RawEvent): number {
    const position = this.#feedHead + 1;
    const { type, at, kind, envelope, salt, blob, payload } = event;
    this.#sql.addEvent.run(position, tenant, stream, seq, type, at, kind, envelope, salt, blob, payload);
    this.#feedHead = position;
    if (kind === payloadKind.blob && blob !== null) this.#sql.referBlob.run(tenant, blob);
    return position;
  }

  /** Closes the leased task itself, whose queue was seen with the lease; says whether that was what was asked. */
  #closesLease(t: RawTransition, [op, run, task]: RawTaskWrite): boolean {
    const seen = this.#leaseSeen;
    if (op !== 'close' || seen?.transition !== t || t.lease?.run !== run || t.lease.task !== task) return false;
    this.#sql.closeTask.run(t.tenant, run, task);
    this.#tally.add(t.tenant, tallyKind.task, seen.queue, leased, -1);
    return true;
  }

  #writeTask(tenant: string, write: RawTaskWrite): void {
    const [op, run] = write;
    if (op === 'close') {
      const dropped = this.#sql.dropTask.get(tenant, run, write[2]) as [string, number] | undefined;
      if (dropped !== undefined) this.#tally.add(tenant, tallyKind.task, dropped[0], dropped[1], -1);
      return;
    }
    const columns: TaskColumns = write[2];
    const [task, kind, queue, rank, attempt, deadlineMs, inputSeq, dueAt, limitKey] = columns;
    const state = dueAt !== null ? delayed : limitKey !== null ? held : ready;
    const values = [kind, queue, rank, state, attempt, deadlineMs, inputSeq, dueAt, limitKey, this.#now] as const;
    if (op === 'open') this.#sql.addTask.run(tenant, run, task, ...values);
    else {
      const found = this.#sql.placeOf.get(tenant, run, task) as [queue: string, state: number] | undefined;
      if (found === undefined) throw new Error(`task ${task} is not there any more`);
      this.#sql.requeueTask.run(...values, tenant, run, task);
      this.#tally.add(tenant, tallyKind.task, found[0], found[1], -1);
    }
    this.#tally.add(tenant, tallyKind.task, queue, state, 1);
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
    if (this.#sql.lookAtSession.get(request.session) === undefined) return claims;
    for (const { queue, limit } of request.queues) {
      const wanted = Math.min(limit, request.limit - claims.length);
      if (wanted <= 0) continue;
      const rows = this.#sql.startable.all(queue, wanted) as StartableRow[];
      for (const row of rows) {
        const claim = claimOf(row, queue, request.session, request.assignmentFrom + claims.length, this.#now);
        const { tenant, run, task, token, assignment } = claim.task;
        this.#sql.lease.run(token, request.session, assignment, this.#now, tenant, run, task);
        this.#tally.add(tenant, tallyKind.task, queue, ready, -1);
        this.#tally.add(tenant, tallyKind.task, queue, leased, 1);
        claims.push(claim);
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

type RunBefore = readonly [head: number, status: number, workflow: string, startedAt: number];
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
  position: number,
  type: string,
  at: number,
  payloadKind: number,
  envelope: Uint8Array,
  salt: Uint8Array | null,
  blob: string | null,
  payload: Uint8Array | null,
];

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
  const [, , , , , , , , , , , , head, position, type, at, payload, envelope, salt, blob, bytes] = row;
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
  return { task: claimed, head, position, input: { type, at, envelope, kind: payload, salt, payload: bytes, blob } };
}

type Statements = ReturnType<typeof prepareStatements>;

function prepareStatements(database: SqliteDatabase) {
  const sql = (text: string): SqliteStatement => prepare(database, text);
  const runSet = `workflow = ?, version = ?, status = ?, head = ?, priority = ?, updated_at = ?, expires_at = ?,
    cancel_requested = ?, failure_class = ?, failure_code = ?, failure_message = ?, labels = ?`;
  return {
    begin: sql('BEGIN IMMEDIATE'),
    commit: sql('COMMIT'),
    setFeedHead: sql("UPDATE meta SET value = ? WHERE key = 'feed_head'"),

    lookAtRun: sql('SELECT head, status, workflow, started_at FROM run WHERE tenant = ? AND run = ?'),
    lookAtRunAndTask: sql(`SELECT r.head, r.status, r.workflow, r.started_at, t.state, t.token, t.queue
      FROM run r LEFT JOIN task t ON t.tenant = r.tenant AND t.run = r.run AND t.task = ?
      WHERE r.tenant = ? AND r.run = ?`),
    addRun: sql(`INSERT INTO run (tenant, run, workflow, version, status, head, priority, started_at, updated_at,
      expires_at, cancel_requested, failure_class, failure_code, failure_message, labels)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    moveRun: sql(`UPDATE run SET ${runSet} WHERE tenant = ? AND run = ?`),
    replaceRun: sql(`UPDATE run SET started_at = ?, ${runSet} WHERE tenant = ? AND run = ?`),

    addEvent:
      sql(`INSERT INTO event (position, tenant, stream, seq, type, at, payload_kind, envelope, salt, blob, payload)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    nextOffset: sql(`INSERT INTO topic_head (tenant, topic, part, head) VALUES (?, ?, ?, 1)
      ON CONFLICT (tenant, topic, part) DO UPDATE SET head = head + 1 RETURNING head - 1`),

    lookAtTask: sql('SELECT state, token FROM task WHERE tenant = ? AND run = ? AND task = ?'),
    placeOf: sql('SELECT queue, state FROM task WHERE tenant = ? AND run = ? AND task = ?'),
    addTask: sql(`INSERT INTO task (tenant, run, task, kind, queue, rank, state, attempt, token, deadline_ms, input_seq,
      due_at, limit_key, ready_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)`),
    requeueTask: sql(`UPDATE task SET kind = ?, queue = ?, rank = ?, state = ?, attempt = ?, deadline_ms = ?,
      input_seq = ?, due_at = ?, limit_key = ?, ready_at = ?, session = NULL, assignment = NULL, leased_at = NULL
      WHERE tenant = ? AND run = ? AND task = ?`),
    closeTask: sql('DELETE FROM task WHERE tenant = ? AND run = ? AND task = ?'),
    dropTask: sql('DELETE FROM task WHERE tenant = ? AND run = ? AND task = ? RETURNING queue, state'),
    startable: sql(`SELECT t.tenant, t.run, t.task, t.kind, t.rank, t.attempt, t.token, t.deadline_ms, t.input_seq,
      t.due_at, t.limit_key, t.ready_at, r.head,
      e.position, e.type, e.at, e.payload_kind, e.envelope, e.salt, e.blob, e.payload
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
    referBlob: sql('UPDATE blob SET refs = refs + 1 WHERE tenant = ? AND hash = ?'),

    lookAtSession: sql('SELECT 1 FROM session WHERE session = ?'),
    putSession: sql(`INSERT OR REPLACE INTO session (session, worker, app, opened_at, counter, received, info)
      VALUES (?, ?, ?, ?, ?, ?, ?)`),
    beat: sql('UPDATE session SET counter = ?, received = ? WHERE session = ?'),
    dropSession: sql('DELETE FROM session WHERE session = ?'),

    putManifest: sql('INSERT OR REPLACE INTO manifest (app, hash, manifest, registered_at) VALUES (?, ?, ?, ?)'),
  } satisfies Record<string, SqliteStatement>;
}
