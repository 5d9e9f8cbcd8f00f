/**
 * A whole JSON Schema and what is asked of places inside of it while it is held against another: where references lead, what
 * a place says with all that it refers to, which fields of an object it has something to say of.
 */
import { canonicalJson } from '../canonical-json.js';
import type { JsonSchema } from '../manifest.js';
import { isRecord, referred } from './schema-text.js';

/** A place of a schema. `schema` is an object, true or false. */
export interface Place {
  readonly root: SchemaRoot;
  readonly schema: unknown;
}

/** A place that says something. */
export interface Part extends Place {
  readonly schema: JsonSchema;
}

/** Which fields a place has something to say of; `all`: of every one. */
export interface Evaluated {
  readonly names: ReadonlySet<string>;
  readonly patterns: ReadonlySet<string>;
  readonly all: boolean;
}

/** Keywords that lead out of what is understood here. */
const opaque: ReadonlySet<string> = new Set([
  '$dynamicRef',
  '$recursiveRef',
  'unevaluatedProperties',
  'unevaluatedItems',
  'dependencies',
]);

export class SchemaRoot {
  readonly json: JsonSchema;
  /** An id inside changes what the references under it mean. */
  readonly #hasInnerIds: boolean;
  readonly #texts = new Map<unknown, string | null>();
  readonly #plain = new Map<unknown, boolean>();
  readonly #evaluated = new Map<unknown, Map<string, Evaluated>>();

  constructor(json: JsonSchema) {
    this.json = json;
    this.#hasInnerIds = Object.values(json).some(hasId);
  }

  /** Where a reference leads; undefined where that is not known. */
  resolve(ref: unknown): unknown {
    if (this.#hasInnerIds || typeof ref !== 'string') return undefined;
    return referred(this.json, ref);
  }

  /** All that a place says, with what it refers to; null where that cannot be told. Equal texts mean equal schemas. */
  text(schema: unknown): string | null {
    const found = this.#texts.get(schema);
    if (found !== undefined) return found;
    const targets = this.#targets(schema);
    const text = targets === null ? null : canonicalJson([schema, Object.fromEntries(targets)]);
    if (isRecord(schema)) this.#texts.set(schema, text);
    return text;
  }

  /** Whether a value can be held against the place by `fitsSchema`. */
  isPlain(schema: unknown): boolean {
    const found = this.#plain.get(schema);
    if (found !== undefined) return found;
    const targets = this.#targets(schema);
    const isPlain =
      targets !== null && !hasKey(schema, opaque) && ![...targets.values()].some((one) => hasKey(one, opaque));
    if (isRecord(schema)) this.#plain.set(schema, isPlain);
    return isPlain;
  }

  /** Places that are referred to, by reference; null where one is not known. */
  #targets(schema: unknown): ReadonlyMap<string, unknown> | null {
    const targets = new Map<string, unknown>();
    const open: unknown[] = [schema];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const [key, inner] of Array.isArray(next)
        ? [...next.entries()]
        : isRecord(next)
          ? Object.entries(next)
          : []) {
        if (key === '$dynamicRef' || key === '$recursiveRef') return null;
        if (key !== '$ref' || typeof inner !== 'string') {
          open.push(inner);
          continue;
        }
        if (targets.has(inner)) continue;
        const target = this.resolve(inner);
        if (target === undefined) return null;
        targets.set(inner, target);
        open.push(target);
      }
    }
    return targets;
  }

  /**
   * Fields that a schema has something to say of, in place. `may`: those that any of its branches has; otherwise those that
   * it has whatever the value. `own`: without what `unevaluatedProperties` of the schema itself says.
   */
  evaluated(schema: unknown, may: boolean, own = false): Evaluated {
    if (!isRecord(schema)) return nothing;
    const key = `${may} ${own}`;
    const said = this.#evaluated.get(schema) ?? new Map<string, Evaluated>();
    this.#evaluated.set(schema, said);
    const found = said.get(key) ?? this.#evaluate(schema, may, own, new Set());
    said.set(key, found);
    return found;
  }

  #evaluate(schema: unknown, may: boolean, own: boolean, seen: ReadonlySet<unknown>): Evaluated {
    if (!isRecord(schema) || seen.has(schema)) return nothing;
    const onWay = new Set([...seen, schema]);
    const { properties, patternProperties, additionalProperties, unevaluatedProperties } = schema;
    if (additionalProperties !== undefined || (!own && unevaluatedProperties !== undefined)) return everything;
    const said: Evaluated = {
      names: new Set(isRecord(properties) ? Object.keys(properties) : []),
      patterns: new Set(isRecord(patternProperties) ? Object.keys(patternProperties) : []),
      all: false,
    };
    const inner = (one: unknown): Evaluated => this.#evaluate(one, may, false, onWay);
    const always = listOf(schema['allOf']).map(inner);
    if (schema['$ref'] !== undefined) {
      const target = this.resolve(schema['$ref']);
      always.push(target === undefined ? (may ? everything : nothing) : inner(target));
    }
    const choices = [listOf(schema['anyOf']), listOf(schema['oneOf'])].filter((list) => list.length > 0);
    if (schema['if'] !== undefined) choices.push([schema['then'] ?? true, schema['else'] ?? true]);
    const chosen = choices.map((list) => list.map(inner));
    if (!may) return union([said, ...always, ...chosen.map(intersection)]);
    const sometimes = Object.values(isRecord(schema['dependentSchemas']) ? schema['dependentSchemas'] : {});
    const dynamic = hasKey(schema, new Set(['$dynamicRef', '$recursiveRef', 'dependencies'])) ? [everything] : [];
    return union([said, ...always, ...chosen.flat(), ...[...sometimes, schema['if']].map(inner), ...dynamic]);
  }
}

/** The list that a keyword should have; none otherwise. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

const none: ReadonlySet<string> = new Set();
const nothing: Evaluated = { names: none, patterns: none, all: false };
const everything: Evaluated = { names: none, patterns: none, all: true };

function union(list: readonly Evaluated[]): Evaluated {
  return {
    names: new Set(list.flatMap(({ names }) => [...names])),
    patterns: new Set(list.flatMap(({ patterns }) => [...patterns])),
    all: list.some(({ all }) => all),
  };
}

/** What each says something of. One that has to do with everything takes nothing away from the others. */
function intersection(list: readonly Evaluated[]): Evaluated {
  const [first, ...others] = list.filter(({ all }) => !all);
  if (first === undefined) return list.length === 0 ? nothing : everything;
  const inAll = (pick: (one: Evaluated) => ReadonlySet<string>): ReadonlySet<string> =>
    new Set([...pick(first)].filter((name) => others.every((other) => pick(other).has(name))));
  return { names: inAll(({ names }) => names), patterns: inAll(({ patterns }) => patterns), all: false };
}

function hasId(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasId);
  if (!isRecord(value)) return false;
  return typeof value['$id'] === 'string' || Object.values(value).some(hasId);
}

function hasKey(value: unknown, keys: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((one) => hasKey(one, keys));
  if (!isRecord(value)) return false;
  return Object.entries(value).some(([key, inner]) => keys.has(key) || hasKey(inner, keys));
}
