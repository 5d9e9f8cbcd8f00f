/**
 * The public names of the package: what each entry of `exports` gives, with the kind and the doc comment of the declaration
 * that it leads to. Read from source texts, because index files only re-export by name and declarations begin a line.
 */
import { posix } from 'node:path';

/** A name that users can import. */
export interface PublicName {
  /** As imported, e.g. `eventspine/client`. */
  readonly entry: string;
  readonly name: string;
  readonly kind: 'function' | 'class' | 'constant' | 'type';
  /** Text of the doc comment on one line; empty = there is none. */
  readonly doc: string;
}

/** Where an entry begins. */
export interface Entry {
  readonly name: string;
  /** Path of its index file in the repository. */
  readonly index: string;
}

/** The entries that have types, from the text of package.json. */
export function entriesOf(manifestText: string): Entry[] {
  const { name, exports } = JSON.parse(manifestText) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, string | { readonly types?: string }>>;
  };
  return Object.entries(exports).flatMap(([path, target]) => {
    const types = typeof target === 'string' ? undefined : target.types;
    if (types === undefined) return [];
    return [{ name: name + path.slice(1), index: types.replace(/^\.\/dist\//, 'src/').replace(/\.d\.ts$/, '.ts') }];
  });
}

/** All public names, in the order in which an entry lists them. Fails where a name leads nowhere. */
export function publicNames(entries: readonly Entry[], read: (file: string) => string): PublicName[] {
  return entries.flatMap((entry) =>
    reexports(read(entry.index), entry.index).map((found) => ({
      entry: entry.name,
      name: found.as,
      ...declaration(found.from, found.name, read),
      ...(found.typeOnly ? { kind: 'type' as const } : {}),
    })),
  );
}

interface Reexport {
  /** A class that is exported as a type cannot be made by users. */
  readonly typeOnly: boolean;
  readonly name: string;
  readonly as: string;
  readonly from: string;
}

function reexports(text: string, file: string): Reexport[] {
  return listed(text.matchAll(/^export\s+(type\s+)?\{([^}]*)\}\s*from\s*'([^']+)';/gm), file);
}

/** Names that come in; `export { name }` without a place may pass them on. */
function imports(text: string, file: string): Reexport[] {
  return listed(text.matchAll(/^import\s+(type\s+)?\{([^}]*)\}\s*from\s*'(\.[^']+)';/gm), file);
}

function listed(lists: Iterable<RegExpMatchArray>, file: string): Reexport[] {
  return [...lists].flatMap(([, type = '', list = '', path = '']) =>
    list
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
      .map((item) => {
        const [name = '', as = name] = item.replace(/^type\s+/, '').split(/\s+as\s+/);
        return {
          name,
          as,
          typeOnly: type !== '' || /^type\s/.test(item),
          from: posix.join(posix.dirname(file), path.replace(/\.js$/, '.ts')),
        };
      }),
  );
}

function declaration(file: string, name: string, read: (file: string) => string): Pick<PublicName, 'kind' | 'doc'> {
  const text = read(file);
  const found = new RegExp(
    String.raw`^export (?:declare )?(?:abstract )?(?:async )?(function\*?|class|const|interface|type) ${name}\b(?! as)`,
    'm',
  ).exec(text);
  if (found === null) {
    const next = [...reexports(text, file), ...imports(text, file)].find(({ as }) => as === name);
    if (next === undefined) throw new Error(`${file} does not export ${name}.`);
    return declaration(next.from, next.name, read);
  }
  return { kind: kinds[found[1]?.replace('*', '') ?? ''] ?? 'type', doc: docBefore(text.slice(0, found.index)) };
}

const kinds: Readonly<Record<string, PublicName['kind']>> = {
  function: 'function',
  class: 'class',
  const: 'constant',
  interface: 'type',
  type: 'type',
};

/** The doc comment that ends where the declaration begins. A comment at the very top is of the module. */
function docBefore(text: string): string {
  const start = text.lastIndexOf('/**');
  const comment = start <= 0 ? null : /^\/\*\*((?:(?!\*\/)[^])*)\*\/\n$/.exec(text.slice(start));
  return (comment?.[1] ?? '')
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trim())
    .join(' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** The first sentence of a doc comment. */
export function firstSentence(doc: string): string {
  // A dot ends a sentence before a capital; "e.g." and file names go on.
  return /^.*?[.:](?= [A-Z`(]|$)/.exec(doc)?.[0].replace(/:$/, '.') ?? doc;
}

/** The page docs/reference/api.md. */
export function apiPage(names: readonly PublicName[]): string {
  const entries = [...new Set(names.map(({ entry }) => entry))];
  const sections = entries.map((entry) => {
    const rows = names
      .filter((one) => one.entry === entry)
      .sort((a, b) => order(a) - order(b) || (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))
      .map(({ name, kind, doc }) => `| \`${name}\` | ${kind} | ${firstSentence(doc).replaceAll('|', '\\|')} |`);
    return `## ${entry}\n\n| name | kind | what it is |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Public names

Everything that can be imported, with the first sentence of its doc comment; the rest, with options, defaults and codes, is
shown by your editor. What is not listed here is not public.

This page is written from the sources; a test compares them
(\`EVENTSPINE_WRITE_DOCS=1 npx vitest run --project main test/docs/api.test.ts\` writes it anew).

${sections.join('\n')}`;
}

/** What runs comes before what only types see. */
function order({ kind }: PublicName): number {
  return kind === 'type' ? 1 : 0;
}
