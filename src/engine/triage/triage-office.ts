/**
 * Triage for operators: which model failures are classified by, which one is asked beside it, and how the two differ. The setting
 * and the models are entries of the store, each change is an event of the topic `eventspine.models` in the same transition, and workers
 * are told on the line that they have.
 *
 * Invariant: a model is written before a setting speaks of it. What this server has counted and not written when it dies is lost
 * to the counts, of whichever verdicts it was.
 */
import { isBlobPayload } from '../../core/payload.js';
import { jsonOf } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { correctionTopic } from '../../core/manifest.js';
import { isFailedAttempt } from '../../core/run/events.js';
import type { Failure } from '../../core/failure.js';
import { rulesVersion, classifyFailure } from '../../core/triage/classify.js';
import { loadModel, type Model, type ModelData } from '../../core/triage/model.js';
import { modelData } from '../../core/triage/model-data.js';
import {
  changedTriage,
  modelDataFault,
  modelsOf,
  plainModel,
  shippedTriage,
  type TriageChange,
  type TriageModelName,
  type TriageSetting,
} from '../../core/triage/setting.js';
import type { TriageCorrectionsView, TriageVerdictsView, TriageView } from '../../protocol/http.js';
import type { TriageMessage } from '../../protocol/worker.js';
import { topicStream, type EntryWrite } from '../../store/contract.js';
import { readSpace } from '../admission/counter-rows.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import type { Catalog } from '../intake/catalog.js';
import { changeValue, engineActor } from '../models/shared-value.js';
import type { CommittedChange } from '../runs/committed.js';
import { systemTenant } from '../system-tenant.js';

/** Space of the setting, of the models (key: their hash), and of the counts (key: the version in the shadow). */
const settingPlace = { space: 'triage', key: 'setting', ref: '' } as const;
const modelPlace = (hash: string) => ({ space: 'triage-models', key: hash, ref: '' }) as const;
const countSpace = 'triage-verdicts';

/** What operators do; a model comes with its data. */
export type TriageOrder =
  | { readonly change: 'shadow'; readonly model: ModelData | null }
  | { readonly change: 'promote' | 'rollback' };

/** How often each pair of verdicts was given: in force, beside it, and whether the failure would have had another class. */
type Counts = Readonly<Record<string, number>>;

export interface TriageOfficeOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  /** Tells all workers that are connected here. */
  readonly tell: (message: TriageMessage) => void;
}

export class TriageOffice {
  readonly #options: TriageOfficeOptions;
  #setting: TriageSetting = shippedTriage;
  /** Text of the setting as it was read last. */
  #read: string | null = null;
  #message: TriageMessage | null = null;
  #reading: Promise<void> = Promise.resolve();
  #pending = new Map<string, Map<string, number>>();

  constructor(options: TriageOfficeOptions) {
    this.#options = options;
  }

  /** What a worker is told when it comes; null = nobody has ever set anything. */
  get message(): TriageMessage | null {
    return this.#message;
  }

  /** Failures that were recorded here, with both verdicts. */
  committed({ events, own }: CommittedChange): void {
    if (!own) return;
    for (const event of events) if (isFailedAttempt(event)) this.#count(event.data.failure);
  }

  /** Writes what was counted, and, where there are neighbours, looks what they have set. */
  async tick(): Promise<void> {
    if (this.#options.context.store.shared) await this.refresh();
    const pending = this.#pending;
    this.#pending = new Map();
    try {
      for (const [version, counts] of pending) {
        const place = { space: countSpace, key: version, ref: '' };
        await changeValue<Counts>(this.#options, place, engineActor, (before) => ({
          value: added(before ?? {}, counts),
          event: null,
        }));
        pending.delete(version);
      }
    } finally {
      // What could not be written has another chance.
      for (const [version, counts] of pending) for (const [key, count] of counts) this.#add(version, key, count);
    }
  }

  /** Reads what is set, and tells workers where it has changed. One reading after the other, so that the newest stays. */
  refresh(): Promise<void> {
    const next = this.#reading.then(() => this.#refresh());
    this.#reading = next.catch(() => undefined);
    return next;
  }

  async #refresh(): Promise<void> {
    const { store } = this.#options.context;
    for (let attempt = 1; ; attempt++) {
      const [row] = await readSpace(store, systemTenant, settingPlace.space, settingPlace.key, 1);
      const text = row?.value ?? null;
      if (text === this.#read) return;
      const setting = text === null ? shippedTriage : (JSON.parse(text) as TriageSetting);
      const [inForce, shadow] = await Promise.all([this.#model(setting.inForce), this.#model(setting.shadow)]);
      // A model that is no longer there was replaced in between, with the setting.
      if (inForce === undefined || shadow === undefined) {
        if (attempt >= readsMax) throw new SpineError('STORE_BUSY', {});
        continue;
      }
      this.#read = text;
      this.#setting = setting;
      this.#message = { t: 'triage', inForce, shadow };
      this.#options.tell(this.#message);
      return;
    }
  }

  /** Rejects with TRIAGE_CHANGE_INVALID. */
  async change(origin: Origin, order: TriageOrder): Promise<TriageView> {
    const data = order.change === 'shadow' && order.model !== null ? checkedModel(order.model) : null;
    const text = JSON.stringify(data);
    const model = data === null ? null : { version: data.version, hash: this.#options.context.ports.hash.sha256(text) };
    const change: TriageChange = order.change === 'shadow' ? { change: 'shadow', model } : { change: order.change };
    await changeValue<TriageSetting>(this.#options, settingPlace, origin.actor, (value, now) => {
      const before = value ?? shippedTriage;
      const next = changedTriage(before, change, origin.actor, now);
      if (typeof next === 'string') throw invalid(next);
      const { inForce, shadow } = next;
      const event = { change: `triage-${change.change}`, inForce, shadow, by: origin.actor };
      const kept = new Set(modelsOf(next).map(({ hash }) => hash));
      const gone = modelsOf(before).filter(({ hash }) => !kept.has(hash));
      const put = (hash: string): EntryWrite => ({ op: 'put', ...modelPlace(hash), value: text, run: '', at: now });
      return {
        value: next,
        event,
        beside: [
          ...(model === null ? [] : [put(model.hash)]),
          ...gone.map(({ hash }): EntryWrite => ({ op: 'drop', ...modelPlace(hash) })),
        ],
      };
    });
    await this.refresh();
    return await this.view(origin.tenant);
  }

  /** What is in force, and how the model in the shadow differs from it; corrections are those of the tenant. */
  async view(tenant: string): Promise<TriageView> {
    await this.refresh();
    await this.tick();
    const { inForce, shadow, past, by, at } = this.#setting;
    return {
      inForce: versionOf(inForce),
      shadow: shadow === null ? null : versionOf(shadow),
      set: by === '' ? null : { by, at: isoOf(at) },
      steps: past.length,
      verdicts: shadow === null ? null : await this.#verdicts(versionOf(shadow)),
      corrections: await this.#corrections(tenant),
    };
  }

  #count({ class: kind, shadow }: Failure): void {
    if (shadow === undefined) return;
    const { version, label, against } = shadow;
    // Workers that have not heard of a change yet speak of a version that is not in the shadow any more.
    if (this.#setting.shadow === null || versionOf(this.#setting.shadow) !== version) return;
    this.#add(version, [against, label, ...(shadow.class === kind ? [] : [changedWord])].join(' '), 1);
  }

  #add(version: string, key: string, count: number): void {
    const counts = this.#pending.get(version) ?? new Map<string, number>();
    this.#pending.set(version, counts);
    counts.set(key, (counts.get(key) ?? 0) + count);
  }

  async #verdicts(version: string): Promise<TriageVerdictsView> {
    const [row] = await readSpace(this.#options.context.store, systemTenant, countSpace, version, 1);
    const counts = Object.entries(row === undefined ? {} : (JSON.parse(row.value) as Counts));
    const pairs = new Map<string, TriageVerdictsView['pairs'][number]>();
    for (const [key, count] of counts) {
      const [kind = '', shadow = '', word] = key.split(' ');
      const pair = pairs.get(`${kind} ${shadow}`) ?? { class: kind, shadow, count: 0, changes: 0 };
      const changes = pair.changes + (word === changedWord ? count : 0);
      pairs.set(`${kind} ${shadow}`, { ...pair, count: pair.count + count, changes });
    }
    const sorted = [...pairs.values()].sort((a, b) => b.count - a.count);
    const sum = (of: typeof sorted): number => of.reduce((all, { count }) => all + count, 0);
    return { failures: sum(sorted), same: sum(sorted.filter((one) => one.class === one.shadow)), pairs: sorted };
  }

  async #corrections(tenant: string): Promise<TriageCorrectionsView> {
    const { inForce, shadow } = this.#message ?? { inForce: null, shadow: null };
    const [model, beside] = [loadModel(inForce ?? modelData), shadow === null ? null : loadModel(shadow)];
    const examples = await this.#examples(tenant);
    let [inForceRight, shadowRight] = [0, 0];
    const differences = new Map<string, TriageCorrectionsView['differences'][number]>();
    for (const { text, label } of examples) {
      const said = labelOf(text, model);
      const other = beside === null ? null : labelOf(text, beside);
      if (said === label) inForceRight += 1;
      if (other === label) shadowRight += 1;
      if (other === null || other === said) continue;
      const key = `${label} ${said} ${other}`;
      const { count = 0 } = differences.get(key) ?? {};
      differences.set(key, { label, class: said, shadow: other, count: count + 1 });
    }
    return {
      count: examples.length,
      inForceRight,
      shadowRight: beside === null ? null : shadowRight,
      differences: [...differences.values()].sort((a, b) => b.count - a.count),
    };
  }

  /** The newest corrections. */
  async #examples(tenant: string): Promise<readonly { readonly text: string; readonly label: string }[]> {
    const { store } = this.#options.context;
    const heads = await store.listTopics(tenant);
    const head = heads.find(({ topic }) => topic === correctionTopic.name)?.head ?? 0;
    const stream = topicStream(correctionTopic.name, 0);
    const limit = limits.triageCorrectionsMax;
    const rows = await store.readEvents({ tenant, stream, after: Math.max(-1, head - 1 - limit), limit });
    return rows.flatMap((row) => {
      const payload = payloadOf(parseEnvelope(row.envelope), row.payload);
      if (payload === null || isBlobPayload(payload)) return [];
      const { text, label } = (jsonOf(payload) ?? {}) as Readonly<Record<string, unknown>>;
      return typeof text === 'string' && typeof label === 'string' ? [{ text, label }] : [];
    });
  }

  /** Undefined = it is not there. */
  async #model(name: TriageModelName | null): Promise<ModelData | null | undefined> {
    if (name === null) return null;
    const { space, key } = modelPlace(name.hash);
    const [row] = await readSpace(this.#options.context.store, systemTenant, space, key, 1);
    return row === undefined ? undefined : (JSON.parse(row.value) as ModelData);
  }
}

/** How often a change of a neighbour may come in between. */
const readsMax = 10;

/** The data of a model, and nothing else. */
function checkedModel(given: ModelData): ModelData {
  const fault = modelDataFault(given);
  if (fault !== null) throw invalid(fault);
  if (JSON.stringify(given).length > limits.triageModelLengthMax)
    throw invalid(`the model has more than ${limits.triageModelLengthMax} characters`);
  return plainModel(given);
}

const changedWord = 'changed';

function labelOf(text: string, model: Model): string {
  return classifyFailure({ text }, { model }).label;
}

/** As verdicts name it; null = what is shipped. */
function versionOf(name: TriageModelName | null): string {
  return `${rulesVersion}.${name?.version ?? modelData.version}`;
}

function added(before: Counts, counts: ReadonlyMap<string, number>): Counts {
  const sum: Record<string, number> = { ...before };
  for (const [pair, count] of counts) sum[pair] = (sum[pair] ?? 0) + count;
  return sum;
}

function invalid(fault: string): SpineError {
  return new SpineError('TRIAGE_CHANGE_INVALID', { fault });
}
