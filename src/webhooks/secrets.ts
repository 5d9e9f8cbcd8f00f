/**
 * Secrets of webhooks: what their texts mean, and how new ones are made. Symmetric ones are shared by both sides; of a pair the
 * sender keeps `whsk_` and the receiver knows `whpk_` (Standard Webhooks 1.0).
 *
 * Invariant: nothing that is empty or cannot be read becomes a key.
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';

/** One secret, or several of which any counts while one is being replaced. */
export type Secrets = string | readonly string[];

/** What secrets are asked for as a list, with the bound that they have. Fails with OPTIONS_INVALID. */
export function listOf(secrets: Secrets): readonly string[] {
  const list = typeof secrets === 'string' ? [secrets] : secrets;
  if (list.length === 0 || list.length > limits.webhookSecretsMax)
    throw invalid(`1 to ${limits.webhookSecretsMax} secrets are needed`);
  return list;
}

export function invalid(fault: string): SpineError {
  return new SpineError('OPTIONS_INVALID', { what: 'a webhook', faults: [fault] });
}

const symmetricPrefix = 'whsec_';
const privatePrefix = 'whsk_';
const publicPrefix = 'whpk_';
const secretBytesMin = 24;
const secretBytesMade = 32;

/** Whether a text can be a symmetric secret: `whsec_` and 24 bytes or more as base64; the prefix may be left out. */
export function isSecret(secret: string): boolean {
  const bytes = bytesOfBase64(bare(secret, symmetricPrefix));
  return bytes !== null && bytes.byteLength >= secretBytesMin;
}

/** A new symmetric secret of 32 random bytes. */
export function newSecret(): string {
  return symmetricPrefix + randomBytes(secretBytesMade).toString('base64');
}

/** A new pair for signatures that the receiver cannot make: the sender keeps the secret, the receiver is told the public key. */
export function newKeyPair(): { readonly secret: string; readonly publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-keyBytes);
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-keyBytes);
  return {
    secret: privatePrefix + Buffer.concat([seed, point]).toString('base64'),
    publicKey: publicPrefix + Buffer.from(point).toString('base64'),
  };
}

/**
 * The secret of one endpoint, made of that of the installation: whoever knows the one cannot tell the others, and nothing
 * has to be kept.
 */
export function endpointSecret(installation: string, endpoint: string): string {
  const hmac = createHmac('sha256', symmetricKey(installation)).update(`eventspine:endpoint:${endpoint}`);
  return symmetricPrefix + hmac.digest('base64');
}

/** What a secret of Standard Webhooks is. */
export type StandardKey =
  | { readonly tag: 'symmetric'; readonly key: Buffer }
  | { readonly tag: 'private'; readonly key: KeyObject }
  | { readonly tag: 'public'; readonly key: KeyObject };

/** Fails with OPTIONS_INVALID where a text is no secret of Standard Webhooks. */
export function standardKey(secret: string): StandardKey {
  if (secret.startsWith(privatePrefix)) return { tag: 'private', key: privateKeyOf(secret) };
  if (secret.startsWith(publicPrefix)) return { tag: 'public', key: publicKeyOf(secret) };
  return { tag: 'symmetric', key: symmetricKey(secret) };
}

function symmetricKey(secret: string): Buffer {
  const bytes = bytesOfBase64(bare(secret, symmetricPrefix));
  if (bytes === null) throw invalid('a secret is not "whsec_" and base64');
  return bytes;
}

const keyBytes = 32;
/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 and in SPKI (RFC 8410). */
const privateHead = Buffer.from('302e020100300506032b657004220420', 'hex');
const publicHead = Buffer.from('302a300506032b6570032100', 'hex');

/** `whsk_` and a seed of 32 bytes, after which the public key may stand. */
export function privateKeyOf(secret: string): KeyObject {
  const bytes = bytesOfBase64(bare(secret, privatePrefix));
  if (bytes === null || (bytes.byteLength !== keyBytes && bytes.byteLength !== 2 * keyBytes))
    throw invalid('a private key is not "whsk_" and 32 or 64 bytes as base64');
  const der = Buffer.concat([privateHead, bytes.subarray(0, keyBytes)]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** `whpk_` and base64: what the receiver is told of a private key. Fails with OPTIONS_INVALID. */
export function publicKeyTextOf(secret: string): string {
  const spki = createPublicKey(privateKeyOf(secret)).export({ format: 'der', type: 'spki' });
  return publicPrefix + spki.subarray(-keyBytes).toString('base64');
}

/** `whpk_` and 32 bytes, the prefix may be left out; or PEM. */
export function publicKeyOf(text: string): KeyObject {
  const bytes = bytesOfBase64(bare(text, publicPrefix));
  try {
    const key =
      bytes === null
        ? createPublicKey(text)
        : createPublicKey({ key: Buffer.concat([publicHead, bytes]), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Told below, without the text: it may be a private key.
  }
  throw invalid('a public key is neither "whpk_" and 32 bytes as base64 nor PEM of Ed25519');
}

function bare(secret: string, prefix: string): string {
  return secret.startsWith(prefix) ? secret.slice(prefix.length) : secret;
}

/** The bytes of base64 text with or without its padding; null = it is not base64, or nothing. */
export function bytesOfBase64(text: string): Buffer | null {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.replace(/=+$/, '').length % 4 !== 1
    ? Buffer.from(text, 'base64')
    : null;
}
