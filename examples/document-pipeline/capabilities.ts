/**
 * Capabilities: the kinds of work that workers offer, each with its own queue. They are called by workflows, retried by
 * the engine and may run on any machine that offers them; none of them knows of the others.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { capability } from 'eventspine';
import { z } from 'zod';
import { DocumentUnreadable, extract } from './extract/extract.ts';
import { embedding } from './model/ask.ts';
import { IndexStore } from './retrieval/index-store.ts';
import { search } from './retrieval/search.ts';
import { settings } from './settings.ts';
import { extractedText, indexedDocument, passage, searchQuery, uploadedDocument, vector } from './shapes.ts';
import { calculate } from './tools/arithmetic.ts';
import { dateDifference } from './tools/date-difference.ts';
import { lookUpTerm } from './tools/term-lookup.ts';

export const extractText = capability('extract', {
  input: uploadedDocument,
  output: extractedText,
  effect: 'pure',
  timeout: '30s',
});

export const embedText = capability('embed', {
  input: z.object({ text: z.string() }),
  output: vector,
  effect: 'pure',
  timeout: '20s',
});

export const writeIndex = capability('index', { input: indexedDocument, output: z.object({ chunks: z.number() }) });

export const searchIndex = capability('search', { input: searchQuery, output: z.array(passage), effect: 'pure' });

export const calculation = capability('calculate', {
  input: z.object({ expression: z.string(), unit: z.string() }),
  output: z.object({ expression: z.string(), value: z.number(), unit: z.string() }),
  effect: 'pure',
});

export const dateDiff = capability('date-diff', {
  input: z.object({ from: z.string(), to: z.string() }),
  output: z.object({ from: z.string(), to: z.string(), days: z.number(), weeks: z.number(), years: z.number() }),
  effect: 'pure',
});

export const termLookup = capability('lookup-term', {
  input: z.object({ term: z.string() }),
  output: z.object({ term: z.string(), definition: z.string().nullable(), document: z.string().nullable() }),
  effect: 'pure',
});

let opened: IndexStore | undefined;

/** The index of this process, opened once, on first use. */
function index(): IndexStore {
  return (opened ??= new IndexStore(settings().indexFolder));
}

/** What this app can do. Which worker offers what is decided where workers are started. */
export const handlers = [
  extractText.implement(async (document) => {
    const bytes = await readFile(new URL(document.uri));
    if (createHash('sha256').update(bytes).digest('hex') !== document.sha256) {
      throw new DocumentUnreadable(`${document.name} is not the file that was uploaded: its checksum differs.`);
    }
    return await extract(document.kind, bytes, document.name);
  }),

  embedText.implement(({ text }, { signal, idempotencyKey }) =>
    embedding({ url: settings().modelUrl, text, idempotencyKey, signal }),
  ),

  writeIndex.implement(async (document) => {
    await index().write(document);
    return { chunks: document.chunks.length };
  }),

  searchIndex.implement(async ({ limit, ...question }) => search(await index().read(), question, limit)),

  calculation.implement(({ expression, unit }) => ({
    expression,
    unit,
    value: Number(calculate(expression).toPrecision(6)),
  })),

  dateDiff.implement(({ from, to }) => ({ from, to, ...dateDifference(from, to) })),

  termLookup.implement(
    async ({ term }) => lookUpTerm(await index().read(), term) ?? { term, definition: null, document: null },
  ),
];
