/**
 * Writes plain pages of text as PDF 1.4 with the built-in font Helvetica: enough to make the PDF documents of this
 * example from their sources, and PDF fixtures for tests. Latin-1 text only.
 */

const page = { width: 595, height: 842, margin: 64 } as const;
const styles = {
  title: { font: 'F2', size: 18, leading: 26, lineLengthMax: 50 },
  heading: { font: 'F2', size: 13, leading: 22, lineLengthMax: 70 },
  body: { font: 'F1', size: 10.5, leading: 14, lineLengthMax: 88 },
} as const;

type Style = keyof typeof styles;

/**
 * A PDF of the given text. Blocks are separated by empty lines; `# ` begins a title, `## ` a heading, and a block that
 * is `---` a new page.
 */
export function writePdf(source: string): Uint8Array {
  const pages = source.split(/^---$/m).map(contentOf);
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, i) => `${5 + i * 2} 0 R`).join(' ')}] >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>',
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>',
    ...pages.flatMap((content, i) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${page.width} ${page.height}] /Contents ${6 + i * 2} 0 R ` +
        '/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>',
      `<< /Length ${Buffer.byteLength(content, 'latin1')} >>\nstream\n${content}\nendstream`,
    ]),
  ];
  return fileOf(objects);
}

function fileOf(objects: readonly string[]): Uint8Array {
  let text = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const offset = Buffer.byteLength(text, 'latin1');
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const start = Buffer.byteLength(text, 'latin1');
  const rows = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`;
  text += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`;
  return Buffer.from(text, 'latin1');
}

function contentOf(source: string): string {
  let y = page.height - page.margin;
  const lines: string[] = [];
  for (const block of source.split(/\n\s*\n/).map((text) => text.replaceAll(/\s+/g, ' ').trim())) {
    if (block === '') continue;
    const [style, text] = styleOf(block);
    const { font, size, leading, lineLengthMax } = styles[style];
    for (const line of wrap(text, lineLengthMax)) {
      lines.push(`BT /${font} ${size} Tf ${page.margin} ${y} Td (${escape(line)}) Tj ET`);
      y -= leading;
    }
    y -= leading;
  }
  if (y < page.margin) throw new RangeError('The text is longer than its page; part it with a line of ---.');
  return lines.join('\n');
}

function styleOf(block: string): [Style, string] {
  if (block.startsWith('## ')) return ['heading', block.slice(3)];
  if (block.startsWith('# ')) return ['title', block.slice(2)];
  return ['body', block];
}

function wrap(text: string, lengthMax: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > lengthMax) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function escape(text: string): string {
  return text.replaceAll(/[\\()]/g, (character) => `\\${character}`);
}
