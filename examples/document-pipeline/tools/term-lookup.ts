/**
 * The tool `lookup_term`: finds where the documents define a word. A definition is a line of the form `Term: text`, as
 * glossaries have it; where there is none, the tool says so and invents nothing.
 */
import type { IndexedDocument } from '../retrieval/index-store.ts';

/** A definition and where it stands. */
export interface TermDefinition {
  readonly term: string;
  readonly definition: string;
  readonly document: string;
}

/** The definition of a term, compared without regard to case; null = the documents define no such term. */
export function lookUpTerm(documents: readonly IndexedDocument[], term: string): TermDefinition | null {
  const wanted = normal(term);
  for (const document of documents) {
    for (const line of document.chunks.flatMap((chunk) => chunk.text.split('\n'))) {
      const found = /^([\p{L}\p{N}][\p{L}\p{N} /-]{0,40}):\s+(\S.*)$/u.exec(line);
      const name = found?.[1];
      const definition = found?.[2];
      if (name === undefined || definition === undefined || normal(name) !== wanted) continue;
      return { term: name, definition, document: document.name };
    }
  }
  return null;
}

function normal(term: string): string {
  return term.trim().toLowerCase().replaceAll(/\s+/g, ' ');
}
