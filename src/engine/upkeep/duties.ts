/** Background duties of an engine beside timers: heartbeats, reaping, correction of hints, retention. Each is bounded. */
import type { CancelTimer } from '../../core/ports.js';
import type { EngineContext } from '../context.js';

export interface Duty {
  readonly name: string;
  readonly everyMs: number;
  /** One bounded round. */
  readonly tick: () => Promise<void>;
}

/** Calls each duty again and again with its pause between rounds; rounds of one duty never overlap. */
export class Duties {
  readonly #context: EngineContext;
  readonly #duties: readonly Duty[];
  readonly #cancels = new Map<string, CancelTimer>();
  readonly #running = new Map<string, Promise<void>>();
  #started = false;

  constructor(context: EngineContext, duties: readonly Duty[]) {
    this.#context = context;
    this.#duties = duties;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    for (const duty of this.#duties) this.#schedule(duty);
  }

  async stop(): Promise<void> {
    this.#started = false;
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
    await Promise.all(this.#running.values());
  }

  #schedule(duty: Duty): void {
    if (!this.#started) return;
    const cancel = this.#context.ports.timers.after(duty.everyMs, () => {
      const round = duty
        .tick()
        .catch((error: unknown) => this.#context.fault(duty.name, error))
        .finally(() => {
          this.#running.delete(duty.name);
          this.#schedule(duty);
        });
      this.#running.set(duty.name, round);
    });
    this.#cancels.set(duty.name, cancel);
  }
}
