/**
 * Intake: validates, records durably, answers. What it accepts is on disk before the caller hears of it; what it
 * refuses leaves no trace.
 */
import { durationMsMax } from '../../core/duration.js';
import { SpineError, assertNever, isSpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { labelFaults } from '../../core/labels.js';
import { instantMsMax } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import type { Payload } from '../../core/payload.js';
import type { DedupeWrite, LeaveOutcome, Transition } from '../../store/contract.js';
import type { Origin, PublishOutcome, PublishRequest, StartOutcome, StartRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes, PlainValue } from '../runs/lanes.js';
import { birth, birthTransition, withBirths, type RunBirth } from './birth.js';
import type { Catalog } from './catalog.js';
import type { GuardedPublish } from '../topics/guarded-publish.js';
import { preparePublication } from '../topics/publication.js';

/** Leaves a transition in the transaction of a caller. */
type Leave = (transition: Transition) => Promise<LeaveOutcome>;

/** A run that may be written, and the keys that it takes. */
export interface PreparedStart {
  readonly born: RunBirth;
  readonly dedupe: readonly DedupeWrite[];
}

export class Intake {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #lanes: Lanes;
  readonly #plain: PlainValue;
  readonly #guarded: GuardedPublish;
  readonly #mayPublish: (tenant: string, topic: string) => void;

  /** `mayPublish` throws where a topic takes no events now. */
  constructor(
    context: EngineContext,
    catalog: Catalog,
    lanes: Lanes,
    plain: PlainValue,
    guarded: GuardedPublish,
    mayPublish: (tenant: string, topic: string) => void,
  ) {
    this.#guarded = guarded;
    this.#context = context;
    this.#catalog = catalog;
    this.#lanes = lanes;
    this.#plain = plain;
    this.#mayPublish = mayPublish;
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
        this.#start(request.origin ?? origin, request, (outcome) => {
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

  /** Leaves a run in the caller's transaction; it comes to be after its commit. See `Outbox.leave`. */
  async startWithin(leave: Leave, origin: Origin, request: StartRequest): Promise<StartOutcome> {
    const { born, dedupe } = this.prepareStart(origin, request);
    const outcome = await leave(birthTransition(born, dedupe));
    if (outcome.tag === 'left') return { tag: 'started', run: born.state.run };
    return repeatOf(outcome.found, dedupe);
  }

  /** The same for an event and the runs that it starts. */
  async publishWithin(leave: Leave, origin: Origin, request: PublishRequest): Promise<PublishOutcome> {
    if (this.#guarded.guarded(request.topic) !== null)
      throw new SpineError('INPUT_INVALID', {
        name: request.topic,
        faults: ['a topic with a single writer, or one that follows its sources, takes no events in a transaction'],
      });
    const { transition, births } = this.#preparePublish(origin, request);
    const outcome = await leave(transition);
    if (outcome.tag === 'duplicate') return { tag: 'duplicate', id: request.id };
    return { tag: 'published', id: request.id, runs: births.map((b) => b.state.run) };
  }

  #bear(origin: Origin, request: StartRequest, settle: (outcome: StartOutcome) => void): void {
    const { born, dedupe } = this.prepareStart(origin, request);
    this.#lanes.bear({
      births: [born],
      transition: birthTransition(born, dedupe),
      actor: origin.actor,
      settle: (answer) => settle(startOutcome(born.state.run, dedupe, answer)),
    });
  }

  /** Checks a start and makes the run of it; nothing is written. Throws WORKFLOW_UNKNOWN, INPUT_INVALID. */
  prepareStart(origin: Origin, request: StartRequest): PreparedStart {
    const { store, ports, settings } = this.#context;
    const entry = this.#catalog.workflow(request.workflow);
    if (entry === null)
      throw new SpineError('WORKFLOW_UNKNOWN', { name: request.workflow, known: this.#catalog.workflowNames() });
    const faults = requestFaults(request);
    if (entry.check !== null) faults.push(...entry.check(this.#valueOf(request.input, request.value)));
    if (faults.length > 0) throw new SpineError('INPUT_INVALID', { name: request.workflow, faults });
    const at = store.now();
    const run = newId('run', ports);
    const startAt = request.delayMs === undefined ? request.startAt : at + request.delayMs;
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
      ...(startAt === undefined ? {} : { startAt }),
      ...(request.notify === undefined ? {} : { notify: request.notify }),
    });
    return { born, dedupe };
  }

  async #publish(origin: Origin, request: PublishRequest): Promise<PublishOutcome> {
    const { actor } = origin;
    const prepared = this.#preparePublish(origin, request);
    const topic = this.#guarded.guarded(request.topic);
    if (topic !== null) return this.#guarded.publish(origin, request, topic, prepared);
    const { transition, births } = prepared;
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

  #preparePublish(
    origin: Origin,
    request: PublishRequest,
  ): { readonly transition: Transition; readonly births: readonly RunBirth[] } {
    this.#mayPublish(origin.tenant, request.topic);
    const at = this.#context.store.now();
    const value = request.data === null ? null : this.#valueOf(request.data, request.value);
    const { tenant, actor, correlation, traceparent } = origin;
    const publication = preparePublication(
      this.#context,
      this.#catalog,
      { ...request, value, ...(request.writerEpoch === undefined ? {} : { isGuarded: true }) },
      { tenant, actor, cause: null, correlation, traceparent },
      at,
    );
    const { births, write, dedupe, blobs } = publication;
    return { transition: withBirths({ tenant, dedupe: [dedupe], publishes: [write], blobs }, births), births };
  }

  #valueOf(payload: Payload, value: unknown): unknown {
    return value === undefined ? this.#plain(payload) : value;
  }
}

/** What a start has come to, by what became of its transition. */
export function startOutcome(run: string, dedupe: readonly DedupeWrite[], answer: CommitAnswer): StartOutcome {
  switch (answer.tag) {
    case 'applied':
      return { tag: 'started', run };
    case 'duplicate':
      return repeatOf(answer.found, dedupe);
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

/** What a start is that finds its key taken: a repeat, or a clash. */
function repeatOf(
  { hash, reference }: Pick<DedupeWrite, 'hash' | 'reference'>,
  [mine]: readonly DedupeWrite[],
): StartOutcome {
  if (hash !== mine?.hash) return errorOutcome(new SpineError('IDEMPOTENCY_KEY_REUSED', { key: mine?.key ?? '' }));
  return { tag: 'repeated', run: reference };
}

function fingerprint(payload: Payload): string {
  return 'text' in payload ? payload.text : payload.blob;
}

/** The outcome of what threw. */
export function errorOutcome(error: unknown): { readonly tag: 'error'; readonly error: Error } {
  if (isSpineError(error)) return { tag: 'error', error };
  return { tag: 'error', error: error instanceof Error ? error : new Error(String(error)) };
}

function startFaults({ delayMs, startAt }: StartRequest): string[] {
  if (delayMs !== undefined && startAt !== undefined) return ['give either delay or startAt'];
  if (delayMs !== undefined && !(Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= durationMsMax))
    return [`delay must be a whole number of ms from 0 to ${durationMsMax}`];
  if (startAt !== undefined && !(Number.isInteger(startAt) && Math.abs(startAt) <= instantMsMax))
    return ['startAt is not an instant'];
  return [];
}

function requestFaults(request: StartRequest): string[] {
  const faults: string[] = [];
  const { idempotencyKey, labels, priority } = request;
  if (idempotencyKey !== undefined && (idempotencyKey.length === 0 || idempotencyKey.length > limits.keyLengthMax)) {
    faults.push(`idempotencyKey must have 1 to ${limits.keyLengthMax} characters`);
  }
  faults.push(...startFaults(request));
  if (priority !== undefined && !(Number.isInteger(priority) && priority >= 0 && priority <= limits.priorityMax)) {
    faults.push(`priority must be a whole number from 0 to ${limits.priorityMax}`);
  }
  if (labels !== undefined) faults.push(...labelFaults(labels));
  return faults;
}
