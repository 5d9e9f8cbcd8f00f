/** The lint rules of the packed package, as ESLint 9 and 10 run them, on JavaScript and TypeScript. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { root } from '../support/processes.js';
import { FreshApp, missingRegistry } from './fresh-app.js';

/** Of what ESLint prints with `--format json`. */
interface LintedFile {
  readonly messages: readonly { readonly line: number; readonly ruleId: string }[];
}

describeUnless(await missingRegistry(), 'the lint rules', () => {
  let app: FreshApp;

  beforeAll(async () => {
    app = await FreshApp.make('lint');
    await app.install();
  }, 150_000);

  afterAll(() => app.remove());

  it.each(['eslint', 'eslint-9'])('find what they are for and nothing else, with %s', async (eslint) => {
    const { stdout } = await app.succeeds(process.execPath, ['rules.mjs', eslint]);
    const { passed, faults } = JSON.parse(stdout) as { passed: number; faults: string[] };
    expect(faults).toEqual([]);
    expect(passed).toBeGreaterThan(160);
  });

  it.each(['eslint', 'eslint-9'])('are all on in the recommended set, with %s', async (eslint) => {
    const program = join('node_modules', eslint, 'bin', 'eslint.js');
    const flags = ['--config', 'eslint.config.mjs', '--format', 'json', 'src'];
    const { code, stdout } = await app.run(process.execPath, [program, ...flags]);
    expect(code).toBe(1);
    const found = (JSON.parse(stdout) as LintedFile[]).flatMap(({ messages }) => messages);
    expect(found.map(({ line, ruleId }) => `${line} ${ruleId}`)).toEqual([
      '5 eventspine/no-chance-in-body',
      '7 eventspine/own-ctx',
      '8 eventspine/no-outer-mutation',
      '11 eventspine/await-ctx',
    ]);
  });

  it('find nothing in our own examples and templates', async () => {
    for (const folder of ['examples', 'templates']) {
      cpSync(join(root, folder), join(app.folder, 'ours', folder), { recursive: true });
    }
    const program = join('node_modules', 'eslint', 'bin', 'eslint.js');
    await app.succeeds(process.execPath, [program, '--config', 'eslint.config.mjs', 'ours']);
  });

  it('fit the types of a typed configuration', async () => {
    await app.succeeds(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']);
  });
});
