import { describe, expect, it } from 'vitest';
import { scanImports } from './import-graph.js';
import { layerFaults, layers, referenceFaults, type Project } from './layers.js';

function faultsOf(files: Record<string, string>): string[] {
  return layerFaults(scanImports(new Map(Object.entries(files))));
}

describe('layerFaults', () => {
  it('lets a folder import from a lower one', () => {
    expect(faultsOf({ 'src/engine/a.ts': "import '../core/b.js';", 'src/core/b.ts': '' })).toEqual([]);
  });

  it.each([
    ['upward', 'src/core/a.ts', 'src/engine/b.ts'],
    ['sideways', 'src/engine/a.ts', 'src/worker/b.ts'],
    ['sideways, one level deeper', 'src/stores/sqlite/a.ts', 'src/engine/b.ts'],
    ['to a folder without a layer', 'src/engine/a.ts', 'src/helpers/b.ts'],
  ])('refuses an import %s', (_, from, to) => {
    const specifier = `${'../'.repeat(from.split('/').length - 1)}${to.replace('.ts', '.js')}`;
    expect(faultsOf({ [from]: `import type { B } from '${specifier}';`, [to]: '' })).toHaveLength(1);
  });

  it('refuses code that leaves src/', () => {
    expect(faultsOf({ 'src/core/a.ts': "import '../../test/skip.js';", 'test/skip.ts': '' })).toHaveLength(1);
  });

  it('lets tests use the test kit and the helpers of test/', () => {
    const test = "import '../testing/kit.js';\nimport '../../test/skip.js';";
    expect(faultsOf({ 'src/engine/a.test.ts': test, 'src/testing/kit.ts': '', 'test/skip.ts': '' })).toEqual([]);
  });
});

describe('referenceFaults', () => {
  const complete: Project[] = Object.keys(layers).map((folder) => ({
    file: `src/${folder}/tsconfig.json`,
    config: {},
  }));

  it('accepts references that go down', () => {
    const engine: Project = { file: 'src/engine/tsconfig.json', config: { references: [{ path: '../store' }] } };
    const rest = complete.filter((project) => project.file !== engine.file);
    expect(referenceFaults([...rest, engine])).toEqual([]);
  });

  it.each([
    ['up', '../server'],
    ['sideways', '../worker'],
    ['nowhere', '../helpers'],
  ])('refuses a reference that goes %s', (_, path) => {
    const engine: Project = { file: 'src/engine/tsconfig.json', config: { references: [{ path }] } };
    const rest = complete.filter((project) => project.file !== engine.file);
    expect(referenceFaults([...rest, engine])).toHaveLength(1);
  });

  it('names a folder that has no layer and a layer that has no project', () => {
    const helpers: Project = { file: 'src/helpers/tsconfig.json', config: {} };
    const rest = complete.filter((project) => project.file !== 'src/cli/tsconfig.json');
    expect(referenceFaults([...rest, helpers])).toHaveLength(2);
  });
});
