/**
 * The size of text in UTF-8, counted without encoding it. Sizes are checked for every value on its way to the store,
 * and the runtimes that this layer serves have no common encoder.
 */

/** Bytes that `text` takes in UTF-8. A lone surrogate counts 3, as the replacement character that encoders write for it. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text, i + 1)) {
      bytes += 2;
      i += 1;
    } else bytes += 2;
  }
  return bytes;
}

/** True when `text` takes more than `bytesMax` bytes in UTF-8; most texts are judged by their length alone. */
export function exceedsUtf8(text: string, bytesMax: number): boolean {
  if (text.length > bytesMax) return true;
  // One UTF-16 unit takes at most three bytes.
  if (text.length * 3 <= bytesMax) return false;
  return utf8Length(text) > bytesMax;
}

/** True where the units at `at` and after it are one character. */
export function isSurrogatePairAt(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text, at + 1);
}

function isLowSurrogate(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
}
