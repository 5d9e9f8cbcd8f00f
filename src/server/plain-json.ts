/**
 * Encoded values that are plain JSON as they lie there, told without decoding them: to decode and write again what is tens
 * of megabytes would hold up everybody else's requests.
 */

/** What every tag of the codec begins with; texts that do are found, too, and are then looked at closely by others. */
const tagStart = Buffer.from('"$');
const bytesStart = Buffer.from('{"$bytes":');
const quote = 0x22;
const closing = 0x7d;

/** The JSON text, as bytes, that `jsonOf` would come to; null = it takes decoding to know. */
export function plainJsonOf(encoded: Uint8Array): Uint8Array | null {
  const text = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  if (!text.includes(tagStart)) return encoded;
  // Bytes are shown as their base64 text, which is what the tag holds.
  const from = bytesStart.length;
  const isBytes = text.subarray(0, from).equals(bytesStart) && text[from] === quote && text.at(-1) === closing;
  return isBytes && text.indexOf(quote, from + 1) === text.length - 2 ? text.subarray(from, -1) : null;
}
