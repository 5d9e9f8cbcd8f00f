/**
 * Hands tasks to workers and takes their commands: sessions, credit, claims, deliveries, deadlines and the reaping of
 * dead sessions.
 *
 * Invariants: a task is sent only after its claim is durable; what a worker commits is fenced by its lease in the very
 * transition that writes it; every lease ends in a commit, a release or a loss, whatever dies.
 */
import { SpineError, isSpineError } from '../../core/errors.js';
import { failure, type Failure } from '../../core/failure.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import type { Manifest } from '../../core/manifest.js';
import type { RunEvent } from '../../core/run/events.js';
import { foldRun, isEnded, type RunState } from '../../core/run/state.js';
import { queuesServed } from '../../core/scale.js';
import {
  workerProtocol,
  type AbortReason,
  type Assignment,
  type Hello,
  type Resume,
  type Submission,
  type SubmissionResult,
  type WorkerMessage,
} from '../../protocol/worker.js';
import type { ClaimedTask, NewSession, SessionBeat, TaskRow, TaskWrite, Transition } from '../../store/contract.js';
import type { WorkerChannel, WorkerLine } from '../api.js';
import type { EngineContext } from '../context.js';
import { payloadOf } from '../events/envelope-writer.js';
import { readRunEvent, type StoredRunEvent } from '../events/rows.js';
import { runKey, type CommittedChange } from '../runs/committed.js';
import { journalEntry, journalOf } from '../runs/journal.js';
import type { JobOutcome, Lanes } from '../runs/lanes.js';
import { Deadlines } from './deadlines.js';
import { ReadyHints } from './ready-hints.js';
import { refusalText } from './refusal-text.js';
import { Session, type Held, type SessionDescription } from './session.js';

export interface DispatcherOptions {
  readonly context: EngineContext;
  readonly lanes: Lanes;
  /** Registers the manifest of a hello, of a worker that starts or comes back; rejects with DEFINITION_INVALID. */
  readonly register: (manifest: Manifest, resumed: boolean) => Promise<unknown>;
  /** Path of blobs under the server's base URL. */
  readonly blobsPath: string;
}

/** Movement of a session's heartbeat, on the monotonic clock of this engine. */
interface Pulse {
  counter: number;
  received: number;
  movedAtMs: number;
}

interface HeldBy {
  readonly session: Session;
  readonly held: Held;
}

export class Dispatcher {
  readonly #context: EngineContext;
  readonly #lanes: Lanes;
  readonly #register: DispatcherOptions['register'];
  readonly #blobsPath: string;
  readonly #hints = new ReadyHints();
  readonly #sessions = new Map<string, Session>();
  readonly #byRun = new Map<string, readonly HeldBy[]>();
  readonly #deadlines: Deadlines;
  readonly #pulses = new Map<string, Pulse>();
  /** Beats that came here although another server owns the session, since they were last stored. */
  readonly #beatsOfOthers = new Map<string, SessionBeat>();
  /** Monotonic time of the last claim that brought something, by queue. */
  readonly #lastClaimMs = new Map<string, number>();
  /** Leases whose session was not there at the last look; by token, as one may be lost more than once. */
  #orphansSeen: ReadonlySet<string> = new Set();
  /** Monotonic time of the last round of the reaper. */
  #reapedAtMs: number | null = null;
  /**
   * Monotonic time at which the last background duty that the store has answered was asked. Not that of the answer: it may
   * have lain here while this process stood still.
   */
  #reachedAtMs: number;
  #rotation = 0;
  #pumping = false;
  /** Workers are being sent away. */
  #leaving = false;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    this.#context = options.context;
    this.#deadlines = new Deadlines(options.context.ports, () => this.#endOverdue());
    this.#lanes = options.lanes;
    this.#register = options.register;
    this.#blobsPath = options.blobsPath;
    this.#reachedAtMs = options.context.ports.clock.monotonicMs();
  }

  sessions(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  lastClaimMs(queue: string): number | null {
    return this.#lastClaimMs.get(queue) ?? null;
  }

  /** Work was put into a queue. */
  ready(queue: string, count: number): void {
    this.#hints.add(queue, count);
    this.pump();
  }

  /** Transitions were handed to the store; what they make ready can be claimed in the very same commit. */
  opening(transitions: readonly Transition[]): void {
    let opened = false;
    for (const { tasks = noTasks } of transitions) {
      for (const write of tasks) {
        if (write.op === 'close' || write.task.dueAt !== null || write.task.limitKey !== null) continue;
        this.#hints.add(write.task.queue, 1);
        opened = true;
      }
    }
    if (opened) this.pump();
  }

  /** The newest event of the run that all its holders here know of; null = no worker of this server holds it. */
  seen(key: string): number | null {
    const holders = this.#byRun.get(key);
    if (holders === undefined) return null;
    return Math.min(...holders.map(({ held }) => Math.max(held.sentSeq, held.claimHead)));
  }

  raiseHint(queue: string, count: number): void {
    this.#hints.raiseTo(queue, count);
  }

  // ---------------------------------------------------------------- lines

  connect(channel: WorkerChannel): WorkerLine {
    let session: Session | null = null;
    let greeted = false;
    let closed = false;
    let early: WorkerMessage[] = [];
    let left: Promise<void> | null = null;
    const receive = (message: WorkerMessage): void => {
      // Whatever still comes, the worker says again where it goes.
      if (left !== null) return;
      if (message.t === 'beat') return this.#beat(message.session, message.n, message.received, channel);
      if (message.t === 'hello') {
        if (greeted) return channel.close('A second hello on one line.');
        greeted = true;
        this.#hello(message, channel, () => !closed).then(
          (opened) => {
            session = opened;
            if (closed && opened !== null) return this.#disconnected(opened, channel);
            const waiting = early;
            early = [];
            for (const kept of waiting) receive(kept);
          },
          (error: unknown) => this.#refuse(channel, error),
        );
        return;
      }
      if (session === null) {
        if (!greeted || early.length >= limits.workerSlotsMax) return channel.close('The first message must be hello.');
        early.push(message);
        return;
      }
      this.#receive(session, message);
    };
    return {
      receive,
      closed: () => {
        closed = true;
        if (session !== null) this.#disconnected(session, channel);
      },
      leave: () => {
        left ??= this.#dismiss(session, channel);
        return left;
      },
    };
  }

  /** The last words on a line of a server that stops: the answers that are due, and that others go on serving. */
  async #dismiss(session: Session | null, channel: WorkerChannel): Promise<void> {
    const goodbye = { t: 'goodbye', reason: `SHUTTING_DOWN: ${new SpineError('SHUTTING_DOWN', {}).message}` } as const;
    if (session === null || session.channel !== channel) return channel.send(goodbye);
    session.draining = true;
    await session.settled();
    if (session.channel === channel) session.sendLast(goodbye);
  }

  /** Takes leave of all workers; what is not settled by then is repeated by them at another server. */
  async leave(): Promise<void> {
    const { timers } = this.#context.ports;
    this.#leaving = true;
    const dismissed = [...this.#sessions.values()].flatMap((session) =>
      session.channel === null ? [] : [this.#dismiss(session, session.channel)],
    );
    await new Promise<void>((resolve) => {
      const cancel = timers.after(leaveMsMax, resolve);
      Promise.all(dismissed)
        .catch((error: unknown) => this.#context.fault('leave', error))
        .finally(() => {
          cancel();
          resolve();
        });
    });
  }

  #refuse(channel: WorkerChannel, error: unknown): void {
    const reason = isSpineError(error)
      ? `${error.code}: ${error.message} ${error.mend}`
      : 'The server could not open a session.';
    if (!isSpineError(error)) this.#context.fault('hello', error);
    channel.send({ t: 'goodbye', reason });
    channel.close(reason);
  }

  /** `isOpen` says whether the line still stands: a worker that has left it may be back on another already. */
  async #hello(hello: Hello, channel: WorkerChannel, isOpen: () => boolean): Promise<Session | null> {
    if (hello.protocol !== workerProtocol)
      throw new SpineError('PROTOCOL_MISMATCH', { theirs: hello.protocol, ours: workerProtocol });
    if (this.#stopped || this.#leaving) throw new SpineError('SHUTTING_DOWN', {});
    if (this.#isCutOff()) throw new SpineError('STORE_UNREACHABLE', {});
    await this.#register(hello.manifest, hello.resume !== undefined);
    const resumed = hello.resume === undefined ? null : await this.#resume(hello, hello.resume, isOpen);
    if (!isOpen()) return null;
    if (hello.resume !== undefined && resumed === null) {
      channel.send({
        t: 'goodbye',
        reason: `SESSION_GONE: ${new SpineError('SESSION_GONE', { session: hello.resume.session }).message}`,
      });
      channel.close('SESSION_GONE');
      return null;
    }
    const session = resumed?.session ?? (await this.#open(hello));
    if (!isOpen()) return null;
    session.channel?.close('The worker came back on another line.');
    session.disconnect();
    session.channel = channel;
    channel.send({
      t: 'welcome',
      session: session.description.session,
      resumed: resumed !== null,
      assigned: session.nextAssignment - 1,
      beatMs: this.#context.settings.sessionBeatMs,
      deadMs: this.#context.settings.sessionDeadMs,
      lost: resumed?.lost ?? [],
      blobs: this.#blobsPath,
    });
    if (resumed !== null && hello.resume !== undefined) {
      const missed = this.#sentNowhere(session, hello.resume);
      await this.#catchUp(session, hello.resume, channel);
      await this.#giveBack(session, missed);
    }
    return session;
  }

  /** What a claim brought while the session had no line: it was sent, and nobody was there to receive it. */
  #sentNowhere(session: Session, resume: Resume): Held[] {
    const holding = new Set(resume.holding.map((held) => held.assignment));
    return [...session.held.values()].filter((held) => held.sentSeq >= 0 && !holding.has(held.number));
  }

  async #open(hello: Hello): Promise<Session> {
    const { ports, store } = this.#context;
    const session = new Session(describe(newId('session', ports), hello), store.now(), ports, () => !this.#isCutOff());
    const row: NewSession = {
      session: session.description.session,
      worker: hello.worker,
      app: hello.app,
      openedAt: session.openedAt,
      counter: 0,
      received: 0,
      info: JSON.stringify(session.description),
    };
    await store.openSession(row);
    this.#sessions.set(row.session, session);
    this.#pulses.set(row.session, { counter: 0, received: 0, movedAtMs: ports.clock.monotonicMs() });
    return session;
  }

  /** Takes a session up again: from memory, or from the store after a restart of the server. */
  async #resume(
    hello: Hello,
    resume: Resume,
    isOpen: () => boolean,
  ): Promise<{ session: Session; lost: number[] } | null> {
    const session = this.#context.store.shared
      ? await this.#takeBack(hello, resume, isOpen)
      : (this.#sessions.get(resume.session) ?? (await this.#restore(hello, resume)));
    if (session === null || !isOpen()) return null;
    if (session.ended) return null;
    session.received = Math.max(session.received, resume.received);
    session.draining = false;
    const holding = new Map(resume.holding.map((h) => [h.assignment, h.seen]));
    const unreceived: Held[] = [];
    for (const held of [...session.held.values()]) {
      session.nextAssignment = Math.max(session.nextAssignment, held.number + 1);
      const seen = holding.get(held.number);
      if (seen !== undefined) held.sentSeq = seen;
      // Never received, or received and put down again without a trace: back to the queue, uncounted.
      else unreceived.push(held);
    }
    session.nextAssignment = Math.max(session.nextAssignment, resume.received + 1);
    session.creditUpTo = 0;
    await this.#giveBack(session, unreceived);
    const lost = resume.holding.map((h) => h.assignment).filter((number) => session.held.get(number) === undefined);
    return { session, lost };
  }

  /**
   * What is remembered of a session holds only while nobody else has owned it: a worker that comes back from another
   * server is restored from the store. A hello whose line is gone takes nothing away from where the worker is now.
   */
  async #takeBack(hello: Hello, resume: Resume, isOpen: () => boolean): Promise<Session | null> {
    const { store } = this.#context;
    const found = (await store.listSessions()).find(({ session }) => session === resume.session);
    if (!isOpen()) return null;
    const known = this.#sessions.get(resume.session);
    if (known !== undefined && found?.owner === store.epoch) return known;
    if (known !== undefined) this.#leave(known);
    return this.#restore(hello, resume);
  }

  /** The session as the store has it; null where it has none of this worker. */
  async #restore(hello: Hello, resume: Resume): Promise<Session | null> {
    const { store, ports } = this.#context;
    const found = (await store.listSessions()).find(({ session }) => session === resume.session);
    const row = found?.worker === hello.worker ? await store.takeSession(resume.session) : null;
    if (row === null) return null;
    const listed = await store.listLeases({ session: row.session, limit: limits.workerSlotsMax * 2 });
    const heads = await this.#headsOf(listed);
    // What is still leased after the heads were read was not ended by anything up to them.
    const leases =
      heads.size === 0 ? listed : await store.listLeases({ session: row.session, limit: limits.workerSlotsMax * 2 });
    // A worker that came on two lines is restored once: a second object would hold what the first is asked for.
    const known = this.#sessions.get(row.session);
    if (known !== undefined) return known;
    const session = new Session(describe(row.session, hello), row.openedAt, ports, () => !this.#isCutOff());
    session.counter = row.counter;
    for (const lease of leases) this.#hold(session, lease, heads.get(runKey(lease.tenant, lease.run)) ?? 0);
    this.#sessions.set(row.session, session);
    this.#pulses.set(row.session, {
      counter: row.counter,
      received: resume.received,
      movedAtMs: ports.clock.monotonicMs(),
    });
    await this.#giveBack(session, aheadOfRecord(session, resume, heads));
    return session;
  }

  /** Heads of the runs of leases, where neighbours may tell of events that led to them. */
  async #headsOf(leases: readonly TaskRow[]): Promise<ReadonlyMap<string, number>> {
    const { store } = this.#context;
    const heads = new Map<string, number>();
    if (!store.shared) return heads;
    await Promise.all(
      leases.map(async ({ tenant, run }) => {
        heads.set(runKey(tenant, run), (await store.readRun(tenant, run))?.head ?? 0);
      }),
    );
    return heads;
  }

  /** Sends what was committed while the line was down. */
  async #catchUp(session: Session, resume: Resume, channel: WorkerChannel): Promise<void> {
    const bodies: { readonly held: Held; readonly seen: number }[] = [];
    for (const { assignment, seen } of resume.holding) {
      const held = session.held.get(assignment);
      if (held === undefined || held.kind !== 'activation') continue;
      // From here on what is committed is kept back, for all of them, until each has its history.
      held.sentSeq = -1;
      held.early.length = 0;
      bodies.push({ held, seen });
    }
    for (const { held, seen } of bodies) {
      const events = await this.#history(held.lease.tenant, held.lease.run);
      // The worker has come back once more meanwhile, and is caught up over that line.
      if (session.channel !== channel) return;
      this.#deliverFrom(
        session,
        held,
        events.map((stored) => stored.event),
        seen,
      );
    }
  }

  #disconnected(session: Session, channel: WorkerChannel): void {
    if (session.channel !== channel) return;
    session.disconnect();
  }

  // ---------------------------------------------------------------- messages

  #receive(session: Session, message: Exclude<WorkerMessage, { t: 'hello' | 'beat' }>): void {
    switch (message.t) {
      case 'credit':
        session.creditUpTo = Math.min(message.upTo, session.nextAssignment - 1 + limits.workerSlotsMax);
        this.pump();
        break;
      case 'submit':
        for (const submission of message.items) this.#submit(session, submission);
        break;
      case 'release': {
        const held = message.assignments
          .map((number) => session.held.get(number))
          .filter((found) => found !== undefined);
        this.#giveBack(session, held).catch((error: unknown) => this.#context.fault('release', error));
        break;
      }
      case 'drain':
        session.draining = true;
        break;
      case 'bye':
        this.#bye(session).catch((error: unknown) => this.#context.fault('bye', error));
        break;
    }
  }

  #beat(id: string, n: number, received: number, channel: WorkerChannel): void {
    const pulse = this.#pulses.get(id);
    const session = this.#sessions.get(id);
    if (this.#isCutOff()) return channel.close('This server cannot reach the store.');
    if (session?.ended === true) {
      channel.send({ t: 'goodbye', reason: 'SESSION_GONE' });
      return;
    }
    if (session !== undefined) {
      session.counter = Math.max(session.counter, n);
      session.received = Math.max(session.received, received);
    } else if (this.#context.store.shared) this.#beatsOfOthers.set(id, { session: id, counter: n, received });
    if (pulse === undefined) return;
    // Beats come over two lines and may overtake each other; what was received was received.
    pulse.received = Math.max(pulse.received, received);
    if (n > pulse.counter) {
      pulse.counter = n;
      pulse.movedAtMs = this.#context.ports.clock.monotonicMs();
    }
  }

  #submit(session: Session, submission: Submission): void {
    const held = session.held.get(submission.assignment);
    if (held === undefined) {
      session.answer({
        i: submission.i,
        ok: false,
        code: 'LEASE_LOST',
        message: 'The assignment is not held by this session.',
      });
      return;
    }
    held.movedAtMs = this.#context.ports.clock.monotonicMs();
    session.received = Math.max(session.received, held.number);
    const { tenant, run } = held.lease;
    const { worker } = session.description;
    session.taken();
    this.#lanes.offer(
      {
        key: held.key,
        tenant,
        run,
        commands: submission.commands.map(bounded),
        actor: session.actor,
        worker,
        lease: held.lease,
      },
      (outcome) => {
        session.answer(this.#resultOf(session, held, submission, outcome));
        session.answered();
      },
    );
  }

  #resultOf(session: Session, held: Held, submission: Submission, outcome: JobOutcome): SubmissionResult {
    const { i } = submission;
    switch (outcome.tag) {
      case 'applied':
      case 'already':
        return { i, ok: true, head: outcome.head };
      case 'refused':
        if (endsAssignment(outcome.reason)) this.#drop(session, held);
        return {
          i,
          ok: false,
          code: endsAssignment(outcome.reason) ? 'LEASE_LOST' : outcome.reason,
          message: refusalText(outcome.reason, held.lease.run, submission),
        };
      case 'error': {
        const { error } = outcome;
        if (!isSpineError(error)) this.#context.fault('submission', error);
        return { i, ok: false, code: isSpineError(error) ? error.code : 'INTERNAL', message: error.message };
      }
    }
  }

  async #bye(session: Session): Promise<void> {
    await this.#giveBack(session, [...session.held.values()]);
    await this.#end(session, 'bye');
  }

  async #end(session: Session, reason: string): Promise<void> {
    this.#detach(session, reason);
    await this.#context.store.closeSession(session.description.session);
    this.#pulses.delete(session.description.session);
  }

  /** Forgets a session that is over. What it leaves in the store is found there, whatever fails from here on. */
  #detach(session: Session, reason: string): void {
    session.ended = true;
    for (const held of [...session.held.values()]) this.#drop(session, held);
    const { session: id } = session.description;
    if (this.#sessions.get(id) === session) this.#sessions.delete(id);
    session.send({ t: 'goodbye', reason });
    session.channel?.close(reason);
    session.disconnect();
  }

  /** Another server owns the session, or will: its worker, if it is still here, comes back to whoever it is. */
  #leave(session: Session): void {
    session.ended = true;
    for (const held of [...session.held.values()]) this.#drop(session, held);
    const { session: id } = session.description;
    if (this.#sessions.get(id) === session) this.#sessions.delete(id);
    session.channel?.close('Another server has taken the session.');
    session.disconnect();
  }

  // ---------------------------------------------------------------- claims

  /** Claims for every session that has credit and a queue with work. Bounded: one claim under way per session. */
  pump(): void {
    if (this.#pumping || this.#stopped || this.#leaving) return;
    this.#pumping = true;
    try {
      const candidates = [...this.#sessions.values()].filter(
        (session) => session.credit > 0 && !session.claiming && !session.unsure,
      );
      if (candidates.length === 0) return;
      this.#rotation = (this.#rotation + 1) % candidates.length;
      let left = candidates.length;
      const planned = new Map<string, number>();
      for (let i = 0; i < candidates.length; i++, left--) {
        const session = candidates[(i + this.#rotation) % candidates.length];
        if (session === undefined) continue;
        const queues: { queue: string; limit: number }[] = [];
        for (const queue of session.description.queues) {
          const waiting = this.#hints.get(queue) - (planned.get(queue) ?? 0);
          if (waiting <= 0) continue;
          // Shared out, so that one worker does not take what several could do side by side.
          const limit = Math.min(session.credit, Math.ceil(waiting / left));
          planned.set(queue, (planned.get(queue) ?? 0) + limit);
          queues.push({ queue, limit });
        }
        if (queues.length > 0)
          this.#claim(session, queues).catch((error: unknown) => this.#context.fault('claim', error));
      }
    } finally {
      this.#pumping = false;
    }
  }

  async #claim(session: Session, queues: { queue: string; limit: number }[]): Promise<void> {
    session.claiming = true;
    const { store, ports } = this.#context;
    let claimed: ClaimedTask[];
    try {
      const limit = Math.min(session.credit, limits.commitItemsMax);
      claimed = await store.claim({
        session: session.description.session,
        queues,
        limit,
        assignmentFrom: session.nextAssignment,
      });
      session.nextAssignment += claimed.length;
      this.#account(queues, limit, claimed);
    } catch (error) {
      this.#doubt(session);
      throw error;
    } finally {
      session.claiming = false;
    }
    const now = ports.clock.monotonicMs();
    const fresh = claimed.map((task) => ({ task, held: this.#hold(session, task.task, task.head) }));
    for (const queue of new Set(claimed.map(({ task }) => task.queue))) this.#lastClaimMs.set(queue, now);
    this.pump();
    try {
      await this.#sendClaimed(session, fresh);
    } catch (error) {
      // What could not be sent is not held: others may have it, and the worker is told that the numbers are used up.
      const unsent = fresh.map(({ held }) => held).filter((held) => held.sentSeq < 0);
      for (const held of unsent) session.abort(held.number, 'lease_lost');
      await this.#giveBack(session, unsent);
      throw error;
    }
  }

  #account(queues: readonly { queue: string; limit: number }[], limit: number, claimed: readonly ClaimedTask[]): void {
    const taken = new Map<string, number>();
    for (const { task } of claimed) taken.set(task.queue, (taken.get(task.queue) ?? 0) + 1);
    for (const { queue, limit: wanted } of queues) {
      const count = taken.get(queue) ?? 0;
      this.#hints.add(queue, -count);
      // Fewer than asked for, and not because the total was reached: the queue is empty.
      if (count < wanted && claimed.length < limit) this.#hints.drained(queue);
    }
  }

  #hold(session: Session, task: TaskRow, claimHead: number): Held {
    const held: Held = {
      number: task.assignment ?? 0,
      key: runKey(task.tenant, task.run),
      lease: { tenant: task.tenant, run: task.run, task: task.task, token: task.token },
      kind: task.kind,
      queue: task.queue,
      deadlineMs: task.deadlineMs,
      claimHead,
      sentSeq: -1,
      early: [],
      movedAtMs: this.#context.ports.clock.monotonicMs(),
    };
    session.held.set(held.number, held);
    const entry: HeldBy = { session, held };
    this.#byRun.set(held.key, [...(this.#byRun.get(held.key) ?? noHolders), entry]);
    this.#deadlines.watch(held.movedAtMs + held.deadlineMs);
    return held;
  }

  #drop(session: Session, held: Held): void {
    if (session.held.get(held.number) !== held) return;
    session.held.delete(held.number);
    const others = (this.#byRun.get(held.key) ?? noHolders).filter((entry) => entry.held !== held);
    if (others.length === 0) this.#byRun.delete(held.key);
    else this.#byRun.set(held.key, others);
  }

  async #sendClaimed(session: Session, fresh: readonly { task: ClaimedTask; held: Held }[]): Promise<void> {
    // Histories are read in one go, and only for runs that have more than their first event.
    const long = fresh.filter(({ task }) => task.task.kind === 'activation' && task.head > 1);
    const histories = new Map<string, StoredRunEvent[]>();
    if (long.length > 0) {
      const keys = long.map(({ task }) => ({ tenant: task.task.tenant, run: task.task.run }));
      const rows = await this.#context.store.readHistories(keys);
      keys.forEach((key, i) => histories.set(runKey(key.tenant, key.run), (rows[i] ?? []).map(readRunEvent)));
    }
    for (const { task, held } of fresh) {
      if (session.held.get(held.number) !== held) {
        // It was taken away before it was sent; the worker is owed its number all the same.
        session.abort(held.number, 'ended');
        continue;
      }
      const input = readRunEvent(task.input);
      const assignment =
        task.task.kind === 'activation'
          ? this.#activation(session, task, held, input, histories)
          : callAssignment(task, held, input);
      if (assignment === null) continue;
      session.assign(assignment);
      if (held.kind === 'call') held.sentSeq = 0;
    }
  }

  #activation(
    session: Session,
    task: ClaimedTask,
    held: Held,
    input: StoredRunEvent,
    histories: ReadonlyMap<string, StoredRunEvent[]>,
  ): Assignment | null {
    const { tenant, run } = held.lease;
    const history = histories.get(held.key) ?? [input];
    const events = history.map((stored) => stored.event);
    const state = foldRun(tenant, run, events);
    // The run ended between the claim and the read; its task is gone.
    if (isEnded(state.status)) {
      this.#drop(session, held);
      session.abort(held.number, 'ended');
      return null;
    }
    const payload = payloadOf(input.envelope, task.input.payload);
    if (payload === null) throw new Error(`Invariant broken: run ${run} has no input`);
    const journal = journalOf(events);
    this.#lanes.adopt(state);
    const { workflow, version, startedAt, activation, traceparent } = state;
    const assignment: Assignment = {
      kind: 'activation',
      assignment: held.number,
      tenant,
      run,
      task: held.lease.task,
      attempt: activation.attempt,
      deadlineMs: held.deadlineMs,
      traceparent,
      input: payload,
      workflow,
      version,
      startedAt,
      journal,
    };
    this.#sendEarly(session, held, journal.head);
    return assignment;
  }

  /** From now on committed events go straight to the worker; those that came meanwhile follow the journal. */
  #sendEarly(session: Session, held: Held, head: number): void {
    held.sentSeq = head;
    for (const entry of held.early) {
      if (entry.seq <= held.sentSeq) continue;
      held.sentSeq = entry.seq;
      session.deliver(held.number, entry);
    }
    held.early.length = 0;
  }

  #deliverFrom(session: Session, held: Held, events: readonly RunEvent[], seen: number): void {
    held.sentSeq = seen;
    for (const event of events) {
      if (event.seq <= held.sentSeq) continue;
      held.sentSeq = event.seq;
      const entry = journalEntry(event, true);
      if (entry !== null) session.deliver(held.number, entry);
    }
    this.#sendEarly(session, held, held.sentSeq);
  }

  async #history(tenant: string, run: string): Promise<StoredRunEvent[]> {
    const [rows] = await this.#context.store.readHistories([{ tenant, run }]);
    return (rows ?? []).map(readRunEvent);
  }

  // ---------------------------------------------------------------- commits

  /** Forwards committed events to the workers that hold the run, and takes away what the commit has ended. */
  committed(change: CommittedChange): void {
    const holders = this.#byRun.get(change.key);
    if (holders === undefined) return;
    for (const { session, held } of holders) {
      const own = held.lease.task === change.task;
      const end = endOf(change, held);
      // What came after the end is for whoever has the run then.
      if (held.kind === 'activation') this.#forward(session, held, change, own, end?.seq ?? Number.MAX_SAFE_INTEGER);
      if (end === null) continue;
      this.#drop(session, held);
      if (!own) session.abort(held.number, end.reason);
    }
  }

  #forward(session: Session, held: Held, change: CommittedChange, own: boolean, upTo: number): void {
    for (const event of change.events) {
      if (event.seq > upTo) return;
      const entry = journalEntry(event, !own);
      if (entry === null) continue;
      if (held.sentSeq < 0) held.early.push(entry);
      else if (entry.seq > held.sentSeq) {
        held.sentSeq = entry.seq;
        session.deliver(held.number, entry);
      }
    }
  }

  // ---------------------------------------------------------------- losses

  /** Returns tasks uncounted: they never began. */
  async #giveBack(session: Session, held: readonly Held[]): Promise<void> {
    if (held.length === 0) return;
    for (const one of held) this.#drop(session, one);
    try {
      await this.#context.store.release(held.map((one) => one.lease));
    } catch (error) {
      this.#doubt(session);
      throw error;
    }
    for (const one of held) this.ready(one.queue, 1);
  }

  /** Nothing more is claimed for the session until its leases were compared with what the store has. */
  #doubt(session: Session): void {
    if (session.unsure) return;
    session.unsure = true;
    this.#reconcileLater(session);
  }

  #reconcileLater(session: Session): void {
    this.#context.ports.timers.after(reconcileMs, () => {
      if (this.#stopped || session.ended) return;
      this.#reconcile(session).catch((error: unknown) => {
        this.#context.fault('reconciliation', error);
        this.#reconcileLater(session);
      });
    });
  }

  /**
   * Returns leases that the store has under this session and that this engine knows nothing of: a claim that was
   * carried out and answered with an error, a release that was not. The worker has never seen them or is done with them.
   */
  async #reconcile(session: Session): Promise<void> {
    // A claim under way would look like one that nobody knows of.
    if (session.claiming) return this.#reconcileLater(session);
    const { store } = this.#context;
    const { session: id } = session.description;
    const leases = await store.listLeases({ session: id, limit: limits.workerSlotsMax * 2 });
    // Had another server taken the session before that, the leases would be its own.
    if (!(await this.#stillOwns(session))) return;
    const strays = leases.filter((lease) => session.held.get(lease.assignment ?? 0)?.lease.token !== lease.token);
    if (strays.length > 0) await store.release(strays.map(leaseOf));
    session.unsure = false;
    for (const stray of strays) this.#hints.add(stray.queue, 1);
    this.pump();
  }

  /** Ends what is past its deadline, which counts from the last sign of progress. Returns when to look again; null = never. */
  #endOverdue(): number | null {
    const now = this.#context.ports.clock.monotonicMs();
    let nextAtMs: number | null = null;
    for (const session of this.#sessions.values()) {
      for (const held of [...session.held.values()]) {
        const dueAtMs = held.movedAtMs + held.deadlineMs;
        if (dueAtMs <= now) this.#endLate(session, held, now);
        else if (nextAtMs === null || dueAtMs < nextAtMs) nextAtMs = dueAtMs;
      }
    }
    return nextAtMs;
  }

  #endLate(session: Session, held: Held, now: number): void {
    if (!this.#context.store.shared) return this.#endHeld(session, held);
    this.#stillOwns(session).then(
      (owns) => {
        const isLate = held.movedAtMs + held.deadlineMs <= now && session.held.get(held.number) === held;
        if (owns && isLate) this.#endHeld(session, held);
      },
      (error: unknown) => {
        this.#context.fault('deadline', error);
        this.#deadlines.watch(now + lateAgainMs);
      },
    );
  }

  #endHeld(session: Session, held: Held): void {
    const cause = failure({
      class: 'timeout',
      code: 'TASK_TIMEOUT',
      message: new SpineError('TASK_TIMEOUT', { deadlineMs: held.deadlineMs }).message,
      retryable: true,
    });
    this.#drop(session, held);
    session.abort(held.number, 'deadline');
    this.#lose(held, cause).catch((error: unknown) => {
      this.#doubt(session);
      this.#context.fault('deadline', error);
    });
  }

  async #lose(held: Pick<Held, 'lease' | 'queue'>, cause: Failure): Promise<void> {
    const { tenant, run } = held.lease;
    const outcome = await this.#lanes.submit({
      key: runKey(tenant, run),
      tenant,
      run,
      commands: [{ op: 'loseTask', failure: cause }],
      actor: 'engine',
      worker: '',
      lease: held.lease,
    });
    if (outcome.tag === 'error') throw outcome.error;
    if (outcome.tag === 'refused' && outcome.reason !== 'fenced') {
      // The log no longer knows the task; give the row back so that nothing hangs on it.
      await this.#context.store.release([held.lease]);
    }
    this.#hints.add(held.queue, 1);
    this.pump();
  }

  /**
   * Assignments that a living worker has not received after several heartbeats: it is blocked, and the message lies in
   * some buffer. Others may do the work; should the worker wake up, its commits are fenced.
   */
  async recallUnreceived(): Promise<void> {
    const now = this.#context.ports.clock.monotonicMs();
    for (const session of this.#sessions.values()) {
      const late = [...session.held.values()].filter(
        (held) => held.number > session.received && now - held.movedAtMs > 3 * this.#context.settings.sessionBeatMs,
      );
      if (late.length > 0 && !(await this.#stillOwns(session))) continue;
      for (const held of late) session.abort(held.number, 'lease_lost');
      await this.#giveBack(session, late);
    }
  }

  /** Stores the heartbeats of the sessions of this engine. */
  async storeBeats(): Promise<void> {
    const beats: SessionBeat[] = [...this.#sessions.values()]
      .filter((s) => !s.ended)
      .map((s) => ({ session: s.description.session, counter: s.counter, received: s.received }));
    beats.push(...this.#beatsOfOthers.values());
    this.#beatsOfOthers.clear();
    if (beats.length === 0) return;
    const { store } = this.#context;
    const beating = new Map(this.#sessions);
    const askedAtMs = this.#context.ports.clock.monotonicMs();
    let missing: readonly string[];
    try {
      missing = await store.beat(beats);
    } catch (error) {
      this.#turnAway();
      throw error;
    }
    this.#reachedAtMs = Math.max(this.#reachedAtMs, askedAtMs);
    for (const gone of missing) {
      const session = this.#sessions.get(gone);
      // One that was taken back meanwhile is owned again.
      if (session === undefined || session !== beating.get(gone)) continue;
      // Where there are neighbours it may be theirs now; if it is over, whoever is asked to take it up will say so.
      if (store.shared) this.#leave(session);
      else this.#detach(session, 'SESSION_GONE');
    }
  }

  /** Asks the store, where there are neighbours, before something is done that only the owner may do. */
  async #stillOwns(session: Session): Promise<boolean> {
    if (this.#context.store.shared) await this.storeBeats();
    return !session.ended;
  }

  /**
   * Whether the store has not answered for so long that workers are better off with another server. Also true for a moment
   * after this process stood still for so long: what it would say then may be done with by others.
   */
  #isCutOff(): boolean {
    const { store, ports, settings } = this.#context;
    return store.shared && ports.clock.monotonicMs() - this.#reachedAtMs > settings.sessionDeadMs / 2;
  }

  #turnAway(): void {
    if (!this.#isCutOff()) return;
    for (const session of this.#sessions.values()) {
      session.channel?.close('This server cannot reach the store.');
      session.disconnect();
    }
  }

  /** Ends sessions whose heartbeat has stood still, and gives their work to others. */
  async reap(): Promise<void> {
    const { store, ports, settings } = this.#context;
    const now = ports.clock.monotonicMs();
    this.#excuseOwnStall(now);
    const rows = await store.listSessions();
    this.#reachedAtMs = Math.max(this.#reachedAtMs, now);
    // Every server watches all sessions, so that whoever has the duty next knows since when each is silent.
    const inCharge = !store.shared || (await store.holdDuty('reaper', settings.sessionDeadMs));
    const known = new Set(rows.map((row) => row.session));
    for (const id of this.#pulses.keys()) if (!known.has(id) && !this.#sessions.has(id)) this.#pulses.delete(id);
    for (const row of rows) {
      const pulse = this.#pulses.get(row.session);
      if (pulse === undefined) {
        this.#pulses.set(row.session, { counter: row.counter, received: row.received, movedAtMs: now });
      } else if (row.counter > pulse.counter) {
        pulse.counter = row.counter;
        pulse.received = Math.max(pulse.received, row.received);
        pulse.movedAtMs = now;
      } else if (inCharge && now - pulse.movedAtMs > settings.sessionDeadMs) {
        const known = this.#sessions.get(row.session)?.received ?? 0;
        await this.#bury(row.session, Math.max(row.received, pulse.received, known));
      }
    }
    if (inCharge) await this.#adoptOrphans(new Set((await store.listSessions()).map((row) => row.session)));
    else this.#orphansSeen = new Set();
  }

  /** While this process stood still it could hear nobody: that time is not held against the sessions. */
  #excuseOwnStall(now: number): void {
    const stallMs = now - (this.#reapedAtMs ?? now) - this.#context.settings.sessionDeadMs / 2;
    this.#reapedAtMs = now;
    if (stallMs <= 0) return;
    for (const pulse of this.#pulses.values()) pulse.movedAtMs += stallMs;
  }

  /** First no more claims, then each lease: what the worker had received is lost, the rest goes back uncounted. */
  async #bury(id: string, received: number): Promise<void> {
    const { store } = this.#context;
    this.#context.log({ level: 'warn', message: 'worker session is dead', fields: { session: id } });
    const session = this.#sessions.get(id);
    const pulse = this.#pulses.get(id);
    if (pulse !== undefined) pulse.received = received;
    if (session !== undefined) this.#detach(session, 'SESSION_GONE');
    await store.closeSession(id);
    await this.#loseLeases(await store.listLeases({ session: id, limit: limits.workerSlotsMax * 2 }), received);
    this.#pulses.delete(id);
  }

  /** Leases whose session no longer exists: their reaper died between its two steps. */
  async #adoptOrphans(sessions: ReadonlySet<string>): Promise<void> {
    const leases = await this.#context.store.listLeases({ limit: orphanScanMax });
    const orphans = leases.filter(
      (lease) => lease.session !== null && !sessions.has(lease.session) && !this.#sessions.has(lease.session),
    );
    if (!this.#context.store.shared) return this.#loseLeases(orphans, Number.MAX_SAFE_INTEGER);
    // A neighbour may have opened the session since they were listed, or be about to bury it: look twice.
    const seen = this.#orphansSeen;
    this.#orphansSeen = new Set(orphans.map(nameOfLease));
    const again = orphans.filter((lease) => seen.has(nameOfLease(lease)));
    await this.#loseLeases(again, Number.MAX_SAFE_INTEGER);
  }

  async #loseLeases(leases: readonly TaskRow[], received: number): Promise<void> {
    const cause = failure({
      class: 'internal',
      code: 'WORKER_LOST',
      message: new SpineError('WORKER_LOST', {}).message,
      retryable: true,
    });
    const unreceived = leases.filter((lease) => (lease.assignment ?? 0) > received);
    if (unreceived.length > 0) await this.#context.store.release(unreceived.map(leaseOf));
    for (const lease of unreceived) this.#hints.add(lease.queue, 1);
    const lost = leases.filter((lease) => (lease.assignment ?? 0) <= received);
    await Promise.all(lost.map((lease) => this.#lose({ lease: leaseOf(lease), queue: lease.queue }, cause)));
    this.pump();
  }

  /** Ends all lines; leases and sessions stay in the store for whoever comes next. */
  stop(): void {
    this.#stopped = true;
    this.#deadlines.stop();
    for (const session of this.#sessions.values()) {
      session.channel?.close('The server is stopping.');
      session.disconnect();
    }
    this.#sessions.clear();
    this.#byRun.clear();
  }
}

const noHolders: readonly HeldBy[] = [];
const noTasks: readonly TaskWrite[] = [];

const orphanScanMax = 1_000;

/** How long a server that stops waits for the commits of its workers, ms. */
const leaveMsMax = 2_000;

/** Pause before what is past its deadline is looked at again where the store did not answer, ms. */
const lateAgainMs = 1_000;

/** Pause before the leases of a session are compared with the store's, ms. */
const reconcileMs = 250;

/** Workers of any language send failures; what goes into an envelope is bounded here. */
function bounded<C extends Submission['commands'][number]>(command: C): C {
  return 'failure' in command ? { ...command, failure: failure(command.failure) } : command;
}

function describe(session: string, hello: Hello): SessionDescription {
  return {
    session,
    worker: hello.worker,
    app: hello.app,
    slots: Math.min(hello.slots, limits.workerSlotsMax),
    queues: queuesServed(hello.manifest, hello.only),
    host: hello.host ?? null,
    pid: hello.pid ?? null,
  };
}

function callAssignment(task: ClaimedTask, held: Held, input: StoredRunEvent): Assignment {
  const { tenant, run } = held.lease;
  const { event, envelope } = input;
  const payload = payloadOf(envelope, task.input.payload);
  if (event.type !== 'call.scheduled' || payload === null)
    throw new Error(`Invariant broken: task ${held.lease.task} of run ${run} has no input`);
  return {
    kind: 'call',
    assignment: held.number,
    tenant,
    run,
    task: held.lease.task,
    attempt: task.task.attempt,
    deadlineMs: held.deadlineMs,
    traceparent: envelope.traceparent,
    input: payload,
    capability: event.data.capability,
    idempotencyKey: `${tenant}/${run}/${event.data.path}`,
  };
}

function leaseOf(task: TaskRow): { tenant: string; run: string; task: string; token: number } {
  return { tenant: task.tenant, run: task.run, task: task.task, token: task.token };
}

function nameOfLease({ tenant, run, task, token }: TaskRow): string {
  return `${tenant}/${run}/${task}/${token}`;
}

function endsAssignment(reason: string): boolean {
  return reason === 'fenced' || reason === 'ended' || reason === 'stale_task' || reason === 'not_found';
}

/** Why and by which event an assignment is over after this commit; null = it goes on. */
function endOf(change: CommittedChange, held: Held): { readonly reason: AbortReason; readonly seq: number } | null {
  const { state, events } = change;
  for (const event of events) {
    // The answer to a claim may overtake that to the commit which made the task ready.
    if (event.seq <= held.claimHead) continue;
    const reason = endReason(state, event, held);
    if (reason !== null) return { reason, seq: event.seq };
  }
  return isEnded(state.status) ? { reason: 'ended', seq: Number.MAX_SAFE_INTEGER } : null;
}

function endReason(state: RunState, event: RunEvent, held: Held): AbortReason | null {
  switch (event.type) {
    case 'run.succeeded':
    case 'run.failed':
    case 'run.cancelled':
    case 'run.refused':
      return 'ended';
    case 'run.parked':
      return held.kind === 'activation' ? 'ended' : null;
    case 'activation.retrying':
      return held.kind === 'activation' ? 'lease_lost' : null;
    case 'run.cancel_requested':
      return held.kind === 'call' ? 'cancelled' : null;
    case 'call.completed':
    case 'call.failed':
    case 'call.retrying':
      return held.kind === 'call' && state.callPaths.get(held.lease.task) === event.data.path ? 'ended' : null;
    default:
      return null;
  }
}

/**
 * Bodies that have seen events which the record no longer has: it was lost by a failover. They would wait for ever for
 * numbers that others get; they are done again from what there is.
 */
function aheadOfRecord(session: Session, resume: Resume, heads: ReadonlyMap<string, number>): Held[] {
  const seen = new Map(resume.holding.map((holding) => [holding.assignment, holding.seen]));
  return [...session.held.values()].filter(({ kind, key, number }) => {
    const head = heads.get(key);
    return kind === 'activation' && head !== undefined && (seen.get(number) ?? 0) > head;
  });
}
