/**
 * One timer for the deadlines of all assignments. Nearly every task ends long before its deadline, and a timer for each
 * would be made and thrown away for nothing.
 *
 * Invariant: while something is watched, the timer is set for the earliest of what was watched, or for earlier.
 */
import type { CancelTimer, Ports } from '../../core/ports.js';

export class Deadlines {
  readonly #ports: Pick<Ports, 'clock' | 'timers'>;
  readonly #look: () => number | null;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #cancel: CancelTimer | null = null;

  /** `look` ends what is overdue and says at which monotonic time it wants to look again; null = not before `watch`. */
  constructor(ports: Pick<Ports, 'clock' | 'timers'>, look: () => number | null) {
    this.#ports = ports;
    this.#look = look;
  }

  /** Something is due at this monotonic time, unless it moves on before. */
  watch(dueAtMs: number): void {
    if (dueAtMs >= this.#wakeAtMs) return;
    const { clock, timers } = this.#ports;
    this.#cancel?.();
    this.#wakeAtMs = dueAtMs;
    this.#cancel = timers.after(Math.max(0, dueAtMs - clock.monotonicMs()), () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.#cancel = null;
      const nextAtMs = this.#look();
      if (nextAtMs !== null) this.watch(nextAtMs);
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
  }
}
