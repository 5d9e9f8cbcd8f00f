import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tableNames } from './markdown.js';

const root = new URL('../../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');
const manifest = JSON.parse(read('package.json')) as {
  exports: Record<string, string | { types: string; default: string }>;
  scripts: Record<string, string>;
};
const subpaths = Object.keys(manifest.exports).filter((path) => path !== './package.json');

describe('the exports of the package', () => {
  it.each(subpaths)('"%s" stands in the README', (path) => {
    const name = path === '.' ? 'eventspine' : `eventspine/${path.slice(2)}`;
    expect(tableNames(read('README.md'))).toContain(name);
  });

  it('are all that the README lists', () => {
    const listed = tableNames(read('README.md')).filter((name) => /^eventspine(\/|$)/.test(name));
    expect(listed.sort()).toEqual(
      subpaths.map((path) => (path === '.' ? 'eventspine' : `eventspine/${path.slice(2)}`)).sort(),
    );
  });

  it.each(subpaths)('"%s" is built from an index file that is there', (path) => {
    const entry = manifest.exports[path];
    const built = typeof entry === 'string' ? entry : (entry?.default ?? '');
    expect(existsSync(new URL(built.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts'), root))).toBe(true);
  });
});

describe('the documents', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...markdownBelow('docs/')];

  it.each(pages)('%s links to nothing that is missing', (page) => {
    const links = [...read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '');
    const local = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(local.filter((link) => !existsSync(new URL(link, new URL(page, root))))).toEqual([]);
  });

  it.each(pages)('%s names no npm script that is missing', (page) => {
    const named = [...read(page).matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] ?? '');
    expect(named.filter((name) => manifest.scripts[name] === undefined)).toEqual([]);
  });
});

function markdownBelow(folder: string): string[] {
  return readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `${folder}${file.replaceAll('\\', '/')}`);
}
