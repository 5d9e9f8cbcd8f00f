/**
 * What is known for certain of the values of a schema: it is taken apart into shapes, one for each branch and each kind of
 * value, and a shape is asked for bounds, fields and items.
 *
 * Invariant: a shape never says less may come than does come. Every value of the schema is a value of one of its shapes;
 * what is not understood is left out, which only makes the shapes larger.
 */
import type { JsonSchema } from '../manifest.js';
import { fitsSchema } from './json-schema-faults.js';
import { listOf, type Part, type Place } from './schema-root.js';
import { isRecord, isSame, matchesPattern } from './schema-text.js';

export type Kind = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';

export const kinds: readonly Kind[] = ['null', 'boolean', 'number', 'string', 'array', 'object'];

/** Values of one kind that all parts hold for. */
export interface Shape {
  readonly kind: Kind;
  readonly parts: readonly Part[];
  /** Fields that no part names do not come. */
  readonly closed: boolean;
}

/** More branches than that are not told apart. */
const shapesMax = 64;

/** Shapes of the values for which all places hold; none = there is no such value. */
export function shapesOf(places: readonly Place[], closed: boolean): Shape[] {
  return branchesOf(places).flatMap((parts) =>
    kinds.flatMap((kind): Shape[] => {
      const shape = { kind, parts, closed };
      return isEmpty(shape) ? [] : [shape];
    }),
  );
}

/** `above`: schemas that hold here already. */
function branchesOf(places: readonly Place[], above: ReadonlySet<unknown> = new Set()): readonly (readonly Part[])[] {
  let branches: readonly (readonly Part[])[] = [[]];
  const open = [...places];
  const seen = new Set(above);
  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    const { root, schema } = next;
    if (schema === false) return [];
    if (!isRecord(schema) || seen.has(schema)) continue;
    seen.add(schema);
    const part: Part = { root, schema };
    branches = branches.map((parts) => [...parts, part]);
    const inner = (one: unknown): Place => ({ root, schema: one });
    if (schema['$ref'] !== undefined) open.push(inner(root.resolve(schema['$ref'])));
    open.push(...listOf(schema['allOf']).map(inner));
    const choices = [listOf(schema['anyOf']), listOf(schema['oneOf'])].filter((list) => list.length > 0);
    if (schema['if'] !== undefined) choices.push([schema['then'] ?? true, schema['else'] ?? true]);
    for (const choice of choices) {
      const each = choice.flatMap((one) => branchesOf([inner(one)], seen));
      if (branches.length * each.length <= shapesMax)
        branches = branches.flatMap((parts) => each.map((more) => [...parts, ...more]));
    }
  }
  return branches;
}

/** Whether there is no value of the shape, as far as a look at it tells. */
function isEmpty(shape: Shape): boolean {
  const { kind, parts } = shape;
  if (!parts.every(({ schema }) => kindsOf(schema).has(kind))) return true;
  const values = valuesOf(shape);
  if (values !== null) return values.length === 0;
  if (kind !== 'object') return false;
  return [...requiredOf(shape)].some((name) => {
    const places = fieldOf(shape, name);
    return places === null || places.some(({ schema }) => schema === false);
  });
}

/** The kinds that a schema says of itself. */
export function kindsOf(schema: JsonSchema): ReadonlySet<Kind> {
  const { type } = schema;
  if (type === undefined) return new Set(kinds);
  const names: readonly unknown[] = Array.isArray(type) ? type : [type];
  const found = kinds.filter((kind) => names.includes(kind) || (kind === 'number' && names.includes('integer')));
  return new Set(schema['nullable'] === true ? [...found, 'null'] : found);
}

/** Whether the schema says that numbers are whole. */
export function saysWhole({ type }: JsonSchema): boolean {
  const names: readonly unknown[] = Array.isArray(type) ? type : [type];
  return names.includes('integer') && !names.includes('number');
}

export function isWhole({ parts }: Shape): boolean {
  return parts.some(({ schema }) => saysWhole(schema));
}

/** All values of a shape that has only so many; null = there are more, or they are not known. */
export function valuesOf({ kind, parts }: Shape): readonly unknown[] | null {
  let values: readonly unknown[] | null = kind === 'null' ? [null] : kind === 'boolean' ? [false, true] : null;
  for (const { schema } of parts) {
    const said = 'const' in schema ? [schema['const']] : Array.isArray(schema['enum']) ? listOf(schema['enum']) : null;
    if (said === null) continue;
    values = values === null ? said : values.filter((value) => said.some((one) => isSame(one, value)));
  }
  if (values === null) return null;
  return values.filter((value) => kindOf(value) === kind && parts.every((part) => mayFit(part, value)));
}

/** False only where the value surely does not fit. */
function mayFit({ root, schema }: Part, value: unknown): boolean {
  return !root.isPlain(schema) || fitsSchema(root.json, schema, value);
}

function kindOf(value: unknown): Kind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const name = typeof value;
  return name === 'boolean' || name === 'number' || name === 'string' ? name : 'object';
}

// ---------------------------------------------------------------- bounds

/** A bound of numbers; `open`: the value itself is outside. */
export interface Bound {
  readonly value: number;
  readonly open: boolean;
}

/** The least number there may be. */
export function lowerBound({ minimum, exclusiveMinimum }: JsonSchema): Bound {
  const closed = typeof minimum === 'number' ? minimum : -Infinity;
  const open = typeof exclusiveMinimum === 'number' ? exclusiveMinimum : -Infinity;
  return open >= closed && open > -Infinity ? { value: open, open: true } : { value: closed, open: false };
}

/** The greatest number there may be. */
export function upperBound({ maximum, exclusiveMaximum }: JsonSchema): Bound {
  const closed = typeof maximum === 'number' ? maximum : Infinity;
  const open = typeof exclusiveMaximum === 'number' ? exclusiveMaximum : Infinity;
  return open <= closed && open < Infinity ? { value: open, open: true } : { value: closed, open: false };
}

export function lowerOf(shape: Shape): Bound {
  const bounds = shape.parts.map(({ schema }) => lowerBound(schema));
  const most = bounds.reduce((a, b) => (b.value > a.value || (b.value === a.value && b.open) ? b : a), lowerBound({}));
  if (!isWhole(shape) || most.value === -Infinity) return most;
  const whole = Math.ceil(most.value);
  return { value: most.open && whole === most.value ? whole + 1 : whole, open: false };
}

export function upperOf(shape: Shape): Bound {
  const bounds = shape.parts.map(({ schema }) => upperBound(schema));
  const least = bounds.reduce((a, b) => (b.value < a.value || (b.value === a.value && b.open) ? b : a), upperBound({}));
  if (!isWhole(shape) || least.value === Infinity) return least;
  const whole = Math.floor(least.value);
  return { value: least.open && whole === least.value ? whole - 1 : whole, open: false };
}

/** The greatest of what the parts say under a keyword, at least `least`. */
function mostOf({ parts }: Shape, keyword: string, least: number): number {
  return Math.max(least, ...parts.map(({ schema }) => numberOf(schema[keyword], least)));
}

function leastOf({ parts }: Shape, keyword: string): number {
  return Math.min(...parts.map(({ schema }) => numberOf(schema[keyword], Infinity)), Infinity);
}

/** What a keyword says where it is a number, else what it means when it is not there. */
export function numberOf(value: unknown, absent: number): number {
  return typeof value === 'number' ? value : absent;
}

export function textLengths(shape: Shape): { readonly min: number; readonly max: number } {
  return { min: mostOf(shape, 'minLength', 0), max: leastOf(shape, 'maxLength') };
}

// ---------------------------------------------------------------- lists

/** How many items a list of the shape has. */
export function itemCounts(shape: Shape): { readonly min: number; readonly max: number } {
  const { parts } = shape;
  const contained = parts.map(({ schema }) =>
    schema['contains'] === undefined ? 0 : numberOf(schema['minContains'], 1),
  );
  const ends = parts.map(({ schema }) => (schema['items'] === false ? listOf(schema['prefixItems']).length : Infinity));
  return {
    min: Math.max(mostOf(shape, 'minItems', 0), ...contained),
    max: Math.min(leastOf(shape, 'maxItems'), ...ends),
  };
}

/** Items that are described one by one. */
export function describedItems(schema: JsonSchema): number {
  return listOf(schema['prefixItems']).length;
}

/** What holds for the item at an index. */
export function itemOf({ parts }: Shape, index: number): Place[] {
  return parts.flatMap(({ root, schema }): Place[] => {
    const inner = itemSchema(schema, index);
    return inner === undefined ? [] : [{ root, schema: inner }];
  });
}

/** What a schema says of the item at an index; undefined = nothing. */
export function itemSchema(schema: JsonSchema, index: number): unknown {
  const first = listOf(schema['prefixItems']);
  return index < first.length ? first[index] : schema['items'];
}

// ---------------------------------------------------------------- objects

/** Fields that are always there. */
export function requiredOf({ parts }: Shape): ReadonlySet<string> {
  return new Set(parts.flatMap(({ schema }) => listOf(schema['required']).filter((name) => typeof name === 'string')));
}

/** What holds for a field; null = there is none of this name. */
export function fieldOf(shape: Shape, name: string): readonly Place[] | null {
  const places: Place[] = [];
  for (const { root, schema } of shape.parts) {
    const inner = fieldSchemas(schema, name);
    places.push(...inner.map((one) => ({ root, schema: one })));
    const { unevaluatedProperties } = schema;
    if (unevaluatedProperties !== undefined && !knows(root.evaluated(schema, true, true), name))
      places.push({ root, schema: unevaluatedProperties });
  }
  return places.some(({ schema }) => schema === false) || isShut(shape, name) ? null : places;
}

/** What holds for fields that no part names, and which match no pattern; null = there are none. */
export function otherFieldsOf(shape: Shape): readonly Place[] | null {
  const places = shape.parts.flatMap(({ root, schema }): Place[] => {
    const said = [schema['additionalProperties']];
    if (!root.evaluated(schema, true, true).all) said.push(schema['unevaluatedProperties']);
    return said.flatMap((one) => (one === undefined ? [] : [{ root, schema: one }]));
  });
  return places.some(({ schema }) => schema === false) || isShut(shape, null) ? null : places;
}

/** Whether a field of this name (null = of none that any part has) is unknown, and unknown ones do not come. */
function isShut({ closed, parts }: Shape, name: string | null): boolean {
  if (!closed) return false;
  const said = parts.map(({ root, schema }) => root.evaluated(schema, true));
  // What names no field at all is a map of anything.
  if (said.some(({ all }) => all) || !parts.some(({ schema }) => isRecord(schema['properties']))) return false;
  return name === null || !said.some((one) => knows(one, name));
}

function knows({ names, patterns, all }: ReturnType<Place['root']['evaluated']>, name: string): boolean {
  return all || names.has(name) || [...patterns].some((pattern) => matchesPattern(pattern, name));
}

/** What a schema says of the field of a name by `properties`, `patternProperties` and `additionalProperties`. */
export function fieldSchemas(schema: JsonSchema, name: string): unknown[] {
  const { properties, patternProperties, additionalProperties } = schema;
  const said: unknown[] = [];
  if (isRecord(properties) && Object.hasOwn(properties, name)) said.push(properties[name]);
  for (const [pattern, inner] of Object.entries(isRecord(patternProperties) ? patternProperties : {}))
    if (matchesPattern(pattern, name)) said.push(inner);
  if (said.length === 0 && additionalProperties !== undefined) said.push(additionalProperties);
  return said;
}

/** Names that the parts have, in whatever branch. */
export function namesOf({ parts }: Shape): ReadonlySet<string> {
  return new Set(
    parts.flatMap(({ root, schema }) => [
      ...(isRecord(schema['properties']) ? Object.keys(schema['properties']) : []),
      ...root.evaluated(schema, true, true).names,
    ]),
  );
}

/** Patterns of names that the parts have, in whatever branch, with what holds for these fields for certain. */
export function patternsOf({ parts }: Shape): readonly (readonly [string, Place])[] {
  return parts.flatMap(({ root, schema }) => {
    const own = isRecord(schema['patternProperties']) ? schema['patternProperties'] : {};
    const others = [...root.evaluated(schema, true, true).patterns].filter((one) => !Object.hasOwn(own, one));
    return [...Object.entries(own), ...others.map((one) => [one, true] as const)].map(
      ([pattern, inner]) => [pattern, { root, schema: inner }] as const,
    );
  });
}

/** How many fields an object of the shape has. */
export function fieldCounts(shape: Shape): { readonly min: number; readonly max: number } {
  const isFinite = otherFieldsOf(shape) === null && patternsOf(shape).length === 0;
  const named = isFinite ? [...namesOf(shape)].filter((name) => fieldOf(shape, name) !== null).length : Infinity;
  return {
    min: Math.max(mostOf(shape, 'minProperties', 0), requiredOf(shape).size),
    max: Math.min(leastOf(shape, 'maxProperties'), named),
  };
}
