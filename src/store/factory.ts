/**
 * How a store is named before it exists: a description that opens nothing until it is asked to, so that a program may
 * be imported, type-checked and built without touching a file.
 */
import type { Store } from './contract.js';

/** What `memory()`, `sqlite(...)` and other backends return. Opening happens in `open`, never before. */
export interface StoreFactory {
  /** Name of the backend, for messages: `memory`, `sqlite`. */
  readonly name: string;
  /** What the store lives in, e.g. the absolute path of its file: equal for factories of one store, absent where each open makes a new one. */
  readonly location?: string;
  /** Opens the store and takes ownership of it. Rejects with STORE_OWNED, STORE_TOO_NEW, STORE_UNSUITABLE or STORE_FAILED. */
  open(): Promise<Store>;
}
