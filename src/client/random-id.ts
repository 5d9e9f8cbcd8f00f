/**
 * Names that nobody else will choose, for what has to be told apart when it is sent twice.
 */

/** 128 random bits as text. `crypto.randomUUID` exists in secure contexts only, this everywhere. */
export function randomId(): string {
  let text = '';
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) text += byte.toString(16).padStart(2, '0');
  return text;
}
