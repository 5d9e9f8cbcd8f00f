/** The files of a new project: read from the package, named after the folder, written where nothing is yet. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SpineError } from '../../core/errors.js';
import { manifestOf, packageNameOf, type Template } from './templates.js';

/** In a checkout and in the package alike, `templates/` stands beside `dist/`. */
const source = fileURLToPath(new URL('../../../templates/', import.meta.url));

/** Left by what people do first, and in nobody's way. */
const harmless: ReadonlySet<string> = new Set(['.git', '.DS_Store', '.idea', '.vscode']);

/** The files of a project, by their path in it, `/` between folders. */
export async function projectFiles(
  template: Template,
  folder: string,
  version: string,
): Promise<ReadonlyMap<string, string>> {
  const name = packageNameOf(basename(folder));
  const files = new Map([['package.json', manifestOf(template, name, version)]]);
  for (const part of ['shared', template.name]) {
    const from = join(source, part);
    for (const path of await filesBelow(from)) {
      const text = await readFile(join(from, path), 'utf8');
      // npm leaves files called .gitignore out of packages.
      files.set(path === 'gitignore' ? '.gitignore' : path, text.replaceAll('{{name}}', name));
    }
  }
  return files;
}

/** Writes them. COMMAND_INVALID where the folder has something in it already; then nothing is written. */
export async function writeProject(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const there = (await namesIn(folder)).filter((name) => !harmless.has(name));
  if (there.length > 0) {
    const some = there.slice(0, 3).join(', ');
    throw new SpineError('COMMAND_INVALID', { reason: `${folder} is not empty (${some}). Name a new folder.` });
  }
  for (const [path, text] of files) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { flag: 'wx' });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error) {
      if (error.code === 'ENOENT') return [];
      if (error.code === 'ENOTDIR') throw new SpineError('COMMAND_INVALID', { reason: `${folder} is a file.` });
    }
    throw error;
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}
