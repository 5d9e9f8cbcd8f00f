import { describe, expect, it } from 'vitest';
import { adrFaults, indexFaults, wordFaults } from './text-rules.js';

describe('indexFaults', () => {
  it('accepts re-exports by name, with comments', () => {
    const text = "/** Doc. */\nexport { a, b } from './a.js';\n// Why.\nexport type {\n  C,\n} from './c.js';\n";
    expect(indexFaults('src/x/index.ts', text)).toEqual([]);
  });

  it.each(["export * from './a.js';", "import './a.js';", 'export const a = 1;', 'start();'])('refuses %j', (line) => {
    expect(indexFaults('src/x/index.ts', `export { a } from './a.js';\n${line}\n`)).toHaveLength(1);
  });

  it('looks at index files only', () => {
    expect(indexFaults('src/x/y.ts', 'export const a = 1;')).toEqual([]);
  });
});

describe('wordFaults', () => {
  // Put together here, or this file would break the rules that it tests.
  it.each([
    ['x.ts', `// ${'TO'}${'DO'}: later`],
    ['x.md', `${'FIX'}${'ME'}`],
    ['x.test.ts', `it.${'only'}('x', () => {});`],
    ['x.ts', `// @ts-${'ignore'}`],
    ['x.ts', `// oxlint-${'disable'}-next-line no-var`],
    ['x.md', `see ${'/wor'}${'k/main/x'}`],
    ['x.json', `"${'/ho'}${'me/someone/x'}"`],
    ['x.ts', `${'<<<'}${'<<<<'} HEAD`],
  ])('refuses in %s: %s', (file, line) => {
    expect(wordFaults(file, `first line\n${line}\n`)).toEqual([expect.stringContaining(`${file}:2: `)]);
  });

  it('leaves words alone that only contain one', () => {
    expect(wordFaults('x.md', 'The framework and its network; src/work/x; a hackney carriage.')).toEqual([]);
  });
});

describe('adrFaults', () => {
  it('accepts a list that names every decision', () => {
    expect(adrFaults(['README.md', '0001-a.md'], '- [0001](0001-a.md)')).toEqual([]);
  });

  it('names what is not listed, what is missing and what shares a number', () => {
    expect(adrFaults(['0001-a.md', '0001-b.md'], '(0001-a.md) (0002-c.md)')).toHaveLength(3);
  });
});
