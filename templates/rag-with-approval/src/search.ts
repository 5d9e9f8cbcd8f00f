/** Retrieval by words that are rare in the collection. Put your vector store here; the workflow does not change. */
import { readdir, readFile } from 'node:fs/promises';

/** A paragraph of a document. */
export interface Passage {
  readonly source: string;
  readonly text: string;
  readonly score: number;
}

const folder = new URL('../documents/', import.meta.url);

/** The passages that fit a question best, best first; those that share no word with it are left out. */
export async function search(question: string, count = 3): Promise<Passage[]> {
  const passages = await readPassages();
  const words = new Set(wordsOf(question));
  const rarity = (word: string): number => {
    const having = passages.filter(({ words: all }) => all.has(word)).length;
    return having === 0 ? 0 : Math.log(1 + passages.length / having);
  };
  return passages
    .map(({ source, text, words: all }) => {
      const shared = [...words].filter((word) => all.has(word));
      return { source, text, score: shared.reduce((sum, word) => sum + rarity(word), 0) / Math.sqrt(all.size) };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, count);
}

async function readPassages(): Promise<{ source: string; text: string; words: ReadonlySet<string> }[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.md')).sort();
  const texts = await Promise.all(files.map((file) => readFile(new URL(file, folder), 'utf8')));
  return texts.flatMap((text, i) =>
    text
      .split(/\n\s*\n/)
      .map((paragraph) => paragraph.trim())
      .filter((paragraph) => paragraph !== '' && !paragraph.startsWith('#'))
      .map((paragraph) => ({ source: files[i] ?? '', text: paragraph, words: new Set(wordsOf(paragraph)) })),
  );
}

const stopWords = new Set(
  'a an and are at by do does how in is it of on or the to what when which who why with'.split(' '),
);

/** Lower case, without plural endings and words that say nothing. */
function wordsOf(text: string): string[] {
  return [...text.toLowerCase().matchAll(/[\p{L}\p{N}]+/gu)]
    .map(([word]) => word.replace(/(?<=..)s$/, ''))
    .filter((word) => !stopWords.has(word));
}
