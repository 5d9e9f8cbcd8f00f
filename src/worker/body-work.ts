/**
 * A workflow body at work: joins an activation of `workflow/` to the worker that holds its lease.
 *
 * Invariant: an activation that stops without an outcome, while its lease is still ours, is abandoned by word, so that
 * the run does not wait for a deadline.
 */
import { failure } from '../core/failure.js';
import type {
  AbortReason,
  ActivationAssignment,
  JournalEntry,
  Submission,
  SubmissionResult,
} from '../protocol/worker.js';
import type { RemedyPolicy } from '../core/remedies.js';
import type { ToolPolicy } from '../core/tools/policy.js';
import type { Activation, ActivationHost, BeginActivation } from '../workflow/activation-contract.js';
import type { MirroredInference } from '../workflow/infer/mirrored-inference.js';
import type { Model } from '../workflow/model.js';
import type { Topic } from '../workflow/topic.js';
import { leaseIsGone, type StopReason, type Work, type WorkHost } from './work.js';

export interface BodyHost extends WorkHost {
  /** Read each time a body begins to wait, so that it can shrink when slots are short or the worker drains. */
  readonly parkAfterMs: () => number;
  readonly begin: BeginActivation;
  readonly model: (name: string) => Model | null;
  readonly topic: (name: string) => Topic | null;
  /** Takes an inference whose grant names a shadow, once its answer is recorded. */
  readonly mirror: (inference: MirroredInference) => void;
  readonly remedies: RemedyPolicy;
  readonly tools: ToolPolicy | null;
  /** Whether the server gives verdicts on calls of tools. */
  readonly judges: () => boolean;
}

/** Runs `definition`, the workflow of the assignment in its version, from the journal on. */
export function beginBody(assignment: ActivationAssignment, definition: unknown, host: BodyHost): Work {
  return new BodyWork(assignment, definition, host);
}

class BodyWork implements Work {
  readonly kind = 'activation';
  readonly idle: Promise<void>;
  readonly #activation: Activation;
  readonly #host: BodyHost;
  readonly #assignment: ActivationAssignment;
  #dead = false;
  /** A refusal that leaves the lease with us, and that the activation may not have an answer to. */
  #refused: { readonly code: string; readonly message: string } | null = null;

  constructor(assignment: ActivationAssignment, definition: unknown, host: BodyHost) {
    this.#assignment = assignment;
    this.#host = host;
    this.#activation = host.begin(definition, assignment, activationHost(assignment, host));
    this.idle = this.#activation.ended.then((end) => {
      if (end === 'aborted' && !this.#dead) this.#abandon();
    });
  }

  get dead(): boolean {
    return this.#dead;
  }

  get waiting(): boolean {
    return this.#activation.waiting;
  }

  get seen(): number {
    return this.#activation.seen;
  }

  deliver(events: readonly JournalEntry[]): void {
    this.#activation.deliver(events);
  }

  settle(_submission: Submission, result: SubmissionResult): void {
    if (!result.ok && leaseIsGone(result.code)) this.#dead = true;
    else if (!result.ok && result.code !== 'stale') this.#refused = result;
    this.#activation.settle(result);
  }

  stop(reason: StopReason): void {
    if (this.#dead) return;
    // A body loses nothing by being stopped: what it has recorded is kept, and the server gives the rest to another
    // worker, uncounted, when this one says goodbye.
    this.#dead = true;
    this.#activation.abort(abortReasonOf(reason));
  }

  hurry(): void {
    this.#activation.hurry();
  }

  #abandon(): void {
    const { code, message } = this.#refused ?? noOutcome;
    const { run, workflow } = this.#assignment;
    this.#host.log('error', 'an activation stopped without an outcome', { run, workflow, code });
    this.#host.submit([{ op: 'abandon', failure: failure({ class: 'internal', code, message, retryable: true }) }]);
  }
}

const noOutcome = { code: 'INTERNAL', message: 'The activation stopped without an outcome.' };

function abortReasonOf(reason: StopReason): AbortReason {
  return reason === 'drain' || reason === 'stop' || reason === 'session_lost' ? 'lease_lost' : reason;
}

function activationHost(assignment: ActivationAssignment, host: BodyHost): ActivationHost {
  const { workflow, attempt } = assignment;
  return {
    ports: host.ports,
    get parkAfterMs() {
      return host.parkAfterMs();
    },
    get valueBytesMax() {
      return host.valueBytesMax;
    },
    submit: (commands) => host.submit(commands),
    store: (payload) => host.store(payload),
    load: (payload) => host.load(payload),
    model: host.model,
    topic: host.topic,
    mirror: host.mirror,
    remedies: host.remedies,
    ...(host.tools === null ? {} : { tools: host.tools }),
    judges: host.judges,
    log: ({ level, message, fields, tenant, run, path }) =>
      host.log(level, message, { ...fields, tenant, run, workflow, attempt, path }),
  };
}
