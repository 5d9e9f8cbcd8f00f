/**
 * Dead letters: what failed for good, why, and how it goes on. A letter is redriven at most one time, whoever tries to and
 * however often: the decision asks whether it is still the open letter of its run.
 */
import { jsonOf, payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import type { FailureClass } from '../../core/failure.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import type { InlinePayload } from '../../core/payload.js';
import { correctionTopic } from '../../core/manifest.js';
import type { RunCommand } from '../../core/run/commands.js';
import type { RunEvent } from '../../core/run/events.js';
import { exceedsUtf8 } from '../../core/utf8.js';
import type { DeadLetterDetail, DeadLetterView, PageView } from '../../protocol/http.js';
import type { DeadLetterRow } from '../../store/contract.js';
import type { Agents } from '../agents/agents.js';
import type { CommandOutcome, Origin, PublishOutcome, PublishRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import { readRunEvent } from '../events/rows.js';
import type { Catalog } from '../intake/catalog.js';
import { Checks, type Check } from '../intake/checks.js';
import { below, findLetters, type LetterFilter } from './filter.js';
import { remedyOf } from './remedy.js';
import { causeOf, trailOf, verdictOf } from './trail.js';

/** What dead letters need of the rest of the engine. */
export interface LetterDeps {
  readonly context: EngineContext;
  readonly catalog: Pick<Catalog, 'capability' | 'workflow'>;
  readonly agents: Pick<Agents, 'redrive'>;
  readonly publish: (origin: Origin, request: PublishRequest) => Promise<PublishOutcome>;
  readonly command: (origin: Origin, run: string, command: RunCommand) => Promise<CommandOutcome>;
}

/** How a letter is redriven. */
export interface RedriveOptions {
  readonly reason?: string;
  /** The redrive of many that this one is part of. */
  readonly bulk?: string;
}

export class DeadLetters {
  readonly #deps: LetterDeps;

  constructor(deps: LetterDeps) {
    this.#deps = deps;
  }

  async list(
    tenant: string,
    query: LetterFilter & { readonly cursor?: string; readonly limit?: number },
  ): Promise<PageView<DeadLetterView>> {
    const { cursor, limit = limits.pageItemsDefault, ...filter } = query;
    const { rows, next } = await findLetters(this.#deps.context.store, tenant, filter, {
      limit: Math.min(limit, limits.pageItemsMax),
      scanMax: limits.redriveScanMax,
      ...(cursor === undefined ? {} : { cursor }),
    });
    return { items: rows.map(letterView), next: next === null ? null : below(next) };
  }

  async read(tenant: string, id: string): Promise<DeadLetterDetail | null> {
    const row = await this.#deps.context.store.readDeadLetter(tenant, id);
    if (row === null) return null;
    const events = await this.history(tenant, row.run);
    const target = this.#targetOf(row, events);
    return {
      ...letterView(row),
      ...verdictOf(causeOf(id, events)),
      notEditable: 'fault' in target ? target.fault : null,
      trail: trailOf(row, events),
    };
  }

  /** Sends back to work what the letter stands for. DEAD_LETTER_NOT_FOUND, RUN_NOT_REDRIVABLE. */
  async redrive(origin: Origin, id: string, options: RedriveOptions = {}): Promise<CommandOutcome> {
    const row = await this.#deps.context.store.readDeadLetter(origin.tenant, id);
    if (row === null) return notFound(id);
    const outcome = await this.#deps.agents.redrive(origin, id);
    return outcome ?? this.#deps.command(origin, row.run, redriveCommand(origin, id, options));
  }

  /**
   * Gives what failed another input and sends it back to work, in one commit. DEAD_LETTER_NOT_FOUND, INPUT_NOT_EDITABLE,
   * INPUT_INVALID, VALUE_TOO_LARGE.
   */
  async edit(
    origin: Origin,
    id: string,
    { input, reason }: { readonly input: InlinePayload; readonly reason: string },
  ): Promise<CommandOutcome> {
    const row = await this.#deps.context.store.readDeadLetter(origin.tenant, id);
    if (row === null) return notFound(id);
    const target = this.#targetOf(row, await this.history(origin.tenant, row.run));
    if ('fault' in target)
      return { tag: 'error', error: new SpineError('INPUT_NOT_EDITABLE', { id, reason: target.fault }) };
    const bytesMax = target.isStep ? limits.inlinePayloadBytesMax : limits.payloadBytesMax;
    if (exceedsUtf8(input.text, bytesMax))
      return { tag: 'error', error: new SpineError('VALUE_TOO_LARGE', { bytesMax }) };
    const faults = target.check(jsonOf(input));
    if (faults.length > 0)
      return { tag: 'error', error: new SpineError('INPUT_INVALID', { name: target.name, faults }) };
    const command = { ...redriveCommand(origin, id, { reason }), edit: { path: row.path, input } };
    return this.#deps.command(origin, row.run, command);
  }

  /**
   * Says which class the failure really has: an event, in the form of an example that triage is trained with. The same said
   * again is `already`. DEAD_LETTER_NOT_FOUND.
   */
  async correct(
    origin: Origin,
    id: string,
    { label, reason }: { readonly label: FailureClass; readonly reason: string | null },
  ): Promise<CommandOutcome> {
    const row = await this.#deps.context.store.readDeadLetter(origin.tenant, id);
    if (row === null) return notFound(id);
    const cause = causeOf(id, await this.history(origin.tenant, row.run));
    const value = {
      id,
      text: row.message,
      http_status: null,
      provider: null,
      label,
      source: `${row.workflow}:${row.path ?? ''}`,
      code: row.code,
      said: row.class,
      ...verdictOf(cause),
      by: origin.actor,
      why: reason,
    };
    const outcome = await this.#deps.publish(origin, {
      topic: correctionTopic.name,
      id: `${id}/${label}`,
      source: 'eventspine',
      type: correctionTopic.name,
      data: payloadOfJson(value),
      value,
    });
    return outcome.tag === 'error' ? outcome : { tag: outcome.tag === 'duplicate' ? 'already' : 'done' };
  }

  async history(tenant: string, run: string): Promise<RunEvent[]> {
    const [rows = []] = await this.#deps.context.store.readHistories([{ tenant, run }]);
    return rows.map((row) => readRunEvent(row).event);
  }

  /** What an edit of the letter would be an input of, and what it is held against. */
  #targetOf({ id, path }: DeadLetterRow, events: readonly RunEvent[]): Target | { readonly fault: string } {
    const [birth] = events;
    if (birth?.type !== 'run.started') return { fault: 'its run is no longer there' };
    if (events.some((event) => event.type === 'message.buried' && event.data.deadLetter === id))
      return { fault: 'it is a message to an agent, which is sent anew instead' };
    const { workflow, graph, agent } = birth.data;
    if (path === null) {
      if (graph !== undefined || agent !== undefined)
        return {
          fault: `what ${graph === undefined ? 'an agent' : 'a graph'} was started with is what all of it goes by`,
        };
      return { name: workflow, isStep: false, check: this.#deps.catalog.workflow(workflow)?.check ?? anything };
    }
    const call = events.findLast((event) => event.type === 'call.scheduled' && event.data.path === path);
    if (call?.type === 'call.scheduled') {
      const { capability } = call.data;
      const schema = this.#deps.catalog.capability(capability)?.input ?? null;
      return { name: capability, isStep: false, check: schema === null ? anything : new Checks().compile(schema) };
    }
    const step = events.findLast((event) => event.type === 'step.failed' && event.data.path === path);
    if (step?.type !== 'step.failed') return { fault: 'what failed is neither a step nor a call' };
    if (step.data.withInput !== true) return { fault: 'the step is given no input, only what its body holds' };
    return { name: path, isStep: true, check: anything };
  }
}

interface Target {
  readonly name: string;
  /** Its input travels in the journal of the body. */
  readonly isStep: boolean;
  readonly check: Check;
}

const anything: Check = () => [];

function redriveCommand(
  { actor }: Origin,
  deadLetter: string,
  { reason, bulk }: RedriveOptions,
): Extract<RunCommand, { readonly op: 'redrive' }> {
  const said = reason === undefined ? {} : { reason: reason.slice(0, limits.errorMessageLengthMax) };
  return { op: 'redrive', by: actor, deadLetter, ...said, ...(bulk === undefined ? {} : { bulk }) };
}

function notFound(id: string): CommandOutcome {
  return { tag: 'error', error: new SpineError('DEAD_LETTER_NOT_FOUND', { id }) };
}

function letterView(row: DeadLetterRow): DeadLetterView {
  const { id, run, workflow, path, code, message, attempts } = row;
  return {
    id,
    run,
    workflow,
    path,
    class: row.class,
    code,
    message,
    attempts,
    at: isoOf(row.at),
    remedy: remedyOf(row.class, row.code),
  };
}
