/**
 * Reads plain text: the first line is the title; short lines that stand alone and carry a number, capitals or underlining
 * are headings, as people write them in text files.
 */
import { type ExtractedText, SectionCollector } from './extracted-text.ts';

const headingLengthMax = 80;

/** Text of a plain text document. `name` is the title of an empty one. */
export function extractPlainText(source: string, name: string): ExtractedText {
  const lines = source.replaceAll('\r\n', '\n').split('\n');
  const first = lines.findIndex((line) => line.trim() !== '');
  const title = lines[first]?.trim() ?? name;
  const titled = first !== -1 && title.length <= headingLengthMax;
  const sections = new SectionCollector(titled ? title : name);
  for (let i = titled ? first + 1 : 0; i < lines.length; i += 1) {
    const line = lines[i] ?? '';
    const heading = headingAt(lines, i);
    if (heading === null) sections.add(/^[=\-~]{3,}\s*$/.test(line) ? '' : line);
    else sections.begin(heading);
  }
  return { title: titled ? title : name, sections: sections.end() };
}

function headingAt(lines: readonly string[], i: number): string | null {
  const line = (lines[i] ?? '').trim();
  const before = (lines[i - 1] ?? '').trim();
  const next = (lines[i + 1] ?? '').trim();
  if (line === '' || line.length > headingLengthMax || before !== '') return null;
  if (/^[=\-~]{3,}$/.test(next)) return line;
  if (next !== '') return null;
  const numbered = /^\d+(?:\.\d+)*\.?\s+\p{Lu}/u.test(line) && !/[.!?]$/.test(line);
  const capitals = /\p{Lu}/u.test(line) && !/\p{Ll}/u.test(line);
  return numbered || capitals ? line.replace(/^\d+(?:\.\d+)*\.?\s+/, '') : null;
}
