/**
 * Reads HTML as text with a small tokenizer of our own: tags, comments, raw-text elements and entities of HTML 5, as far
 * as the text of a document needs them. It builds no tree and runs nothing; markup that is wrong loses its marks, not
 * its text. Navigation, header and footer of a page are left out, because they repeat on every page.
 */
import { type ExtractedText, SectionCollector } from './extracted-text.ts';

const skipped = new Set(['script', 'style', 'noscript', 'template', 'nav', 'footer', 'svg', 'head']);
const rawText = new Set(['script', 'style', 'textarea', 'title']);
const blocks = new Set(
  'address article aside blockquote body br dd div dl dt figcaption figure form header hr li main ol p pre section table tbody thead tr ul'.split(
    ' ',
  ),
);
const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  ndash: '–',
  mdash: '—',
  hellip: '…',
  rsaquo: '›',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  deg: '°',
  micro: 'µ',
  times: '×',
  plusmn: '±',
  copy: '©',
  auml: 'ä',
  ouml: 'ö',
  uuml: 'ü',
  szlig: 'ß',
  eacute: 'é',
  egrave: 'è',
};

type Token =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'open' | 'close'; readonly name: string };

/** Text of an HTML document. `name` is the title where the document has none. */
export function extractHtml(source: string, name: string): ExtractedText {
  const sections = new SectionCollector(name);
  let title: string | null = null;
  let capture: { readonly name: string; text: string } | null = null;
  let line = '';
  let hidden: { readonly name: string; depth: number } | null = null;

  const flush = (): void => {
    if (line.trim() !== '') {
      sections.add(line);
      sections.add('');
    }
    line = '';
  };

  for (const token of tokens(source)) {
    if (token.kind === 'text') {
      if (capture !== null) capture.text += token.text;
      else if (hidden === null) line += token.text;
      continue;
    }
    if (token.kind === 'close' && capture?.name === token.name) {
      const text = squeeze(capture.text);
      if (token.name === 'title') title = text;
      else if (text !== '') sections.begin(text);
      if (token.name === 'h1') title ??= text;
      capture = null;
      continue;
    }
    if (token.name === 'title' && token.kind === 'open') {
      capture = { name: 'title', text: '' };
      continue;
    }
    if (hidden !== null) {
      if (hidden.name === token.name) hidden.depth += token.kind === 'open' ? 1 : -1;
      if (hidden.depth === 0) hidden = null;
      continue;
    }
    if (token.kind === 'open' && skipped.has(token.name)) {
      flush();
      hidden = { name: token.name, depth: 1 };
    } else if (token.kind === 'open' && /^h[1-6]$/.test(token.name)) {
      flush();
      capture = { name: token.name, text: '' };
    } else if (token.kind === 'open' && (token.name === 'td' || token.name === 'th')) {
      line += line.trim() === '' ? '' : ' | ';
    } else if (blocks.has(token.name)) {
      flush();
    }
  }
  flush();
  return { title: title === null || title === '' ? name : title, sections: sections.end() };
}

function* tokens(source: string): Generator<Token> {
  let at = 0;
  while (at < source.length) {
    const tag = source.indexOf('<', at);
    if (tag === -1) {
      yield { kind: 'text', text: decodeEntities(source.slice(at)) };
      return;
    }
    if (tag > at) yield { kind: 'text', text: decodeEntities(source.slice(at, tag)) };
    if (source.startsWith('<!--', tag)) {
      at = after(source, '-->', tag + 4);
      continue;
    }
    const found = /^<(\/?)([a-z][a-z0-9-]*)(?:"[^"]*"|'[^']*'|[^'">])*>/i.exec(source.slice(tag, tag + 4_096));
    if (found === null) {
      // A declaration such as <!doctype html> disappears; a bare "<" in the text stays.
      const declaration = /^<[!?][^>]*>/.exec(source.slice(tag, tag + 4_096));
      if (declaration === null) yield { kind: 'text', text: '<' };
      at = tag + (declaration?.[0].length ?? 1);
      continue;
    }
    const name = (found[2] ?? '').toLowerCase();
    at = tag + found[0].length;
    yield { kind: found[1] === '/' ? 'close' : 'open', name };
    if (found[1] === '' && rawText.has(name)) {
      const end = new RegExp(`</${name}\\s*>`, 'i').exec(source.slice(at));
      const stop = end === null ? source.length : at + end.index;
      yield { kind: 'text', text: name === 'title' ? decodeEntities(source.slice(at, stop)) : source.slice(at, stop) };
      at = stop;
    }
  }
}

function decodeEntities(text: string): string {
  return text.replaceAll(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,8});?/gi, (whole, body: string) => {
    if (!body.startsWith('#')) return entities[body] ?? whole;
    const code = body[1] === 'x' || body[1] === 'X' ? Number.parseInt(body.slice(2), 16) : Number(body.slice(1));
    const storable = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return storable ? String.fromCodePoint(code) : '\ufffd';
  });
}

function squeeze(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

function after(source: string, mark: string, from: number): number {
  const found = source.indexOf(mark, from);
  return found === -1 ? source.length : found + mark.length;
}
