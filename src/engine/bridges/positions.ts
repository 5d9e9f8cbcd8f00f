/**
 * How far a bridge is in each partition, as its store knows: read when it gets a partition, and moved by compare-and-put, so
 * that of two who believe to have a partition the slower writes nothing.
 */
import { bridgeOffsetSpace, type BridgePosition } from '../../core/topics/bridge.js';
import type { EntryWrite, Store } from '../../store/contract.js';

/** Where one partition stands. */
interface Known {
  readonly next: bigint;
  /** The entry as it is stored; null = there is none. */
  readonly text: string | null;
}

export class Positions {
  readonly #store: Store;
  readonly #tenant: string;
  readonly #bridge: string;
  readonly #known = new Map<string, Known>();

  constructor(store: Store, tenant: string, bridge: string) {
    this.#store = store;
    this.#tenant = tenant;
    this.#bridge = bridge;
  }

  /** Offset of the next message, as it was read or written last here; null = no position. */
  next(ref: string): bigint | null {
    const known = this.#known.get(ref);
    return known === undefined || known.text === null ? null : known.next;
  }

  /** Asks the store anew. */
  async read(refs: readonly string[]): Promise<(bigint | null)[]> {
    const stored = new Map<string, string>();
    const key = this.#bridge;
    for (let after = ''; ; ) {
      const page = await this.#store.readEntries({
        tenant: this.#tenant,
        space: bridgeOffsetSpace,
        key,
        after: { key, ref: after },
        limit: pageEntries,
      });
      for (const { ref, value } of page) stored.set(ref, value);
      const last = page.at(-1);
      if (last === undefined || page.length < pageEntries) break;
      after = last.ref;
    }
    return refs.map((ref) => {
      const text = stored.get(ref) ?? null;
      this.#known.set(ref, { next: text === null ? 0n : nextOf(text), text });
      return this.next(ref);
    });
  }

  /** What moves the position of a partition, unless another has moved it since it was read here. */
  move(ref: string, next: bigint, at: number): EntryWrite {
    const expected = this.#known.get(ref)?.text ?? null;
    return { op: 'put', space: bridgeOffsetSpace, key: this.#bridge, ref, value: textOf(next), run: '', at, expected };
  }

  /** The move is stored. */
  moved(ref: string, next: bigint): void {
    this.#known.set(ref, { next, text: textOf(next) });
  }

  /** What sets the position of a partition, wherever it is: the word of an operator. */
  set(ref: string, next: bigint, at: number): EntryWrite {
    return { op: 'put', space: bridgeOffsetSpace, key: this.#bridge, ref, value: textOf(next), run: '', at };
  }

  /** Every partition that has a position, as it is known here. */
  all(): readonly { readonly ref: string; readonly next: bigint }[] {
    return [...this.#known].flatMap(([ref, { next, text }]) => (text === null ? [] : [{ ref, next }]));
  }
}

function textOf(next: bigint): string {
  return JSON.stringify({ next: String(next) } satisfies BridgePosition);
}

function nextOf(text: string): bigint {
  return BigInt((JSON.parse(text) as BridgePosition).next);
}

const pageEntries = 500;
