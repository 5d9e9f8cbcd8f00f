/**
 * Intake: validates, records durably, answers. What it accepts is on disk before the caller hears of it; what it
 * refuses leaves no trace.
 */
import { SpineError, assertNever, isSpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import type { Payload } from '../../core/payload.js';
import type { DedupeWrite, Outcome } from '../../store/contract.js';
import type { Origin, PublishOutcome, PublishRequest, StartOutcome, StartRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Bearing, Lanes, PlainValue } from '../runs/lanes.js';
import { birth } from './birth.js';
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

  /** They go to the store in calls as large as one commit takes; each is accepted or refused by itself. */
  async startRuns(origin: Origin, requests: readonly StartRequest[]): Promise<StartOutcome[]> {
    const prepared = requests.map((request) => this.#prepare(origin, request));
    const bearings = prepared.filter(isPrepared);
    const parts: Promise<StartOutcome[]>[] = [];
    for (let at = 0; at < bearings.length; at += limits.commitItemsMax)
      parts.push(this.#bear(bearings.slice(at, at + limits.commitItemsMax)));
    const borne = (await Promise.all(parts)).flat();
    let next = 0;
    return prepared.map((item) => ('tag' in item ? item : (borne[next++] ?? startOutcome(item, undefined))));
  }

  /** A call that fails says nothing of the others: what they have stored is accepted. */
  async #bear(bearings: readonly Prepared[]): Promise<StartOutcome[]> {
    try {
      const outcomes = await this.#lanes.bear(bearings);
      return bearings.map((bearing, i) => startOutcome(bearing, outcomes[i]));
    } catch (error) {
      return bearings.map(() => errorOutcome(error));
    }
  }

  publish(origin: Origin, requests: readonly PublishRequest[]): Promise<PublishOutcome[]> {
    return Promise.all(requests.map((request) => this.#publish(origin, request).catch(errorOutcome)));
  }

  #prepare(origin: Origin, request: StartRequest): Prepared | ErrorOutcome {
    try {
      return this.#birth(origin, request);
    } catch (error) {
      return errorOutcome(error);
    }
  }

  #birth(origin: Origin, request: StartRequest): Prepared {
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
    return { run, births: [born], transition: { tenant: origin.tenant, dedupe }, actor: origin.actor };
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
    const transition = { tenant, dedupe: [dedupe], publishes: [write], blobs };
    const [outcome] = await this.#lanes.bear([{ births, transition, actor }]);
    switch (outcome?.tag) {
      case 'applied':
        return { tag: 'published', id: request.id, runs: births.map((b) => b.state.run) };
      case 'duplicate':
        return { tag: 'duplicate', id: request.id };
      case 'unstorable':
        throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason: outcome.reason });
      case 'conflict':
      case 'fenced':
      case undefined:
        throw new Error(`Invariant broken: a new event was refused with ${outcome?.tag ?? 'no outcome'}`);
      default:
        return assertNever(outcome);
    }
  }

  #valueOf(payload: Payload, value: unknown): unknown {
    return value === undefined ? this.#plain(payload) : value;
  }
}

/** A start on its way to the store. */
interface Prepared extends Bearing {
  readonly run: string;
}

type ErrorOutcome = Extract<StartOutcome, { readonly tag: 'error' }>;

function isPrepared(item: Prepared | ErrorOutcome): item is Prepared {
  return !('tag' in item);
}

function startOutcome({ run, transition }: Prepared, outcome: Outcome | undefined): StartOutcome {
  switch (outcome?.tag) {
    case 'applied':
      return { tag: 'started', run };
    case 'duplicate':
      if (outcome.found.hash !== transition.dedupe?.[0]?.hash)
        return errorOutcome(new SpineError('IDEMPOTENCY_KEY_REUSED', { key: outcome.found.key }));
      return { tag: 'repeated', run: outcome.found.reference };
    case 'unstorable':
      return errorOutcome(new SpineError('VALUE_UNSTORABLE', { path: '$', reason: outcome.reason }));
    case 'conflict':
    case 'fenced':
    case undefined:
      return errorOutcome(new Error(`Invariant broken: a new run was refused with ${outcome?.tag ?? 'no outcome'}`));
    default:
      return assertNever(outcome);
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
