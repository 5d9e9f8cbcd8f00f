/**
 * Whether every value of one JSON Schema is a value of another: whether who reads by the one can read what was written by the
 * other. A proof, not a guess: what cannot be proven is a fault with its path, also where a person would see that it holds.
 *
 * Invariant: where there is no fault, no value is valid under `written` and invalid under `read` (2020-12; formats count,
 * unknown keywords do not). A pair of places that is met again further down is taken for proven: what it is about there is
 * smaller, and every value ends.
 */
import type { JsonSchema } from '../manifest.js';
import { fitsSchema } from './json-schema-faults.js';
import { listOf, SchemaRoot, type Evaluated, type Part, type Place } from './schema-root.js';
import { isRecord, matchesPattern } from './schema-text.js';
import {
  describedItems,
  fieldCounts,
  fieldOf,
  fieldSchemas,
  itemCounts,
  itemOf,
  itemSchema,
  kindsOf,
  lowerBound,
  lowerOf,
  isWhole,
  namesOf,
  numberOf,
  otherFieldsOf,
  patternsOf,
  requiredOf,
  saysWhole,
  shapesOf,
  textLengths,
  upperBound,
  upperOf,
  valuesOf,
  type Bound,
  type Shape,
} from './shape.js';

/** What stands against it, and where: `lines[].count`; `` = the value itself. */
export interface InclusionFault {
  readonly path: string;
  readonly text: string;
}

export interface InclusionOptions {
  /** What the two are called in faults. */
  readonly written?: string;
  readonly read?: string;
  /** Fields that `written` does not name are not written, since they are stripped or refused. Default false. */
  readonly closed?: boolean;
}

/** Why a value of `written` may not be one of `read`; empty = each is. */
export function inclusionFaults(
  written: JsonSchema,
  read: JsonSchema,
  options: InclusionOptions = {},
): readonly InclusionFault[] {
  const [from, to] = [new SchemaRoot(written), new SchemaRoot(read)];
  const proof = new Proof(options);
  const faults = proof.covers([{ root: from, schema: written }], { root: to, schema: read }, '', 0);
  const seen = new Set<string>();
  return faults
    .filter(({ path, text }) => {
      const key = `${path} ${text}`;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    })
    .slice(0, faultsMax);
}

const faultsMax = 20;
/** Steps of one proof. What needs more is not proven. */
const stepsMax = 5_000;
/** How deep two places are held against each other to see that they have no value in common. */
const apartDepthMax = 4;

type Faults = readonly InclusionFault[];
const proven: Faults = [];

class Proof {
  readonly #written: string;
  readonly #read: string;
  readonly #closed: boolean;
  /** Pairs that are being proven, with the depth in the value that they are about. */
  readonly #onWay = new Map<string, number>();
  readonly #ids = new Map<unknown, number>();
  #steps = 0;

  constructor({ written = 'the old schema', read = 'the new schema', closed = false }: InclusionOptions) {
    this.#written = written;
    this.#read = read;
    this.#closed = closed;
  }

  /** Every value for which all places hold is one of `wide`. `depth`: how far down in the value. */
  covers(narrow: readonly Place[], wide: Place, at: string, depth: number): Faults {
    if (!isRecord(wide.schema)) {
      if (wide.schema !== false || shapesOf(narrow, this.#closed).length === 0) return proven;
      return [{ path: at, text: `${this.#read} does not allow it, and ${this.#written} does` }];
    }
    if (this.#isSaid(narrow, wide.root, wide.schema)) return proven;
    this.#steps += 1;
    if (this.#steps > stepsMax) return [{ path: at, text: 'is too large to be proven' }];
    const key = this.#keyOf(narrow, wide.schema);
    const above = this.#onWay.get(key);
    if (above !== undefined) return above < depth ? proven : [{ path: at, text: 'refers to itself without end' }];
    this.#onWay.set(key, depth);
    try {
      return this.#shapesIn(shapesOf(narrow, this.#closed), { root: wide.root, schema: wide.schema }, at, depth);
    } finally {
      this.#onWay.delete(key);
    }
  }

  #shapesIn(shapes: readonly Shape[], wide: Part, at: string, depth: number): Faults {
    const allowed = kindsOf(wide.schema);
    const foreign = new Set(shapes.filter(({ kind }) => !allowed.has(kind)).map(({ kind }) => kind));
    const faults: InclusionFault[] = [];
    if (foreign.size > 0)
      faults.push({
        path: at,
        text: `may be ${[...foreign].join(' or ')} in ${this.#written}, and ${this.#read} takes ${[...allowed].join(' or ')}`,
      });
    for (const shape of shapes) if (!foreign.has(shape.kind)) faults.push(...this.#inside(shape, wide, at, depth));
    return faults;
  }

  #inside(shape: Shape, wide: Place, at: string, depth: number): Faults {
    const { root, schema } = wide;
    if (!isRecord(schema)) return this.covers(shape.parts, wide, at, depth);
    if (this.#isSaid(shape.parts, root, schema)) return proven;
    const part: Part = { root, schema };
    const values = valuesOf(shape);
    if (values !== null && root.isPlain(schema)) {
      const strange = values.filter((value) => !fitsSchema(root.json, schema, value));
      return strange.map((value) => ({
        path: at,
        text: `may be ${JSON.stringify(value)} in ${this.#written}, and ${this.#read} does not take that`,
      }));
    }
    if (!kindsOf(schema).has(shape.kind))
      return [{ path: at, text: `may be ${shape.kind} in ${this.#written}, and ${this.#read} does not take that` }];
    return [
      ...this.#valuesIn(shape, part, at),
      ...this.#ofKind(shape, part, at, depth),
      ...this.#combined(shape, part, at, depth),
    ];
  }

  /** `enum`, `const`, and what cannot be judged. */
  #valuesIn(shape: Shape, { root, schema }: Part, at: string): Faults {
    const faults: InclusionFault[] = [];
    for (const keyword of ['enum', 'const'])
      if (keyword in schema && !this.#hasSame(shape, root, schema, [keyword]))
        faults.push({ path: at, text: `has only certain values in ${this.#read}, and others in ${this.#written}` });
    for (const keyword of ['$dynamicRef', '$recursiveRef', 'dependencies', 'unevaluatedItems'])
      if (keyword in schema) faults.push({ path: at, text: `has ${keyword} in ${this.#read}, which cannot be judged` });
    return faults;
  }

  #ofKind(shape: Shape, wide: Part, at: string, depth: number): Faults {
    switch (shape.kind) {
      case 'number':
        return this.#number(shape, wide, at);
      case 'string':
        return this.#text(shape, wide, at);
      case 'array':
        return this.#list(shape, wide, at, depth);
      case 'object':
        return this.#object(shape, wide, at, depth);
      default:
        return proven;
    }
  }

  // ---------------------------------------------------------------- kinds

  #number(shape: Shape, { schema }: Part, at: string): Faults {
    const faults: InclusionFault[] = [];
    if (saysWhole(schema) && !isWhole(shape))
      faults.push({ path: at, text: `may be a fraction in ${this.#written}, and ${this.#read} takes whole numbers` });
    const [low, high] = [lowerOf(shape), upperOf(shape)];
    const [least, most] = [lowerBound(schema), upperBound(schema)];
    if (!isAbove(low, least))
      faults.push({ path: at, text: `may be less in ${this.#written} than ${this.#read} takes (${least.value})` });
    if (!isBelow(high, most))
      faults.push({ path: at, text: `may be more in ${this.#written} than ${this.#read} takes (${most.value})` });
    const { multipleOf } = schema;
    if (typeof multipleOf === 'number' && !shape.parts.some((one) => isMultiple(one.schema, multipleOf)))
      faults.push({
        path: at,
        text: `must be a multiple of ${multipleOf} in ${this.#read}, and not in ${this.#written}`,
      });
    return faults;
  }

  #text(shape: Shape, { schema }: Part, at: string): Faults {
    const faults: InclusionFault[] = [];
    const { min, max } = textLengths(shape);
    const [least, most] = [numberOf(schema['minLength'], 0), numberOf(schema['maxLength'], Infinity)];
    if (min < least)
      faults.push({ path: at, text: `may be shorter in ${this.#written} than ${this.#read} takes (${least})` });
    if (max > most)
      faults.push({ path: at, text: `may be longer in ${this.#written} than ${this.#read} takes (${most})` });
    for (const keyword of ['pattern', 'format']) {
      const wanted = schema[keyword];
      if (typeof wanted === 'string' && !shape.parts.some((one) => one.schema[keyword] === wanted))
        faults.push({ path: at, text: `has the ${keyword} ${wanted} in ${this.#read}, and not in ${this.#written}` });
    }
    return faults;
  }

  #list(shape: Shape, { root, schema }: Part, at: string, depth: number): Faults {
    const faults: InclusionFault[] = [];
    const { min, max } = itemCounts(shape);
    const [least, most] = [numberOf(schema['minItems'], 0), numberOf(schema['maxItems'], Infinity)];
    if (min < least)
      faults.push({ path: at, text: `may have fewer items in ${this.#written} than ${this.#read} takes (${least})` });
    if (max > most)
      faults.push({ path: at, text: `may have more items in ${this.#written} than ${this.#read} takes (${most})` });
    if (schema['uniqueItems'] === true && max > 1 && !shape.parts.some((one) => one.schema['uniqueItems'] === true))
      faults.push({ path: at, text: `may have an item twice in ${this.#written}, and not in ${this.#read}` });
    const described = Math.max(describedItems(schema), ...shape.parts.map((one) => describedItems(one.schema)));
    // The one behind those that are described by themselves stands for all that follow.
    for (let index = 0; index <= described && index < max; index++) {
      const wide = itemSchema(schema, index);
      const narrow = itemOf(shape, index);
      if (narrow.some((one) => one.schema === false)) break;
      if (wide !== undefined)
        faults.push(
          ...this.covers(narrow, { root, schema: wide }, index < described ? `${at}[${index}]` : `${at}[]`, depth + 1),
        );
    }
    return [...faults, ...this.#contained(shape, { root, schema }, at, depth)];
  }

  #contained(shape: Shape, { root, schema }: Part, at: string, depth: number): Faults {
    const { contains } = schema;
    if (contains === undefined || this.#hasSame(shape, root, schema, ['contains', 'minContains', 'maxContains']))
      return proven;
    const { min, max } = itemCounts(shape);
    const least = numberOf(schema['minContains'], 1);
    const isMany = max > numberOf(schema['maxContains'], Infinity);
    const isFew = least > 0 && (min < least || this.#itemsIn(shape, { root, schema: contains }, at, depth).length > 0);
    if (!isMany && !isFew) return proven;
    return [
      { path: at, text: `must contain items of a kind in ${this.#read}, which ${this.#written} does not promise` },
    ];
  }

  #itemsIn(shape: Shape, wide: Place, at: string, depth: number): Faults {
    const described = Math.max(0, ...shape.parts.map((one) => describedItems(one.schema)));
    const indexes = Array.from({ length: described + 1 }, (_, index) => index);
    return indexes.flatMap((index) => this.covers(itemOf(shape, index), wide, `${at}[]`, depth + 1));
  }

  #object(shape: Shape, wide: Part, at: string, depth: number): Faults {
    const { root, schema } = wide;
    const faults: InclusionFault[] = [];
    const there = requiredOf(shape);
    for (const name of listOf(schema['required']))
      if (typeof name === 'string' && !there.has(name))
        faults.push({
          path: under(at, name),
          text: `is required in ${this.#read}, and may be missing in ${this.#written}`,
        });
    const { min, max } = fieldCounts(shape);
    const [least, most] = [numberOf(schema['minProperties'], 0), numberOf(schema['maxProperties'], Infinity)];
    if (min < least)
      faults.push({ path: at, text: `may have fewer fields in ${this.#written} than ${this.#read} takes (${least})` });
    if (max > most)
      faults.push({ path: at, text: `may have more fields in ${this.#written} than ${this.#read} takes (${most})` });
    faults.push(...this.#fields(shape, wide, at, depth), ...this.#names(shape, wide, at, depth));
    const { dependentRequired, dependentSchemas } = schema;
    if (isRecord(dependentRequired) && !this.#hasSame(shape, root, schema, ['dependentRequired']))
      for (const [name, wanted] of Object.entries(dependentRequired))
        if (fieldOf(shape, name) !== null && !listOf(wanted).every((other) => there.has(String(other))))
          faults.push({ path: under(at, name), text: `needs other fields beside it in ${this.#read}` });
    if (isRecord(dependentSchemas) && !this.#hasSame(shape, root, schema, ['dependentSchemas']))
      for (const [name, inner] of Object.entries(dependentSchemas))
        if (fieldOf(shape, name) !== null) faults.push(...this.#inside(shape, { root, schema: inner }, at, depth));
    return faults;
  }

  /** Each field that may come, by name, by pattern, and all others as one. */
  #fields(shape: Shape, wide: Part, at: string, depth: number): Faults {
    const { root, schema } = wide;
    const rest = restOf(wide);
    const patterns = isRecord(schema['patternProperties']) ? Object.entries(schema['patternProperties']) : [];
    const properties = isRecord(schema['properties']) ? Object.keys(schema['properties']) : [];
    const faults: InclusionFault[] = [];
    for (const name of new Set([...namesOf(shape), ...properties])) {
      const narrow = fieldOf(shape, name);
      if (narrow === null) continue;
      const wanted = fieldSchemas({ ...schema, additionalProperties: undefined }, name);
      if (rest.isRest(name)) wanted.push(...rest.schemas);
      for (const one of wanted) faults.push(...this.#field(narrow, { root, schema: one }, under(at, name), depth));
    }
    const others = otherFieldsOf(shape);
    for (const [pattern, inner] of patterns) {
      const place = { root, schema: inner };
      const same = patternsOf(shape).filter(([one]) => one === pattern);
      // A name that the pattern is for is among those of the same pattern; without one it may be any of the others.
      const groups =
        same.length > 0
          ? [same.map(([, one]) => one)]
          : [...patternsOf(shape).map(([, one]) => [one]), ...(others === null ? [] : [others])];
      for (const group of groups) faults.push(...this.#field(group, place, under(at, `/${pattern}/`), depth));
    }
    for (const one of rest.schemas) {
      const place = { root, schema: one };
      if (others !== null) faults.push(...this.#field(others, place, under(at, '*'), depth));
      for (const [pattern, inner] of patternsOf(shape))
        if (!rest.patterns.has(pattern)) faults.push(...this.#field([inner], place, under(at, `/${pattern}/`), depth));
    }
    return faults;
  }

  #field(narrow: readonly Place[], wide: Place, at: string, depth: number): Faults {
    if (narrow.some(({ schema }) => schema === false)) return proven;
    const faults = this.covers(narrow, wide, at, depth + 1);
    if (faults.length === 0 || narrow.some(({ schema }) => isRecord(schema) && Object.keys(schema).length > 0))
      return faults;
    if (wide.schema === false)
      return [{ path: at, text: `is not known to ${this.#read}, and ${this.#written} takes fields of any name` }];
    const text = `has a schema in ${this.#read}, and ${this.#written} takes anything there: it does not name the field and takes unknown ones`;
    return [{ path: at, text }];
  }

  #names(shape: Shape, { root, schema }: Part, at: string, depth: number): Faults {
    const { propertyNames } = schema;
    if (propertyNames === undefined) return proven;
    const wide = { root, schema: propertyNames };
    const said = shape.parts.flatMap((one): Place[] => {
      const inner = one.schema['propertyNames'];
      return inner === undefined ? [] : [{ root: one.root, schema: inner }];
    });
    const text = new SchemaRoot({ type: 'string' });
    const narrow = [...said, { root: text, schema: text.json }];
    const isNamed = otherFieldsOf(shape) === null && patternsOf(shape).length === 0;
    if (!isNamed) return this.covers(narrow, wide, under(at, '*'), depth + 1);
    return [...namesOf(shape)].flatMap((name) => {
      if (fieldOf(shape, name) === null) return [];
      const one = new SchemaRoot({ const: name });
      return this.covers([...narrow, { root: one, schema: one.json }], wide, under(at, name), depth + 1);
    });
  }

  // ---------------------------------------------------------------- combinations

  #combined(shape: Shape, { root, schema }: Part, at: string, depth: number): Faults {
    const inner = (one: unknown): Place => ({ root, schema: one });
    const { $ref, allOf, anyOf, oneOf, not } = schema;
    const faults: InclusionFault[] = [];
    if ($ref !== undefined) faults.push(...this.#reference(shape, root, $ref, at, depth));
    for (const one of listOf(allOf)) faults.push(...this.#inside(shape, inner(one), at, depth));
    if (Array.isArray(anyOf) && !this.#hasSame(shape, root, schema, ['anyOf']))
      faults.push(...this.#oneOfMany(shape, listOf(anyOf).map(inner), at, depth, false));
    if (Array.isArray(oneOf) && !this.#hasSame(shape, root, schema, ['oneOf']))
      faults.push(...this.#oneOfMany(shape, listOf(oneOf).map(inner), at, depth, true));
    if (not !== undefined && !this.#hasSame(shape, root, schema, ['not']) && !this.#isApart([shape], inner(not), 0))
      faults.push({ path: at, text: `may be in ${this.#written} what ${this.#read} excludes by "not"` });
    if (schema['if'] !== undefined && !this.#hasSame(shape, root, schema, ['if', 'then', 'else']))
      faults.push(...this.#conditional(shape, { root, schema }, at, depth));
    return faults;
  }

  #reference(shape: Shape, root: SchemaRoot, ref: unknown, at: string, depth: number): Faults {
    const target = root.resolve(ref);
    if (target === undefined)
      return [{ path: at, text: `refers to ${JSON.stringify(ref)} in ${this.#read}, which cannot be followed` }];
    return this.covers(kindOnly(shape), { root, schema: target }, at, depth);
  }

  #oneOfMany(shape: Shape, choices: readonly Place[], at: string, depth: number, only: boolean): Faults {
    let nearest: Faults | null = null;
    for (const [i, choice] of choices.entries()) {
      const faults = this.#inside(shape, choice, at, depth);
      if (faults.length > 0) {
        if (faults.every(({ path }) => path !== at) && (nearest === null || faults.length < nearest.length))
          nearest = faults;
        continue;
      }
      if (!only || choices.every((other, j) => j === i || this.#isApart([shape], other, 0))) return proven;
      return [{ path: at, text: `may fit several alternatives of ${this.#read}, of which it must fit one only` }];
    }
    return nearest ?? [{ path: at, text: `fits no alternative of ${this.#read} for certain` }];
  }

  #conditional(shape: Shape, { root, schema }: Part, at: string, depth: number): Faults {
    const place = (keyword: string): Place => ({ root, schema: schema[keyword] ?? true });
    const isNever = this.#isApart([shape], place('if'), 0);
    const isAlways = !isNever && this.#inside(shape, place('if'), at, depth).length === 0;
    return [
      ...(isNever ? [] : this.#inside(shape, place('then'), at, depth)),
      ...(isAlways ? [] : this.#inside(shape, place('else'), at, depth)),
    ];
  }

  /** True where no value is one of a shape and of the place. */
  #isApart(shapes: readonly Shape[], place: Place, deep: number): boolean {
    if (deep > apartDepthMax) return false;
    const others = shapesOf([place], false);
    return shapes.every((one) => others.every((other) => one.kind !== other.kind || this.#areApart(one, other, deep)));
  }

  #areApart(one: Shape, other: Shape, deep: number): boolean {
    if (areApartByValue(one, other) || areApartByValue(other, one)) return true;
    switch (one.kind) {
      case 'number':
        return isBeyond(lowerOf(one), upperOf(other)) || isBeyond(lowerOf(other), upperOf(one));
      case 'string': {
        const [a, b] = [textLengths(one), textLengths(other)];
        return a.min > b.max || b.min > a.max;
      }
      case 'array': {
        const [a, b] = [itemCounts(one), itemCounts(other)];
        if (a.min > b.max || b.min > a.max) return true;
        const sure = Math.min(Math.max(a.min, b.min), apartItemsMax);
        return Array.from({ length: sure }).some((_, i) => this.#placesApart(itemOf(one, i), itemOf(other, i), deep));
      }
      case 'object': {
        const sure = new Set([...requiredOf(one), ...requiredOf(other)]);
        return [...sure].some((name) => {
          const [a, b] = [fieldOf(one, name), fieldOf(other, name)];
          return a === null || b === null || this.#placesApart(a, b, deep);
        });
      }
      default:
        return false;
    }
  }

  #placesApart(a: readonly Place[], b: readonly Place[], deep: number): boolean {
    if (deep >= apartDepthMax) return false;
    const others = shapesOf(b, false);
    return shapesOf(a, this.#closed).every((one) =>
      others.every((other) => one.kind !== other.kind || this.#areApart(one, other, deep + 1)),
    );
  }

  // ---------------------------------------------------------------- same text

  /** Whether one of the places says the very same as the schema. */
  #isSaid(places: readonly Place[], root: SchemaRoot, schema: JsonSchema): boolean {
    const text = root.text(schema);
    return text !== null && places.some((one) => isRecord(one.schema) && one.root.text(one.schema) === text);
  }

  /** Whether a part of the shape has the same under these keywords, which mean something together only. */
  #hasSame({ parts }: Shape, root: SchemaRoot, schema: JsonSchema, keywords: readonly string[]): boolean {
    const pick = (one: JsonSchema): JsonSchema =>
      Object.fromEntries(keywords.flatMap((keyword) => (keyword in one ? [[keyword, one[keyword]]] : [])));
    const text = root.text(pick(schema));
    return text !== null && parts.some((one) => one.root.text(pick(one.schema)) === text);
  }

  #keyOf(narrow: readonly Place[], wide: JsonSchema): string {
    const ids = [...narrow.map(({ schema }) => schema), wide].map((schema) => {
      if (!isRecord(schema)) return String(schema);
      const known = this.#ids.get(schema) ?? this.#ids.size;
      this.#ids.set(schema, known);
      return known;
    });
    return ids.join(' ');
  }
}

const apartItemsMax = 8;

/** The parts of a shape, and its kind as one more. */
function kindOnly({ kind, parts }: Shape): readonly Place[] {
  return [...parts, { root: kindRoots[kind], schema: kindRoots[kind].json }];
}

const kindRoots: Readonly<Record<Shape['kind'], SchemaRoot>> = {
  null: new SchemaRoot({ type: 'null' }),
  boolean: new SchemaRoot({ type: 'boolean' }),
  number: new SchemaRoot({ type: 'number' }),
  string: new SchemaRoot({ type: 'string' }),
  array: new SchemaRoot({ type: 'array' }),
  object: new SchemaRoot({ type: 'object' }),
};

/** What holds for the fields that a schema does not name. */
function restOf({ root, schema }: Part): {
  readonly schemas: readonly unknown[];
  readonly patterns: ReadonlySet<string>;
  isRest(name: string): boolean;
} {
  const { additionalProperties, unevaluatedProperties } = schema;
  const own: Evaluated = root.evaluated(
    { ...schema, additionalProperties: undefined, unevaluatedProperties: undefined, ...noBranches },
    false,
  );
  const sure = root.evaluated(schema, false, true);
  const byOwn = additionalProperties !== undefined;
  const said = byOwn ? own : sure;
  const rest = byOwn ? additionalProperties : sure.all ? undefined : unevaluatedProperties;
  return {
    schemas: rest === undefined || rest === true ? [] : [rest],
    patterns: said.patterns,
    isRest: (name) => !said.names.has(name) && ![...said.patterns].some((pattern) => matchesPattern(pattern, name)),
  };
}

const noBranches = { allOf: undefined, anyOf: undefined, oneOf: undefined, $ref: undefined, if: undefined };

/** The values of the one that are known: none of them is one of the other. */
function areApartByValue(one: Shape, other: Shape): boolean {
  const values = valuesOf(one);
  if (values === null) return false;
  return values.every((value) =>
    other.parts.some(({ root, schema }) => root.isPlain(schema) && !fitsSchema(root.json, schema, value)),
  );
}

/** `low` is at or above `least`. */
function isAbove(low: Bound, least: Bound): boolean {
  return low.value > least.value || (low.value === least.value && (low.open || !least.open));
}

function isBelow(high: Bound, most: Bound): boolean {
  return high.value < most.value || (high.value === most.value && (high.open || !most.open));
}

/** All that begins at `low` lies beyond `high`. */
function isBeyond(low: Bound, high: Bound): boolean {
  return low.value > high.value || (low.value === high.value && (low.open || high.open) && Number.isFinite(low.value));
}

/** Whether what the schema allows is surely a multiple. */
function isMultiple(schema: JsonSchema, of: number): boolean {
  const { multipleOf } = schema;
  if (saysWhole(schema) && 1 % of === 0) return true;
  return (
    typeof multipleOf === 'number' && (multipleOf === of || (Number.isInteger(of) && Number.isInteger(multipleOf / of)))
  );
}

function under(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}
