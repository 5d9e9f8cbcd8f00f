/**
 * Which subscriptions there are: those that apps declare, for every tenant, and those that were made over the API, of one
 * tenant; with what operators have set of them. Both ways to consume one (runs, and consumers that pull) ask here.
 *
 * Invariant: what is answered may be `staleMs` old, so that whoever acts on it guards its transition by the entry of the
 * setting (`settingGuard`): nothing is begun after a pause was answered.
 */
import type { Manifest } from '../../core/manifest.js';
import type { Subscription } from '../../core/topics/subscription.js';
import type { EntryWrite } from '../../store/contract.js';
import { readSpace } from '../admission/counter-rows.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { systemTenant } from '../system-tenant.js';
import { readEntry, type Since } from './cursors.js';

/** Space of subscriptions made over the API. Key: the name; value: JSON of `MadeSubscription`. */
export const subscriptionSpace = 'subscription';

/** Space of what operators have set. Key: the name; value: JSON of `SubscriptionSetting`. */
export const subscriptionSettingSpace = 'subscription-setting';

/** Space, of the installation, of subscriptions made over the API that start runs. Key: the tenant; ref: the name. */
const startingSpace = 'subscription-starting';

/** Space, of the installation, of when subscriptions were first declared. Key: the name; value: JSON of `Since`. */
const sinceSpace = 'subscription-since';

/** A subscription as it was made over the API. */
export interface MadeSubscription {
  readonly spec: Subscription;
  readonly by: string;
  readonly at: number;
  /** What it was made for: `replay` = it ends where the topic ended when it was made. Absent = a subscription like any other. */
  readonly purpose?: 'replay';
  /** The webhook endpoint that its runs deliver to. Absent = none. */
  readonly webhook?: string;
}

/** What operators have set of a subscription. */
export interface SubscriptionSetting {
  /** null = it is not paused. */
  readonly paused: { readonly by: string; readonly at: number; readonly reason: string | null } | null;
}

/** A subscription of a tenant, with all that is known of it. */
export interface SubscriptionInForce {
  readonly spec: Subscription;
  /** null = an app declares it. */
  readonly made: MadeSubscription | null;
  readonly setting: SubscriptionSetting | null;
  /** The entry of the setting as it was read; null = there is none. */
  readonly settingText: string | null;
}

interface OfTenant {
  readonly readAtMs: number;
  readonly made: ReadonlyMap<string, MadeSubscription>;
  readonly settings: ReadonlyMap<string, string>;
}

export class Subscriptions {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #tenants = new Map<string, OfTenant>();
  /** Since when those that apps declare are there. */
  readonly #since = new Map<string, Since>();
  readonly #undated = new Map<string, number>();
  #dating: Promise<void> = Promise.resolve();

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  /** The subscriptions of a topic for a tenant, in the order of their names. */
  async of(tenant: string, topic: string): Promise<readonly SubscriptionInForce[]> {
    return (await this.list(tenant)).filter(({ spec }) => spec.topic === topic);
  }

  /** All of a tenant, in the order of their names. */
  async list(tenant: string): Promise<readonly SubscriptionInForce[]> {
    const known = await this.#ofTenant(tenant);
    const { subscriptions: declared } = this.#catalog;
    const made = [...known.made].filter(([name]) => !declared.has(name));
    return [
      ...[...declared].map(([name, spec]) => inForce(name, spec, null, known)),
      ...made.map(([name, one]) => inForce(name, one.spec, one, known)),
    ].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  }

  /** null = there is none of this name. */
  async find(tenant: string, name: string): Promise<SubscriptionInForce | null> {
    return (await this.list(tenant)).find(({ spec }) => spec.name === name) ?? null;
  }

  /** Whether there is a subscription that starts runs, as far as is known here without asking the store. */
  get startRuns(): boolean {
    for (const { workflow } of this.#catalog.subscriptions.values()) if (workflow !== null) return true;
    for (const { made } of this.#tenants.values())
      for (const { spec } of made.values()) if (spec.workflow !== null) return true;
    return false;
  }

  /** The same of a topic. What was made over the API of another server is known once anything of its tenant was read. */
  mayStartRuns(tenant: string, topic: string): boolean {
    const startsRuns = ({ topic: of, workflow }: Subscription): boolean => of === topic && workflow !== null;
    for (const spec of this.#catalog.subscriptions.values()) if (startsRuns(spec)) return true;
    const known = this.#tenants.get(tenant);
    return known !== undefined && [...known.made.values()].some(({ spec }) => startsRuns(spec));
  }

  /** Whether anybody in the tenant reads the topic by a subscription, whichever way it is consumed. */
  mayRead(tenant: string, topic: string): boolean {
    for (const spec of this.#catalog.subscriptions.values()) if (spec.topic === topic) return true;
    const known = this.#tenants.get(tenant);
    return known !== undefined && [...known.made.values()].some(({ spec }) => spec.topic === topic);
  }

  /** Something was changed of a tenant's: the next who ask read anew. */
  forget(tenant: string): void {
    const known = this.#tenants.get(tenant);
    if (known !== undefined) this.#tenants.set(tenant, { ...known, readAtMs: Number.NEGATIVE_INFINITY });
  }

  /** Takes note of tenants that have made subscriptions which start runs. */
  async start(): Promise<void> {
    const rows = await readSpace(this.#context.store, systemTenant, startingSpace);
    for (const tenant of new Set(rows.map(({ key }) => key))) await this.list(tenant);
  }

  /** Every server is to know, from its start on, that this one starts runs. Before it is there. */
  async announce(tenant: string, name: string): Promise<void> {
    const { store } = this.#context;
    const place = { space: startingSpace, key: tenant, ref: name };
    await store.apply([
      { tenant: systemTenant, entries: [{ op: 'put', ...place, value: '', run: '', at: store.now() }] },
    ]);
  }

  /** From where on events are new to a subscription. */
  async since({ spec: { name }, made }: SubscriptionInForce): Promise<Since> {
    if (made !== null) return { at: made.at, position: null };
    if (!this.#since.has(name)) await this.settle();
    const known = this.#since.get(name);
    if (known !== undefined) return known;
    // Nobody has dated it yet: its manifest was in force here before this server heard of when.
    const now = this.#context.store.now();
    this.#undated.set(name, now);
    await this.settle();
    return this.#since.get(name) ?? { at: now, position: null };
  }

  /** A manifest is in force: what it declares is there since then, unless it was before. */
  registered({ subscriptions = [] }: Manifest, registeredAt: number): void {
    for (const { name } of subscriptions)
      if (!this.#since.has(name) && !this.#undated.has(name)) this.#undated.set(name, registeredAt);
  }

  /** Writes down since when subscriptions are there. What fails is tried again the next time; two servers may do it at once. */
  async settle(): Promise<void> {
    const before = this.#dating;
    this.#dating = before.then(() => this.#dateAll());
    await this.#dating;
  }

  async #dateAll(): Promise<void> {
    for (const [name, at] of this.#undated) {
      try {
        this.#since.set(name, await this.#date(name, at));
        this.#undated.delete(name);
      } catch (error) {
        this.#context.fault(`subscription ${name}`, error);
      }
    }
  }

  async #date(name: string, at: number): Promise<Since> {
    const { store } = this.#context;
    const place = { space: sinceSpace, key: name, ref: '' };
    const known = await readEntry(store, systemTenant, place);
    if (known !== null) return JSON.parse(known.value) as Since;
    const since: Since = { at, position: await store.feedHead() };
    const entry: EntryWrite = { op: 'put', ...place, value: JSON.stringify(since), run: '', at, expected: null };
    const [outcome] = await store.apply([{ tenant: systemTenant, entries: [entry] }]);
    if (outcome?.tag === 'applied') return since;
    // A neighbour was quicker.
    const row = await readEntry(store, systemTenant, place);
    return row === null ? since : (JSON.parse(row.value) as Since);
  }

  /** What tenants have made stays known: publishers ask for it without waiting for the store. */
  #forgetSome(): void {
    for (const [tenant, { made }] of this.#tenants) if (made.size === 0) this.#tenants.delete(tenant);
  }

  async #ofTenant(tenant: string): Promise<OfTenant> {
    const nowMs = this.#context.ports.clock.monotonicMs();
    const known = this.#tenants.get(tenant);
    if (known !== undefined && nowMs - known.readAtMs < staleMs) return known;
    const [made, settings] = await Promise.all([
      readSpace(this.#context.store, tenant, subscriptionSpace),
      readSpace(this.#context.store, tenant, subscriptionSettingSpace),
    ]);
    const fresh: OfTenant = {
      readAtMs: nowMs,
      made: new Map(made.map(({ key, value }) => [key, JSON.parse(value) as MadeSubscription])),
      settings: new Map(settings.map(({ key, value }) => [key, value])),
    };
    if (this.#tenants.size >= tenantsMax) this.#forgetSome();
    this.#tenants.set(tenant, fresh);
    return fresh;
  }
}

/** Refuses a transition where the setting of a subscription is no longer what it was when it was read. */
export function settingGuard({ spec, settingText }: SubscriptionInForce, now: number): EntryWrite {
  const place = { space: subscriptionSettingSpace, key: spec.name, ref: '' };
  return settingText === null
    ? { op: 'drop', ...place, expected: null }
    : { op: 'put', ...place, value: settingText, run: '', at: now, expected: settingText };
}

function inForce(
  name: string,
  spec: Subscription,
  made: MadeSubscription | null,
  { settings }: OfTenant,
): SubscriptionInForce {
  const settingText = settings.get(name) ?? null;
  const setting = settingText === null ? null : (JSON.parse(settingText) as SubscriptionSetting);
  return { spec, made, setting, settingText };
}

/** How old an answer may be. */
const staleMs = 1_000;
/** Tenants of which is remembered what they have. */
const tenantsMax = 10_000;
