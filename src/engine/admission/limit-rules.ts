/**
 * The limits in force: those that apps declare, with what operators have set in their place. Operators' words are entries of
 * the store, so that every server reads the same.
 *
 * Invariant: a limit that operators have set stays as they have set it, whatever is deployed, until it is reset.
 */
import { limitOfKey, type LimitRule, type LimitSpec } from '../../core/admission/limit.js';
import type { EntryRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { systemTenant } from '../system-tenant.js';

/** Space of what operators have set. Key: the limit. */
export const settingSpace = 'limit-settings';

/** What operators have set of one limit. */
export interface LimitSetting {
  readonly spec: LimitSpec;
  readonly by: string;
  readonly at: number;
}

export class LimitRules {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  #settings: ReadonlyMap<string, LimitSetting> = new Map();
  #settingsText = '';
  #declared: ReadonlyMap<string, LimitSpec> | null = null;
  #inForce: ReadonlyMap<string, LimitSpec> = new Map();

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  /** The limits in force; another map when anything has changed. */
  get inForce(): ReadonlyMap<string, LimitSpec> {
    const declared = this.#catalog.limits;
    if (this.#declared === declared) return this.#inForce;
    this.#declared = declared;
    const set = [...this.#settings].map(([name, { spec }]) => [name, spec] as const);
    this.#inForce = new Map([...declared, ...set]);
    return this.#inForce;
  }

  /** The rule for a counter; null = its limit is no longer there. */
  ruleOf(key: string): LimitRule | null {
    return this.inForce.get(limitOfKey(key))?.rule ?? null;
  }

  declared(name: string): LimitSpec | null {
    return this.#catalog.limits.get(name) ?? null;
  }

  setting(name: string): LimitSetting | null {
    return this.#settings.get(name) ?? null;
  }

  /** Reads what operators have set. */
  async refresh(): Promise<void> {
    const rows: EntryRow[] = [];
    let after: EntryRow | undefined;
    for (;;) {
      const page: readonly EntryRow[] = await this.#context.store.readEntries({
        tenant: systemTenant,
        space: settingSpace,
        ...(after === undefined ? {} : { after }),
        limit: pageRows,
      });
      rows.push(...page);
      after = page.at(-1);
      if (page.length < pageRows) break;
    }
    const text = JSON.stringify(rows.map(({ key, value }) => [key, value]));
    if (text === this.#settingsText) return;
    this.#settingsText = text;
    this.#settings = new Map(rows.map(({ key, value }) => [key, JSON.parse(value) as LimitSetting]));
    this.#declared = null;
  }
}

const pageRows = 500;
