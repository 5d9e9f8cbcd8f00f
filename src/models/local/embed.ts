/**
 * The built-in embedding: hashed lexical features. Each term and each of its character trigrams is hashed to one of
 * `dimensions` places with a sign (feature hashing, Weinberger et al. 2009), counts are damped by a square root and the
 * vector is scaled to length one. It sees spelling and not meaning: "recoating" is near "recoat", "car" is not near
 * "vehicle". It needs no model file and really computes; a provider's embedding takes its place by replacing one handler.
 */
import { termsOf } from './terms.js';

/** Places of an embedding. More places, fewer collisions, longer values in every history. */
export const dimensions = 256;

/** Weight of a trigram beside its whole term. */
const trigramWeight = 0.35;

/**
 * The embedding of a text: `dimensions` whole numbers from -127 to 127 (a unit vector in steps of 1/127, because small
 * whole numbers are short in JSON). All zero for a text without terms.
 */
export function embed(text: string): number[] {
  const counts = new Map<string, number>();
  for (const term of termsOf(text)) {
    add(counts, term, 1);
    for (const trigram of trigramsOf(term)) add(counts, `#${trigram}`, trigramWeight);
  }
  const vector = new Float64Array(dimensions);
  for (const [feature, count] of counts) {
    const hash = fnv1a(feature);
    const place = hash % dimensions;
    vector[place] = (vector[place] ?? 0) + (hash & 0x8000_0000 ? -1 : 1) * Math.sqrt(count);
  }
  const length = Math.hypot(...vector);
  return length === 0 ? [...vector] : Array.from(vector, (value) => Math.round((value / length) * 127));
}

function add(counts: Map<string, number>, feature: string, weight: number): void {
  counts.set(feature, (counts.get(feature) ?? 0) + weight);
}

function trigramsOf(term: string): string[] {
  const padded = `^${term}$`;
  return Array.from({ length: Math.max(0, padded.length - 2) }, (_, i) => padded.slice(i, i + 3));
}

/** FNV-1a, 32 bits (Fowler, Noll, Vo), with the final mix of MurmurHash3: FNV alone leaves its low bits too regular. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
