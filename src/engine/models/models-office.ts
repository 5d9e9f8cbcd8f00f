/**
 * Models for operators: what there is, how it does, and what is changed while it runs. Each change is an event of the topic
 * `eventspine.models`, in the same transition.
 */
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { modelsTopic, type ModelManifest } from '../../core/manifest.js';
import { compareArms, emptyTally, type ArmTally } from '../../core/models/arm-tally.js';
import { changedSetting, unchanged, type ModelChange, type ModelSetting } from '../../core/models/settings.js';
import { evidenceOf, spentOn } from '../../core/models/shadow.js';
import type { RunState } from '../../core/run/state.js';
import type {
  ModelArmView,
  ModelReportView,
  ModelShadowView,
  ModelVersionView,
  ModelView,
} from '../../protocol/http.js';
import type { ModelOutcome, Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { preparePublication } from '../topics/publication.js';
import type { Pauses } from './pauses.js';
import type { ArmTallies } from './arm-tallies.js';
import type { Breakers } from './breakers.js';
import { settingSpace, type ModelSettings } from './model-settings.js';
import { changeValue } from './shared-value.js';
import type { Shadows } from './shadows.js';

export interface ModelsOfficeOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly settings: ModelSettings;
  readonly breakers: Breakers;
  readonly pauses: Pauses;
  readonly tallies: ArmTallies;
  readonly shadows: Shadows;
}

/** What operators may do: also to what is not a setting. */
export type ModelOrder = ModelChange | { readonly change: 'reset-breaker'; readonly version: string };

export class ModelsOffice {
  readonly #options: ModelsOfficeOptions;

  constructor(options: ModelsOfficeOptions) {
    this.#options = options;
  }

  async list(): Promise<ModelView[]> {
    const { settings, breakers, pauses } = this.#options;
    await Promise.all([settings.refresh(), breakers.refresh(), pauses.refresh()]);
    const models = [...settings.all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return await Promise.all(models.map((model) => this.#viewOf(model)));
  }

  async read(name: string): Promise<ModelView | null> {
    const { settings, breakers, pauses } = this.#options;
    await Promise.all([settings.refresh(), breakers.refresh(), pauses.refresh()]);
    const model = settings.model(name);
    return model === null ? null : await this.#viewOf(model);
  }

  /** Rejects with MODEL_UNKNOWN and MODEL_CHANGE_INVALID. */
  async change(origin: Origin, name: string, order: ModelOrder): Promise<ModelView> {
    const { catalog, settings } = this.#options;
    const declared = catalog.model(name);
    if (declared === null) throw new SpineError('MODEL_UNKNOWN', { name });
    if (order.change === 'reset-breaker') await this.#resetBreaker(declared, order.version, origin.actor);
    else {
      const set = await changeValue<ModelSetting>(
        this.#options,
        { space: settingSpace, key: name, ref: '' },
        origin.actor,
        (before, now) => {
          const next = changedSetting(before ?? unchanged, order, declared, origin.actor, now);
          if (!('past' in next)) throw new SpineError('MODEL_CHANGE_INVALID', { model: name, faults: next });
          const of = (setting: ModelSetting | null) =>
            order.change === 'shadow' ? (setting?.shadow ?? null) : (setting?.weights ?? null);
          const [from, to] = [of(before), of(next)];
          return { value: next, event: { change: order.change, model: name, from, to, by: origin.actor } };
        },
      );
      if (set !== null) settings.put(name, set);
    }
    return await this.#viewOf(settings.model(name) ?? declared);
  }

  async #resetBreaker({ name, versions }: ModelManifest, version: string, actor: string): Promise<void> {
    const found = versions.find((one) => one.version === version);
    if (found === undefined)
      throw new SpineError('MODEL_CHANGE_INVALID', { model: name, faults: [`there is no version "${version}"`] });
    await this.#options.breakers.reset(found.endpoint, actor);
    await this.#options.pauses.reset(found.endpoint, actor);
  }

  /** How the versions of a model do, each against `against` (default: the first that the app names). Null = no such model. */
  async report(name: string, alpha: number, against: string | null): Promise<ModelReportView | null> {
    const { catalog, tallies, settings } = this.#options;
    const model = catalog.model(name);
    const base = against ?? model?.versions[0]?.version ?? '';
    if (model === null || !model.versions.some(({ version }) => version === base)) return null;
    await settings.refresh();
    const [known, shadow] = await Promise.all([tallies.read(name), this.#shadowView(name, alpha)]);
    const of = (version: string): ArmTally => known.get(version) ?? emptyTally;
    // Also those that have gone from the app: what they came to is still of interest.
    const versions = [...new Set([...model.versions.map(({ version }) => version), ...known.keys()])];
    return {
      model: name,
      against: base,
      alpha,
      arms: versions.map((version) => ({
        ...armView(version, of(version)),
        comparisons: version === base ? [] : compareArms(of(version), of(base), alpha),
      })),
      shadow,
    };
  }

  /**
   * What somebody has made of the answers of a model in a run. One for each run, model and id; a repeat is `already`. Rejects
   * with OUTCOME_INVALID.
   */
  async outcome(origin: Origin, state: RunState, { model, score, id }: ModelOutcome): Promise<'recorded' | 'already'> {
    const { context, catalog, tallies } = this.#options;
    const { run } = state;
    const version = state.arms.get(model);
    const faults: string[] = [];
    if (version === undefined) faults.push(`the run has not asked a model "${model}"`);
    if (!(score >= 0 && score <= 1)) faults.push('score is not a number from 0 to 1');
    if (id.length > limits.nameLengthMax) faults.push(`id is longer than ${limits.nameLengthMax} characters`);
    if (version === undefined || faults.length > 0) throw new SpineError('OUTCOME_INVALID', { run, faults });
    const { tenant, actor, correlation, traceparent } = origin;
    const value = { change: 'outcome', run, model, version, score, by: actor };
    const event = {
      topic: modelsTopic.name,
      id: `outcome/${run}/${model}/${id}`,
      source: `run/${run}`,
      type: modelsTopic.name,
      data: payloadOfJson(value),
      value,
    };
    const cause = { tenant, actor, cause: null, correlation, traceparent };
    const { write, dedupe, blobs } = preparePublication(context, catalog, event, cause, context.store.now());
    const [outcome] = await context.store.apply([{ tenant, publishes: [write], dedupe: [dedupe], blobs }]);
    if (outcome?.tag === 'duplicate') return 'already';
    if (outcome?.tag !== 'applied') throw new SpineError('STORE_BUSY', {});
    tallies.score({ model, version }, score);
    return 'recorded';
  }

  async #viewOf({ name, policy, versions }: ModelManifest): Promise<ModelView> {
    const { catalog, settings } = this.#options;
    const shadow = await this.#shadowView(name, alphaDefault);
    const setting = settings.setting(name);
    const declared = catalog.model(name)?.versions ?? versions;
    return {
      name,
      policy,
      versions: versions.map((version) => this.#versionView(version, declared)),
      set: setting === null || setting.weights === null ? null : { by: setting.by, at: isoOf(setting.at) },
      steps: setting?.past.length ?? 0,
      shadow,
    };
  }

  async #shadowView(name: string, alpha: number): Promise<ModelShadowView | null> {
    const { context, settings, shadows } = this.#options;
    const state = await shadows.read(name);
    const rule = settings.model(name)?.shadow ?? null;
    if (rule === null && state.tallies.length === 0) return null;
    return {
      rule,
      isSet: settings.setting(name)?.shadow !== undefined,
      underWay: state.underWay.length,
      spentTodayMicros: spentOn(state, context.store.now()),
      evidence: state.tallies.map((tally) => evidenceOf(tally, alpha)),
    };
  }

  #versionView(
    { version, endpoint, weight, windowTokens, outputTokensMax, price }: ModelManifest['versions'][number],
    declared: ModelManifest['versions'],
  ): ModelVersionView {
    const breaker = this.#options.breakers.of(endpoint);
    const pausedUntil = this.#options.pauses.until(endpoint);
    return {
      version,
      endpoint,
      weight,
      declaredWeight: declared.find((one) => one.version === version)?.weight ?? 0,
      windowTokens,
      outputTokensMax,
      price,
      breaker: { state: breaker.state, probeAt: breaker.state === 'open' ? isoOf(breaker.probeAt) : null },
      pausedUntil: pausedUntil === null ? null : isoOf(pausedUntil),
    };
  }
}

/** What intervals are shown at where nobody asks for another. */
const alphaDefault = 0.05;

function armView(version: string, tally: ArmTally): Omit<ModelArmView, 'comparisons'> {
  const { inferences, failures, latency, cost, scores } = tally;
  return {
    version,
    inferences,
    failures,
    latencyMs: latency.n === 0 ? null : latency.mean,
    costMicros: cost.n === 0 ? null : cost.mean,
    scores: scores.n,
    score: scores.n === 0 ? null : scores.sum / scores.n,
  };
}
