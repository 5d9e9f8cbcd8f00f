/**
 * A Standard Schema out of a JSON Schema: for schemas that come as one (TypeBox, generated code, files of other languages) and
 * for whoever wants no validator at all.
 */
import type { JsonSchema } from '../core/manifest.js';
import { jsonSchemaFaults } from '../core/schema/json-schema-faults.js';
import type { StandardSchema } from '../core/standard-schema.js';

/**
 * Makes the schema; `T` is what its values are in TypeScript. Checked are the keywords of 2020-12 but `unevaluated...` and dynamic
 * references; servers check those too.
 */
export function fromJsonSchema<T = unknown>(schema: Readonly<Record<string, unknown>>): StandardSchema<T> {
  const plain = (): JsonSchema => schema;
  return {
    '~standard': {
      version: 1,
      vendor: 'eventspine',
      validate: (value) => {
        const faults = jsonSchemaFaults(schema, value, 'the value');
        return faults.length === 0 ? { value: value as T } : { issues: faults.map((message) => ({ message })) };
      },
      jsonSchema: { input: plain, output: plain },
    },
  };
}
