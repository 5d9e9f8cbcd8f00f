/**
 * Entries that move with each of many transitions, several of which are on their way to the store at the same time. What
 * the one before is about to write is what the next one expects: the store carries them out in their order, so that they
 * need not wait for each other. Where one of them is refused, those behind it are, too, and all begin again from what is
 * stored.
 *
 * Invariant: a value is believed only until a transition that expects it was refused.
 */
import type { EntryKey, Store } from '../../store/contract.js';
import { readEntry } from './cursors.js';

/** What an entry is believed to hold; null = it is not there. */
export interface Belief {
  readonly value: string | null;
  /** What was read and what was written after it have one era. */
  readonly era: number;
}

export class PipelinedEntries {
  readonly #store: Store;
  readonly #believed = new Map<string, Belief>();
  readonly #reading = new Map<string, Promise<void>>();
  #eras = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Moves an entry on from what it holds when all that is on its way is written; those who wait have their turns in the
   * order of their calls. `next` gives the value that a transition is about to write; null = it writes nothing after all.
   */
  async advance<T>(
    tenant: string,
    place: EntryKey,
    next: (before: string | null) => { readonly value: string | null; readonly result: T },
  ): Promise<{ readonly before: Belief; readonly result: T }> {
    const name = nameOf(tenant, place);
    if (!this.#believed.has(name)) await this.#load(tenant, place, name);
    // Nothing may come between this look and the note of what is to be written.
    const before = this.#believed.get(name) ?? { value: null, era: 0 };
    const { value, result } = next(before.value);
    if (value !== null) this.#remember(name, { value, era: before.era });
    return { before, result };
  }

  /** A transition that expected the value was refused. Those behind it say so, too; by then there may be a new era. */
  doubt(tenant: string, place: EntryKey, before: Belief): void {
    const name = nameOf(tenant, place);
    if (this.#believed.get(name)?.era === before.era) this.#believed.delete(name);
  }

  async #load(tenant: string, place: EntryKey, name: string): Promise<void> {
    let reading = this.#reading.get(name);
    if (reading === undefined) {
      reading = readEntry(this.#store, tenant, place)
        .then((row) => this.#remember(name, { value: row?.value ?? null, era: ++this.#eras }))
        .finally(() => this.#reading.delete(name));
      this.#reading.set(name, reading);
    }
    await reading;
  }

  #remember(name: string, belief: Belief): void {
    this.#believed.delete(name);
    this.#believed.set(name, belief);
    const [oldest] = this.#believed.keys();
    if (this.#believed.size > believedMax && oldest !== undefined) this.#believed.delete(oldest);
  }
}

function nameOf(tenant: string, { space, key, ref }: EntryKey): string {
  return [tenant, space, key, ref].join('\0');
}

/** Entries that are remembered. The one that was written longest ago goes first. */
const believedMax = 10_000;
