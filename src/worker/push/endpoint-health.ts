/**
 * How much an endpoint is sent: fewer tasks at a time when it says that it is busy, none for a while when it does not
 * answer, and then one to see whether it does again.
 *
 * Invariant: there is always an instant from which something is sent again.
 */
import { limits } from '../../core/limits.js';
import type { CancelTimer, Ports } from '../../core/ports.js';
import type { SlotGate } from '../worker.js';

export class EndpointHealth implements SlotGate {
  readonly #ports: Pick<Ports, 'clock' | 'timers' | 'random'>;
  readonly #concurrency: number;
  /** Rises by one for each full round of successes, halves when the endpoint is busy. */
  #slots: number;
  #failures = 0;
  #pauses = 0;
  #pausedUntilMs = 0;
  #reason: string | null = null;
  #cancel: CancelTimer = () => {};
  #onWider: () => void = () => {};

  constructor(ports: Pick<Ports, 'clock' | 'timers' | 'random'>, concurrency: number) {
    this.#ports = ports;
    this.#concurrency = concurrency;
    this.#slots = concurrency;
  }

  slots(): number {
    if (this.pausedForMs > 0) return 0;
    return this.#failures >= limits.pushFailuresMax ? 1 : Math.max(1, Math.floor(this.#slots));
  }

  onWider(fn: () => void): void {
    this.#onWider = fn;
  }

  /** How long nothing is sent, ms; 0 = something is. */
  get pausedForMs(): number {
    return Math.max(0, this.#pausedUntilMs - this.#ports.clock.monotonicMs());
  }

  /** What was wrong last; null = nothing is. */
  get reason(): string | null {
    return this.#reason;
  }

  succeeded(): void {
    const wasNarrow = this.#slots < this.#concurrency || this.#failures > 0;
    this.#failures = 0;
    this.#pauses = 0;
    this.#reason = null;
    this.#slots = Math.min(this.#concurrency, this.#slots + 1 / this.#slots);
    if (wasNarrow) this.#onWider();
  }

  /** It takes nothing just now: it was not begun. */
  busy(reason: string, retryAfterMs: number | null): void {
    this.#slots = Math.max(1, this.#slots / 2);
    this.#pause(reason, retryAfterMs);
  }

  /** It did not answer, or not as an endpoint does. */
  failed(reason: string): void {
    this.#failures += 1;
    this.#reason = reason;
    if (this.#failures >= limits.pushFailuresMax) this.#pause(reason, null);
  }

  stop(): void {
    this.#cancel();
  }

  #pause(reason: string, askedMs: number | null): void {
    this.#reason = reason;
    // What was sent side by side comes back side by side, and is one reason to wait.
    if (this.pausedForMs > 0 && askedMs === null) return;
    const { clock, timers, random } = this.#ports;
    const ceilingMs = Math.min(limits.pushPauseMsMax, limits.pushPauseMsMin * 2 ** Math.min(this.#pauses, 20));
    this.#pauses += 1;
    const ms = askedMs === null ? ceilingMs * (0.5 + random.next() / 2) : Math.min(askedMs, limits.pushPauseMsMax);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, clock.monotonicMs() + ms);
    this.#cancel();
    this.#cancel = timers.after(this.pausedForMs + 1, () => this.#onWider());
  }
}
