/** Names of streams and consumers, and headers, as NATS allows them. Pure. */
import { decodeHeaderValue, encodeHeaderValue } from '../../protocol/cloudevents.js';

/** The stream of a topic, or the consumer of a group: what NATS does not allow in a name is spelled by its code. */
export function safeName(name: string): string {
  return name.replace(/[^A-Za-z0-9-]/gu, (character) => `_${character.codePointAt(0)?.toString(16) ?? ''}_`);
}

/** Header in which the key of a message travels. */
const keyHeader = 'eventspine-key';
/** Header of the id, where the event has none in its attributes. */
const idHeader = 'eventspine-id';
/** Attributes of CloudEvents: `ce-` in the NATS binding, `ce_` in the messages of the port. */
const ours = /^ce_/;
const theirs = /^ce-/;

/** Headers as they travel, percent-encoded as the binding says. */
export function headersOf(message: {
  readonly id: string;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
}): [string, string][] {
  const headers: [string, string][] = Object.entries(message.headers).map(([name, value]) => [
    name.replace(ours, 'ce-'),
    encodeHeaderValue(value),
  ]);
  headers.push([idHeader, encodeHeaderValue(message.id)]);
  if (message.key !== null) headers.push([keyHeader, encodeHeaderValue(message.key)]);
  return headers;
}

/** What the headers of a message say. `pairs`: names as they came, each with its first value. */
export function readHeaders(pairs: readonly (readonly [string, string])[]): {
  readonly id: string | null;
  readonly key: string | null;
  readonly headers: Record<string, string>;
} {
  const headers: Record<string, string> = {};
  for (const [name, raw] of pairs) headers[name.toLowerCase().replace(theirs, 'ce_')] = decodeHeaderValue(raw) ?? raw;
  const { [keyHeader]: key = null, [idHeader]: id = null, 'nats-msg-id': told = null, ...others } = headers;
  return { id: id ?? others['ce_id'] ?? told, key: key ?? others['ce_partitionkey'] ?? null, headers: others };
}

/** By which the server knows a repeat: ids of events are only unique for their source. */
export function messageIdOf(message: {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
}): string {
  const source = message.headers['ce_source'];
  return encodeHeaderValue(source === undefined ? message.id : `${source} ${message.id}`);
}
