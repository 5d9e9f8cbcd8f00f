/**
 * Shapes of everything that crosses a process: events, inputs and outputs. One schema serves publisher, server (as JSON
 * Schema) and worker (in full).
 */
import { z } from 'zod';
import { documentKinds } from './extract/extract.ts';

/** Data of `document.uploaded`: where the document is, not the document, as with any object store. */
export const uploadedDocument = z.object({
  id: z.string().min(1),
  name: z.string().min(1),
  kind: z.enum(documentKinds),
  /** A `file:` URL that the workers can read. */
  uri: z.string().startsWith('file:'),
  /** Of the bytes that were uploaded, in hex: a worker refuses other ones. */
  sha256: z.string().length(64),
});

/** What a reader of a format makes of a document. */
export const extractedText = z.object({
  title: z.string(),
  sections: z.array(z.object({ heading: z.string(), text: z.string(), page: z.number().exactOptional() })).readonly(),
});

const chunk = z.object({ id: z.string(), heading: z.string(), text: z.string(), page: z.number().exactOptional() });

/** An embedding: whole numbers from -127 to 127. */
export const vector = z.array(z.number());

/** A document as the index keeps it. */
export const indexedDocument = z.object({
  id: z.string(),
  name: z.string(),
  title: z.string(),
  chunks: z.array(chunk.extend({ vector })),
});

/** What the search is asked. */
export const searchQuery = z.object({ text: z.string(), vector, limit: z.number().int().min(1).max(20) });

/** What the search found. */
export const passage = z.object({
  chunkId: z.string(),
  document: z.string(),
  title: z.string(),
  heading: z.string(),
  text: z.string(),
  score: z.number(),
  page: z.number().exactOptional(),
});

/** Data of `document.indexed`. */
export const indexed = z.object({
  id: z.string(),
  name: z.string(),
  title: z.string(),
  headings: z.array(z.string()),
  chunks: z.number(),
});

/** Data of `ai.analysis.requested`. */
export const requestedAnalysis = z.object({ question: z.string().min(3).max(500) });

/** Data of `ai.analysis.completed`. */
export const completedAnalysis = z.object({
  question: z.string(),
  answer: z.string(),
  /** The model that wrote the answer. */
  model: z.string(),
  citations: z.array(z.object({ number: z.number(), source: z.string() })),
  toolCalls: z.number(),
});
