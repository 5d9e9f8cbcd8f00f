/**
 * A running hash over everything that happens in a world, to tell whether two runs of one seed were the same (P33).
 * Two lanes of FNV-1a with different primes: quick, and good enough to notice any divergence; not cryptographic.
 */
export class TraceHash {
  #a = 0x811c9dc5;
  #b = 0x1b873593;

  /** Adds a number; fractions down to a thousandth count. */
  number(value: number): void {
    this.#word(Math.floor(value / 2 ** 32) | 0);
    this.#word(value | 0);
    this.#word(((value % 1) * 1_000) | 0);
  }

  text(value: string): void {
    for (let i = 0; i < value.length; i++) this.#word(value.charCodeAt(i));
    this.#word(-1);
  }

  /** 16 hex digits. */
  digest(): string {
    return hex(this.#a) + hex(this.#b);
  }

  #word(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193);
    this.#b = Math.imul((this.#b ^ word) + (this.#b >>> 15), 0x5bd1e995);
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
