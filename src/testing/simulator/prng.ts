/**
 * The only source of randomness of a simulated world: sfc32 (C. Doty-Humphrey, PractRand), seeded by text. Streams are
 * forked by name, so that one more draw in one part of the world does not shift what all other parts draw.
 * Invariant: the same seed and the same calls give the same numbers, on every machine.
 */
import type { Random } from '../../core/ports.js';

/** A seeded stream of numbers. */
export class Prng implements Random {
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** Streams of different names are independent; the name is the whole seed. */
  constructor(name: string) {
    this.#name = name;
    const mix = mixer(name);
    this.#a = mix();
    this.#b = mix();
    this.#c = mix();
    // The first outputs still show the seed.
    for (let i = 0; i < 15; i++) this.#draw();
  }

  /** A stream of its own for a part of the world. Does not move this one. */
  fork(name: string): Prng {
    return new Prng(`${this.#name}/${name}`);
  }

  /** A number in [0, 1). */
  next(): number {
    return this.#draw() / 2 ** 32;
  }

  /** Not unpredictable at all, which is the point here. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.#draw();
      for (let j = i; j < Math.min(length, i + 4); j++) bytes[j] = (word >>> ((j - i) * 8)) & 0xff;
    }
    return bytes;
  }

  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  /** A number in [min, max). */
  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.next() < p;
  }

  /** One of the items; fails where there are none. */
  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error('Invariant broken: nothing to pick from');
    return item;
  }

  #draw(): number {
    const t = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }
}

/** Spreads a text over 32-bit words: FNV-1a, finished as in murmur3. */
function mixer(text: string): () => number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return () => {
    hash = (hash + 0x9e3779b9) | 0;
    let word = hash;
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    return (word ^ (word >>> 16)) | 0;
  };
}
