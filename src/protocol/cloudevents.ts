/**
 * CloudEvents 1.0 over HTTP (spec 1.0.2, JSON event format and HTTP protocol binding): structured, binary and batch
 * mode, both ways. Strict: what is not allowed by the specification is refused with every fault named. Attribute
 * values travel percent-encoded in headers exactly as section 3.1.3.2 of the binding says.
 */
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { fromBase64, toBase64 } from '../core/base64.js';
import { decodeUtf8, encodeUtf8, parseJson } from './json-body.js';

/** An event. Extension attributes are in `extensions`, under their lower-case names. */
export interface CloudEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  /** RFC 3339. */
  readonly time?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  readonly extensions: Readonly<Record<string, string | number | boolean>>;
  /** null = the event has no data. */
  readonly data: CloudEventData | null;
}

export type CloudEventData =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

/** An HTTP message as the codec sees it: header names in lower case, values as on the wire. */
export interface HttpMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export type CloudEventMode = 'structured' | 'binary' | 'batch';

/** An event of a batch, or why it is none. */
export type DecodedEvent =
  | { readonly ok: true; readonly event: CloudEvent }
  | { readonly ok: false; readonly error: SpineError };

export const structuredType = 'application/cloudevents+json';
export const batchType = 'application/cloudevents-batch+json';

const headerPrefix = 'ce-';
/** Longest value of one attribute, in UTF-16 units; all attributes have to fit into one event envelope. */
const attributeLengthMax = 2_048;
const attributesLengthMax = limits.envelopeBytesMax / 2;

/** How a message carries events; null = it carries none. */
export function cloudEventMode(headers: Readonly<Record<string, string>>): CloudEventMode | null {
  const type = mediaType(headers['content-type']);
  if (type.startsWith('application/cloudevents-batch')) return 'batch';
  if (type.startsWith('application/cloudevents')) return 'structured';
  return `${headerPrefix}specversion` in headers || `${headerPrefix}id` in headers ? 'binary' : null;
}

/**
 * Decodes the event of a message in structured or binary mode.
 *
 * @throws CLOUDEVENT_INVALID, BODY_NOT_JSON, VALUE_UNSTORABLE, CONTENT_TYPE_UNSUPPORTED
 */
export function decodeHttpEvent(message: HttpMessage): CloudEvent {
  return cloudEventMode(message.headers) === 'structured' ? decodeStructured(message) : decodeBinary(message);
}

/**
 * Decodes a message in batch mode; each event is judged by itself.
 *
 * @throws BODY_NOT_JSON, VALUE_UNSTORABLE, CONTENT_TYPE_UNSUPPORTED; REQUEST_INVALID where it is not a list within bounds
 */
export function decodeHttpBatch(message: HttpMessage): DecodedEvent[] {
  requireType(message.headers['content-type'], batchType);
  const value = parseJson(message.body);
  if (!Array.isArray(value)) throw new SpineError('REQUEST_INVALID', { faults: ['a batch is a JSON array of events'] });
  if (value.length > limits.batchItemsMax) {
    throw new SpineError('REQUEST_INVALID', { faults: [`a batch has at most ${limits.batchItemsMax} events`] });
  }
  return value.map((item: unknown): DecodedEvent => {
    const read = readJsonEvent(item);
    return Array.isArray(read) ? { ok: false, error: invalid(read) } : { ok: true, event: read as CloudEvent };
  });
}

/** Encodes an event in structured mode. @throws CLOUDEVENT_INVALID */
export function encodeHttpStructured(event: CloudEvent): HttpMessage {
  checkAttributes(event);
  return {
    headers: { 'content-type': `${structuredType}; charset=utf-8` },
    body: encodeUtf8(JSON.stringify(jsonEventOf(event))),
  };
}

/** Encodes events in batch mode. @throws CLOUDEVENT_INVALID */
export function encodeHttpBatch(events: readonly CloudEvent[]): HttpMessage {
  for (const event of events) checkAttributes(event);
  return {
    headers: { 'content-type': `${batchType}; charset=utf-8` },
    body: encodeUtf8(JSON.stringify(events.map(jsonEventOf))),
  };
}

/** Encodes an event in binary mode. @throws CLOUDEVENT_INVALID */
export function encodeHttpBinary(event: CloudEvent): HttpMessage {
  checkAttributes(event);
  const headers: Record<string, string> = {};
  for (const [name, value] of attributesOf(event)) {
    if (name === 'datacontenttype') headers['content-type'] = String(value);
    else headers[headerPrefix + name] = encodeHeaderValue(String(value));
  }
  if (event.data !== null) headers['content-type'] ??= defaultType[event.data.kind];
  return { headers, body: event.data === null ? new Uint8Array(0) : bytesOf(event.data) };
}

/** What data is said to be that does not say it itself. */
export const defaultType = {
  json: 'application/json',
  text: 'text/plain; charset=utf-8',
  bytes: 'application/octet-stream',
} as const;

/** Data as the body of a message in binary mode. */
export function bytesOf(data: CloudEventData): Uint8Array {
  if (data.kind === 'bytes') return data.bytes;
  return encodeUtf8(data.kind === 'text' ? data.text : JSON.stringify(data.value));
}

/** The event in the JSON event format. Attributes are not checked. */
export function jsonEventOf(event: CloudEvent): Record<string, unknown> {
  const json: Record<string, unknown> = Object.fromEntries(attributesOf(event));
  const { data } = event;
  if (data?.kind === 'json') json['data'] = data.value;
  if (data?.kind === 'text') json['data'] = data.text;
  if (data?.kind === 'bytes') json['data_base64'] = toBase64(data.bytes);
  return json;
}

/** Every attribute that the event has, by its name in the specification. */
export function attributesOf(event: CloudEvent): [string, string | number | boolean][] {
  const { id, source, type, subject, time, datacontenttype, dataschema, extensions } = event;
  const all: [string, string | number | boolean | undefined][] = [
    ['specversion', '1.0'],
    ['id', id],
    ['source', source],
    ['type', type],
    ['subject', subject],
    ['time', time],
    ['datacontenttype', datacontenttype],
    ['dataschema', dataschema],
    ...Object.entries(extensions),
  ];
  return all.filter((pair): pair is [string, string | number | boolean] => pair[1] !== undefined);
}

// Percent-encoding of header values (HTTP binding, section 3.1.3.2)

/** Encodes space, double quote, percent and everything outside of U+0021 to U+007E; nothing else. */
export function encodeHeaderValue(value: string): string {
  return value.replace(/[^\u0021\u0023\u0024\u0026-\u007e]/gu, (character) => encodeURIComponent(character));
}

/** Undoes quoting (older senders) and one round of percent-encoding; null where the bytes are not UTF-8 or raw ones are there. */
export function decodeHeaderValue(raw: string): string | null {
  const text = /^"(?:[^"\\]|\\.)*"$/.test(raw) ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw;
  if (/[^\u0020-\u007e]/.test(text)) return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

// Structured

function decodeStructured(message: HttpMessage): CloudEvent {
  requireType(message.headers['content-type'], structuredType);
  const read = readJsonEvent(parseJson(message.body));
  if (Array.isArray(read)) throw invalid(read);
  return read as CloudEvent;
}

/** An event, or its faults. */
function readJsonEvent(value: unknown): CloudEvent | readonly string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return ['an event is a JSON object'];
  const { data, data_base64: base64, ...members } = value as Record<string, unknown>;
  const attributes = new Map<string, unknown>();
  for (const [name, member] of Object.entries(members)) {
    // A member that is null counts as absent (JSON event format, section 2.2).
    if (member !== null) attributes.set(name, member);
  }
  const faults = faultsOf(attributes);
  const payload = readJsonData(data ?? null, base64 ?? null, attributes.get('datacontenttype'), faults);
  return faults.length > 0 ? faults : eventOf(attributes, payload);
}

function readJsonData(data: unknown, base64: unknown, type: unknown, faults: string[]): CloudEventData | null {
  if (data !== null && base64 !== null) faults.push('data and data_base64 exclude each other');
  if (base64 !== null) {
    const bytes = typeof base64 === 'string' ? fromBase64(base64) : null;
    if (bytes === null) faults.push('data_base64 is not base64');
    return bytes === null ? null : dataOfBytes(bytes, type, faults);
  }
  if (data === null) return null;
  const isText = typeof data === 'string' && typeof type === 'string' && !isJsonType(mediaType(type));
  return isText ? { kind: 'text', text: data } : { kind: 'json', value: data };
}

/** Bytes that are said to be JSON are JSON, however they came. */
function dataOfBytes(bytes: Uint8Array, type: unknown, faults: string[]): CloudEventData | null {
  if (typeof type !== 'string' || !isJsonType(mediaType(type))) return { kind: 'bytes', bytes };
  try {
    return { kind: 'json', value: parseJson(bytes) };
  } catch (error) {
    faults.push(
      `data_base64 is not the JSON that datacontenttype says: ${error instanceof Error ? error.message : ''}`,
    );
    return null;
  }
}

// Binary

function decodeBinary(message: HttpMessage): CloudEvent {
  const attributes = new Map<string, unknown>();
  const faults: string[] = [];
  for (const [name, raw] of Object.entries(message.headers)) {
    if (!name.startsWith(headerPrefix)) continue;
    const attribute = name.slice(headerPrefix.length);
    const value = decodeHeaderValue(raw);
    if (value === null) faults.push(`header ${name} is not percent-encoded UTF-8`);
    else attributes.set(attribute, value);
    if (attribute === 'datacontenttype') faults.push('datacontenttype is the content-type header in binary mode');
  }
  return eventOfParts(attributes, message.headers['content-type'], message.body, faults);
}

/**
 * The event of a message in binary mode, whose attributes were taken out of it. `faults` are those that were found on the way.
 *
 * @throws CLOUDEVENT_INVALID, BODY_NOT_JSON, VALUE_UNSTORABLE
 */
export function eventOfParts(
  attributes: Map<string, unknown>,
  contentType: string | undefined,
  body: Uint8Array,
  faults: readonly string[],
): CloudEvent {
  if (contentType !== undefined) attributes.set('datacontenttype', contentType);
  const all = [...faults, ...faultsOf(attributes)];
  if (all.length > 0) throw invalid(all);
  return eventOf(attributes, readBinaryData(body, mediaType(contentType), charsetOf(contentType)));
}

function readBinaryData(body: Uint8Array, type: string, charset: string): CloudEventData | null {
  if (body.length === 0) return null;
  if (isJsonType(type)) return { kind: 'json', value: parseJson(body) };
  if (!type.startsWith('text/') || charset !== 'utf-8') return { kind: 'bytes', bytes: body };
  const text = decodeUtf8(body);
  if (text === null) throw invalid(['the data is not valid UTF-8']);
  return { kind: 'text', text };
}

// Attributes

const coreNames: ReadonlySet<string> = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
]);
const namePattern = /^[a-z0-9]+$/;
// RFC 3986, characters only: unreserved, reserved and percent-encoded.
const uriPattern = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/;
const schemePattern = /^[A-Za-z][A-Za-z0-9+.-]*:/;
const timePattern =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const mediaTypePattern = /^[\w!#$&^.+-]+\/[\w!#$&^.+*-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+:/-]+|"[^"]*"))*$/;
// Type system of the specification: no control characters, no surrogates alone, no noncharacters.
const forbiddenPattern = /[\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]|\p{Surrogate}/u;

function faultsOf(attributes: ReadonlyMap<string, unknown>): string[] {
  const faults: string[] = [];
  if (attributes.get('specversion') !== '1.0') faults.push('specversion is not "1.0"');
  for (const name of ['id', 'source', 'type']) if (!attributes.has(name)) faults.push(`${name} is missing`);
  let length = 0;
  for (const [name, value] of attributes) {
    const fault = faultOf(name, value);
    if (fault !== null) faults.push(fault);
    // Numbers and marks are short, and anything else has its fault already.
    length += name.length + (typeof value === 'string' ? value.length : 0);
  }
  if (length > attributesLengthMax) faults.push(`the attributes are longer than ${attributesLengthMax} characters`);
  return faults;
}

function faultOf(name: string, value: unknown): string | null {
  if (!namePattern.test(name))
    return `attribute name ${JSON.stringify(name.slice(0, 40))} is not lower-case letters and digits`;
  // The name of the data in every format; only a header can get here with it.
  if (name === 'data') return 'data is not an attribute';
  if (!coreNames.has(name)) return extensionFault(name, value);
  if (typeof value !== 'string' || value === '') return `${name} is not a non-empty string`;
  const text = textFault(name, value);
  if (text !== null) return text;
  switch (name) {
    case 'id':
      return value.length > limits.keyLengthMax ? `id is longer than ${limits.keyLengthMax} characters` : null;
    case 'source':
      return uriPattern.test(value) ? null : 'source is not a URI reference';
    case 'dataschema':
      return uriPattern.test(value) && schemePattern.test(value) ? null : 'dataschema is not an absolute URI';
    case 'time':
      return timePattern.test(value) ? null : 'time is not an RFC 3339 timestamp';
    case 'datacontenttype':
      return mediaTypePattern.test(value) ? null : 'datacontenttype is not a media type';
    default:
      return null;
  }
}

function extensionFault(name: string, value: unknown): string | null {
  if (typeof value === 'string') return textFault(name, value);
  if (typeof value === 'boolean') return null;
  // Integers of the type system have 32 bits.
  if (typeof value === 'number' && Number.isInteger(value) && (value | 0) === value) return null;
  return `${name} is not a string, boolean or 32-bit integer`;
}

function textFault(name: string, value: string): string | null {
  if (value.length > attributeLengthMax) return `${name} is longer than ${attributeLengthMax} characters`;
  return forbiddenPattern.test(value) ? `${name} has characters that an attribute may not have` : null;
}

/** @throws CLOUDEVENT_INVALID */
export function checkAttributes(event: CloudEvent): void {
  const faults = faultsOf(new Map<string, unknown>(attributesOf(event)));
  if (faults.length > 0) throw invalid(faults);
}

/** `attributes` have been checked. */
function eventOf(attributes: ReadonlyMap<string, unknown>, data: CloudEventData | null): CloudEvent {
  const known: Record<string, string> = {};
  const extensions: Record<string, string | number | boolean> = {};
  for (const [name, value] of attributes) {
    if (name === 'specversion') continue;
    if (coreNames.has(name)) known[name] = value as string;
    else extensions[name] = value as string | number | boolean;
  }
  const { id = '', source = '', type = '', ...optional } = known;
  return { id, source, type, ...optional, extensions, data };
}

// Media types

/** The type without parameters, in lower case; "" where there is none. */
export function mediaType(contentType: string | undefined): string {
  if (contentType === undefined) return '';
  const end = contentType.indexOf(';');
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** True for `application/json` and every `+json`. */
export function isJsonType(type: string): boolean {
  return type === 'application/json' || type === 'text/json' || type.endsWith('+json');
}

function charsetOf(contentType: string | undefined): string {
  const match = /;\s*charset="?([^\s;"]+)/i.exec(contentType ?? '');
  return (match?.[1] ?? 'utf-8').toLowerCase();
}

function requireType(contentType: string | undefined, expected: string): void {
  if (mediaType(contentType) === expected && charsetOf(contentType) === 'utf-8') return;
  throw new SpineError('CONTENT_TYPE_UNSUPPORTED', { contentType: contentType ?? '', expected });
}

function invalid(faults: readonly string[]): SpineError<'CLOUDEVENT_INVALID'> {
  return new SpineError('CLOUDEVENT_INVALID', { faults });
}
