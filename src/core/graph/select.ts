/** Evaluates what graphs say as data: paths, selections and conditions over the values that are there. Pure. */
import { assertNever } from '../errors.js';
import type { Condition, Selection } from './graph.js';

/** Finds the value of a root: `input`, a node, in a map also `item` and `itemIndex`. */
export type RootValue = (root: string) => unknown;

/** The value at a path; undefined where it leads nowhere. */
export function valueAt(path: string, root: RootValue): unknown {
  const [first = '', ...names] = path.split('.');
  return valueWithin(root(first), names);
}

/** The value inside another; names of what is inherited, such as `constructor`, lead nowhere. */
export function valueWithin(value: unknown, names: readonly string[]): unknown {
  let at = value;
  for (const name of names) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[name];
  }
  return at;
}

/** What a selection comes to. Fields whose path leads nowhere are left out. */
export function selected(selection: Selection, root: RootValue): unknown {
  if (typeof selection === 'string') return valueAt(selection, root);
  const fields = Object.entries(selection).map(([name, inner]) => [name, selected(inner, root)] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}

/** Whether a condition holds. */
export function holds(condition: Condition, root: RootValue): boolean {
  if ('not' in condition) return !holds(condition.not, root);
  if ('all' in condition) return condition.all.every((inner) => holds(inner, root));
  if ('any' in condition) return condition.any.some((inner) => holds(inner, root));
  const value = valueAt(condition.path, root);
  if ('equals' in condition) return value === condition.equals;
  if ('in' in condition) return condition.in.some((one) => one === value);
  if ('exists' in condition) return (value !== undefined) === condition.exists;
  if ('gt' in condition) return isNumber(value) && value > condition.gt;
  if ('gte' in condition) return isNumber(value) && value >= condition.gte;
  if ('lt' in condition) return isNumber(value) && value < condition.lt;
  if ('lte' in condition) return isNumber(value) && value <= condition.lte;
  return assertNever(condition);
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}
