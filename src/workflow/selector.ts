/**
 * Selectors: paths into the data of an event or input, such as `document.id`. They are data, not functions, because
 * servers evaluate them and load no user code; so they are checked here, by type and against the JSON Schema.
 */
import type { JsonSchema } from '../core/manifest.js';
import { suggestion } from './options.js';

type Scalar = string | number | boolean | bigint;
/** Levels that a selector may go down; deeper ones would cost compile time. */
type Levels = [never, 0, 1, 2, 3, 4];

/** Paths of the text, number and boolean fields of `T`. Any text where nothing is known about `T`. */
export type SelectorOf<T> = unknown extends T ? string : PathsOf<T, 5>;

type PathsOf<T, Level extends number> = [Level] extends [never]
  ? never
  : T extends object
    ? { [K in keyof T & string]: FieldPaths<K, NonNullable<T[K]>, Level> }[keyof T & string]
    : never;

type FieldPaths<K extends string, Field, Level extends number> = Field extends Scalar
  ? K
  : Field extends readonly unknown[] | Date
    ? never
    : Field extends object
      ? `${K}.${PathsOf<Field, Levels[Level]>}`
      : never;

/** Why the selector cannot be used on data of this schema; null = nothing is wrong with it, as far as the schema tells. */
export function selectorFault(selector: string, schema: JsonSchema | null): string | null {
  const names = selector.split('.');
  if (names.some((name) => name === '')) return `"${selector}" is not a path such as "document.id"`;
  let at: unknown = schema;
  for (const name of names) {
    if (!isRecord(at) || !isRecord(at['properties'])) return null;
    const properties = at['properties'];
    if (!Object.hasOwn(properties, name)) {
      // An open object may have the field all the same.
      if (at['additionalProperties'] !== false && Object.keys(properties).length === 0) return null;
      return `"${selector}" names no field of the schema${suggestion(name, Object.keys(properties))}`;
    }
    at = properties[name];
  }
  return isRecord(at) && (at['type'] === 'object' || at['type'] === 'array')
    ? `"${selector}" is an ${at['type']}; select a text or a number`
    : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
