/**
 * Loads the app that a user's module exports. TypeScript is run by Node where it can (type stripping), else by `tsx` as
 * found from the user's own folder, so that this package needs no loader of its own.
 * Invariant: user code is imported here and nowhere else.
 */
import { access } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, extname, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SpineError } from '../core/errors.js';
import { type AnyApp, isApp } from '../workflow/index.js';

/** The file of an app: exists, and Node can run it with these arguments. */
export interface AppFile {
  /** Absolute. */
  readonly path: string;
  /** As the user would write it, for messages. */
  readonly shown: string;
  /** Module that teaches the running process TypeScript; null where it needs nothing. */
  readonly loader: string | null;
}

/** What is known of the running Node; a parameter so that tests can be on another one. */
export interface NodeTraits {
  readonly version: string;
  /** Whether it strips types by itself: 22.18, 23.6, 24 and newer. */
  readonly stripsTypes: boolean;
}

/** The Node that runs this process. */
export function nodeTraits(): NodeTraits {
  const features = process.features as { readonly typescript?: unknown };
  return { version: process.versions.node, stripsTypes: typeof features.typescript === 'string' };
}

const typescript = new Set(['.ts', '.mts', '.cts', '.tsx']);
/** What type stripping alone cannot run. */
const needsTransform = new Set(['.tsx']);

/** Finds the file and what it takes to run it. APP_NOT_LOADED where there is none, TYPESCRIPT_UNSUPPORTED. */
export async function findApp(given: string, folder: string, node: NodeTraits = nodeTraits()): Promise<AppFile> {
  const path = resolve(folder, given);
  const shown = relative(folder, path) || given;
  try {
    await access(path);
  } catch (error) {
    throw new SpineError('APP_NOT_LOADED', { file: shown, reason: 'there is no such file' }, { cause: error });
  }
  const extension = extname(path);
  if (!typescript.has(extension) || (node.stripsTypes && !needsTransform.has(extension))) {
    return { path, shown, loader: null };
  }
  const loader = resolveFrom(path, 'tsx');
  if (loader === null) throw new SpineError('TYPESCRIPT_UNSUPPORTED', { file: shown, node: node.version });
  return { path, shown, loader };
}

/** Imports the app into this process. APP_NOT_LOADED with the reason. */
export async function importApp(file: AppFile): Promise<AnyApp> {
  let loaded: Readonly<Record<string, unknown>>;
  try {
    // Importing it is all that `node --import tsx` does, and works in a process that runs already.
    if (file.loader !== null) await import(file.loader);
    loaded = (await import(pathToFileURL(file.path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new SpineError('APP_NOT_LOADED', { file: file.shown, reason: reasonOf(error) }, { cause: error });
  }
  // Of a CommonJS module, which is what TypeScript becomes in a package of that type, `default` holds the exports.
  const found = [loaded, loaded['default']].flatMap(exportedValues).find(isApp);
  if (found === undefined) {
    throw new SpineError('APP_NOT_LOADED', { file: file.shown, reason: 'it exports no app' });
  }
  return found;
}

/** What a module exports, in the order in which an app is looked for. */
function exportedValues(module: unknown): unknown[] {
  if (typeof module !== 'object' || module === null) return [];
  const values = module as Readonly<Record<string, unknown>>;
  return ['app', 'default', ...Object.keys(values)].map((name) => values[name]);
}

/** URL of a package as the user's file would find it. */
function resolveFrom(path: string, name: string): string | null {
  try {
    return pathToFileURL(createRequire(resolve(dirname(path), 'noop.js')).resolve(name)).href;
  } catch {
    return null;
  }
}

/** What an error says, in a line or two, and what helps with those that type stripping brings about. */
function reasonOf(error: unknown): string {
  const { message, code } = error as { readonly message?: string; readonly code?: string };
  const [first = '', second = ''] = (message ?? String(error)).split('\n').filter((line) => line.trim() !== '');
  // Compilers announce the error on the first line and say it on the second.
  const text = (first.endsWith(':') ? `${first} ${second.trim()}` : first).replace(/\.$/, '');
  if (code === 'ERR_MODULE_NOT_FOUND' && /\.js'/.test(text)) {
    return `${text} (Node's type stripping wants relative imports with the ending .ts)`;
  }
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    return `${text} (Node strips types only; enums, namespaces and parameter properties need compiling or tsx)`;
  }
  if (/Cannot use import statement outside a module/.test(text)) {
    return `${text} (its package.json should say "type": "module", or the file should end in .mts or .mjs)`;
  }
  return text;
}
