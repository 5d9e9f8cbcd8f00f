/**
 * Whom an API key stands for. What is read of a key is believed for two seconds, on this server as on any other, so that most
 * requests ask the store for nothing, and a key that was revoked is good nowhere after that.
 *
 * Invariant: the answer to a key that does not exist and to one with a wrong secret is the same, after the same work.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { SpineError } from '../../core/errors.js';
import { keyStateAt, type ApiKey } from '../../core/keys/api-key.js';
import { readKeyText } from '../../core/keys/key-text.js';
import { limits } from '../../core/limits.js';
import type { Engine } from '../../engine/api.js';
import type { Principal, ServerSettings } from '../options.js';

/** What was read of an id. */
interface Remembered {
  /** Null = there is no such key. */
  readonly known: KnownKey | null;
  /** When the store was asked, on its clock. */
  readonly askedAt: number;
}

/** A key with what is needed of it for each request. */
interface KnownKey {
  readonly key: ApiKey;
  readonly secrets: readonly KnownSecret[];
  /** When this server wrote last that the key is in use. */
  toldAt: number;
}

interface KnownSecret {
  readonly hash: string;
  readonly digest: Buffer;
  readonly until: number;
  /** Of whoever comes with this secret; null = nobody can. */
  readonly principal: Principal | null;
}

/** Compared with what was sent where there is no key; nothing has it as its digest. */
const noDigest = Buffer.alloc(32);

/** What is needed of the settings of a server. */
interface KeySettings extends Pick<ServerSettings, 'log'> {
  readonly engine: Pick<Engine, 'now' | 'keyOf' | 'keyUsed'>;
}

export class ApiKeys {
  readonly #engine: KeySettings['engine'];
  readonly #log: ServerSettings['log'];
  /** Apart, so that made-up ids drive out no key that there is. */
  readonly #keys = new Map<string, Remembered>();
  readonly #unknown = new Map<string, Remembered>();
  /** With what principals came. */
  readonly #given = new WeakMap<Principal, { readonly id: string; readonly hash: string }>();
  readonly #asking = new Map<string, Promise<Remembered>>();

  constructor({ engine, log }: KeySettings) {
    this.#engine = engine;
    this.#log = log;
  }

  /** The principal of a key. Not an async function: intake pays for each promise. @throws or rejects with API_KEY_*, STORE_* */
  read(text: string): Principal | Promise<Principal> {
    const parts = readKeyText(text);
    if (parts === null) throw new SpineError('API_KEY_INVALID', {});
    const { id, secret } = parts;
    const remembered = this.#remembered(id);
    if (remembered !== undefined) return this.#principalOf(remembered, secret);
    return this.#ask(id).then((found) => this.#principalOf(found, secret));
  }

  /** Whether a principal came with a key. */
  isOfKey(principal: Principal): boolean {
    return this.#given.has(principal);
  }

  /** Whether the key of a principal, by the secret that it came with, is good; true where it came without one. */
  holds(principal: Principal): boolean | Promise<boolean> {
    const given = this.#given.get(principal);
    if (given === undefined) return true;
    const isGood = ({ known }: Remembered): boolean => {
      const now = this.#engine.now();
      return (
        known !== null &&
        keyStateAt(known.key, now) === 'active' &&
        known.secrets.some(({ hash, until }) => hash === given.hash && now < until)
      );
    };
    const remembered = this.#remembered(given.id);
    return remembered === undefined ? this.#ask(given.id).then(isGood) : isGood(remembered);
  }

  /** What is remembered of a key is believed no longer: it was changed here. */
  forget(id: string): void {
    this.#keys.delete(id);
    this.#unknown.delete(id);
    this.#asking.delete(id);
  }

  #remembered(id: string): Remembered | undefined {
    const found = this.#keys.get(id) ?? this.#unknown.get(id);
    if (found === undefined) return undefined;
    const age = this.#engine.now() - found.askedAt;
    // A clock that has gone back says nothing about the age.
    return age >= 0 && age < limits.apiKeyBelievedMs ? found : undefined;
  }

  /** @throws API_KEY_INVALID, API_KEY_REVOKED, API_KEY_EXPIRED */
  #principalOf({ known }: Remembered, secret: string): Principal {
    const now = this.#engine.now();
    const digest = hash('sha256', secret, 'buffer');
    let principal: Principal | null = null;
    for (const candidate of known?.secrets ?? noSecrets) {
      const isEqual = timingSafeEqual(digest, candidate.digest);
      if (isEqual && now < candidate.until) ({ principal } = candidate);
    }
    if (known === null || principal === null) throw new SpineError('API_KEY_INVALID', {});
    // Whoever has the secret may know what became of the key.
    const state = keyStateAt(known.key, now);
    if (state === 'revoked') throw new SpineError('API_KEY_REVOKED', {});
    if (state === 'expired') throw new SpineError('API_KEY_EXPIRED', {});
    if (Math.abs(now - known.toldAt) >= limits.apiKeyUseEveryMs) this.#tell(known, now);
    return principal;
  }

  /** One question for all who ask at the same time. */
  #ask(id: string): Promise<Remembered> {
    const asking = this.#asking.get(id);
    if (asking !== undefined) return asking;
    const askedAt = this.#engine.now();
    const asked = this.#engine.keyOf(id).then(
      (key) => {
        const found = { known: key === null ? null : this.#known(key), askedAt };
        // What was forgotten meanwhile was changed meanwhile.
        if (this.#asking.get(id) === asked) {
          this.#asking.delete(id);
          this.#remember(id, found);
        }
        return found;
      },
      (error: unknown) => {
        if (this.#asking.get(id) === asked) this.#asking.delete(id);
        throw error;
      },
    );
    this.#asking.set(id, asked);
    return asked;
  }

  /** A key as it was read, with the principals that it had before: what is open knows them. */
  #known(key: ApiKey): KnownKey {
    const before = this.#keys.get(key.id)?.known ?? null;
    const isSame = before !== null && JSON.stringify(before.key) === JSON.stringify(key);
    if (isSame) return before;
    const secrets = key.secrets.map(({ hash, until }): KnownSecret => {
      const principal = principalOf(key);
      this.#given.set(principal, { id: key.id, hash });
      return { hash, digest: Buffer.from(hash, 'hex'), until: until ?? Number.POSITIVE_INFINITY, principal };
    });
    return { key, secrets, toldAt: before?.toldAt ?? 0 };
  }

  #remember(id: string, found: Remembered): void {
    this.#keys.delete(id);
    this.#unknown.delete(id);
    const [into, most] =
      found.known === null ? [this.#unknown, limits.apiKeysUnknownRemembered] : [this.#keys, limits.apiKeysRemembered];
    if (into.size >= most) for (const oldest of into.keys()) if (into.delete(oldest)) break;
    into.set(id, found);
  }

  #tell(known: KnownKey, now: number): void {
    known.toldAt = now;
    this.#engine.keyUsed(known.key.id).catch((error: unknown) => {
      const message = 'It could not be written that an API key is in use.';
      this.#log({ level: 'warn', message, reference: known.key.id, error });
    });
  }
}

const noSecrets: readonly KnownSecret[] = [
  { hash: '', digest: noDigest, until: Number.POSITIVE_INFINITY, principal: null },
];

function principalOf({ tenant, name, roles, permissions, clearances }: ApiKey): Principal {
  return {
    tenant,
    user: `key:${name}`,
    roles,
    ...(permissions === null ? {} : { permissions }),
    ...(clearances === null ? {} : { clearances }),
  };
}
