/**
 * Counts what the versions of models come to. Each server adds up what it commits itself, and adds it to the entry of the
 * version every now and then.
 *
 * Invariant: nothing is added twice. What a server has not written when it dies is lost to the statistics, whichever version
 * it was of, so that none of them gains by it.
 */
import {
  emptyTally,
  mergedTally,
  withAnswer,
  withFailure,
  withScore,
  type ArmTally,
} from '../../core/models/arm-tally.js';
import { jsonOf } from '../../core/codec.js';
import { modelsTopic } from '../../core/manifest.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { Transition } from '../../store/contract.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import { readSpace } from '../admission/counter-rows.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommittedChange } from '../runs/committed.js';
import { systemTenant } from '../system-tenant.js';
import { changeValue, engineActor } from './shared-value.js';

/** Space of tallies. Key: the model. Ref: the version. */
export const tallySpace = 'model-tallies';

/** A version of a model. */
interface Arm {
  readonly model: string;
  readonly version: string;
}

interface Kept {
  readonly arm: Arm;
  readonly tally: ArmTally;
}

export class ArmTallies {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  #pending = new Map<string, Kept>();
  #writing: Promise<void> = Promise.resolve();

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  committed({ state, events, own }: CommittedChange): void {
    if (!own) return;
    for (const event of events) {
      if (event.type !== 'inference.completed' && event.type !== 'inference.failed') continue;
      const unit = state.units.get(event.data.path);
      // An answer from before was counted when it was given.
      if (event.type === 'inference.completed' && event.data.cached !== undefined) continue;
      // What was given up says nothing of the version.
      if (unit?.kind !== 'inference' || unit.version === null) continue;
      if (event.type === 'inference.failed' && event.data.failure.class === 'cancelled') continue;
      const arm = { model: unit.ask.model, version: unit.version };
      if (event.type === 'inference.failed') this.#add(arm, withFailure);
      else {
        const { durationMs, costMicros } = event.data;
        this.#add(arm, (tally) => withAnswer(tally, durationMs, costMicros));
      }
    }
  }

  /** Transitions of runs were applied here: bodies say in them what became of answers. */
  published(transitions: readonly Transition[]): void {
    for (const { publishes = none } of transitions)
      for (const { topic, envelope, payload } of publishes) {
        if (topic !== modelsTopic.name) continue;
        const said = outcomeIn(payloadOf(parseEnvelope(envelope), payload));
        if (said !== null) this.score(said, said.score);
      }
  }

  /** What somebody has made of an answer of a version, from 0 to 1. */
  score({ model, version }: Arm, score: number): void {
    this.#add({ model, version }, (tally) => withScore(tally, score));
  }

  /** Writes what has come in. Resolves when it is written. */
  tick(): Promise<void> {
    this.#writing = this.#writing
      .then(() => this.#write())
      .catch((error: unknown) => this.#context.fault('tallies', error));
    return this.#writing;
  }

  /** Of each version of a model of which anything is known. */
  async read(model: string): Promise<ReadonlyMap<string, ArmTally>> {
    await this.tick();
    const rows = await readSpace(this.#context.store, systemTenant, tallySpace, model);
    return new Map(rows.map(({ ref, value }) => [ref, JSON.parse(value) as ArmTally]));
  }

  #add(arm: Arm, change: (tally: ArmTally) => ArmTally): void {
    const key = JSON.stringify([arm.model, arm.version]);
    this.#pending.set(key, { arm, tally: change(this.#pending.get(key)?.tally ?? emptyTally) });
  }

  async #write(): Promise<void> {
    const pending = this.#pending;
    this.#pending = new Map();
    for (const [key, { arm, tally }] of pending) {
      try {
        const place = { space: tallySpace, key: arm.model, ref: arm.version };
        await changeValue<ArmTally>(
          { context: this.#context, catalog: this.#catalog },
          place,
          engineActor,
          (value) => ({
            value: mergedTally(value ?? emptyTally, tally),
            event: null,
          }),
        );
        pending.delete(key);
      } catch (error) {
        this.#keep(pending);
        throw error;
      }
    }
  }

  /** What could not be written has another chance. */
  #keep(pending: ReadonlyMap<string, Kept>): void {
    for (const { arm, tally } of pending.values()) this.#add(arm, (newer) => mergedTally(tally, newer));
  }
}

/** Anybody may publish to the topic: only what is an outcome counts as one. */
function outcomeIn(payload: Payload | null): (Arm & { readonly score: number }) | null {
  if (payload === null || isBlobPayload(payload)) return null;
  const { change, model, version, score } = (jsonOf(payload) ?? {}) as Readonly<Record<string, unknown>>;
  if (change !== 'outcome' || typeof model !== 'string' || typeof version !== 'string') return null;
  return typeof score === 'number' && score >= 0 && score <= 1 ? { model, version, score } : null;
}

const none: readonly never[] = [];
