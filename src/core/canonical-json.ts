/**
 * One text for one JSON value: keys sorted by UTF-16 code units, no white space, numbers as ECMAScript writes them
 * (the rules of RFC 8785, JSON Canonicalization Scheme). For hashing definitions, not for payloads.
 */

/** Canonical text of plain JSON. Properties that are `undefined` are left out, as JSON does. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (isRecord(inner) ? sorted(inner) : inner));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sorted(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  // Integer-like keys come first whatever is done here; they are in ascending order in every engine alike.
  for (const key of Object.keys(record).sort()) copy[key] = record[key];
  return copy;
}
