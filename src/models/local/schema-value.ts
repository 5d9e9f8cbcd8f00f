/**
 * Fills a JSON Schema from a text, so that programs which ask for structured answers run without a provider. Strings are
 * sentences or words of the text, numbers are numbers of it. The form is right; the content is a best guess.
 *
 * Invariant: ends, whatever the schema: depth and lengths have bounds.
 */
import { isRecord } from '../openai/transport.js';

const depthMax = 8;
const itemsMax = 3;

/** Where values come from. */
export interface Quotable {
  readonly sentences: readonly string[];
  readonly numbers: readonly number[];
  readonly text: string;
}

/** A value of the schema. What is not understood of a schema is left out of account. */
export function valueOf(schema: unknown, from: Quotable, root: unknown = schema, depth = 0): unknown {
  if (!isRecord(schema) || depth > depthMax) return null;
  if ('const' in schema) return schema['const'];
  if (Array.isArray(schema['enum'])) return chosen(schema['enum'], from.text);
  if (typeof schema['$ref'] === 'string') return valueOf(resolved(schema['$ref'], root), from, root, depth + 1);
  const any = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(any)) return valueOf(any[0], from, root, depth + 1);
  const type: unknown = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  switch (type) {
    case 'string':
      return fitted(from.sentences[0] ?? '', schema);
    case 'number':
    case 'integer':
      return bounded(from.numbers[0] ?? 0, schema, type === 'integer');
    case 'boolean':
      return !/\b(no|not|never|none)\b/i.test(from.text);
    case 'array':
      return list(schema, from, root, depth);
    case 'object':
    case undefined:
      return fields(schema, from, root, depth);
    default:
      return null;
  }
}

function fields(schema: Readonly<Record<string, unknown>>, from: Quotable, root: unknown, depth: number): object {
  const properties = isRecord(schema['properties']) ? schema['properties'] : {};
  let rest = from;
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => {
      const value = valueOf(property, rest, root, depth + 1);
      // Each next field gets something else to say, as long as there is something.
      const isText = isRecord(property) && property['type'] === 'string' && rest.sentences.length > 1;
      const isNumber = typeof value === 'number' && rest.numbers.length > 1;
      if (isText) rest = { ...rest, sentences: rest.sentences.slice(1) };
      if (isNumber) rest = { ...rest, numbers: rest.numbers.slice(1) };
      return [name, value];
    }),
  );
}

function list(schema: Readonly<Record<string, unknown>>, from: Quotable, root: unknown, depth: number): unknown[] {
  const least = typeof schema['minItems'] === 'number' ? schema['minItems'] : 0;
  const most = typeof schema['maxItems'] === 'number' ? schema['maxItems'] : itemsMax;
  const count = Math.min(most, Math.max(least, Math.min(itemsMax, from.sentences.length)));
  return Array.from({ length: Math.min(count, 64) }, (_, i) => {
    const at = from.sentences.length === 0 ? [] : [from.sentences[i % from.sentences.length] ?? ''];
    return valueOf(schema['items'], { ...from, sentences: at, numbers: from.numbers.slice(i) }, root, depth + 1);
  });
}

function chosen(options: readonly unknown[], text: string): unknown {
  const lower = text.toLowerCase();
  return options.find((option) => lower.includes(String(option).toLowerCase())) ?? options[0] ?? null;
}

function fitted(text: string, schema: Readonly<Record<string, unknown>>): string {
  const most = typeof schema['maxLength'] === 'number' ? schema['maxLength'] : 2_000;
  const least = typeof schema['minLength'] === 'number' ? schema['minLength'] : 0;
  return text.slice(0, most).padEnd(Math.min(least, 2_000), '.');
}

function bounded(value: number, schema: Readonly<Record<string, unknown>>, whole: boolean): number {
  const limit = (name: string, fallback: number): number =>
    typeof schema[name] === 'number' ? schema[name] : fallback;
  const inside = Math.min(limit('maximum', Infinity), Math.max(limit('minimum', -Infinity), value));
  return whole ? Math.trunc(inside) : inside;
}

function resolved(ref: string, root: unknown): unknown {
  if (!ref.startsWith('#/')) return ref === '#' ? root : null;
  return ref
    .slice(2)
    .split('/')
    .reduce((at: unknown, name) => (isRecord(at) ? at[name.replaceAll('~1', '/').replaceAll('~0', '~')] : null), root);
}
