/**
 * API keys as they are kept: whom a key stands for, what it may do, and digests of its secrets, of which it has two while one
 * is being replaced by another. What becomes of a key is decided here; who may ask for it, and who keeps it, is above.
 *
 * Invariant: a key that has been revoked or has expired is never good again.
 */
import type { KeyId } from '../ids.js';

/** A key as it is stored. */
export interface ApiKey {
  readonly id: KeyId;
  readonly tenant: string;
  /** Unique among the keys of the tenant. */
  readonly name: string;
  readonly roles: readonly string[];
  /** `action:kind/pattern`; null = everything within the tenant. */
  readonly permissions: readonly string[] | null;
  /** Tags of fields that it is shown in clear; null = what its roles are shown. */
  readonly clearances: readonly string[] | null;
  readonly createdAt: number;
  readonly createdBy: string;
  /** Null = never. */
  readonly expiresAt: number | null;
  readonly revoked: { readonly at: number; readonly by: string } | null;
  /** Newest first. */
  readonly secrets: readonly KeySecret[];
}

/** A secret of a key. */
export interface KeySecret {
  /** SHA-256 of its text, 64 hex digits. */
  readonly hash: string;
  /** From this instant on it is not accepted any more; null = for as long as the key is good. */
  readonly until: number | null;
}

export type KeyState = 'active' | 'expired' | 'revoked';

/** Whether a key is good. */
export function keyStateAt({ revoked, expiresAt }: ApiKey, now: number): KeyState {
  if (revoked !== null) return 'revoked';
  return expiresAt !== null && now >= expiresAt ? 'expired' : 'active';
}

/** The key, revoked. Its secrets stay, so that whoever comes with one hears why it is refused. Once is for ever. */
export function revokedKey(key: ApiKey, by: string, at: number): ApiKey {
  return key.revoked === null ? { ...key, revoked: { at, by } } : key;
}

/** The key with another secret; the one that it has had is accepted for `overlapMs` more, older ones at most as long as before. */
export function rotatedKey(key: ApiKey, hash: string, overlapMs: number, now: number): ApiKey {
  const [newest] = key.secrets;
  const until = now + overlapMs;
  const kept = newest === undefined || overlapMs === 0 ? [] : [{ hash: newest.hash, until }];
  return { ...key, secrets: [{ hash, until: null }, ...kept] };
}
