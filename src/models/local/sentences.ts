/** Parts text into sentences by the rules of the runtime's own locale data (UAX 29), line by line. */

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

/** Sentences of a text, trimmed, none empty. A line break always ends a sentence. */
export function splitSentences(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => [...segmenter.segment(line)].map((part) => part.segment.trim()))
    .filter((sentence) => sentence !== '');
}
