/**
 * API keys in the store: two entries of the installation for each, the key under its id, which is what a server looks up when
 * somebody comes with it, and its id under tenant and name, which is what people know. A third says when it was used last. No
 * text of a key is kept anywhere; it leaves here once, in the answer to whoever made it.
 *
 * Invariant: what changes a key is written from the key as it was read, so no server undoes what another has done to it.
 */
import { SpineError } from '../../core/errors.js';
import { permissionFaults } from '../../core/access/permission.js';
import { isoOf } from '../../core/instant.js';
import { newId, type KeyId } from '../../core/ids.js';
import { keyStateAt, revokedKey, rotatedKey, type ApiKey } from '../../core/keys/api-key.js';
import { keySecretBytes, keyText, readKeyText } from '../../core/keys/key-text.js';
import { limits } from '../../core/limits.js';
import type { KeyView, MadeKeyView, PageView } from '../../protocol/http.js';
import type { EntryWrite } from '../../store/contract.js';
import { readSpace } from '../admission/counter-rows.js';
import type { Origin, PageQuery } from '../api.js';
import type { EngineContext } from '../context.js';
import { systemTenant } from '../system-tenant.js';

/** What a key is to be. */
export interface KeyOrder {
  readonly name: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[] | null;
  readonly clearances: readonly string[] | null;
  /** From now on; null = for ever. */
  readonly expiresMs: number | null;
}

const keySpace = 'api-key';
const nameSpace = 'api-key-name';
const useSpace = 'api-key-use';

/** Of the others that change the same key at the same time, one gets through with each attempt. */
const attemptsMax = 50;

export class KeyOffice {
  readonly #context: EngineContext;

  constructor(context: EngineContext) {
    this.#context = context;
  }

  /** The key of an id, good or not; null = there is none. */
  async keyOf(id: string): Promise<ApiKey | null> {
    return (await this.#read(id))?.key ?? null;
  }

  /** Keeps that a key is in use; at most that is lost. */
  async used(id: string): Promise<void> {
    const { store } = this.#context;
    const at = store.now();
    await store.apply([
      { tenant: systemTenant, entries: [{ op: 'put', ...usePlace(id), value: String(at), run: '', at }] },
    ]);
  }

  /** Keys of a tenant by name, also those that have ended. */
  async list(tenant: string, { cursor, limit = limits.pageItemsDefault }: PageQuery): Promise<PageView<KeyView>> {
    const rows = await this.#context.store.readEntries({
      tenant: systemTenant,
      space: nameSpace,
      key: tenant,
      ...(cursor === undefined ? {} : { after: { key: tenant, ref: cursor } }),
      limit,
    });
    const views = await Promise.all(rows.map(async ({ value }) => await this.#viewOf(value)));
    const last = rows.length < limit ? undefined : rows.at(-1);
    return { items: views.filter((view) => view !== null), next: last?.ref ?? null };
  }

  /** Rejects with KEY_NOT_FOUND. */
  async view(tenant: string, name: string): Promise<KeyView> {
    const view = await this.#viewOf(await this.#idOf(tenant, name));
    if (view === null) throw new SpineError('KEY_NOT_FOUND', { name });
    return view;
  }

  /** Makes a key; one of the same name that has ended makes room for it. Rejects with KEY_INVALID, KEY_EXISTS. */
  async create({ actor }: Origin, order: KeyOrder): Promise<MadeKeyView> {
    const faults = orderFaults(order);
    if (faults.length > 0) throw new SpineError('KEY_INVALID', { faults });
    const { store, ports } = this.#context;
    const { name, tenant, roles, permissions, clearances, expiresMs } = order;
    const id = newId('apiKey', ports);
    const { text, hash } = this.#secretOf(id);
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const now = store.now();
      const former = await this.#find(tenant, name);
      if (former !== null && keyStateAt(former.key, now) === 'active') throw new SpineError('KEY_EXISTS', { name });
      await this.#makeRoom(tenant, now);
      const key: ApiKey = {
        id,
        tenant,
        name,
        roles,
        permissions,
        clearances,
        createdAt: now,
        createdBy: actor,
        expiresAt: expiresMs === null ? null : now + expiresMs,
        revoked: null,
        secrets: [{ hash, until: null }],
      };
      const entries: readonly EntryWrite[] = [
        put(namePlace(tenant, name), id, former?.key.id ?? null, now),
        put(keyPlace(id), JSON.stringify(key), null, now),
        ...(former === null ? [] : dropsOf(former)),
      ];
      const [outcome] = await store.apply([{ tenant: systemTenant, entries }]);
      if (outcome?.tag === 'applied') return { ...viewOf(key, null, now), key: text };
      if (outcome?.tag !== 'conflict') break;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  /** Gives a key another secret; the one before is accepted for `overlapMs` more. Rejects with KEY_NOT_FOUND, KEY_ENDED. */
  async rotate(tenant: string, name: string, overlapMs: number): Promise<MadeKeyView> {
    const id = await this.#idOf(tenant, name);
    const { text, hash } = this.#secretOf(id);
    const key = await this.#change(id, name, (before, now) => {
      if (keyStateAt(before, now) !== 'active') throw new SpineError('KEY_ENDED', { name });
      return rotatedKey(before, hash, overlapMs, now);
    });
    return { ...(await this.#shown(key)), key: text };
  }

  /** Ends a key; again does nothing. Rejects with KEY_NOT_FOUND. */
  async revoke({ actor }: Origin, tenant: string, name: string): Promise<KeyView> {
    const id = await this.#idOf(tenant, name);
    return await this.#shown(await this.#change(id, name, (before, now) => revokedKey(before, actor, now)));
  }

  async #change(id: KeyId, name: string, change: (before: ApiKey, now: number) => ApiKey): Promise<ApiKey> {
    const { store } = this.#context;
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const found = await this.#read(id);
      if (found === null) throw new SpineError('KEY_NOT_FOUND', { name });
      const now = store.now();
      const next = change(found.key, now);
      if (next === found.key) return next;
      const entries = [put(keyPlace(id), JSON.stringify(next), found.text, now)];
      const [outcome] = await store.apply([{ tenant: systemTenant, entries }]);
      if (outcome?.tag === 'applied') return next;
      if (outcome?.tag !== 'conflict') break;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  #secretOf(id: KeyId): { readonly text: string; readonly hash: string } {
    const { random, hash } = this.#context.ports;
    const text = keyText(id, random.bytes(keySecretBytes));
    return { text, hash: hash.sha256(readKeyText(text)?.secret ?? '') };
  }

  async #read(id: string): Promise<StoredKey | null> {
    const [row] = await readSpace(this.#context.store, systemTenant, keySpace, id, 1);
    return row === undefined ? null : { text: row.value, key: JSON.parse(row.value) as ApiKey };
  }

  async #find(tenant: string, name: string): Promise<StoredKey | null> {
    const rows = await readSpace(this.#context.store, systemTenant, nameSpace, tenant);
    const row = rows.find(({ ref }) => ref === name);
    return row === undefined ? null : await this.#read(row.value);
  }

  /** Rejects with KEY_NOT_FOUND. */
  async #idOf(tenant: string, name: string): Promise<KeyId> {
    const found = await this.#find(tenant, name);
    if (found === null) throw new SpineError('KEY_NOT_FOUND', { name });
    return found.key.id;
  }

  async #viewOf(id: string): Promise<KeyView | null> {
    const found = await this.#read(id);
    return found === null ? null : await this.#shown(found.key);
  }

  async #shown(key: ApiKey): Promise<KeyView> {
    const [use] = await readSpace(this.#context.store, systemTenant, useSpace, key.id, 1);
    return viewOf(key, use === undefined ? null : Number(use.value), this.#context.store.now());
  }

  /** Where a tenant has as many keys as it may, those that have ended go. Rejects with KEY_INVALID where none has. */
  async #makeRoom(tenant: string, now: number): Promise<void> {
    const { store } = this.#context;
    const rows = await readSpace(store, systemTenant, nameSpace, tenant, limits.apiKeysPerTenantMax);
    if (rows.length < limits.apiKeysPerTenantMax) return;
    const found = await Promise.all(rows.map(async ({ value }) => await this.#read(value)));
    const ended = found.filter((one) => one !== null).filter(({ key }) => keyStateAt(key, now) !== 'active');
    if (ended.length === 0)
      throw new SpineError('KEY_INVALID', { faults: [`the tenant has ${limits.apiKeysPerTenantMax} keys already`] });
    await store.apply(
      ended.map((one) => ({
        tenant: systemTenant,
        entries: [{ op: 'drop', ...namePlace(tenant, one.key.name), expected: one.key.id }, ...dropsOf(one)],
      })),
    );
  }
}

/** A key, and its text as it is stored. */
interface StoredKey {
  readonly text: string;
  readonly key: ApiKey;
}

type Place = Pick<EntryWrite, 'space' | 'key' | 'ref'>;
const keyPlace = (id: string): Place => ({ space: keySpace, key: id, ref: '' });
const usePlace = (id: string): Place => ({ space: useSpace, key: id, ref: '' });
const namePlace = (tenant: string, name: string): Place => ({ space: nameSpace, key: tenant, ref: name });

function put(place: Place, value: string, expected: string | null, at: number): EntryWrite {
  return { op: 'put', ...place, value, run: '', at, expected };
}

function dropsOf({ key, text }: StoredKey): readonly EntryWrite[] {
  return [
    { op: 'drop', ...keyPlace(key.id), expected: text },
    { op: 'drop', ...usePlace(key.id) },
  ];
}

function viewOf(key: ApiKey, usedAt: number | null, now: number): KeyView {
  const { id, tenant, name, roles, permissions, clearances, createdAt, createdBy, expiresAt, revoked, secrets } = key;
  const former = secrets.find(({ until }) => until !== null && until > now)?.until ?? null;
  return {
    name,
    id,
    tenant,
    state: keyStateAt(key, now),
    roles,
    permissions,
    clearances,
    createdAt: isoOf(createdAt),
    createdBy,
    expiresAt: isoOrNull(expiresAt),
    revokedAt: isoOrNull(revoked?.at ?? null),
    revokedBy: revoked?.by ?? null,
    formerUntil: isoOrNull(former),
    lastUsedAt: isoOrNull(usedAt),
  };
}

function isoOrNull(at: number | null): string | null {
  return at === null ? null : isoOf(at);
}

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N} ._@/-]*$/u;
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}]/u;

function orderFaults({ name, tenant, roles, permissions, clearances, expiresMs }: KeyOrder): string[] {
  const faults: string[] = [];
  if (name.length > limits.nameLengthMax || !namePattern.test(name)) {
    faults.push(
      `the name has not 1 to ${limits.nameLengthMax} letters, digits, spaces and ". _ @ / -", of which the first is a letter or digit`,
    );
  }
  if (tenant === '' || tenant.length > limits.tenantLengthMax || unprintable.test(tenant))
    faults.push(`the tenant has not 1 to ${limits.tenantLengthMax} characters that can be printed`);
  faults.push(...wordFaults('role', roles), ...wordFaults('clearance', clearances ?? []));
  if (permissions !== null) faults.push(...permissionFaults(permissions));
  if (expiresMs !== null && !(Number.isInteger(expiresMs) && expiresMs >= 1_000 && expiresMs <= limits.apiKeyMsMax))
    faults.push(`it does not expire after 1 s to ${limits.apiKeyMsMax / 86_400_000} days`);
  return faults;
}

function wordFaults(what: string, words: readonly string[]): string[] {
  if (words.length > limits.apiKeyRolesMax) return [`it has more than ${limits.apiKeyRolesMax} ${what}s`];
  const isWord = (word: string): boolean =>
    word !== '' && word.length <= limits.nameLengthMax && !unprintable.test(word);
  return words.every(isWord) ? [] : [`a ${what} has not 1 to ${limits.nameLengthMax} characters that can be printed`];
}
