/**
 * Rules about texts: what an index file may hold, which words are never committed, which decisions are listed.
 */

/** `index.ts` only re-exports, by name. Everything else is a fault. */
export function indexFaults(file: string, text: string): string[] {
  if (!file.endsWith('/index.ts')) return [];
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const rest = code.replace(/export\s+(?:type\s+)?\{[^}]*\}\s*from\s*['"][^'"]+['"]\s*;/g, '');
  return rest.trim() === '' ? [] : [`${file}: an index file only re-exports, by name; found "${firstLine(rest)}".`];
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0]?.slice(0, 80) ?? '';
}

interface WordRule {
  readonly pattern: RegExp;
  readonly says: string;
  readonly files?: RegExp;
}

/** Put together from parts, so that this file keeps its own rules. */
const wordRules: readonly WordRule[] = [
  {
    pattern: new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'HA' + 'CK', 'XX' + 'X'].join('|')})\\b`),
    says: 'unfinished work is an issue, not a mark in a file',
  },
  { pattern: /\b(?:describe|it|test|suite)\.only\(/, says: 'a test that shuts out the others', files: /\.test\.ts$/ },
  {
    pattern: new RegExp(`@ts-${'ignore'}|@ts-${'nocheck'}`),
    says: 'the compiler is not silenced',
    files: /\.(ts|mjs)$/,
  },
  {
    pattern: new RegExp(`(?:ox|es)lint-${'disable'}|biome-${'ignore'}`),
    says: 'the linter is not silenced',
    files: /\.(ts|mjs)$/,
  },
  {
    pattern: new RegExp(`(?:^|[\\s"'\`(=])/(?:${['work', 'root', 'home/[a-z]+', 'Users/[A-Za-z]+'].join('|')})/`),
    says: 'a path of one machine',
  },
  { pattern: /^(?:<{7}|>{7}) /m, says: 'a mark of a merge' },
];

/** Words that must not be committed, with the line on which each stands. */
export function wordFaults(file: string, text: string): string[] {
  const rules = wordRules.filter((rule) => rule.files === undefined || rule.files.test(file));
  if (!rules.some((rule) => rule.pattern.test(text))) return [];
  return text
    .split('\n')
    .flatMap((line, i) =>
      rules
        .filter((rule) => rule.pattern.test(line))
        .map((rule) => `${file}:${i + 1}: ${rule.says}: ${line.trim().slice(0, 80)}`),
    );
}

/** Decisions that docs/adr/README.md does not link, links to none, and numbers used twice. */
export function adrFaults(files: readonly string[], list: string): string[] {
  const decisions = files.filter((file) => /^\d{4}-.*\.md$/.test(file)).sort();
  const faults: string[] = [];
  const numbers = new Map<string, string>();
  for (const file of decisions) {
    if (!list.includes(`(${file})`)) faults.push(`docs/adr/README.md does not list ${file}.`);
    const number = file.slice(0, 4);
    const other = numbers.get(number);
    if (other !== undefined) faults.push(`docs/adr: ${other} and ${file} have the same number.`);
    numbers.set(number, file);
  }
  for (const [, linked] of list.matchAll(/\((\d{4}-[^)]*\.md)\)/g)) {
    if (linked !== undefined && !files.includes(linked))
      faults.push(`docs/adr/README.md lists ${linked}, which is missing.`);
  }
  return faults;
}
