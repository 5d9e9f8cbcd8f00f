/**
 * Cuts extracted text into chunks that are small enough to cite and large enough to understand. A chunk never crosses a
 * heading and is cut between sentences. Its id depends on the document and its place alone, so indexing again replaces.
 */
import { splitSentences } from 'eventspine/models';
import type { ExtractedText } from '../extract/extracted-text.ts';

/** A citable piece of a document. */
export interface Chunk {
  /** `<document id>#<n>`, n from 0. */
  readonly id: string;
  readonly heading: string;
  readonly text: string;
  readonly page?: number;
}

/** Characters of a chunk; a single longer sentence is kept whole. */
export const chunkLengthMax = 700;

/** Chunks of a document in reading order. */
export function chunk(documentId: string, document: ExtractedText): Chunk[] {
  const chunks: Chunk[] = [];
  for (const section of document.sections) {
    for (const text of pack(section.text)) {
      chunks.push({
        id: `${documentId}#${chunks.length}`,
        heading: section.heading,
        text,
        ...(section.page === undefined ? {} : { page: section.page }),
      });
    }
  }
  return chunks;
}

/** Fills chunks with whole sentences, in order; paragraphs stay visible as lines. */
function pack(text: string): string[] {
  const packed: string[] = [];
  let open = '';
  for (const paragraph of text.split('\n')) {
    let separator = '\n';
    for (const sentence of splitSentences(paragraph)) {
      if (open !== '' && open.length + 1 + sentence.length > chunkLengthMax) {
        packed.push(open);
        open = '';
      }
      open += (open === '' ? '' : separator) + sentence;
      separator = ' ';
    }
  }
  return open === '' ? packed : [...packed, open];
}
