/**
 * Something of the server that a page reads again and again while somebody looks at it: the inbox of a user, one
 * approval. For what has no stream; it is at rest while nobody listens or the page is in the background, and several
 * views of the same thing share one.
 *
 * Invariant: the value is the same object until what was read differs, and of two readings under way at most one counts.
 */
import type { Pace } from '../client/index.js';
import type { Attention } from './attention.js';
import { asError, isPassing } from './run-watch.js';

/** What a reading needs of the page around it. */
export interface ReadingSettings {
  readonly pace: Pace;
  readonly attention: Attention;
  /** From one reading to the next, ms. */
  readonly everyMs: number;
}

/** What is known now. */
export interface Read<T> {
  /** What was read last; null = nothing was yet, or it cannot be read any more. */
  readonly value: T | null;
  /** Why the last reading has failed; null = it has not. With a value it may pass, without one it will not by itself. */
  readonly error: Error | null;
}

/** How long a reading goes on without listeners, ms. */
const lingerMs = 1_000;

/** The watch of such a thing, with the shape that every framework of views can use. */
export class Reading<T> {
  readonly #read: (signal: AbortSignal) => Promise<T>;
  readonly #settings: ReadingSettings;
  /** True for a value that will not change any more. */
  readonly #isFinal: (value: T) => boolean;
  readonly #listeners = new Set<() => void>();
  #now: Read<T> = { value: null, error: null };
  #text = '';
  #work: AbortController | null = null;
  #cancelNext: (() => void) | null = null;
  #cancelLinger: (() => void) | null = null;
  #endAttention: (() => void) | null = null;

  constructor(
    read: (signal: AbortSignal) => Promise<T>,
    settings: ReadingSettings,
    isFinal: (value: T) => boolean = () => false,
  ) {
    this.#read = read;
    this.#settings = settings;
    this.#isFinal = isFinal;
  }

  /** What is known now; the same object until it changes. */
  readonly get = (): Read<T> => this.#now;

  /** Calls `listener` after each change, and keeps reading meanwhile. Returns what ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    const own = (): void => listener();
    this.#listeners.add(own);
    this.#cancelLinger?.();
    this.#cancelLinger = null;
    if (this.#endAttention === null) {
      this.#endAttention = this.#settings.attention.onChange(() => this.#look());
      this.#look();
    }
    return () => {
      if (!this.#listeners.delete(own) || this.#listeners.size > 0) return;
      this.#cancelLinger = this.#settings.pace.after(lingerMs, () => this.#rest());
    };
  };

  /** Whether somebody listens. */
  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  /** Reads it now. Never rejects: what has failed is in the value. */
  async refresh(): Promise<void> {
    this.#cancelNext?.();
    this.#cancelNext = null;
    // What was asked before may be answered with what was there before.
    this.#work?.abort();
    const work = new AbortController();
    this.#work = work;
    try {
      const value = await this.#read(work.signal);
      if (this.#work === work) this.#take(value);
    } catch (error) {
      if (this.#work !== work || work.signal.aborted) return;
      this.#set({ value: isPassing(error) ? this.#now.value : null, error: asError(error) });
    } finally {
      if (this.#work === work) {
        this.#work = null;
        this.#plan();
      }
    }
  }

  /** Whoever looks at the page wants to see how it is now. */
  #look(): void {
    const { value } = this.#now;
    if (this.#settings.attention.isHidden() || (value !== null && this.#isFinal(value))) return;
    void this.refresh();
  }

  #plan(): void {
    if (this.#endAttention === null || this.#settings.attention.isHidden()) return;
    const { value } = this.#now;
    if (value !== null && this.#isFinal(value)) return;
    this.#cancelNext = this.#settings.pace.after(this.#settings.everyMs, () => this.#look());
  }

  #rest(): void {
    this.#endAttention?.();
    this.#endAttention = null;
    this.#cancelNext?.();
    this.#cancelNext = null;
    this.#work?.abort();
    this.#work = null;
  }

  #take(value: T): void {
    const text = JSON.stringify(value);
    if (text === this.#text && this.#now.value !== null && this.#now.error === null) return;
    const isSame = text === this.#text && this.#now.value !== null;
    this.#text = text;
    this.#set({ value: isSame ? this.#now.value : value, error: null });
  }

  #set(now: Read<T>): void {
    this.#now = now;
    for (const listener of [...this.#listeners]) listener();
  }
}
