/**
 * Reads PDF with pdf.js (package `unpdf`, loaded on first use, because it is the only large dependency here). A line
 * that is set larger than the body of the document is a heading.
 */
import { type ExtractedText, SectionCollector } from './extracted-text.ts';

interface Line {
  readonly text: string;
  readonly height: number;
  /** The baseline, in points from the foot of the page. */
  readonly y: number;
  readonly page: number;
}

/** Text of a PDF document. `name` is the title where no line stands out. Rejects with the fault that pdf.js found. */
export async function extractPdf(bytes: Uint8Array, name: string): Promise<ExtractedText> {
  const lines = await readLines(bytes);
  const body = usualHeight(lines);
  const isHeading = (line: Line): boolean => line.height > body * 1.15;
  const title = lines.find(isHeading)?.text ?? name;
  const sections = new SectionCollector(title);
  let page = 0;
  let last: Line | null = null;
  for (const line of lines) {
    if (line.page !== page) sections.beginPage(line.page);
    page = line.page;
    if (isHeading(line)) sections.begin(line.text);
    else {
      // A gap wider than a line's own leading separates paragraphs; a page break alone does not.
      const gap = last !== null && last.page === line.page ? last.y - line.y : 0;
      if (gap > line.height * 1.8) sections.add('');
      sections.add(line.text);
    }
    last = line;
  }
  return { title, sections: sections.end() };
}

/** The part of a pdf.js document that is used here: its own types name browser classes that Node does not have. */
interface PdfDocument {
  readonly numPages: number;
  getPage(number: number): Promise<{ getTextContent(): Promise<{ readonly items: readonly object[] }> }>;
  destroy(): Promise<void>;
}

async function readLines(bytes: Uint8Array): Promise<Line[]> {
  const { getDocumentProxy } = await import('unpdf');
  // pdf.js takes the buffer over, and the caller may still want it. Verbosity 0: its warnings would go to the console.
  const document = (await getDocumentProxy(Uint8Array.from(bytes), { verbosity: 0 })) as unknown as PdfDocument;
  try {
    const lines: Line[] = [];
    for (let page = 1; page <= document.numPages; page += 1) {
      const content = await (await document.getPage(page)).getTextContent();
      lines.push(...linesOf(content.items, page));
    }
    return lines;
  } finally {
    await document.destroy();
  }
}

function linesOf(items: readonly object[], page: number): Line[] {
  const lines: Line[] = [];
  let open: { text: string; height: number; y: number } | null = null;
  for (const item of items) {
    if (!isTextItem(item)) continue;
    open ??= { text: '', height: 0, y: item.transform[5] ?? 0 };
    open.text += item.str;
    open.height = Math.max(open.height, item.height);
    if (!item.hasEOL) continue;
    lines.push({ ...open, page });
    open = null;
  }
  if (open !== null) lines.push({ ...open, page });
  return lines.filter((line) => line.text.trim() !== '');
}

interface TextItem {
  readonly str: string;
  readonly hasEOL: boolean;
  readonly height: number;
  readonly transform: readonly number[];
}

function isTextItem(item: object): item is TextItem {
  return 'str' in item && 'hasEOL' in item && 'height' in item && 'transform' in item;
}

/** The height in which most of the characters are set. */
function usualHeight(lines: readonly Line[]): number {
  const characters = new Map<number, number>();
  for (const line of lines) {
    const height = Math.round(line.height * 10) / 10;
    characters.set(height, (characters.get(height) ?? 0) + line.text.length);
  }
  return [...characters].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 0;
}
