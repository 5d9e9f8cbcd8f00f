/**
 * Base64 (RFC 4648 section 4, with padding), for runtimes that have no common encoder. Strict on the way in: a text that
 * another encoder would not have written is refused, so that equal bytes always have equal text.
 */

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Groups of three bytes that become text at a time: so many arguments a call takes in every runtime. */
const groupsAtOnce = 2048;

/** The encoder of a runtime that has one, as Node, Bun and Deno do: eight times as fast, and 50 MiB hold up everything else. */
interface NativeEncoder {
  from(bytes: ArrayBufferLike, offset: number, length: number): { toString(encoding: 'base64'): string };
}
const { Buffer: native } = globalThis as { readonly Buffer?: NativeEncoder };
/** Below it the way there costs more than it saves. */
const nativeBytesMin = 64 * 1024;

/** Bytes as base64 text. */
export function toBase64(bytes: Uint8Array): string {
  if (native !== undefined && bytes.length >= nativeBytesMin)
    return native.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
  const whole = bytes.length - (bytes.length % 3);
  // In pieces that are joined at the end: a text that only grows is kept as a tree, many times its size.
  const pieces: string[] = [];
  for (let from = 0; from < whole; from += 3 * groupsAtOnce)
    pieces.push(textOfGroups(bytes, from, Math.min(whole, from + 3 * groupsAtOnce)));
  const rest = bytes.length - whole;
  if (rest === 1) {
    const group = (bytes[whole] ?? 0) << 4;
    pieces.push(`${alphabet[group >>> 6] ?? ''}${alphabet[group & 63] ?? ''}==`);
  }
  if (rest === 2) {
    const group = ((bytes[whole] ?? 0) << 10) | ((bytes[whole + 1] ?? 0) << 2);
    pieces.push(`${alphabet[group >>> 12] ?? ''}${alphabet[(group >>> 6) & 63] ?? ''}${alphabet[group & 63] ?? ''}=`);
  }
  return pieces.join('');
}

const codes = Uint8Array.from(alphabet, (character) => character.charCodeAt(0));

function textOfGroups(bytes: Uint8Array, from: number, to: number): string {
  const text = new Uint8Array(((to - from) / 3) * 4);
  for (let i = from, at = 0; i < to; i += 3, at += 4) {
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text[at] = codes[group >>> 18] ?? 0;
    text[at + 1] = codes[(group >>> 12) & 63] ?? 0;
    text[at + 2] = codes[(group >>> 6) & 63] ?? 0;
    text[at + 3] = codes[group & 63] ?? 0;
  }
  // A spread would go by way of an iterator, and an array of numbers is only what the type asks for.
  return String.fromCharCode.apply(null, text as unknown as number[]);
}

/** Value of each character code below 256; 64 and more = not of the alphabet. */
let values: Uint8Array | null = null;

function valuesOf(): Uint8Array {
  if (values === null) {
    values = new Uint8Array(256).fill(64);
    for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i;
  }
  return values;
}

/** The bytes of base64 text, or null where the text is not canonical base64. */
export function fromBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const table = valuesOf();
  const valueAt = (i: number): number => table[text.charCodeAt(i)] ?? 64;
  const whole = text.length - (padding === 0 ? 0 : 4);
  // Four at a time, and looked at once: the sixth bit is that of a character that does not belong here.
  for (let i = 0, at = 0; i < whole; i += 4, at += 3) {
    const a = valueAt(i);
    const b = valueAt(i + 1);
    const c = valueAt(i + 2);
    const d = valueAt(i + 3);
    if ((a | b | c | d) > 63) return null;
    bytes[at] = (a << 2) | (b >>> 4);
    bytes[at + 1] = (b << 4) | (c >>> 2);
    bytes[at + 2] = (c << 6) | d;
  }
  if (padding === 0) return bytes;
  const a = valueAt(whole);
  const b = valueAt(whole + 1);
  const c = padding === 1 ? valueAt(whole + 2) : 0;
  if ((a | b | c) > 63) return null;
  // Bits beyond the last byte must be zero, or two texts would mean the same bytes.
  if (padding === 2 ? (b & 0xf) !== 0 : (c & 0x3) !== 0) return null;
  const at = (whole / 4) * 3;
  bytes[at] = (a << 2) | (b >>> 4);
  if (padding === 1) bytes[at + 1] = (b << 4) | (c >>> 2);
  return bytes;
}
