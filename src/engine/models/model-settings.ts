/**
 * Models as they are in force: those that apps declare, with what operators have set over them. Settings are entries of the
 * store, so that every server goes by the same.
 *
 * Invariant: what operators have set stays as they have set it, whatever is deployed, until they change it.
 */
import type { ModelManifest } from '../../core/manifest.js';
import { inForce, type ModelSetting } from '../../core/models/settings.js';
import { readSpace } from '../admission/counter-rows.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { systemTenant } from '../system-tenant.js';

/** Space of what operators have set. Key: the model. */
export const settingSpace = 'model-settings';

export class ModelSettings {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  #settings: ReadonlyMap<string, ModelSetting> = new Map();
  #declared: ReadonlyMap<string, ModelManifest> | null = null;
  #inForce: ReadonlyMap<string, ModelManifest> = new Map();

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  /** All models, by name, with the weights in force. */
  get all(): ReadonlyMap<string, ModelManifest> {
    const declared = this.#catalog.models;
    if (this.#declared === declared) return this.#inForce;
    this.#declared = declared;
    this.#inForce = new Map(
      [...declared].map(([name, model]) => [name, inForce(model, this.#settings.get(name) ?? null)]),
    );
    return this.#inForce;
  }

  model(name: string): ModelManifest | null {
    return this.all.get(name) ?? null;
  }

  setting(name: string): ModelSetting | null {
    return this.#settings.get(name) ?? null;
  }

  /** What an operator has set just now. */
  put(name: string, setting: ModelSetting): void {
    this.#settings = new Map([...this.#settings, [name, setting]]);
    this.#declared = null;
  }

  /** Reads what operators have set. */
  async refresh(): Promise<void> {
    const rows = await readSpace(this.#context.store, systemTenant, settingSpace);
    this.#settings = new Map(rows.map(({ key, value }) => [key, JSON.parse(value) as ModelSetting]));
    this.#declared = null;
  }
}
