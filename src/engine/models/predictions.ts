/**
 * Answers of models that are kept: read before a question is decided, written with the answer to it, and dropped when their
 * time is over or a tenant has too many. What is known of an answer and the answer itself are two entries of the tenant of its
 * run, so that whoever looks after them reads no answers.
 *
 * Invariants: an entry refers to nothing, it has the answer itself: no blob is freed that an entry needs. A tenant is on the
 * list of those who keep answers before its first one is kept, so that none is forgotten.
 */
import { limits } from '../../core/limits.js';
import {
  isWorthKeeping,
  predictionAnswerSpace,
  predictionRef,
  predictionSpace,
  serves,
  servingOf,
  type KeptAnswer,
  type RecalledAnswer,
} from '../../core/models/prediction.js';
import { isBlobPayload, type InlinePayload, type Payload } from '../../core/payload.js';
import type { RunCommand } from '../../core/run/commands.js';
import type { InferenceTicket } from '../../core/run/inference.js';
import type { RunState } from '../../core/run/state.js';
import { utf8Length } from '../../core/utf8.js';
import type { CacheView } from '../../protocol/http.js';
import type { EntryRow, EntryWrite, Transition } from '../../store/contract.js';
import { isoOf } from '../../core/instant.js';
import { readSpace } from '../admission/counter-rows.js';
import type { PredictionCount } from '../api.js';
import type { EngineContext } from '../context.js';
import type { CommittedChange } from '../runs/committed.js';
import { systemTenant } from '../system-tenant.js';

/** Space of the tenants that keep answers, in the tenant of the installation. Key: the tenant. */
const tenantSpace = 'prediction-tenants';

/** What was read for the commands of a job before they are decided. */
export interface Recollection {
  /** Answers that may serve, by the path of the inference; null = there is none. */
  readonly answers: ReadonlyMap<string, RecalledAnswer | null>;
  /** Answers that lie in blobs and are to be kept, by the same. */
  readonly texts: ReadonlyMap<string, string | null>;
}

type Command<Op extends RunCommand['op']> = Extract<RunCommand, { readonly op: Op }>;
type Completion = Command<'completeInference'>;

/** An answer as its entry has it, with the event that tells it from others to the same question. */
interface StoredAnswer extends InlinePayload {
  readonly event: string;
}

interface Kept {
  readonly row: EntryRow;
  readonly answer: KeptAnswer;
}

/** See the top of the module. */
export class Predictions {
  readonly #context: EngineContext;
  /** The version that a run would ask; null = there is none. */
  readonly #versionOf: (ticket: InferenceTicket) => string | null;
  readonly #tenants = new Set<string>();
  readonly #counts = new Map<string, { -readonly [K in keyof PredictionCount]: PredictionCount[K] }>();
  /** The tenant that was looked after last; the round after the last one begins anew. */
  #sweptUpTo: string | null = null;
  #sweepAtMs = 0;
  #dropped = { expired: 0, evicted: 0 };

  constructor(context: EngineContext, versionOf: (ticket: InferenceTicket) => string | null) {
    this.#context = context;
    this.#versionOf = versionOf;
  }

  // ---------------------------------------------------------------- for lanes

  /** Whether something has to be read before these commands are decided. */
  wants(state: RunState, commands: readonly RunCommand[], known: Recollection | null): boolean {
    for (const command of commands) {
      if (command.op === 'infer' && looks(state, command) && known?.answers.has(command.path) !== true) return true;
      if (command.op === 'completeInference' && known?.texts.has(command.path) !== true)
        if (keeps(state, command) && (isBlobPayload(command.result) || !this.#tenants.has(state.tenant))) return true;
    }
    return false;
  }

  async read(state: RunState, commands: readonly RunCommand[], known: Recollection | null): Promise<Recollection> {
    const answers = new Map(known?.answers);
    const texts = new Map(known?.texts);
    const read = async (command: RunCommand): Promise<void> => {
      if (command.op === 'infer' && looks(state, command) && !answers.has(command.path))
        answers.set(command.path, await this.#find(ticketOf(state, command)));
      if (command.op !== 'completeInference' || !keeps(state, command) || texts.has(command.path)) return;
      await this.#register(state.tenant);
      texts.set(command.path, await this.#textOf(state.tenant, command.result));
    };
    await Promise.all(commands.map(read));
    return { answers, texts };
  }

  /** The answer that was read, where it serves now. */
  recalled(ticket: InferenceTicket, known: Recollection | null, now: number): RecalledAnswer | null {
    const found = known?.answers.get(ticket.path) ?? null;
    return found !== null && serves(found, ticket.ask, this.#versionOf(ticket), now) ? found : null;
  }

  /** The entries by which an answer is kept whose completion was decided just now, as event `seq`. */
  keeping(
    state: RunState,
    command: Completion,
    seq: number,
    at: number,
    known: Recollection | null,
  ): readonly EntryWrite[] {
    const unit = state.units.get(command.path);
    const text = known?.texts.get(command.path) ?? ('text' in command.result ? command.result.text : null);
    if (unit?.kind !== 'inference' || unit.grant === null || text === null) return none;
    const { keepMs = 0 } = unit.ask.cache ?? {};
    const bytes = utf8Length(text);
    if (keepMs <= 0 || !isWorthKeeping(command.outcome, command.note, bytes)) return none;
    const { version, endpoint } = unit.grant;
    const { finish, costMicros } = command.outcome;
    const { confidence, alternatives } = command.note;
    const kept: KeptAnswer = {
      model: unit.ask.model,
      version,
      endpoint,
      event: `${state.run}/${seq}`,
      keptAt: at,
      expiresAt: at + keepMs,
      bytes,
      finish,
      costMicros,
      confidence,
      alternatives: alternatives.slice(0, limits.decisionAlternativesMax),
    };
    const place = { key: unit.ask.fingerprint, ref: predictionRef(kept), run: '', at };
    const answer: StoredAnswer = { event: kept.event, codec: command.result.codec, text };
    return [
      { op: 'put', space: predictionSpace, ...place, value: JSON.stringify(kept) },
      { op: 'put', space: predictionAnswerSpace, ...place, value: JSON.stringify(answer) },
    ];
  }

  async #find(ticket: InferenceTicket): Promise<RecalledAnswer | null> {
    const { tenant, ask } = ticket;
    const { store } = this.#context;
    const [key, limit] = [ask.fingerprint, limits.predictionVersionsMax];
    for (let attempt = 1; attempt <= findAttemptsMax; attempt++) {
      const rows = await store.readEntries({ tenant, space: predictionSpace, key, limit });
      const kept = servingOf(rows.map(answerOf), ask, this.#versionOf(ticket), store.now());
      if (kept === null) return null;
      const answers = await store.readEntries({ tenant, space: predictionAnswerSpace, key, limit });
      const row = answers.find(({ ref }) => ref === predictionRef(kept));
      const found = row === undefined ? null : (JSON.parse(row.value) as StoredAnswer);
      // The two are read one after the other: a newer answer may have come in between, which is not the one that is known.
      if (found?.event === kept.event) return { ...kept, answer: { codec: found.codec, text: found.text } };
    }
    return null;
  }

  async #textOf(tenant: string, result: Payload): Promise<string | null> {
    if (!isBlobPayload(result)) return result.text;
    if (result.size > limits.predictionBytesMax) return null;
    const bytes = await this.#context.store.readBlob(tenant, result.blob);
    return bytes === null ? null : new TextDecoder().decode(bytes);
  }

  async #register(tenant: string): Promise<void> {
    if (this.#tenants.has(tenant)) return;
    const { store } = this.#context;
    const at = store.now();
    const entry: EntryWrite = { op: 'put', space: tenantSpace, key: tenant, ref: '', value: '{}', run: '', at };
    await store.apply([{ tenant: systemTenant, entries: [entry] }]);
    this.#tenants.add(tenant);
  }

  // ---------------------------------------------------------------- for operators

  /** What a tenant keeps. */
  async stats(tenant: string): Promise<CacheView> {
    const kept = await this.#kept(tenant);
    const models = new Map<string, { model: string; version: string; answers: number; bytes: number }>();
    for (const { answer } of kept) {
      const { model, version, bytes } = answer;
      const ref = predictionRef(answer);
      const before = models.get(ref) ?? { model, version, answers: 0, bytes: 0 };
      models.set(ref, { ...before, answers: before.answers + 1, bytes: before.bytes + bytes });
    }
    const dates = kept.map(({ answer }) => answer.keptAt);
    const { predictionsPerTenantMax: answersMax, predictionBytesPerTenantMax: bytesMax } = this.#context.settings;
    return {
      answers: kept.length,
      bytes: sizeOf(kept),
      answersMax,
      bytesMax,
      oldestAt: dates.length === 0 ? null : isoOf(dates.reduce((a, b) => Math.min(a, b))),
      models: [...models].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, model]) => model),
    };
  }

  /** Drops what a tenant keeps, of one model or of all; resolves with how many answers that were. */
  async clear(tenant: string, model: string | null): Promise<number> {
    const kept = (await this.#kept(tenant)).filter(({ answer }) => model === null || answer.model === model);
    return this.#drop(tenant, kept);
  }

  /** Since the engine was started, by model. */
  counts(): { readonly models: readonly PredictionCount[]; readonly expired: number; readonly evicted: number } {
    const models = [...this.#counts.values()].sort((a, b) => (a.model < b.model ? -1 : 1)).map((one) => ({ ...one }));
    return { models, ...this.#dropped };
  }

  committed({ own, state, events }: CommittedChange): void {
    if (!own) return;
    for (const event of events) {
      if (event.type === 'inference.requested') {
        const { model, cache, recalled } = event.data;
        if (cache !== undefined && cache.freshMs !== null && recalled !== true) this.#count(model).misses += 1;
      } else if (event.type === 'inference.completed' && event.data.cached !== undefined) {
        const count = this.#count(event.data.cached.model);
        count.hits += 1;
        count.savedMicros += event.data.cached.savedMicros;
      } else if (event.type === 'inference.failed') {
        const unit = state.units.get(event.data.path);
        if (unit?.kind === 'inference' && unit.ask.cache?.onlyOf !== undefined) this.#count(unit.ask.model).misses += 1;
      }
    }
  }

  /** Transitions that were applied here. */
  published(transitions: readonly Transition[]): void {
    for (const { entries = none } of transitions)
      for (const entry of entries)
        if (entry.space === predictionSpace && entry.op === 'put')
          this.#count((JSON.parse(entry.value) as KeptAnswer).model).stored += 1;
  }

  #count(model: string) {
    const name = this.#counts.has(model) || this.#counts.size < limits.metricNamesMax ? model : '(others)';
    const found = this.#counts.get(name) ?? { model: name, hits: 0, misses: 0, stored: 0, savedMicros: 0 };
    this.#counts.set(name, found);
    return found;
  }

  // ---------------------------------------------------------------- upkeep

  /** Looks after some tenants: drops what nobody may be given any more, then the oldest of those who have too much. */
  async sweep(): Promise<void> {
    const { ports } = this.#context;
    if (this.#sweptUpTo === null && ports.clock.monotonicMs() < this.#sweepAtMs) return;
    if (this.#sweptUpTo === null) this.#sweepAtMs = ports.clock.monotonicMs() + limits.predictionSweepMs;
    let left = limits.predictionSweepItemsMax;
    while (left > 0) {
      const after = this.#sweptUpTo === null ? {} : { after: { key: this.#sweptUpTo, ref: '' } };
      const [next] = await this.#context.store.readEntries({
        tenant: systemTenant,
        space: tenantSpace,
        ...after,
        limit: 1,
      });
      this.#sweptUpTo = next?.key ?? null;
      if (next === undefined) return;
      left -= 1 + (await this.#sweepTenant(next.key));
    }
  }

  /** Resolves with how many answers there were. */
  async #sweepTenant(tenant: string): Promise<number> {
    const { store, settings } = this.#context;
    const kept = await this.#kept(tenant);
    const now = store.now();
    const expired = kept.filter(({ answer }) => now >= answer.expiresAt);
    const living = kept.filter(({ answer }) => now < answer.expiresAt);
    const excess: Kept[] = [];
    let [items, bytes] = [living.length, sizeOf(living)];
    for (const one of living.toSorted((a, b) => a.answer.keptAt - b.answer.keptAt)) {
      if (items <= settings.predictionsPerTenantMax && bytes <= settings.predictionBytesPerTenantMax) break;
      excess.push(one);
      items -= 1;
      bytes -= one.answer.bytes;
    }
    this.#dropped.expired += await this.#drop(tenant, expired);
    this.#dropped.evicted += await this.#drop(tenant, excess);
    return kept.length;
  }

  async #kept(tenant: string): Promise<Kept[]> {
    const rows = await readSpace(this.#context.store, tenant, predictionSpace);
    return rows.map((row) => ({ row, answer: answerOf(row) }));
  }

  /** Drops answers that are still the same; resolves with how many. */
  async #drop(tenant: string, kept: readonly Kept[]): Promise<number> {
    let dropped = 0;
    for (let i = 0; i < kept.length; i += dropBatch) {
      const outcomes = await this.#context.store.apply(
        kept.slice(i, i + dropBatch).map(({ row: { key, ref, value } }) => ({
          tenant,
          entries: [
            { op: 'drop', space: predictionSpace, key, ref, expected: value },
            { op: 'drop', space: predictionAnswerSpace, key, ref },
          ],
        })),
      );
      dropped += outcomes.filter(({ tag }) => tag === 'applied').length;
    }
    return dropped;
  }
}

/** Of an answer that is given anew while it is looked for; then it is a miss. */
const findAttemptsMax = 3;

/** Transitions in one call of upkeep. */
const dropBatch = 100;

const none: readonly EntryWrite[] = [];

function answerOf({ value }: EntryRow): KeptAnswer {
  return JSON.parse(value) as KeptAnswer;
}

function sizeOf(kept: readonly Kept[]): number {
  return kept.reduce((sum, { answer }) => sum + answer.bytes, 0);
}

/** Whether the answer to the completion is to be kept. */
function keeps({ units }: RunState, { path, outcome, note, result }: Completion): boolean {
  const unit = units.get(path);
  if (unit?.kind !== 'inference' || unit.grant === null || (unit.ask.cache?.keepMs ?? 0) <= 0) return false;
  return isWorthKeeping(outcome, note, isBlobPayload(result) ? result.size : 0);
}

/** Whether an answer may serve, of a question that is no repeat. */
function looks({ units }: RunState, { path, attempt, ask }: Command<'infer'>): boolean {
  if (ask.cache === undefined || ask.cache.freshMs === null) return false;
  const unit = units.get(path);
  if (unit === undefined) return true;
  // Another command of the same submission may be what makes it due.
  return unit.kind === 'inference' && (unit.status === 'due' || unit.attempt < attempt);
}

function ticketOf(state: RunState, { path, attempt, ask }: Command<'infer'>): InferenceTicket {
  const { tenant, run, workflow, priority, head, arms } = state;
  const pinned = arms.get(ask.model) ?? null;
  return { tenant, run, workflow, priority, path, attempt, first: head + 1, pinned, ask };
}
