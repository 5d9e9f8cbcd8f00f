/**
 * What every reader of a file format produces: a title and sections in reading order. Later stages know only this, so a
 * new format is one reader and one line in `extract.ts`.
 */

/** A stretch of text under one heading. `page` is there where the format has pages, counted from 1. */
export interface Section {
  readonly heading: string;
  readonly text: string;
  readonly page?: number;
}

/** The text of one document. A section whose text is empty is left out by the readers. */
export interface ExtractedText {
  readonly title: string;
  readonly sections: readonly Section[];
}

/** Collects lines under headings; the readers differ only in how they find both. */
export class SectionCollector {
  readonly #sections: Section[] = [];
  #heading: string;
  #page: number | undefined;
  #lines: string[] = [];

  constructor(heading: string) {
    this.#heading = heading;
  }

  /** Begins a new section. */
  begin(heading: string): void {
    this.#close();
    this.#heading = heading;
  }

  /** Begins a new page and, with it, a new section under the same heading. */
  beginPage(page: number): void {
    this.#close();
    this.#page = page;
  }

  /** Adds a line; empty ones separate paragraphs. */
  add(line: string): void {
    this.#lines.push(line.trim());
  }

  /** The sections so far. */
  end(): readonly Section[] {
    this.#close();
    return this.#sections;
  }

  #close(): void {
    const text = joinLines(this.#lines);
    this.#lines = [];
    if (text === '') return;
    this.#sections.push({
      heading: this.#heading,
      text,
      ...(this.#page === undefined ? {} : { page: this.#page }),
    });
  }
}

/** Lines of one paragraph are one line of text: where a writer broke a line says nothing. */
function joinLines(lines: readonly string[]): string {
  return lines
    .join('\n')
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.replaceAll(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '')
    .join('\n');
}
