import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sections } from './markdown.js';

/** Command lines in the documents, against the reference page, which a test of the command line keeps complete. */
const root = new URL('../../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');
const reference = sections(read('docs/reference/cli.md'));

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(new URL('docs/', root), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file.replaceAll('\\', '/')}`),
];

interface CommandLine {
  readonly text: string;
  readonly words: readonly string[];
  readonly flags: readonly string[];
}

/** Lines of code blocks and spans in backticks that begin with the command. A bare `eventspine` is the package. */
function commandLines(markdown: string): CommandLine[] {
  const spans = [...markdown.matchAll(/`(eventspine [^`\n]+)`/g)].map((match) => match[1] ?? '');
  const lines = [...markdown.matchAll(/^(?:\$ )?(?:npx )?(eventspine [^`\n#]+)/gm)].map((match) => match[1] ?? '');
  return [...spans, ...lines].map((text) => ({
    text,
    words: text.split(/\s+/).slice(1),
    flags: [...text.matchAll(/\s(--[a-z-]+)/g)].map((match) => match[1] ?? ''),
  }));
}

/** The section of the longest command that the line begins with; undefined where there is none. */
function sectionOf({ words }: CommandLine): string | undefined {
  return reference.get(words.slice(0, 2).join(' ')) ?? reference.get(words[0] ?? '');
}

describe('command lines in the documents', () => {
  it('are found', () => {
    expect(commandLines(read('README.md')).length).toBeGreaterThan(4);
  });

  it.each(pages)('%s names commands and flags that exist', (page) => {
    const wrong = commandLines(read(page)).filter((line) => {
      // A group of commands may be named as such.
      if (line.words.length === 1 && [...reference.keys()].some((title) => title.startsWith(`${line.words[0]} `)))
        return false;
      const section = sectionOf(line);
      return section === undefined || line.flags.some((flag) => !section.includes(flag));
    });
    expect(wrong.map((line) => line.text)).toEqual([]);
  });
});
