/**
 * Webhook endpoints of tenants: made, changed, shut and opened over the API. An endpoint is an entry and the subscriptions that
 * it consists of; both change in one transition, guarded by what was read, with an event of the topic `eventspine.webhooks`.
 *
 * Invariant: of an endpoint that is shut nothing more is begun after that was answered; its cursors stay where they are.
 */
import { toBase64 } from '../../core/base64.js';
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import { webhooksTopic } from '../../core/manifest.js';
import { subscriptionCursorSpace, type Subscription } from '../../core/topics/subscription.js';
import { readWebhook, subscriptionsOf, type WebhookSpec } from '../../core/webhooks/endpoint.js';
import type { EntryRow, EntryWrite, Transition } from '../../store/contract.js';
import type { Origin } from '../api.js';
import { readSpace } from '../admission/counter-rows.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { systemTenant } from '../system-tenant.js';
import { cursorsAtHeads, readCursors, readEntry } from '../topics/cursors.js';
import { preparePublication } from '../topics/publication.js';
import {
  subscriptionSettingSpace,
  subscriptionSpace,
  type MadeSubscription,
  type Subscriptions,
  type SubscriptionSetting,
} from '../topics/subscriptions.js';

/** Space of endpoints. Key: the name; value: JSON of `WebhookEntry`. */
const endpointSpace = 'webhook-endpoint';
/** Space, of the installation, that says that messages are sent at all. */
const inUseSpace = 'webhooks-in-use';

/** A secret by its number; what it is, servers derive. */
export interface WebhookSecret {
  readonly number: number;
  readonly at: number;
  /** It signs until then; null = it is the newest. */
  readonly until: number | null;
}

/** An endpoint as it is kept. No secret is in it. */
export interface WebhookEntry {
  readonly spec: WebhookSpec;
  /** Makes the secrets of an endpoint that is made again others than before. */
  readonly salt: string;
  /** Newest first. */
  readonly secrets: readonly WebhookSecret[];
  /** null = it is open. */
  readonly disabled: { readonly by: string; readonly at: number; readonly reason: string | null } | null;
  readonly by: string;
  readonly at: number;
}

/** What the engine offers of webhooks. */
export interface Webhooks {
  /** By name. */
  list(tenant: string): Promise<readonly WebhookEntry[]>;
  /** Null = there is none. Not older than a second. */
  find(tenant: string, name: string): Promise<WebhookEntry | null>;
  /** Makes one or changes it. Rejects with WEBHOOK_INVALID, TOPIC_UNKNOWN, WEBHOOKS_FULL. */
  put(origin: Origin, name: string, options: Readonly<Record<string, unknown>>): Promise<WebhookEntry>;
  /** Rejects with WEBHOOK_NOT_FOUND. */
  remove(origin: Origin, name: string): Promise<void>;
  /** A new secret; those before it sign beside it for `overlapMs`. Rejects with WEBHOOK_NOT_FOUND. */
  rotate(origin: Origin, name: string, overlapMs: number): Promise<WebhookEntry>;
  /** Nothing more is sent. One that is shut stays as it is. Rejects with WEBHOOK_NOT_FOUND. */
  disable(origin: Origin, name: string, reason: string | null): Promise<WebhookEntry>;
  /** What has come meanwhile is sent. Rejects with WEBHOOK_NOT_FOUND. */
  enable(origin: Origin, name: string): Promise<WebhookEntry>;
  /** Servers are to deliver from now on, whoever asks for it. */
  use(): Promise<void>;
  /** Calls `fn` when somebody asks for that over this engine; returns what ends it. */
  onUse(fn: () => void): () => void;
  /** Whether anybody has asked for that. */
  isInUse(): Promise<boolean>;
}

export interface WebhookOfficeOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly subscriptions: Subscriptions;
  /** Hears of what was published. */
  readonly published: (transitions: readonly Transition[]) => void;
  /** Is told that subscriptions of the tenant have changed. */
  readonly changed: (tenant: string) => void;
  /** Looks for topics that were registered elsewhere a moment ago. */
  readonly look: () => Promise<void>;
}

/** What becomes of an endpoint. */
interface Change {
  /** null = it goes. */
  readonly next: WebhookEntry | null;
  readonly what: 'made' | 'changed' | 'removed' | 'rotated' | 'disabled' | 'enabled';
  readonly reason?: string | null;
}

interface Known {
  readonly readAtMs: number;
  readonly entries: ReadonlyMap<string, WebhookEntry>;
}

export class WebhookOffice implements Webhooks {
  readonly #options: WebhookOfficeOptions;
  readonly #context: EngineContext;
  readonly #known = new Map<string, Known>();
  readonly #onUse = new Set<() => void>();

  constructor(options: WebhookOfficeOptions) {
    this.#options = options;
    this.#context = options.context;
  }

  async list(tenant: string): Promise<readonly WebhookEntry[]> {
    const rows = await readSpace(this.#context.store, tenant, endpointSpace);
    return rows.map(entryOf).sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  }

  async find(tenant: string, name: string): Promise<WebhookEntry | null> {
    const nowMs = this.#context.ports.clock.monotonicMs();
    const known = this.#known.get(tenant);
    if (known !== undefined && nowMs - known.readAtMs < staleMs) return known.entries.get(name) ?? null;
    const entries = new Map((await this.list(tenant)).map((one) => [one.spec.name, one]));
    if (this.#known.size >= tenantsMax) this.#known.clear();
    this.#known.set(tenant, { readAtMs: nowMs, entries });
    return entries.get(name) ?? null;
  }

  async put(origin: Origin, name: string, options: Readonly<Record<string, unknown>>): Promise<WebhookEntry> {
    const faults: string[] = [];
    const spec = readWebhook(name, options, (fault) => faults.push(fault));
    if (faults.length > 0) throw new SpineError('WEBHOOK_INVALID', { name: name.slice(0, 80), faults });
    const { catalog, look } = this.#options;
    if (spec.topics.some((topic) => catalog.topic(topic) === null)) await look();
    for (const topic of spec.topics)
      if (catalog.topic(topic) === null)
        throw new SpineError('TOPIC_UNKNOWN', { name: topic, known: catalog.topicNames() });
    await this.use();
    return this.#changed(origin, name, async (before, at) => {
      if (before === null && (await this.list(origin.tenant)).length >= limits.webhooksPerTenantMax)
        throw new SpineError('WEBHOOKS_FULL', { most: limits.webhooksPerTenantMax });
      if (before !== null && JSON.stringify(before.spec) === JSON.stringify(spec)) return null;
      const next: WebhookEntry =
        before === null
          ? {
              spec,
              salt: toBase64(this.#context.ports.random.bytes(16)),
              secrets: [{ number: 1, at, until: null }],
              disabled: null,
              by: origin.actor,
              at,
            }
          : { ...before, spec, by: origin.actor, at };
      return { next, what: before === null ? 'made' : 'changed' };
    });
  }

  async remove(origin: Origin, name: string): Promise<void> {
    await this.#change(origin, name, async (before) => {
      if (before === null) throw notFound(name);
      return { next: null, what: 'removed' };
    });
  }

  rotate(origin: Origin, name: string, overlapMs: number): Promise<WebhookEntry> {
    return this.#changed(origin, name, async (before, at) => {
      if (before === null) throw notFound(name);
      const [newest, ...older] = before.secrets;
      const made: WebhookSecret = { number: (newest?.number ?? 0) + 1, at, until: null };
      const kept = [
        ...(newest === undefined ? [] : [{ ...newest, until: at + overlapMs }]),
        ...older.map((one) => ({ ...one, until: Math.min(one.until ?? at, at + overlapMs) })),
      ].filter(({ until }) => until > at);
      return { next: { ...before, secrets: [made, ...kept].slice(0, secretsMax) }, what: 'rotated' };
    });
  }

  disable(origin: Origin, name: string, reason: string | null): Promise<WebhookEntry> {
    return this.#changed(origin, name, async (before, at) => {
      if (before === null) throw notFound(name);
      if (before.disabled !== null) return null;
      return { next: { ...before, disabled: { by: origin.actor, at, reason } }, what: 'disabled', reason };
    });
  }

  enable(origin: Origin, name: string): Promise<WebhookEntry> {
    return this.#changed(origin, name, async (before) => {
      if (before === null) throw notFound(name);
      return before.disabled === null ? null : { next: { ...before, disabled: null }, what: 'enabled' };
    });
  }

  async use(): Promise<void> {
    if (await this.isInUse()) return this.#tellUsed();
    const { store } = this.#context;
    const place = { space: inUseSpace, key: 'since', ref: '' };
    await store.apply([
      { tenant: systemTenant, entries: [{ op: 'put', ...place, value: '', run: '', at: store.now() }] },
    ]);
    this.#tellUsed();
  }

  onUse(fn: () => void): () => void {
    this.#onUse.add(fn);
    return () => this.#onUse.delete(fn);
  }

  #tellUsed(): void {
    for (const fn of this.#onUse) fn();
  }

  async isInUse(): Promise<boolean> {
    return (await readSpace(this.#context.store, systemTenant, inUseSpace, 'since', 1)).length > 0;
  }

  async #changed(
    origin: Origin,
    name: string,
    decide: (before: WebhookEntry | null, at: number) => Promise<Change | null>,
  ): Promise<WebhookEntry> {
    const after = await this.#change(origin, name, decide);
    if (after === null) throw notFound(name);
    return after;
  }

  /** Reads, decides and writes, again for as long as another was quicker. Resolves with what is there then. */
  async #change(
    origin: Origin,
    name: string,
    decide: (before: WebhookEntry | null, at: number) => Promise<Change | null>,
  ): Promise<WebhookEntry | null> {
    const { store } = this.#context;
    const { tenant } = origin;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const row = await readEntry(store, tenant, placeOf(name));
      const before = row === null ? null : entryOf(row);
      const at = store.now();
      const change = await decide(before, at);
      if (change === null) return before;
      if (!(await this.#write(origin, name, { row, before, change, at }))) continue;
      this.#known.delete(tenant);
      this.#options.changed(tenant);
      return change.next;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  /** False = somebody else has changed it meanwhile. */
  async #write(
    origin: Origin,
    name: string,
    found: {
      readonly row: EntryRow | null;
      readonly before: WebhookEntry | null;
      readonly change: Change;
      readonly at: number;
    },
  ): Promise<boolean> {
    const { context, catalog, published } = this.#options;
    const { row, before, change, at } = found;
    const { tenant, actor, correlation, traceparent } = origin;
    const { next } = change;
    const expected = row?.value ?? null;
    const entry: EntryWrite =
      next === null
        ? { op: 'drop', ...placeOf(name), expected }
        : { op: 'put', ...placeOf(name), value: JSON.stringify(next), run: '', at, expected };
    const subscriptions = await this.#subscriptionWrites(tenant, before, next, at);
    const value = {
      endpoint: name,
      change: change.what,
      by: actor,
      ...(change.reason === undefined ? {} : { reason: change.reason }),
    };
    const event = {
      topic: webhooksTopic.name,
      id: newId('event', context.ports),
      source: 'eventspine/webhooks',
      type: webhooksTopic.name,
      data: payloadOfJson(value),
      value,
    };
    const cause = { tenant, actor, cause: null, correlation, traceparent };
    const { write, blobs } = preparePublication(context, catalog, event, cause, at);
    const transition: Transition = { tenant, entries: [entry, ...subscriptions], publishes: [write], blobs };
    const [outcome] = await context.store.apply([transition]);
    if (outcome?.tag === 'applied') published([transition]);
    else if (outcome?.tag !== 'conflict') throw new SpineError('STORE_BUSY', {});
    return outcome.tag === 'applied';
  }

  /** What makes the subscriptions those of the endpoint as it is to be. */
  async #subscriptionWrites(
    tenant: string,
    before: WebhookEntry | null,
    next: WebhookEntry | null,
    at: number,
  ): Promise<EntryWrite[]> {
    const { store } = this.#context;
    const had = before === null ? [] : subscriptionsOf(before.spec);
    const wanted = next === null ? [] : subscriptionsOf(next.spec);
    const writes: EntryWrite[] = [];
    for (const { name } of had) {
      if (wanted.some((one) => one.name === name)) continue;
      const cursors = await readCursors(store, tenant, name);
      writes.push(
        { op: 'drop', space: subscriptionSpace, key: name, ref: '' },
        { op: 'drop', space: subscriptionSettingSpace, key: name, ref: '' },
        ...cursors.map(({ ref }): EntryWrite => ({ op: 'drop', space: subscriptionCursorSpace, key: name, ref })),
      );
    }
    for (const spec of wanted) {
      const isNew = !had.some((one) => one.name === spec.name);
      // Before it is there: every server is to know of it from its start on.
      if (isNew) await this.#options.subscriptions.announce(tenant, spec.name);
      if (next !== null) writes.push(...(await this.#writesOf(tenant, spec, next, isNew, at)));
    }
    return writes;
  }

  async #writesOf(
    tenant: string,
    spec: Subscription,
    { by, disabled, spec: { name: webhook } }: WebhookEntry,
    isNew: boolean,
    at: number,
  ): Promise<EntryWrite[]> {
    const { store } = this.#context;
    const place = { space: subscriptionSpace, key: spec.name, ref: '' };
    const row = await readEntry(store, tenant, place);
    const made: MadeSubscription = {
      spec,
      by,
      webhook,
      at: row === null ? at : (JSON.parse(row.value) as MadeSubscription).at,
    };
    const setting = { space: subscriptionSettingSpace, key: spec.name, ref: '' };
    const paused: SubscriptionSetting = { paused: disabled };
    return [
      { op: 'put', ...place, value: JSON.stringify(made), run: '', at },
      disabled === null
        ? { op: 'drop', ...setting }
        : { op: 'put', ...setting, value: JSON.stringify(paused), run: '', at },
      ...(isNew ? await cursorsAtHeads(store, tenant, spec, at) : []),
    ];
  }
}

function entryOf({ value }: EntryRow): WebhookEntry {
  return JSON.parse(value) as WebhookEntry;
}

function placeOf(name: string): { readonly space: string; readonly key: string; readonly ref: string } {
  return { space: endpointSpace, key: name, ref: '' };
}

function notFound(name: string): SpineError {
  return new SpineError('WEBHOOK_NOT_FOUND', { name: name.slice(0, limits.webhookNameLengthMax) });
}

const staleMs = 1_000;
const tenantsMax = 1_000;
const attemptsMax = 20;
/** Secrets of one endpoint that sign at one time. */
const secretsMax = 3;
