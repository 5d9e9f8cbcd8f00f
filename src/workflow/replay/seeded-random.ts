/**
 * Randomness that is the same in every replay: sfc32 (C. Doty-Humphrey, PractRand), seeded by a digest of the run and the
 * scope. Good statistics, no secrecy.
 */
import type { Hash } from '../../core/ports.js';

/** See the top of the module. */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(hash: Hash, ...seed: readonly string[]) {
    const digest = hash.sha256(JSON.stringify(seed));
    const word = (at: number): number => Number.parseInt(digest.slice(at, at + 8), 16) | 0;
    this.#a = word(0);
    this.#b = word(8);
    this.#c = word(16);
    // The first outputs still show the seed.
    for (let i = 0; i < 12; i++) this.#word();
  }

  /** A number in [0, 1) with 53 random bits. */
  next(): number {
    const high = this.#word() >>> 5;
    return (high * 2 ** 26 + (this.#word() >>> 6)) / 2 ** 53;
  }

  /** A UUID of version 4 (RFC 9562). */
  uuid(): string {
    const words = [this.#word(), this.#word(), this.#word(), this.#word()];
    const hex = words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
    const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  #word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum;
  }
}
