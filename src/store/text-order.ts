/**
 * The one order of text in every store: by Unicode code point, which is the order of the UTF-8 bytes and so what
 * databases use. JavaScript's `<` compares UTF-16 units and differs above U+FFFF.
 */

/** Negative, zero or positive, as `Array.sort` wants it. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return codePointWeight(left) - codePointWeight(right);
  }
  return a.length - b.length;
}

/** Lifts surrogates (code points from U+10000) above the rest of the plane, which lies partly behind them in UTF-16. */
function codePointWeight(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
