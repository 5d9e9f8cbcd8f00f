/**
 * A duty that one server of a shared store holds, asked for again while it is held. Who holds it may believe so for a moment
 * longer than it does: what must not be done twice needs a fence of its own.
 */
import type { EngineContext } from '../context.js';

/** How long a duty is held, and after what time it is asked for again, ms. */
const dutyMs = 3_000;
export const renewMs = 1_000;

export class HeldDuty {
  readonly #context: EngineContext;
  readonly #name: string;
  readonly #onTaken: () => void;
  #isHolding = false;
  #askAtMs = Number.NEGATIVE_INFINITY;

  /** `onTaken`: called when it is had after it was not. A store that is not shared has one server, which has every duty. */
  constructor(context: EngineContext, name: string, onTaken: () => void = () => undefined) {
    this.#context = context;
    this.#name = name;
    this.#onTaken = onTaken;
  }

  /** Whether this server has the duty; asks the store at most once in `renewMs`. */
  async hold(): Promise<boolean> {
    const { store, ports } = this.#context;
    if (!store.shared) return true;
    const nowMs = ports.clock.monotonicMs();
    if (nowMs < this.#askAtMs) return this.#isHolding;
    this.#askAtMs = nowMs + renewMs;
    const isHeld = await store.holdDuty(this.#name, dutyMs);
    if (isHeld && !this.#isHolding) this.#onTaken();
    this.#isHolding = isHeld;
    return isHeld;
  }

  /** Something says that another has it: the next `hold` asks the store. */
  doubt(): void {
    this.#askAtMs = Number.NEGATIVE_INFINITY;
  }
}
