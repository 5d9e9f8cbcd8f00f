/**
 * Carries out what callers have left in transactions of their own. Nobody tells of a commit, and no process can: so one
 * server asks for what is there several times a second, and the server where something was left asks sooner.
 *
 * Invariant: nothing here believes that a transaction has committed; only what can be read has. Whatever is done twice,
 * here or on two servers, is done once (see `Outbox.settle`).
 */
import type { CancelTimer } from '../../core/ports.js';
import type { LeaveOutcome, Outbox, OutboxEntry, Outcome, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { HeldDuty } from '../upkeep/held-duty.js';

/** Pause between two questions of the server that has the duty. */
export const outboxEveryMs = 250;
/** After something was left here it is asked for after these times, each after the one before; then the duty finds it. */
const soonMs = [10, 20, 40, 80, 160] as const;
/** Entries carried out at once, and how often in one go. */
const batchItems = 256;
const roundsMax = 40;

export class OutboxDuty {
  readonly #context: EngineContext;
  readonly #outbox: Outbox;
  readonly #settled: (transitions: readonly Transition[]) => void;
  readonly #duty: HeldDuty;
  #draining: Promise<number> | null = null;
  #next: Promise<number> | null = null;
  #cancel: CancelTimer | null = null;
  #stopped = false;

  /** `settled` hears of what was carried out here. */
  constructor(context: EngineContext, outbox: Outbox, settled: (transitions: readonly Transition[]) => void) {
    this.#context = context;
    this.#outbox = outbox;
    this.#settled = settled;
    this.#duty = new HeldDuty(context, 'outbox');
  }

  /** Leaves a transition in the transaction of a caller, and looks for it soon. See `Outbox.leave`. */
  async leave(tx: unknown, transition: Transition): Promise<LeaveOutcome> {
    const outcome = await this.#outbox.leave(tx, transition);
    this.#lookSoon(0);
    return outcome;
  }

  /** A round of the duty, on the one server that has it. */
  async tick(): Promise<void> {
    if (await this.#duty.hold()) await this.drain();
  }

  /** Carries out everything that was committed before the call. Returns how much it found. Safe at any time, anywhere. */
  drain(): Promise<number> {
    // One that is under way may have looked before that commit; those who ask meanwhile share the one after it.
    if (this.#draining === null) {
      this.#draining = this.#drain().finally(() => {
        this.#draining = null;
      });
      return this.#draining;
    }
    this.#next ??= this.#draining
      .catch(() => 0)
      .then(() => {
        this.#next = null;
        return this.drain();
      });
    return this.#next;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = null;
    await this.#draining?.catch(() => undefined);
    await this.#next?.catch(() => undefined);
  }

  #lookSoon(step: number): void {
    const ms = soonMs[step];
    if (this.#stopped || ms === undefined) return;
    this.#cancel?.();
    this.#cancel = this.#context.ports.timers.after(ms, () => {
      this.#cancel = null;
      this.drain().catch((error: unknown) => this.#context.fault('outbox', error));
      this.#lookSoon(step + 1);
    });
  }

  async #drain(): Promise<number> {
    let found = 0;
    for (let round = 0; round < roundsMax && !this.#stopped; round++) {
      const entries = await this.#outbox.read(batchItems);
      if (entries.length === 0) return found;
      found += entries.length;
      const outcomes = await this.#outbox.settle(entries);
      this.#settled(entries.filter((_, i) => outcomes[i]?.tag === 'applied').map(({ transition }) => transition));
      for (const [i, entry] of entries.entries()) await this.#clear(entry, outcomes[i]);
    }
    return found;
  }

  /** What is not to be carried out, or cannot be, does not stand in the way of what comes after it. */
  async #clear({ id, transition }: OutboxEntry, outcome: Outcome | undefined): Promise<void> {
    if (outcome === undefined) throw new Error('Invariant broken: the store answered fewer outcomes than entries');
    switch (outcome.tag) {
      case 'applied':
      case 'fenced':
        return;
      case 'duplicate': {
        const [key] = transition.dedupe ?? [];
        // An event is known by its id alone, as in `publish`.
        if (transition.publishes !== undefined || key?.hash === outcome.found.hash) return this.#outbox.drop(id);
        return this.#refuse(
          id,
          `key ${outcome.found.key} was taken meanwhile by ${outcome.found.reference}, for another input`,
        );
      }
      case 'unstorable':
        return this.#refuse(id, outcome.reason);
      case 'conflict':
        return this.#refuse(id, `run ${outcome.run} is there already`);
    }
  }

  async #refuse(id: number, reason: string): Promise<void> {
    await this.#outbox.refuse(id, reason);
    this.#context.log({
      level: 'error',
      message: 'what a caller has committed cannot be carried out',
      fields: { entry: id, reason },
    });
  }
}
