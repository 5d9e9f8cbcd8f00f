/**
 * Runs that a page remembers over a reload, each under a name of the page's choosing: one value in the storage of the
 * browser, which holds as long as the tab. Everybody who shows a name hears when it changes.
 *
 * Invariant: the same value is the same object until it changes, so that whoever compares by identity sees no change
 * where there is none.
 */
import { refIn, type RunRef } from './run-ref.js';

/** A start that is under way: enough to ask again under the same key, which starts nothing twice. */
export interface BegunStart {
  readonly workflow: string;
  readonly input: unknown;
  readonly key: string;
}

/** Of `sessionStorage`, what is used. */
export type PageStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

const prefix = 'eventspine:';
const begunPrefix = 'eventspine-start:';

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
    const found = refIn(this.#read(prefix + name));
    this.#refs.set(name, found);
    return found;
  }

  /** Null forgets. */
  set(name: string, ref: RunRef | null): void {
    this.#refs.set(name, ref);
    this.#write(prefix + name, ref);
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

  /** A start under this name that a reload has cut off; null = there is none. */
  begun(name: string): BegunStart | null {
    const value = this.#read(begunPrefix + name);
    if (typeof value !== 'object' || value === null) return null;
    const { workflow, input, key } = value as Readonly<Record<string, unknown>>;
    return typeof workflow === 'string' && typeof key === 'string' ? { workflow, input, key } : null;
  }

  /** Notes that a start is under way; null = it is not any more, whatever came of it. */
  begin(name: string, start: BegunStart | null): void {
    this.#write(begunPrefix + name, start);
  }

  #read(key: string): unknown {
    try {
      const text = this.#storage()?.getItem(key) ?? null;
      return text === null ? null : (JSON.parse(text) as unknown);
    } catch {
      return null;
    }
  }

  /** A browser that keeps nothing, or is full: the page remembers until it is left. */
  #write(key: string, value: unknown): void {
    try {
      if (value === null) this.#storage()?.removeItem(key);
      else this.#storage()?.setItem(key, JSON.stringify(value));
    } catch {
      return;
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
