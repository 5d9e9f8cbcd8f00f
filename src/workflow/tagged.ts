/**
 * Tags on schemas: what a field holds (`pii`, `health`), so that servers show it only to those who are cleared for it. A tag is
 * an annotation of the JSON Schema that goes into the manifest (`x-eventspine-tags`); values are stored as they are.
 */
import { isTag, tagsKeyword } from '../core/redaction/tags.js';
import type { JsonSchema } from '../core/manifest.js';
import { isRecord } from '../core/schema/schema-text.js';
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import { OptionFaults } from './options.js';

/** A schema of a library whose schemas carry annotations of their own (zod 4), so that it can be tagged inside of others. */
export interface AnnotatedSchema extends StandardSchema {
  meta(annotations?: Record<string, unknown>): unknown;
}

/** Tags of fields by their paths: `{ 'customer.email': 'pii', 'lines.*.note': ['pii', 'health'] }`; `*` = each item or field. */
export type TagsByPath = Readonly<Record<string, string | readonly string[]>>;

/**
 * A schema of a library like zod with tags, to be used wherever the schema itself is: `z.object({ email: tagged(z.email(), 'pii') })`.
 * Fails with OPTIONS_INVALID where a tag is not a word of lower-case letters, digits, ".", "-" and "_".
 */
export function tagged<S extends AnnotatedSchema>(schema: S, tag: string, ...more: readonly string[]): S;
/**
 * Any schema with tags: of all of its value, or of fields by their paths. For the outermost schema of an input, of a topic, a
 * signal or a capability; what it is not part of does not see the tags. Fails with OPTIONS_INVALID.
 */
export function tagged<S extends StandardSchema>(
  schema: S,
  tags: string | TagsByPath,
  ...more: readonly string[]
): StandardSchema<InferInput<S>, InferOutput<S>>;
export function tagged(schema: StandardSchema, tags: string | TagsByPath, ...more: readonly string[]): unknown {
  const faults = new OptionFaults('tagged');
  const byPath = typeof tags === 'string' ? { '': [tags, ...more] } : tags;
  const all = Object.entries(byPath).map(
    ([path, given]) => [path, typeof given === 'string' ? [given] : given] as const,
  );
  for (const [path, list] of all) {
    const where = path === '' ? 'the value' : path;
    if (!Array.isArray(list) || list.length === 0 || !list.every(isTag))
      faults.add(`a tag of ${where} is not 1 to 64 lower-case letters, digits, ".", "-" and "_", such as "pii"`);
  }
  faults.schema('schema', schema);
  faults.throwIfAny();
  const [first] = all;
  if (typeof tags === 'string' && first !== undefined && isAnnotated(schema)) return annotated(schema, first[1]);
  return wrapped(schema, all);
}

function isAnnotated(schema: StandardSchema): schema is AnnotatedSchema {
  return typeof (schema as Partial<AnnotatedSchema>).meta === 'function';
}

function annotated(schema: AnnotatedSchema, tags: readonly string[]): unknown {
  const annotations: unknown = schema.meta();
  const known = isRecord(annotations) ? annotations : {};
  const before = known[tagsKeyword];
  return schema.meta({ ...known, [tagsKeyword]: [...new Set([...(isTags(before) ? before : []), ...tags])] });
}

function isTags(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isTag);
}

/** The same schema whose description has the tags. What cannot describe itself, or has no such field, is tagged as a whole. */
function wrapped(
  schema: StandardSchema,
  tags: readonly (readonly [path: string, tags: readonly string[]])[],
): StandardSchema {
  const standard = schema['~standard'];
  const describe = (side: 'input' | 'output') => (options: { readonly target: string }) => {
    const found = standard.jsonSchema?.[side];
    const described = found === undefined ? {} : structuredClone(found(options));
    for (const [path, list] of tags) for (const place of placesOf(described, path)) addTags(place, list);
    return described;
  };
  return {
    '~standard': { ...standard, jsonSchema: { input: describe('input'), output: describe('output') } },
  };
}

function addTags(place: Record<string, unknown>, tags: readonly string[]): void {
  const before = place[tagsKeyword];
  place[tagsKeyword] = [...new Set([...(isTags(before) ? before : []), ...tags])];
}

/** The places of a schema that a path means; the whole of it where it means none that is named. */
function placesOf(root: Record<string, unknown>, path: string): readonly Record<string, unknown>[] {
  let places: readonly Record<string, unknown>[] = [root];
  for (const name of path === '' ? [] : path.split('.')) places = places.flatMap((place) => innerOf(place, name));
  return places.length === 0 ? [root] : places;
}

function innerOf(place: Record<string, unknown>, name: string): Record<string, unknown>[] {
  const found: Record<string, unknown>[] = [];
  const add = (schema: unknown): void => {
    if (isMutable(schema)) found.push(schema);
  };
  const { properties, items, additionalProperties, prefixItems } = place;
  if (name === '*') {
    add(items);
    add(additionalProperties);
    for (const one of Array.isArray(prefixItems) ? (prefixItems as readonly unknown[]) : []) add(one);
  }
  if (isRecord(properties)) {
    if (name === '*') Object.values(properties).forEach(add);
    else if (Object.hasOwn(properties, name)) add(properties[name]);
  }
  for (const keyword of ['anyOf', 'oneOf', 'allOf'])
    for (const one of Array.isArray(place[keyword]) ? (place[keyword] as readonly unknown[]) : [])
      if (isMutable(one)) found.push(...innerOf(one, name));
  return found;
}

function isMutable(value: unknown): value is Record<string, unknown> {
  return isRecord(value as JsonSchema);
}
