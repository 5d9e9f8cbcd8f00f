/**
 * A map for a table whose entries come and go all the time, such as the assignments of a session.
 *
 * V8 gives a `Map` that fills up a new table and leaves in the old one a link to the new, for the sake of iterators. Once
 * one dead table has reached the old generation it keeps every later one alive, with all that was in them, until the next
 * full collection: nearly everything that ever passed through is then copied again and again by the young collections.
 * Here the inner `Map` holds keys and small numbers only, and the values lie in slots that are emptied and used again.
 *
 * Invariant: a value is reachable from here exactly as long as its entry is in the map.
 */
export class SlotMap<K extends string | number, V> {
  readonly #slots = new Map<K, number>();
  readonly #values: (V | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#slots.size;
  }

  has(key: K): boolean {
    return this.#slots.has(key);
  }

  get(key: K): V | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#values[slot];
  }

  /** A key that is new goes to the end of the order. */
  set(key: K, value: V): void {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#free.pop() ?? this.#values.length;
      this.#slots.set(key, slot);
    }
    this.#values[slot] = value;
  }

  /** Returns whether there was an entry. */
  delete(key: K): boolean {
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    this.#slots.delete(key);
    this.#values[slot] = undefined;
    this.#free.push(slot);
    return true;
  }

  clear(): void {
    this.#slots.clear();
    this.#values.length = 0;
    this.#free.length = 0;
  }

  keys(): IterableIterator<K> {
    return this.#slots.keys();
  }

  /** In order of insertion; entries may be added and deleted meanwhile, as with a `Map`. */
  *values(): IterableIterator<V> {
    // A slot that is in use holds a value of type V, which may itself be undefined.
    for (const slot of this.#slots.values()) yield this.#values[slot] as V;
  }

  *[Symbol.iterator](): IterableIterator<[K, V]> {
    for (const [key, slot] of this.#slots) yield [key, this.#values[slot] as V];
  }
}
