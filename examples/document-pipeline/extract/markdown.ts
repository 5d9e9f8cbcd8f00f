/**
 * Reads Markdown as text: headings become sections, list items and table rows become lines of their own, emphasis and
 * links lose their marks. Front matter is read for its title only.
 */
import { type ExtractedText, SectionCollector } from './extracted-text.ts';

/** Text of a Markdown document. `name` is the title where the document has none. */
export function extractMarkdown(source: string, name: string): ExtractedText {
  const { title: declared, body } = splitFrontMatter(source.replaceAll('\r\n', '\n'));
  const sections = new SectionCollector(declared ?? name);
  let title = declared;
  let fenced = false;
  for (const line of body.split('\n')) {
    if (/^\s*(```|~~~)/.test(line)) {
      fenced = !fenced;
      continue;
    }
    const heading = fenced ? null : /^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$/.exec(line);
    if (heading === null) {
      addLine(sections, fenced ? line : line.replace(/^ {0,3}>\s?/, ''), fenced);
      continue;
    }
    const text = plain(heading[2] ?? '');
    title ??= text;
    sections.begin(text);
  }
  return { title: title ?? name, sections: sections.end() };
}

function addLine(sections: SectionCollector, line: string, fenced: boolean): void {
  if (fenced) return sections.add(line);
  if (/^\s*\|?\s*:?-{3,}/.test(line)) return;
  const row = /^\s*\|(.+)\|\s*$/.exec(line);
  const item = /^\s*(?:[-*+]|\d+[.)])\s+(.*)$/.exec(line);
  if (row !== null) {
    const cells = (row[1] ?? '').split('|').map((cell) => plain(cell.trim()));
    return addParagraph(sections, cells.join(' | '));
  }
  if (item !== null) {
    sections.add('');
    sections.add(plain(item[1] ?? ''));
    return;
  }
  sections.add(plain(line));
}

function addParagraph(sections: SectionCollector, text: string): void {
  sections.add('');
  sections.add(text);
  sections.add('');
}

function plain(text: string): string {
  return text
    .replaceAll(/!\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/\[([^\]]+)\]\([^)]*\)/g, '$1')
    .replaceAll(/(\*\*|__)(?=\S)(.+?)\1/g, '$2')
    .replaceAll(/(?<![\w*])\*(?=\S)([^*]+)\*(?![\w*])/g, '$1')
    .replaceAll(/`([^`]+)`/g, '$1')
    .replaceAll(/<[^>]+>/g, '');
}

function splitFrontMatter(source: string): { title: string | null; body: string } {
  const found = /^---\n([\s\S]*?)\n---\n/.exec(source);
  if (found === null) return { title: null, body: source };
  const title = /^title:\s*(.+)$/m.exec(found[1] ?? '')?.[1] ?? null;
  return { title: title?.replace(/^(["'])(.*)\1$/, '$2') ?? null, body: source.slice(found[0].length) };
}
