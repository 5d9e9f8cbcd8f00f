/**
 * What is going to happen in a simulated world, as a binary heap. Invariant: `pop` gives the earliest event; among those
 * of one instant the seeded tie-break decides, and after it the order in which they were pushed.
 */
export interface HeapKey {
  /** Virtual time, ms. */
  readonly atMs: number;
  /** Decides between events of one instant. */
  readonly tie: number;
  /** Rises with every push. */
  readonly id: number;
}

/** A priority queue of events. */
export class EventHeap<E extends HeapKey> {
  readonly #events: E[] = [];

  get size(): number {
    return this.#events.length;
  }

  /** The earliest event, left where it is. */
  peek(): E | undefined {
    return this.#events[0];
  }

  push(event: E): void {
    const events = this.#events;
    let i = events.length;
    events.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = events[parent];
      if (above === undefined || !isBefore(event, above)) break;
      events[i] = above;
      i = parent;
    }
    events[i] = event;
  }

  pop(): E | undefined {
    const events = this.#events;
    const top = events[0];
    const last = events.pop();
    if (top === undefined || last === undefined || events.length === 0) return top;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      const a = events[left];
      if (a === undefined) break;
      const b = events[left + 1];
      const child = b !== undefined && isBefore(b, a) ? left + 1 : left;
      const below = events[child];
      if (below === undefined || !isBefore(below, last)) break;
      events[i] = below;
      i = child;
    }
    events[i] = last;
    return top;
  }
}

function isBefore(a: HeapKey, b: HeapKey): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  if (a.tie !== b.tie) return a.tie < b.tie;
  return a.id < b.id;
}
