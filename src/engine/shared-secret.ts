/**
 * Secrets that all servers of a store share: what one signs, any other can check, also after a restart. A secret is a
 * key against repeats that stands for random bytes: the store gives the first writer's value to everybody, which is
 * all that is needed to agree, and it moves with the store in a backup.
 *
 * Invariant: two engines on one store never have two values for one name.
 */
import { fromBase64, toBase64 } from '../core/base64.js';
import { assert } from '../core/errors.js';
import type { DedupeWrite } from '../store/contract.js';
import type { EngineContext } from './context.js';
import { systemTenant } from './system-tenant.js';

const tenant = systemTenant;
const scope = 'secret';
const bytesLength = 32;

/** The year 9999: far beyond the life of any installation, and a date to every store. */
const neverMs = 253_370_764_800_000;

/** See `Engine.secret`. */
export async function sharedSecret({ store, ports }: EngineContext, name: string): Promise<Uint8Array> {
  const known = await store.readDedupe(tenant, scope, name);
  if (known !== null) return bytesOf(known.reference);
  const made: DedupeWrite = {
    scope,
    key: name,
    hash: '',
    reference: toBase64(ports.random.bytes(bytesLength)),
    expiresAt: neverMs,
  };
  const [outcome] = await store.apply([{ tenant, dedupe: [made] }]);
  switch (outcome?.tag) {
    case 'applied':
      return bytesOf(made.reference);
    case 'duplicate':
      return bytesOf(outcome.found.reference);
    default:
      throw new Error(`The store answered ${outcome?.tag ?? 'nothing'} to a new secret`);
  }
}

function bytesOf(text: string): Uint8Array {
  const bytes = fromBase64(text);
  assert(bytes?.length === bytesLength, 'a stored secret has its length');
  return bytes;
}
