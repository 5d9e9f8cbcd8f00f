/**
 * Takes tasks away from workers: what is past its deadline, what a worker does not receive, what a dead session held.
 *
 * Invariant: a task that may have begun is lost, which counts an attempt, in a commit under its lease; one that was never
 * received goes back uncounted. From a living session only the server that owns it takes anything.
 */
import { SpineError } from '../../core/errors.js';
import { failure, type Failure } from '../../core/failure.js';
import type { TaskRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { runKey } from '../runs/committed.js';
import type { Lanes } from '../runs/lanes.js';
import type { Claims } from './claims.js';
import type { Deadlines } from './deadlines.js';
import type { Heartbeats } from './heartbeats.js';
import type { OwnedSessions } from './owned-sessions.js';
import { leaseOf, type Held, type Session } from './session.js';

export interface LossesOptions {
  readonly context: EngineContext;
  readonly lanes: Pick<Lanes, 'submit'>;
  readonly sessions: OwnedSessions;
  /** Takes up again what is free now. */
  readonly claims: Pick<Claims, 'giveBack' | 'doubt' | 'hint' | 'pump'>;
  /** Knows whether a session is still this server's. */
  readonly heartbeats: Pick<Heartbeats, 'stillOwns'>;
  readonly deadlines: Pick<Deadlines, 'watch'>;
}

export class Losses {
  readonly #context: EngineContext;
  readonly #lanes: LossesOptions['lanes'];
  readonly #sessions: OwnedSessions;
  readonly #claims: LossesOptions['claims'];
  readonly #heartbeats: LossesOptions['heartbeats'];
  readonly #deadlines: LossesOptions['deadlines'];

  constructor(options: LossesOptions) {
    this.#context = options.context;
    this.#lanes = options.lanes;
    this.#sessions = options.sessions;
    this.#claims = options.claims;
    this.#heartbeats = options.heartbeats;
    this.#deadlines = options.deadlines;
  }

  /** Ends what is past its deadline, which counts from the last sign of progress. Returns when to look again; null = never. */
  endOverdue(): number | null {
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
    this.#heartbeats.stillOwns(session).then(
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
    this.#sessions.drop(session, held);
    session.abort(held.number, 'deadline');
    this.#lose(held, cause).catch((error: unknown) => {
      this.#claims.doubt(session);
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
    this.#claims.hint(held.queue, 1);
    this.#claims.pump();
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
      if (late.length > 0 && !(await this.#heartbeats.stillOwns(session))) continue;
      for (const held of late) session.abort(held.number, 'lease_lost');
      await this.#claims.giveBack(session, late);
    }
  }

  /** Of a session that is over: what its worker had received is lost, the rest goes back uncounted. */
  async loseLeases(leases: readonly TaskRow[], received: number): Promise<void> {
    const cause = failure({
      class: 'internal',
      code: 'WORKER_LOST',
      message: new SpineError('WORKER_LOST', {}).message,
      retryable: true,
    });
    const unreceived = leases.filter((lease) => (lease.assignment ?? 0) > received);
    if (unreceived.length > 0) await this.#context.store.release(unreceived.map(leaseOf));
    for (const lease of unreceived) this.#claims.hint(lease.queue, 1);
    const lost = leases.filter((lease) => (lease.assignment ?? 0) <= received);
    await Promise.all(lost.map((lease) => this.#lose({ lease: leaseOf(lease), queue: lease.queue }, cause)));
    this.#claims.pump();
  }
}

/** Pause before what is past its deadline is looked at again where the store did not answer, ms. */
const lateAgainMs = 1_000;
