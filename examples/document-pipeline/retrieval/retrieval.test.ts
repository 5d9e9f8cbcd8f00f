import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localEmbedding } from 'eventspine/models';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chunk, chunkLengthMax } from './chunk.ts';
import { type IndexedDocument, IndexStore } from './index-store.ts';
import { search } from './search.ts';

const { doEmbed } = localEmbedding();

async function embed(text: string): Promise<number[]> {
  return (await doEmbed({ values: [text] })).embeddings[0] ?? [];
}

async function documentOf(id: string, ...texts: string[]): Promise<IndexedDocument> {
  const { embeddings } = await doEmbed({ values: texts });
  const chunks = texts.map((text, i) => ({ id: `${id}#${i}`, heading: 'Heading', text, vector: embeddings[i] ?? [] }));
  return { id, name: `${id}.md`, title: id, chunks };
}

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
    await store.write(await documentOf('a', 'old'));
    await store.write(await documentOf('a', 'new'));
    await store.write(await documentOf('b', 'other'));
    expect((await store.read()).map(({ id, chunks }) => [id, chunks[0]?.text])).toEqual([
      ['a', 'new'],
      ['b', 'other'],
    ]);
  });

  it('sees what another process has written', async () => {
    const reader = new IndexStore(folder);
    await new IndexStore(folder).write(await documentOf('a', 'one'));
    expect(await reader.read()).toHaveLength(1);
    await new IndexStore(folder).write(await documentOf('a', 'two'));
    expect((await reader.read())[0]?.chunks[0]?.text).toBe('two');
  });

  it('ignores what a killed writer has left', async () => {
    await writeFile(join(folder, `.${'0'.repeat(32)}.json.rest`), '{"id":');
    const store = new IndexStore(folder);
    await store.write(await documentOf('a', 'one'));
    expect(await store.read()).toHaveLength(1);
    expect(await readdir(folder)).toHaveLength(2);
  });
});

describe('search', async () => {
  const documents = [
    await documentOf('power', 'The generator burns 18 litres per hour.', 'The battery lasts 22 minutes.'),
    await documentOf('dome', 'The dome is closed when the wind is above 54 km/h.', 'Ice on the rails is dangerous.'),
  ];
  const found = async (text: string, limit = 3): Promise<string[]> =>
    search(documents, { text, vector: await embed(text) }, limit).map(({ chunkId }) => chunkId);

  it('puts the passage that answers first', async () => {
    expect((await found('How much does the generator burn?'))[0]).toBe('power#0');
    expect((await found('When must the dome be closed for wind?'))[0]).toBe('dome#0');
  });

  it('finds a misspelt word by its spelling', async () => {
    expect((await found('batery'))[0]).toBe('power#1');
  });

  it('keeps to its limit and leaves out what has nothing in common', async () => {
    expect(await found('the generator and the dome and the battery', 2)).toHaveLength(2);
    expect(await found('xylophone')).toEqual([]);
    expect(search([], { text: 'x', vector: await embed('x') }, 3)).toEqual([]);
  });
});
