/**
 * The text of an API key: `esk_<id>_<secret><checksum>`. The prefix lets scanners of secrets find one that was left lying
 * about, the id says which entry to look up, and the checksum tells a key that was cut short or mistyped from one that was
 * never given, without asking anybody. It is no proof of anything: everybody can compute it.
 *
 * Invariant: one text, one key: every text that is read gives itself again when it is made of its parts.
 */
import { isId, type KeyId } from '../ids.js';

/** Marks a text as an API key; it is that or nothing. */
export const apiKeyPrefix = 'esk_';

/** Random bytes of a secret: nobody guesses one, so a plain digest of it may be stored. */
export const keySecretBytes = 32;

/** What a text says. */
export interface KeyParts {
  readonly id: KeyId;
  /** 43 characters. */
  readonly secret: string;
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const secretLength = 43;
const checksumLength = 6;
const form = /^esk_([0-9a-hjkmnp-tv-z]{26})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;
/** Length of every key. */
const textLength = apiKeyPrefix.length + 26 + 1 + secretLength + checksumLength;
const idPrefix = 'key_';

/** The text of a key. `random`: `keySecretBytes` bytes that nobody else knows. */
export function keyText(id: KeyId, random: Uint8Array): string {
  const body = `${apiKeyPrefix}${id.slice(idPrefix.length)}_${base62(bigOf(random), secretLength)}`;
  return body + checksum(body);
}

/** What the text of a key says; null where it is none. */
export function readKeyText(text: string): KeyParts | null {
  const match = text.length === textLength ? form.exec(text) : null;
  if (match === null) return null;
  const [, body = '', secret = '', sum = ''] = match;
  const id = idPrefix + body;
  return sum === checksum(text.slice(0, -checksumLength)) && isId('apiKey', id) ? { id, secret } : null;
}

function bigOf(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

function base62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest /= 62n) text = (alphabet[Number(rest % 62n)] ?? '') + text;
  return text;
}

/** CRC-32 as of ISO 3309 (that of zip and PNG), six digits to the base 62. */
function checksum(text: string): string {
  let crc = 0xffffffff;
  for (let i = 0; i < text.length; i++) crc = (crc >>> 8) ^ (table[(crc ^ text.charCodeAt(i)) & 0xff] ?? 0);
  return base62(BigInt((crc ^ 0xffffffff) >>> 0), checksumLength);
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
