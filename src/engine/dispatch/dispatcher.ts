/**
 * The door of dispatch: puts its parts together, and takes what comes over the lines of workers.
 *
 * Invariants: a task is sent only after its claim is durable; what a worker commits is fenced by its lease in the very
 * transition that writes it; every lease ends in a commit, a release or a loss, whatever dies.
 */
import { SpineError, isSpineError } from '../../core/errors.js';
import { failure } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import type { ShadowAsk, Submission, SubmissionResult, WorkerMessage } from '../../protocol/worker.js';
import type { LeaseKey, SessionRow, Transition } from '../../store/contract.js';
import type { WorkerChannel, WorkerLine } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Shadows } from '../models/shadows.js';
import { runKey, type CommittedChange } from '../runs/committed.js';
import type { JobOutcome, LaneJob, Lanes } from '../runs/lanes.js';
import { Admission, type AdmissionOptions } from './admission.js';
import { Claims } from './claims.js';
import { Deadlines } from './deadlines.js';
import { Delivery } from './delivery.js';
import { Heartbeats } from './heartbeats.js';
import { Losses } from './losses.js';
import { OwnedSessions } from './owned-sessions.js';
import { Pulses } from './pulses.js';
import { Reaper } from './reaper.js';
import { refusalText } from './refusal-text.js';
import { leaseOf, type Session } from './session.js';

export interface DispatcherOptions extends Pick<AdmissionOptions, 'context' | 'registry' | 'blobsPath' | 'triage'> {
  readonly lanes: Lanes;
  readonly shadows: Pick<Shadows, 'begin' | 'end'>;
}

export class Dispatcher {
  readonly #context: EngineContext;
  readonly #lanes: Lanes;
  readonly #deadlines: Deadlines;
  readonly #sessions: OwnedSessions;
  readonly #pulses: Pulses;
  readonly #heartbeats: Heartbeats;
  readonly #delivery: Delivery;
  readonly #claims: Claims;
  readonly #losses: Losses;
  readonly #reaper: Reaper;
  readonly #admission: Admission;
  readonly #shadows: DispatcherOptions['shadows'];

  constructor(options: DispatcherOptions) {
    const { context, lanes, registry, blobsPath, shadows, triage } = options;
    const { ports, settings } = context;
    this.#context = context;
    this.#lanes = lanes;
    this.#shadows = shadows;
    // Each part knows only parts that are made before it; what a deadline sets off is the one call that goes back.
    const deadlines = new Deadlines(ports, () => this.#losses.endOverdue());
    const sessions = new OwnedSessions(ports.clock, deadlines);
    const pulses = new Pulses(ports.clock, settings.sessionDeadMs);
    const heartbeats = new Heartbeats(context, sessions, pulses);
    const delivery = new Delivery(context, lanes, sessions);
    const claims = new Claims({ context, sessions, delivery, heartbeats });
    const losses = new Losses({ context, lanes, sessions, claims, heartbeats, deadlines });
    this.#deadlines = deadlines;
    this.#sessions = sessions;
    this.#pulses = pulses;
    this.#heartbeats = heartbeats;
    this.#delivery = delivery;
    this.#claims = claims;
    this.#losses = losses;
    this.#reaper = new Reaper({ context, sessions, pulses, heartbeats, losses });
    this.#admission = new Admission({
      context,
      registry,
      blobsPath,
      triage,
      sessions,
      pulses,
      heartbeats,
      delivery,
      claims,
    });
  }

  sessions(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  /** Monotonic time of the last claim that brought something from the queue; null = none yet. */
  lastClaimMs(queue: string): number | null {
    return this.#claims.lastClaimMs(queue);
  }

  /** Work was put into a queue. */
  ready(queue: string, count: number): void {
    this.#claims.ready(queue, count);
  }

  /** Transitions were handed to the store; what they make ready can be claimed in the very same commit. */
  opening(transitions: readonly Transition[]): void {
    this.#claims.opening(transitions);
  }

  /** What the store counted of a queue's ready work. Takes effect with the next `pump`. */
  raiseHint(queue: string, count: number): void {
    this.#claims.raiseHint(queue, count);
  }

  /** Claims for every session that has credit and a queue with work. */
  pump(): void {
    this.#claims.pump();
  }

  /** The newest event of the run that all its holders here know of; null = no worker of this server holds it. */
  seen(key: string): number | null {
    return this.#sessions.seen(key);
  }

  /** Forwards committed events to the workers that hold the run, and takes away what the commit has ended. */
  committed(change: CommittedChange): void {
    this.#delivery.committed(change);
  }

  /** Stores the heartbeats of the sessions of this engine. */
  storeBeats(): Promise<void> {
    return this.#heartbeats.store();
  }

  /** Ends the sessions of workers that have died with an earlier process of this installation. */
  endPredecessors(): Promise<void> {
    return this.#reaper.endPredecessors();
  }

  /** Ends sessions whose heartbeat has stood still, and gives their work to others. */
  reap(): Promise<void> {
    return this.#reaper.reap();
  }

  /** Takes back what living workers have not received after several heartbeats. */
  recallUnreceived(): Promise<void> {
    return this.#losses.recallUnreceived();
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
      if (message.t === 'beat') return this.#heartbeats.beat(message.session, message.n, message.received, channel);
      if (message.t === 'hello') {
        if (greeted) return channel.close('A second hello on one line.');
        greeted = true;
        this.#admission
          .hello(message, channel, () => !closed)
          .then(
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
    this.#admission.close();
    this.#claims.cease();
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

  /** Ends all lines; leases and sessions stay in the store for whoever comes next. */
  stop(): void {
    this.#admission.close();
    this.#claims.stop();
    this.#deadlines.stop();
    this.#sessions.stop();
  }

  #refuse(channel: WorkerChannel, error: unknown): void {
    const reason = isSpineError(error)
      ? `${error.code}: ${error.message} ${error.mend}`
      : 'The server could not open a session.';
    if (!isSpineError(error)) this.#context.fault('hello', error);
    channel.send({ t: 'goodbye', reason });
    channel.close(reason);
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
        this.#claims.pump();
        break;
      case 'submit':
        for (const submission of message.items) this.#submit(session, submission);
        break;
      case 'release': {
        const held = message.assignments
          .map((number) => session.held.get(number))
          .filter((found) => found !== undefined);
        this.#claims.giveBack(session, held).catch((error: unknown) => this.#context.fault('release', error));
        break;
      }
      case 'shadow':
        for (const ask of message.asks) this.#lend(session, ask);
        for (const end of message.ends)
          this.#shadows.end(end).catch((error: unknown) => this.#context.fault('shadow', error));
        break;
      case 'drain':
        session.draining = true;
        break;
      case 'bye':
        this.#bye(session).catch((error: unknown) => this.#context.fault('bye', error));
        break;
    }
  }

  /** Leave goes out on the line that it was asked for on, or nowhere. */
  #lend(session: Session, ask: ShadowAsk): void {
    const { channel } = session;
    this.#shadows
      .begin(ask)
      .catch((error: unknown) => {
        this.#context.fault('shadow', error);
        return { n: ask.n, ticket: null, ms: 0 };
      })
      .then((leave) => channel?.send({ t: 'shadow', items: [leave] }))
      .catch((error: unknown) => this.#context.fault('shadow', error));
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
    session.taken();
    this.#lanes.offer(jobOf(session.description.worker, held.lease, submission), (outcome) => {
      if (isOver(outcome)) this.#sessions.drop(session, held);
      session.answer(this.#resultOf(held.lease, submission, outcome));
      session.answered();
    });
  }

  #resultOf({ run }: LeaseKey, submission: Submission, outcome: JobOutcome): SubmissionResult {
    const { i } = submission;
    switch (outcome.tag) {
      case 'applied':
      case 'already':
        return { i, ok: true, head: outcome.head };
      case 'refused':
        return {
          i,
          ok: false,
          code: isOver(outcome) ? 'LEASE_LOST' : outcome.reason,
          message: refusalText(outcome.reason, run, submission),
        };
      case 'error': {
        const { error } = outcome;
        if (!isSpineError(error)) this.#context.fault('submission', error);
        return { i, ok: false, code: isSpineError(error) ? error.code : 'INTERNAL', message: error.message };
      }
    }
  }

  // ---------------------------------------------------------------- workers without a line

  /** As a heartbeat over a line; its number is one more than the last that is known here. */
  async beatFor(id: string, received: number, assignments: readonly number[]): Promise<readonly number[] | null> {
    const { store } = this.#context;
    const session = this.#sessions.get(id);
    const row = session === undefined ? await this.#sessionRow(id) : null;
    if (session === undefined && row === null) return null;
    if (session !== undefined) session.byRequests = true;
    const last = Math.max(session?.counter ?? 0, row?.counter ?? 0, this.#pulses.counterOf(id));
    let isRefused = false;
    const refusing: WorkerChannel = {
      send: () => {},
      bufferedBytes: () => 0,
      close: () => {
        isRefused = true;
      },
    };
    this.#heartbeats.beat(id, last + 1, received, refusing);
    if (isRefused) throw new SpineError('STORE_UNREACHABLE', {});
    if (assignments.length === 0) return [];
    const isHeld = (number: number): boolean => session?.held.has(number) === true;
    if (assignments.every(isHeld)) return [];
    const leased = new Set((await store.listLeases({ session: id, limit: leasesMax })).map((row) => row.assignment));
    return assignments.filter((number) => !leased.has(number));
  }

  /** The lease in the store is what decides, so any server will do; the owner hears of the commit as of every other. */
  async submitFor(id: string, submission: Submission): Promise<SubmissionResult> {
    const { store, ports } = this.#context;
    const session = this.#sessions.get(id);
    const held = session?.held.get(submission.assignment);
    if (session !== undefined && held !== undefined) {
      held.movedAtMs = ports.clock.monotonicMs();
      session.received = Math.max(session.received, held.number);
      session.taken();
      try {
        const outcome = await this.#lanes.submit(jobOf(session.description.worker, held.lease, submission));
        if (isOver(outcome)) this.#sessions.drop(session, held);
        return this.#resultOf(held.lease, submission, outcome);
      } finally {
        session.answered();
      }
    }
    const row = session?.description ?? (await this.#sessionRow(id));
    if (row === null) return refusal(submission, new SpineError('SESSION_GONE', { session: id }));
    const leases = await store.listLeases({ session: id, limit: leasesMax });
    const lease = leases.find(({ assignment }) => assignment === submission.assignment);
    if (lease === undefined)
      return refusal(submission, new SpineError('LEASE_LOST', { run: '?', task: `#${submission.assignment}` }));
    const outcome = await this.#lanes.submit(jobOf(row.worker, leaseOf(lease), submission));
    return this.#resultOf(leaseOf(lease), submission, outcome);
  }

  async endSession(id: string): Promise<void> {
    const { store } = this.#context;
    const session = this.#sessions.get(id);
    if (session !== undefined) return this.#bye(session);
    // Closed first, so that its owner claims nothing more for it; what it held there is found to be gone by its tokens.
    await store.closeSession(id);
    const leases = await store.listLeases({ session: id, limit: leasesMax });
    if (leases.length > 0) await store.release(leases.map(leaseOf));
    for (const { queue } of leases) this.#claims.ready(queue, 1);
    this.#pulses.end(id);
  }

  async #sessionRow(id: string): Promise<SessionRow | null> {
    return (await this.#context.store.listSessions()).find(({ session }) => session === id) ?? null;
  }

  async #bye(session: Session): Promise<void> {
    await this.#claims.giveBack(session, [...session.held.values()]);
    this.#sessions.detach(session, 'bye');
    await this.#context.store.closeSession(session.description.session);
    this.#pulses.end(session.description.session);
  }
}

/** How long a server that stops waits for the commits of its workers, ms. */
const leaveMsMax = 2_000;

/** Workers of any language send failures; what goes into an envelope is bounded here. */
function bounded<C extends Submission['commands'][number]>(command: C): C {
  return 'failure' in command ? { ...command, failure: failure(command.failure) } : command;
}

/** Leases of one session that are looked through. */
const leasesMax = limits.workerSlotsMax * 2;

function jobOf(worker: string, lease: LeaseKey, { commands }: Submission): LaneJob {
  const { tenant, run } = lease;
  const actor = `worker:${worker}`;
  return { key: runKey(tenant, run), tenant, run, commands: commands.map(bounded), actor, worker, lease };
}

function refusal({ i }: Submission, { code, message }: SpineError): SubmissionResult {
  return { i, ok: false, code, message };
}

/** The assignment is not the worker's any more. */
function isOver(outcome: JobOutcome): boolean {
  return outcome.tag === 'refused' && endsAssignment(outcome.reason);
}

function endsAssignment(reason: string): boolean {
  return reason === 'fenced' || reason === 'ended' || reason === 'stale_task' || reason === 'not_found';
}
