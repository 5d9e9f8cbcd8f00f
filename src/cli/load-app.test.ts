import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findApp, importApp } from './load-app.js';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventspine-app-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const old = { version: '20.19.0', stripsTypes: false };
const modern = { version: '24.1.0', stripsTypes: true };
const value = `{ kind: 'app', name: 'a', workflows: [] }`;

async function write(name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), text);
}

describe('findApp', () => {
  it('says that there is no such file, by the name that was given', async () => {
    await expect(findApp('nope.ts', folder)).rejects.toMatchObject({
      code: 'APP_NOT_LOADED',
      message: expect.stringContaining('nope.ts') as unknown,
    });
  });

  it('needs nothing for JavaScript, nor for TypeScript on a Node that strips types', async () => {
    await write('app.mjs', '');
    await write('app.ts', '');
    expect(await findApp('app.mjs', folder, old)).toMatchObject({ loader: null });
    expect(await findApp('app.ts', folder, modern)).toMatchObject({ loader: null });
  });

  it('says how to get tsx where Node is too old and it is missing', async () => {
    await write('app.ts', '');
    await expect(findApp('app.ts', folder, old)).rejects.toMatchObject({
      code: 'TYPESCRIPT_UNSUPPORTED',
      mend: expect.stringContaining('npm install --save-dev tsx') as unknown,
    });
  });

  it("takes the tsx of the user's own folder", async () => {
    const tsx = join(folder, 'node_modules', 'tsx');
    await mkdir(tsx, { recursive: true });
    await writeFile(join(tsx, 'loader.mjs'), '');
    await writeFile(join(tsx, 'package.json'), JSON.stringify({ name: 'tsx', exports: './loader.mjs' }));
    await write('app.ts', '');
    expect((await findApp('app.ts', folder, old)).loader).toMatch(/^file:.*tsx\/loader\.mjs$/);
  });
});

describe('importApp', () => {
  it.each([
    ['app', `export const app = ${value};`],
    ['default', `export default ${value};`],
    ['another name', `export const notThis = 1; export const mine = ${value};`],
  ])('finds the app exported as %s', async (name, text) => {
    const file = `${name.replace(' ', '-')}.mjs`;
    await write(file, text);
    expect((await importApp(await findApp(file, folder))).name).toBe('a');
  });

  it('finds the app among the exports of a CommonJS module', async () => {
    await write('made.cjs', `const exported = () => ({ one: 1, app: ${value} }); module.exports = exported();`);
    expect((await importApp(await findApp('made.cjs', folder))).name).toBe('a');
  });

  it('says that a module exports no app', async () => {
    await write('none.mjs', 'export const x = { manifest: 1 };');
    await expect(importApp(await findApp('none.mjs', folder))).rejects.toMatchObject({
      code: 'APP_NOT_LOADED',
      detail: { reason: 'it exports no app' },
    });
  });

  it('keeps the error of a module that throws', async () => {
    await write('throws.mjs', "throw new TypeError('boom\\nand more');");
    await expect(importApp(await findApp('throws.mjs', folder))).rejects.toMatchObject({
      detail: { reason: 'boom' },
      cause: expect.any(TypeError) as unknown,
    });
  });
});
