/**
 * Since when each session has been silent, on the monotonic clock of this engine: a jump of a wall clock ends nobody.
 * Every server watches all sessions, so that whoever reaps next knows.
 *
 * Invariant: only a counter that rises, or a stall of this very process, moves the moment since which a session is silent.
 */
import type { Clock } from '../../core/ports.js';
import type { SessionBeat } from '../../store/contract.js';

/** Movement of a session's heartbeat, on the monotonic clock of this engine. */
interface Pulse {
  counter: number;
  received: number;
  movedAtMs: number;
}

export class Pulses {
  readonly #clock: Clock;
  readonly #sessionDeadMs: number;
  readonly #pulses = new Map<string, Pulse>();
  /** Monotonic time of the last round of the reaper. */
  #reapedAtMs: number | null = null;

  /** `sessionDeadMs`: after how long a session that is silent is dead. */
  constructor(clock: Clock, sessionDeadMs: number) {
    this.#clock = clock;
    this.#sessionDeadMs = sessionDeadMs;
  }

  /** The session was opened here, or taken up again: it is alive now. */
  begin({ session, counter, received }: SessionBeat): void {
    this.#pulses.set(session, { counter, received, movedAtMs: this.#clock.monotonicMs() });
  }

  /** The session is over. */
  end(id: string): void {
    this.#pulses.delete(id);
  }

  /** Forgets all sessions but these. */
  keepOnly(isKept: (id: string) => boolean): void {
    for (const id of this.#pulses.keys()) if (!isKept(id)) this.#pulses.delete(id);
  }

  /** A beat came over a line. Beats of sessions that nobody has begun or observed say nothing. */
  heard(id: string, counter: number, received: number): void {
    const pulse = this.#pulses.get(id);
    if (pulse === undefined) return;
    // Beats come over two lines and may overtake each other; what was received was received.
    pulse.received = Math.max(pulse.received, received);
    if (counter > pulse.counter) {
      pulse.counter = counter;
      pulse.movedAtMs = this.#clock.monotonicMs();
    }
  }

  /** The highest beat that is known here; 0 = none. */
  counterOf(id: string): number {
    return this.#pulses.get(id)?.counter ?? 0;
  }

  /** What the store has of the session, read in a round that began at `now`. Returns for how long it is silent, ms. */
  observed(row: SessionBeat, now: number): number {
    const pulse = this.#pulses.get(row.session);
    if (pulse === undefined) {
      this.#pulses.set(row.session, { counter: row.counter, received: row.received, movedAtMs: now });
      return 0;
    }
    if (row.counter <= pulse.counter) return now - pulse.movedAtMs;
    pulse.counter = row.counter;
    pulse.received = Math.max(pulse.received, row.received);
    pulse.movedAtMs = now;
    return 0;
  }

  /** The highest assignment that the session is known to have received, given that it has received this one. */
  raiseReceived(id: string, received: number): number {
    const pulse = this.#pulses.get(id);
    if (pulse === undefined) return received;
    pulse.received = Math.max(pulse.received, received);
    return pulse.received;
  }

  /**
   * A round of the reaper begins. While this process stood still it could hear nobody: that time is not held against
   * the sessions.
   */
  excuseOwnStall(now: number): void {
    const stallMs = now - (this.#reapedAtMs ?? now) - this.#sessionDeadMs / 2;
    this.#reapedAtMs = now;
    if (stallMs <= 0) return;
    for (const pulse of this.#pulses.values()) pulse.movedAtMs += stallMs;
  }
}
