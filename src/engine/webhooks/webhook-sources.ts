/**
 * Which sources of webhooks there are, and their secrets: sources that apps declare, for every tenant that has given secrets
 * for them, and those that were made over the API, of one tenant. Secrets are entries of the installation, so that who may read
 * the rows of a tenant sees none.
 *
 * Invariant: what is answered at the door may be `staleMs` old, on every server; a secret that was removed counts no longer than that.
 */
import { SpineError } from '../../core/errors.js';
import { ulid } from '../../core/ids.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import {
  badName,
  namePattern,
  readWebhook,
  webhookOptionNames,
  type WebhookSource,
} from '../../core/webhooks/source.js';
import type { WebhookSourceFacts } from '../../protocol/http.js';
import type { EntryWrite } from '../../store/contract.js';
import { readSpace } from '../admission/counter-rows.js';
import type { NewWebhookSecret, Origin, WebhookDoor } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { systemTenant } from '../system-tenant.js';
import { readEntry } from '../topics/cursors.js';

/** Space of sources made over the API. Key: the name; value: JSON of `MadeSource`. */
const sourceSpace = 'webhook-source';

/** Space, of the installation, of secrets. Key: the tenant; ref: the name of the source; value: JSON of `Secrets`. */
const secretSpace = 'webhook-secret';

interface MadeSource {
  readonly source: WebhookSource;
  readonly by: string;
  readonly at: number;
}

interface Secret {
  readonly id: string;
  readonly secret: string;
  readonly by: string;
  readonly at: number;
  /** From when on it counts no more; null = it counts until it is removed. */
  readonly until: number | null;
}

type Secrets = readonly Secret[];

interface OfTenant {
  readonly readAtMs: number;
  readonly made: ReadonlyMap<string, MadeSource>;
  readonly secrets: ReadonlyMap<string, Secrets>;
}

export class WebhookSources {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #tenants = new Map<string, OfTenant>();
  readonly #reading = new Map<string, Promise<OfTenant>>();

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  /**
   * What is needed to believe a request; null = nothing can be believed there. Not a promise where it is known, since each
   * request asks.
   */
  door(tenant: string, name: string): WebhookDoor | null | Promise<WebhookDoor | null> {
    if (tenant === '' || tenant.length > limits.tenantLengthMax) return null;
    const known = this.#tenants.get(tenant);
    if (known !== undefined && this.#context.ports.clock.monotonicMs() - known.readAtMs < staleMs)
      return this.#doorOf(known, name);
    return this.#read(tenant).then((fresh) => this.#doorOf(fresh, name));
  }

  /** By name: those that were made, and those that apps declare. */
  async list(tenant: string): Promise<WebhookSourceFacts[]> {
    const known = await this.#read(tenant);
    const names = new Set([...this.#catalog.webhooks.keys(), ...known.made.keys()]);
    return [...names].sort().flatMap((name) => this.#factsOf(tenant, known, name) ?? []);
  }

  /** Rejects with WEBHOOK_SOURCE_NOT_FOUND. */
  async read(tenant: string, name: string): Promise<WebhookSourceFacts> {
    const facts = this.#factsOf(tenant, await this.#read(tenant), name);
    if (facts === null) throw notFound(name);
    return facts;
  }

  /** WEBHOOK_SOURCE_INVALID, WEBHOOK_SOURCE_OWNED, TOPIC_UNKNOWN. */
  async put(origin: Origin, name: string, given: Readonly<Record<string, unknown>>): Promise<WebhookSourceFacts> {
    const source = this.#sourceOf(name, given);
    const { tenant, actor } = origin;
    await this.#change(tenant, { space: sourceSpace, key: name, ref: '' }, tenant, async (before) => {
      const known = before === null ? null : (JSON.parse(before) as MadeSource);
      if (known === null) await this.#requireRoom(tenant, name);
      if (known !== null && JSON.stringify(known.source) === JSON.stringify(source)) return before;
      const made: MadeSource = { source, by: actor, at: this.#context.store.now() };
      return JSON.stringify(made);
    });
    return this.read(tenant, name);
  }

  /** With its secrets. WEBHOOK_SOURCE_NOT_FOUND, WEBHOOK_SOURCE_OWNED. */
  async remove({ tenant }: Origin, name: string): Promise<void> {
    this.#refuseDeclared(name);
    await this.#change(systemTenant, { space: secretSpace, key: tenant, ref: name }, tenant, () => null);
    await this.#change(tenant, { space: sourceSpace, key: name, ref: '' }, tenant, (before) => {
      if (before === null) throw notFound(name);
      return null;
    });
  }

  /** WEBHOOK_SOURCE_NOT_FOUND, WEBHOOK_SOURCE_INVALID where it has as many as may be. */
  async addSecret(
    { tenant, actor }: Origin,
    name: string,
    { secret, othersUntil }: NewWebhookSecret,
  ): Promise<WebhookSourceFacts> {
    await this.read(tenant, name);
    const { clock, random } = this.#context.ports;
    const id = `sec_${ulid(clock.now(), random.bytes(10))}`;
    await this.#changeSecrets(tenant, name, (secrets, at) => {
      const others = secrets
        .filter((one) => one.secret !== secret)
        .map((one) =>
          othersUntil === undefined ? one : { ...one, until: Math.min(one.until ?? Infinity, othersUntil) },
        );
      const all = [...others, { id, secret, by: actor, at, until: null }];
      if (all.length > limits.webhookSecretsMax)
        throw invalidSource(name, [`it has ${limits.webhookSecretsMax} secrets already; remove one`]);
      return all;
    });
    return this.read(tenant, name);
  }

  /** WEBHOOK_SOURCE_NOT_FOUND, also where there is no secret of this id. */
  async removeSecret({ tenant }: Origin, name: string, id: string): Promise<WebhookSourceFacts> {
    await this.read(tenant, name);
    await this.#changeSecrets(tenant, name, (secrets) => {
      const rest = secrets.filter((one) => one.id !== id);
      if (rest.length === secrets.length) throw notFound(`${name}/${id}`);
      return rest;
    });
    return this.read(tenant, name);
  }

  #sourceOf(name: string, { topic, ...rest }: Readonly<Record<string, unknown>>): WebhookSource {
    this.#refuseDeclared(name);
    const faults: string[] = [];
    if (!namePattern.test(name)) faults.push(badName);
    if (typeof topic !== 'string') faults.push('topic must be the name of a topic');
    const unknown = Object.keys(rest).filter((field) => !(webhookOptionNames as readonly string[]).includes(field));
    faults.push(...unknown.map((field) => `there is no option ${JSON.stringify(field.slice(0, 40))}`));
    const source = readWebhook(name, String(topic), rest, (fault) => faults.push(fault));
    if (faults.length > 0) throw invalidSource(name, faults);
    const found = this.#catalog.topic(source.topic);
    if (found === null)
      throw new SpineError('TOPIC_UNKNOWN', {
        name: source.topic.slice(0, limits.nameLengthMax),
        known: this.#catalog.topicNames(),
      });
    if (source.topic.startsWith('eventspine.') || found.manifest.writer === 'single')
      throw invalidSource(name, ['events of the topic come from its own writer only']);
    return source;
  }

  #refuseDeclared(name: string): void {
    if (this.#catalog.webhooks.has(name)) throw new SpineError('WEBHOOK_SOURCE_OWNED', { name });
  }

  async #requireRoom(tenant: string, name: string): Promise<void> {
    const rows = await readSpace(this.#context.store, tenant, sourceSpace);
    if (rows.length >= limits.webhookSourcesMax)
      throw invalidSource(name, [`the tenant has ${limits.webhookSourcesMax} sources already`]);
  }

  async #changeSecrets(tenant: string, name: string, change: (secrets: Secrets, at: number) => Secrets): Promise<void> {
    await this.#change(systemTenant, { space: secretSpace, key: tenant, ref: name }, tenant, (before) => {
      const at = this.#context.store.now();
      const secrets = before === null ? [] : (JSON.parse(before) as Secrets);
      const after = change(
        secrets.filter(({ until }) => until === null || until > at),
        at,
      );
      return after.length === 0 ? null : JSON.stringify(after);
    });
  }

  /** Reads, decides and writes an entry, again for as long as another was quicker. Null = it is not to be there. */
  async #change(
    owner: string,
    place: { readonly space: string; readonly key: string; readonly ref: string },
    tenant: string,
    decide: (before: string | null) => string | null | Promise<string | null>,
  ): Promise<void> {
    const { store } = this.#context;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const before = (await readEntry(store, owner, place))?.value ?? null;
      const value = await decide(before);
      if (value === before) return this.#forget(tenant);
      const entry: EntryWrite =
        value === null
          ? { op: 'drop', ...place, expected: before }
          : { op: 'put', ...place, value, run: '', at: store.now(), expected: before };
      const [outcome] = await store.apply([{ tenant: owner, entries: [entry] }]);
      if (outcome?.tag === 'applied') return this.#forget(tenant);
      if (outcome?.tag !== 'conflict') break;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  #forget(tenant: string): void {
    this.#tenants.delete(tenant);
    this.#reading.delete(tenant);
  }

  #doorOf(known: OfTenant, name: string): WebhookDoor | null {
    const source = this.#catalog.webhooks.get(name) ?? known.made.get(name)?.source;
    const now = this.#context.store.now();
    const secrets = (known.secrets.get(name) ?? []).filter(({ until }) => until === null || until > now);
    return source === undefined || secrets.length === 0
      ? null
      : { source, secrets: secrets.map(({ secret }) => secret).reverse() };
  }

  #factsOf(tenant: string, known: OfTenant, name: string): WebhookSourceFacts | null {
    const declared = this.#catalog.webhooks.get(name);
    const source = declared ?? known.made.get(name)?.source;
    if (source === undefined) return null;
    const { topic, scheme, map = {}, once = 'id' } = source;
    return {
      name,
      topic,
      scheme,
      map,
      once,
      declared: declared !== undefined,
      path: `/v1/webhooks/${encodeURIComponent(tenant)}/${encodeURIComponent(name)}`,
      secrets: (known.secrets.get(name) ?? []).map(({ id, by, at, until }) => ({
        id,
        by,
        at: isoOf(at),
        until: until === null ? null : isoOf(until),
      })),
    };
  }

  /** Many who ask at once are answered by one look. */
  #read(tenant: string): Promise<OfTenant> {
    const under = this.#reading.get(tenant);
    if (under !== undefined) return under;
    const reading = this.#fresh(tenant).then((fresh) => {
      // Not what was read before somebody changed it.
      if (this.#reading.get(tenant) === reading) {
        if (this.#tenants.size >= tenantsMax) this.#tenants.clear();
        this.#tenants.set(tenant, fresh);
      }
      return fresh;
    });
    this.#reading.set(tenant, reading);
    const done = (): void => {
      if (this.#reading.get(tenant) === reading) this.#reading.delete(tenant);
    };
    void reading.then(done, done);
    return reading;
  }

  async #fresh(tenant: string): Promise<OfTenant> {
    const { store, ports } = this.#context;
    const readAtMs = ports.clock.monotonicMs();
    const [made, secrets] = await Promise.all([
      readSpace(store, tenant, sourceSpace),
      readSpace(store, systemTenant, secretSpace, tenant),
    ]);
    return {
      readAtMs,
      made: new Map(made.map(({ key, value }) => [key, JSON.parse(value) as MadeSource])),
      secrets: new Map(secrets.map(({ ref, value }) => [ref, JSON.parse(value) as Secrets])),
    };
  }
}

function notFound(name: string): SpineError {
  return new SpineError('WEBHOOK_SOURCE_NOT_FOUND', { name: name.slice(0, limits.nameLengthMax) });
}

function invalidSource(name: string, faults: readonly string[]): SpineError {
  return new SpineError('WEBHOOK_SOURCE_INVALID', { name: name.slice(0, limits.nameLengthMax), faults });
}

/** How old an answer may be. */
const staleMs = 1_000;
/** Tenants of which is remembered what they have; anybody may ask for any. */
const tenantsMax = 10_000;
const attemptsMax = 50;
