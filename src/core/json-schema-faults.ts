/**
 * Checks plain JSON against a JSON Schema where no validator can be loaded: in the process that asks a model. It knows the
 * keywords that schemas of tools and answers are made of (2020-12: types, enums, objects, lists, bounds, patterns,
 * combinations, local references) and takes no notice of any other.
 *
 * Invariant: ends on every schema, also on one that refers to itself.
 */
import type { JsonSchema } from './manifest.js';

/** What does not fit, in words, the first of it; empty = it fits. */
export function jsonSchemaFaults(schema: JsonSchema, value: unknown): string[] {
  const faults: string[] = [];
  check({ root: schema, faults }, schema, value, '', 0);
  return faults.slice(0, faultsMax);
}

const faultsMax = 20;
/** Deeper than any answer; a schema that refers to itself goes no further. */
const depthMax = 100;

interface Looking {
  readonly root: JsonSchema;
  readonly faults: string[];
}

function check(looking: Looking, given: unknown, value: unknown, at: string, depth: number): void {
  if (given === false) return tell(looking, at, 'is not allowed');
  if (!isRecord(given) || depth > depthMax || looking.faults.length >= faultsMax) return;
  const { $ref, type, enum: values, allOf, anyOf, oneOf, not } = given;
  if (typeof $ref === 'string') check(looking, referred(looking.root, $ref), value, at, depth + 1);
  if (type !== undefined && !types(type).some((name) => isOfType(value, name)))
    return tell(looking, at, `must be of type ${types(type).join(' or ')}`);
  if (Array.isArray(values) && !values.some((one) => isSame(one, value)))
    tell(looking, at, `must be one of ${values.map((one) => JSON.stringify(one)).join(', ')}`);
  if ('const' in given && !isSame(given['const'], value))
    tell(looking, at, `must be ${JSON.stringify(given['const'])}`);
  if (isRecord(value)) checkObject(looking, given, value, at, depth);
  else if (Array.isArray(value)) checkList(looking, given, value, at, depth);
  else if (typeof value === 'string') checkText(looking, given, value, at);
  else if (typeof value === 'number') checkNumber(looking, given, value, at);
  for (const one of lists(allOf)) check(looking, one, value, at, depth + 1);
  const fits = (one: unknown): boolean => {
    const inner: Looking = { root: looking.root, faults: [] };
    check(inner, one, value, at, depth + 1);
    return inner.faults.length === 0;
  };
  if (Array.isArray(anyOf) && !anyOf.some(fits)) tell(looking, at, 'fits none of the alternatives');
  if (Array.isArray(oneOf) && oneOf.filter(fits).length !== 1) tell(looking, at, 'must fit exactly one alternative');
  if (not !== undefined && fits(not)) tell(looking, at, 'is not allowed');
}

function checkObject(
  looking: Looking,
  schema: JsonSchema,
  value: Readonly<Record<string, unknown>>,
  at: string,
  depth: number,
): void {
  const { properties, required, additionalProperties } = schema;
  const known = isRecord(properties) ? properties : {};
  for (const name of lists(required))
    if (typeof name === 'string' && !Object.hasOwn(value, name)) tell(looking, under(at, name), 'is missing');
  for (const [name, inner] of Object.entries(value)) {
    if (Object.hasOwn(known, name)) check(looking, known[name], inner, under(at, name), depth + 1);
    else if (additionalProperties === false) tell(looking, under(at, name), 'is not known');
    else check(looking, additionalProperties, inner, under(at, name), depth + 1);
  }
}

function checkList(looking: Looking, schema: JsonSchema, value: readonly unknown[], at: string, depth: number): void {
  const { items, prefixItems, minItems, maxItems, uniqueItems } = schema;
  const first = lists(prefixItems);
  if (typeof minItems === 'number' && value.length < minItems) tell(looking, at, `must have ${minItems} items or more`);
  if (typeof maxItems === 'number' && value.length > maxItems)
    tell(looking, at, `must have no more than ${maxItems} items`);
  if (uniqueItems === true && value.some((one, i) => value.slice(0, i).some((other) => isSame(one, other))))
    tell(looking, at, 'must not have an item twice');
  for (const [i, inner] of value.entries())
    check(looking, i < first.length ? first[i] : items, inner, under(at, String(i)), depth + 1);
}

function checkText(looking: Looking, { minLength, maxLength, pattern }: JsonSchema, value: string, at: string): void {
  const length = Array.from(value).length;
  if (typeof minLength === 'number' && length < minLength)
    tell(looking, at, `must have ${minLength} characters or more`);
  if (typeof maxLength === 'number' && length > maxLength)
    tell(looking, at, `must have no more than ${maxLength} characters`);
  if (typeof pattern === 'string' && !matches(pattern, value)) tell(looking, at, `must match ${pattern}`);
}

function checkNumber(looking: Looking, schema: JsonSchema, value: number, at: string): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  if (typeof minimum === 'number' && value < minimum) tell(looking, at, `must be ${minimum} or more`);
  if (typeof maximum === 'number' && value > maximum) tell(looking, at, `must be ${maximum} or less`);
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum)
    tell(looking, at, `must be more than ${exclusiveMinimum}`);
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum)
    tell(looking, at, `must be less than ${exclusiveMaximum}`);
  if (typeof multipleOf === 'number' && !Number.isInteger(value / multipleOf))
    tell(looking, at, `must be a multiple of ${multipleOf}`);
}

function tell({ faults }: Looking, at: string, fault: string): void {
  faults.push(`${at === '' ? 'the answer' : at} ${fault}`);
}

function under(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}

/** A place inside of the same schema; of any other nothing is known. */
function referred(root: JsonSchema, ref: string): unknown {
  if (ref === '#') return root;
  if (!ref.startsWith('#/')) return undefined;
  let at: unknown = root;
  for (const part of ref.slice(2).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    at = isRecord(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

function types(type: unknown): string[] {
  return (Array.isArray(type) ? type : [type]).filter((name) => typeof name === 'string');
}

function isOfType(value: unknown, name: string): boolean {
  switch (name) {
    case 'null':
      return value === null;
    case 'integer':
      return Number.isInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isRecord(value);
    default:
      return typeof value === name;
  }
}

function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, i) => isSame(one, b[i]));
  if (!isRecord(a) || !isRecord(b)) return a === b;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name]))
  );
}

/** A pattern that is none fits everything. */
function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    return true;
  }
}

function lists(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
