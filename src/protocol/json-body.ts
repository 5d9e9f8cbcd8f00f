/**
 * JSON as it comes from outside: bytes to a value, with every limit checked before the parser runs. `JSON.parse` takes
 * a million levels or keys and blocks the process for seconds, so depth and size are counted on the bytes first.
 * Of two members with one name the last counts, as in every JavaScript reader.
 */
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';

interface Utf8Decoder {
  decode(bytes: Uint8Array): string;
}
interface Utf8Encoder {
  encode(text: string): Uint8Array;
}
// Both are globals of every runtime we support; the type libraries of this layer know neither.
declare const TextDecoder: new (
  label: string,
  options: { readonly fatal: boolean; readonly ignoreBOM: boolean },
) => Utf8Decoder;
declare const TextEncoder: new () => Utf8Encoder;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** What surrounds a value in a batch or an event: list, item, data. */
const wrapperDepth = 4;
const depthMax = limits.valueDepthMax + wrapperDepth;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * Parses a JSON text.
 *
 * @param partsMax Most keys and elements in all; by default `limits.bodyNodesMax`.
 * @throws BODY_NOT_JSON for invalid UTF-8 and JSON; VALUE_UNSTORABLE for one that is too deep or has too many parts.
 */
export function parseJson(bytes: Uint8Array, partsMax: number = limits.bodyNodesMax): unknown {
  checkShape(bytes, partsMax);
  const text = decodeUtf8(bytes);
  if (text === null) throw new SpineError('BODY_NOT_JSON', { reason: 'it is not valid UTF-8' });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SpineError('BODY_NOT_JSON', { reason: reasonOf(cause) }, { cause });
  }
}

/** The text of UTF-8 bytes; null where they are not valid UTF-8. A byte order mark stays, and no JSON begins with it. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** The UTF-8 bytes of a text. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Counts nesting and separators outside of strings, in one pass and without memory. */
function checkShape(bytes: Uint8Array, partsMax: number): void {
  let depth = 0;
  let parts = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === quote) {
      i = endOfString(bytes, i + 1);
    } else if (byte === openBracket || byte === openBrace) {
      depth += 1;
      parts += 1;
      if (depth > depthMax) throw unstorable(`it is nested deeper than ${limits.valueDepthMax} levels`);
    } else if (byte === closeBracket || byte === closeBrace) {
      depth -= 1;
    } else if (byte === comma) {
      parts += 1;
    }
  }
  if (parts > partsMax) throw unstorable(`it has more than ${partsMax} keys and elements`);
}

function endOfString(bytes: Uint8Array, from: number): number {
  let i = from;
  while (i < bytes.length && bytes[i] !== quote) i += bytes[i] === backslash ? 2 : 1;
  return i;
}

function unstorable(reason: string): SpineError<'VALUE_UNSTORABLE'> {
  return new SpineError('VALUE_UNSTORABLE', { path: '$', reason });
}

/** The parser's own words, without the piece of the text that it quotes: that is the user's. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : 'it cannot be parsed';
  const position = /position \d+/.exec(message);
  return position === null
    ? 'it ends early or has a character out of place'
    : `a character is out of place at ${position[0]}`;
}
