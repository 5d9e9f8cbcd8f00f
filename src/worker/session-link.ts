/**
 * The worker's end of a session: connects, says hello, comes back after a loss, beats, grants credit, and carries
 * submissions to the record. It knows assignments only by their numbers; what they are is `worker.ts`'s business.
 *
 * Invariants: a submission is repeated under its number until it is answered or its session is over; credit never
 * exceeds free slots; after `lost` nothing of the old session is sent any more.
 */
import { errorCatalogue, type ErrorCode } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { CancelTimer, Ports } from '../core/ports.js';
import type { TriageModels } from '../core/triage/in-force.js';
import type {
  AbortReason,
  Assignment,
  Delivery,
  Hello,
  Resume,
  ServerMessage,
  ShadowLeave,
  ShadowMessage,
  Submission,
  SubmissionResult,
  Welcome,
} from '../protocol/worker.js';
import { SharedPulse } from './shared-pulse.js';
import { Submissions } from './submissions.js';
import type { Heart, WorkerConnection, WorkerTransport } from './transport.js';
import type { WorkerLog } from './worker-log.js';

/** What the link reports, and asks of, the worker that owns it. No callback may throw. */
export interface LinkOwner {
  assigned(assignment: Assignment): void;
  delivered(delivery: Delivery): void;
  /** The last word on a submission; a refusal that is only for now is never reported. */
  answered(submission: Submission, result: SubmissionResult): void;
  aborted(assignment: number, reason: AbortReason): void;
  /** The session is over, with all it held. The link goes on to a new one by itself. */
  lost(reason: string): void;
  /** A session stands, a new one or the old one again. */
  welcomed(resumed: boolean): void;
  /** The server will never take this worker as it is. The link has closed itself. */
  refused(code: string, reason: string): void;
  /** Failures are classified by these from now on. */
  classifies(models: TriageModels): void;
  /** Leave to call shadows, or that there is none. */
  lent(leaves: readonly ShadowLeave[]): void;
  /** For a resume: what is still worked on, with the last event each has seen. */
  holding(): Resume['holding'];
  /** Granted and unused credit above which no more is granted. */
  readonly creditReserve: number;
  freeSlots(): number;
}

export interface LinkOptions {
  readonly transport: WorkerTransport;
  readonly hello: Omit<Hello, 't' | 'resume'>;
  readonly ports: Ports;
  readonly log: WorkerLog;
  readonly owner: LinkOwner;
}

interface SessionFacts {
  readonly id: string;
  readonly pulse: SharedPulse;
  beatMs: number;
  blobs: string;
  valueBytesMax: number;
  /** The server takes messages about shadows. */
  shadows: boolean;
  /** The server gives verdicts on calls of tools. */
  judges: boolean;
  /** Highest assignment number in use; credit counts on from there. */
  assigned: number;
  creditUpTo: number;
  heart: Heart | null;
}

/** Codes that no reconnection can mend: the worker itself has to change. */
const refusals: ReadonlySet<string> = new Set<ErrorCode>([
  'PROTOCOL_MISMATCH',
  'DEFINITION_INVALID',
  'DEFINITION_CONFLICT',
]);

export class SessionLink {
  readonly #options: LinkOptions;
  readonly #submissions = new Submissions();
  #session: SessionFacts | null = null;
  #connection: WorkerConnection | null = null;
  /** The connection has been welcomed. */
  #ready = false;
  #closed = true;
  #draining = false;
  #releases: number[] = [];
  #flushing = false;
  /** Connections in a row that were not welcomed. */
  #failures = 0;
  #reconnections = 0;
  #cancelWait: CancelTimer | null = null;
  #cancelBeat: CancelTimer | null = null;
  #onGone: (() => void) | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#ready;
  }

  /** Id of the session; null = none stands. */
  get session(): string | null {
    return this.#session?.id ?? null;
  }

  get unanswered(): number {
    return this.#submissions.size;
  }

  /** Times a session was taken up again after a lost connection. */
  get reconnections(): number {
    return this.#reconnections;
  }

  /** Path of the blobs under the server's base URL. */
  get blobs(): string {
    return this.#session?.blobs ?? '/v1/blobs';
  }

  /** Whether the server gives verdicts on calls of tools. */
  get judges(): boolean {
    return this.#session?.judges ?? true;
  }

  /** Bound of an encoded value that the server takes. */
  get valueBytesMax(): number {
    return this.#session?.valueBytesMax ?? limits.valueBytesMax;
  }

  /** Unanswered submissions of an assignment. */
  unansweredOf(assignment: number): number {
    return this.#submissions.count(assignment);
  }

  open(): void {
    if (!this.#closed) return;
    this.#closed = false;
    this.#connect();
  }

  /** Returns the number under which the answer will come. */
  submit(assignment: number, commands: Submission['commands']): number {
    const { i } = this.#submissions.add(assignment, commands);
    this.#schedule();
    return i;
  }

  /** Gives back what was not begun. */
  release(assignment: number): void {
    this.#releases.push(assignment);
    this.#schedule();
  }

  /** Sends a message about shadows now. False where it cannot: no session stands, or the server does not know them. */
  tellOfShadows(message: ShadowMessage): boolean {
    if (!this.#ready || this.#connection === null || this.#session?.shadows !== true) return false;
    this.#connection.send(message);
    return true;
  }

  /** Nothing more can be committed for the assignment. */
  forget(assignment: number): void {
    this.#submissions.forget(assignment);
  }

  /** Slots may have become free. */
  slotsChanged(): void {
    this.#schedule();
  }

  /** No more assignments from now on, over this connection and any later one. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (this.#ready) this.#connection?.send({ t: 'drain' });
  }

  /** Ends the session in good order; resolves when the server has let go of it, or after `ms`. Closes the link. */
  async bye(ms: number): Promise<void> {
    if (this.#ready && this.#connection !== null) {
      this.#flush();
      this.#closed = true;
      const gone = new Promise<void>((resolve) => {
        this.#onGone = resolve;
        this.#options.ports.timers.after(ms, resolve);
      });
      this.#connection.send({ t: 'bye' });
      await gone;
    }
    this.close();
  }

  /** Drops the connection without a word; the server finds the session dead by its beats. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#endSession();
    this.#dropConnection();
    this.#cancelWait?.();
    this.#cancelWait = null;
  }

  // ---------------------------------------------------------------- connection

  #connect(): void {
    const { transport, ports, hello } = this.#options;
    const connection: WorkerConnection = transport.open(
      (message) => {
        if (this.#connection === connection) this.#receive(message);
      },
      (reason) => {
        if (this.#connection === connection) this.#disconnected(reason);
      },
    );
    this.#connection = connection;
    this.#ready = false;
    this.#cancelWait = ports.timers.after(limits.handshakeMs, () => {
      if (this.#connection === connection && !this.#ready) this.#disconnected('The server did not answer the hello.');
    });
    const resume = this.#resume();
    connection.send({ t: 'hello', ...hello, ...(resume === null ? {} : { resume }) });
  }

  #resume(): Resume | null {
    if (this.#session === null) return null;
    const holding = new Map(this.#options.owner.holding().map((held) => [held.assignment, held.seen]));
    // What is finished but not answered is still ours to answer for: unnamed, it would go back to its queue.
    for (const assignment of this.#submissions.assignments()) {
      if (!holding.has(assignment)) holding.set(assignment, 0);
    }
    return {
      session: this.#session.id,
      received: this.#session.pulse.received,
      holding: [...holding].map(([assignment, seen]) => ({ assignment, seen })),
    };
  }

  #disconnected(reason: string): void {
    this.#dropConnection();
    this.#onGone?.();
    if (this.#closed) return;
    const { ports, log } = this.#options;
    const ceilingMs = Math.min(limits.reconnectMsMax, limits.reconnectMsMin * 2 ** Math.min(this.#failures, 16));
    const delayMs = Math.floor(ports.random.next() * ceilingMs);
    // One line when the trouble begins and one each time the pause has doubled is enough.
    if (this.#failures < 6) log('warn', 'connection lost', { reason, session: this.session, retryInMs: delayMs });
    this.#failures++;
    this.#cancelWait = ports.timers.after(delayMs, () => {
      this.#cancelWait = null;
      if (!this.#closed && this.#connection === null) this.#connect();
    });
  }

  #dropConnection(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#ready = false;
    this.#cancelWait?.();
    this.#cancelWait = null;
    this.#cancelBeat?.();
    this.#cancelBeat = null;
    connection?.close();
  }

  // ---------------------------------------------------------------- messages

  #receive(message: ServerMessage): void {
    const { owner } = this.#options;
    if (message.t === 'welcome') return this.#welcome(message);
    if (message.t === 'goodbye') return this.#goodbye(message.reason);
    const session = this.#session;
    if (!this.#ready || session === null) return;
    switch (message.t) {
      case 'assign':
        for (const { assignment } of message.items) {
          session.pulse.raiseReceived(assignment);
          session.assigned = Math.max(session.assigned, assignment);
        }
        // Said before any of it is begun: code that takes this process down with it must count as an attempt.
        this.#sendBeat(session);
        for (const assignment of message.items) {
          if (this.#draining) this.#releases.push(assignment.assignment);
          else owner.assigned(assignment);
        }
        break;
      case 'deliver':
        for (const delivery of message.items) owner.delivered(delivery);
        break;
      case 'results':
        for (const result of message.items) this.#answer(result);
        break;
      case 'shadow':
        owner.lent(message.items);
        break;
      case 'triage':
        owner.classifies(message);
        break;
      case 'abort':
        for (const { assignment, reason } of message.items) {
          // It may name an assignment that was never sent; its number is used up all the same.
          session.assigned = Math.max(session.assigned, assignment);
          this.#submissions.forget(assignment);
          owner.aborted(assignment, reason);
        }
        break;
      default:
        // A newer server may say more than this worker understands; the protocol only ever adds.
        return;
    }
    this.#schedule();
  }

  #answer(result: SubmissionResult): void {
    if (!result.ok && isTransient(result.code)) {
      if (this.#submissions.get(result.i) !== undefined) this.#later(result.i);
      return;
    }
    const submission = this.#submissions.answer(result.i);
    if (submission !== undefined) this.#options.owner.answered(submission, result);
  }

  /** The server could not take it just now. All commands are idempotent by path, so order does not matter. */
  #later(i: number): void {
    const { timers, random } = this.#options.ports;
    timers.after(limits.reconnectMsMin + Math.floor(random.next() * 1_000), () => {
      this.#submissions.again(i);
      this.#schedule();
    });
  }

  #welcome(welcome: Welcome): void {
    const { owner, log } = this.#options;
    this.#cancelWait?.();
    this.#cancelWait = null;
    this.#failures = 0;
    if (this.#session !== null && (!welcome.resumed || this.#session.id !== welcome.session)) {
      this.#loseSession('The server opened another session.');
    }
    this.#ready = true;
    const resumed = this.#session !== null;
    const session = this.#session ?? this.#beginSession(welcome);
    session.beatMs = welcome.beatMs;
    session.blobs = welcome.blobs;
    session.shadows = welcome.shadows === true;
    session.judges = welcome.judges === true;
    session.valueBytesMax = welcome.valueBytesMax ?? limits.payloadBytesMax;
    session.assigned = Math.max(session.pulse.received, welcome.assigned ?? 0);
    session.creditUpTo = 0;
    for (const assignment of welcome.lost) {
      this.#submissions.forget(assignment);
      owner.aborted(assignment, 'lease_lost');
    }
    if (resumed) this.#reconnections++;
    log('info', resumed ? 'session resumed' : 'session opened', { session: session.id, lost: welcome.lost.length });
    this.#submissions.rewind();
    if (this.#draining) this.#connection?.send({ t: 'drain' });
    this.#beat();
    this.#flush();
    owner.welcomed(resumed);
  }

  #goodbye(reason: string): void {
    const code = /^[A-Z][A-Z_]+/.exec(reason)?.[0] ?? '';
    const { owner } = this.#options;
    if (this.#onGone !== null) {
      this.#endSession();
      return this.#disconnected(reason);
    }
    if (refusals.has(code)) {
      this.#loseSession(reason);
      this.close();
      return owner.refused(code, reason);
    }
    // A server that is stopping, or too busy to open sessions, says nothing about a session that another may take up.
    if (!isTransient(code)) this.#loseSession(reason);
    this.#disconnected(reason);
  }

  // ---------------------------------------------------------------- session

  #beginSession(welcome: Welcome): SessionFacts {
    const { transport, log } = this.#options;
    const session: SessionFacts = {
      id: welcome.session,
      pulse: new SharedPulse(),
      beatMs: welcome.beatMs,
      blobs: welcome.blobs,
      valueBytesMax: limits.payloadBytesMax,
      shadows: false,
      judges: false,
      assigned: 0,
      creditUpTo: 0,
      heart: null,
    };
    this.#session = session;
    session.heart =
      transport.startHeart?.({
        session: session.id,
        beatMs: welcome.beatMs,
        pulse: session.pulse,
        onSessionOver: (reason) => {
          if (this.#session !== session || this.#closed) return;
          this.#loseSession(reason);
          this.#disconnected(reason);
        },
        onFault: (reason) =>
          log('warn', 'the heartbeat thread has failed; a blocked event loop now costs the session', { reason }),
      }) ?? null;
    return session;
  }

  #loseSession(reason: string): void {
    if (this.#session === null) return;
    this.#options.log('warn', 'session lost', { session: this.#session.id, reason });
    this.#endSession();
    this.#options.owner.lost(reason);
  }

  #endSession(): void {
    this.#session?.heart?.stop();
    this.#session = null;
    this.#submissions.clear();
    this.#releases = [];
  }

  /** Beats of the data line. With a heart of its own the session has two; the shared counter keeps them apart. */
  #beat(): void {
    const { timers } = this.#options.ports;
    const session = this.#session;
    if (session === null || !this.#ready) return;
    this.#sendBeat(session);
    this.#cancelBeat = timers.after(session.beatMs, () => this.#beat());
    // Credit held back by a full buffer has no other cause to be granted when nothing else happens.
    this.#schedule();
  }

  #sendBeat({ id, pulse }: SessionFacts): void {
    this.#connection?.send({ t: 'beat', session: id, n: pulse.nextBeat(), received: pulse.received });
  }

  // ---------------------------------------------------------------- batches

  /** Everything that one turn of the event loop brings forth leaves together. */
  #schedule(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#options.ports.timers.turn(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    const connection = this.#connection;
    if (!this.#ready || connection === null) return;
    for (const items of this.#submissions.takeUnsent()) connection.send({ t: 'submit', items });
    if (this.#releases.length > 0) {
      connection.send({ t: 'release', assignments: this.#releases });
      this.#releases = [];
    }
    this.#grant(connection);
  }

  #grant(connection: WorkerConnection): void {
    const session = this.#session;
    if (session === null || this.#draining) return;
    // What is granted lasts for a while: a message for each slot that becomes free would tell the server nothing it can use.
    if (session.creditUpTo - session.assigned >= this.#options.owner.creditReserve) return;
    if (connection.bufferedBytes() > limits.workerBufferBytesMax) return;
    const upTo = session.assigned + Math.max(0, this.#options.owner.freeSlots());
    // Cumulative: what was granted cannot be taken back, so a smaller number would only confuse.
    if (upTo <= session.creditUpTo) return;
    session.creditUpTo = upTo;
    connection.send({ t: 'credit', upTo });
  }
}

function isTransient(code: string): boolean {
  return Object.hasOwn(errorCatalogue, code) && errorCatalogue[code as ErrorCode].kind === 'transient';
}
