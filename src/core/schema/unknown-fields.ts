/**
 * Fields of a value that no part of its schema names. Which parts have a say follows from the value: of alternatives those
 * that it fits. An object whose schema names no field at all is a map, and nothing in it is unknown.
 */
import type { JsonSchema } from '../manifest.js';
import { fitsSchema } from './json-schema-faults.js';
import { listOf } from './schema-root.js';
import { isRecord, referred } from './schema-text.js';
import { fieldSchemas, itemSchema } from './shape.js';

/** The way to a place in a value. */
export type Way = readonly (string | number)[];

/** Ways to the fields that `schema` does not name; of a field that is unknown only the way to itself. */
export function unknownFields(schema: JsonSchema, value: unknown): readonly Way[] {
  const found: Way[] = [];
  look({ root: schema, found }, [schema], value, []);
  return found;
}

/** A value without some fields; whatever is not on a way there is shared with the one given. */
export function withoutFields(value: unknown, ways: readonly Way[]): unknown {
  if (ways.length === 0) return value;
  const ends = new Set(ways.flatMap((way) => (way.length === 1 ? [way[0]] : [])));
  const inside = (key: string | number, inner: unknown): unknown =>
    withoutFields(
      inner,
      ways.flatMap(([first, ...rest]) => (first === key && rest.length > 0 ? [rest] : [])),
    );
  if (Array.isArray(value)) return (value as readonly unknown[]).map((item, i) => inside(i, item));
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<unknown, unknown>)].filter(([key]) => !ends.has(String(key)));
    return new Map(entries.map(([key, inner]) => [key, inside(String(key), inner)]));
  }
  if (!isRecord(value)) return value;
  const kept = Object.entries(value).filter(([key]) => !ends.has(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, inside(key, inner)]));
}

/** The way as text: `lines.0.count`. */
export function wayText(way: Way): string {
  return way.join('.');
}

interface Looking {
  readonly root: JsonSchema;
  readonly found: Way[];
}

/** More are not named, and deeper than that no value is. */
const foundMax = 1_000;
const depthMax = 100;

function look(looking: Looking, schemas: readonly unknown[], value: unknown, at: Way): void {
  if (typeof value !== 'object' || value === null || looking.found.length >= foundMax || at.length > depthMax) return;
  const parts = partsFor(looking.root, schemas, value);
  if (parts.length === 0) return;
  if (Array.isArray(value)) {
    for (const [i, item] of (value as readonly unknown[]).entries()) {
      const inner = parts.map((part) => itemSchema(part, i)).filter((one) => one !== undefined);
      look(looking, inner, item, [...at, i]);
    }
    return;
  }
  const isMap = !parts.some(({ properties }) => isRecord(properties));
  const takesAll = parts.some(
    (part) => part['additionalProperties'] !== undefined || part['unevaluatedProperties'] !== undefined,
  );
  for (const [name, field] of Object.entries(value)) {
    const inner = parts.flatMap((part) => fieldSchemas(part, name));
    if (inner.length > 0) look(looking, inner, field, [...at, name]);
    else if (!isMap && !takesAll) looking.found.push([...at, name]);
  }
}

/** The schemas that have a say about a value at its own place. */
function partsFor(root: JsonSchema, schemas: readonly unknown[], value: object): JsonSchema[] {
  const parts = new Set<JsonSchema>();
  const open = [...schemas];
  const fits = (one: unknown): boolean => fitsSchema(root, one, value);
  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    if (!isRecord(next) || parts.has(next)) continue;
    parts.add(next);
    const { $ref, dependentSchemas } = next;
    if (typeof $ref === 'string') open.push(referred(root, $ref));
    open.push(...listOf(next['allOf']));
    open.push(...[...listOf(next['anyOf']), ...listOf(next['oneOf'])].filter(fits));
    if (next['if'] !== undefined) open.push(...(fits(next['if']) ? [next['if'], next['then']] : [next['else']]));
    for (const [name, inner] of Object.entries(isRecord(dependentSchemas) ? dependentSchemas : {}))
      if (Object.hasOwn(value, name)) open.push(inner);
  }
  return [...parts];
}
