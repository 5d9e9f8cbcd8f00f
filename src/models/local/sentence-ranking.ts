/**
 * Ranks the sentences of the passages for a question: each term that both share counts as much as it is rare among the
 * sentences at hand, so that the words which every passage contains decide nothing.
 */
import { splitSentences } from './sentences.js';
import { termsOf } from './terms.js';
import type { NumberedPassage } from './passages.js';

/** A sentence of a passage with its weight for the question. */
export interface RankedSentence {
  readonly text: string;
  readonly passage: number;
  /** Place within all sentences, for reading order. */
  readonly place: number;
  readonly score: number;
}

/** Share of a match in the heading of the passage, beside one in the sentence itself. */
const headingShare = 0.35;
/** Each later passage is trusted this much less than the one before: retrieval has ordered them. */
const rankDecay = 0.94;

/** Sentences that share a term with the question, best first. */
export function rankSentences(question: string, passages: readonly NumberedPassage[]): RankedSentence[] {
  const wanted = new Set(termsOf(question));
  const sentences = passages.flatMap((passage, rank) =>
    splitSentences(passage.text).map((text) => ({
      text,
      passage: passage.number,
      rank,
      terms: new Set(termsOf(text)),
      heading: new Set(termsOf(passage.source)),
    })),
  );
  const rarity = new Map(
    [...wanted].map((term) => {
      const found = sentences.filter((sentence) => sentence.terms.has(term)).length;
      return [term, Math.log(1 + sentences.length / (1 + found))];
    }),
  );
  return sentences
    .map((sentence, place) => {
      let score = 0;
      for (const [term, weight] of rarity) {
        if (sentence.terms.has(term)) score += weight;
        else if (sentence.heading.has(term)) score += weight * headingShare;
      }
      const matches = [...wanted].some((term) => sentence.terms.has(term));
      return {
        text: sentence.text,
        passage: sentence.passage,
        place,
        score: matches ? score * rankDecay ** sentence.rank : 0,
      };
    })
    .filter((sentence) => sentence.score > 0)
    .sort((a, b) => b.score - a.score || a.place - b.place);
}
