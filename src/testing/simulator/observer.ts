/** Writes down every action of the store as it takes effect, and keeps the highest time of the store's clock. */
import type { ClaimedTask, LeaseKey, Outcome, Transition } from '../../store/index.js';
import type { History } from './history.js';
import type { StoreObserver } from './sim-store.js';
import type { World } from './world.js';

/** The observer of one simulation, over all lives of its server. */
export class Observer implements StoreObserver {
  /** Something was written since the last look. */
  changed = false;
  readonly #world: World;
  readonly #history: History;
  readonly #storeNow: () => number;
  #storeMs = 0;

  constructor(world: World, history: History, storeNow: () => number) {
    this.#world = world;
    this.#history = history;
    this.#storeNow = storeNow;
  }

  applied(transitions: readonly Transition[], outcomes: readonly Outcome[]): void {
    transitions.forEach((transition, i) => {
      const outcome = outcomes[i];
      if (outcome === undefined) return;
      this.#world.trace.text(outcome.tag);
      this.#history.actions.push({ kind: 'apply', transition, outcome, ...this.#when() });
    });
    this.changed = true;
  }

  claimed(claimed: readonly ClaimedTask[], epoch: number): void {
    this.#world.trace.number(claimed.length);
    if (claimed.length === 0) return;
    const shown = claimed.map(({ task, head }) => ({ task, head }));
    this.#history.actions.push({ kind: 'claim', claimed: shown, epoch, ...this.#when() });
    this.changed = true;
  }

  released(leases: readonly LeaseKey[], count: number): void {
    this.#history.actions.push({ kind: 'release', leases, count, ...this.#when() });
    this.changed = true;
  }

  owned(what: 'open' | 'take' | 'close', session: string, epoch: number): void {
    this.#history.actions.push({ kind: 'session', what, session, epoch, ...this.#when() });
  }

  dutyAsked(duty: string, epoch: number, held: boolean, ttlMs: number): void {
    const nowMs = this.#storeNow();
    this.#history.actions.push({ kind: 'duty', duty, epoch, held, nowMs, ttlMs, ...this.#when() });
  }

  closed(epoch: number): void {
    this.#history.actions.push({ kind: 'closed', epoch, ...this.#when() });
  }

  /** To be called before the clock is set back, so that its highest value is not forgotten. */
  clockMoves(): void {
    this.#storeMs = Math.max(this.#storeMs, this.#storeNow());
  }

  #when(): { readonly step: number; readonly storeMs: number; readonly atMs: number } {
    this.clockMoves();
    return { step: this.#world.steps, storeMs: this.#storeMs, atMs: this.#world.nowMs };
  }
}
