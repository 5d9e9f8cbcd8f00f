/**
 * JSON Schema out of a Standard Schema, for servers, which cannot run the user's validator.
 */
import type { JsonSchema } from '../core/manifest.js';
import { tagsKeyword, tagsOf, tagsWithin } from '../core/redaction/tags.js';
import type { StandardSchema } from '../core/standard-schema.js';

/** Which side of a schema that transforms: what is given to it, or what comes out. */
export type SchemaSide = 'input' | 'output';

/** The dialect that servers check with. */
const target = 'draft-2020-12';

/**
 * The JSON Schema of one side; null where the library cannot describe itself, or this schema cannot be described (a
 * `Date`, a custom check). Then only the worker checks. Tags are never lost on the way: one that is found only where places
 * that cannot be described are left open, or on the other side of what transforms, is a tag of the whole.
 */
export function jsonSchemaOf(schema: StandardSchema | null, side: SchemaSide): JsonSchema | null {
  if (schema === null) return null;
  const found = described(schema, side, {}) ?? taggedOnly(described(schema, side, leavingOpen));
  const other = side === 'input' ? 'output' : 'input';
  const tags = tagsWithin(found);
  const lost = [...tagsWithin(described(schema, other, leavingOpen))].filter((tag) => !tags.has(tag));
  return lost.length === 0 ? found : { ...found, [tagsKeyword]: [...tagsOf(found ?? {}), ...lost] };
}

/** For zod: what has no JSON Schema is described as anything. */
const leavingOpen = { libraryOptions: { unrepresentable: 'any' } };

function described(schema: StandardSchema, side: SchemaSide, options: object): JsonSchema | null {
  const describe = schema['~standard'].jsonSchema?.[side];
  if (describe === undefined) return null;
  try {
    // Through text, so that the manifest is plain data whatever the library hands out.
    const plain: unknown = JSON.parse(JSON.stringify(describe({ target, ...options })));
    return typeof plain === 'object' && plain !== null ? (plain as JsonSchema) : null;
  } catch {
    return null;
  }
}

function taggedOnly(schema: JsonSchema | null): JsonSchema | null {
  return tagsWithin(schema).size === 0 ? null : schema;
}
