/**
 * Counts what was paid for. It stands at the other end of the wire and knows nothing of runs, journals or attempts, so what
 * it says about duplicates is proof.
 */
import { createHash } from 'node:crypto';

/** One inference that the endpoint has begun, and that somebody would be billed for. */
export interface Inference {
  readonly kind: 'chat' | 'embedding';
  /** Idempotency key of the request; null = it had none. */
  readonly key: string | null;
  /** Digest of what was asked, whatever the form of the answer. */
  readonly content: string;
  /** The first word in it that begins with `#`, by which a test marks what belongs together; null = there is none. */
  readonly tag: string | null;
  /** Answered to its end. */
  answered: boolean;
}

/** The books of the endpoint, as it shows them. */
export interface Books {
  /** Requests of any outcome. */
  readonly received: number;
  /** Requests that were answered from an earlier answer to the same key. */
  readonly repeated: number;
  readonly inferences: readonly Inference[];
}

/** See the top of the module. */
export class Witness {
  readonly #inferences: Inference[] = [];
  #received = 0;
  #repeated = 0;

  received(): void {
    this.#received += 1;
  }

  repeated(): void {
    this.#repeated += 1;
  }

  /** An inference begins. */
  paid(kind: Inference['kind'], key: string | null, body: Readonly<Record<string, unknown>>): Inference {
    const { stream: _, stream_options: __, ...asked } = body;
    const text = JSON.stringify(asked);
    const content = createHash('sha256').update(text).digest('hex').slice(0, 16);
    const tag = /#([\w-]+)/.exec(text)?.[1] ?? null;
    const inference: Inference = { kind, key, content, tag, answered: false };
    this.#inferences.push(inference);
    return inference;
  }

  books(): Books {
    return {
      received: this.#received,
      repeated: this.#repeated,
      inferences: this.#inferences.map((one) => ({ ...one })),
    };
  }
}

/** Inferences by key or by content, those with more than one first. */
export function countedBy(books: Books, by: 'key' | 'content'): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const inference of books.inferences) {
    const name = inference[by] ?? 'without a key';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return new Map([...counts].sort(([, a], [, b]) => b - a));
}
