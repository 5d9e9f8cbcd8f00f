/**
 * What messages are signed with. Nothing secret is kept: the keys of an endpoint are derived from one secret of the store, with
 * its tenant, name, salt and number, so that who knows those of one endpoint can tell no other.
 *
 * Invariant: while a secret is being replaced, every message bears a signature for each that is still good.
 */
import { createHmac, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import type { WebhookEntry, WebhookSecret } from '../../engine/api.js';
import { signatureHeaders, signRequest } from '../../runtime/index.js';

/** Secrets of an endpoint as whoever receives its messages needs them, newest first. */
export interface WebhookKeys {
  /** `whsec_` and 32 bytes as base64: of signatures `v1`. */
  readonly secrets: readonly string[];
  /** Key pairs of signatures `v1a`; empty = it has none. */
  readonly pairs: readonly { readonly privateKey: KeyObject; readonly publicKey: string }[];
}

/** What is good of an endpoint at an instant. */
export function keysOf(root: Uint8Array, tenant: string, entry: WebhookEntry, nowMs: number): WebhookKeys {
  const { spec, salt, secrets } = entry;
  const good = secrets.filter(({ until }) => until === null || until > nowMs);
  const named = (kind: string, { number }: WebhookSecret): Uint8Array =>
    derived(root, [kind, tenant, spec.name, salt, String(number)]);
  return {
    secrets: good.map((one) => secretText(named('endpoint', one))),
    pairs: spec.asymmetric ? good.map((one) => pairOf(named('endpoint-pair', one))) : [],
  };
}

/** What messages to addresses that starts are given are signed with: one secret for each tenant. */
export function notifyKeys(root: Uint8Array, tenant: string): WebhookKeys {
  return { secrets: [secretText(derived(root, ['notify', tenant]))], pairs: [] };
}

/** Headers that sign a body at an instant. */
export async function signedHeaders(
  { secrets, pairs }: WebhookKeys,
  id: string,
  atMs: number,
  body: Uint8Array,
): Promise<Record<string, string>> {
  const headers = await signRequest(secrets, id, atMs, body);
  if (pairs.length === 0) return headers;
  const content = Buffer.concat([Buffer.from(`${id}.${headers[signatureHeaders.timestamp] ?? ''}.`), body]);
  const more = pairs.map(({ privateKey }) => `v1a,${sign(null, content, privateKey).toString('base64')}`);
  const signatures = [headers[signatureHeaders.signature] ?? '', ...more].join(' ');
  return { ...headers, [signatureHeaders.signature]: signatures };
}

/** Names are put together as JSON, so that no two lists of them are one text. */
function derived(root: Uint8Array, names: readonly string[]): Uint8Array {
  return createHmac('sha256', root)
    .update(JSON.stringify(['eventspine:webhook', ...names]))
    .digest();
}

function secretText(bytes: Uint8Array): string {
  return `whsec_${Buffer.from(bytes).toString('base64')}`;
}

/** RFC 8410: what stands before the 32 bytes of an Ed25519 key in PKCS #8, and how long SPKI is without them. */
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex');
const publicKeyBytes = 32;

function pairOf(seed: Uint8Array): WebhookKeys['pairs'][number] {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { privateKey, publicKey: `whpk_${spki.subarray(-publicKeyBytes).toString('base64')}` };
}
