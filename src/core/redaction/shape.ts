/**
 * What of a value somebody is shown, by the JSON Schema that the value was declared with. The schema is followed beside the
 * value, over references, alternatives and items; where several of its parts have a say of one place, the tags of all count.
 *
 * Invariant: what is shown was named by the schema without a tag that the reader lacks. A field that the schema does not
 * name, a value of another kind than it says and a reference that leads nowhere are hidden with all tags there are: it may be
 * an older form of what is tagged now. A schema that names no field of an object at all, or no items of a list, allows
 * anything there, and so does this.
 */
import type { JsonSchema } from '../manifest.js';
import { isRecord, referred } from '../schema/schema-text.js';
import { hiddenOf, redacted, tagsOf, tagsWithin, type Clearance } from './tags.js';

/** Places of one shape that are told apart; what lies beyond them is hidden. */
const placesMax = 5_000;

/** A part of a schema, with the whole that its references are meant in. */
interface Part {
  readonly root: JsonSchema;
  readonly schema: JsonSchema;
}

export class Shape {
  /** Tags of the schemas, and those of what they do not name. */
  readonly tags: ReadonlySet<string>;
  readonly #start: Place;
  readonly #places = new Map<string, Place>();
  readonly #ids = new Map<JsonSchema, number>();

  /**
   * `schemas`: what the value may have been declared with, all of which count; none = nobody has said what it is. `rest`: tags
   * of what they do not name.
   */
  constructor(schemas: readonly (JsonSchema | null)[], rest: Iterable<string> = []) {
    const known = schemas.filter((schema) => schema !== null);
    this.tags = new Set([...known.flatMap((schema) => [...tagsWithin(schema)]), ...rest]);
    // A value that one of several declares and another leaves open is declared.
    this.#start =
      known.length === 0
        ? this.#sealed()
        : this.#placeOf(known.flatMap((root) => closure({ root, schema: root }) ?? [unknownPart]));
  }

  /** The value as somebody with this clearance is shown it: the value itself where nothing of it is hidden. */
  shown(value: unknown, cleared: Clearance): unknown {
    const hidden = hiddenOf(this.tags, cleared);
    return hidden.length === 0 || value === undefined ? value : this.#start.shown(value, { cleared, hidden });
  }

  /** Whether somebody with this clearance is shown all of any value. */
  showsAll(cleared: Clearance): boolean {
    return hiddenOf(this.tags, cleared).length === 0;
  }

  /** Tags of a field by its path (`customer.email`), and of all that it lies in; all tags where it is not named. */
  tagsAt(path: string): ReadonlySet<string> {
    let place: Place | null = this.#start;
    const found = new Set<string>();
    for (const name of ['', ...path.split('.')]) {
      if (name !== '') place = place.field(name);
      if (place === null) return this.tags;
      for (const tag of place.tags) found.add(tag);
    }
    return found;
  }

  #sealed(): Place {
    return new Place([], [...this.tags], () => null);
  }

  #placeOf(parts: readonly Part[]): Place {
    if (parts.includes(unknownPart)) return this.#sealed();
    const key = [...new Set(parts.map(({ schema }) => this.#idOf(schema)))].sort((a, b) => a - b).join(' ');
    const found = this.#places.get(key);
    if (found !== undefined) return found;
    if (this.#places.size >= placesMax) return this.#sealed();
    const made = new Place(
      parts,
      parts.flatMap(({ schema }) => [...tagsOf(schema), ...keyTags(schema)]),
      (inner) => this.#placeOf(inner.flatMap((part) => closure(part) ?? [unknownPart])),
    );
    this.#places.set(key, made);
    return made;
  }

  #idOf(schema: JsonSchema): number {
    const known = this.#ids.get(schema);
    if (known !== undefined) return known;
    this.#ids.set(schema, this.#ids.size);
    return this.#ids.size - 1;
  }
}

/** Who looks, and all that is hidden from them of this shape. */
interface Look {
  readonly cleared: Clearance;
  readonly hidden: readonly string[];
}

/** A place of a value with all parts of the schemas that have a say of it. */
class Place {
  readonly tags: readonly string[];
  readonly #parts: readonly Part[];
  readonly #placeOf: (parts: readonly Part[]) => Place | null;
  readonly #kinds: ReadonlySet<string> | null;
  readonly #namesFields: boolean;
  readonly #namesItems: boolean;
  readonly #fields = new Map<string, Place | null>();
  readonly #items = new Map<number, Place | null>();
  /** Place of all fields that no part names one by one. */
  #others: Place | null | undefined;
  readonly #names: ReadonlySet<string>;
  readonly #prefixLength: number;

  constructor(parts: readonly Part[], tags: readonly string[], placeOf: (parts: readonly Part[]) => Place | null) {
    this.#parts = parts;
    this.tags = [...new Set(tags)];
    this.#placeOf = placeOf;
    const schemas = parts.map(({ schema }) => schema);
    this.#kinds = kindsOf(schemas);
    this.#names = new Set(schemas.flatMap((schema) => Object.keys(recordOf(schema['properties']))));
    this.#namesFields =
      this.#names.size > 0 ||
      schemas.some((schema) => isNamed(schema['additionalProperties']) || isRecord(schema['patternProperties']));
    this.#prefixLength = Math.max(0, ...schemas.map((schema) => prefixOf(schema).length));
    this.#namesItems = this.#prefixLength > 0 || schemas.some((schema) => itemParts(schema).length > 0);
  }

  shown(value: unknown, look: Look): unknown {
    const tagged = hiddenOf(this.tags, look.cleared);
    if (tagged.length > 0) return redacted(tagged);
    if (value === null) return value;
    if (this.#kinds !== null && !isOfKind(value, this.#kinds)) return redacted(look.hidden);
    if (Array.isArray(value)) return this.#namesItems ? this.#shownList(value as readonly unknown[], look) : value;
    if (isRecord(value)) return this.#namesFields ? this.#shownRecord(value, look) : value;
    return value;
  }

  #shownList(list: readonly unknown[], look: Look): unknown {
    let changed: unknown[] | null = null;
    for (const [i, item] of list.entries()) {
      const place = this.#item(i);
      const shown = place === null ? redacted(look.hidden) : place.shown(item, look);
      if (shown === item) continue;
      changed ??= [...list];
      changed[i] = shown;
    }
    return changed ?? list;
  }

  #shownRecord(record: Readonly<Record<string, unknown>>, look: Look): unknown {
    let changed: Record<string, unknown> | null = null;
    for (const [name, inner] of Object.entries(record)) {
      const place = this.field(name);
      const shown = place === null ? redacted(look.hidden) : place.shown(inner, look);
      if (shown === inner) continue;
      changed ??= { ...record };
      changed[name] = shown;
    }
    return changed ?? record;
  }

  /** Null = no part names it. */
  field(name: string): Place | null {
    if (!this.#names.has(name)) {
      if (this.#others === undefined) this.#others = this.#fieldPlace(null);
      return this.#others;
    }
    const known = this.#fields.get(name);
    if (known !== undefined) return known;
    const made = this.#fieldPlace(name);
    this.#fields.set(name, made);
    return made;
  }

  #fieldPlace(name: string | null): Place | null {
    const found: Part[] = [];
    // Patterns are not held against names here: each of them may be meant.
    const perhaps: Part[] = [];
    for (const { root, schema } of this.#parts) {
      const { additionalProperties, unevaluatedProperties } = schema;
      const properties = recordOf(schema['properties']);
      const patterns = Object.values(recordOf(schema['patternProperties']));
      const isClosed = additionalProperties === false;
      const inner: unknown[] = [];
      if (name !== null && Object.hasOwn(properties, name)) inner.push(properties[name]);
      else if (isNamed(additionalProperties)) inner.push(additionalProperties);
      else if (isNamed(unevaluatedProperties)) inner.push(unevaluatedProperties);
      else if (isClosed) inner.push(...patterns);
      found.push(...partsOf(root, inner));
      perhaps.push(...partsOf(root, patterns));
    }
    return found.length === 0 ? null : this.#placeOf([...found, ...perhaps]);
  }

  #item(index: number): Place | null {
    const at = Math.min(index, this.#prefixLength);
    const known = this.#items.get(at);
    if (known !== undefined) return known;
    const found = this.#parts.flatMap(({ root, schema }) => {
      const prefix = prefixOf(schema);
      const own = at < prefix.length ? [prefix[at]] : itemParts(schema);
      return partsOf(root, [...own, ...(isNamed(schema['contains']) ? [schema['contains']] : [])]);
    });
    const made = found.length === 0 ? null : this.#placeOf(found);
    this.#items.set(at, made);
    return made;
  }
}

/** Stands for a part that cannot be found. */
const unknownPart: Part = { root: {}, schema: {} };

/** A part with all others that have a say wherever it has one; null where one of them cannot be found. */
function closure(part: Part): Part[] | null {
  const found = new Map<JsonSchema, Part>();
  const open: Part[] = [part];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { root, schema } = next;
    if (found.has(schema)) continue;
    found.set(schema, next);
    if (schema['$dynamicRef'] !== undefined || schema['$recursiveRef'] !== undefined) return null;
    const beside: unknown[] = [
      ...['allOf', 'anyOf', 'oneOf'].flatMap((name) => listOf(schema[name])),
      ...['if', 'then', 'else'].map((name) => schema[name]),
      ...Object.values(recordOf(schema['dependentSchemas'])),
    ];
    const { $ref } = schema;
    if ($ref !== undefined) {
      const target = typeof $ref === 'string' && !hasInnerId(root) ? referred(root, $ref) : undefined;
      if (target === undefined) return null;
      beside.push(target);
    }
    open.push(...partsOf(root, beside));
  }
  return [...found.values()];
}

const innerIds = new WeakMap<JsonSchema, boolean>();

/** An id inside of a schema changes what the references beneath it mean. */
function hasInnerId(root: JsonSchema): boolean {
  const known = innerIds.get(root);
  if (known !== undefined) return known;
  const open: unknown[] = Object.values(root);
  let found = false;
  for (let next = open.pop(); next !== undefined && !found; next = open.pop()) {
    if (Array.isArray(next)) open.push(...(next as readonly unknown[]));
    else if (isRecord(next)) {
      found = typeof next['$id'] === 'string';
      open.push(...Object.values(next));
    }
  }
  innerIds.set(root, found);
  return found;
}

function partsOf(root: JsonSchema, schemas: readonly unknown[]): Part[] {
  return schemas.flatMap((schema) => (isRecord(schema) ? [{ root, schema }] : schema === true ? [anyPart(root)] : []));
}

const anything = new WeakMap<JsonSchema, Part>();

/** `true` as a part; one for each root, so that places of it are one place. */
function anyPart(root: JsonSchema): Part {
  const known = anything.get(root);
  if (known !== undefined) return known;
  const made: Part = { root, schema: {} };
  anything.set(root, made);
  return made;
}

/** Whether a schema for the others says anything. */
function isNamed(schema: unknown): boolean {
  return isRecord(schema) && Object.keys(schema).length > 0;
}

/** Names of fields may be what is tagged. */
function keyTags(schema: JsonSchema): readonly string[] {
  return [...tagsWithin(schema['propertyNames'])];
}

function prefixOf(schema: JsonSchema): readonly unknown[] {
  const { prefixItems, items } = schema;
  return Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : [];
}

/** What is said of the items behind the first ones. */
function itemParts(schema: JsonSchema): readonly unknown[] {
  const { items, additionalItems, unevaluatedItems } = schema;
  const rest = Array.isArray(items) ? additionalItems : items;
  return [rest, unevaluatedItems].filter((one) => one !== undefined && one !== false);
}

/** Kinds that a value may be of; null = nothing is said of it. */
function kindsOf(schemas: readonly JsonSchema[]): ReadonlySet<string> | null {
  const kinds = new Set<string>();
  // One of the alternatives allows anything.
  if (schemas.some(({ anyOf, oneOf }) => [...listOf(anyOf), ...listOf(oneOf)].some(isAnything))) return null;
  for (const { type, const: one, enum: some, ...rest } of schemas) {
    for (const kind of Array.isArray(type) ? type : type === undefined ? [] : [type]) kinds.add(String(kind));
    if (one !== undefined) kinds.add(kindOf(one));
    for (const value of listOf(some)) kinds.add(kindOf(value));
    // What is named of objects or lists without a word on the kind is one of them.
    if (rest['properties'] !== undefined) kinds.add('object');
    if (rest['items'] !== undefined || rest['prefixItems'] !== undefined) kinds.add('array');
  }
  return kinds.size === 0 ? null : kinds;
}

function isAnything(schema: unknown): boolean {
  return schema === true || (isRecord(schema) && Object.keys(schema).length === 0);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function isOfKind(value: unknown, kinds: ReadonlySet<string>): boolean {
  const kind = kindOf(value);
  return kinds.has(kind) || (kind === 'number' && kinds.has('integer'));
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}
