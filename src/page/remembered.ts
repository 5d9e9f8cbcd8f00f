/**
 * Runs that a page remembers over a reload, each under a name of the page's choosing: one value in the storage of the
 * browser, which holds as long as the tab. Everybody who shows a name hears when it changes.
 *
 * Invariant: the same value is the same object until it changes, so that whoever compares by identity sees no change
 * where there is none.
 */
import { parsedRef, type RunRef } from './run-ref.js';

/** Of `sessionStorage`, what is used. */
export type PageStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

const prefix = 'eventspine:';

export class Remembered {
  readonly #storage: () => PageStorage | null;
  readonly #refs = new Map<string, RunRef | null>();
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor(storage: () => PageStorage | null) {
    this.#storage = storage;
  }

  get(name: string): RunRef | null {
    const known = this.#refs.get(name);
    if (known !== undefined) return known;
    const found = this.#read(name);
    this.#refs.set(name, found);
    return found;
  }

  /** Null forgets. */
  set(name: string, ref: RunRef | null): void {
    this.#refs.set(name, ref);
    try {
      if (ref === null) this.#storage()?.removeItem(prefix + name);
      else this.#storage()?.setItem(prefix + name, JSON.stringify(ref));
    } catch {
      // A browser that keeps nothing, or is full: the page remembers until it is left.
    }
    for (const listener of this.#listeners.get(name) ?? []) listener();
  }

  subscribe(name: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(name);
    };
  }

  #read(name: string): RunRef | null {
    try {
      return parsedRef(this.#storage()?.getItem(prefix + name) ?? null);
    } catch {
      return null;
    }
  }
}

/** The storage of the tab; null where there is none, or where the user has forbidden it. */
export function tabStorage(): PageStorage | null {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}
