/**
 * What is allowed of the arguments of a tool. Whatever is not understood is refused: a text in the place of a number, a URL
 * that two readers could read in two ways, a path that leads out of its folder.
 *
 * Invariant: the work is bounded by the size of the arguments, and no fault repeats a value of them.
 */
import { matcherOf } from '../access/pattern.js';
import type { ArgumentLimit } from './policy.js';

/** What there is at a path: the values, with one for each element where the path goes through lists. */
type Found = { readonly tag: 'values'; readonly values: readonly unknown[] } | { readonly tag: 'absent' | 'other' };

/** What keeps a text from being the path of an argument; null = nothing. */
export function argumentPathFault(path: string): string | null {
  const isPath = path.length > 0 && path.length <= 200 && path.split('.').every((part) => nameOf(part) !== '');
  return isPath
    ? null
    : `"${path.slice(0, 40)}" is not the path of an argument, such as "to.address" or "items[].cents"`;
}

/** Why the arguments are not within the limits; null = they are. */
export function limitFault(args: unknown, limits: Readonly<Record<string, ArgumentLimit>>): string | null {
  for (const [path, limit] of Object.entries(limits)) {
    const found = valuesAt(args, path);
    if (found.tag === 'absent' && limit.optional === true) continue;
    if (found.tag !== 'values') return `${path} is ${found.tag === 'absent' ? 'not there' : 'not what it should be'}`;
    for (const value of found.values) {
      const fault = valueFault(value, limit);
      if (fault !== null) return `${path} ${fault}`;
    }
  }
  return null;
}

/** What the values at a path come to; null = one of them is no amount. */
export function amountAt(args: unknown, path: string): number | null {
  const found = valuesAt(args, path);
  if (found.tag !== 'values') return null;
  let sum = 0;
  for (const value of found.values) {
    if (!isNumber(value) || value < 0) return null;
    sum += value;
  }
  return Number.isFinite(sum) ? sum : null;
}

function valuesAt(args: unknown, path: string): Found {
  let values: readonly unknown[] = [args];
  for (const part of path.split('.')) {
    const name = nameOf(part);
    const next: unknown[] = [];
    for (const value of values) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return { tag: 'other' };
      if (!Object.hasOwn(value, name)) return { tag: 'absent' };
      const inner: unknown = (value as Readonly<Record<string, unknown>>)[name];
      if (name === part) next.push(inner);
      else if (Array.isArray(inner)) next.push(...(inner as readonly unknown[]));
      else return { tag: 'other' };
    }
    values = next;
  }
  return { tag: 'values', values };
}

function nameOf(part: string): string {
  return part.endsWith('[]') ? part.slice(0, -2) : part;
}

function valueFault(value: unknown, limit: ArgumentLimit): string | null {
  const { min, max, oneOf, hosts, under, lengthMax } = limit;
  if (min !== undefined || max !== undefined) {
    if (!isNumber(value)) return 'is not a number';
    if (min !== undefined && value < min) return `is below ${min}`;
    if (max !== undefined && value > max) return `is above ${max}`;
  }
  if (oneOf !== undefined && !oneOf.some((one) => one === value)) return 'is not one of the values that are allowed';
  if (hosts !== undefined && !isUrlAt(value, hosts, limit.plain === true))
    return 'is not a URL of a host that is allowed';
  if (under !== undefined && !isPathUnder(value, under)) return 'is not a path in a folder that is allowed';
  if (lengthMax !== undefined && !(lengthOf(value) <= lengthMax)) return `is longer than ${lengthMax}`;
  return null;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function lengthOf(value: unknown): number {
  return typeof value === 'string' || Array.isArray(value) ? value.length : Number.NaN;
}

/** Only what all readers of URLs read alike: plain characters, a name without a port, and nobody's password. */
const plainUrl = /^(https?):\/\/([a-z0-9.-]{1,253})(?:[/?#][!-[\]-~]{0,8000})?$/;

function isUrlAt(value: unknown, hosts: readonly string[], plain: boolean): boolean {
  if (typeof value !== 'string' || value.length > 8_300) return false;
  const [, scheme, host = ''] = plainUrl.exec(value) ?? [];
  if (scheme === undefined || (scheme === 'http' && !plain)) return false;
  // A name with a dot at its end is the same name to resolvers, and another one to patterns.
  if (host.endsWith('.') || host.startsWith('.') || host.includes('..')) return false;
  return hosts.some((pattern) => matcherOf(pattern)(host));
}

/** What is no path to some readers, or another one: NUL, backslashes, and separators and dots that are encoded. */
const odd = /[\0\\]|%(?:2e|2f|5c|00|25)/i;

function isPathUnder(value: unknown, folders: readonly string[]): boolean {
  if (typeof value !== 'string') return false;
  // Also as whoever normalises or decodes it would read it.
  const read = value.normalize('NFKC');
  if (odd.test(value) || odd.test(read) || read.split('/').includes('..')) return false;
  return folders.some((folder) => value === folder || value.startsWith(folder.endsWith('/') ? folder : `${folder}/`));
}
