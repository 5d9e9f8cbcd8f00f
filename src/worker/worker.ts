/**
 * The worker: takes assignments from a server, runs bodies and handlers in its slots, and ends in good order.
 * `session-link.ts` keeps the session, `body-work.ts` and `call-work.ts` do the work; here is what holds them together:
 * slots, the table of assignments, and the ways to stop.
 *
 * Invariant: every assignment received is worked on, given back, or taken away by the server; none is forgotten.
 */
import { SpineError } from '../core/errors.js';
import { newId } from '../core/ids.js';
import { limits } from '../core/limits.js';
import type { Ports } from '../core/ports.js';
import { installTriage, type TriageModels } from '../core/triage/in-force.js';
import { journalEventTypes, type JournalEntry } from '../core/run/journal.js';
import { CallBatches } from './call-batches.js';
import { SlotMap } from './slot-map.js';
import {
  workerProtocol,
  type AbortReason,
  type Assignment,
  type Delivery,
  type Resume,
  type ShadowLeave,
  type Submission,
  type SubmissionResult,
} from '../protocol/worker.js';
import type { BeginActivation } from '../workflow/activation-contract.js';
import { namesOffered, type AppRegistry, type Offer } from './app-registry.js';
import { beginBody } from './body-work.js';
import { beginCall } from './call-work.js';
import { PayloadBlobs } from './payload-blobs.js';
import { refuse } from './refused-work.js';
import { SessionLink, type LinkOwner } from './session-link.js';
import { ShadowCalls } from './shadow-calls.js';
import type { WorkerTransport } from './transport.js';
import type { Work, WorkHost } from './work.js';
import { workerLog, type WorkerLog, type WorkerLogRecord } from './worker-log.js';

/** Where a worker is in its life. It never goes back, except between the two `connect` states. */
export type WorkerState = 'idle' | 'connecting' | 'connected' | 'draining' | 'stopped';

/** What a worker is doing now. Counts, unless the name says otherwise. */
export interface WorkerStats {
  readonly state: WorkerState;
  /** Id of the session; null = none stands. */
  readonly session: string | null;
  readonly slots: number;
  readonly runningActivations: number;
  /** Those among them that only wait, and use no slot. */
  readonly waitingActivations: number;
  readonly runningCalls: number;
  /** Handlers that were aborted and have not returned yet. */
  readonly lingering: number;
  /** Submissions that the server has not answered. */
  readonly unanswered: number;
  readonly received: number;
  /** Assignments whose work here came to an end, whatever it was. */
  readonly finished: number;
  /** Times a session was taken up again after a lost connection. */
  readonly reconnections: number;
}

/** A worker. `start`, `drain` and `stop` are idempotent; a stopped worker does not start again. */
export interface Worker extends AsyncDisposable {
  /**
   * Connects and begins to work. Resolves when the first session stands, however long the server takes to come up;
   * rejects with WORKER_REFUSED where the server will never take the worker as it is, or with WORKER_STOPPED.
   */
  start(): Promise<void>;
  /** Takes nothing new, finishes what is in flight within the grace period, gives the rest back, and stops. */
  drain(): Promise<void>;
  /** Aborts everything and ends the session; what was in flight goes to other workers. */
  stop(): Promise<void>;
  /** Resolves when the worker has stopped, for whatever reason; the error of a refusal, else null. */
  readonly stopped: Promise<Error | null>;
  readonly state: WorkerState;
  readonly stats: WorkerStats;
}

/** How many slots may be used now. */
export interface SlotGate {
  /** Never more than `slots` count; 0 = nothing may be begun. */
  slots(): number;
  /** Calls `fn` whenever there may be more of them than before. */
  onWider(fn: () => void): void;
}

/** What a worker is made of, with every default settled. `create-worker.ts` makes it of the public options. */
export interface WorkerParts {
  readonly registry: AppRegistry;
  readonly offer: Offer;
  readonly transport: WorkerTransport;
  readonly begin: BeginActivation;
  /** Does the work in another way than by what the registry has. */
  readonly beginWork?: (assignment: Assignment, host: WorkHost) => Work;
  /** Where the slots that may be used change with time. */
  readonly gate?: SlotGate;
  readonly ports: Ports;
  readonly name: string | undefined;
  readonly slots: number;
  readonly parkAfterMs: number;
  readonly drainGraceMs: number;
  readonly log: ((record: WorkerLogRecord) => void) | undefined;
  readonly host: string | undefined;
  readonly pid: number | undefined;
}

/**
 * Bodies that only wait use no slot, since what they wait for may be calls of this very worker. So many of them stay in
 * memory for each slot; all may wake up at once. Where most of these places are taken, bodies leave memory sooner, and
 * where all are, at once: so credit for calls always comes back.
 */
const waitingPerSlotMax = 2;
const crowdedShare = 0.75;
const crowdedParkMs = 50;
const creditReserveMin = 16;
/** Assignments held for each slot: waiting bodies, what is at work, and what has an answer due. */
const heldPerSlotMax = waitingPerSlotMax + 2;

/** An assignment in the hands of this worker. */
interface Kept {
  readonly work: Work;
  readonly run: string;
  readonly assignment: number;
  readonly serial: number;
  /** `busy`: its user code runs; `lingering`: it was stopped, does not heed it and uses a slot for a while. */
  phase: 'busy' | 'lingering' | 'idle';
}

export class WorkerRuntime implements Worker, LinkOwner {
  readonly stopped: Promise<Error | null>;
  readonly #parts: WorkerParts;
  readonly #log: WorkerLog;
  readonly #link: SessionLink;
  readonly #blobs: PayloadBlobs;
  readonly #shadows: ShadowCalls;
  readonly #batches: CallBatches;
  /** Assignments that are ours, until they are idle and answered. */
  readonly #works = new SlotMap<number, Kept>();
  /** Bodies at work, by serial number. */
  readonly #bodies = new SlotMap<number, Kept>();
  #busy = 0;
  #lingering = 0;
  /** Also the serial number of the last assignment; those of the protocol begin anew with each session. */
  #received = 0;
  #finished = 0;
  #state: WorkerState = 'idle';
  #starting: Promise<void> | null = null;
  #draining: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;
  #onWelcome: () => void = () => undefined;
  #onRefused: (error: Error) => void = () => undefined;
  #onStopped: (error: Error | null) => void = () => undefined;
  #release: () => void = () => undefined;
  #watchers: (() => void)[] = [];
  #looking = false;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    this.#log = workerLog(parts.log);
    this.stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    const { registry, transport, ports, slots, offer } = parts;
    const only = namesOffered(registry.manifest, offer);
    this.#link = new SessionLink({
      transport,
      ports,
      log: this.#log,
      owner: this,
      hello: {
        protocol: workerProtocol,
        worker: parts.name ?? newId('worker', ports),
        app: registry.app,
        manifest: registry.manifest,
        slots,
        ...(only === undefined ? {} : { only }),
        ...(parts.host === undefined ? {} : { host: parts.host }),
        ...(parts.pid === undefined ? {} : { pid: parts.pid }),
      },
    });
    this.#batches = new CallBatches(ports.timers);
    this.#shadows = new ShadowCalls({ ports, tell: (message) => this.#link.tellOfShadows(message) });
    parts.gate?.onWider(() => this.#link.slotsChanged());
    this.#blobs = new PayloadBlobs({ transport, ports, path: () => this.#link.blobs });
  }

  get state(): WorkerState {
    return this.#state === 'connected' && !this.#link.connected ? 'connecting' : this.#state;
  }

  get stats(): WorkerStats {
    return {
      state: this.state,
      session: this.#link.session,
      slots: this.#parts.slots,
      runningActivations: this.#bodies.size,
      waitingActivations: this.#waiting(),
      runningCalls: this.#busy - this.#bodies.size,
      lingering: this.#lingering,
      unanswered: this.#link.unanswered,
      received: this.#received,
      finished: this.#finished,
      reconnections: this.#link.reconnections,
    };
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop(null);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  // ---------------------------------------------------------------- life

  #start(): Promise<void> {
    if (this.#state !== 'idle') return Promise.reject(new SpineError('WORKER_STOPPED', {}));
    this.#state = 'connecting';
    this.#release = this.#parts.transport.keepAlive?.() ?? this.#release;
    const started = new Promise<void>((resolve, reject) => {
      this.#onWelcome = resolve;
      this.#onRefused = reject;
    });
    // Who does not wait for the start still learns of a refusal, by the log and by `stopped`.
    started.catch(() => undefined);
    this.#link.open();
    return started;
  }

  async #drain(): Promise<void> {
    if (this.#state === 'idle' || this.#state === 'stopped' || this.#stopping !== null) return this.stop();
    this.#state = 'draining';
    const { drainGraceMs, ports } = this.#parts;
    this.#shadows.stop();
    this.#log('info', 'draining', { running: this.#busy, graceMs: drainGraceMs });
    this.#link.drain();
    const finished = (): boolean => this.#stopping !== null || (this.#works.size === 0 && this.#link.unanswered === 0);
    const startedMs = ports.clock.monotonicMs();
    for (const { work } of this.#works.values()) work.hurry?.();
    await this.#until(finished, drainGraceMs);
    for (const { work } of this.#works.values()) work.stop('drain');
    await this.#until(finished, Math.max(limits.drainAnswerMs, startedMs + drainGraceMs - ports.clock.monotonicMs()));
    return this.stop();
  }

  async #stop(error: Error | null): Promise<void> {
    const wasIdle = this.#state === 'idle';
    this.#state = 'draining';
    this.#shadows.stop();
    for (const { work } of this.#works.values()) work.stop('stop');
    this.#works.clear();
    this.#changed();
    if (!wasIdle) {
      this.#link.drain();
      await this.#link.bye(limits.drainAnswerMs);
      await this.#until(() => this.#busy === 0, limits.drainAnswerMs);
    }
    this.#state = 'stopped';
    this.#release();
    this.#onRefused(error ?? new SpineError('WORKER_STOPPED', {}));
    this.#log('info', 'stopped', { finished: this.#finished, lingering: this.#busy });
    this.#onStopped(error);
  }

  /** Resolves when `done()` is true, which is asked after every change, or after `ms`. */
  async #until(done: () => boolean, ms: number): Promise<void> {
    if (done()) return;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        cancel();
        this.#watchers = this.#watchers.filter((watcher) => watcher !== watch);
        resolve();
      };
      const watch = (): void => {
        if (done()) finish();
      };
      const cancel = this.#parts.ports.timers.after(ms, finish);
      this.#watchers.push(watch);
    });
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
    this.#link.slotsChanged();
  }

  // ---------------------------------------------------------------- the link's owner

  assigned(assignment: Assignment): void {
    const unknown = assignment.kind === 'activation' ? unknownTypeIn(assignment.journal.entries) : null;
    if (unknown !== null) {
      this.#received++;
      return this.#setAside(assignment.assignment, assignment.run, unknown);
    }
    const work = this.#begin(assignment);
    const { run, assignment: number } = assignment;
    const kept: Kept = { work, run, assignment: number, serial: ++this.#received, phase: 'busy' };
    this.#works.set(kept.assignment, kept);
    this.#busy++;
    if (work.kind === 'activation') this.#bodies.set(kept.serial, kept);
    void work.idle.then(() => this.#idle(kept));
  }

  delivered({ assignment, events }: Delivery): void {
    const kept = this.#works.get(assignment);
    if (kept === undefined) return;
    const unknown = unknownTypeIn(events);
    if (unknown === null) return kept.work.deliver(events);
    kept.work.stop('lease_lost');
    this.#dismiss(kept);
    this.#setAside(assignment, kept.run, unknown);
  }

  /**
   * A body whose history only a newer worker can read. Given back uncounted after a while: at once, it would be assigned here
   * again before anybody else sees it. All that was recorded is kept.
   */
  #setAside(assignment: number, run: string, type: string): void {
    const { message, mend } = new SpineError('EVENT_UNKNOWN', { run, type });
    this.#log('warn', message, { run, mend });
    const { session } = this.#link;
    this.#parts.ports.timers.after(limits.unreadableAsideMs, () => {
      // Numbers are those of one session; the end of it has given back what it held.
      if (this.#state !== 'stopped' && this.#link.session === session) this.#link.release(assignment);
    });
    this.#changed();
  }

  answered(submission: Submission, result: SubmissionResult): void {
    const kept = this.#works.get(submission.assignment);
    if (kept === undefined) return this.#changed();
    const { work } = kept;
    work.settle(submission, result);
    // A call has one outcome; when it is recorded, the task is over, whether or not the handler has returned.
    if (work.dead || (work.kind === 'call' && result.ok && submission.commands.some(isOutcome))) this.#dismiss(kept);
    else this.#settled(kept);
  }

  aborted(assignment: number, reason: AbortReason): void {
    const kept = this.#works.get(assignment);
    if (kept === undefined) return;
    kept.work.stop(reason);
    this.#dismiss(kept);
  }

  lost(reason: string): void {
    if (this.#works.size > 0) this.#log('warn', 'work was lost with its session', { works: this.#works.size, reason });
    for (const kept of [...this.#works.values()]) {
      kept.work.stop('session_lost');
      this.#dismiss(kept);
    }
    if (this.#state === 'connected') this.#state = 'connecting';
  }

  welcomed(): void {
    if (this.#state === 'connecting') this.#state = 'connected';
    this.#shadows.connected();
    this.#onWelcome();
    this.#changed();
  }

  classifies(models: TriageModels): void {
    try {
      installTriage(models);
      const { inForce, shadow } = models;
      this.#log('info', 'triage changed', { model: inForce?.version ?? 'shipped', shadow: shadow?.version ?? null });
    } catch (error) {
      // Of a newer server, perhaps: failures are classified as before, and say by what.
      this.#log('warn', 'a model of triage cannot be read here', { error: String(error) });
    }
  }

  lent(leaves: readonly ShadowLeave[]): void {
    for (const leave of leaves) this.#shadows.lent(leave);
  }

  refused(code: string, reason: string): void {
    this.#log('error', 'the server refuses this worker', { code, reason });
    this.#stopping ??= this.#stop(new SpineError('WORKER_REFUSED', { reason }));
  }

  holding(): Resume['holding'] {
    return [...this.#works.values()].map(({ assignment, work }) => ({ assignment, seen: work.seen }));
  }

  /** Few slots are always granted in full; of many, half is enough until the next grant arrives. */
  get creditReserve(): number {
    return Math.max(creditReserveMin, this.#parts.slots / 2);
  }

  /** Slots that a new assignment could use now. */
  freeSlots(): number {
    const { slots: slotsMax, gate } = this.#parts;
    const slots = gate === undefined ? slotsMax : Math.min(slotsMax, gate.slots());
    const used = this.#busy - this.#waiting() + this.#lingering;
    const free = Math.min(slots - used, heldPerSlotMax * slots - this.#works.size - this.#lingering);
    if (free <= 0 && this.#bodies.size > 0) this.#lookAgain();
    return free;
  }

  #waiting(): number {
    let waiting = 0;
    for (const { work } of this.#bodies.values()) if (work.waiting) waiting++;
    return waiting;
  }

  /** A body does not say when it begins to wait. */
  #lookAgain(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#parts.ports.timers.after(crowdedParkMs, () => {
      this.#looking = false;
      if (this.#state !== 'stopped') this.#link.slotsChanged();
    });
  }

  // ---------------------------------------------------------------- work

  #begin(assignment: Assignment): Work {
    const host = this.#hostOf(assignment);
    const { registry, begin, beginWork } = this.#parts;
    if (beginWork !== undefined) return beginWork(assignment, host);
    if (assignment.kind === 'call') {
      const handler = registry.handler(assignment.capability);
      if (handler !== undefined) return beginCall(assignment, handler, host, this.#batches);
      return refuse(assignment, new SpineError('CAPABILITY_UNKNOWN', { name: assignment.capability }), host);
    }
    const { workflow, version } = assignment;
    const known = registry.versions(workflow);
    const definition = registry.definition(workflow, version);
    if (definition !== undefined)
      return beginBody(assignment, definition, {
        ...host,
        begin,
        parkAfterMs: () => this.#parkAfterMs(),
        model: (name) => registry.model?.(name) ?? null,
        topic: (name) => registry.topic?.(name) ?? null,
        mirror: (inference) => this.#shadows.offer(inference),
        remedies: registry.remedies ?? {},
        tools: registry.tools ?? null,
        judges: () => this.#link.judges,
      });
    const error =
      known === undefined
        ? new SpineError('WORKFLOW_UNKNOWN', { name: workflow, known: [] })
        : new SpineError('VERSION_UNKNOWN', { name: workflow, version, known });
    return refuse(assignment, error, host);
  }

  #hostOf({ assignment, tenant }: Assignment): WorkHost {
    const link = this.#link;
    return {
      get valueBytesMax() {
        return link.valueBytesMax;
      },
      ports: this.#parts.ports,
      log: this.#log,
      submit: (commands) => this.#link.submit(assignment, commands),
      fit: (payload) => this.#blobs.fit(tenant, payload),
      store: (payload) => this.#blobs.store(tenant, payload),
      load: (payload) => this.#blobs.load(tenant, payload),
      giveBack: () => this.#giveBack(assignment),
    };
  }

  #giveBack(assignment: number): void {
    const kept = this.#works.get(assignment);
    if (kept === undefined) return;
    this.#link.release(assignment);
    this.#dismiss(kept);
  }

  #parkAfterMs(): number {
    if (this.#state === 'draining') return 0;
    const { parkAfterMs, slots } = this.#parts;
    const places = slots * waitingPerSlotMax;
    // Asked for by each body that begins to wait: counted only where the answer may matter.
    if (this.#bodies.size <= places * crowdedShare) return parkAfterMs;
    const waiting = this.#waiting();
    if (waiting >= places) return 0;
    return waiting > places * crowdedShare ? Math.min(parkAfterMs, crowdedParkMs) : parkAfterMs;
  }

  #idle(kept: Kept): void {
    this.#leave(kept, 'idle');
    this.#settled(kept);
  }

  /** User code of this work runs no more, or no longer counts. */
  #leave(kept: Kept, phase: 'lingering' | 'idle'): void {
    this.#bodies.delete(kept.serial);
    if (kept.phase === 'busy') {
      this.#busy--;
      this.#finished++;
    } else if (kept.phase === 'lingering') this.#lingering--;
    kept.phase = phase;
    if (phase === 'lingering') this.#lingering++;
  }

  /** Lets go of work that is idle and answered for. */
  #settled(kept: Kept): void {
    const { assignment, work, phase } = kept;
    const over = phase !== 'busy' && (work.dead || this.#link.unansweredOf(assignment) === 0);
    if (over && this.#works.get(assignment) === kept) this.#works.delete(assignment);
    this.#changed();
  }

  /** The assignment is no longer ours. Its user code may go on for a while. */
  #dismiss(kept: Kept): void {
    this.#link.forget(kept.assignment);
    this.#works.delete(kept.assignment);
    if (kept.phase === 'busy') this.#linger(kept);
    this.#changed();
  }

  #linger(kept: Kept): void {
    this.#leave(kept, 'lingering');
    this.#parts.ports.timers.after(limits.abortGraceMs, () => {
      if (kept.phase !== 'lingering') return;
      this.#leave(kept, 'idle');
      this.#log('warn', 'aborted work does not return; its slot is given to other work', { kind: kept.work.kind });
      this.#changed();
    });
  }
}

const knownTypes: ReadonlySet<string> = new Set(journalEventTypes);

/** A type of event that only a newer version knows; null = there is none. */
function unknownTypeIn(entries: readonly JournalEntry[]): string | null {
  return entries.find(({ type }) => !knownTypes.has(type))?.type ?? null;
}

/** A worker of settled parts. */
export function workerOf(parts: WorkerParts): Worker {
  return new WorkerRuntime(parts);
}

/** What a call comes to; chunks of its streams are only on the way there. */
function isOutcome({ op }: Submission['commands'][number]): boolean {
  return op === 'completeTask' || op === 'failTask';
}
