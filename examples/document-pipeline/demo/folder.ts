/** Finds the documents of a folder and describes them as events want them: by reference, with a checksum. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { z } from 'zod';
import { documentBytesMax, kindOf } from '../extract/extract.ts';
import type { uploadedDocument } from '../shapes.ts';

/** Data of one `document.uploaded`. */
export type UploadedDocument = z.infer<typeof uploadedDocument>;

/** What a folder holds. */
export interface FolderContents {
  readonly documents: readonly UploadedDocument[];
  /** Files that the pipeline does not read, with the reason. */
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
}

/** More than this would make a demo of minutes. */
export const documentsMax = 200;
const foldersDeepMax = 5;

/** Reads a folder and those in it, in the order of names. Rejects where it cannot be read, saying why. */
export async function readFolder(folder: string): Promise<FolderContents> {
  const documents: UploadedDocument[] = [];
  const skipped: { name: string; why: string }[] = [];
  const paths = await filesOf(folder, foldersDeepMax).catch((cause: unknown) => {
    throw new Error(`The folder ${folder} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  });
  for (const path of paths) {
    const name = relative(folder, path);
    const kind = kindOf(name);
    const { size } = await stat(path);
    if (kind === null) skipped.push({ name, why: 'not Markdown, HTML, PDF or text' });
    else if (size > documentBytesMax) skipped.push({ name, why: `larger than ${documentBytesMax / 1024 / 1024} MiB` });
    else if (documents.length >= documentsMax) skipped.push({ name, why: `the demo takes ${documentsMax} documents` });
    else {
      const sha256 = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
      documents.push({ id: idOf(name), name, kind, uri: pathToFileURL(path).href, sha256 });
    }
  }
  return { documents, skipped };
}

async function filesOf(folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
    if (entry.isDirectory() && depth > 0) found.push(...(await filesOf(path, depth - 1)));
    else if (entry.isFile()) found.push(path);
  }
  return found;
}

/** Readable, in ASCII and different for different names. */
function idOf(name: string): string {
  const readable = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 60);
  return `${readable}-${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
}
