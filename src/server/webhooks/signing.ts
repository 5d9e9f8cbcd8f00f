/**
 * What messages are signed with. Nothing secret is kept: the keys of an endpoint are derived from one secret of the store, with
 * its tenant, name, salt and number, so that who knows those of one endpoint can tell no other.
 *
 * Invariant: while a secret is being replaced, every message bears a signature for each that is still good.
 */
import { createHmac } from 'node:crypto';
import type { WebhookEntry, WebhookSecret } from '../../engine/api.js';
import { sign } from '../../webhooks/index.js';
import { publicKeyTextOf } from '../../webhooks/secrets.js';

/** Secrets of an endpoint as whoever receives its messages needs them, newest first. */
export interface WebhookKeys {
  /** `whsec_` and 32 bytes as base64: of signatures `v1`. */
  readonly secrets: readonly string[];
  /** Key pairs of signatures `v1a`; empty = it has none. */
  readonly pairs: readonly { readonly privateKey: string; readonly publicKey: string }[];
}

/** What is good of an endpoint at an instant. */
export function keysOf(root: Uint8Array, tenant: string, entry: WebhookEntry, nowMs: number): WebhookKeys {
  const { spec, salt, secrets } = entry;
  const good = secrets.filter(({ until }) => until === null || until > nowMs);
  const named = (kind: string, { number }: WebhookSecret): string =>
    derived(root, [kind, tenant, spec.name, salt, String(number)]);
  return {
    secrets: good.map((one) => `whsec_${named('endpoint', one)}`),
    pairs: spec.asymmetric ? good.map((one) => pairOf(`whsk_${named('endpoint-pair', one)}`)) : [],
  };
}

/** What messages to addresses that starts are given are signed with: one secret for each tenant. */
export function notifyKeys(root: Uint8Array, tenant: string): WebhookKeys {
  return { secrets: [`whsec_${derived(root, ['notify', tenant])}`], pairs: [] };
}

/** Headers that sign a body at an instant. */
export function signedHeaders(
  { secrets, pairs }: WebhookKeys,
  id: string,
  atMs: number,
  body: Uint8Array,
): Record<string, string> {
  return sign.standard({ id, atMs, body }, [...secrets, ...pairs.map(({ privateKey }) => privateKey)]);
}

/** 32 bytes as base64. Names are put together as JSON, so that no two lists of them are one text. */
function derived(root: Uint8Array, names: readonly string[]): string {
  return createHmac('sha256', root)
    .update(JSON.stringify(['eventspine:webhook', ...names]))
    .digest('base64');
}

function pairOf(privateKey: string): WebhookKeys['pairs'][number] {
  return { privateKey, publicKey: publicKeyTextOf(privateKey) };
}
