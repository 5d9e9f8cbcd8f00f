/**
 * Codec `json/1`: values as JSON text that every language can read (docs/reference/codec.md). What JSON lacks is written
 * as an object with one key that begins with `$`; a user's own object of that look is wrapped in `$escape`.
 *
 * Invariant: whatever `encodeValue` accepts, `decodeValue` gives back with the same shape and the same content, and
 * encoding that again gives the same text. What could not be given back is refused, with the path to it.
 */
import { fromBase64, toBase64 } from './base64.js';
import { SpineError } from './errors.js';
import { limits } from './limits.js';
import type { CodecName, InlinePayload } from './payload.js';
import { shown } from './shown.js';
import { exceedsUtf8 } from './utf8.js';

/** The codec that this module writes and reads. */
export const codecName: CodecName = 'json/1';

/**
 * Encodes a value. Storable are JSON values, `undefined`, `bigint`, `-0`, `NaN`, infinities, `Date`, `Map`, `Set`, bytes
 * (`Uint8Array`, `Buffer`, `ArrayBuffer`; read back as `Uint8Array`) and errors (name, message, code, cause, errors; read
 * back as plain `Error`). Symbol keys, non-enumerable properties and named properties of arrays are left out, as JSON does.
 * `bytesMax` is the bound of the encoded text. Fails with VALUE_UNSTORABLE, and with VALUE_TOO_LARGE above the bound.
 */
export function encodeValue(value: unknown, bytesMax: number = limits.valueBytesCeiling): InlinePayload {
  nodesSeen = 0;
  if (isPlain(value, 0) && nodesSeen <= limits.valueNodesMax) {
    const text = JSON.stringify(value);
    if (!isSuspicious(text)) return sized(text, bytesMax);
  }
  return sized(JSON.stringify(taggedOf(value, new Walk())), bytesMax);
}

/**
 * The value that a payload stands for: always a fresh one that the caller may change. Fails with PAYLOAD_UNREADABLE where
 * the text was not made by this codec or breaks its bounds.
 */
export function decodeValue(payload: InlinePayload | string): unknown {
  nodesSeen = 0;
  return revive(parse(payload), 0);
}

/**
 * Encodes plain JSON that came from outside. An object that looks like a tag is data here and stays data: nobody can
 * write a `Date` into a run by way of HTTP. Fails with VALUE_UNSTORABLE.
 */
export function payloadOfJson(value: unknown): InlinePayload {
  return encodeValue(value);
}

/**
 * A payload as plain JSON for people and for JSON Schema: dates as ISO 8601, bytes as base64, bigints and numbers that
 * JSON lacks as strings, errors as objects, sets as arrays, maps as objects (as pairs where a key is not text),
 * `undefined` left out of objects and null in arrays. Fails with PAYLOAD_UNREADABLE.
 */
export function jsonOf(payload: InlinePayload | string): unknown {
  return viewOf(decodeValue(payload));
}

// Encoding, the fast path: most values are plain JSON, and for these one walk and one `JSON.stringify` are enough.

/** Keys and elements met by the walk under way. Module state, because walks are synchronous and on the hot path. */
let nodesSeen = 0;

/** True for plain JSON within the bounds. False says no more than "look closer". */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'object':
      if (value === null) return true;
      if (depth >= limits.valueDepthMax) return false;
      return Array.isArray(value) ? isPlainArray(value, depth) : isPlainObject(value, depth);
    default:
      return false;
  }
}

function isPlainArray(array: readonly unknown[], depth: number): boolean {
  nodesSeen += array.length;
  if (nodesSeen > limits.valueNodesMax || 'toJSON' in array) return false;
  for (const element of array) if (typeof element !== 'string' && !isPlain(element, depth + 1)) return false;
  return true;
}

function isPlainObject(object: object, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  if ((prototype !== Object.prototype && prototype !== null) || 'toJSON' in object) return false;
  let keys = 0;
  let last = '';
  for (const key in object) {
    keys += 1;
    last = key;
    const element = (object as Readonly<Record<string, unknown>>)[key];
    if (typeof element !== 'string' && !isPlain(element, depth + 1)) return false;
  }
  nodesSeen += keys;
  return keys !== 1 || !isTag(last);
}

/**
 * True where the text may hold what cannot be stored. `JSON.stringify` writes NUL and lone surrogates as escapes and
 * keys verbatim, so the text tells; a user's text that only looks so is found innocent by the exact walk.
 */
function isSuspicious(text: string): boolean {
  return text.includes('\\u') ? escapes.test(text) || names.test(text) : names.test(text);
}

const escapes = /\\u(?:0000|d[89a-f])/;
const names = /"(?:__proto__|constructor|prototype)"/;

function sized(text: string, bytesMax: number): InlinePayload {
  if (exceedsUtf8(text, bytesMax)) throw new SpineError('VALUE_TOO_LARGE', { bytesMax });
  return { codec: codecName, text };
}

// Encoding, the exact path.

/** Where the walk is: the way from the root, for messages, and the objects on it, for cycles. */
class Walk {
  readonly #keys: (string | number)[] = [];
  readonly #objects: object[] = [];
  #nodes = 0;

  /** Steps into `object`, which must be within the bounds and not be on the way already. */
  enter(object: object): void {
    if (this.#objects.includes(object)) throw this.refuse('it refers to itself');
    if (this.#objects.length >= limits.valueDepthMax) {
      throw this.refuse(`it is nested deeper than ${limits.valueDepthMax} levels`);
    }
    this.#objects.push(object);
  }

  leave(): void {
    this.#objects.pop();
  }

  count(nodes: number): void {
    this.#nodes += nodes;
    if (this.#nodes > limits.valueNodesMax) {
      throw this.refuse(`the value has more than ${limits.valueNodesMax} keys and elements`);
    }
  }

  /** Encodes what lies under `key`. */
  at(key: string | number, value: unknown): unknown {
    this.count(1);
    this.#keys.push(key);
    const encoded = taggedOf(value, this);
    this.#keys.pop();
    return encoded;
  }

  /** The error that says why the value at this place cannot be stored. */
  refuse(reason: string): SpineError {
    return unstorable(pathText(this.#keys), reason);
  }
}

function taggedOf(value: unknown, walk: Walk): unknown {
  switch (typeof value) {
    case 'string':
      return textOf(value, walk);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { $number: Object.is(value, -0) ? '-0' : `${value}` };
    case 'undefined':
      return { $undefined: true };
    case 'bigint':
      return { $bigint: value.toString() };
    case 'function':
      throw walk.refuse('functions cannot be stored; return data, or name the work as a step of its own');
    case 'symbol':
      throw walk.refuse('symbols cannot be stored; use text');
    case 'object': {
      if (value === null) return null;
      walk.enter(value);
      const encoded = taggedObject(value, walk);
      walk.leave();
      return encoded;
    }
  }
}

function taggedObject(value: object, walk: Walk): unknown {
  if (Array.isArray(value)) return Array.from(value, (element: unknown, i) => walk.at(i, element));
  switch (kindOf(value)) {
    case 'Date': {
      const time = Number(value);
      return { $date: Number.isNaN(time) ? null : (value as Date).toISOString() };
    }
    case 'Map': {
      const entries = [...(value as ReadonlyMap<unknown, unknown>)];
      return { $map: entries.map(([key, element], i) => [walk.at(i, key), walk.at(i, element)]) };
    }
    case 'Set':
      return { $set: Array.from(value as ReadonlySet<unknown>, (element, i) => walk.at(i, element)) };
    case 'Uint8Array':
      return { $bytes: toBase64(value as Uint8Array) };
    case 'ArrayBuffer':
      return { $bytes: toBase64(new Uint8Array(value as ArrayBuffer)) };
    case 'Error':
      return { $error: errorFields(value, walk) };
    case 'Object':
      return taggedRecord(value as Readonly<Record<string, unknown>>, walk);
    case 'Promise':
      throw walk.refuse('it is a promise; await it first');
    case 'TypedArray':
      throw walk.refuse(`instances of ${className(value)} cannot be stored; use Array.from(value), or its bytes`);
    case 'Other':
      throw walk.refuse(
        `instances of ${className(value)} would lose their class; store plain data, e.g. { ...value } or what its toJSON() gives`,
      );
  }
}

type Kind =
  | 'Date'
  | 'Map'
  | 'Set'
  | 'Uint8Array'
  | 'ArrayBuffer'
  | 'Error'
  | 'Object'
  | 'Promise'
  | 'TypedArray'
  | 'Other';

/** By internal tag, not `instanceof`: values come from other realms (vm contexts, test runners) too. */
function kindOf(value: object): Kind {
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || isObjectPrototype(prototype)) return 'Object';
  const name = Object.prototype.toString.call(value).slice(8, -1);
  switch (name) {
    case 'Date':
    case 'Map':
    case 'Set':
    case 'Uint8Array':
    case 'ArrayBuffer':
    case 'Error':
    case 'Promise':
      return isGenuine(name, value) ? name : 'Other';
    // Aborts and timeouts of the platform are of this kind.
    case 'DOMException':
      return 'Error';
    default:
      return ArrayBuffer.isView(value) ? 'TypedArray' : 'Other';
  }
}

/** A class may name itself anything by `Symbol.toStringTag`; only the real ones have the internal slots. */
function isGenuine(
  name: 'Date' | 'Map' | 'Set' | 'Uint8Array' | 'ArrayBuffer' | 'Error' | 'Promise',
  value: object,
): boolean {
  try {
    switch (name) {
      case 'Date':
        Date.prototype.getTime.call(value);
        return true;
      case 'Map':
        Map.prototype.has.call(value, undefined);
        return true;
      case 'Set':
        Set.prototype.has.call(value, undefined);
        return true;
      case 'Uint8Array':
        return ArrayBuffer.isView(value);
      case 'ArrayBuffer':
        ArrayBuffer.prototype.slice.call(value, 0, 0);
        return true;
      case 'Error':
      case 'Promise':
        return true;
    }
  } catch {
    return false;
  }
}

/** The `Object.prototype` of this realm or of another one. */
function isObjectPrototype(prototype: object): boolean {
  if (prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}

function className(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'an unnamed class';
}

function taggedRecord(record: Readonly<Record<string, unknown>>, walk: Walk): unknown {
  const encoded: Record<string, unknown> = {};
  const keys = Object.keys(record);
  for (const key of keys) {
    if (forbidden.has(key))
      throw walk.refuse(`the key "${key}" is refused, because it can be used to change prototypes`);
    const fault = textFault(key);
    if (fault !== null) throw walk.refuse(`the key ${JSON.stringify(key)} ${fault}`);
    encoded[key] = walk.at(key, record[key]);
  }
  return keys.length === 1 && isTag(keys[0]) ? { $escape: encoded } : encoded;
}

const forbidden: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

function isTag(key: string | undefined): boolean {
  return key !== undefined && key.charCodeAt(0) === 0x24;
}

function errorFields(error: object, walk: Walk): unknown {
  const { name, message, code, cause, errors } = error as Readonly<Record<string, unknown>>;
  const fields: Record<string, unknown> = { name: cleaned(name, 'Error'), message: cleaned(message, '') };
  if (typeof code === 'string') fields['code'] = cleaned(code, '');
  if (typeof code === 'number' && Number.isFinite(code)) fields['code'] = code;
  walk.count(Object.keys(fields).length);
  if (cause !== undefined) fields['cause'] = walk.at('cause', cause);
  if (Array.isArray(errors)) fields['errors'] = walk.at('errors', errors);
  return fields;
}

/** An error must never fail to be stored for the sake of its text. */
function cleaned(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value.replace(unstorableText, '\ufffd') : fallback;
}

function textOf(text: string, walk: Walk): string {
  const fault = textFault(text);
  if (fault !== null) throw walk.refuse(`the text ${fault}`);
  return text;
}

/** With the `u` flag a surrogate range matches lone surrogates only. */
const unstorableText = /\u0000|[\ud800-\udfff]/gu;
const loneSurrogate = /[\ud800-\udfff]/u;

function textFault(text: string): string | null {
  if (text.includes('\u0000')) return 'holds a NUL character, which not every store can keep';
  if (loneSurrogate.test(text)) return 'holds half of a surrogate pair, which UTF-8 cannot express';
  return null;
}

function pathText(keys: readonly (string | number)[]): string {
  let text = '$';
  for (const key of keys) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  }
  return text.slice(0, limits.pathLengthMax);
}

function unstorable(path: string, reason: string): SpineError {
  return new SpineError('VALUE_UNSTORABLE', { path, reason });
}

// Decoding.

function parse(payload: InlinePayload | string): unknown {
  if (typeof payload !== 'string' && payload.codec !== codecName) {
    throw unreadable(`codec ${shown(payload.codec)} is not known here`);
  }
  const text = typeof payload === 'string' ? payload : payload.text;
  // Not exactly: who may have encoded it was held to less, and here only time and memory are at stake.
  if (text.length > limits.valueBytesCeiling) throw unreadable(`it is larger than ${limits.valueBytesCeiling} bytes`);
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable('it is not JSON');
  }
}

/** Turns tags into what they stand for, in place: the parsed tree belongs to nobody else. */
function revive(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  const tag = Array.isArray(value) ? null : tagOf(record);
  if (depth >= limits.valueDepthMax && (tag === null || !scalarTags.has(tag))) {
    throw unreadable(`it is nested deeper than ${limits.valueDepthMax} levels`);
  }
  if (Array.isArray(value)) return reviveArray(value, depth);
  return tag === null ? reviveRecord(record, depth) : untag(tag, record[tag], depth);
}

/** Tags of values without inside: these do not count as a level. */
const scalarTags: ReadonlySet<string> = new Set(['$undefined', '$number', '$bigint']);

/** The only key of the object, where it makes the object a tag. */
function tagOf(record: Readonly<Record<string, unknown>>): string | null {
  let only: string | null = null;
  for (const key in record) {
    if (only !== null || !isTag(key)) return null;
    only = key;
  }
  return only;
}

function reviveArray(array: unknown[], depth: number): unknown[] {
  count(array.length);
  for (let i = 0; i < array.length; i++) {
    const element = array[i];
    if (typeof element === 'object' && element !== null) array[i] = revive(element, depth + 1);
  }
  return array;
}

function reviveRecord(record: Record<string, unknown>, depth: number): Record<string, unknown> {
  let keys = 0;
  for (const key in record) {
    if (key === '__proto__' || key === 'constructor' || key === 'prototype')
      throw unreadable(`it has the key "${key}"`);
    keys += 1;
    const element = record[key];
    if (typeof element === 'object' && element !== null) record[key] = revive(element, depth + 1);
  }
  count(keys);
  return record;
}

function count(nodes: number): void {
  nodesSeen += nodes;
  if (nodesSeen > limits.valueNodesMax) throw unreadable(`it has more than ${limits.valueNodesMax} keys and elements`);
}

function untag(tag: string, body: unknown, depth: number): unknown {
  switch (tag) {
    case '$undefined':
      if (body === true) return undefined;
      break;
    case '$number':
      if (body === '-0' || body === 'NaN' || body === 'Infinity' || body === '-Infinity') return Number(body);
      break;
    case '$bigint':
      if (typeof body === 'string' && /^(?:0|-?[1-9]\d*)$/.test(body)) return BigInt(body);
      break;
    case '$date':
      if (body === null) return new Date(Number.NaN);
      if (typeof body === 'string' && !Number.isNaN(Date.parse(body))) return new Date(body);
      break;
    case '$bytes': {
      const bytes = typeof body === 'string' ? fromBase64(body) : null;
      if (bytes !== null) return bytes;
      break;
    }
    case '$set':
      if (Array.isArray(body)) return new Set(reviveArray(body, depth));
      break;
    case '$map':
      if (Array.isArray(body) && body.every(isPair)) return new Map(body.map((pair) => revivePair(pair, depth)));
      break;
    case '$error':
      if (isRecord(body)) return reviveError(body, depth);
      break;
    case '$escape':
      if (isRecord(body)) return reviveRecord(body, depth);
      break;
  }
  throw unreadable(`the tag "${tag.slice(0, 32)}" is not known here or is malformed`);
}

function isPair(value: unknown): value is [unknown, unknown] {
  return Array.isArray(value) && value.length === 2;
}

function revivePair(pair: readonly [unknown, unknown], depth: number): [unknown, unknown] {
  count(2);
  return [revive(pair[0], depth + 1), revive(pair[1], depth + 1)];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function reviveError(fields: Record<string, unknown>, depth: number): Error {
  const { name, message, code, cause, errors } = reviveRecord(fields, depth);
  const error = new Error(typeof message === 'string' ? message : '', 'cause' in fields ? { cause } : undefined);
  // The stack of the reader would point at this line and help nobody; that of the thrower stayed with its process.
  const named = typeof name === 'string' ? name : 'Error';
  error.stack = `${named}: ${error.message}`;
  hide(error, 'name', named);
  if (typeof code === 'string' || typeof code === 'number') Object.assign(error, { code });
  if (Array.isArray(errors)) hide(error, 'errors', errors);
  return error;
}

/** Sets a property the way built-in errors carry theirs: not enumerable. */
function hide(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, writable: true, enumerable: false, configurable: true });
}

function unreadable(reason: string): SpineError {
  return new SpineError('PAYLOAD_UNREADABLE', { reason });
}

// The view for people.

function viewOf(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'number':
      return Number.isFinite(value) ? value + 0 : String(value);
    case 'object':
      return value === null ? null : viewOfObject(value);
    default:
      return value;
  }
}

function viewOfObject(value: object): unknown {
  if (Array.isArray(value)) return value.map((element: unknown) => viewOf(element) ?? null);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return toBase64(value);
  if (value instanceof Set) return Array.from(value, (element: unknown) => viewOf(element) ?? null);
  if (value instanceof Map) return viewOfMap(value);
  if (value instanceof Error) return viewOfError(value);
  return viewOfRecord(Object.entries(value));
}

function viewOfMap(map: ReadonlyMap<unknown, unknown>): unknown {
  const entries = [...map];
  const isNamed = (entry: [unknown, unknown]): entry is [string, unknown] =>
    typeof entry[0] === 'string' && !forbidden.has(entry[0]);
  if (entries.every(isNamed)) return viewOfRecord(entries);
  return entries.map(([key, element]) => [viewOf(key) ?? null, viewOf(element) ?? null]);
}

function viewOfError(error: Error & { readonly code?: unknown; readonly errors?: unknown }): unknown {
  const { name, message, code, cause, errors } = error;
  return viewOfRecord(Object.entries({ name, message, code, cause, errors }));
}

function viewOfRecord(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const view: Record<string, unknown> = {};
  for (const [key, element] of entries) if (element !== undefined) view[key] = viewOf(element);
  return view;
}
