/**
 * Paths: the identity of a step inside its run, made of the names of its scopes, its own name and its keys, never of the
 * order of calls (docs/concepts/replay.md). Segments are joined by `/`, a name and its keys by `:`; these and `%` are
 * escaped in names, so that two different identities never give one path.
 */
import { SpineError } from './errors.js';
import { limits } from './limits.js';
import { shown } from './shown.js';

/** A key that tells the items of one name apart. */
export type PathKey = string | number;

/** The name of a step or scope; in loops a list such as `['call', i]`. */
export type PathName = string | readonly [name: string, ...keys: PathKey[]];

/** The path of what is called `name` (and `key`) inside the scope at `scope`, '' = the run itself. Fails with PATH_INVALID. */
export function pathOf(scope: string, name: PathName, key?: PathKey): string {
  let segment = typeof name === 'string' ? escapedName(name) : listed(name);
  if (key !== undefined) segment += `:${escapedKey(key, segment)}`;
  const path = scope === '' ? segment : `${scope}/${segment}`;
  if (path.length > limits.pathLengthMax) {
    throw invalid(path, `the path has ${path.length} characters, of ${limits.pathLengthMax} that are allowed`);
  }
  return path;
}

function listed(name: readonly [name: string, ...keys: PathKey[]]): string {
  const isList: boolean = Array.isArray(name);
  if (!isList) throw invalid(shown(name), 'it is neither text nor a list');
  const [first, ...keys] = name;
  let segment = escapedName(first);
  for (const key of keys) segment += `:${escapedKey(key, segment)}`;
  return segment;
}

function escapedName(name: string): string {
  if (typeof name !== 'string' || name === '') throw invalid(shown(name), 'it is empty or not a text');
  return escaped(name);
}

function escapedKey(key: PathKey, name: string): string {
  if (typeof key === 'number' && Number.isFinite(key)) return String(key);
  if (typeof key !== 'string') throw invalid(name, `its key ${shown(key)} is neither text nor a finite number`);
  return escaped(key);
}

const special = /[%/:\u0000-\u001f\u007f]/;
const specials = /[%/:\u0000-\u001f\u007f]/g;
/** With the `u` flag a surrogate range matches lone surrogates only. */
const loneSurrogate = /[\ud800-\udfff]/u;

function escaped(text: string): string {
  if (loneSurrogate.test(text)) throw invalid(text, 'it holds half of a surrogate pair');
  if (!special.test(text)) return text;
  return text.replace(specials, (unit) => `%${unit.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function invalid(name: string, reason: string): SpineError {
  return new SpineError('PATH_INVALID', { name: name.slice(0, limits.nameLengthMax), reason });
}
