/**
 * Checks plain JSON against a JSON Schema where no validator can be loaded: in the process that asks a model, and where one
 * schema is held against another. It knows the keywords of 2020-12 that say something of a value (types, enums, objects,
 * lists, bounds, patterns, combinations, conditions, local references) but `unevaluated...` and dynamic references, and
 * takes no notice of any other.
 *
 * Invariant: ends on every schema, also on one that refers to itself.
 */
import type { JsonSchema } from '../manifest.js';
import { isRecord, isSame, matchesPattern, referred } from './schema-text.js';

/** What does not fit, in words, the first of it; empty = it fits. `whole`: what the value itself is called. */
export function jsonSchemaFaults(schema: JsonSchema, value: unknown, whole = 'the answer'): string[] {
  const faults: string[] = [];
  check({ root: schema, faults, whole }, schema, value, '', 0);
  return faults.slice(0, faultsMax);
}

/** Whether the value fits a schema that lies inside of `root`. */
export function fitsSchema(root: JsonSchema, schema: unknown, value: unknown): boolean {
  const looking: Looking = { root, faults: [], whole: '' };
  check(looking, schema, value, '', 0);
  return looking.faults.length === 0;
}

const faultsMax = 20;
/** Deeper than any answer; a schema that refers to itself goes no further. */
const depthMax = 100;

interface Looking {
  readonly root: JsonSchema;
  readonly faults: string[];
  readonly whole: string;
}

function check(looking: Looking, given: unknown, value: unknown, at: string, depth: number): void {
  if (given === false) return tell(looking, at, 'is not allowed');
  if (!isRecord(given) || depth > depthMax || looking.faults.length >= faultsMax) return;
  const { $ref, type, enum: values, allOf, anyOf, oneOf, not } = given;
  if (typeof $ref === 'string') check(looking, referred(looking.root, $ref), value, at, depth + 1);
  const isNull = value === null && given['nullable'] === true;
  if (type !== undefined && !isNull && !types(type).some((name) => isOfType(value, name)))
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
    const inner: Looking = { root: looking.root, faults: [], whole: '' };
    check(inner, one, value, at, depth + 1);
    return inner.faults.length === 0;
  };
  if (Array.isArray(anyOf) && !anyOf.some(fits)) tell(looking, at, 'fits none of the alternatives');
  if (Array.isArray(oneOf) && oneOf.filter(fits).length !== 1) tell(looking, at, 'must fit exactly one alternative');
  if (not !== undefined && fits(not)) tell(looking, at, 'is not allowed');
  if (given['if'] !== undefined)
    check(looking, fits(given['if']) ? given['then'] : given['else'], value, at, depth + 1);
}

function checkObject(
  looking: Looking,
  schema: JsonSchema,
  value: Readonly<Record<string, unknown>>,
  at: string,
  depth: number,
): void {
  const { properties, patternProperties, required, additionalProperties, minProperties, maxProperties } = schema;
  const known = isRecord(properties) ? properties : {};
  const patterns = isRecord(patternProperties) ? Object.entries(patternProperties) : [];
  const names = Object.keys(value);
  for (const name of lists(required))
    if (typeof name === 'string' && !Object.hasOwn(value, name)) tell(looking, under(at, name), 'is missing');
  if (typeof minProperties === 'number' && names.length < minProperties)
    tell(looking, at, `must have ${minProperties} fields or more`);
  if (typeof maxProperties === 'number' && names.length > maxProperties)
    tell(looking, at, `must have no more than ${maxProperties} fields`);
  for (const [name, inner] of Object.entries(value)) {
    const meant = patterns.filter(([pattern]) => matchesPattern(pattern, name));
    for (const [, one] of meant) check(looking, one, inner, under(at, name), depth + 1);
    if (Object.hasOwn(known, name)) check(looking, known[name], inner, under(at, name), depth + 1);
    else if (meant.length > 0) continue;
    else if (additionalProperties === false) tell(looking, under(at, name), 'is not known');
    else check(looking, additionalProperties, inner, under(at, name), depth + 1);
  }
  checkNames(looking, schema, value, at, depth);
}

/** What one name has to do with others, and what names may be. */
function checkNames(
  looking: Looking,
  { propertyNames, dependentRequired, dependentSchemas }: JsonSchema,
  value: Readonly<Record<string, unknown>>,
  at: string,
  depth: number,
): void {
  for (const name of Object.keys(value)) {
    if (propertyNames !== undefined && !fitsSchema(looking.root, propertyNames, name))
      tell(looking, under(at, name), 'is not a name that is allowed');
    const wanted = isRecord(dependentRequired) && Object.hasOwn(dependentRequired, name) ? dependentRequired[name] : [];
    for (const other of lists(wanted))
      if (typeof other === 'string' && !Object.hasOwn(value, other))
        tell(looking, under(at, other), `is missing where ${name} is there`);
    if (isRecord(dependentSchemas) && Object.hasOwn(dependentSchemas, name))
      check(looking, dependentSchemas[name], value, at, depth + 1);
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
  const { contains, minContains, maxContains } = schema;
  if (contains === undefined) return;
  const found = value.filter((one) => fitsSchema(looking.root, contains, one)).length;
  const least = typeof minContains === 'number' ? minContains : 1;
  if (found < least) tell(looking, at, `must have ${least} items or more of a kind that it has ${found} of`);
  if (typeof maxContains === 'number' && found > maxContains)
    tell(looking, at, `must have no more than ${maxContains} items of a kind that it has ${found} of`);
}

function checkText(looking: Looking, { minLength, maxLength, pattern }: JsonSchema, value: string, at: string): void {
  const length = Array.from(value).length;
  if (typeof minLength === 'number' && length < minLength)
    tell(looking, at, `must have ${minLength} characters or more`);
  if (typeof maxLength === 'number' && length > maxLength)
    tell(looking, at, `must have no more than ${maxLength} characters`);
  if (typeof pattern === 'string' && !matchesPattern(pattern, value)) tell(looking, at, `must match ${pattern}`);
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

function tell({ faults, whole }: Looking, at: string, fault: string): void {
  faults.push(`${at === '' ? whole : at} ${fault}`);
}

function under(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
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

function lists(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}
