/**
 * Limits for operators: what there is, how it stands, and what is set in place of what apps declare. Each change is an event
 * of the topic `eventspine.limits`, in the same commit; what it makes room for goes on at once.
 */
import { limitOfKey, type LimitSpec } from '../../core/admission/limit.js';
import { optionsOf, readLimit, type LimitOptions } from '../../core/admission/limit-options.js';
import { counterView, type CounterView } from '../../core/admission/ledger.js';
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { limitsTopic } from '../../core/manifest.js';
import type { LimitView } from '../../protocol/http.js';
import type { EntryWrite, Transition } from '../../store/contract.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { preparePublication } from '../topics/publication.js';
import { systemTenant } from '../system-tenant.js';
import { readCounters } from './counter-rows.js';
import { settingSpace, type LimitRules, type LimitSetting } from './limit-rules.js';

export interface LimitsOfficeOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly rules: LimitRules;
  /** Is told of what was published, and that limits have changed. */
  readonly changed: (transitions: readonly Transition[]) => Promise<void>;
}

/** What the event of a change says. `to`: null = nothing is limited by it any more. */
interface LimitChange {
  readonly limit: string;
  readonly change: 'set' | 'reset';
  readonly to: LimitOptions | null;
}

export class LimitsOffice {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #rules: LimitRules;
  readonly #changed: LimitsOfficeOptions['changed'];

  constructor({ context, catalog, rules, changed }: LimitsOfficeOptions) {
    this.#context = context;
    this.#catalog = catalog;
    this.#rules = rules;
    this.#changed = changed;
  }

  async list(): Promise<LimitView[]> {
    await this.#rules.refresh();
    const counters = await this.#counters();
    return [...this.#rules.inForce.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((spec) => this.#viewOf(spec, counters.get(spec.name) ?? []));
  }

  async read(name: string): Promise<LimitView | null> {
    await this.#rules.refresh();
    const spec = this.#rules.inForce.get(name);
    return spec === undefined ? null : this.#viewOf(spec, (await this.#counters()).get(name) ?? []);
  }

  /** Sets a limit in place of what apps declare. Rejects with LIMIT_INVALID. */
  async put(origin: Origin, name: string, options: unknown): Promise<LimitView> {
    const faults: string[] = [];
    const spec = readLimit(name, options, (fault) => faults.push(fault));
    if (faults.length > 0) throw new SpineError('LIMIT_INVALID', { name, faults });
    const at = this.#context.store.now();
    const value: LimitSetting = { spec, by: origin.actor, at };
    const setting: EntryWrite = {
      op: 'put',
      space: settingSpace,
      key: name,
      ref: '',
      value: JSON.stringify(value),
      run: '',
      at,
    };
    await this.#change(origin, setting, { limit: name, change: 'set', to: optionsOf(spec) });
    return this.#viewOf(spec, (await this.#counters()).get(name) ?? []);
  }

  /** What apps declare holds again; null = they declare nothing. Rejects with LIMIT_NOT_FOUND where nothing was set. */
  async reset(origin: Origin, name: string): Promise<void> {
    await this.#rules.refresh();
    if (this.#rules.setting(name) === null) throw new SpineError('LIMIT_NOT_FOUND', { name });
    const declared = this.#rules.declared(name);
    const to = declared === null ? null : optionsOf(declared);
    await this.#change(
      origin,
      { op: 'drop', space: settingSpace, key: name, ref: '' },
      { limit: name, change: 'reset', to },
    );
  }

  async #change(origin: Origin, setting: EntryWrite, value: LimitChange): Promise<void> {
    const { store, ports } = this.#context;
    const id = newId('event', ports);
    const { tenant, actor, correlation, traceparent } = origin;
    const event = {
      topic: limitsTopic.name,
      id,
      source: `limit/${value.limit}`,
      type: limitsTopic.name,
      key: value.limit,
      data: payloadOfJson(value),
      value,
    };
    const cause = { tenant, actor, cause: null, correlation, traceparent };
    const { write, dedupe, blobs } = preparePublication(this.#context, this.#catalog, event, cause, store.now());
    const transitions: Transition[] = [
      { tenant: systemTenant, entries: [setting] },
      { tenant, publishes: [write], dedupe: [dedupe], blobs },
    ];
    const outcomes = await store.apply(transitions);
    if (outcomes.some(({ tag }) => tag !== 'applied')) throw new SpineError('STORE_BUSY', {});
    await this.#changed(transitions);
  }

  async #counters(): Promise<ReadonlyMap<string, readonly CounterView[]>> {
    const { store } = this.#context;
    const now = store.now();
    const views = new Map<string, CounterView[]>();
    for (const { key, counter } of await readCounters(store)) {
      const view = counterView(key, counter, this.#rules.ruleOf(key), now);
      if (view === null) continue;
      const name = limitOfKey(key);
      views.set(name, [...(views.get(name) ?? []), view]);
    }
    return views;
  }

  #viewOf(spec: LimitSpec, counters: readonly CounterView[]): LimitView {
    const setting = this.#rules.setting(spec.name);
    const fullness = ({ used, limit }: CounterView): number => (limit === 0 ? Number.POSITIVE_INFINITY : used / limit);
    return {
      name: spec.name,
      kind: spec.rule.kind,
      options: optionsOf(spec),
      declared: this.#rules.declared(spec.name) !== null,
      set: setting === null ? null : { by: setting.by, at: isoOf(setting.at) },
      counterCount: counters.length,
      counters: [...counters]
        .sort((a, b) => fullness(b) - fullness(a))
        .slice(0, limits.pageItemsDefault)
        .map(({ key, used, limit, resetAt }) => ({
          key,
          used,
          limit,
          resetAt: resetAt === null ? null : isoOf(resetAt),
        })),
    };
  }
}
