/** What a bridge has done and how it stands, for views and metrics. Counts only rise while the server runs. */
import type { BridgeState } from '../../protocol/http.js';
import type { EngineContext } from '../context.js';

/** How far a bridge is behind in one partition. */
export interface BridgeLag {
  /** Partition of the side that it reads; null = all of them together. */
  readonly partition: number | null;
  readonly count: bigint;
  /** Age of the oldest message that is behind; null = not known. */
  readonly ageMs: number | null;
}

export class BridgeTally {
  readonly #context: Pick<EngineContext, 'ports' | 'log'>;
  readonly #bridge: string;
  state: BridgeState = 'starting';
  error: string | null = null;
  /** Since when it is in this state, on the monotonic clock. */
  sinceMs: number;
  moved = 0;
  duplicates = 0;
  dead = 0;
  /** Events of ours that retention has taken before they went out. */
  missed = 0;
  lag: readonly BridgeLag[] = [];

  constructor(context: Pick<EngineContext, 'ports' | 'log'>, bridge: string) {
    this.#context = context;
    this.#bridge = bridge;
    this.sinceMs = context.ports.clock.monotonicMs();
  }

  /** Notes a state, and logs what changed. */
  is(state: BridgeState, error: unknown = null): void {
    const text = error === null ? null : error instanceof Error ? error.message : JSON.stringify(error);
    if (state === this.state && text === this.error) return;
    if (state !== this.state) this.sinceMs = this.#context.ports.clock.monotonicMs();
    this.state = state;
    this.error = text;
    this.#context.log({
      level: state === 'failed' ? 'warn' : 'info',
      message: `bridge ${this.#bridge} is ${state}`,
      ...(text === null ? {} : { fields: { reason: text } }),
    });
  }
}
