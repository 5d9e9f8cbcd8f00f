/**
 * Health that tells the truth: not ready when the store has failed or is full, and when work is ready, could be taken,
 * and nobody takes it. A system that accepts work and does none of it is not healthy, however well it answers.
 */
import type { QueueStats } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { sessionInfo } from '../dispatch/session-info.js';

export class Health {
  readonly #context: EngineContext;
  readonly #dispatcher: Dispatcher;
  readonly #startedAtMs: number;
  readonly #others: (afterMs: number) => string[];
  #storeFailure: Error | null = null;

  /** `others` tells of what else has not worked for so long. */
  constructor(context: EngineContext, dispatcher: Dispatcher, others: (afterMs: number) => string[] = () => []) {
    this.#others = others;
    this.#context = context;
    this.#dispatcher = dispatcher;
    this.#startedAtMs = context.ports.clock.monotonicMs();
    void context.store.failed.then((error) => {
      this.#storeFailure = error;
    });
  }

  get uptimeMs(): number {
    return Math.round(this.#context.ports.clock.monotonicMs() - this.#startedAtMs);
  }

  /** Why the engine is not ready; empty = it is. `accepts`: work can be recorded all the same. */
  async faults(): Promise<{ readonly accepts: boolean; readonly reasons: string[] }> {
    if (this.#storeFailure !== null) {
      return { accepts: false, reasons: [`The store has failed: ${this.#storeFailure.message}`] };
    }
    try {
      const stats = await this.#context.store.queueStats();
      const stuck = stats.map((queue) => this.#stuck(queue)).filter((fault) => fault !== null);
      const others = this.#others(this.#context.settings.stuckAfterMs);
      if (stuck.length === 0) return { accepts: true, reasons: others };
      const elsewhere = await this.#servedElsewhere();
      const told = stuck.filter(({ unserved }) => unserved === null || !elsewhere.has(unserved));
      return { accepts: true, reasons: [...told.map(({ text }) => text), ...others] };
    } catch (error) {
      const reason = `The store does not answer: ${error instanceof Error ? error.message : String(error)}`;
      return { accepts: false, reasons: [reason] };
    }
  }

  /** Queues that workers of other servers serve: what they leave lying is for those servers to report. */
  async #servedElsewhere(): Promise<ReadonlySet<string>> {
    const { store } = this.#context;
    if (!store.shared) return new Set();
    const rows = (await store.listSessions()).filter((row) => row.owner !== store.epoch);
    return new Set(rows.flatMap((row) => sessionInfo(row).queues ?? []));
  }

  /** `unserved` = the queue, where nobody who is connected here serves it. */
  #stuck(stats: QueueStats): { readonly text: string; readonly unserved: string | null } | null {
    const { stuckAfterMs } = this.#context.settings;
    if (stats.ready === 0 || stats.oldestReadyAt === null) return null;
    const ageMs = this.#context.store.now() - stats.oldestReadyAt;
    const nowMs = this.#context.ports.clock.monotonicMs();
    const lastClaimMs = this.#dispatcher.lastClaimMs(stats.queue) ?? this.#startedAtMs;
    if (ageMs < stuckAfterMs || nowMs - lastClaimMs < stuckAfterMs) return null;
    const serving = [...this.#dispatcher.sessions()].filter(
      (s) => s.channel !== null && s.description.queues.includes(stats.queue),
    );
    const text = `Queue ${stats.queue} has ${stats.ready} ready tasks, the oldest for ${Math.round(ageMs / 1000)} s, and`;
    if (serving.length === 0) return { text: `${text} no worker serves it.`, unserved: stats.queue };
    // All slots busy is load, not a fault.
    const free = serving.filter((s) => s.credit > 0);
    if (free.length === 0) return null;
    return { text: `${text} nothing is taken although ${free.length} workers have free slots.`, unserved: null };
  }
}
