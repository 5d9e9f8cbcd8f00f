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
  readonly #reading = new Map<string, Promise<Belief>>();
  #eras = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** What the entry holds, when all that is on its way is written. Those who wait are answered in the order of their calls. */
  async read(tenant: string, place: EntryKey): Promise<Belief> {
    const name = nameOf(tenant, place);
    const known = this.#believed.get(name);
    if (known !== undefined) return known;
    let reading = this.#reading.get(name);
    if (reading === undefined) {
      reading = this.#load(tenant, place, name);
      this.#reading.set(name, reading);
    }
    await reading;
    // Who was answered before may have gone on from it.
    return this.#believed.get(name) ?? reading;
  }

  /** A transition is on its way that expects `before` and writes the entry. */
  writes(tenant: string, place: EntryKey, before: Belief, value: string): void {
    this.#remember(nameOf(tenant, place), { value, era: before.era });
  }

  /** A transition that expected the value was refused. Those behind it say so, too; by then there may be a new era. */
  doubt(tenant: string, place: EntryKey, before: Belief): void {
    const name = nameOf(tenant, place);
    if (this.#believed.get(name)?.era === before.era) this.#believed.delete(name);
  }

  async #load(tenant: string, place: EntryKey, name: string): Promise<Belief> {
    try {
      const row = await readEntry(this.#store, tenant, place);
      const belief = { value: row?.value ?? null, era: ++this.#eras };
      this.#remember(name, belief);
      return belief;
    } finally {
      this.#reading.delete(name);
    }
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
