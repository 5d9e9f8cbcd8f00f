/**
 * Base64 (RFC 4648 section 4, with padding), for runtimes that have no common encoder. Strict on the way in: a text that
 * another encoder would not have written is refused, so that equal bytes always have equal text.
 */

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Groups of three bytes that become text at a time: so many arguments a call takes in every runtime. */
const groupsAtOnce = 2048;

/** Bytes as base64 text. */
export function toBase64(bytes: Uint8Array): string {
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
  // A spread would go by way of an iterator.
  return Reflect.apply(String.fromCharCode, null, text);
}

/** Value of each character code below 128; 255 = not of the alphabet. */
let values: Uint8Array | null = null;

function valuesOf(): Uint8Array {
  if (values === null) {
    values = new Uint8Array(128).fill(255);
    for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i;
  }
  return values;
}

/** The bytes of base64 text, or null where the text is not canonical base64. */
export function fromBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const characters = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const table = valuesOf();
  let group = 0;
  let at = 0;
  for (let i = 0; i < characters; i++) {
    const value = table[text.charCodeAt(i)] ?? 255;
    if (value === 255) return null;
    group = (group << 6) | value;
    if (i % 4 === 3) {
      bytes[at++] = (group >>> 16) & 255;
      bytes[at++] = (group >>> 8) & 255;
      bytes[at++] = group & 255;
      group = 0;
    }
  }
  // Bits beyond the last byte must be zero, or two texts would mean the same bytes.
  if (padding === 2) {
    if ((group & 0xf) !== 0) return null;
    bytes[at] = group >>> 4;
  }
  if (padding === 1) {
    if ((group & 0x3) !== 0) return null;
    bytes[at++] = group >>> 10;
    bytes[at] = (group >>> 2) & 255;
  }
  return bytes;
}
