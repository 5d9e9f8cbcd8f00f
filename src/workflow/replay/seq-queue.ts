/**
 * A queue by `seq`: the lowest comes first, whenever it was put in. A binary heap, because a replay asks for thousands of
 * recorded results in any order.
 */

/** Anything that has a place in the history of a run. */
export interface Sequenced {
  readonly seq: number;
}

/** See the top of the module. */
export class SeqQueue<T extends Sequenced> {
  readonly #heap: T[] = [];

  /** The item with the lowest `seq`; undefined = empty. */
  peek(): T | undefined {
    return this.#heap[0];
  }

  push(item: T): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || parent.seq <= item.seq) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = item;
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#sink(last);
    return first;
  }

  /** Puts `item` in at the top and moves it down to its place. */
  #sink(item: T): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      const left = heap[down];
      const right = heap[down + 1];
      let child = left;
      if (left !== undefined && right !== undefined && right.seq < left.seq) {
        child = right;
        down += 1;
      }
      if (child === undefined || item.seq <= child.seq) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = item;
  }
}
