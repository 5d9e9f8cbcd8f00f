/**
 * Where two answers differ. Paths and kinds of differences go into reports; values do so only where somebody asked for it, because
 * answers are other people's data.
 */
import { limits } from '../core/limits.js';
import type { SeenAnswer } from './exchange.js';

/** One place where the answers differ. */
export interface Difference {
  /** `status`, `body`, `body.items.3.text`. */
  readonly path: string;
  /** `missing`: only the old answer has it. `added`: only the new one. `type`: of another kind. `value`: the same kind, another value. */
  readonly kind: 'missing' | 'added' | 'type' | 'value';
  readonly old?: unknown;
  readonly new?: unknown;
}

/** How answers are compared. */
export interface CompareRules {
  /** Paths that may differ, from the body: `id`, `items.*.createdAt`; `*` = any name or index. What is below them may, too. */
  readonly ignore?: readonly string[];
  /** Numbers may differ by this share of the old one. Default 0. */
  readonly tolerance?: number;
}

/** Says where an answer of the old path and one of the new differ; none = they agree. */
export type Compare = (old: SeenAnswer, now: SeenAnswer) => readonly Difference[] | Promise<readonly Difference[]>;

/** How deep is looked: no result of a run goes deeper, so what lies below cannot be the same. */
const depthMax = limits.valueDepthMax;

/** The comparison that is used unless there is one of your own: status and JSON, by the rules. */
export function compareBy(rules: CompareRules): Compare {
  const ignored = (rules.ignore ?? []).map((path) => path.split('.'));
  const tolerance = rules.tolerance ?? 0;
  return (old, now) => {
    // A request that both refuse is refused by both, each in its own words.
    if (isRefusal(old.status) && isRefusal(now.status)) return [];
    if (old.status !== now.status) return [{ path: 'status', kind: 'value', old: old.status, new: now.status }];
    const found: Difference[] = [];
    differ(old.body, now.body, [], found);
    return found;
  };

  function differ(a: unknown, b: unknown, path: readonly string[], found: Difference[]): void {
    if (found.length >= limits.strangleDifferencesMax || ignored.some((names) => fits(names, path))) return;
    const at = ['body', ...path].join('.');
    if (a === undefined || b === undefined) {
      if (a !== b)
        found.push(a === undefined ? { path: at, kind: 'added', new: b } : { path: at, kind: 'missing', old: a });
      return;
    }
    if (kindOf(a) !== kindOf(b)) return void found.push({ path: at, kind: 'type', old: a, new: b });
    if (isContainer(a) && isContainer(b) && path.length < depthMax) {
      for (const name of new Set([...Object.keys(a), ...Object.keys(b)]))
        differ(own(a, name), own(b, name), [...path, name], found);
      return;
    }
    if (!isSame(a, b)) found.push({ path: at, kind: 'value', old: a, new: b });
  }

  function isSame(a: unknown, b: unknown): boolean {
    if (typeof a === 'number' && typeof b === 'number') return a === b || Math.abs(a - b) <= tolerance * Math.abs(a);
    return a === b;
  }
}

function isRefusal(status: number): boolean {
  return status >= 400 && status < 500;
}

/** True where the path is one that the names stand for, or lies below one. */
function fits(names: readonly string[], path: readonly string[]): boolean {
  return names.length <= path.length && names.every((name, i) => name === '*' || name === path[i]);
}

function own(value: object, name: string): unknown {
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** A difference as it goes into a report: without its values, or with a short form of them. */
export function reportedDifference({ path, kind, ...values }: Difference, withValues: boolean): Difference {
  if (!withValues) return { path, kind };
  return {
    path,
    kind,
    ...('old' in values ? { old: shortened(values.old) } : {}),
    ...('new' in values ? { new: shortened(values.new) } : {}),
  };
}

const shownLengthMax = 200;

function shortened(value: unknown): unknown {
  if (isContainer(value))
    return Array.isArray(value) ? `${value.length} elements` : `${Object.keys(value).length} fields`;
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length <= shownLengthMax ? value : `${text.slice(0, shownLengthMax)}…`;
}
