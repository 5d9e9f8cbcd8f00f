/**
 * Shadows of models, as all servers share them: of each model one entry of the store has the calls that are under way, what
 * they have cost today, and what came of them. A worker asks for leave when the answer that it has got is recorded, so that a
 * call can never stand in the way of a run, and the server that has recorded it gives leave one time.
 *
 * Invariant: a call holds its place in the entry before anybody may make it, by a compare-and-put; and it ends one time, by its
 * report or as lost. No history of a run knows of any of this, beyond the grant that names the shadow.
 */
import { estimatedCostMicros } from '../../core/models/cost.js';
import { limits } from '../../core/limits.js';
import type { ModelManifest } from '../../core/manifest.js';
import {
  isOverdue,
  lostOutcome,
  noShadow,
  settledOutcome,
  withOutcome,
  withTicket,
  type ShadowedAnswer,
  type ShadowOutcome,
  type ShadowState,
  type ShadowTicket,
} from '../../core/models/shadow.js';
import type { InferenceAsk, TokenUsage } from '../../core/run/inference.js';
import type { ShadowAsk, ShadowEnd, ShadowLeave } from '../../protocol/worker.js';
import { readSpace } from '../admission/counter-rows.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommittedChange } from '../runs/committed.js';
import { systemTenant } from '../system-tenant.js';
import type { Breakers } from './breakers.js';
import type { Pauses } from './pauses.js';
import { callerOf } from './model-door.js';
import { changeValue, engineActor } from './shared-value.js';

/** Space of shadows. Key: the model. */
export const shadowSpace = 'model-shadows';

export interface ShadowsOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  /** Models as they are in force. */
  readonly model: (name: string) => ModelManifest | null;
  readonly breakers: Pick<Breakers, 'of'>;
  readonly pauses: Pick<Pauses, 'until'>;
}

/** An answer that was recorded here, whose grant names a shadow. */
interface Due {
  readonly version: string;
  readonly ask: InferenceAsk;
  readonly of: ShadowedAnswer;
}

export class Shadows {
  readonly #options: ShadowsOptions;
  /** Answers beside which a shadow may be asked, by inference: each is taken out by the first who asks. */
  readonly #due = new Map<string, Due>();

  constructor(options: ShadowsOptions) {
    this.#options = options;
  }

  committed({ tenant, run, state, events, own }: CommittedChange): void {
    if (!own) return;
    for (const { type, seq, data } of events) {
      if (type !== 'inference.completed') continue;
      const { path, attempt, durationMs, costMicros } = data;
      const unit = state.units.get(path);
      if (unit?.kind !== 'inference' || unit.grant?.shadow === undefined) continue;
      const { version, shadow } = unit.grant;
      const of = { tenant, run, path, version, attempt, answer: seq, latencyMs: durationMs, costMicros };
      this.#remember(callerOf({ tenant, run, path, attempt }), { version: shadow, ask: unit.ask, of });
    }
  }

  /** Leave to call a shadow. Rejects with STORE_BUSY and what else the store rejects with: then there is none. */
  async begin({ n, tenant, run, path, attempt }: ShadowAsk): Promise<ShadowLeave> {
    const none = { n, ticket: null, ms: 0 };
    const key = callerOf({ tenant, run, path, attempt });
    const due = this.#due.get(key);
    this.#due.delete(key);
    if (due === undefined) return none;
    const { context, model: find, breakers, pauses } = this.#options;
    const { version, ask, of } = due;
    const model = find(ask.model);
    const rule = model?.shadow;
    const asked = model?.versions.find((one) => one.version === version);
    // It may have been changed since the grant.
    if (rule?.version !== version || asked === undefined) return none;
    if (breakers.of(asked.endpoint).state !== 'closed' || pauses.until(asked.endpoint) !== null) return none;
    const ms = Math.min(limits.shadowMsMax, ask.deadlineMs ?? limits.shadowMsMax);
    const costMicros = estimatedCostMicros(asked.price, ask.estimate);
    const id = `shadow-${context.ports.hash.sha256([tenant, run, path, of.answer].join('\0')).slice(0, idDigits)}`;
    let taken = false;
    await this.#change(ask.model, (state, now) => {
      const ticket = { id, version, of, costMicros, until: now + ms + limits.shadowReportMs };
      const next = withTicket(state, ticket, rule, now);
      taken = next !== null;
      return next === null ? null : { state: next, event: null };
    });
    return taken ? { n, ticket: id, ms } : none;
  }

  /** What a call came to. One that was heard of before, or given up for lost, is none any more. */
  async end({ model, ticket, usage, latencyMs, costMicros, failure, comparison }: ShadowEnd): Promise<void> {
    await this.#end(model, ticket, { latencyMs, costMicros, failure, comparison }, usage);
  }

  /** Gives up what nothing was heard of. */
  async tick(): Promise<void> {
    const { store } = this.#options.context;
    for (const { key, value } of await readSpace(store, systemTenant, shadowSpace))
      for (const ticket of (JSON.parse(value) as ShadowState).underWay)
        if (isOverdue(ticket, store.now())) await this.#end(key, ticket.id, lostOutcome, null);
  }

  /** What is known of the shadows of a model. */
  async read(model: string): Promise<ShadowState> {
    const [row] = await readSpace(this.#options.context.store, systemTenant, shadowSpace, model, 1);
    return row === undefined ? noShadow : (JSON.parse(row.value) as ShadowState);
  }

  #remember(key: string, due: Due): void {
    this.#due.set(key, due);
    const [oldest] = this.#due.keys();
    if (this.#due.size > limits.shadowsDueMax && oldest !== undefined) this.#due.delete(oldest);
  }

  async #end(model: string, id: string, outcome: ShadowOutcome, usage: TokenUsage | null): Promise<void> {
    await this.#change(model, (state, now) => {
      const ticket = state.underWay.find((one) => one.id === id);
      if (ticket === undefined) return null;
      const settled = settledOutcome(ticket, outcome);
      return { state: withOutcome(state, ticket, settled, now), event: endEvent(model, ticket, settled, usage) };
    });
  }

  async #change(
    model: string,
    change: (state: ShadowState, now: number) => { readonly state: ShadowState; readonly event: object | null } | null,
  ): Promise<void> {
    const place = { space: shadowSpace, key: model, ref: '' };
    await changeValue<ShadowState>(this.#options, place, engineActor, (value, now) => {
      const next = change(value ?? noShadow, now);
      return next === null ? null : { value: next.state, event: next.event };
    });
  }
}

/** What the event of a call says: what was asked and answered is in the history of the run, at `path` and `answer`. */
function endEvent(
  model: string,
  { version, of }: ShadowTicket,
  { latencyMs, costMicros, failure, comparison }: ShadowOutcome,
  usage: TokenUsage | null,
): object {
  const { tenant, run, path, attempt, answer, version: against, latencyMs: primaryMs, costMicros: primaryMicros } = of;
  return {
    change: 'shadow-answer',
    model,
    version,
    against,
    tenant,
    run,
    path,
    attempt,
    answer,
    failure,
    comparison,
    latencyMs,
    primaryMs,
    costMicros,
    primaryMicros,
    usage,
  };
}

const idDigits = 32;
