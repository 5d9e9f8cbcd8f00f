/**
 * Intake: validates, records durably, answers. What it accepts is on disk before the caller hears of it; what it
 * refuses leaves no trace.
 */
import { SpineError, assertNever, isSpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import type { Payload } from '../../core/payload.js';
import type { DedupeWrite } from '../../store/contract.js';
import type { Origin, PublishOutcome, PublishRequest, StartOutcome, StartRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes, PlainValue } from '../runs/lanes.js';
import { birth, birthTransition, withBirths } from './birth.js';
import type { Catalog } from './catalog.js';
import { preparePublication } from './topics.js';

export class Intake {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #lanes: Lanes;
  readonly #plain: PlainValue;

  constructor(context: EngineContext, catalog: Catalog, lanes: Lanes, plain: PlainValue) {
    this.#context = context;
    this.#catalog = catalog;
    this.#lanes = lanes;
    this.#plain = plain;
  }

  /** Each is accepted or refused by itself. A call of the store that fails says nothing of the others. */
  startRuns(origin: Origin, requests: readonly StartRequest[]): Promise<StartOutcome[]> {
    if (requests.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const outcomes = new Array<StartOutcome>(requests.length);
      let left = requests.length;
      for (let i = 0; i < requests.length; i++) {
        const request = requests[i];
        if (request === undefined) continue;
        this.#start(origin, request, (outcome) => {
          outcomes[i] = outcome;
          left -= 1;
          if (left === 0) resolve(outcomes);
        });
      }
    });
  }

  #start(origin: Origin, request: StartRequest, settle: (outcome: StartOutcome) => void): void {
    try {
      this.#bear(origin, request, settle);
    } catch (error) {
      settle(errorOutcome(error));
    }
  }

  publish(origin: Origin, requests: readonly PublishRequest[]): Promise<PublishOutcome[]> {
    return Promise.all(requests.map((request) => this.#publish(origin, request).catch(errorOutcome)));
  }

  #bear(origin: Origin, request: StartRequest, settle: (outcome: StartOutcome) => void): void {
    const { store, ports, settings } = this.#context;
    const entry = this.#catalog.workflow(request.workflow);
    if (entry === null)
      throw new SpineError('WORKFLOW_UNKNOWN', { name: request.workflow, known: this.#catalog.workflowNames() });
    const faults = requestFaults(request);
    if (entry.check !== null) faults.push(...entry.check(this.#valueOf(request.input, request.value)));
    if (faults.length > 0) throw new SpineError('INPUT_INVALID', { name: request.workflow, faults });
    const at = store.now();
    const run = newId('run', ports);
    const key = request.idempotencyKey;
    const dedupe: DedupeWrite[] =
      key === undefined
        ? []
        : [
            {
              scope: `start:${request.workflow}`,
              key,
              hash: ports.hash.sha256(fingerprint(request.input)),
              reference: run,
              expiresAt: at + settings.dedupeTtlMs,
            },
          ];
    const born = birth(this.#context, entry.manifest, {
      tenant: origin.tenant,
      run,
      input: request.input,
      at,
      actor: origin.actor,
      cause: null,
      correlation: origin.correlation,
      traceparent: origin.traceparent,
      trigger: null,
      ...(request.labels === undefined ? {} : { labels: request.labels }),
      ...(key === undefined ? {} : { idempotencyKey: key }),
      ...(request.priority === undefined ? {} : { priority: request.priority }),
    });
    this.#lanes.bear({
      births: [born],
      transition: birthTransition(born, dedupe),
      actor: origin.actor,
      settle: (answer) => settle(startOutcome(run, dedupe, answer)),
    });
  }

  async #publish(origin: Origin, request: PublishRequest): Promise<PublishOutcome> {
    const at = this.#context.store.now();
    const value = request.data === null ? null : this.#valueOf(request.data, request.value);
    const { tenant, actor, correlation, traceparent } = origin;
    const publication = preparePublication(
      this.#context,
      this.#catalog,
      { ...request, value },
      { tenant, actor, cause: null, correlation, traceparent },
      at,
    );
    const { births, write, dedupe, blobs } = publication;
    const transition = withBirths({ tenant, dedupe: [dedupe], publishes: [write], blobs }, births);
    const answer = await new Promise<CommitAnswer>((settle) => this.#lanes.bear({ births, transition, actor, settle }));
    switch (answer.tag) {
      case 'applied':
        return { tag: 'published', id: request.id, runs: births.map((b) => b.state.run) };
      case 'duplicate':
        return { tag: 'duplicate', id: request.id };
      case 'unstorable':
        throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason: answer.reason });
      case 'failed':
        throw errorOutcome(answer.error).error;
      case 'conflict':
      case 'fenced':
        throw new Error(`Invariant broken: a new event was refused with ${answer.tag}`);
      default:
        return assertNever(answer);
    }
  }

  #valueOf(payload: Payload, value: unknown): unknown {
    return value === undefined ? this.#plain(payload) : value;
  }
}

function startOutcome(run: string, dedupe: readonly DedupeWrite[], answer: CommitAnswer): StartOutcome {
  switch (answer.tag) {
    case 'applied':
      return { tag: 'started', run };
    case 'duplicate':
      if (answer.found.hash !== dedupe[0]?.hash)
        return errorOutcome(new SpineError('IDEMPOTENCY_KEY_REUSED', { key: answer.found.key }));
      return { tag: 'repeated', run: answer.found.reference };
    case 'unstorable':
      return errorOutcome(new SpineError('VALUE_UNSTORABLE', { path: '$', reason: answer.reason }));
    case 'failed':
      return errorOutcome(answer.error);
    case 'conflict':
    case 'fenced':
      return errorOutcome(new Error(`Invariant broken: a new run was refused with ${answer.tag}`));
    default:
      return assertNever(answer);
  }
}

function fingerprint(payload: Payload): string {
  return 'text' in payload ? payload.text : payload.blob;
}

function errorOutcome(error: unknown): { readonly tag: 'error'; readonly error: Error } {
  if (isSpineError(error)) return { tag: 'error', error };
  return { tag: 'error', error: error instanceof Error ? error : new Error(String(error)) };
}

function requestFaults(request: StartRequest): string[] {
  const faults: string[] = [];
  const { idempotencyKey, labels, priority } = request;
  if (idempotencyKey !== undefined && (idempotencyKey.length === 0 || idempotencyKey.length > limits.keyLengthMax)) {
    faults.push(`idempotencyKey must have 1 to ${limits.keyLengthMax} characters`);
  }
  if (priority !== undefined && !(Number.isInteger(priority) && priority >= 0 && priority <= limits.priorityMax)) {
    faults.push(`priority must be a whole number from 0 to ${limits.priorityMax}`);
  }
  if (labels !== undefined) {
    const entries = Object.entries(labels);
    if (entries.length > limits.labelsMax) faults.push(`at most ${limits.labelsMax} labels`);
    for (const [name, value] of entries) {
      if (name.length > limits.labelNameLengthMax || value.length > limits.labelValueLengthMax) {
        faults.push(
          `label "${name.slice(0, 20)}" is longer than ${limits.labelNameLengthMax} (name) or ${limits.labelValueLengthMax} (value)`,
        );
      }
    }
  }
  return faults;
}
