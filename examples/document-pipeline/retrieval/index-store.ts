/**
 * The search index on disk: one JSON file per document, replaced as a whole by a rename. So a repeated write changes
 * nothing, a killed process leaves the old file or the new one and never half of one, and any number of processes may
 * read while one writes.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Chunk } from './chunk.ts';

/** A chunk with its embedding. */
export interface IndexedChunk extends Chunk {
  readonly vector: readonly number[];
}

/** What the index keeps of one document. */
export interface IndexedDocument {
  readonly id: string;
  readonly name: string;
  readonly title: string;
  readonly chunks: readonly IndexedChunk[];
}

interface CachedFile {
  readonly stamp: string;
  readonly document: IndexedDocument;
}

/** The index in one folder. Opens nothing before its first use. */
export class IndexStore {
  readonly #folder: string;
  readonly #cache = new Map<string, CachedFile>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Puts a document into the index, or replaces it. Resolves when it is on disk. */
  async write(document: IndexedDocument): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const name = `${createHash('sha256').update(document.id).digest('hex').slice(0, 32)}.json`;
    const temporary = join(this.#folder, `.${name}.${randomUUID()}`);
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(JSON.stringify(document));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(this.#folder, name));
  }

  /** All documents, in the order of their ids. Reads only files that changed since the last time. */
  async read(): Promise<IndexedDocument[]> {
    const names = (await this.#names()).filter((name) => /^[0-9a-f]{32}\.json$/.test(name));
    for (const name of this.#cache.keys()) if (!names.includes(name)) this.#cache.delete(name);
    const documents = await Promise.all(names.map((name) => this.#readFile(name)));
    return documents.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #readFile(name: string): Promise<IndexedDocument> {
    const path = join(this.#folder, name);
    const { ino, mtimeMs, size } = await stat(path);
    const stamp = `${ino}:${mtimeMs}:${size}`;
    const cached = this.#cache.get(name);
    if (cached?.stamp === stamp) return cached.document;
    const document = JSON.parse(await readFile(path, 'utf8')) as IndexedDocument;
    this.#cache.set(name, { stamp, document });
    return document;
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      // Nothing was indexed yet: an empty index, not a fault.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    }
  }
}
