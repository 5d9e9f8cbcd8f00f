import { describe, expect, it } from 'vitest';
import { DocumentUnreadable, extract, kindOf } from './extract.ts';
import { writePdf } from './pdf-writer.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('kindOf', () => {
  it.each([
    ['a.md', 'markdown'],
    ['A.HTML', 'html'],
    ['x.y.pdf', 'pdf'],
    ['notes.txt', 'text'],
    ['table.csv', null],
    ['README', null],
  ])('takes %s for %s', (name, kind) => {
    expect(kindOf(name)).toBe(kind);
  });
});

describe('extract', () => {
  it('reads Markdown: headings, list items, table rows and front matter', async () => {
    const source =
      '---\ntitle: "The manual"\nauthor: x\n---\n# First\n\nSome *plain*\ntext with a [link](http://x).\n\n## Second\n- one\n- two\n\n| A | B |\n| --- | --- |\n| 1 | 2 |\n';
    expect(await extract('markdown', bytes(source), 'm.md')).toEqual({
      title: 'The manual',
      sections: [
        { heading: 'First', text: 'Some plain text with a link.' },
        { heading: 'Second', text: 'one\ntwo\nA | B\n1 | 2' },
      ],
    });
  });

  it('leaves a heading mark inside a code fence as text', async () => {
    const text = await extract('markdown', bytes('# T\n\n```\n# not a heading\n```\n'), 'm.md');
    expect(text.sections).toEqual([{ heading: 'T', text: '# not a heading' }]);
  });

  it('reads HTML: no scripts, no navigation, entities decoded, cells of a row on one line', async () => {
    const source =
      '<!doctype html><html><head><title>T &amp; U</title><style>p{}</style></head><body><nav>Menu</nav>' +
      '<h1>Top</h1><p>One&nbsp;two &#8212; 3 < 4.</p><script>if (a < b) alert("<p>no</p>")</script>' +
      '<h2 class="a>b">Sub</h2><table><tr><td>a</td><td>b</td></tr></table><!-- <p>gone</p> --></body></html>';
    expect(await extract('html', bytes(source), 'h.html')).toEqual({
      title: 'T & U',
      sections: [
        { heading: 'Top', text: 'One two — 3 < 4.' },
        { heading: 'Sub', text: 'a | b' },
      ],
    });
  });

  it('reads plain text: title, numbered and underlined headings', async () => {
    const source = 'THE PLANT\n\n1. Normal supply\n\nIt runs.\nAlways.\n\nBattery\n-------\n\n22 minutes.\n';
    expect(await extract('text', bytes(source), 't.txt')).toEqual({
      title: 'THE PLANT',
      sections: [
        { heading: 'Normal supply', text: 'It runs. Always.' },
        { heading: 'Battery', text: '22 minutes.' },
      ],
    });
  });

  it('reads PDF: larger lines are headings, wrapped lines are one paragraph, pages are numbered', async () => {
    const pdf = writePdf(
      `# A (short) title\n\n${'word '.repeat(40).trim()}.\n\nNext paragraph.\n\n---\n\n## Second page\n\nText.`,
    );
    const text = await extract('pdf', pdf, 'p.pdf');
    expect(text.title).toBe('A (short) title');
    expect(text.sections).toEqual([
      { heading: 'A (short) title', text: `${'word '.repeat(40).trim()}.\nNext paragraph.`, page: 1 },
      { heading: 'Second page', text: 'Text.', page: 2 },
    ]);
  });

  it('leaves the bytes of a PDF to the caller', async () => {
    const pdf = writePdf('# T\n\nText.');
    await extract('pdf', pdf, 'p.pdf');
    expect(pdf.byteLength).toBeGreaterThan(0);
  });

  it.each([
    ['a PDF that is cut', 'pdf', writePdf('# T\n\nText.').subarray(0, 300)],
    ['text that is not UTF-8', 'text', Uint8Array.of(0xff, 0xfe, 0x41)],
    ['a binary file under a text name', 'markdown', Uint8Array.of(0x41, 0, 0x42)],
    ['a file without text', 'html', bytes('<html><script>1</script></html>')],
    ['a file that is too large', 'text', new Uint8Array(8 * 1024 * 1024 + 1)],
  ] as const)('refuses %s for good', async (_what, kind, content) => {
    const refused = extract(kind, content, 'x');
    await expect(refused).rejects.toBeInstanceOf(DocumentUnreadable);
    await expect(refused).rejects.toMatchObject({ retryable: false, class: 'poison' });
  });
});
