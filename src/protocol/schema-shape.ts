/**
 * Building blocks of the JSON Schemas (2020-12) that are published. `shape` ties a schema to its TypeScript type: a property
 * that is added to a type and forgotten in its schema does not compile.
 */
import type { JsonSchema } from '../core/manifest.js';

type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T] & string;
/** A schema for each property of `T`. */
export type Properties<T> = { readonly [K in keyof T & string]-?: JsonSchema };

/** An object schema with exactly the properties of `T`; `optional` must name exactly those that may be absent. */
export function shape<T>(properties: Properties<T>, optional: Readonly<Record<OptionalKeys<T>, true>>): JsonSchema {
  const required = Object.keys(properties).filter((name) => !Object.hasOwn(optional, name));
  return { type: 'object', properties, required };
}

export const text = { type: 'string' };
export const whole = { type: 'integer' };
export const flag = { type: 'boolean' };
export const texts = list(text);

/** A list of such items. */
export function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items };
}

/** Such a value, or null. */
export function nullable(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: 'null' }] };
}

/** One of these texts. */
export function oneOf(values: readonly string[]): JsonSchema {
  return { type: 'string', enum: values };
}

/** An object whose type has no name of its own. */
export function record(properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): JsonSchema {
  return { type: 'object', properties, required };
}
