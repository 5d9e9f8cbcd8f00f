/**
 * What the learned model sees of a failure: hashed words, pairs of words, pieces of words, codes, and flags. Training and
 * use share this file, so a change of it needs a new training. Numbers are masked: a model that knows that 8,192 means a
 * context window has learned the past.
 *
 * Invariant: pure and bounded; the same reading has the same features everywhere.
 */
import type { Reading } from './reading.js';

/** Number of buckets that features are hashed into. */
export const bucketCount = 4_096;

/** A feature of a failure: its bucket, and how much of it there is. */
export interface Feature {
  readonly bucket: number;
  readonly value: number;
}

const tokensMax = 160;
const piecesMax = 600;

/** The features of a reading. */
export function featuresOf(reading: Reading): Feature[] {
  const tokens = tokensOf(reading.words);
  const texts = [
    ...tokens.map((token) => `w ${token}`),
    ...tokens.slice(1).map((token, i) => `b ${tokens[i] ?? ''} ${token}`),
  ];
  const features = [
    ...hashed(texts, 1),
    ...hashed(piecesOf(tokens), 0.6),
    ...hashed(
      reading.codes.map((code) => `k ${code}`),
      0.8,
    ),
    ...hashed(flagsOf(reading), 0.9),
  ];
  return merged(features);
}

/** Words, and characters of scripts that do not part words. */
function tokensOf(words: string): string[] {
  const masked = words.replace(/\d+/g, '#');
  return [...masked.matchAll(/[a-z#]{1,24}|[^\x00-\x7f·]/g)].slice(0, tokensMax).map(([token]) => token);
}

/** Four letters in a row: they outlive inflexions and names that nobody has seen. */
function piecesOf(tokens: readonly string[]): string[] {
  const pieces: string[] = [];
  for (const token of tokens) {
    for (let i = 0; i + 4 <= token.length && pieces.length < piecesMax; i++) pieces.push(`p ${token.slice(i, i + 4)}`);
  }
  return pieces;
}

function flagsOf(reading: Reading): string[] {
  const { status, statedStatus, source, structured, text } = reading;
  return [
    status === null ? 's none' : `s ${status}`,
    ...(status === null ? [] : [`h ${Math.floor(status / 100)}`]),
    ...(statedStatus === null ? [] : [`t ${statedStatus}`]),
    `o ${source ?? 'none'}`,
    `j ${structured}`,
    `l ${Math.min(5, Math.floor(Math.log2(text.length / 16 + 1)))}`,
  ];
}

/** Features of one kind: together of the given length, so that a long text weighs no more than a short one. */
function hashed(texts: readonly string[], length: number): Feature[] {
  const unique = [...new Set(texts)];
  const value = length / Math.sqrt(Math.max(1, unique.length));
  return unique.map((text) => ({ bucket: bucketOf(text), value }));
}

/** FNV-1a (32 bits) over UTF-16 units. */
function bucketOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % bucketCount;
}

function merged(features: readonly Feature[]): Feature[] {
  const values = new Map<number, number>();
  for (const { bucket, value } of features) values.set(bucket, (values.get(bucket) ?? 0) + value);
  return [...values].map(([bucket, value]) => ({ bucket, value }));
}
