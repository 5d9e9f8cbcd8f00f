/**
 * The sessions that this server owns, and what their workers hold: found by session, and by run for what is committed.
 *
 * Invariant: the two say the same. What is in the `held` of a session is among the holders of its run until it is dropped,
 * and its deadline is watched from then on; a session that is over holds nothing and is not found.
 */
import type { Clock } from '../../core/ports.js';
import type { TaskRow } from '../../store/contract.js';
import { runKey } from '../runs/committed.js';
import type { Deadlines } from './deadlines.js';
import { leaseOf, type Held, type Session } from './session.js';

/** Who holds a task of a run. */
export interface HeldBy {
  readonly session: Session;
  readonly held: Held;
}

export class OwnedSessions {
  readonly #clock: Clock;
  readonly #deadlines: Pick<Deadlines, 'watch'>;
  readonly #sessions = new Map<string, Session>();
  readonly #byRun = new Map<string, readonly HeldBy[]>();

  /** `deadlines` are told of everything that comes to be held. */
  constructor(clock: Clock, deadlines: Pick<Deadlines, 'watch'>) {
    this.#clock = clock;
    this.#deadlines = deadlines;
  }

  values(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  /** All sessions as they are now, by id. */
  snapshot(): ReadonlyMap<string, Session> {
    return new Map(this.#sessions);
  }

  add(session: Session): void {
    this.#sessions.set(session.description.session, session);
  }

  /** Who holds a task of the run here; undefined = nobody. */
  holders(key: string): readonly HeldBy[] | undefined {
    return this.#byRun.get(key);
  }

  /** The newest event of the run that all its holders here know of; null = no worker of this server holds it. */
  seen(key: string): number | null {
    const holders = this.#byRun.get(key);
    if (holders === undefined) return null;
    return Math.min(...holders.map(({ held }) => Math.max(held.sentSeq, held.claimHead)));
  }

  /** The session holds a task that was claimed for it; `claimHead` as in `Held`. */
  hold(session: Session, task: TaskRow, claimHead: number): Held {
    const held: Held = {
      number: task.assignment ?? 0,
      key: runKey(task.tenant, task.run),
      lease: leaseOf(task),
      kind: task.kind,
      queue: task.queue,
      deadlineMs: task.deadlineMs,
      claimHead,
      sentSeq: -1,
      early: [],
      movedAtMs: this.#clock.monotonicMs(),
    };
    session.held.set(held.number, held);
    const entry: HeldBy = { session, held };
    this.#byRun.set(held.key, [...(this.#byRun.get(held.key) ?? noHolders), entry]);
    this.#deadlines.watch(held.movedAtMs + held.deadlineMs);
    return held;
  }

  drop(session: Session, held: Held): void {
    if (session.held.get(held.number) !== held) return;
    session.held.delete(held.number);
    const others = (this.#byRun.get(held.key) ?? noHolders).filter((entry) => entry.held !== held);
    if (others.length === 0) this.#byRun.delete(held.key);
    else this.#byRun.set(held.key, others);
  }

  /** Forgets a session that is over. What it leaves in the store is found there, whatever fails from here on. */
  detach(session: Session, reason: string): void {
    this.#forget(session);
    session.send({ t: 'goodbye', reason });
    session.channel?.close(reason);
    session.disconnect();
  }

  /** Another server owns the session, or will: its worker, if it is still here, comes back to whoever it is. */
  cede(session: Session): void {
    this.#forget(session);
    session.channel?.close('Another server has taken the session.');
    session.disconnect();
  }

  #forget(session: Session): void {
    session.ended = true;
    for (const held of [...session.held.values()]) this.drop(session, held);
    const { session: id } = session.description;
    if (this.#sessions.get(id) === session) this.#sessions.delete(id);
  }

  /** Ends all lines. Nothing is ended in the store. */
  stop(): void {
    for (const session of this.#sessions.values()) {
      session.channel?.close('The server is stopping.');
      session.disconnect();
    }
    this.#sessions.clear();
    this.#byRun.clear();
  }
}

const noHolders: readonly HeldBy[] = [];
