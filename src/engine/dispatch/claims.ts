/**
 * Claims ready tasks for sessions that have credit, and gives back what a worker did not begin.
 *
 * Invariant: for a session one claim at most is under way. Where a claim or a release was answered with an error, nothing
 * more is claimed for it until what it holds here was compared with what the store has leased to it.
 */
import { limits } from '../../core/limits.js';
import type { ClaimedTask, TaskWrite, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { Delivery } from './delivery.js';
import type { Heartbeats } from './heartbeats.js';
import type { OwnedSessions } from './owned-sessions.js';
import { ReadyHints } from './ready-hints.js';
import { leaseOf, type Held, type Session } from './session.js';

export interface ClaimsOptions {
  readonly context: EngineContext;
  readonly sessions: OwnedSessions;
  /** Sends what was claimed. */
  readonly delivery: Pick<Delivery, 'sendClaimed'>;
  /** Knows whether a session is still this server's. */
  readonly heartbeats: Pick<Heartbeats, 'stillOwns'>;
}

export class Claims {
  readonly #context: EngineContext;
  readonly #sessions: OwnedSessions;
  readonly #delivery: ClaimsOptions['delivery'];
  readonly #heartbeats: ClaimsOptions['heartbeats'];
  readonly #hints = new ReadyHints();
  /** Monotonic time of the last claim that brought something, by queue. */
  readonly #lastClaimMs = new Map<string, number>();
  #rotation = 0;
  #pumping = false;
  /** Nothing more is claimed. */
  #ceased = false;
  /** Nothing more is asked of the store. */
  #stopped = false;

  constructor(options: ClaimsOptions) {
    this.#context = options.context;
    this.#sessions = options.sessions;
    this.#delivery = options.delivery;
    this.#heartbeats = options.heartbeats;
  }

  /** Monotonic time of the last claim that brought something from the queue; null = none yet. */
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

  /** As `ready`, for those who call `pump` themselves when all is said. */
  hint(queue: string, count: number): void {
    this.#hints.add(queue, count);
  }

  /** What the store counted of a queue's ready work. Takes effect with the next `pump`. */
  raiseHint(queue: string, count: number): void {
    this.#hints.raiseTo(queue, count);
  }

  /** Claims for every session that has credit and a queue with work. Bounded: one claim under way per session. */
  pump(): void {
    if (this.#pumping || this.#ceased) return;
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
      this.doubt(session);
      throw error;
    } finally {
      session.claiming = false;
    }
    const now = ports.clock.monotonicMs();
    const fresh = claimed.map((task) => ({ task, held: this.#sessions.hold(session, task.task, task.head) }));
    for (const queue of new Set(claimed.map(({ task }) => task.queue))) this.#lastClaimMs.set(queue, now);
    this.pump();
    try {
      for (const held of await this.#delivery.sendClaimed(session, fresh)) this.#setAside(session, held);
    } catch (error) {
      // What could not be sent is not held: others may have it, and the worker is told that the numbers are used up.
      const unsent = fresh.map(({ held }) => held).filter((held) => held.sentSeq < 0);
      for (const held of unsent) session.abort(held.number, 'lease_lost');
      await this.giveBack(session, unsent);
      throw error;
    }
  }

  /** Given back uncounted after a while: at once, it would be claimed here again before anybody else sees it. */
  #setAside(session: Session, held: Held): void {
    session.abort(held.number, 'lease_lost');
    this.#context.ports.timers.after(limits.unreadableAsideMs, () => {
      if (this.#stopped || session.held.get(held.number) !== held) return;
      this.giveBack(session, [held]).catch((failed: unknown) => this.#context.fault('release', failed));
    });
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

  /** Returns tasks uncounted: they never began. */
  async giveBack(session: Session, held: readonly Held[]): Promise<void> {
    if (held.length === 0) return;
    for (const one of held) this.#sessions.drop(session, one);
    try {
      await this.#context.store.release(held.map((one) => one.lease));
    } catch (error) {
      this.doubt(session);
      throw error;
    }
    for (const one of held) this.ready(one.queue, 1);
  }

  /** Nothing more is claimed for the session until its leases were compared with what the store has. */
  doubt(session: Session): void {
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
    if (!(await this.#heartbeats.stillOwns(session))) return;
    const strays = leases.filter((lease) => session.held.get(lease.assignment ?? 0)?.lease.token !== lease.token);
    if (strays.length > 0) await store.release(strays.map(leaseOf));
    session.unsure = false;
    for (const stray of strays) this.#hints.add(stray.queue, 1);
    this.pump();
  }

  /** Claims nothing more: workers are being sent away. What is in doubt is still cleared up. */
  cease(): void {
    this.#ceased = true;
  }

  /** Ends what this does by itself. */
  stop(): void {
    this.#ceased = true;
    this.#stopped = true;
  }
}

const noTasks: readonly TaskWrite[] = [];

/** Pause before the leases of a session are compared with the store's, ms. */
const reconcileMs = 250;
