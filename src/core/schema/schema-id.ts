/**
 * What the schema of an event is called: `order.placed/2@9f86d081884c7d65` in the envelope (topic, version, the first 16
 * digits of the sha-256 of its canonical JSON), and the same as a URI in the attribute `dataschema` of a CloudEvent.
 */
import { canonicalJson } from '../canonical-json.js';
import type { JsonSchema } from '../manifest.js';
import type { Hash } from '../ports.js';

/** A schema as an id names it; null = the id does not say. */
export interface SchemaName {
  readonly topic: string;
  readonly version: number | null;
  readonly hash: string | null;
}

/** `version` null = the topic has none. A schema that is not known as JSON has no hash. */
export function schemaId(topic: string, version: number | null, schema: JsonSchema | null, hash: Hash): string {
  const name = version === null ? topic : `${topic}/${version}`;
  return schema === null ? name : `${name}@${hash.sha256(canonicalJson(schema)).slice(0, 16)}`;
}

/** The id of a schema of `topic` taken apart; null where it is none. */
export function readSchemaId(topic: string, id: string): SchemaName | null {
  if (!id.startsWith(topic)) return null;
  const match = /^(?:\/([1-9]\d{0,8}))?(?:@([0-9a-f]{16}))?$/.exec(id.slice(topic.length));
  if (match === null) return null;
  return { topic, version: match[1] === undefined ? null : Number(match[1]), hash: match[2] ?? null };
}

/** What readers are told of an event of a topic: under which schema it was written, where that is one of several. */
export function writtenUnder(topic: string, id: string | null): { readonly schema?: string } {
  if (id === null || (readSchemaId(topic, id)?.version ?? null) === null) return {};
  return { schema: id };
}

const uriPrefix = 'urn:eventspine:schema:';

/** The id as `dataschema`. */
export function schemaUri(id: string): string {
  return uriPrefix + encodeURIComponent(id).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);
}

/** The id that a `dataschema` stands for; null where it is of somebody else. */
export function schemaIdOfUri(uri: string | undefined): string | null {
  if (uri?.startsWith(uriPrefix) !== true) return null;
  try {
    return decodeURIComponent(uri.slice(uriPrefix.length));
  } catch {
    return null;
  }
}
