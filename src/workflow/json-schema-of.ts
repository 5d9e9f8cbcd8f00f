/**
 * JSON Schema out of a Standard Schema, for servers, which cannot run the user's validator.
 */
import type { JsonSchema } from '../core/manifest.js';
import type { StandardSchema } from '../core/standard-schema.js';

/** Which side of a schema that transforms: what is given to it, or what comes out. */
export type SchemaSide = 'input' | 'output';

/** The dialect that servers check with. */
const target = 'draft-2020-12';

/**
 * The JSON Schema of one side; null where the library cannot describe itself, or this schema cannot be described (a
 * `Date`, a custom check). Then only the worker checks.
 */
export function jsonSchemaOf(schema: StandardSchema | null, side: SchemaSide): JsonSchema | null {
  const describe = schema?.['~standard'].jsonSchema?.[side];
  if (describe === undefined) return null;
  try {
    // Through text, so that the manifest is plain data whatever the library hands out.
    const plain: unknown = JSON.parse(JSON.stringify(describe({ target })));
    return typeof plain === 'object' && plain !== null ? (plain as JsonSchema) : null;
  } catch {
    return null;
  }
}
