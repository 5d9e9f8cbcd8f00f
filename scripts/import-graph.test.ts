import { describe, expect, it } from 'vitest';
import { findCycles } from './import-cycles.js';
import { scanImports } from './import-graph.js';

function graphOf(files: Record<string, string>) {
  return scanImports(new Map(Object.entries(files)));
}

describe('scanImports', () => {
  it.each([
    ["import { b } from './b.js';", false],
    ["import { b, type B } from './b.js';", false],
    ["import type { B } from './b.js';", true],
    ["import './b.js';", false],
    ["export * from './b.js';", false],
    ["export { b } from './b.js';", false],
    ["export type { B } from './b.js';", true],
    ["import {\n  a,\n  b,\n} from './b.js';", false],
    ["import b, { c } from '../x/b.js';", false],
    ["const b = await import('./b.js');", false],
    ["/** Doc. */\nimport * as b from './b.js';", false],
  ])('sees %j', (text, typeOnly) => {
    expect(graphOf({ 'x/a.ts': text, 'x/b.ts': '' }).get('x/a.ts')).toEqual([{ to: 'x/b.ts', typeOnly }]);
  });

  it('sees each of several imports of one file', () => {
    const text = "import { c } from './c.js';\nimport { b } from './b.js';\n\nexport { d } from './d.js';\n";
    const graph = graphOf({ 'a.ts': text, 'b.ts': '', 'c.ts': '', 'd.ts': '' });
    expect(graph.get('a.ts')?.map((edge) => edge.to)).toEqual(['c.ts', 'b.ts', 'd.ts']);
  });

  it('leaves out packages and modules of the runtime', () => {
    expect(graphOf({ 'a.ts': "import { z } from 'zod';\nimport fs from 'node:fs';" }).get('a.ts')).toEqual([]);
  });
});

describe('findCycles', () => {
  it('finds nothing where imports only go down', () => {
    const graph = graphOf({ 'a.ts': "import './b.js';\nimport './c.js';", 'b.ts': "import './c.js';", 'c.ts': '' });
    expect(findCycles(graph)).toEqual([]);
  });

  it('shows the shortest way round', () => {
    const graph = graphOf({
      'a.ts': "import './b.js';",
      'b.ts': "import './c.js';\nimport './d.js';",
      'c.ts': "import './a.js';",
      'd.ts': "import './c.js';",
    });
    expect(findCycles(graph)).toEqual([['a.ts', 'b.ts', 'c.ts', 'a.ts']]);
  });

  it('finds a file that imports itself', () => {
    expect(findCycles(graphOf({ 'a.ts': "import './a.js';" }))).toEqual([['a.ts', 'a.ts']]);
  });

  it('does not count type-only imports', () => {
    const graph = graphOf({ 'a.ts': "import './b.js';", 'b.ts': "import type { A } from './a.js';" });
    expect(findCycles(graph)).toEqual([]);
  });
});
