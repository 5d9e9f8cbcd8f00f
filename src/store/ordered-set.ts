/**
 * A set kept in order: chunks of sorted arrays, so that insertion and removal cost a binary search and a short move
 * at any size. The in-memory store's only index structure. Invariant: no chunk is empty, and chunks do not overlap.
 */
const chunkItemsMax = 512;

export class OrderedSet<T> {
  readonly #compare: (a: T, b: T) => number;
  #chunks: T[][] = [];
  #size = 0;

  /** `compare` must be a total order over the items; two items that compare equal are the same item. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds the item; one that compares equal is replaced. */
  add(item: T): void {
    const at = this.#chunkFor(item);
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([item]);
      this.#size = 1;
      return;
    }
    const index = this.#lowerBound(chunk, item);
    const found = chunk[index];
    if (found !== undefined && this.#compare(found, item) === 0) {
      chunk[index] = item;
      return;
    }
    chunk.splice(index, 0, item);
    this.#size += 1;
    if (chunk.length > chunkItemsMax) this.#chunks.splice(at + 1, 0, chunk.splice(chunk.length >> 1));
  }

  /** Removes the item that compares equal. Returns whether there was one. */
  delete(item: T): boolean {
    const at = this.#chunkFor(item);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return false;
    const index = this.#lowerBound(chunk, item);
    const found = chunk[index];
    if (found === undefined || this.#compare(found, item) !== 0) return false;
    chunk.splice(index, 1);
    this.#size -= 1;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
    return true;
  }

  first(): T | undefined {
    return this.#chunks[0]?.[0];
  }

  /** The items in order. The set must not change while the walk goes on. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** The items after `item` in order, or before it from the nearest down. `item` need not be in the set. */
  *walk(item: T | null, direction: 'up' | 'down'): Generator<T, void, undefined> {
    if (direction === 'up') yield* this.#up(item);
    else yield* this.#down(item);
  }

  *#up(item: T | null): Generator<T, void, undefined> {
    const start = item === null ? 0 : this.#chunkFor(item);
    for (let c = start; c < this.#chunks.length; c++) {
      for (const candidate of this.#chunks[c] ?? []) {
        if (item === null || this.#compare(candidate, item) > 0) yield candidate;
      }
    }
  }

  *#down(item: T | null): Generator<T, void, undefined> {
    const start = item === null ? this.#chunks.length - 1 : this.#chunkFor(item);
    for (let c = start; c >= 0; c--) {
      const chunk = this.#chunks[c] ?? [];
      for (let i = chunk.length - 1; i >= 0; i--) {
        const candidate = chunk[i] as T;
        if (item === null || this.#compare(candidate, item) < 0) yield candidate;
      }
    }
  }

  /** Index of the chunk that holds the item or would take it: the last one whose first item is not greater. */
  #chunkFor(item: T): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const first = this.#chunks[middle]?.[0] as T;
      if (this.#compare(first, item) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #lowerBound(chunk: readonly T[], item: T): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(chunk[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
