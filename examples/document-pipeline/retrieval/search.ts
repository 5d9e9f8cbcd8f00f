/**
 * Ranks chunks for a question: BM25 over terms (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009)
 * joined with the cosine of the embeddings. BM25 knows which words are rare, the embedding forgives endings and typing
 * errors. Ties are broken by id, so that the same index gives the same answer.
 */
import { termsOf } from 'eventspine/models';
import { cosine } from './cosine.ts';
import type { IndexedChunk, IndexedDocument } from './index-store.ts';

/** A chunk that was found, with what a citation needs. */
export interface Passage {
  readonly chunkId: string;
  readonly document: string;
  readonly title: string;
  readonly heading: string;
  readonly text: string;
  /** From 0 to 1; only the order of one result list has a meaning. */
  readonly score: number;
  readonly page?: number;
}

const k1 = 1.2;
const b = 0.75;
/** Share of the embedding in the score. Words that match exactly say more than spelling that is near. */
const cosineShare = 0.3;
/** A term of a title or heading counts as often as this many in the text. */
const headingWeight = 2;

interface Entry {
  readonly document: IndexedDocument;
  readonly chunk: IndexedChunk;
  readonly counts: ReadonlyMap<string, number>;
  readonly length: number;
}

/** The best `limit` passages for a question, best first; passages that share nothing with it are left out. */
export function search(
  documents: readonly IndexedDocument[],
  question: { readonly text: string; readonly vector: readonly number[] },
  limit: number,
): Passage[] {
  const entries = documents.flatMap((document) => document.chunks.map((chunk) => entryOf(document, chunk)));
  const terms = [...new Set(termsOf(question.text))];
  const lexical = bm25(entries, terms);
  const lexicalMax = Math.max(...lexical, Number.MIN_VALUE);
  return entries
    .map((entry, i) => {
      const score =
        (1 - cosineShare) * ((lexical[i] ?? 0) / lexicalMax) +
        cosineShare * Math.max(0, cosine(question.vector, entry.chunk.vector));
      return passageOf(entry, Math.round(score * 1_000) / 1_000);
    })
    .filter((passage) => passage.score > 0.05)
    .sort((x, y) => y.score - x.score || (x.chunkId < y.chunkId ? -1 : 1))
    .slice(0, limit);
}

function bm25(entries: readonly Entry[], terms: readonly string[]): number[] {
  const averageLength = entries.reduce((sum, entry) => sum + entry.length, 0) / Math.max(1, entries.length);
  const weights = terms.map((term) => {
    const found = entries.filter((entry) => entry.counts.has(term)).length;
    return { term, idf: Math.log(1 + (entries.length - found + 0.5) / (found + 0.5)) };
  });
  return entries.map((entry) => {
    const norm = k1 * (1 - b + (b * entry.length) / averageLength);
    return weights.reduce((sum, { term, idf }) => {
      const count = entry.counts.get(term) ?? 0;
      return sum + (idf * count * (k1 + 1)) / (count + norm);
    }, 0);
  });
}

function entryOf(document: IndexedDocument, chunk: IndexedChunk): Entry {
  const counts = new Map<string, number>();
  const text = termsOf(chunk.text);
  for (const term of text) counts.set(term, (counts.get(term) ?? 0) + 1);
  for (const term of new Set(termsOf(`${document.title} ${chunk.heading}`))) {
    counts.set(term, (counts.get(term) ?? 0) + headingWeight);
  }
  return { document, chunk, counts, length: text.length };
}

function passageOf({ document, chunk }: Entry, score: number): Passage {
  return {
    chunkId: chunk.id,
    document: document.name,
    title: document.title,
    heading: chunk.heading,
    text: chunk.text,
    score,
    ...(chunk.page === undefined ? {} : { page: chunk.page }),
  };
}
