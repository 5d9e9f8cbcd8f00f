/**
 * From the bytes of a file to its text. A document that cannot be read is a fact about the document and not about
 * the moment, so it fails for good (`DocumentUnreadable` is not retryable) and ends as a dead letter.
 */
import type { ExtractedText } from './extracted-text.ts';
import { extractHtml } from './html.ts';
import { extractMarkdown } from './markdown.ts';
import { extractPdf } from './pdf.ts';
import { extractPlainText } from './plain-text.ts';

/** The kinds of document that the pipeline reads. */
export const documentKinds = ['markdown', 'html', 'pdf', 'text'] as const;
export type DocumentKind = (typeof documentKinds)[number];

/** Files above this are refused: one document is one value in the history of its run. */
export const documentBytesMax = 8 * 1024 * 1024;

const kindOfExtension: Readonly<Record<string, DocumentKind>> = {
  md: 'markdown',
  markdown: 'markdown',
  htm: 'html',
  html: 'html',
  pdf: 'pdf',
  txt: 'text',
  text: 'text',
};

/** The kind of a file by the end of its name; null = not one that we read. */
export function kindOf(fileName: string): DocumentKind | null {
  const extension = /\.([a-z0-9]+)$/i.exec(fileName)?.[1]?.toLowerCase();
  return extension === undefined ? null : (kindOfExtension[extension] ?? null);
}

/** A document that no retry will make readable. */
export class DocumentUnreadable extends Error {
  /** Both are read by the worker: another attempt does not help, and the fault is in the input. */
  readonly retryable = false;
  readonly class = 'poison';
  readonly code = 'DOCUMENT_UNREADABLE';
  override readonly name = 'DocumentUnreadable';
}

/** Text of a document. `name` is shown as its title where it has none. Rejects with `DocumentUnreadable`. */
export async function extract(kind: DocumentKind, bytes: Uint8Array, name: string): Promise<ExtractedText> {
  if (bytes.byteLength > documentBytesMax) {
    throw new DocumentUnreadable(`${name} has ${bytes.byteLength} bytes; the most is ${documentBytesMax}.`);
  }
  const text = await read(kind, bytes, name);
  if (text.sections.length === 0) throw new DocumentUnreadable(`${name} holds no text.`);
  return text;
}

async function read(kind: DocumentKind, bytes: Uint8Array, name: string): Promise<ExtractedText> {
  switch (kind) {
    case 'markdown':
      return extractMarkdown(decode(bytes, name), name);
    case 'html':
      return extractHtml(decode(bytes, name), name);
    case 'text':
      return extractPlainText(decode(bytes, name), name);
    case 'pdf':
      return await extractPdf(bytes, name).catch((cause: unknown) => {
        throw new DocumentUnreadable(`${name} is not a readable PDF: ${messageOf(cause)}`, { cause });
      });
  }
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    // Not ignored: a byte order mark is part of the encoding, not of the text. NUL cannot be stored, and says "binary".
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch (cause) {
    throw new DocumentUnreadable(`${name} is not UTF-8 text.`, { cause });
  }
  throw new DocumentUnreadable(`${name} is a binary file under the name of a text file.`);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
