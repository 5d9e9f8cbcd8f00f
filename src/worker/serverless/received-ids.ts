/**
 * The ids of requests that one instance of an endpoint has received: what is sent again, by whoever stands between, is not
 * worked on again.
 */

/** Ids that are remembered. */
const idsMax = 10_000;

/** See the head of this file. */
export class ReceivedIds {
  readonly #seen = new Set<string>();

  /** True the first time. */
  isNew(id: string): boolean {
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    const [oldest] = this.#seen;
    if (this.#seen.size > idsMax && oldest !== undefined) this.#seen.delete(oldest);
    return true;
  }
}
