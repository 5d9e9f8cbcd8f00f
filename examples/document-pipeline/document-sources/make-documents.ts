/**
 * Makes the PDF documents of the example out of the texts beside this file: `npx tsx make-documents.ts`. One of
 * them is cut in the middle on purpose: the demo shows what becomes of a document that nobody can read.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { writePdf } from '../extract/pdf-writer.ts';

const documents = new URL('../documents/', import.meta.url);

async function pdfOf(name: string): Promise<Uint8Array> {
  return writePdf(await readFile(new URL(`${name}.txt`, import.meta.url), 'utf8'));
}

for (const name of ['mirror-recoating', 'night-safety']) {
  await writeFile(new URL(`${name}.pdf`, documents), await pdfOf(name));
}
const whole = await pdfOf('night-safety');
await writeFile(new URL('damaged-scan.pdf', documents), whole.subarray(0, 700));
