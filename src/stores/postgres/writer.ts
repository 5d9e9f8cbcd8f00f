/**
 * Carries out a batch of requests in their order, as one transaction of two round trips: one that looks at all rows the
 * batch speaks of and locks them, one that writes what came out and commits. The first is left out where all these rows
 * are known (see `known.ts`): then the second begins by locking them and comparing, and where one is otherwise nothing
 * of it counts and the batch is done with a look. A claim in the middle of a batch costs one more only where later items
 * depend on what it takes. A batch of known rows may be sent behind one that is not answered yet: where that one fails the
 * server refuses everything on the connection until it is rolled back, so nothing overtakes it.
 *
 * What the server refuses for the sake of one item is found by halving the batch. What it refuses for the sake of
 * concurrency is tried again from the look. When the connection breaks at the commit, the row that marks the commit
 * tells what became of it: asking for it waits for a commit that is still under way, and keeps one that has not come
 * from ever coming.
 *
 * Invariant: a result is given only for what is durable; an error is thrown only where nothing was stored (`busy`,
 * `full`, `fault`) or nothing is known (`unknown`).
 */
import type { Clock } from '../../core/ports.js';
import {
  type ClaimedTask,
  isColumnText,
  nameOf,
  type Outcome,
  runStatuses,
  type TaskRow,
  type Transition,
  leasesOf,
} from '../../store/index.js';
import { byteas, int4s, int8s, texts } from './arrays.js';
import type { Database, Session } from './database.js';
import { eraOf } from './eras.js';
import { classifyFailure, reasonOf, stateOf } from './failures.js';
import { flushRest, flushWork, publishStatement, tallyStatement } from './flush.js';
import type { Row, Statement, Value } from './pipeline.js';
import type { WriteRequest, WriteResult, WriteResults } from './requests.js';
import { column, rowsStatement } from './row-statement.js';
import { type Beliefs, type KnownRun, KnownRows } from './known.js';
import { eventRow, int, scheduleRow, sessionRow, taskColumnCount, taskRow, text } from './rows.js';
import type { Sql } from './sql.js';
import { keyOf, Workbench, type RunBefore, type TaskEntry } from './workbench.js';

/** How often a batch is worked out anew before its items are tried one by one. */
const attemptsMax = 6;
/** Longest pause before that, ms; drawn below it, and less at the first attempts. */
const pauseMsMax = 50;
/** How long the outcome of a commit is asked for. */
const settleMsMax = 15_000;
const settlePauseMs = 100;

/** Why a batch was not stored, or that nobody knows. */
export class BatchError extends Error {
  readonly kind: 'busy' | 'full' | 'fault' | 'unknown';

  constructor(kind: BatchError['kind'], cause: unknown) {
    super(reasonOf(cause), { cause });
    this.kind = kind;
  }
}

/** What a commit has brought about, for those who are told of it. */
export interface CommitNews {
  /** Its number, where it has left a row; null = it has changed nothing that counts. */
  readonly commit: number | null;
  readonly events: number;
  readonly work: ReadonlyMap<string, number>;
}

export interface WriterOptions {
  readonly database: Database;
  readonly sql: Sql;
  /** Number of this opening; names its commits and owns its sessions. */
  readonly epoch: number;
  /** Instead of the database's clock: tests. */
  readonly clock: Clock | null;
  /** Told the database's clock whenever it was seen, with the moments between which it was. */
  readonly onClock: (databaseMs: number, sentMs: number, receivedMs: number) => void;
  /** The store's clock as best known here. */
  readonly now: () => number;
  readonly onCommit: (news: CommitNews) => void;
  /** A batch was sent whole: another can be sent behind it. */
  readonly onSent: () => void;
}

/** Nothing is done without a look where the clock was seen longer ago than this. */
const clockMsMax = 5_000;
/** Nor after a key turned out to be taken, for so long: where there is one repetition there are more. */
const clashMs = 1_000;

/** Commits of one opening; with the epoch above they are within the safe integers for two million openings. */
const commitsPerEpoch = 2 ** 32;

/** The ids of the commits of an opening. */
export function commitsOf(epoch: number): { readonly first: number; readonly last: number } {
  return { first: epoch * commitsPerEpoch, last: (epoch + 1) * commitsPerEpoch - 1 };
}

/** Counters of one name are spread over so many rows; openings that follow each other use different ones. */
export const tallySlots = 64;
const uniqueViolation = '23505';
/** What `trustRuns` and `trustLeases` fail with. */
const divisionByZero = '22012';

/** Behind which commit a batch is sent before that is answered. */
export interface Place {
  /** What it rests on, the commit before included. */
  readonly beliefs: Beliefs;
  /** Resolves when the one before is settled, whatever became of it. */
  readonly before: Promise<void>;
}

/** A connection on which one commit follows the other. */
interface Line {
  readonly session: Session;
  /** Batches that are not answered yet. */
  batches: number;
  /** All of them were sent whole, so that another can be sent behind. */
  isSent: boolean;
}

/** The transaction before, on the same connection, has failed and was not rolled back yet. */
const inFailedTransaction = '25P02';

export class Writer {
  readonly #options: WriterOptions;
  readonly #slot: number;
  #lastCommit: number;
  #clockSeenMs = -Infinity;
  #lastClashMs = -Infinity;
  readonly #known = new KnownRows();
  #line: Line | null = null;
  /** Batches that are tried piece by piece: nothing may come between the pieces. */
  #halving = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#slot = options.epoch % tallySlots;
    this.#lastCommit = commitsOf(options.epoch).first;
  }

  /** What the requests need to be sent behind the commit that is in flight; null = they have to wait for its end. */
  follow(requests: readonly WriteRequest[]): Beliefs | null {
    const line = this.#line;
    if (line === null || !line.isSent || this.#halving > 0 || !line.session.mayFollow()) return null;
    return this.#mayTrust() ? this.#known.beliefsOf(requests) : null;
  }

  /**
   * Carries out the requests. Rejects with a `BatchError` only. `place`: behind a commit in flight; that one has failed, or
   * this one is settled after it.
   */
  async commit(requests: readonly WriteRequest[], place: Place | null = null): Promise<WriteResult[]> {
    if (place !== null) {
      try {
        return await this.#attempt(requests, place);
      } catch (error) {
        if (error instanceof BatchError) throw error;
        // Nothing of it has come about. It is tried in its turn, like any other, and shows then what is wrong with it.
      } finally {
        await place.before;
      }
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(requests, null);
      } catch (error) {
        if (error instanceof BatchError) throw error;
        switch (classifyFailure(error)) {
          case 'full':
            throw new BatchError('full', error);
          case 'fault':
            throw new BatchError('fault', error);
          case 'lost':
            throw new BatchError('busy', error);
          case 'item':
            return await this.#inPieces(requests, error);
          case 'again':
            if (attempt < attemptsMax) await pause(Math.random() * Math.min(pauseMsMax, 2 ** attempt));
            else return await this.#inPieces(requests, error);
        }
      }
    }
  }

  async #inPieces(requests: readonly WriteRequest[], error: unknown): Promise<WriteResult[]> {
    this.#halving += 1;
    try {
      return await this.#halve(requests, error);
    } finally {
      this.#halving -= 1;
    }
  }

  /** One half after the other; what cannot be halved is what the server refuses. */
  async #halve(requests: readonly WriteRequest[], error: unknown): Promise<WriteResult[]> {
    if (requests.length > 1) {
      const middle = Math.ceil(requests.length / 2);
      const first = await this.commit(requests.slice(0, middle));
      return [...first, ...(await this.commit(requests.slice(middle)))];
    }
    const [request] = requests;
    if (request === undefined) return [];
    if (request.op !== 'apply' || request.items.length === 1) {
      // A key that stays taken though the look finds it free is a row that nobody should have; only this item meets it.
      if (classifyFailure(error) === 'again' && stateOf(error) !== uniqueViolation) throw new BatchError('busy', error);
      const reason = reasonOf(error);
      if (request.op !== 'apply') return [{ tag: 'refused', reason }];
      return [{ tag: 'done', value: [{ tag: 'unstorable', reason }] }];
    }
    const middle = Math.ceil(request.items.length / 2);
    const halves = [request.items.slice(0, middle), request.items.slice(middle)];
    const outcomes: Outcome[] = [];
    for (const items of halves) {
      const [result] = await this.commit([{ op: 'apply', items }]);
      if (result?.tag === 'done') outcomes.push(...(result.value as Outcome[]));
    }
    return [{ tag: 'done', value: outcomes }];
  }

  #mayTrust(): boolean {
    const nowMs = performance.now();
    return nowMs - this.#clockSeenMs < clockMsMax && nowMs - this.#lastClashMs > clashMs;
  }

  async #attempt(requests: readonly WriteRequest[], place: Place | null): Promise<WriteResult[]> {
    const startedMs = performance.now();
    const line = place === null ? await this.#openLine() : this.#line;
    if (line === null) throw new Error('Invariant broken: nothing is in flight that could be followed');
    const { session } = line;
    const beliefs = place?.beliefs ?? (this.#mayTrust() ? this.#known.beliefsOf(requests) : null);
    const batch = new Batch(this.#options, session, this.#slot, ++this.#lastCommit, () => {
      // Who follows rests on what this one leaves, which is not so before it is committed: nor is then who follows.
      batch.teach(this.#known);
      line.isSent = true;
      this.#options.onSent();
    });
    line.batches += 1;
    line.isSent = false;
    try {
      const results = await batch.run(requests, beliefs);
      this.#clockSeenMs = startedMs;
      this.#leave(line);
      batch.teachClaims(this.#known);
      this.#tell(batch);
      return results;
    } catch (error) {
      this.#known.forget(requests);
      // Whoever comes next opens another; who was sent behind fails, too, or is found out about in its turn.
      if (this.#line === line) this.#line = null;
      if (stateOf(error) === inFailedTransaction && place !== null) throw error;
      if (beliefs !== null && wasMistaken(error)) {
        if (stateOf(error) === uniqueViolation) this.#lastClashMs = startedMs;
        await session.undo();
        if (place !== null) throw error;
        // What was believed is forgotten, so this time there is a look.
        return this.#attempt(requests, null);
      }
      // A closed connection rolls back; where it was at its commit, the marker tells.
      session.destroy();
      if (!batch.committing || classifyFailure(error) !== 'lost') throw error;
      if (!batch.isMarked) throw new BatchError('unknown', error);
      if (!(await this.#isCommitted(batch.commit, error))) throw error;
      this.#tell(batch);
      return batch.results();
    }
  }

  async #openLine(): Promise<Line> {
    try {
      const line = { session: await this.#options.database.session(), batches: 0, isSent: false };
      this.#line = line;
      return line;
    } catch (error) {
      throw new BatchError('busy', error);
    }
  }

  /** A batch was answered; the last one gives the connection back. */
  #leave(line: Line): void {
    line.batches -= 1;
    if (line.batches > 0) return;
    if (this.#line === line) this.#line = null;
    line.session.release();
  }

  #tell(batch: Batch): void {
    const { events, work } = batch;
    this.#options.onCommit({ commit: batch.isMarked ? batch.commit : null, events, work });
  }

  /** Whether the commit of that number has come about. Settles it for ever, or rejects with `unknown`. */
  async #isCommitted(commit: number, cause: unknown): Promise<boolean> {
    const { database, sql } = this.#options;
    const until = performance.now() + settleMsMax;
    for (;;) {
      try {
        const [rows] = await database.once([{ text: sql.settle, values: [commit, Date.now()] }]);
        return rows?.length === 0;
      } catch {
        if (performance.now() > until) throw new BatchError('unknown', cause);
        await pause(settlePauseMs);
      }
    }
  }
}

/** A row was not as it was believed to be, or there was one where none was. */
function wasMistaken(error: unknown): boolean {
  const state = stateOf(error);
  return state === divisionByZero || state === uniqueViolation;
}

/** At this level no commit fails that has come so far, so that who follows it need not ask. */
const begin: Statement = { text: 'BEGIN ISOLATION LEVEL READ COMMITTED', values: [] };
const end: Statement = { text: 'COMMIT', values: [] };

/** What becomes of the rows of a statement in flight. */
type Take = (rows: readonly Row[]) => void;

/** One batch on one connection. */
class Batch {
  readonly commit: number;
  /** True from the moment on at which the server may commit. */
  committing = false;
  readonly #options: WriterOptions;
  readonly #session: Session;
  readonly #slot: number;
  #bench = new Workbench(0, 0);
  #statements: Statement[] = [];
  #takes: (Take | null)[] = [];
  /** Answers that have come and must have for a result to be known. */
  readonly #results: (() => WriteResult)[] = [];

  readonly #onSend: () => void;

  /** `onSend`: told when all is decided and the last round trip is about to be sent. */
  constructor(options: WriterOptions, session: Session, slot: number, commit: number, onSend: () => void) {
    this.#onSend = onSend;
    this.#options = options;
    this.#session = session;
    this.#slot = slot;
    this.commit = commit;
  }

  get events(): number {
    return this.#bench.eventCount;
  }

  get work(): ReadonlyMap<string, number> {
    return this.#bench.work;
  }

  /** `beliefs`: what all rows that are not new are taken for without a look; null = look. */
  async run(requests: readonly WriteRequest[], beliefs: Beliefs | null): Promise<WriteResult[]> {
    if (beliefs === null) await this.#look(requests);
    else this.#trust(beliefs);
    for (const request of requests) {
      if (this.#mayHaveMoved(request)) await this.#roundTrip();
      this.#results.push(this.#request(request));
    }
    this.#finish();
    this.committing = true;
    const answered = this.#roundTrip();
    this.#onSend();
    await answered;
    return this.results();
  }

  /** The results as far as they are known: all of them after the answer to the commit. */
  results(): WriteResult[] {
    return this.#results.map((result) => result());
  }

  /** Whether the commit has a row that tells of it. */
  get isMarked(): boolean {
    return this.#bench.applied > 0;
  }

  /** Remembers how the batch leaves its rows. */
  teach(known: KnownRows): void {
    known.learn(this.#bench);
  }

  /** Remembers what the batch, which was committed, has leased. */
  teachClaims(known: KnownRows): void {
    known.learnClaims(this.#bench, this.#claimed);
  }

  readonly #claimed: TaskRow[] = [];

  #pendingClaim = false;
  #pendingPromotion = false;

  /** Whether a claim or a promotion in flight may have taken a task from under the request. */
  #mayHaveMoved(request: WriteRequest): boolean {
    if (!this.#pendingClaim && !this.#pendingPromotion) return false;
    if (request.op !== 'apply' && request.op !== 'release') return false;
    const tasks = wantedRows([request]).tasks;
    return (
      (this.#pendingClaim && this.#bench.hasTaskIn('ready', tasks.keys())) ||
      (this.#pendingPromotion && this.#bench.hasTaskIn('delayed', tasks.keys()))
    );
  }

  /** Begins the transaction without a look: the first round trip is also the last. */
  #trust({ runs, tasks }: Beliefs): void {
    const { database, now } = this.#options;
    const at = now();
    this.#bench = new Workbench(at, eraOf(at));
    this.#add(begin);
    const sentMs = performance.now();
    this.#add(database.settings, (rows) => this.#seeClock(rows, sentMs));
    this.#unchecked = { runs, tasks };
    this.#checkAt = this.#statements.length;
    for (const { tenant, run, ...before } of runs.values()) this.#bench.setRun(tenant, run, before);
    for (const task of tasks.values()) this.#bench.setTask(task);
  }

  /** What was believed and is not yet in a statement that compares it. */
  #unchecked: Beliefs | null = null;
  /** The place of these statements: before all others, since they lock the first rows of the order. */
  #checkAt = 0;

  #flushWork(): void {
    const { sql } = this.#options;
    const beliefs = this.#unchecked;
    this.#unchecked = null;
    if (beliefs === null) {
      for (const statement of flushWork(sql, this.#bench, this.commit)) this.#add(statement);
      return;
    }
    // What is written is compared as it is written.
    const runs = [...beliefs.runs].filter(([key]) => (this.#bench.runs.get(key)?.write ?? null) === null);
    const leases = [...beliefs.tasks].filter(([key]) => !isDropped(this.#bench.tasks.get(key)));
    const checks = {
      runs:
        runs.length === 0
          ? []
          : [
              trustRuns(
                sql,
                runs.map(([, run]) => run),
              ),
            ],
      leases:
        leases.length === 0
          ? []
          : [
              trustLeases(
                sql,
                leases.map(([, task]) => task),
              ),
            ],
    };
    const statements = flushWork(sql, this.#bench, this.commit, checks);
    this.#statements.splice(this.#checkAt, 0, ...statements);
    this.#takes.splice(this.#checkAt, 0, ...statements.map(() => null));
  }

  #seeClock(rows: readonly Row[], sentMs: number): number {
    const databaseMs = int(rows[0]?.[0]);
    if (this.#options.clock === null) this.#options.onClock(databaseMs, sentMs, performance.now());
    return databaseMs;
  }

  /** Begins the transaction; finds and locks whatever the items speak of. */
  async #look(requests: readonly WriteRequest[]): Promise<void> {
    const { sql, database, clock } = this.#options;
    const wanted = wantedRows(requests);
    this.#add(begin);
    this.#add(database.settings, (rows) => {
      const databaseMs = this.#seeClock(rows, sentMs);
      const now = clock === null ? databaseMs : clock.now();
      this.#bench = new Workbench(now, eraOf(now));
      for (const key of wanted.entries.keys()) this.#bench.guarded.set(key, { stored: false, value: null });
    });
    // First, so that whoever carries out the same entries sees what became of them before it looks at anything else.
    if (wanted.outbox.length > 0)
      this.#add({ text: sql.lockOutbox, values: [int8s(wanted.outbox)] }, (rows) => {
        for (const [id] of rows) this.#bench.outbox.add(int(id));
      });
    this.#lookAt(sql.lockRuns, wanted.runs, 2, (row) => {
      this.#bench.setRun(text(row[0]), text(row[1]), runBefore(row, 2));
    });
    this.#lookAt(sql.lockTasks, wanted.tasks, 3, (row) => {
      this.#bench.setTask(taskRow(row));
    });
    this.#lookAt(sql.lockSchedules, wanted.schedules, 2, (row) => {
      const now = scheduleRow(row);
      const { tenant, name } = now;
      this.#bench.schedules.set(keyOf(tenant, name), { tenant, name, stored: true, now, dirty: false });
    });
    this.#lookAt(sql.lockDedupe, wanted.dedupe, 3, (row) => {
      const [tenant, scope, key] = [text(row[0]), text(row[1]), text(row[2])];
      this.#bench.dedupe.set(keyOf(tenant, scope, key), {
        stored: true,
        now: { tenant, scope, key, hash: text(row[3]), reference: text(row[4]), expiresAt: int(row[5]) },
        dirty: false,
      });
    });
    this.#lookAt(sql.lockLetters, wanted.letters, 2, (row) => {
      const [tenant, id] = [text(row[0]), text(row[1])];
      this.#bench.letters.set(keyOf(tenant, id), { tenant, id, stored: true, exists: true, write: null });
    });
    this.#lookAt(sql.lockBlobs, wanted.blobs, 2, (row) => {
      const [tenant, hash] = [text(row[0]), text(row[1])];
      this.#bench.blobs.set(keyOf(tenant, hash), { tenant, hash, exists: true, write: null, refs: 0 });
    });
    this.#lookAt(sql.lockEntries, wanted.entries, 4, (row) => {
      const key = keyOf(text(row[0]), text(row[1]), text(row[2]), text(row[3]));
      this.#bench.guarded.set(key, { stored: true, value: text(row[4]) });
    });
    const sentMs = performance.now();
    await this.#roundTrip();
  }

  #lookAt(sql: string, keys: Keys, columns: number, take: (row: Row) => void): void {
    if (keys.size === 0) return;
    const rows = [...keys.values()];
    const values = Array.from({ length: columns }, (_, i) => texts(rows.map((row) => row[i] ?? '')));
    this.#add({ text: sql, values }, (found) => found.forEach(take));
  }

  /** Carries out one request as far as it can be; gives what makes its result once the answers are there. */
  #request(request: WriteRequest): () => WriteResult {
    switch (request.op) {
      case 'apply': {
        const outcomes = request.items.map(
          ({ transition, unstorable, outbox }): Outcome =>
            unstorable === null ? this.#bench.apply(transition, outbox) : { tag: 'unstorable', reason: unstorable },
        );
        const wanted = request.items.map(({ transition }) => transition.publishes?.length ?? 0);
        return () => {
          const complete = outcomes.every((o, i) => o.tag !== 'applied' || o.offsets.length === wanted[i]);
          return complete ? done(outcomes) : unknown;
        };
      }
      case 'release': {
        const released = request.leases.filter((lease) => this.#bench.release(lease)).length;
        return () => done(released);
      }
      case 'claim':
        return this.#claim(request.claim);
      case 'promoteDue':
        return this.#promote(request.limit);
      default:
        return this.#other(request);
    }
  }

  #other(request: Exclude<WriteRequest, { op: 'apply' | 'release' | 'claim' | 'promoteDue' }>): () => WriteResult {
    const { sql, epoch } = this.#options;
    const nothing = (): WriteResult => done(null);
    switch (request.op) {
      case 'openSession': {
        const { session, worker, app, openedAt, counter, received, info } = request.session;
        const values = [session, epoch, worker, app, openedAt, counter, received, info];
        this.#add({ text: sql.openSession, values });
        return nothing;
      }
      case 'takeSession': {
        return this.#answered({ text: sql.takeSession, values: [request.session, epoch] }, ([row]) =>
          row === undefined ? null : sessionRow(row),
        );
      }
      case 'beat': {
        const { beats } = request;
        const values = [
          texts(beats.map(({ session }) => session)),
          int8s(beats.map(({ counter }) => counter)),
          int8s(beats.map(({ received }) => received)),
        ];
        return this.#answered({ text: sql.beat, values }, (rows) => {
          const owners = new Map(rows.map(([session, owner]) => [text(session), int(owner)]));
          return beats.map(({ session }) => session).filter((session) => owners.get(session) !== epoch);
        });
      }
      case 'closeSession':
        this.#add({ text: sql.closeSession, values: [request.session] });
        return nothing;
      case 'putBlob': {
        const { tenant, hash, bytes } = request;
        const values = [texts([tenant]), texts([hash]), byteas([bytes]), this.#bench.now];
        this.#add({ text: sql.putBlobs, values });
        const key = keyOf(tenant, hash);
        if (!this.#bench.blobs.has(key))
          this.#bench.blobs.set(key, { tenant, hash, exists: true, write: null, refs: 0 });
        return nothing;
      }
      case 'saveManifest': {
        const { app, hash, manifest, registeredAt } = request.row;
        this.#add({ text: sql.putManifest, values: [app, hash, manifest, registeredAt] });
        return nothing;
      }
    }
  }

  #claim(claim: Extract<WriteRequest, { op: 'claim' }>['claim']): () => WriteResult {
    const { sql, epoch } = this.#options;
    const { session, queues, limit, assignmentFrom } = claim;
    this.#flushWork();
    const { now } = this.#bench;
    this.#add({
      text: sql.claim,
      values: [
        session,
        epoch,
        texts(queues.map(({ queue }) => queue)),
        int8s(queues.map((queue) => queue.limit)),
        limit,
        assignmentFrom,
        now,
        this.#slot,
      ],
    });
    const values: Value[] = [session, assignmentFrom, assignmentFrom + limit, now];
    this.#pendingClaim = true;
    return this.#answered({ text: sql.claimed, values }, (rows) => {
      const claimed = rows.map(
        (row): ClaimedTask => ({
          task: taskRow(row),
          head: int(row[taskColumnCount]),
          input: eventRow(row, taskColumnCount + 4),
        }),
      );
      claimed.forEach(({ task }, i) => {
        this.#bench.setTask(task);
        this.#claimed.push(task);
        this.#bench.setRun(task.tenant, task.run, runBefore(rows[i] ?? [], taskColumnCount));
      });
      return claimed;
    });
  }

  #promote(limit: number): () => WriteResult {
    const { sql } = this.#options;
    this.#flushWork();
    this.#pendingPromotion = true;
    return this.#answered({ text: sql.promote, values: [this.#bench.now, limit, this.#slot] }, (rows) => {
      const promoted = rows.map(taskRow);
      for (const task of promoted) {
        this.#bench.setTask(task);
        this.#bench.isReadyNow(task.queue);
      }
      return promoted.length;
    });
  }

  #finish(): void {
    const { sql } = this.#options;
    this.#flushWork();
    for (const statement of flushRest(sql, this.#bench)) this.#add(statement);
    const tally = tallyStatement(sql, this.#bench, this.#slot);
    if (tally !== null) this.#add(tally);
    const publish = publishStatement(sql, this.#bench, this.commit);
    if (publish !== null) this.#add(publish, (rows) => this.#takeOffsets(rows));
    if (this.#bench.applied > 0) {
      const { now, eventCount, eraMin, eraMax } = this.#bench;
      this.#add({ text: sql.mark, values: [this.commit, now, eventCount, Math.min(eraMin, eraMax), eraMax] });
    }
    this.#add(end);
  }

  #takeOffsets(rows: readonly Row[]): void {
    const heads = new Map(rows.map((row) => [keyOf(text(row[0]), text(row[1]), text(row[2])), int(row[3])]));
    for (const { tenant, topic, partition, index, offsets } of this.#bench.topicEvents) {
      const key = keyOf(tenant, topic, String(partition));
      offsets.push((heads.get(key) ?? 0) - (this.#bench.topics.get(key)?.events ?? 0) + index);
    }
  }

  /** A statement whose answer is the result of a request. */
  #answered(statement: Statement, read: (rows: readonly Row[]) => WriteResults[keyof WriteResults]): () => WriteResult {
    let result: WriteResult = unknown;
    this.#add(statement, (rows) => {
      result = done(read(rows));
    });
    return () => result;
  }

  #add(statement: Statement, take: Take | null = null): void {
    this.#statements.push(statement);
    this.#takes.push(take);
  }

  async #roundTrip(): Promise<void> {
    const takes = this.#takes;
    const statements = this.#statements;
    this.#takes = [];
    this.#statements = [];
    this.#pendingClaim = false;
    this.#pendingPromotion = false;
    const results = await this.#session.run(statements);
    takes.forEach((take, i) => take?.(results[i] ?? []));
  }
}

const unknown: WriteResult = { tag: 'unknown' };

function isDropped(entry: TaskEntry | undefined): boolean {
  return entry?.dirty === true && entry.now === null;
}

function trustRuns(sql: Sql, believed: readonly KnownRun[]): Statement {
  const columns = [
    column(texts, believed, ({ tenant }) => tenant),
    column(texts, believed, ({ run }) => run),
    column(int8s, believed, ({ head }) => head),
    column(int4s, believed, ({ era }) => era),
  ];
  return rowsStatement(sql.trustRuns, columns, believed.length);
}

function trustLeases(sql: Sql, believed: readonly TaskRow[]): Statement {
  const columns = [
    column(texts, believed, ({ tenant }) => tenant),
    column(texts, believed, ({ run }) => run),
    column(texts, believed, ({ task }) => task),
    column(int8s, believed, ({ token }) => token),
  ];
  return rowsStatement(sql.trustLeases, columns, believed.length);
}

function done(value: WriteResults[keyof WriteResults]): WriteResult {
  return { tag: 'done', value };
}

/** Head, status, workflow and era of a run, which begin at `from`. */
function runBefore(row: Row, from: number): RunBefore {
  const status = int(row[from + 1]);
  // Read to be sure that the code is one of ours before it is counted with.
  nameOf(runStatuses, status);
  return { head: int(row[from]), status, workflow: text(row[from + 2]), era: int(row[from + 3]) };
}

type Keys = Map<string, readonly string[]>;

/** The keys of everything that the items speak of, each once. */
function wantedRows(requests: readonly WriteRequest[]) {
  const outbox: number[] = [];
  const wanted = {
    outbox,
    runs: keys(),
    schedules: keys(),
    tasks: keys(),
    dedupe: keys(),
    letters: keys(),
    blobs: keys(),
    entries: keys(),
  };
  for (const request of requests) {
    if (request.op === 'apply') {
      for (const item of request.items) {
        if (item.outbox !== undefined) outbox.push(item.outbox);
        if (item.unstorable === null) want(wanted, item.transition);
      }
    } else if (request.op === 'release') {
      for (const { tenant, run, task } of request.leases) put(wanted.tasks, tenant, run, task);
    }
  }
  return wanted;
}

function want(wanted: ReturnType<typeof wantedRows>, t: Transition): void {
  const { tenant } = t;
  for (const { row } of t.runs ?? []) put(wanted.runs, tenant, row.run);
  for (const { name } of t.schedules ?? []) put(wanted.schedules, tenant, name);
  for (const { run, task } of leasesOf(t)) put(wanted.tasks, tenant, run, task);
  if (t.unleased !== undefined) put(wanted.tasks, tenant, t.unleased.run, t.unleased.task);
  const born = new Set<string>();
  for (const { expected, row } of t.runs ?? []) if (expected === 0) born.add(row.run);
  for (const write of t.tasks ?? []) {
    // A run that is not there has no tasks; if one is left behind all the same, its key is taken and the batch fails.
    if (write.op !== 'open' || !born.has(write.run))
      put(wanted.tasks, tenant, write.run, write.op === 'close' ? write.task : write.task.task);
  }
  for (const { scope, key } of t.dedupe ?? []) put(wanted.dedupe, tenant, scope, key);
  for (const { space, key, ref, expected } of t.entries ?? [])
    if (expected !== undefined) put(wanted.entries, tenant, space, key, ref);
  for (const write of t.deadLetters ?? []) put(wanted.letters, tenant, write.op === 'add' ? write.row.id : write.id);
  for (const { hash } of t.blobs ?? []) put(wanted.blobs, tenant, hash);
  for (const list of [t.events ?? [], t.publishes ?? []])
    for (const { payload } of list) if (payload !== null && 'blob' in payload) put(wanted.blobs, tenant, payload.blob);
}

function keys(): Keys {
  return new Map();
}

function put(into: Keys, ...parts: readonly string[]): void {
  // A guard may name a key that no table can hold; it finds nothing.
  if (!parts.every(isColumnText)) return;
  into.set(keyOf(...parts), parts);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
