import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { apiPage, entriesOf, firstSentence, publicNames } from '../../scripts/api-index.js';

const root = new URL('../../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');
const page = 'docs/reference/api.md';

/** Writes the page instead of comparing it, with `EVENTSPINE_WRITE_DOCS=1`. */
const isWriting = process.env['EVENTSPINE_WRITE_DOCS'] === '1';

const entries = entriesOf(read('package.json'));
const names = publicNames(entries, read);

describe('the public names', () => {
  it.each(entries)('of $name all have a doc comment that is a sentence', ({ name }) => {
    const ours = names.filter(({ entry }) => entry === name);
    expect(ours.length).toBeGreaterThan(0);
    expect(ours.filter(({ doc }) => !/^(?!See the top).{10,}[.:?]/.test(doc)).map((one) => one.name)).toEqual([]);
  });

  it('stand in the reference, and no others', () => {
    if (isWriting) writeFileSync(new URL(page, root), apiPage(names));
    expect(read(page)).toBe(apiPage(names));
  });

  it('that run are those that the built modules have', () => {
    const files = entries.map(({ index }) => index.replace(/^src\//, './dist/').replace(/\.ts$/, '.js'));
    if (!files.every((file) => existsSync(new URL(file, root)))) return;
    const program = `for (const file of ${JSON.stringify(files)})
      console.log(JSON.stringify(Object.keys(await import(new URL(file, ${JSON.stringify(root.href)}).href)).sort()));`;
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    const built = printed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as string[]);
    const ours = entries.map(({ name }) =>
      names.filter((one) => one.entry === name && one.kind !== 'type').map((one) => one.name),
    );
    expect(ours.map((found) => found.sort())).toEqual(built);
  });
});

describe('the index of names', () => {
  const files: Readonly<Record<string, string>> = {
    'src/a/index.ts': "export { one, type Two } from './a.js';\nexport type { Three as Drei } from '../b/index.js';\n",
    'src/a/a.ts':
      '/** The module. */\nimport type {} from "x";\n/** The one. And more. */\nexport function one(): void {}\nexport interface Two {}\n',
    'src/b/index.ts': "export { Three } from './b.js';\n",
    'src/b/b.ts': 'const x = 1;\n/**\n * See e.g. that: it is\n * long.\n */\nexport type Three = 3;\n',
  };
  const index = [{ name: 'p/a', index: 'src/a/index.ts' }];

  it('follows names to their declarations', () => {
    expect(publicNames(index, (file) => files[file] ?? '')).toEqual([
      { entry: 'p/a', name: 'one', kind: 'function', doc: 'The one. And more.' },
      { entry: 'p/a', name: 'Two', kind: 'type', doc: '' },
      { entry: 'p/a', name: 'Drei', kind: 'type', doc: 'See e.g. that: it is long.' },
    ]);
  });

  it('refuses a name that leads nowhere', () => {
    expect(() => publicNames(index, (file) => (file === 'src/b/b.ts' ? '' : (files[file] ?? '')))).toThrow(
      'src/b/b.ts does not export Three.',
    );
  });

  it('takes the first sentence', () => {
    expect(firstSentence('The one. And more.')).toBe('The one.');
    expect(firstSentence('See e.g. that: it is long.')).toBe('See e.g. that: it is long.');
  });
});
