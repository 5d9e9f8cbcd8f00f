import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

/**
 * The rules that keep the outside out of core, engine and workflow, tried on planted violations: one file per
 * violation, all linted in one run of the real linter with the real configuration.
 */
const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const oxlint = join(repository, 'node_modules/oxlint/bin/oxlint');

const violations: Readonly<Record<string, string>> = {
  'new Date()': 'export const x = new Date();',
  'Date.now()': 'export const x = Date.now();',
  'Math.random()': 'export const x = Math.random();',
  'const { random } = Math': 'const { random } = Math;\nexport const x = random();',
  'performance.now()': 'export const x = performance.now();',
  'process.hrtime()': 'export const x = process.hrtime();',
  'process.env': 'export const x = process.env;',
  setTimeout: 'setTimeout(() => undefined, 1);',
  setInterval: 'setInterval(() => undefined, 1);',
  setImmediate: 'setImmediate(() => undefined);',
  queueMicrotask: 'queueMicrotask(() => undefined);',
  'globalThis.setTimeout': 'globalThis.setTimeout(() => undefined, 1);',
  'crypto.randomUUID()': 'export const x = crypto.randomUUID();',
  'AbortSignal.timeout()': 'export const x = AbortSignal.timeout(1);',
  fetch: "export const x = fetch('http://localhost');",
  console: "console.log('x');",
  'import of node:fs': "import { readFileSync } from 'node:fs';\nexport const x = readFileSync;",
  'import of fs': "import { readFileSync } from 'fs';\nexport const x = readFileSync;",
  'import of node:crypto': "import { randomUUID } from 'node:crypto';\nexport const x = randomUUID;",
  'import of node:timers/promises': "import { setTimeout as x } from 'node:timers/promises';\nexport const y = x;",
  'dynamic import of node:fs': "export const x = import('node:fs');",
  're-export of node:fs': "export { readFileSync } from 'node:fs';",
};
const folders = ['core', 'engine', 'workflow'] as const;
const names = Object.keys(violations);

const place = mkdtempSync(join(tmpdir(), 'eventspine-lint-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** Paths, from the temporary root, of the files in which the linter refused something of the outside. */
function lint(files: Readonly<Record<string, string>>): Set<string> {
  const config = JSON.parse(readFileSync(join(repository, '.oxlintrc.json'), 'utf8')) as { options: object };
  // Without types: the temporary files have no project, and these rules need none.
  config.options = { ...config.options, typeAware: false };
  writeFileSync(join(place, '.oxlintrc.json'), JSON.stringify(config));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(place, file)), { recursive: true });
    writeFileSync(join(place, file), text);
  }
  const { stdout, stderr } = spawnSync(process.execPath, [oxlint, '--format=json', '.'], {
    cwd: place,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (!stdout.trimStart().startsWith('{')) throw new Error(`The linter did not run: ${stdout}${stderr}`);
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
  const restrictions = diagnostics.filter((diagnostic) => diagnostic.code.includes('no-restricted-'));
  return new Set(restrictions.map((diagnostic) => diagnostic.filename.replaceAll('\\', '/')));
}

const planted: Record<string, string> = {
  'src/core/clean.ts': 'export const x = (now: number): number => now + 1;\n',
  'src/core/clock.test.ts': 'export const x = Date.now();\n',
  'src/core/instant.ts': 'export const iso = (ms: number): string => new Date(ms).toISOString();\n',
  'src/server/free.ts': "import { readFileSync } from 'node:fs';\nexport const x = [Date.now(), readFileSync];\n",
};
for (const folder of folders)
  names.forEach((name, i) => (planted[`src/${folder}/deep/violation-${i}.ts`] = violations[name] ?? ''));
const found = lint(planted);

describe.each(folders)('src/%s', (folder) => {
  it.each(names)('may not contain %s', (name) => {
    expect(found).toContain(`src/${folder}/deep/violation-${names.indexOf(name)}.ts`);
  });
});

describe('the rules', () => {
  it('let pure code, tests and the other folders alone', () => {
    const clean = ['src/core/clean.ts', 'src/core/clock.test.ts', 'src/core/instant.ts', 'src/server/free.ts'];
    expect(clean.filter((file) => found.has(file))).toEqual([]);
  });
});
