import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chunk, chunkLengthMax } from './chunk.ts';
import { cosine, dimensions, embed } from './embedding.ts';
import { type IndexedDocument, IndexStore } from './index-store.ts';
import { search } from './search.ts';
import { splitSentences } from './sentences.ts';
import { stem, termsOf } from './terms.ts';

function documentOf(id: string, ...texts: string[]): IndexedDocument {
  return {
    id,
    name: `${id}.md`,
    title: id,
    chunks: texts.map((text, i) => ({ id: `${id}#${i}`, heading: 'Heading', text, vector: embed(text) })),
  };
}

describe('terms', () => {
  it('drops common words, accents and endings, keeps codes and decimals', () => {
    expect(termsOf('The dômes were closing at E07: 1,870.5 and the boxes')).toEqual([
      'dom',
      'clos',
      'e07',
      '1,870.5',
      'box',
    ]);
  });

  it.each([
    ['recoating', 'recoated'],
    ['recoatings', 'recoat'],
    ['stopped', 'stop'],
    ['stories', 'story'],
    ['hours', 'hour'],
  ])('brings %s and %s together', (a, b) => {
    expect(stem(a)).toBe(stem(b));
  });
});

describe('sentences', () => {
  it('does not cut inside numbers and ends at line breaks', () => {
    expect(splitSentences('It is 2.5 degrees. Stop!\nNext line')).toEqual(['It is 2.5 degrees.', 'Stop!', 'Next line']);
  });
});

describe('chunk', () => {
  const long = Array.from({ length: 30 }, (_, i) => `Sentence number ${i} says something about the dome.`).join(' ');

  it('loses nothing, cuts between sentences and numbers the chunks', () => {
    const chunks = chunk('d', { title: 'T', sections: [{ heading: 'H', text: long }] });
    expect(chunks.map(({ text }) => text).join(' ')).toBe(long);
    expect(chunks.map(({ id }) => id)).toEqual(['d#0', 'd#1', 'd#2']);
    for (const { text } of chunks) {
      expect(text.length).toBeLessThanOrEqual(chunkLengthMax);
      expect(text).toMatch(/^Sentence.*\.$/s);
    }
  });

  it('never joins two sections', () => {
    const sections = [
      { heading: 'A', text: 'One.', page: 1 },
      { heading: 'B', text: 'Two.' },
    ];
    expect(chunk('d', { title: 'T', sections })).toEqual([
      { id: 'd#0', heading: 'A', text: 'One.', page: 1 },
      { id: 'd#1', heading: 'B', text: 'Two.' },
    ]);
  });

  it('keeps one sentence that is too long whole', () => {
    const text = 'word '.repeat(300).trim();
    expect(chunk('d', { title: 'T', sections: [{ heading: 'H', text }] })).toHaveLength(1);
  });
});

describe('embedding', () => {
  it('is the same each time, of unit length within its rounding', () => {
    const vector = embed('The generator burns diesel.');
    expect(embed('The generator burns diesel.')).toEqual(vector);
    expect(vector).toHaveLength(dimensions);
    expect(Math.hypot(...vector)).toBeGreaterThan(120);
    expect(Math.hypot(...vector)).toBeLessThan(134);
  });

  it('puts other forms of a word nearer than other words', () => {
    const near = cosine(embed('recoating the mirror'), embed('the mirror was recoated'));
    const typing = cosine(embed('generator'), embed('genarator'));
    const far = cosine(embed('recoating the mirror'), embed('diesel for the winter'));
    expect(near).toBeGreaterThan(0.9);
    expect(typing).toBeGreaterThan(0.15);
    expect(far).toBeLessThan(0.2);
  });

  it('of nothing is nothing', () => {
    expect(cosine(embed('the of and'), embed('dome'))).toBe(0);
  });
});

describe('IndexStore', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'index-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is empty before the first write', async () => {
    expect(await new IndexStore(join(folder, 'missing')).read()).toEqual([]);
  });

  it('keeps one entry of a document that is written twice', async () => {
    const store = new IndexStore(folder);
    await store.write(documentOf('a', 'old'));
    await store.write(documentOf('a', 'new'));
    await store.write(documentOf('b', 'other'));
    expect((await store.read()).map(({ id, chunks }) => [id, chunks[0]?.text])).toEqual([
      ['a', 'new'],
      ['b', 'other'],
    ]);
  });

  it('sees what another process has written', async () => {
    const reader = new IndexStore(folder);
    await new IndexStore(folder).write(documentOf('a', 'one'));
    expect(await reader.read()).toHaveLength(1);
    await new IndexStore(folder).write(documentOf('a', 'two'));
    expect((await reader.read())[0]?.chunks[0]?.text).toBe('two');
  });

  it('ignores what a killed writer has left', async () => {
    await writeFile(join(folder, `.${'0'.repeat(32)}.json.rest`), '{"id":');
    const store = new IndexStore(folder);
    await store.write(documentOf('a', 'one'));
    expect(await store.read()).toHaveLength(1);
    expect(await readdir(folder)).toHaveLength(2);
  });
});

describe('search', () => {
  const documents = [
    documentOf('power', 'The generator burns 18 litres per hour.', 'The battery lasts 22 minutes.'),
    documentOf('dome', 'The dome is closed when the wind is above 54 km/h.', 'Ice on the rails is dangerous.'),
  ];
  const found = (text: string, limit = 3): string[] =>
    search(documents, { text, vector: embed(text) }, limit).map(({ chunkId }) => chunkId);

  it('puts the passage that answers first', () => {
    expect(found('How much does the generator burn?')[0]).toBe('power#0');
    expect(found('When must the dome be closed for wind?')[0]).toBe('dome#0');
  });

  it('finds a misspelt word by its spelling', () => {
    expect(found('batery')[0]).toBe('power#1');
  });

  it('keeps to its limit and leaves out what has nothing in common', () => {
    expect(found('the generator and the dome and the battery', 2)).toHaveLength(2);
    expect(found('xylophone')).toEqual([]);
    expect(search([], { text: 'x', vector: embed('x') }, 3)).toEqual([]);
  });
});
