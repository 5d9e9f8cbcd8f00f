import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { describeUnless } from '../skip.js';

/** The first program of the README, run as it stands, against the built package, as a user would run it. */
const root = fileURLToPath(new URL('../../', import.meta.url));
const program = /```ts\n(\/\/ brief\.ts\n[\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1] ?? '';
const built = existsSync(join(root, 'dist/spine/index.js'));

describeUnless(built ? null : 'the package is not built (npm run build)', 'the program of the README', () => {
  const place = mkdtempSync(join(tmpdir(), 'eventspine-readme-'));
  // Inside of the package, because there its own name resolves; `dist/` is ignored by git and made anew by builds.
  const source = join(root, 'dist/.readme');
  afterAll(() => {
    rmSync(place, { recursive: true, force: true });
    rmSync(source, { recursive: true, force: true });
  });

  it('prints the id of the run and its result, and the same id when it is run again', async () => {
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, 'brief.ts'), program);
    const first = await runProgram();
    expect(first).toMatch(/^run_[0-9a-z]{26} Mirrors age Domes leak\n$/);
    expect(await runProgram()).toBe(first);
  }, 60_000);

  async function runProgram(): Promise<string> {
    const tsx = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href;
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', tsx, join(source, 'brief.ts')], {
      cwd: place,
      timeout: 25_000,
    });
    return stdout;
  }
});
