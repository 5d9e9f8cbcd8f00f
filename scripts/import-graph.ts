/**
 * The graph of imports between files of the repository, by a scan of the text: no parser, because imports here are
 * plain (`from '…'`, `import '…'`, `import('…')`, `new URL('…', import.meta.url)`) and the scan must start fast.
 * Strings inside comments may add an edge too many; they never hide one.
 */
import { posix } from 'node:path';

/** Imports of each file, by path from the root of the repository. Only files of the repository appear. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>;

export interface Import {
  /** Path of the imported file from the root. */
  readonly to: string;
  /** A type-only import leaves nothing at run time: it makes no cycle, but it does cross layers. */
  readonly typeOnly: boolean;
}

const pattern =
  /(?:^|[;\n}])\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s*)?['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/g;

/** `texts` maps paths from the root, with forward slashes, to contents. Relative imports of unknown files are dropped. */
export function scanImports(texts: ReadonlyMap<string, string>): ImportGraph {
  const graph = new Map<string, Import[]>();
  for (const [file, text] of texts) {
    const imports: Import[] = [];
    for (const match of text.matchAll(pattern)) {
      const specifier = match[2] ?? match[3] ?? '';
      const to = resolve(file, specifier, texts);
      if (to !== null) imports.push({ to, typeOnly: match[1] !== undefined });
    }
    graph.set(file, imports);
  }
  return graph;
}

/** The file behind a relative specifier: `./x.js` is written for `./x.ts`. */
function resolve(from: string, specifier: string, texts: ReadonlyMap<string, string>): string | null {
  if (!specifier.startsWith('.')) return null;
  const path = posix.join(posix.dirname(from), specifier);
  const candidates = [
    path,
    path.replace(/\.js$/, '.ts'),
    path.replace(/\.js$/, '.tsx'),
    path.replace(/\.mjs$/, '.mts'),
  ];
  return candidates.find((candidate) => texts.has(candidate)) ?? null;
}
