/**
 * The heartbeats of workers on their way to the store, and what the answers say: which sessions are still this server's,
 * and whether the store can be reached at all.
 *
 * Invariant: where there are neighbours, what only the owner of a session may do follows an answer of the store by which
 * this server is the owner still.
 */
import type { SessionBeat } from '../../store/contract.js';
import type { WorkerChannel } from '../api.js';
import type { EngineContext } from '../context.js';
import type { OwnedSessions } from './owned-sessions.js';
import type { Pulses } from './pulses.js';
import type { Session } from './session.js';

export class Heartbeats {
  readonly #context: EngineContext;
  readonly #sessions: OwnedSessions;
  readonly #pulses: Pulses;
  /** Beats that came here although another server owns the session, since they were last stored. */
  readonly #beatsOfOthers = new Map<string, SessionBeat>();
  /**
   * Monotonic time at which the last background duty that the store has answered was asked. Not that of the answer: it may
   * have lain here while this process stood still.
   */
  #reachedAtMs: number;

  constructor(context: EngineContext, sessions: OwnedSessions, pulses: Pulses) {
    this.#context = context;
    this.#sessions = sessions;
    this.#pulses = pulses;
    this.#reachedAtMs = context.ports.clock.monotonicMs();
  }

  /** A worker has sent its heartbeat, over whichever line. */
  beat(id: string, n: number, received: number, channel: WorkerChannel): void {
    const session = this.#sessions.get(id);
    if (this.isCutOff()) return channel.close('This server cannot reach the store.');
    if (session?.ended === true) {
      channel.send({ t: 'goodbye', reason: 'SESSION_GONE' });
      return;
    }
    if (session !== undefined) {
      session.counter = Math.max(session.counter, n);
      session.received = Math.max(session.received, received);
    } else if (this.#context.store.shared) this.#beatsOfOthers.set(id, { session: id, counter: n, received });
    this.#pulses.heard(id, n, received);
  }

  /** Stores the heartbeats of the sessions of this engine. */
  async store(): Promise<void> {
    const beats: SessionBeat[] = [...this.#sessions.values()]
      .filter((s) => !s.ended)
      .map((s) => ({ session: s.description.session, counter: s.counter, received: s.received }));
    beats.push(...this.#beatsOfOthers.values());
    this.#beatsOfOthers.clear();
    if (beats.length === 0) return;
    const { store } = this.#context;
    const beating = this.#sessions.snapshot();
    const askedAtMs = this.#context.ports.clock.monotonicMs();
    let missing: readonly string[];
    try {
      missing = await store.beat(beats);
    } catch (error) {
      this.#turnAway();
      throw error;
    }
    this.reached(askedAtMs);
    for (const gone of missing) {
      const session = this.#sessions.get(gone);
      // One that was taken back meanwhile is owned again.
      if (session === undefined || session !== beating.get(gone)) continue;
      // Where there are neighbours it may be theirs now; if it is over, whoever is asked to take it up will say so.
      if (store.shared) this.#sessions.cede(session);
      else this.#sessions.detach(session, 'SESSION_GONE');
    }
  }

  /** The store has answered a background duty that was asked at that monotonic time. */
  reached(askedAtMs: number): void {
    this.#reachedAtMs = Math.max(this.#reachedAtMs, askedAtMs);
  }

  /** Asks the store, where there are neighbours, before something is done that only the owner may do. */
  async stillOwns(session: Session): Promise<boolean> {
    if (this.#context.store.shared) await this.store();
    return !session.ended;
  }

  /**
   * Whether the store has not answered for so long that workers are better off with another server. Also true for a moment
   * after this process stood still for so long: what it would say then may be done with by others.
   */
  isCutOff(): boolean {
    const { store, ports, settings } = this.#context;
    return store.shared && ports.clock.monotonicMs() - this.#reachedAtMs > settings.sessionDeadMs / 2;
  }

  #turnAway(): void {
    if (!this.isCutOff()) return;
    for (const session of this.#sessions.values()) {
      session.channel?.close('This server cannot reach the store.');
      session.disconnect();
    }
  }
}
