/**
 * Requests made of the API's own OpenAPI document: valid ones, and ones that are wrong in one of many ways. What the
 * document does not say cannot be made here, so a route that is added is attacked from its first day.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';

/** A request as it goes over the wire. */
export interface WireRequest {
  readonly operation: string;
  readonly method: string;
  /** Path and query, percent-encoded or worse. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

type Json = Readonly<Record<string, unknown>>;

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: 'path' | 'query' | 'header';
    readonly schema: Json;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Json }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Json }>> }>
  >;
}

/** The part of an OpenAPI document that requests are made of. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>> };
}

/** Any request to any operation. `names` are names and ids that exist, so that some requests get somewhere. */
export function requestOf(document: OpenApi, names: readonly string[]): fc.Arbitrary<WireRequest> {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => operationRequest(document, names, path, method, operation)),
  );
  return fc.oneof(...operations);
}

function operationRequest(
  document: OpenApi,
  names: readonly string[],
  path: string,
  method: string,
  operation: Operation,
): fc.Arbitrary<WireRequest> {
  const known = fc.constantFrom(...names);
  const segment = fc.oneof({ weight: 4, arbitrary: known.map(encodeURIComponent) }, oddSegment);
  const given = operation.parameters.filter((parameter) => parameter.in !== 'path');
  const values = fc.tuple(
    ...given.map(({ schema }) => fc.option(textOf(schema, known), { nil: null, freq: 2 })),
    fc.constant(null),
  );
  const segments = fc.array(segment, { minLength: 3, maxLength: 3 });
  return fc
    .record({ segments, values, odd: oddHeaders, extra: oddQuery, body: bodyOf(document, operation) })
    .map((made) => {
      let place = 0;
      const filled = path.replace(/\{\w+\}/g, () => made.segments[place++] ?? 'x');
      const query: string[] = made.extra === null ? [] : [made.extra];
      const headers: Record<string, string> = { ...made.odd };
      given.forEach(({ name, in: where }, i) => {
        const value = made.values[i];
        if (typeof value !== 'string') return;
        if (where === 'query') query.push(`${new URLSearchParams([[name, value]])}`);
        else headers[name] = value.replace(/[^\x20-\x7e]/g, '~').slice(0, 500);
      });
      const { bytes = null, type = null } = made.body ?? {};
      if (type !== null && headers['content-type'] === undefined) headers['content-type'] = type;
      return {
        operation: operation.operationId,
        method: method.toUpperCase(),
        target: rightHash(filled, bytes) + (query.length === 0 ? '' : `?${query.join('&')}`),
        headers,
        body: bytes,
      };
    });
}

/** Now and then the hash in the path is that of the body, or no blob would ever be stored. */
function rightHash(path: string, body: Uint8Array | null): string {
  if (!path.startsWith('/v1/blobs/') || body === null || body.length % 2 === 0) return path;
  return `/v1/blobs/default/${createHash('sha256').update(body).digest('hex')}`;
}

const odd = [
  '',
  '\0',
  'a\0b',
  '\ud800',
  '__proto__',
  'constructor',
  '../..',
  '%',
  '💥',
  'NaN',
  '-1',
  '1e309',
  '00',
  ' ',
];
const oddText = fc.oneof(
  fc.constantFrom(...odd),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(129, 257, 513, 5_000).map((length) => 'x'.repeat(length)),
);
const oddSegment = fc.oneof(
  fc.constantFrom('%', '%00', '%zz', '%E0%A4%A', '%ff%fe', '%ED%A0%80', '%2e%2e', '%2F', '..', ';', '+', '__proto__'),
  fc.string({ maxLength: 30 }).map((text) => encodeURIComponent(text)),
  fc.constantFrom(200, 3_000).map((length) => 'x'.repeat(length)),
);
const oddQuery = fc.option(
  fc.constantFrom(
    'cursor=tampered',
    'cursor=zzzzzzzz-zzzzzzz',
    'limit=0',
    'limit=1e3',
    'label=:',
    '&&&=',
    '%=%',
    'a=%ff',
    'limit=1&limit=2',
  ),
  { nil: null, freq: 2 },
);
const oddHeaders: fc.Arbitrary<Readonly<Record<string, string>>> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  fc.constantFrom<Readonly<Record<string, string>>>(
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/json; charset=utf-16' },
    { 'content-type': ';;;' },
    { 'content-encoding': 'gzip' },
    { 'ce-id': '1', 'ce-specversion': '1.0', 'ce-source': '%', 'ce-type': 't' },
    { 'ce-id': '%00', 'ce-specversion': '1.0', 'ce-source': 's', 'ce-type': 't', 'ce-partitionkey': '' },
    { 'ce-specversion': '9' },
    { 'ce-id': 'i', 'ce-specversion': '1.0', 'ce-source': 's', 'ce-type': 't', 'ce-big': 'x'.repeat(9_000) },
    { prefer: 'wait=1' },
    { prefer: 'wait=99999999999, wait=-1' },
    { 'idempotency-key': '"\\' },
    { 'last-event-id': 'x' },
    { traceparent: '00-0-0-00' },
    { accept: 'text/html' },
    { range: 'bytes=0-1' },
    { 'if-none-match': '*' },
    { expect: '100-continue' },
  ),
);

function textOf(schema: Json, known: fc.Arbitrary<string>): fc.Arbitrary<string> {
  if (Array.isArray(schema['enum'])) return fc.oneof(fc.constantFrom(...(schema['enum'] as string[])), oddText);
  if (schema['type'] === 'array') return textOf(schema['items'] as Json, known);
  if (schema['type'] === 'integer') return fc.oneof(fc.integer({ min: 0, max: 500 }).map(String), oddText);
  return fc.oneof(
    known,
    known.map((name) => `${name}:1`),
    fc.constant('2026-01-01T00:00:00Z'),
    oddText,
  );
}

// ---------------------------------------------------------------- bodies

interface Body {
  readonly bytes: Uint8Array;
  readonly type: string;
}

function bodyOf(document: OpenApi, { requestBody }: Operation): fc.Arbitrary<Body | null> {
  if (requestBody === undefined) return fc.constant(null);
  const kinds = Object.entries(requestBody.content).map(([type, { schema }]) => {
    if (type === '*/*') return fc.oneof(bytes, text);
    if (type === 'application/octet-stream') return bytes;
    const named = type;
    return valueOf(document, schema, 0)
      .chain((value) => mutated(value))
      .map((bytes) => ({ bytes, type: named }));
  });
  return fc.oneof(...kinds);
}

const bytes: fc.Arbitrary<Body> = fc
  .uint8Array({ maxLength: 64 })
  .map((made) => ({ bytes: made, type: 'application/octet-stream' }));

const anything = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(...odd), fc.double());
const depthMax = 6;

/** Values of a JSON Schema, as far as our own document uses it. */
function valueOf(document: OpenApi, schema: Json, depth: number): fc.Arbitrary<unknown> {
  if (depth > depthMax) return fc.constant(null);
  const of = (inner: unknown): fc.Arbitrary<unknown> => valueOf(document, inner as Json, depth + 1);
  const { $ref: reference, anyOf, enum: choices, type, properties, items, additionalProperties } = schema;
  if (typeof reference === 'string') return of(document.components.schemas[reference.replace(/^.*\//, '')] ?? {});
  if (Array.isArray(anyOf)) return fc.oneof(...anyOf.map(of));
  if (Array.isArray(choices)) return fc.constantFrom(...(choices as unknown[]));
  switch (type) {
    case 'object': {
      const fields = Object.entries((properties ?? {}) as Json).map(([name, inner]) => [name, of(inner)] as const);
      if (fields.length === 0)
        return fc.dictionary(fc.string({ maxLength: 8 }), of(additionalProperties ?? {}), { maxKeys: 4 });
      return fc.record(Object.fromEntries(fields), {
        requiredKeys: (schema['required'] as string[] | undefined) ?? [],
      });
    }
    case 'array':
      return fc.array(of(items ?? {}), { maxLength: 4 });
    case 'string':
      return fc.oneof(fc.constantFrom('1.0', 'a', 'noted', '/x', 'run_1', '2026-01-01T00:00:00Z'), oddText);
    case 'integer':
      return fc.oneof(fc.integer({ min: 0, max: 9 }), fc.maxSafeInteger());
    case 'boolean':
      return fc.boolean();
    default:
      return anything;
  }
}

type Mutation = (text: string, at: number, other: unknown) => Uint8Array;

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const into = (text: string, at: number, what: string): string =>
  text.slice(0, at % (text.length + 1)) + what + text.slice(at % (text.length + 1));

const mutations: readonly Mutation[] = [
  // A value of another type in the place of a value; a member more; a member less.
  (text, at, other) => encode(replaced(text, at, JSON.stringify(other) ?? 'null')),
  (text) => encode(text.replace('{', '{"extra":1,')),
  (text) => encode(text.replace(/"[^"]*":("[^"]*"|\d+|null|true|false),?/, '')),
  (text) => encode(text.replace('{', '{"__proto__":{"polluted":true},')),
  (text) => encode(text.replace(/\{("[^"]*"):/, '{$1:1,$1:')),
  (text, at) => encode(into(text, at, '\\u0000')),
  (text, at) => encode(replaced(text, at, '"\\ud800"')),
  (text, at) => encode(replaced(text, at, '"a\\u0000b"')),
  (text, at) => encode(into(text, at, '\u0000')),
  (text, at) => encode(text.slice(0, at % (text.length + 1))),
  (text, at) =>
    Buffer.concat([encode(text.slice(0, at % (text.length + 1))), Buffer.from([0xff, 0xc0, 0x80]), encode(text)]),
  (text, at) => encode(replaced(text, at, `${'['.repeat(100)}${']'.repeat(100)}`)),
  () => encode('['.repeat(500_000)),
  (text, at) => encode(replaced(text, at, `{${Array.from({ length: 30_000 }, (_, i) => `"k${i}":0`).join()}}`)),
  (text, at) => encode(replaced(text, at, `"${'é'.repeat(700_000)}"`)),
  () => encode(`"${'x'.repeat(5 * 1024 * 1024)}"`),
  (text, at) => encode(replaced(text, at, '1e999')),
  (text) => encode(`\ufeff${text}`),
  () => encode(''),
];

/** Puts `what` in the place of one scalar of a JSON text. */
function replaced(text: string, at: number, what: string): string {
  const scalars = [...text.matchAll(/(?<=[:[,])("[^"]*"|-?\d[\d.e+-]*|null|true|false)/g)];
  const found = scalars[at % Math.max(1, scalars.length)];
  return found === undefined ? what : text.slice(0, found.index) + what + text.slice(found.index + found[0].length);
}

/** What a route that takes every type may be sent: JSON, forms, and texts that only say that they are. */
const text: fc.Arbitrary<Body> = fc
  .record({
    content: fc.oneof(
      fc.jsonValue({ maxDepth: 3 }).chain(mutated),
      fc.webQueryParameters().map(encode),
      fc.jsonValue().map((value) => encode(`payload=${encodeURIComponent(JSON.stringify(value))}`)),
    ),
    type: fc.constantFrom('application/json', 'application/x-www-form-urlencoded', 'text/plain', 'application/a+json'),
  })
  .map(({ content, type }) => ({ bytes: content, type }));

function mutated(value: unknown): fc.Arbitrary<Uint8Array> {
  const text = JSON.stringify(value) ?? 'null';
  const as = fc.record({ mutation: fc.constantFrom(...mutations), at: fc.nat(10_000), other: anything });
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant(encode(text)) },
    as.map(({ mutation, at, other }) => mutation(text, at, other)),
  );
}
