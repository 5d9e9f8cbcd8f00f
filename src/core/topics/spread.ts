/** How things are spread evenly without anybody keeping a list: keys over partitions, partitions over consumers. Pure. */

/** FNV-1a, 32 bits, over UTF-16 units: the same text always has the same number. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
}

/**
 * Who of the candidates a thing belongs to, by the highest weight (rendezvous hashing, Thaler and Ravishankar 1998): one that
 * comes takes its share from all, and what one had that goes is shared out among all. null = there are none.
 */
export function rendezvous(candidates: Iterable<string>, thing: string | number): string | null {
  let best: string | null = null;
  let highest = -1;
  for (const candidate of candidates) {
    const weight = mixed(fnv1a(`${candidate}\0${thing}`));
    if (weight < highest || (weight === highest && best !== null && candidate > best)) continue;
    highest = weight;
    best = candidate;
  }
  return best;
}

/** The finaliser of MurmurHash3: texts that differ in their last letter alone are far apart. */
function mixed(hash: number): number {
  let h = hash;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}
